//! TLS from outside: the real binary against itself, openssl and curl, and against those who break off.
//! Absent: what a unit test can show. Where a peer is not installed its tests pass, unless NETKIT_INTEROP=required.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use netkit::cert::issue::{Authority, Leaf, Validity};
use netkit::cert::{Identity, KeyType, Name, Pin, files};
use netkit::endpoint::Role;
use netkit::transport::reading::{ClientEndpoint, Reading};

use crate::harness::eventually;

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with certificates and a data directory, and the programs that run in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env_remove("SSLKEYLOGFILE")
            .stdin(Stdio::null());
        command
    }

    fn netkit(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_netkit"))
    }

    fn serve(&self, args: &[&str]) -> Server {
        let mut command = self.netkit();
        command.arg("serve").args(args);
        Server::start(command)
    }

    /// `connect`, with `input` on standard input; status, output and errors.
    fn connect(&self, endpoint: &str, input: &str) -> (i32, String, String) {
        let mut command = self.netkit();
        command.arg("connect").arg(endpoint);
        outcome(command, input)
    }

    /// An authority as `ca.pem`, which issues what follows.
    fn authority(&self) -> Authority {
        let authority = Authority::new("test", &[], KeyType::EcdsaP256, Validity::days(10)).unwrap();
        self.write("ca.pem", &files::certificates_pem(&authority.identity().chain));
        authority
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        // As keys are kept; of others there is a warning.
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write_identity(&self, name: &str, identity: &Identity) {
        let text = files::key_pem(&identity.key) + &files::certificates_pem(&identity.chain);
        self.write(name, &text);
    }
}

fn leaf(names: &[&str]) -> Leaf {
    let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
    Leaf::server(names, Validity::days(5))
}

fn outcome(mut command: Command, input: &str) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output: Output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A program that says on standard error what it listens on; killed when dropped.
struct Server {
    child: Child,
    said: Vec<String>,
    lines: Receiver<String>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Server {
            child,
            said: Vec::new(),
            lines,
        }
    }

    /// The next line in which `text` stands.
    fn says(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("`{text}` was not said, but {:?}", self.said);
            };
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    fn endpoint(&mut self) -> String {
        let line = self.says("listening on ");
        line.split_once("listening on ").unwrap().1.to_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port(endpoint: &str) -> u16 {
    let spec = netkit::endpoint::Spec::parse(endpoint).unwrap();
    spec.fields[1].value.text.parse().unwrap()
}

/// Whether a peer is here; it has to be where interoperation is required.
fn have(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success());
    let required = std::env::var_os("NETKIT_INTEROP").is_some_and(|value| value == "required");
    assert!(found || !required, "{program} is required and not installed");
    found
}

/// A port that was free a moment ago, for peers that cannot pick one themselves.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn the_pair_with_no_flags_is_secure() {
    let place = Place::new();
    let mut server = place.serve(&["echo", "tls:0"]);
    let endpoint = server.endpoint();
    let port = port(&endpoint);
    assert_eq!(endpoint, format!("tls:localhost:{port}"));
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let (status, output, errors) = place.connect(&format!("tls:{host}:{port}"), "hello");
        assert_eq!((status, output.as_str()), (0, "hello"), "{host}: {errors}");
    }
    // The authority vouches for this machine's own names and for no other.
    let other = format!("tls:example.com:{port}:endpoint=[tcp:127.0.0.1:{port}]");
    let (status, output, errors) = place.connect(&other, "hello");
    assert_eq!((status, output.as_str()), (5, ""), "{errors}");
    assert!(
        errors.contains("issued by `CN=netkit local authority"),
        "{errors}"
    );
    // A machine that does not have it trusts nobody, or the pin that the server told.
    let elsewhere = Place::new();
    assert_eq!(elsewhere.connect(&endpoint, "hello").0, 5);
    let told = server.says("tls:HOST:");
    let pinned = told.split_once("tls:HOST:").unwrap().1;
    let (status, output, errors) = elsewhere.connect(&format!("tls:127.0.0.1:{pinned}"), "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
}

#[test]
fn without_a_data_directory_the_pin_is_the_way_in() {
    let place = Place::new();
    let mut command = place.netkit();
    command.args(["serve", "echo", "tls:0"]);
    command.env_remove("HOME").env_remove("XDG_DATA_HOME");
    let mut server = Server::start(command);
    let endpoint = server.endpoint();
    assert!(endpoint.contains(":pin=sha256/"), "{endpoint}");
    let (status, output, errors) = place.connect(&endpoint, "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
    assert!(!place.path("data").exists());
}

#[test]
fn both_ends_send_close_notify() {
    let place = Place::new();
    // A missing close_notify would be status 8, at either end.
    let mut command = place.netkit();
    command.args(["listen", "tls:0", "--send", "from the server", "--no-stdin"]);
    command.stdout(Stdio::piped());
    let mut listener = Server::start(command);
    let (status, output, errors) = place.connect(&listener.endpoint(), "from the client");
    assert_eq!((status, output.as_str()), (0, "from the server"), "{errors}");
    let mut got = String::new();
    listener
        .child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut got)
        .unwrap();
    assert_eq!(got, "from the client");
    assert_eq!(listener.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_peer_that_just_ends_is_lost_after_all_that_it_sent() {
    for (flags, status) in [(&[][..], 8), (&["--tolerate-truncation"], 0)] {
        let place = Place::new();
        let mut server = place.serve(&["echo", "tls:0"]);
        let mut command = place.netkit();
        command.arg("connect").arg(server.endpoint()).args(flags);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut client = command.spawn().unwrap();
        let sent = vec![b'x'; 100_000];
        client.stdin.as_mut().unwrap().write_all(&sent).unwrap();
        let mut got = vec![0; sent.len()];
        client.stdout.as_mut().unwrap().read_exact(&mut got).unwrap();
        assert_eq!(got, sent);
        // The kernel ends the connection for it, and nobody says close_notify.
        server.child.kill().unwrap();
        // Standard input stays open: what we had to say to a socket that is gone would reset the connection.
        let held = client.stdin.take();
        let mut said = String::new();
        client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(client.wait().unwrap().code(), Some(status), "{said}");
        drop(held);
        assert!(said.contains("without TLS close_notify"), "{said}");
    }
}

#[test]
fn each_refusal_has_its_words_and_status_5() {
    let place = Place::new();
    let authority = place.authority();
    let days = |from: i64, to: i64| {
        let now = time::OffsetDateTime::now_utc();
        Validity {
            not_before: now + time::Duration::days(from),
            not_after: now + time::Duration::days(to),
        }
    };
    for (file, names, validity) in [
        ("good.pem", "a.example", days(-1, 1)),
        ("old.pem", "a.example", days(-2, -1)),
        ("new.pem", "a.example", days(1, 2)),
    ] {
        let wanted = Leaf {
            validity,
            ..leaf(&[names])
        };
        place.write_identity(file, &authority.issue(&wanted).unwrap());
    }
    let alone = netkit::cert::issue::self_signed(&leaf(&["a.example"])).unwrap();
    place.write_identity("alone.pem", &alone);
    let wrong_pin = "pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (server, client, words) in [
        ("good.pem", "", "was issued by `CN=test`, which is not trusted"),
        ("alone.pem", "trustRoots=ca.pem", "is self-signed"),
        (
            "good.pem",
            "trustRoots=ca.pem:serverName=b.example",
            "is not for `b.example`, but for `a.example`",
        ),
        ("old.pem", "trustRoots=ca.pem", "expired on"),
        ("new.pem", "trustRoots=ca.pem", "is not valid before"),
        ("good.pem", wrong_pin, "is not the pinned one, but sha256/"),
        (
            "good.pem:maxVersion=1.2",
            "trustRoots=ca.pem:minVersion=1.3",
            "no version of TLS",
        ),
        (
            "good.pem:clientCA=ca.pem",
            "trustRoots=ca.pem",
            "wants a client certificate",
        ),
        (
            "good.pem:clientCA=ca.pem:maxVersion=1.2",
            "trustRoots=ca.pem",
            "wants a client certificate",
        ),
        (
            "good.pem:clientCA=ca.pem",
            "trustRoots=ca.pem:certificate=alone.pem",
            "refused the client certificate",
        ),
        (
            "good.pem:alpn=h2",
            "trustRoots=ca.pem:alpn=http/1.1",
            "none of the application protocols",
        ),
    ] {
        let mut server = place.serve(&["echo", &format!("tls:0:{server}")]);
        let port = port(&server.endpoint());
        let colon = if client.is_empty() { "" } else { ":" };
        let endpoint = format!("tls:a.example:{port}{colon}{client}:endpoint=[tcp:127.0.0.1:{port}]");
        let (status, output, errors) = place.connect(&endpoint, "hello");
        assert_eq!((status, output.as_str()), (5, ""), "{endpoint}: {errors}");
        assert!(errors.contains(words), "{endpoint}: {errors}");
    }
}

#[test]
fn peers_without_tls_are_told_apart() {
    let place = Place::new();
    let mut plain = place.serve(&["daytime", "tcp:0"]);
    let endpoint = plain.endpoint();
    let (status, _, errors) = place.connect(&endpoint.replace("tcp:", "tls:"), "");
    assert_eq!(status, 5, "{errors}");
    assert!(
        errors.contains("the server does not speak TLS; it said `"),
        "{errors}"
    );
    let mut server = place.serve(&["echo", "tls:0"]);
    let endpoint = server.endpoint();
    let mut http = TcpStream::connect(("127.0.0.1", port(&endpoint))).unwrap();
    http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    server.says("plain HTTP was sent to a TLS port");
    let silent = place.serve(&["hold", "tcp:0"]);
    let mut silent = silent;
    let endpoint = silent.endpoint().replace("tcp:", "tls:") + ":timeout=200ms";
    let (status, _, errors) = place.connect(&endpoint, "");
    assert_eq!(status, 4, "{errors}");
}

#[test]
fn a_proxy_header_comes_before_tls() {
    let place = Place::new();
    let mut server = place.serve(&["-v", "echo", "haproxy:tls:0"]);
    let endpoint = server.endpoint();
    let (status, output, errors) = place.connect(&endpoint, "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
    let inner = endpoint.strip_prefix("haproxy:").unwrap();
    assert_eq!(place.connect(inner, "hello").0, 5);
    server.says("no valid PROXY header");
    // And a TLS server that is told of no proxy names the mistake.
    let mut server = place.serve(&["echo", "tls:0"]);
    let (status, _, errors) = place.connect(&format!("haproxy:version=1:{}", server.endpoint()), "hello");
    assert_eq!(status, 5, "{errors}");
    server.says("a PROXY header came before TLS");
}

#[test]
fn the_stuck_and_the_confused_hold_nobody_up() {
    let place = Place::new();
    let mut server = place.serve(&["echo", "tls:0", "--handshake-timeout", "2s"]);
    let endpoint = server.endpoint();
    let open = || TcpStream::connect(("127.0.0.1", port(&endpoint))).unwrap();
    let stuck: Vec<_> = (0..40).map(|_| open()).collect();
    let confused: Vec<_> = (0..20)
        .map(|n: u8| {
            let mut stream = open();
            stream.write_all(&[n; 300]).unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    let (status, output, errors) = place.connect(&endpoint, "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for mut stream in stuck.into_iter().chain(confused) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It ends, in whatever way.
        let mut rest = Vec::new();
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn certificates_are_reloaded_and_broken_ones_are_not() {
    let place = Place::new();
    let make = || netkit::cert::issue::self_signed(&leaf(&["a.example"])).unwrap();
    let (one, two) = (make(), make());
    place.write_identity("live.pem", &one);
    let mut server = place.serve(&["echo", "tls:0:live.pem"]);
    let port = port(&server.endpoint());
    let reached = |identity: &Identity| {
        let pin = Pin::of(&identity.chain[0]).unwrap();
        place
            .connect(&format!("tls:127.0.0.1:{port}:pin={pin}"), "hello")
            .0
    };
    assert_eq!((reached(&one), reached(&two)), (0, 5));
    place.write_identity("live.pem", &two);
    server.signal("-HUP");
    server.says("reloaded the certificates");
    assert_eq!((reached(&one), reached(&two)), (5, 0));
    // Nobody needs to say so: a client who comes a second later finds it out.
    place.write_identity("live.pem", &one);
    eventually("the new certificate", || (reached(&one) == 0).then_some(()));
    assert_eq!((reached(&one), reached(&two)), (0, 5));
    server.says("have changed");
    // A key without its certificate, as a copy that is half done.
    place.write("live.pem", &files::key_pem(&one.key));
    server.signal("-HUP");
    server.says("kept the certificates");
    assert_eq!((reached(&one), reached(&two)), (0, 5));
}

#[test]
fn files_that_are_no_good_are_said_before_anything_is_served() {
    let place = Place::new();
    let authority = place.authority();
    let (one, two) = (
        authority.issue(&leaf(&["a"])).unwrap(),
        authority.issue(&leaf(&["a"])).unwrap(),
    );
    place.write("one.key", &files::key_pem(&one.key));
    place.write("two.crt", &files::certificates_pem(&two.chain));
    place.write("empty", "");
    for (fields, words) in [
        ("nowhere", "cannot read `nowhere`: no such file or directory"),
        ("empty", "`empty` is empty"),
        ("one.key", "`one.key` holds no certificate, but a PRIVATE KEY"),
        ("two.crt", "`two.crt` holds no private key, but a CERTIFICATE"),
        (
            "one.key:two.crt",
            "the private key does not belong to the certificate",
        ),
        ("clientCA=empty", "`empty` is empty"),
        ("certDir=.", "`"),
    ] {
        let mut command = place.netkit();
        command.args(["serve", "echo", &format!("tls:0:{fields}")]);
        let (status, _, errors) = outcome(command, "");
        assert_eq!(status, 7, "{fields}: {errors}");
        assert!(errors.contains(words), "{fields}: {errors}");
    }
    let (status, _, errors) = place.connect("tls:localhost:9:trustRoots=nowhere", "");
    assert_eq!(status, 2, "{errors}");
}

#[test]
fn plain_tcp_pays_nothing_for_tls() {
    let place = Place::new();
    let mut server = place.serve(&["echo", "tcp:0"]);
    // Whoever reads the roots waits for ever.
    let status = Command::new("mkfifo").arg(place.path("roots")).status();
    assert!(status.unwrap().success());
    let mut command = place.netkit();
    command.arg("connect").arg(server.endpoint());
    command.env("SSL_CERT_FILE", place.path("roots"));
    let (status, output, errors) = outcome(command, "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
    assert!(!place.path("data").exists());
}

#[test]
fn a_session_is_resumed_and_the_facts_tell() {
    let place = Place::new();
    let identity = netkit::cert::issue::self_signed(&leaf(&["a.example"])).unwrap();
    place.write_identity("both.pem", &identity);
    let mut server = place.serve(&["echo", "tls:0:both.pem:alpn=x,y"]);
    let pin = Pin::of(&identity.chain[0]).unwrap();
    for version in ["1.2", "1.3"] {
        let port = port(&if server.said.is_empty() {
            server.endpoint()
        } else {
            server.said[0].split_once("listening on ").unwrap().1.to_owned()
        });
        let text = format!("tls:127.0.0.1:{port}:pin={pin}:alpn=y:maxVersion={version}");
        let endpoint = ClientEndpoint::parse(OsStr::new(&text)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            for resumed in [false, true] {
                let netkit::connection::Connection::Stream(mut stream) = endpoint.connect().await.unwrap()
                else {
                    panic!("no stream");
                };
                let tls = stream.facts().tls.clone().unwrap();
                assert_eq!(tls.version, format!("TLS {version}"));
                assert_eq!(tls.resumed, resumed, "{version}");
                assert_eq!(tls.alpn.as_deref(), Some("y"));
                assert_eq!(tls.peer_certificates, [identity.chain[0].to_vec()]);
                assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
                // The ticket comes with the answer.
                stream.write_all(b"x").await.unwrap();
                stream.flush().await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), b'x');
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            }
        });
    }
}

const KEYS: [(&str, &[&str]); 4] = [
    ("rsa", &["rsa:2048"]),
    ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("ed25519", &["ed25519"]),
];

/// A certificate of openssl's own making, as `NAME.key` and `NAME.crt`.
fn openssl_identity(place: &Place, name: &str, algorithm: &[&str]) {
    let mut command = place.command("openssl");
    command.args([
        "req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=x", "-newkey",
    ]);
    command
        .args(algorithm)
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
    command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn openssl_connects_to_us_with_every_key_and_version() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    for (name, algorithm) in KEYS {
        openssl_identity(&place, name, algorithm);
        for version in ["1.2", "1.3"] {
            let fields = format!(
                "tls:0:{name}.key:{name}.crt:clientCA={name}.crt:minVersion={version}:maxVersion={version}"
            );
            let mut server = place.serve(&["echo", &fields]);
            let target = format!("127.0.0.1:{}", port(&server.endpoint()));
            let mut command = place.command("openssl");
            command.args(["s_client", "-quiet", "-verify_return_error", "-connect", &target]);
            command.args(["-CAfile", &format!("{name}.crt"), "-verify_ip", "127.0.0.1"]);
            command.args(["-cert", &format!("{name}.crt"), "-key", &format!("{name}.key")]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut client = Server::start(command);
            client
                .child
                .stdin
                .as_mut()
                .unwrap()
                .write_all(b"hello\n")
                .unwrap();
            let mut got = [0; 6];
            client
                .child
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut got)
                .unwrap();
            assert_eq!(&got, b"hello\n", "{name} {version}");
        }
    }
}

/// Waits until somebody listens.
fn await_port(port: u16) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn we_connect_to_openssl_with_every_key_and_version() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    for (name, algorithm) in KEYS {
        openssl_identity(&place, name, algorithm);
        for version in ["tls1_2", "tls1_3"] {
            let port = free_port();
            let mut command = place.command("openssl");
            command.args([
                "s_server",
                "-quiet",
                "-rev",
                "-Verify",
                "1",
                "-verify_return_error",
            ]);
            command.args([&format!("-{version}"), "-accept", &format!("127.0.0.1:{port}")]);
            command.args(["-cert", &format!("{name}.crt"), "-key", &format!("{name}.key")]);
            command.args(["-CAfile", &format!("{name}.crt")]);
            let _server = Server::start(command);
            await_port(port);
            let ours = format!("tls:localhost:{port}:trustRoots={name}.crt");
            let us = format!("{ours}:certificate={name}.crt:privateKey={name}.key");
            let (status, output, errors) = place.connect(&us, "hello\n");
            assert_eq!(
                (status, output.as_str()),
                (0, "olleh\n"),
                "{name} {version}: {errors}"
            );
            let (status, _, errors) = place.connect(&ours, "hello\n");
            assert_eq!(status, 5, "{name} {version}: {errors}");
        }
    }
}

#[test]
fn openssl_speaks_tls_below_a_unix_socket() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    openssl_identity(&place, "us", KEYS[1].1);
    let mut command = place.command("openssl");
    command.args([
        "s_server", "-quiet", "-rev", "-unix", "s", "-cert", "us.crt", "-key", "us.key",
    ]);
    let _server = Server::start(command);
    eventually("the server", || UnixStream::connect(place.path("s")).ok());
    let (status, output, errors) =
        place.connect("tls:localhost:1:trustRoots=us.crt:endpoint=[unix:s]", "hello\n");
    assert_eq!((status, output.as_str()), (0, "olleh\n"), "{errors}");
}

#[test]
fn openssl_agrees_about_what_we_issue() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    for (name, key_type) in KeyType::ALL {
        if matches!(key_type, KeyType::Rsa3072 | KeyType::Rsa4096) {
            // Slow without optimisation, and no other code.
            continue;
        }
        let authority = Authority::new("test", &[], key_type, Validity::days(10)).unwrap();
        place.write("ca.pem", &files::certificates_pem(&authority.identity().chain));
        let wanted = Leaf {
            key_type,
            ..leaf(&["a.example", "*.b.example", "::1", "me@a.example", "urn:x:y"])
        };
        let identity = authority.issue(&wanted).unwrap();
        place.write("leaf.pem", &files::certificates_pem(&identity.chain));
        place.write("leaf.key", &files::key_pem(&identity.key));
        let ok = |args: &[&str]| {
            let output = place.command("openssl").args(args).output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{name} {args:?}: {said}");
            said
        };
        ok(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "x.b.example",
            "-CAfile",
            "ca.pem",
            "leaf.pem",
        ]);
        let public = ok(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
        assert_eq!(ok(&["pkey", "-in", "leaf.key", "-pubout"]), public, "{name}");
    }
}

#[test]
fn curl_trusts_the_local_authority_for_this_machine_alone() {
    if !have("curl") {
        return;
    }
    let place = Place::new();
    let answer = "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello";
    let curl = |url: &str, server: &mut Server| {
        let port = port(&server.endpoint());
        let mut command = place.command("curl");
        command.args(["-sS", "--max-time", "20", "--cacert"]);
        command.arg(place.path("data/netkit/authority/cert.pem"));
        command.args(["--connect-to", &format!("::127.0.0.1:{port}")]);
        command.arg(url.replace("PORT", &port.to_string()));
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let listen = || {
        let mut command = place.netkit();
        command.args(["listen", "tls:0", "--no-stdin", "--send", answer]);
        command.stdout(Stdio::null());
        Server::start(command)
    };
    assert_eq!(
        curl("https://localhost:PORT/", &mut listen()),
        (Some(0), "hello".to_owned())
    );
    // 60: the certificate is not taken.
    assert_eq!(curl("https://example.com:PORT/", &mut listen()).0, Some(60));
}

#[test]
fn the_verbs_make_pairs_that_openssl_and_we_take() {
    let place = Place::new();
    let cert = |args: &[&str], status: i32| {
        let mut command = place.netkit();
        command.arg("cert").args(args);
        let (got, output, errors) = outcome(command, "");
        assert_eq!(got, status, "{args:?}: {errors}");
        output + &errors
    };
    place.write("pass", "open sesame\n");
    cert(&["ca", "--out", "ca", "--permit", "example.com"], 0);
    let issue = |out: &str, more: &[&str]| {
        cert(&[&["issue", "--ca", "ca", "--out", out][..], more].concat(), 0);
    };
    issue("good", &["--passphrase-file", "pass", "www.example.com"]);
    let beyond = cert(&["issue", "--ca", "ca", "--out", "other", "example.org"], 0);
    assert!(beyond.contains("may not vouch for `example.org`"), "{beyond}");
    let client = ["--client", "--combined", "me.example.com"];
    let beyond = cert(
        &[&["issue", "--ca", "ca", "--out", "client"][..], &client].concat(),
        0,
    );
    assert!(beyond.contains("may not vouch for clients"), "{beyond}");
    issue(
        "old",
        &[
            "--not-before",
            "2020-01-01",
            "--not-after",
            "2021-01-01",
            "www.example.com",
        ],
    );
    assert!(
        cert(&["issue", "--ca", "ca", "--out", "good", "x.example.com"], 1).contains("--force overwrites it")
    );
    assert!(cert(&["issue", "--ca", "good", "x.example.com"], 2).contains("could not use the authority"));
    cert(&["self-signed", "a b"], 2);
    if have("openssl") {
        let verify = |leaf: &str| {
            let mut command = place.command("openssl");
            command.args(["verify", "-x509_strict", "-CAfile", "ca/cert.pem", leaf]);
            outcome(command, "").0
        };
        assert_eq!((verify("good/cert.pem"), verify("other/cert.pem")), (0, 2));
        let mut command = place.command("openssl");
        command.args(["pkey", "-noout", "-passin", "file:pass", "-in", "good/key.pem"]);
        assert_eq!(outcome(command, "").0, 0);
        let mut command = place.command("openssl");
        command.args([
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "r.key", "-out", "r.csr",
        ]);
        command.args(["-subj", "/CN=r", "-addext", "subjectAltName=DNS:r.example.com"]);
        assert_eq!(outcome(command, "").0, 0);
        issue("asked", &["--csr", "r.csr"]);
        assert_eq!(verify("asked/cert.pem"), 0);
        assert!(cert(&["show", "asked/cert.pem"], 0).contains("r.example.com"));
    }
    let mut server = place.serve(&[
        "echo",
        "tls:0:good/key.pem:good/cert.pem:passphraseFile=pass:clientCA=ca/cert.pem",
    ]);
    let us = server.endpoint() + ":trustRoots=ca/cert.pem:certificate=client/combined.pem";
    let (status, output, errors) = place.connect(&us, "hello");
    assert_eq!((status, output.as_str()), (0, "hello"), "{errors}");
    // The doctor's report stands on standard output whether the patient is well or not.
    assert!(cert(&["show", &us], 0).contains("verified     yes"));
    let mut ill = place.serve(&["echo", "tls:0:old/key.pem:old/cert.pem"]);
    let ill = ill.endpoint() + ":trustRoots=ca/cert.pem";
    let report = cert(&["show", "--json", &ill], 5);
    assert!(report.contains("\"verified\": false"), "{report}");
    assert!(report.contains("expired on 2021-01-01"), "{report}");
    assert!(cert(&["show", "--pem", "old/cert.pem"], 0).starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(cert(&["trust"], 0).contains("netkit/authority/cert.pem"));
}

#[test]
fn strings_of_tls_and_ssl_are_read_as_the_vectors_say() {
    let all: Vec<serde_json::Value> = serde_json::from_str(include_str!("vectors/parse.json")).unwrap();
    let mut judged = 0;
    for vector in &all {
        let input = vector["input"].as_str().unwrap();
        let role = match vector["role"].as_str() {
            Some("client") => Role::Client,
            Some("server") => Role::Server,
            _ => continue,
        };
        if !(input.starts_with("tls:") || input.starts_with("ssl:")) || vector["stance"] == "either" {
            continue;
        }
        let expected = match vector["stance"].as_str() {
            Some("differ") => &vector["netkit"],
            _ => vector,
        };
        judged += 1;
        match Reading::parse(OsStr::new(input), role) {
            Ok(_) => assert_eq!(expected["ok"], true, "{input}"),
            Err(refused) => {
                // A time may have a fraction and a unit, so what is wrong is not that it is no whole number.
                // A string for the other end of the wire is called that, whatever the first thing is that tells.
                let code = match refused.kind.code() {
                    "not-a-duration" => "not-an-integer",
                    "wrong-role" => expected["why"].as_str().unwrap(),
                    code => code,
                };
                assert_eq!(expected["ok"], false, "{input}: {refused}");
                assert_eq!(expected["why"], code, "{input}");
            }
        }
    }
    assert!(judged >= 17, "{judged}");
}

#[test]
fn fields_that_make_no_sense_together_are_refused() {
    for (input, role, code) in [
        ("tls:h:1:insecure=yes:pin=sha256/x", Role::Client, "conflict"),
        ("tls:h:1:insecure=yes:trustRoots=x", Role::Client, "conflict"),
        (
            "tls:h:1:trustRoots=x:pin=sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            Role::Client,
            "conflict",
        ),
        ("tls:h:1:pin=sha256/x", Role::Client, "not-a-pin"),
        ("tls:h:1:minVersion=1.3:maxVersion=1.2", Role::Client, "conflict"),
        ("tls:h:1:minVersion=1.1", Role::Client, "not-a-choice"),
        ("tls:127.1:1", Role::Client, "bad-hostname"),
        (
            "tls:h:1:endpoint=[tcp:x:1]:bindAddress=x",
            Role::Client,
            "conflict",
        ),
        ("tls:h:1:endpoint=[tcp:1]", Role::Client, "wrong-role"),
        ("tls:h:1:passphraseFile=x", Role::Client, "missing-argument"),
        ("tls:1:clientAuth=optional", Role::Server, "missing-argument"),
        ("tls:1:extraCertChain=x", Role::Server, "missing-argument"),
        ("tls:1:passphraseFile=x", Role::Server, "missing-argument"),
        ("ssl:1:sslmethod=SSLv3_METHOD", Role::Server, "unsupported"),
        ("ssl:1:sslmethod=TLSv1_1_METHOD", Role::Server, "unsupported"),
        ("ssl:1:sslmethod=TLS", Role::Server, "not-a-choice"),
    ] {
        let refused = Reading::parse(OsStr::new(input), role).unwrap_err();
        assert_eq!(refused.kind.code(), code, "{input}: {refused}");
    }
    let deep = (0..40).fold("tcp:h:1".to_owned(), |inner, _| {
        format!("tls:h:1:endpoint=[{inner}]")
    });
    let refused = Reading::parse(OsStr::new(&deep), Role::Client).unwrap_err();
    assert_eq!(refused.kind.code(), "too-deep");
}
