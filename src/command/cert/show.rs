//! `cert show`: what is in a file of certificates, or what a server shows and whether it is to be believed.
//! Absent: taking certificates apart, and what would make a server acceptable.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::Args;

use super::doctor::{self, Report};
use super::pages::{self, Entry};
use crate::cli::complete;
use crate::command::report::print;
use netkit::cert::files;
use netkit::cert::held::held;
use netkit::error::{Error, Result, Status};
use netkit::process::runtime;
use netkit::transport::reading::ClientEndpoint;

const EXAMPLES: &str = "\
Status:
  0 where all is well, 5 where the server is not to be believed: the report says which certificate broke it, and
  what would make it acceptable at what cost. A file is shown with status 0, whatever is in it.

Examples:
  netkit cert self-signed localhost --combined
  netkit cert show combined.pem
  netkit serve echo tls:1234:combined.pem --max-connections 4 &
  netkit cert show tls:localhost:1234:trustRoots=combined.pem
  netkit cert show --json tls:localhost:1234 || echo not to be believed
  netkit cert show --pem tls:localhost:1234:insecure=yes > server.pem
  kill $!";

/// Show the certificates of a file, or those of a server and whether it is to be believed
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Show {
    /// A PEM file with certificates, requests or keys, or a client endpoint such as tls:example.com:443
    #[arg(value_name = "FILE|ENDPOINT", add = complete::client())]
    what: OsString,
    /// Print the same as JSON
    #[arg(long, conflicts_with = "pem")]
    json: bool,
    /// Print the certificates themselves, as PEM
    #[arg(long)]
    pem: bool,
}

impl Show {
    /// Status 5 where a server is not to be believed; the report is printed all the same.
    pub(super) fn run(self) -> Result<Status> {
        let path = Path::new(&self.what);
        // What exists is a file, whatever it is called; what has no colon cannot be an endpoint.
        if fs::symlink_metadata(path).is_ok() || !self.what.as_encoded_bytes().contains(&b':') {
            return self.file(path);
        }
        let endpoint = ClientEndpoint::parse(&self.what)?;
        let runtime = runtime::current_thread()?;
        let report = runtime.block_on(doctor::see(&endpoint));
        runtime.shutdown_background();
        let report = report?;
        let chain = Entry::all(&report.chain);
        if self.pem {
            print(files::certificates_pem(&report.chain).as_bytes())?;
        } else if self.json {
            print(format!("{:#}\n", report.json(&chain)).as_bytes())?;
        } else {
            print(report.text(&chain).as_bytes())?;
        }
        match report {
            Report {
                refused: Some(error), ..
            } => Err(error),
            Report { .. } => Ok(Status::Done),
        }
    }

    fn file(&self, path: &Path) -> Result<Status> {
        let could_not = |error: Error| error.on(format!("could not show {}", files::shown(path)));
        let held = held(path).map_err(|fault| could_not(fault.at(Status::Usage)))?;
        let chain = Entry::all(&held.certificates);
        if self.pem {
            if held.certificates.is_empty() {
                let why = "there is no certificate in it";
                return Err(could_not(Error::new(Status::Usage, why)));
            }
            return print(files::certificates_pem(&held.certificates).as_bytes());
        }
        if self.json {
            return print(format!("{:#}\n", pages::held_json(&held, &chain)).as_bytes());
        }
        let mut text = String::new();
        pages::certificates(&mut text, &chain);
        pages::others(&mut text, &held, &chain);
        print(text.as_bytes())
    }
}
