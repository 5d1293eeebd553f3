//! `cert trust`: where netkit's own authority is, and how to hand it to others.
//! Absent: changing what the system trusts.

use clap::Args;

use crate::command::report::print;
use netkit::cert::Fault;
use netkit::cert::local::Store;
use netkit::error::{Result, Status};

const EXAMPLES: &str = "\
Examples:
  netkit serve echo tls:1234 --once &
  netkit cert trust
  echo hello | netkit connect tls:localhost:1234";

/// Print where netkit's own authority is, and how to hand it to curl; it is made where there is none yet
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Trust {}

impl Trust {
    pub(super) fn run(self) -> Result<Status> {
        let failed = |fault: Fault| fault.at(Status::Failure).on("could not have a local authority");
        let Some(store) = Store::of_user() else {
            return Err(failed(Fault {
                why: "there is no data directory".into(),
                help: Some("set HOME or XDG_DATA_HOME".into()),
                status: None,
            }));
        };
        store.authority().map_err(failed)?;
        let path = store.certificate_file();
        let shown = path.display();
        let report = format!(
            "{shown}\n\n\
             It vouches for localhost and loopback addresses only. To make others trust it:\n  \
             curl --cacert '{shown}' https://localhost:PORT/\n  \
             openssl s_client -CAfile '{shown}' -connect localhost:PORT\n  \
             netkit connect tls:localhost:PORT (does so by itself)\n",
        );
        print(report.as_bytes())
    }
}
