//! `Finding`: one thing that was found out about a certificate of a chain.
//! Absent: finding it.

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The time for it is over.
    Expired,
    /// The time for it has not come.
    NotYetValid,
    /// It is for other names.
    WrongName,
    /// It is not for servers.
    WrongPurpose,
    /// It is for vouching, and a server shows it as its own.
    AuthorityAsServer,
    /// It vouches for another one, and may not.
    NotAuthority,
    /// There are more authorities below it than it allows.
    TooDeep,
    /// It may not vouch for a name of the server.
    NameForbidden,
    /// How it was signed can be forged, or is not known here.
    WeakSignature,
    /// Its key can be broken, or is not known here.
    WeakKey,
    /// Its signature is not by the key of the issuer that it names.
    BadSignature,
    /// It is no certificate at all.
    Damaged,
    /// Its issuer is neither sent nor trusted.
    IssuerMissing,
    /// It vouches for itself, and is not trusted.
    SelfSigned,
    /// It ends the chain, and is not trusted.
    RootUntrusted,
    /// The root that vouches for it is trusted, and the time for that one is not now.
    RootOutdated,
    /// Its key is not the pinned one.
    OtherKey,
    /// A remark: it stands in another place than where it is looked for.
    OutOfOrder,
    /// A remark: nothing needs it.
    Surplus,
    /// A remark: it vouches for another one, and its key usage does not say that it may.
    UsageMissing,
}

impl Kind {
    /// The name by which programs know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Expired => "expired",
            Kind::NotYetValid => "not-yet-valid",
            Kind::WrongName => "wrong-name",
            Kind::WrongPurpose => "wrong-purpose",
            Kind::AuthorityAsServer => "authority-as-server",
            Kind::NotAuthority => "not-authority",
            Kind::TooDeep => "too-deep",
            Kind::NameForbidden => "name-forbidden",
            Kind::WeakSignature => "weak-signature",
            Kind::WeakKey => "weak-key",
            Kind::BadSignature => "bad-signature",
            Kind::Damaged => "damaged",
            Kind::IssuerMissing => "issuer-missing",
            Kind::SelfSigned => "self-signed",
            Kind::RootUntrusted => "root-untrusted",
            Kind::RootOutdated => "root-outdated",
            Kind::OtherKey => "other-key",
            Kind::OutOfOrder => "out-of-order",
            Kind::Surplus => "surplus",
            Kind::UsageMissing => "usage-missing",
        }
    }

    /// Whether it is no reason to refuse anybody, and worth knowing all the same.
    #[must_use]
    pub const fn is_remark(self) -> bool {
        matches!(self, Kind::OutOfOrder | Kind::Surplus | Kind::UsageMissing)
    }

    /// Whether it is a fault of a server whose key is all that is asked for.
    #[must_use]
    pub const fn is_about_the_pin(self) -> bool {
        matches!(self, Kind::OtherKey | Kind::Damaged | Kind::WeakKey)
    }

    /// Whether trusting another certificate would be enough to mend it.
    #[must_use]
    pub const fn is_about_trust(self) -> bool {
        matches!(self, Kind::IssuerMissing | Kind::SelfSigned | Kind::RootUntrusted)
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: Kind,
    /// The place of the certificate in the chain, the leaf's being 0.
    pub place: usize,
    /// What is wrong with that certificate, as what is said of it.
    pub why: String,
    /// Who could mend it, and how; where there is more to say than whom to trust.
    pub help: Option<String>,
}

impl Finding {
    /// A finding without help.
    #[must_use]
    pub fn new(kind: Kind, place: usize, why: impl Into<String>) -> Self {
        Finding {
            kind,
            place,
            why: why.into(),
            help: None,
        }
    }
}
