//! `Invalid`: why bytes are no PROXY header, for programs and for people.
//! Absent: who finds out.

use std::fmt;

/// Makes the enum, its codes and its texts from one table.
macro_rules! reasons {
    ($($reason:ident $code:literal $text:literal,)*) => {
        /// Why bytes are no PROXY header.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Invalid {
            $(#[doc = concat!("Refused because ", $text, ".")] $reason,)*
        }

        impl Invalid {
            /// A short name that stays the same when the wording changes.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Invalid::$reason => $code,)*
                }
            }
        }

        impl fmt::Display for Invalid {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Invalid::$reason => $text,)*
                })
            }
        }
    };
}

reasons! {
    Signature "bad-signature" "it begins with something else",
    LineTooLong "line-too-long" "its line does not end within 107 bytes",
    Fields "bad-fields" "its line does not have six fields with single blanks in between",
    Protocol "bad-protocol" "its protocol is not one there is",
    Address "bad-address" "an address in it is none of its family",
    Port "bad-port" "a port in it is no number from 0 to 65535",
    Version "bad-version" "its version is not 2",
    Command "bad-command" "its command is neither PROXY nor LOCAL",
    Family "bad-family" "its address family is not one there is",
    ShortBlock "short-address-block" "its length leaves no room for the addresses",
    Tlv "bad-tlv" "what follows the addresses is not cut into whole values",
    CrcLength "bad-crc-length" "its checksum is not one of four bytes",
    Crc "bad-crc" "its checksum does not match",
    UniqueId "bad-unique-id" "its unique identifier is longer than 128 bytes",
}

impl std::error::Error for Invalid {}
