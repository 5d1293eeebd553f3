//! `cert show`: the certificates of a file, or those that a server shows, and whether it is to be believed.
//! Absent: taking certificates apart.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cli::complete;
use crate::command::report::print;
use netkit::cert::inspect::{Description, describe};
use netkit::cert::{CertificateDer, files};
use netkit::connection::facts::Tls;
use netkit::error::{Error, Result, Status};
use netkit::process::runtime;
use netkit::transport::reading::ClientEndpoint;

/// Show the certificates of a file, or those of a server and whether it is to be believed
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A PEM file, or a client endpoint such as tls:example.com:443
    #[arg(value_name = "FILE|ENDPOINT", add = complete::client())]
    what: OsString,
    /// Print the same as JSON
    #[arg(long, conflicts_with = "pem")]
    json: bool,
    /// Print the certificates themselves, as PEM
    #[arg(long)]
    pem: bool,
}

/// What was found out about a server.
struct Seen {
    tls: Tls,
    peer: String,
    /// Why it is not to be believed.
    refused: Option<Error>,
}

impl Show {
    /// Status 5 where a server is not to be believed; the report is printed all the same.
    pub(super) fn run(self) -> Result<Status> {
        let path = Path::new(&self.what);
        if path.exists() || !self.what.as_encoded_bytes().contains(&b':') {
            let chain = files::certificates(path).map_err(|fault| fault.at(Status::Usage))?;
            self.report(&chain, None)?;
            return Ok(Status::Done);
        }
        let endpoint = ClientEndpoint::parse(&self.what)?;
        let runtime = runtime::current_thread()?;
        let seen = runtime.block_on(see(&endpoint));
        runtime.shutdown_background();
        let seen = seen?;
        let chain: Vec<CertificateDer<'static>> = seen
            .tls
            .peer_certificates
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect();
        self.report(&chain, Some(&seen))?;
        match seen.refused {
            None => Ok(Status::Done),
            Some(error) => Err(error),
        }
    }

    fn report(&self, chain: &[CertificateDer<'_>], seen: Option<&Seen>) -> Result<Status> {
        if self.pem {
            return print(files::certificates_pem(chain).as_bytes());
        }
        let described: Vec<Description> = chain.iter().filter_map(|der| describe(der)).collect();
        if self.json {
            let mut object = json!({
                "certificates": described.iter().map(as_json).collect::<Vec<_>>(),
            });
            if let Some(seen) = seen {
                object["peer"] = json!(seen.peer);
                object["version"] = json!(seen.tls.version);
                object["cipher"] = json!(seen.tls.cipher);
                object["alpn"] = json!(seen.tls.alpn);
                object["verified"] = json!(seen.refused.is_none());
                object["reason"] = json!(seen.refused.as_ref().map(Error::why));
                object["help"] = json!(seen.refused.as_ref().and_then(Error::help_text));
            }
            return print(format!("{object:#}\n").as_bytes());
        }
        let mut text = String::new();
        if let Some(seen) = seen {
            let alpn = seen.tls.alpn.as_deref().unwrap_or("none agreed on");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "server         {}", seen.peer);
            let _ = writeln!(text, "  version      {}", seen.tls.version);
            let _ = writeln!(text, "  cipher       {}", seen.tls.cipher);
            let _ = writeln!(text, "  alpn         {alpn}");
            let verdict = match &seen.refused {
                None => "yes".to_owned(),
                Some(error) => format!("no: {}", error.why()),
            };
            let _ = writeln!(text, "  verified     {verdict}");
        }
        for (at, certificate) in described.iter().enumerate() {
            if !text.is_empty() {
                text.push('\n');
            }
            as_text(&mut text, at + 1, described.len(), certificate);
        }
        print(text.as_bytes())
    }
}

/// Connects as everybody would; if that is refused, once more to see who was refused.
async fn see(endpoint: &ClientEndpoint) -> Result<Seen> {
    let (connection, refused) = match endpoint.connect().await {
        Ok(connection) => (connection, None),
        Err(error) if error.status() == Status::Tls => match endpoint.look().await {
            Ok(connection) => (connection, Some(error)),
            // What keeps everybody out is the better reason.
            Err(_) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let facts = connection.facts();
    let Some(tls) = facts.tls.as_deref().cloned() else {
        let why = "there is no TLS, and so no certificate";
        return Err(Error::new(Status::Usage, why).on(format!("could not look at {}", endpoint.text())));
    };
    Ok(Seen {
        tls,
        peer: facts.peer.to_string(),
        refused,
    })
}

fn as_text(text: &mut String, number: usize, of: usize, certificate: &Description) {
    let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let issuer = match certificate.self_signed {
        true => "itself".to_owned(),
        false => certificate.issuer.clone(),
    };
    let authority = if certificate.authority { "yes" } else { "no" };
    let lines = [
        ("subject", certificate.subject.clone()),
        ("issuer", issuer),
        ("names", names),
        ("not before", shown(certificate.not_before)),
        (
            "not after",
            format!("{} ({})", shown(certificate.not_after), left(certificate)),
        ),
        ("key", certificate.key.clone()),
        ("signature", certificate.signature.clone()),
        ("authority", authority.to_owned()),
        ("serial", certificate.serial.clone()),
        ("sha256", certificate.fingerprint.clone()),
        ("pin", certificate.pin.to_string()),
    ];
    // Writing to a String cannot fail.
    let _ = writeln!(text, "certificate    {number} of {of}");
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:11}  {value}");
    }
}

fn left(certificate: &Description) -> String {
    let now = OffsetDateTime::now_utc();
    let days = |length: time::Duration| match length.whole_days() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now < certificate.not_before {
        format!("not valid for another {}", days(certificate.not_before - now))
    } else if now > certificate.not_after {
        format!("expired {} ago", days(now - certificate.not_after))
    } else {
        format!("{} left", days(certificate.not_after - now))
    }
}

/// `2027-01-31T12:00:00Z`
fn shown(moment: OffsetDateTime) -> String {
    let (date, (hour, minute, second)) = (moment.date(), moment.to_hms());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

fn as_json(certificate: &Description) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "self_signed": certificate.self_signed,
        "authority": certificate.authority,
        "names": certificate.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_before": shown(certificate.not_before),
        "not_after": shown(certificate.not_after),
        "key": certificate.key,
        "signature": certificate.signature,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint,
        "pin": certificate.pin.to_string(),
    })
}
