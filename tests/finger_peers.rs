//! finger at the other end of the wire: Debian's client, Twisted in both roles, nc, and web servers that others wrote.
//! Absent: the programs themselves. A test of one that is not installed is skipped with a word on standard error, and
//! fails where `NETKIT_INTEROP=required` says that it has to be there.

use std::path::PathBuf;
use std::process::Command;
#[cfg(feature = "tls")]
use std::process::Stdio;

use crate::harness::installed::{given, given_to_root, installed};
use crate::harness::{Run, address, netkit, program, serve};

/// A Python that can import this: the one that `NETKIT_PYTHON` names, the first of the path, or the system's.
fn python(module: &str) -> Option<PathBuf> {
    let named = std::env::var("NETKIT_PYTHON").unwrap_or_default();
    let found = [&named, "python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| {
            let probe = Command::new(python)
                .args(["-c", &format!("import {module}")])
                .output();
            probe.is_ok_and(|output| output.status.success())
        });
    given(module, found.map(PathBuf::from))
}

const USERS: [&str; 4] = ["--user-entry", "alice=Down the hole", "--user-entry", "bob=away"];

/// A server of ours on the port that the others always ask, on an address of each `test`'s own; `None`: we may not
/// take that port, and the test is skipped.
fn on_port_79(test: u8, args: &[&str]) -> Option<(Run, String)> {
    // 127.0.0.0/8 is all ours; the number of this process keeps two runs apart.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = format!("127.{test}.{high}.{}", low.max(1));
    given_to_root("port 79", std::net::TcpListener::bind((host.as_str(), 79)).ok())?;
    let endpoint = format!("tcp:79:{host}");
    let server = serve(["finger", &endpoint].iter().chain(args));
    Some((server, host))
}

#[test]
fn debians_client_asks_us() {
    let Some(client) = installed(&["finger"]) else {
        return;
    };
    let Some((server, host)) = on_port_79(79, &USERS) else {
        return;
    };
    for (args, said) in [
        (vec![format!("alice@{host}")], vec!["Down the hole"]),
        (vec![format!("@{host}")], vec!["alice", "bob"]),
        (vec!["-l".into(), format!("bob@{host}")], vec!["away"]),
        (vec![format!("carol@{host}")], vec!["No such user"]),
        (
            vec![format!("alice@elsewhere@{host}")],
            vec!["This server asks no other server"],
        ),
    ] {
        let asked = program(client, &args).run().status(0).text();
        // Where it writes no terminal, it keeps the CR.
        let lines: Vec<&str> = asked.lines().map(|line| line.trim_end_matches('\r')).collect();
        for line in said {
            assert!(lines.contains(&line), "{args:?}: {asked}");
        }
    }
    server.stop().status(0);
}

#[test]
fn what_debians_client_sends_for_a_long_answer_is_understood() {
    let Some(client) = installed(&["finger"]) else {
        return;
    };
    let Some((server, host)) = on_port_79(80, &["--system"]) else {
        return;
    };
    let short = program(client, [format!("root@{host}")]).run().status(0).text();
    assert!(
        short.contains("Login: root") && !short.contains("Shell: "),
        "{short}"
    );
    let long = program(client, ["-l".into(), format!("root@{host}")])
        .run()
        .status(0)
        .text();
    assert!(long.contains("Shell: "), "{long}");
    server.stop().status(0);
}

#[test]
fn a_local_finger_is_a_back_end() {
    if installed(&["finger"]).is_none() {
        return;
    }
    let server = serve(["finger", "tcp:0:127.0.0.1", "--command", "finger"]);
    let ask = |user: &str| {
        netkit(["finger", "--endpoint", &server.endpoint(), "--", user])
            .run()
            .status(0)
            .text()
    };
    assert!(ask("root").starts_with("Login: root"), "{}", ask("root"));
    assert_eq!(ask("nobody-of-that-name"), "No such user\n");
    assert_eq!(ask("-l"), "No such user\n");
}

const TWISTED_SERVER: &str = "
from twisted.internet import endpoints, reactor
from twisted.internet.protocol import Factory
from twisted.protocols.finger import Finger
class Tell(Finger):
    def getUser(self, slash_w, user):
        self.writeResponse('user %s long %d' % (user.decode(), slash_w))
    def forwardQuery(self, slash_w, user, host):
        self.writeResponse('forward %s' % user.decode())
    def getDomain(self, slash_w):
        self.writeResponse('domain')
    def writeResponse(self, text):
        self.transport.write(text.encode() + b'\\n')
        self.transport.loseConnection()
for name, protocol in (('plain', Finger), ('tell', Tell)):
    d = endpoints.serverFromString(reactor, 'tcp:0:interface=127.0.0.1').listen(Factory.forProtocol(protocol))
    d.addCallback(lambda port: print(f'listening on tcp:127.0.0.1:{port.getHost().port}', flush=True))
reactor.run()
";

#[test]
fn we_ask_twisteds_server() {
    let Some(python) = python("twisted") else { return };
    let server = program(python.to_str().unwrap(), ["-c", TWISTED_SERVER]).start();
    let endpoints = server.stdout.until(
        |said| said.iter().filter(|byte| **byte == b'\n').count() == 2,
        || String::from_utf8_lossy(&server.stderr.so_far()).into_owned(),
    );
    let endpoints = String::from_utf8(endpoints).unwrap();
    let [plain, tell] = [0, 1].map(|nth| {
        let line = endpoints.lines().nth(nth).unwrap();
        address(line.strip_prefix("listening on ").unwrap())
    });
    for (target, args, said) in [
        (format!("alice@{plain}"), &[][..], "Login: alice\nNo such user\n"),
        (format!("@{plain}"), &[], "Finger online list denied\n"),
        (
            format!("alice@host@{plain}"),
            &[],
            "Finger forwarding service denied\n",
        ),
        (format!("alice@{tell}"), &[], "user alice long 0\n"),
        (format!("alice@{tell}"), &["-l"], "user alice long 1\n"),
        (format!("@{tell}"), &[], "domain\n"),
    ] {
        netkit(["finger", &target]).args(args).run().status(0).wrote(said);
    }
    // It is a server that queries can be passed on to, too.
    let port = plain.port().to_string();
    let ours = serve(["finger", "tcp:0:127.0.0.1", "--forward", "--forward-port", &port]);
    netkit(["finger", "--endpoint", &ours.endpoint(), "alice@localhost"])
        .run()
        .status(0)
        .wrote("Login: alice\nNo such user\n");
}

const TWISTED_CLIENT: &str = "
import sys
from twisted.internet import endpoints, protocol, reactor
class Ask(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(sys.argv[2].encode() + b'\\r\\n')
    def dataReceived(self, data):
        sys.stdout.write(data.decode())
    def connectionLost(self, reason):
        reactor.stop()
client = endpoints.clientFromString(reactor, sys.argv[1].replace('tcp:127.0.0.1', 'tcp:host=127.0.0.1'))
endpoints.connectProtocol(client, Ask())
reactor.run()
";

#[test]
fn twisted_asks_us() {
    let Some(python) = python("twisted") else { return };
    let server = serve(["finger", "tcp:0:127.0.0.1"].iter().chain(&USERS));
    for (query, said) in [
        ("alice", "Down the hole\r\n"),
        ("/W bob", "away\r\n"),
        ("", "alice\r\nbob\r\n"),
        ("a@b", "This server asks no other server\r\n"),
    ] {
        let args = ["-c", TWISTED_CLIENT, &server.endpoint(), query];
        program(python.to_str().unwrap(), args)
            .run()
            .status(0)
            .wrote(said);
    }
}

#[test]
fn nc_asks_us_with_and_without_an_end() {
    let Some(nc) = installed(&["nc"]) else { return };
    let server = serve(["finger", "tcp:0:127.0.0.1"].iter().chain(&USERS));
    let port = server.address().port().to_string();
    for query in ["alice\r\n", "alice\n", "/W alice\n", "alice"] {
        program(nc, ["-N", "127.0.0.1", &port])
            .input(query)
            .run()
            .status(0)
            .wrote("Down the hole\r\n");
    }
}

#[test]
fn pythons_web_server_is_a_back_end() {
    let Some(python) = python("http.server") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("alice"), "from\nPython\n").unwrap();
    let path = directory.path().to_str().unwrap();
    let args = [
        "-u",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        path,
        "0",
    ];
    let web = program(python.to_str().unwrap(), args).start();
    // Serving HTTP on 127.0.0.1 port 40000 (http://127.0.0.1:40000/) ...
    let said = String::from_utf8(web.await_stdout("/)")).unwrap();
    let url = said.split_once('(').unwrap().1.split_once(')').unwrap().0;
    let server = serve(["finger", "tcp:0:127.0.0.1", "--url", url]);
    let ask = |user: &str| {
        netkit(["finger", "--endpoint", &server.endpoint(), user])
            .run()
            .status(0)
            .text()
    };
    assert_eq!(ask("alice"), "from\nPython\n");
    assert_eq!(ask("bob"), "No such user\n");
}

#[cfg(feature = "tls")]
#[test]
fn a_web_server_of_openssl_is_verified() {
    let Some(openssl) = installed(&["openssl"]) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let in_there = |name: &str| directory.path().join(name);
    netkit(["cert", "self-signed", "localhost", "--out"])
        .arg(directory.path())
        .run()
        .status(0);
    std::fs::write(in_there("alice"), "over TLS\n").unwrap();
    let mut web = Command::new(openssl)
        .args([
            "s_server",
            "-WWW",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
        ])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = crate::harness::capture::Capture::of(web.stdout.take().unwrap());
    let line = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).into_owned();
        said.lines()
            .find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned))
    };
    let whole = said.until(
        |said| line(said).is_some() && said.ends_with(b"\n"),
        || "openssl listens not".into(),
    );
    let url = format!("https://localhost:{}/", line(&whole).unwrap());
    let serve = |roots: &str| {
        let run = netkit(["serve", "finger", "tcp:0:127.0.0.1", "--url", &url])
            .env("SSL_CERT_FILE", in_there(roots))
            .env("SSL_CERT_DIR", in_there("none"))
            .env("XDG_DATA_HOME", in_there("data"))
            .stdin(Stdio::null())
            .start();
        run.endpoint();
        run
    };
    let ask = |server: &Run| {
        netkit(["finger", "--endpoint", &server.endpoint(), "alice"])
            .run()
            .status(0)
            .text()
    };
    assert_eq!(ask(&serve("cert.pem")), "over TLS\n");
    // The key alone is no root.
    let stranger = serve("alice");
    assert_eq!(ask(&stranger), "Internal error in server\n");
    stranger.await_stderr("could not connect to tls:localhost:");
    web.kill().unwrap();
    web.wait().unwrap();
}
