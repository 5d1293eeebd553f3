//! `connect`: a client endpoint wired to standard input and output.
//! Absent: the wiring.

use std::ffi::OsString;

use clap::Args;
use tracing::debug;

use super::talk::{Console, Terms, within};
use crate::cli::options::TalkOptions;
use crate::cli::{complete, help};
use netkit::connection::Connection;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::{runtime, signals};
use netkit::transport::reading::ClientEndpoint;

/// Wire a client endpoint to stdin/stdout
#[derive(Debug, Args)]
#[command(after_long_help = help::endpoints(Role::Client))]
pub(crate) struct Connect {
    /// Where to connect, such as tcp:localhost:1234 or unix:/run/echo.sock
    #[arg(value_name = "ENDPOINT", add = complete::client())]
    endpoint: OsString,
    #[command(flatten)]
    talk: TalkOptions,
}

impl Connect {
    /// Talks until the peer has ended.
    pub(super) fn run(self) -> Result<Status> {
        let endpoint = ClientEndpoint::parse(&self.endpoint)?;
        if endpoint.type_name() == "stdio" {
            let why = "standard input and output are our own end of the wire already";
            return Err(Error::new(Status::Usage, why).on("could not connect to stdio"));
        }
        let runtime = runtime::current_thread()?;
        let status = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                done = within(self.talk.timeout, endpoint.text(), self.talk(&endpoint)) => done,
            }
        });
        // A read of standard input, or a name being looked up, must not keep the process.
        runtime.shutdown_background();
        status
    }

    async fn talk(&self, endpoint: &ClientEndpoint) -> Result<Status> {
        let mut console = Console::open(&self.talk)?;
        let connection = endpoint.connect().await?;
        debug!(
            "connected to {} from {}",
            connection.facts().peer,
            connection.facts().local
        );
        let terms = Terms::of(&self.talk, endpoint.text());
        match connection {
            Connection::Stream(stream) => console.converse(stream, &terms).await,
            Connection::Datagram(datagram) => {
                console
                    .converse_in_datagrams(datagram, &terms, Some(terms.quiet()))
                    .await
            }
        }
    }
}
