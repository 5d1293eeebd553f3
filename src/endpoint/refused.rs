//! `Refused`: a typed reason, and the picture of where in the string it lies; `Kind`, the table of reasons.
//! Absent: who refuses what.

use std::fmt;

use crate::diagnostic::{Diagnostic, Span};
use crate::error::Error;

/// Makes the enum, its codes and the list of all of them from one table.
macro_rules! kinds {
    ($($kind:ident $code:literal $doc:literal,)*) => {
        /// Why an endpoint string is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = $doc] $kind,)*
        }

        impl Kind {
            /// Every reason.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// A short name that stays the same when the wording changes.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Kind::$kind => $code,)*
                }
            }
        }
    };
}

kinds! {
    TrailingEscape "trailing-escape" "Nothing follows the last backslash.",
    UnmatchedBracket "unmatched-bracket" "A value begins with a bracket that is not closed.",
    TextAfterBracket "text-after-bracket" "Something other than a colon follows the closing bracket.",
    NoType "no-type" "There are keywords only.",
    NotUtf8 "not-utf8" "The bytes are no text.",
    TooDeep "too-deep" "Endpoints stand in one another too often.",
    UnknownType "unknown-type" "Nobody knows the type.",
    WrongRole "wrong-role" "The type exists, but only for the other end of the wire.",
    WrapperAlone "wrapper-alone" "A wrapper has no endpoint to stand before.",
    UnknownArgument "unknown-argument" "The type has no argument of this name.",
    MissingArgument "missing-argument" "The type needs an argument that is not given.",
    GivenTwice "argument-given-twice" "An argument is given twice.",
    TooManyArguments "too-many-arguments" "There is no argument left that a value could be.",
    NotAnInteger "not-an-integer" "Something other than ASCII digits.",
    OutOfRange "out-of-range" "A number outside its range.",
    PortOutOfRange "port-out-of-range" "A port outside its range.",
    NotADuration "not-a-duration" "No number, or an unknown unit of time.",
    TimeoutOutOfRange "timeout-out-of-range" "A length of time that cannot be waited for.",
    NotASize "not-a-size" "No number, or an unknown unit of size.",
    NotAFlag "not-a-flag" "Neither yes nor no.",
    NotOctal "not-octal" "Something other than octal digits.",
    ModeOutOfRange "mode-out-of-range" "More than four octal digits, or a sign.",
    NotAnAddress "not-an-address" "No IP address.",
    WrongAddressFamily "wrong-address-family" "An IP address of the other family.",
    EmptyHost "empty-host" "The host is empty.",
    BadHostname "bad-hostname" "No name that a host can have.",
    EmptyPath "empty-path" "The path is empty.",
    NotAChoice "not-a-choice" "None of the words that are possible.",
    NotAPin "not-a-pin" "No digest of a public key.",
    EmptyItem "empty-item" "A list with nothing between two commas.",
    NeedIndexOrName "need-index-or-name" "A descriptor is to be given by its index or by its name.",
    NoSuchDescriptor "no-such-descriptor" "No descriptor can have this number.",
    KeyWithoutCertificate "private-key-without-certificate" "A private key is of no use alone.",
    Conflict "conflict" "Two arguments that exclude each other.",
    Unsupported "unsupported" "Known, but not done here.",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An endpoint string that is not taken: why, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason, for programs.
    pub kind: Kind,
    /// The reason, for people. Boxed, so that a `Result` stays small.
    pub diagnostic: Box<Diagnostic>,
}

impl Refused {
    /// Refuses `source` for what stands in `span`.
    #[must_use]
    pub fn new(kind: Kind, source: &str, span: Span, message: impl Into<String>) -> Self {
        let diagnostic = Diagnostic {
            message: message.into(),
            source: source.to_owned(),
            span,
            help: None,
        };
        Refused {
            kind,
            diagnostic: Box::new(diagnostic),
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }
}

/// As the diagnostic: one line, and with `{:#}` the picture and the help line.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::from(*refused.diagnostic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn a_refused_string_is_an_error_of_usage() {
        let refused = Refused::new(Kind::NoType, "a=b", Span::new(0, 3), "no endpoint type").help("say one");
        let error = Error::from(refused);
        assert_eq!(error.status(), crate::error::Status::Usage);
        assert_eq!(
            format!("{error:#}"),
            "no endpoint type\n  a=b\n  ^^^\nhelp: say one"
        );
    }
}
