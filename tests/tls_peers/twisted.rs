//! Twisted's own `tls:` client and `ssl:` server at the other end, each started from its endpoint string.
//! Absent: half-closes, which it does not know.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Run;
use crate::harness::installed::given;
use crate::harness::place::{Place, WITH_CERTIFICATE};

/// Says the line that it is given as an argument after the endpoint, prints the answer and ends.
const CLIENT: &str = "
import sys
from twisted.internet import endpoints, error, protocol, reactor
class Ask(protocol.Protocol):
    def connectionMade(self):
        self.got = b''
        self.transport.write(sys.argv[2].encode() + b'\\n')
    def dataReceived(self, data):
        self.got += data
        if self.got.endswith(b'\\n'):
            print(self.got.decode(), end='', flush=True)
            self.transport.loseConnection()
    def connectionLost(self, reason):
        print(repr(reason.value), file=sys.stderr, flush=True)
        reactor.callWhenRunning(reactor.stop)
def failed(failure):
    print(failure, file=sys.stderr, flush=True)
    reactor.stop()
d = endpoints.clientFromString(reactor, sys.argv[1]).connect(protocol.Factory.forProtocol(Ask))
d.addErrback(failed)
reactor.run()
";

/// Answers each line, reversed and with the name in the client's certificate.
const SERVER: &str = "
import sys
from twisted.internet import endpoints, protocol, reactor, ssl
from twisted.protocols import basic
class Answer(basic.LineOnlyReceiver):
    delimiter = b'\\n'
    def lineReceived(self, line):
        peer = self.transport.getPeerCertificate()
        name = peer.get_subject().CN if peer else 'nobody'
        self.sendLine(line[::-1] + b' for ' + name.encode())
        self.transport.loseConnection()
if len(sys.argv) > 2:
    own = ssl.PrivateCertificate.loadPEM(open('server/key.pem').read() + open('server/cert.pem').read())
    authority = ssl.Certificate.loadPEM(open(sys.argv[2]).read())
    endpoint = endpoints.SSL4ServerEndpoint(reactor, 0, own.options(authority), interface='127.0.0.1')
else:
    endpoint = endpoints.serverFromString(reactor, sys.argv[1])
def listening(port):
    print(f'listening on tls:localhost:{port.getHost().port}', file=sys.stderr, flush=True)
endpoint.listen(protocol.Factory.forProtocol(Answer)).addCallback(listening)
reactor.run()
";

/// A Python with Twisted and what its TLS needs: the one that `NETKIT_PYTHON` names, the first of the path, or the
/// system's.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("NETKIT_PYTHON").map(PathBuf::from);
    let candidates = named
        .into_iter()
        .chain(["python3".into(), "/usr/bin/python3".into()]);
    let has_it = |program: &PathBuf| {
        let probe = Command::new(program)
            .args(["-c", "import twisted, OpenSSL, service_identity"])
            .output();
        probe.is_ok_and(|output| output.status.success())
    };
    given("Twisted with pyOpenSSL", candidates.into_iter().find(has_it))
}

/// A place where Twisted finds its authorities too: it takes a directory, of files that end in `.pem`.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("roots")).unwrap();
    place.write("roots/ca.pem", &place.read("ca/cert.pem"));
    place
}

fn run(place: &Place, python: &Path, script: &str, args: &[&str]) -> Run {
    place
        .program(python.to_str().unwrap(), ["-c", script])
        .args(args)
        .start()
}

#[test]
fn twisted_is_a_client() {
    let Some(python) = python() else { return };
    let place = place();
    for (fields, more) in [
        ("", ""),
        ("maxVersion=1.2", ""),
        (
            "clientCA=ca/cert.pem",
            ":certificate=client/cert.pem:privateKey=client/key.pem",
        ),
    ] {
        let (server, port) = place.serve(&["echo"], fields);
        let endpoint = format!("tls:localhost:{port}:trustRoots=roots{more}");
        let client = run(&place, &python, CLIENT, &[&endpoint, "hello"]);
        client
            .wait()
            .status(0)
            .wrote("hello\n")
            .mentions("ConnectionDone");
        server.stop().status(0);
    }
    // It refuses us where it should, and we it.
    let (_server, port) = place.serve(&["echo"], "");
    let endpoint = format!("tls:localhost:{port}");
    let client = run(&place, &python, CLIENT, &[&endpoint, "hello"]);
    client.wait().wrote("").mentions("certificate verify failed");
    let (server, port) = place.serve(&["echo"], "clientCA=ca/cert.pem");
    let endpoint = format!("tls:localhost:{port}:trustRoots=roots");
    let client = run(&place, &python, CLIENT, &[&endpoint, "hello"]);
    client.wait().wrote("").mentions("certificate required");
    server.await_stderr("certificate");
}

#[test]
fn twisted_is_a_server() {
    let Some(python) = python() else { return };
    let place = place();
    let own = "ssl:0:privateKey=server/key.pem:certKey=server/cert.pem:interface=127.0.0.1";
    let server = run(&place, &python, SERVER, &[own]);
    let port = crate::harness::place::port(&server.endpoint());
    for version in ["1.2", "1.3"] {
        let fields = format!("minVersion={version}:maxVersion={version}");
        place
            .connect(port, &fields)
            .input("hello\n")
            .run()
            .status(0)
            .wrote("olleh for nobody\n");
    }
    place
        .netkit(["connect", &format!("tls:localhost:{port}")])
        .input("hello\n")
        .run()
        .status(5)
        .wrote("");
}

#[test]
fn twisted_wants_a_certificate_of_our_client() {
    let Some(python) = python() else { return };
    let place = place();
    let server = run(&place, &python, SERVER, &["", "ca/cert.pem"]);
    let port = crate::harness::place::port(&server.endpoint());
    place
        .connect(port, WITH_CERTIFICATE)
        .input("hello\n")
        .run()
        .status(0)
        .wrote("olleh for me@a.example\n");
    place
        .connect(port, "")
        .input("hello\n")
        .run()
        .status(5)
        .wrote("")
        .mentions("client certificate");
}
