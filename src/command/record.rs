//! `--record`: the file that connections are recorded in, from its making to the status that it means.
//! Absent: what is in it.

use std::path::Path;

use netkit::connection::Connection;
use netkit::connection::tap::Tap;
use netkit::connection::tap::record::Recording;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};

/// The recording, where one is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Option<Recording>);

impl Record {
    /// Makes the file.
    pub(super) fn to(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Record::default());
        };
        if path == Path::new("-") {
            let why = "standard output has another name here";
            return Err(Error::new(Status::Usage, why)
                .on("could not record to `-`")
                .help("/dev/stdout is standard output, and ./- a file"));
        }
        Recording::create(path).map(|recording| Record(Some(recording)))
    }

    /// For a server, which makes the taps itself.
    pub(super) fn recording(&self) -> Option<Recording> {
        self.0.clone()
    }

    /// The tap of a connection that is ours in this role.
    pub(super) fn tap(&self, connection: &Connection, role: Role) -> Option<Box<dyn Tap>> {
        let recording = self.0.as_ref()?;
        Some(match connection {
            Connection::Stream(stream) => recording.stream(stream.facts(), role),
            Connection::Datagram(datagram) => recording.datagrams(datagram.facts(), role),
        })
    }

    /// Waits until all is in the file. If it is not, what went well did not; what else happened counts for more.
    pub(super) fn finish(&self, done: Result<Status>) -> Result<Status> {
        let Some(recording) = &self.0 else { return done };
        let finished = recording.finish();
        match done {
            Ok(Status::Done) => finished.map(|()| Status::Done),
            done => done,
        }
    }
}
