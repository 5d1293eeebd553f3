//! `cert self-signed`, `cert ca` and `cert issue`: a certificate, an authority, and what it issues.
//! Absent: cryptography, and how a pair of files appears whole.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::cli::values::moment;
use netkit::cert::issue::{Authority, Leaf, Permit, Validity, self_signed};
use netkit::cert::output::{self, File};
use netkit::cert::{
    CertificateDer, Fault, Identity, KeyType, Name, Passphrases, PrivateKeyDer, chain, files,
};
use netkit::error::{Error, Result, Status};

const SELF_SIGNED_EXAMPLES: &str = "\
Examples:
  netkit cert self-signed
  netkit serve echo tls:1234:key.pem:cert.pem --once &
  echo hello | netkit connect tls:localhost:1234:trustRoots=cert.pem
  netkit cert self-signed example.com '*.example.com' 192.0.2.1 --key-type ed25519 --out web
  netkit cert self-signed --not-before 2020-01-01 --not-after 2021-01-01 --out expired";

const CA_EXAMPLES: &str = "\
Examples:
  netkit cert ca --out ca
  netkit cert issue --ca ca --out server localhost
  netkit cert ca --name 'our authority' --permit example.com --permit 192.0.2.1 --out limited";

const ISSUE_EXAMPLES: &str = "\
Examples:
  netkit cert ca --out ca
  netkit cert issue --ca ca --out server localhost 127.0.0.1
  netkit cert issue --ca ca --out client --client --combined me@example.com
  netkit serve echo tls:1234:server/key.pem:server/cert.pem:clientCA=ca/cert.pem --once &
  us=trustRoots=ca/cert.pem:certificate=client/combined.pem
  echo hello | netkit connect tls:localhost:1234:$us";

/// Make a certificate that vouches for itself, and its key
#[derive(Debug, Args)]
#[command(after_long_help = SELF_SIGNED_EXAMPLES)]
pub(crate) struct SelfSigned {
    /// What it is good for: DNS names, wildcards, IP addresses, mail addresses, URIs [default: localhost 127.0.0.1 ::1]
    #[arg(value_name = "NAME")]
    names: Vec<Name>,
    /// For a client rather than a server
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    out: Out,
}

/// Make an authority, which can issue certificates
#[derive(Debug, Args)]
#[command(after_long_help = CA_EXAMPLES)]
pub(crate) struct Ca {
    /// What it is called
    #[arg(long, value_name = "NAME", default_value = "netkit authority")]
    name: String,
    /// Vouch for this DNS name and those below it, or for this address, and for nothing else; repeatable
    #[arg(long, value_name = "NAME")]
    permit: Vec<Name>,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    out: Out,
}

/// Issue a certificate of an authority
#[derive(Debug, Args)]
#[command(after_long_help = ISSUE_EXAMPLES)]
pub(crate) struct Issue {
    /// The directory of the authority, with its cert.pem and key.pem
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    ca: PathBuf,
    /// The file whose first line is the passphrase of the authority's key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_passphrase_file: Option<PathBuf>,
    /// Issue it for this certificate request; names on the command line take the place of its own
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["key_type", "combined", "passphrase_file"])]
    csr: Option<PathBuf>,
    /// What it is good for: DNS names, wildcards, IP addresses, mail addresses, URIs
    #[arg(value_name = "NAME", required_unless_present = "csr")]
    names: Vec<Name>,
    /// For a client rather than a server
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    kind: Kind,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Args)]
struct Kind {
    /// The kind of key
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256", value_parser = PossibleValuesParser::new(
        KeyType::ALL.map(|(name, _)| name),
    ).map(|name| key_type(&name)))]
    key_type: KeyType,
}

fn key_type(name: &str) -> KeyType {
    let found = KeyType::ALL.iter().find(|(known, _)| *known == name);
    found.map_or(KeyType::EcdsaP256, |(_, key_type)| *key_type)
}

#[derive(Debug, Args)]
struct Period {
    /// Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    days: Option<u32>,
    /// Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    not_before: Option<OffsetDateTime>,
    /// Valid until this moment, which may be over already: for tests
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "days")]
    not_after: Option<OffsetDateTime>,
}

impl Period {
    fn validity(&self, usual: u32) -> Result<Validity> {
        let days = self.days.unwrap_or(usual);
        let mut validity = Validity::days(days);
        let length = time::Duration::days(days.into());
        let out_of_range = || {
            Error::new(Status::Usage, "its time would end beyond all dates")
                .on("could not make a certificate")
        };
        if let Some(start) = self.not_before {
            if start > validity.not_before {
                validity.not_after = start.checked_add(length).ok_or_else(out_of_range)?;
            }
            validity.not_before = start;
        }
        if let Some(end) = self.not_after {
            // What ended before now began as long before that as it would have lasted.
            if self.not_before.is_none() && end <= validity.not_before {
                validity.not_before = end.checked_sub(length).ok_or_else(out_of_range)?;
            }
            validity.not_after = end;
        }
        if validity.not_after <= validity.not_before {
            let why = "it would end before it begins";
            return Err(Error::new(Status::Usage, why).on("could not make a certificate"));
        }
        Ok(validity)
    }
}

#[derive(Debug, Args)]
struct Out {
    /// Write cert.pem and key.pem into this directory, which is made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    out: PathBuf,
    /// Write one file instead, combined.pem, with the key and the certificate
    #[arg(long)]
    combined: bool,
    /// Encrypt the key with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
    /// Overwrite files that are there already
    #[arg(long)]
    force: bool,
}

impl Out {
    fn write(&self, identity: &Identity) -> Result<Status> {
        let key = self.key(&identity.key).map_err(usage)?;
        let certificates = files::certificates_pem(&identity.chain);
        if self.combined {
            return self.put(&[file("combined.pem", key + &certificates, true)]);
        }
        self.put(&[file("key.pem", key, true), file("cert.pem", certificates, false)])
    }

    fn key(&self, key: &PrivateKeyDer<'_>) -> Result<String, Fault> {
        match &self.passphrase_file {
            None => Ok(files::key_pem(key)),
            Some(path) => files::encrypted_key_pem(key, path),
        }
    }

    fn put(&self, files: &[File]) -> Result<Status> {
        let written =
            output::write(&self.out, files, self.force).map_err(|fault| fault.at(Status::Failure))?;
        for path in written {
            info!("wrote {}", files::shown(&path));
        }
        Ok(Status::Done)
    }
}

fn file(name: &'static str, text: String, secret: bool) -> File {
    File { name, text, secret }
}

fn usage(fault: Fault) -> Error {
    fault.at(Status::Usage)
}

impl SelfSigned {
    pub(super) fn run(self) -> Result<Status> {
        let names = if self.names.is_empty() {
            Name::of_this_machine().to_vec()
        } else {
            self.names
        };
        let identity = self_signed(&Leaf {
            names,
            key_type: self.kind.key_type,
            validity: self.period.validity(365)?,
            client: self.client,
        })
        .map_err(usage)?;
        self.out.write(&identity)
    }
}

impl Ca {
    pub(super) fn run(self) -> Result<Status> {
        let permits = self.permit.iter().map(permit).collect::<Result<Vec<_>, _>>()?;
        let validity = self.period.validity(3650)?;
        let authority = Authority::new(&self.name, &permits, self.kind.key_type, validity).map_err(usage)?;
        self.out.write(authority.identity())
    }
}

fn permit(name: &Name) -> Result<Permit> {
    match name {
        // What is below a name is permitted with it.
        Name::Dns(name) => Ok(Permit::Dns(name.strip_prefix("*.").unwrap_or(name).to_owned())),
        Name::Ip(address) => Ok(Permit::Network(
            *address,
            if address.is_ipv4() { 32 } else { 128 },
        )),
        Name::Mail(_) | Name::Uri(_) => {
            let why = "an authority can be limited to DNS names and addresses";
            Err(Error::new(Status::Usage, why).on(format!("could not permit {name}")))
        }
    }
}

impl Issue {
    pub(super) fn run(self) -> Result<Status> {
        let (key, certificate) = (self.ca.join("key.pem"), self.ca.join("cert.pem"));
        let passphrases = Passphrases::new(self.ca_passphrase_file, "--ca-passphrase-file FILE");
        let authority = files::identity(&key, &passphrases, &certificate, None)
            .and_then(Authority::from_identity)
            .and_then(|authority| {
                passphrases.say_if_unused(files::shown(&key))?;
                Ok(authority)
            })
            .map_err(|fault| usage(fault).on("could not use the authority"))?;
        let validity = self.period.validity(365)?;
        if let Some(path) = &self.csr {
            let request = files::request(path).map_err(usage)?;
            let issued: CertificateDer<'static> = authority
                .issue_for(&request, self.names, validity, self.client)
                .map_err(usage)?;
            warn_if_beyond(&authority, &issued);
            let text = files::certificates_pem(&[issued]);
            return self.out.put(&[file("cert.pem", text, false)]);
        }
        let identity = authority
            .issue(&Leaf {
                names: self.names,
                key_type: self.kind.key_type,
                validity,
                client: self.client,
            })
            .map_err(usage)?;
        if let Some(leaf) = identity.chain.first() {
            warn_if_beyond(&authority, leaf);
        }
        self.out.write(&identity)
    }
}

/// It is made all the same: a test may need just that.
fn warn_if_beyond(authority: &Authority, leaf: &CertificateDer<'_>) {
    let authority = authority.identity().chain.first();
    if let Some(what) = authority.and_then(|authority| chain::beyond(authority, leaf)) {
        warn!("nobody will believe this certificate: its authority may not vouch {what}");
    }
}
