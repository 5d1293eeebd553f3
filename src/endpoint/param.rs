//! `Param`: one row of the table that says what arguments an endpoint type, or a protocol, takes.
//! Absent: the values of a particular string, sockets, flags.

/// One argument that may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// The name, as it is written before `=`.
    pub name: &'static str,
    /// Other spellings of the name.
    pub aliases: &'static [&'static str],
    /// What a value looks like.
    pub value: ValueKind,
    /// What holds where the argument is not given.
    pub default: Default,
    /// Whether it may be given by its position too.
    pub positional: bool,
    /// One line for the manual.
    pub doc: &'static str,
}

/// What holds where an argument is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It has to be given.
    Required,
    /// This text, read as if it had been given.
    Text(&'static str),
    /// Nothing.
    Absent,
}

/// What a value looks like, and within which limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A host name or an IP address.
    Host,
    /// A port.
    Port {
        /// Whether 0 is taken: the system picks one.
        zero_ok: bool,
    },
    /// A length of time.
    Duration {
        /// Whether no time at all is taken.
        zero_ok: bool,
    },
    /// A number of bytes.
    Size,
    /// Yes or no.
    Flag,
    /// A whole number, the limits included.
    Integer {
        /// The smallest that is taken.
        min: u64,
        /// The largest that is taken.
        max: u64,
    },
    /// The number of a descriptor or its index among those inherited.
    Descriptor,
    /// File permissions, up to four octal digits.
    Mode,
    /// A path, or an abstract socket name.
    Path,
    /// An IPv4 address.
    AddressV4,
    /// An IPv6 address, with or without a zone.
    AddressV6,
    /// An IP address of either family.
    Address,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// A client endpoint.
    Endpoint,
}

impl ValueKind {
    /// Whether an IPv6 address may stand here.
    pub(super) const fn is_address(self) -> bool {
        matches!(
            self,
            ValueKind::Host | ValueKind::Address | ValueKind::AddressV4 | ValueKind::AddressV6
        )
    }
}

impl Param {
    const fn new(name: &'static str, value: ValueKind, default: Default, doc: &'static str) -> Self {
        Param {
            name,
            aliases: &[],
            value,
            default,
            positional: true,
            doc,
        }
    }

    /// An argument that has to be given.
    #[must_use]
    pub const fn required(name: &'static str, value: ValueKind, doc: &'static str) -> Self {
        Param::new(name, value, Default::Required, doc)
    }

    /// An argument with a default, written as a user would write it.
    #[must_use]
    pub const fn optional(
        name: &'static str,
        value: ValueKind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Param::new(name, value, Default::Text(default), doc)
    }

    /// An argument that may be missing.
    #[must_use]
    pub const fn absent(name: &'static str, value: ValueKind, doc: &'static str) -> Self {
        Param::new(name, value, Default::Absent, doc)
    }

    /// The same, but given by its name only.
    #[must_use]
    pub const fn by_name(mut self) -> Self {
        self.positional = false;
        self
    }

    /// The same, with other spellings of its name.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether it has to be given.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        matches!(self.default, Default::Required)
    }

    /// Whether this is its name, or another spelling of it.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// How an endpoint of this type is written: `tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]`.
///
/// Arguments that have to be given, but only by name, follow as `:name=NAME`.
#[must_use]
pub fn usage(name: &str, params: &[Param]) -> String {
    let mut text = name.to_owned();
    let mut open = 0;
    for param in params.iter().filter(|param| param.positional) {
        let upper = param.name.to_ascii_uppercase();
        if param.is_required() && open == 0 {
            text.push(':');
        } else {
            text.push_str("[:");
            open += 1;
        }
        text.push_str(&upper);
    }
    text.push_str(&"]".repeat(open));
    for param in params
        .iter()
        .filter(|param| !param.positional && param.is_required())
    {
        text.push_str(&format!(":{}={}", param.name, param.name.to_ascii_uppercase()));
    }
    text
}
