//! A directory with an authority and what it issued, made by the verbs, and the programs that run in it.
//! Absent: keys of anybody else, and what the programs say to each other.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Netkit, Outcome, Run, netkit, program};

pub(crate) struct Place(TempDir);

impl Place {
    /// Empty, with a data directory of its own that is not there yet.
    pub(crate) fn empty() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    /// With the authority `ca`, `server` for this machine, and `client` for somebody who is also in `client.pem`.
    pub(crate) fn new() -> Self {
        let place = Place::empty();
        place.cert(["ca", "--out", "ca"]);
        place.cert(["issue", "--ca", "ca", "--out", "server", "localhost", "127.0.0.1"]);
        place.cert([
            "issue",
            "--ca",
            "ca",
            "--out",
            "client",
            "--client",
            "me@a.example",
        ]);
        let whole = place.read("client/key.pem") + &place.read("client/cert.pem");
        place.write("client.pem", &whole);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn here(&self, command: Netkit) -> Netkit {
        command.directory(self.0.path())
    }

    pub(crate) fn netkit<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Netkit {
        self.here(netkit(args)).env("XDG_DATA_HOME", self.path("data"))
    }

    pub(crate) fn program<S: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = S>) -> Netkit {
        self.here(program(name, args))
    }

    /// `cert ARGS...`, which is to succeed.
    #[track_caller]
    pub(crate) fn cert<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.netkit(["cert"]).args(args).run().status(0)
    }

    /// `openssl ARGS...`, which is to succeed; what it writes.
    #[track_caller]
    pub(crate) fn openssl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.program("openssl", [""; 0]).args(args).run().status(0).text()
    }

    /// `serve ARGS...` with the certificate for this machine, at the port that comes with it. `more` are further
    /// fields, such as `clientCA=ca/cert.pem`.
    pub(crate) fn serve(&self, args: &[&str], more: &str) -> (Run, u16) {
        let mut endpoint =
            "tls:0:privateKey=server/key.pem:certKey=server/cert.pem:interface=127.0.0.1".to_owned();
        if !more.is_empty() {
            endpoint = format!("{endpoint}:{more}");
        }
        self.serve_on(args, &endpoint)
    }

    /// `serve ARGS... ENDPOINT`, and the port that it listens on.
    pub(crate) fn serve_on(&self, args: &[&str], endpoint: &str) -> (Run, u16) {
        let server = self.netkit(["serve"]).args(args).args([endpoint]).start();
        let port = port(&server.endpoint());
        (server, port)
    }

    /// Our client of `localhost` at this port, who trusts `ca`.
    pub(crate) fn connect(&self, port: u16, more: &str) -> Netkit {
        let mut endpoint = format!("tls:localhost:{port}:trustRoots=ca/cert.pem");
        if !more.is_empty() {
            endpoint = format!("{endpoint}:{more}");
        }
        self.netkit(["connect", &endpoint])
    }
}

/// The fields with which our client shows its certificate.
pub(crate) const WITH_CERTIFICATE: &str = "certificate=client/cert.pem:privateKey=client/key.pem";

/// The port in a client string of TCP or TLS.
pub(crate) fn port(endpoint: &str) -> u16 {
    let spec = netkit::endpoint::Spec::parse(endpoint).unwrap();
    let mut places = spec.fields.iter().filter(|field| field.name.is_none());
    places.nth(1).unwrap().value.text.parse().unwrap()
}
