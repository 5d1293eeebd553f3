//! What is said where TLS fails: the words, the status, and which certificate it was; and the doctor of `cert show`.
//! Absent: handshakes that succeed. Chains that nobody should make are made by openssl; without it they are not tested,
//! unless NETKIT_INTEROP=required.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use netkit::cert::issue::{Authority, Leaf, Validity, self_signed};
use netkit::cert::{Identity, KeyType, Passphrases, Pin, files};
use serde_json::Value;

use crate::harness::installed::installed;
use crate::harness::peer;
use crate::harness::{Outcome, Run, netkit, program};

/// A directory of keys and certificates, and no data directory but its own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn write_identity(&self, name: &str, identity: &Identity) {
        let chain = files::certificates_pem(&identity.chain);
        self.write(name, &(files::key_pem(&identity.key) + &chain));
    }

    /// `DIR/` stands for the directory, in fields and arguments.
    fn text(&self, text: &str) -> String {
        text.replace("DIR/", &format!("{}/", self.0.path().display()))
    }

    fn netkit(&self, args: &[&str]) -> crate::harness::Netkit {
        let args: Vec<String> = args.iter().map(|arg| self.text(arg)).collect();
        netkit(args).env("XDG_DATA_HOME", self.at("data"))
    }

    fn serve(&self, fields: &str) -> (Run, u16) {
        let run = self.netkit(&["serve", "echo", &format!("tls:0{fields}")]).start();
        let endpoint = run.endpoint();
        let spec = netkit::endpoint::Spec::parse(&endpoint).unwrap();
        let port = spec.fields[1].value.text.parse().unwrap();
        (run, port)
    }

    fn connect(&self, port: u16, fields: &str) -> Outcome {
        let endpoint = format!("tls:a.example:{port}:endpoint=[tcp:127.0.0.1:{port}]{fields}");
        self.netkit(&["connect", &endpoint]).run()
    }

    fn show(&self, port: u16, fields: &str) -> Value {
        let endpoint = format!("tls:a.example:{port}:endpoint=[tcp:127.0.0.1:{port}]{fields}");
        let outcome = self.netkit(&["cert", "show", "--json", &endpoint]).run();
        let report: Value = serde_json::from_slice(&outcome.stdout)
            .unwrap_or_else(|_| panic!("{endpoint}: {}", outcome.stderr));
        let status = if report["reason"].is_null() { 0 } else { 5 };
        outcome.status(status);
        report
    }
}

fn days(from: i64, to: i64) -> Validity {
    let now = time::OffsetDateTime::now_utc();
    Validity {
        not_before: now + time::Duration::days(from),
        not_after: now + time::Duration::days(to),
    }
}

fn leaf(name: &str, validity: Validity) -> Leaf {
    Leaf::server([name.parse().unwrap()], validity)
}

/// An authority, what it issued, and somebody whom nobody knows.
fn people() -> (Place, Authority) {
    let place = Place::new();
    let authority = Authority::new("test", &[], KeyType::EcdsaP256, days(-9, 9)).unwrap();
    place.write("ca.pem", &files::certificates_pem(&authority.identity().chain));
    for (file, validity) in [
        ("good.pem", days(-1, 1)),
        ("old.pem", days(-2, -1)),
        ("new.pem", days(1, 2)),
    ] {
        place.write_identity(file, &authority.issue(&leaf("a.example", validity)).unwrap());
        let client = Leaf {
            client: true,
            ..leaf("me.example", validity)
        };
        place.write_identity(&format!("client-{file}"), &authority.issue(&client).unwrap());
    }
    place.write_identity(
        "alone.pem",
        &self_signed(&leaf("a.example", days(-1, 1))).unwrap(),
    );
    let client = Leaf {
        client: true,
        ..leaf("me.example", days(-1, 1))
    };
    place.write_identity("client-alone.pem", &self_signed(&client).unwrap());
    (place, authority)
}

#[test]
fn each_failure_of_a_handshake_is_named_at_both_ends() {
    let (place, _) = people();
    let ca = ":trustRoots=DIR/ca.pem";
    let nobody = ":pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (server, client, us, help, them) in [
        (
            "good.pem",
            String::new(),
            "the certificate of `a.example` was issued by `CN=test`, which is not trusted, nor was its own certificate sent",
            "help: trustRoots=FILE trusts the certificates in a file; pin=sha256/",
            "refused our certificate: nobody whom it trusts vouches for it",
        ),
        (
            "alone.pem",
            ca.to_owned(),
            "the certificate of `a.example` is self-signed, and not among those trusted",
            "help: trustRoots=FILE",
            "refused our certificate: ",
        ),
        (
            "good.pem",
            format!("{ca}:serverName=b.example"),
            "the certificate is not for `b.example`, but for `a.example`",
            "help: serverName=a.example verifies that name instead",
            "refused our certificate: it is bad, or for another name",
        ),
        (
            "old.pem",
            ca.to_owned(),
            "the certificate of `a.example` expired on ",
            "help: pin=sha256/",
            "refused our certificate: it has expired, or is not valid yet",
        ),
        (
            "new.pem",
            ca.to_owned(),
            "the certificate of `a.example` is not valid before ",
            "help: is the clock of this machine right?",
            "refused our certificate: ",
        ),
        (
            "good.pem",
            nobody.to_owned(),
            "the key of the server is not the pinned one, but sha256/",
            "",
            "the client refused us (access denied)",
        ),
        (
            "good.pem:maxVersion=1.2",
            format!("{ca}:minVersion=1.3"),
            "the server speaks no version of TLS that is allowed here",
            "help: minVersion= and maxVersion= say which are",
            "the client speaks no version of TLS that is allowed here",
        ),
        (
            "good.pem:alpn=h2",
            format!("{ca}:alpn=http/1.1"),
            "the server speaks none of the application protocols in alpn=",
            "",
            "the client speaks none of the application protocols in alpn=",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem",
            ca.to_owned(),
            "wants a client certificate",
            "help: certificate=FILE names one",
            "the client sent no certificate, and clientCA= wants one",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem:maxVersion=1.2",
            ca.to_owned(),
            "the server wants a client certificate",
            "help: certificate=FILE names one",
            "the client sent no certificate, and clientCA= wants one",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem",
            format!("{ca}:certificate=DIR/client-alone.pem"),
            "refused the client certificate: ",
            "",
            "is refused: nobody in clientCA= vouches for it",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem",
            format!("{ca}:certificate=DIR/client-old.pem"),
            "refused the client certificate: it has expired, or is not valid yet",
            "",
            "is refused: it expired on ",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem",
            format!("{ca}:certificate=DIR/client-new.pem"),
            "refused the client certificate: ",
            "",
            "is refused: it is not valid before ",
        ),
        (
            "good.pem:clientCA=DIR/ca.pem",
            format!("{ca}:certificate=DIR/good.pem"),
            "refused the client certificate: ",
            "",
            "is refused: it is not for clients",
        ),
    ] {
        let (run, port) = place.serve(&format!(":DIR/{server}"));
        let outcome = place.connect(port, &client).status(5).mentions(us).mentions(help);
        assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{}", outcome.stderr);
        run.await_stderr(them);
    }
}

#[test]
fn a_root_of_version_1_is_refused_for_that_and_passed_over_among_others() {
    let (place, _) = people();
    place.write(
        "v1.key",
        &files::key_pem(&self_signed(&leaf("v1.example", days(-1, 1))).unwrap().key),
    );
    let key = place.text("DIR/v1.key");
    let (request, root) = (place.text("DIR/v1.csr"), place.text("DIR/v1.pem"));
    if installed(&["openssl"]).is_none() {
        return;
    }
    let openssl = |args: &[&str]| drop(program("openssl", args).run().status(0));
    openssl(&[
        "req",
        "-new",
        "-key",
        &key,
        "-subj",
        "/CN=old root",
        "-out",
        &request,
    ]);
    // Without an extension it is of version 1.
    openssl(&["x509", "-req", "-in", &request, "-signkey", &key, "-out", &root]);
    let old = std::fs::read_to_string(&root).unwrap();
    let both = std::fs::read_to_string(place.at("ca.pem")).unwrap() + &old;
    place.write("both.pem", &both);
    let (_run, port) = place.serve(":DIR/good.pem");
    place
        .connect(port, ":trustRoots=DIR/v1.pem")
        .status(2)
        .mentions("v1.pem` can be a root: `CN=old root` is version 1, not marked as an authority");
    place.connect(port, ":trustRoots=DIR/both.pem").status(0);
    let endpoint = format!("tls:a.example:{port}:endpoint=[tcp:127.0.0.1:{port}]:trustRoots=DIR/both.pem");
    place
        .netkit(&["connect", "-vv", &endpoint])
        .run()
        .status(0)
        .mentions("passed over for trust: `CN=old root` in ");
}

#[test]
fn a_stranger_cannot_fill_the_log_or_the_screen() {
    let (place, _) = people();
    let name = "\u{1}".repeat(10_000);
    let stranger = Authority::new(&name, &[], KeyType::EcdsaP256, days(-1, 1)).unwrap();
    place.write_identity("stranger.pem", stranger.identity());
    let (run, port) = place.serve(":DIR/good.pem:clientCA=DIR/ca.pem");
    place
        .connect(port, ":trustRoots=DIR/ca.pem:certificate=DIR/stranger.pem")
        .status(5);
    let refused = "is refused: it is one for an authority";
    let said = run.await_stderr(refused);
    let line = said.lines().find(|line| line.contains(refused)).unwrap();
    assert!(line.contains(r"CN=\u{1}\u{1}") && line.contains('…'), "{line}");
    assert!(line.len() < 600, "{}", line.len());
    // Names that are no host's are nothing to ask for.
    let names = ["me@a.example", "*.b.example"].map(|name| name.parse().unwrap());
    let identity = self_signed(&Leaf::server(names, days(-1, 1))).unwrap();
    place.write_identity("mail.pem", &identity);
    let (_run, port) = place.serve(":DIR/mail.pem");
    place
        .connect(port, ":trustRoots=DIR/mail.pem")
        .status(5)
        .mentions("serverName=www.b.example verifies that name instead");
}

#[test]
fn files_that_are_no_good_are_named_before_anybody_is_bothered() {
    let (place, _) = people();
    let pem = std::fs::read_to_string(place.at("good.pem")).unwrap();
    place.write("empty.pem", "");
    place.write("garbage.pem", "hello\n");
    place.write("cut.pem", &pem[..pem.len() - 100]);
    place.write("pass", "open sesame\n");
    place.write("wrong", "open barley\n");
    std::fs::create_dir(place.at("none")).unwrap();
    place
        .netkit(&[
            "cert",
            "self-signed",
            "--out",
            "DIR/",
            "--passphrase-file",
            "DIR/pass",
        ])
        .run()
        .status(0);
    for (fields, words) in [
        ("empty.pem", "empty.pem` is empty"),
        ("garbage.pem", "garbage.pem` is not PEM"),
        ("cut.pem", "cut.pem` is cut off within a CERTIFICATE"),
        ("nothing.pem", "nothing.pem`: no such file or directory"),
        (
            "good.pem:DIR/alone.pem",
            "the private key does not belong to the certificate (key in `",
        ),
        ("ca.pem", "ca.pem` holds no private key, but a CERTIFICATE"),
        ("key.pem:DIR/cert.pem", "key.pem` is encrypted"),
        (
            "key.pem:DIR/cert.pem:passphraseFile=DIR/wrong",
            "wrong passphrase for the private key in `",
        ),
    ] {
        let server = format!("tls:0:DIR/{fields}");
        let bound = place.netkit(&["serve", "echo", &server]).run();
        bound.status(7).mentions("error: could not bind").mentions(words);
        // A client names its certificate before its key.
        let (key, rest) = fields.split_once(":DIR/").unwrap_or((fields, fields));
        let (certificate, more) = rest.split_once(':').unwrap_or((rest, ""));
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(":{more}")
        };
        let client = format!("tls:h.invalid:1:certificate=DIR/{certificate}:privateKey=DIR/{key}{more}");
        let connected = place.netkit(&["connect", &client]).run();
        connected
            .status(2)
            .mentions("error: could not connect")
            .mentions(words);
    }
    for (field, words) in [
        ("none", "there is no *.pem file in `"),
        ("nothing", "nothing`: no such file or directory"),
        ("garbage.pem", "garbage.pem` is not PEM"),
    ] {
        let client = format!("tls:h.invalid:1:trustRoots=DIR/{field}");
        place
            .netkit(&["connect", &client])
            .run()
            .status(2)
            .mentions(words);
        let server = format!("tls:0:DIR/good.pem:clientCA=DIR/{field}");
        place
            .netkit(&["serve", "echo", &server])
            .run()
            .status(7)
            .mentions(words);
    }
}

#[test]
fn a_plain_server_is_told_by_how_it_begins() {
    for (greeting, words) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "the server does not speak TLS, but HTTP; it said `HTTP/1.1 400 Bad Request`",
        ),
        (
            b"SSH-2.0-x\r\n",
            "the server does not speak TLS, but SSH; it said `SSH-2.0-x`",
        ),
        (
            b"220 mail ESMTP\r\n",
            "the server does not speak TLS at once, but greets as a mail or FTP server; it said `220 mail ESMTP`",
        ),
        (b"hello\r\n", "the server does not speak TLS; it said `hello`"),
        (b"", "the server closed the connection without an answer"),
        // An alert: a server of TLS 1.0 has nothing else to say.
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "the server speaks no version of TLS that is allowed here",
        ),
    ] {
        for verb in [&["connect"][..], &["cert", "show"]] {
            let (listener, endpoint) = peer::listener();
            let endpoint = endpoint.replace("tcp:", "tls:");
            let run = netkit([verb, &[&endpoint]].concat()).start();
            // A look after a refusal is another connection.
            let mut stream = peer::accept(&listener);
            stream.write_all(greeting).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            listener.set_nonblocking(false).unwrap();
            let again = std::thread::spawn(move || {
                if verb.len() > 1 {
                    let (mut stream, _) = listener.accept().unwrap();
                    stream.write_all(greeting).unwrap();
                }
            });
            run.wait().status(5).mentions(words).mentions("help: ").wrote("");
            again.join().unwrap();
        }
    }
    let (listener, endpoint) = peer::listener();
    let endpoint = endpoint.replace("tcp:", "tls:") + ":timeout=200ms";
    netkit(["connect", &endpoint])
        .run()
        .status(4)
        .mentions("connected, but no TLS handshake within 200ms")
        .mentions("help: does it speak TLS on this port?");
    drop(listener);
}

#[test]
fn what_is_no_tls_is_one_line_with_the_address() {
    let place = Place::new();
    let (run, port) = place.serve("");
    // A hello of TLS 1.1 (RFC 4346, section 7.4.1.2), with one cipher suite and nothing else.
    let mut old = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02".to_vec();
    old.extend([7; 32]);
    old.extend(b"\x00\x00\x02\x00\x2f\x01\x00");
    for (said, words) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            "plain HTTP was sent to a TLS port; the client should use https",
        ),
        (
            b"SSH-2.0-OpenSSH_9\r\n",
            "the client does not speak TLS; it said `SSH-2.0-OpenSSH_9`",
        ),
        (
            b"\xff\xfd\x03\xff\xfb\x18",
            "the client does not speak TLS; it said `\\xff\\xfd\\x03\\xff\\xfb\\x18`",
        ),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "a PROXY header came before TLS; haproxy:tls: takes it",
        ),
        (
            &old,
            "the client offers TLS 1.1 at most, and TLS 1.2 is the least here",
        ),
        (
            b"",
            "the client closed the connection before the TLS handshake was done",
        ),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let us = stream.local_addr().unwrap();
        stream.write_all(said).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let heard = run.await_stderr(&format!("{us}: {words}\n"));
        assert_eq!(heard.matches(&us.to_string()).count(), 1, "{heard}");
    }
    // There may be as many as there like: the log stays short.
    for _ in 0..100 {
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    run.await_stderr("the next are only counted");
    let outcome = run.stop();
    let lines = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("127.0.0.1:"))
        .count();
    assert!(lines < 50, "{}", outcome.stderr);
}

#[test]
fn the_doctor_tells_what_would_help_and_it_does() {
    let (place, authority) = people();
    let ca = ":trustRoots=DIR/ca.pem";
    for (server, fields, kinds, remedies) in [
        ("good.pem", ca.to_owned(), &[][..], &[][..]),
        ("good.pem", ":insecure=yes".to_owned(), &["issuer-missing"], &[]),
        (
            "good.pem",
            String::new(),
            &["issuer-missing"],
            &[
                "trustRoots=ca.pem",
                "trustRoots=server.pem",
                "pin=",
                "insecure=yes",
            ],
        ),
        (
            "good.pem",
            format!("{ca}:serverName=b.example"),
            &["wrong-name"],
            &["serverName=a.example", "pin=", "insecure=yes"],
        ),
        (
            "alone.pem",
            ":serverName=b.example".to_owned(),
            &["wrong-name", "self-signed"],
            &[
                "trustRoots=server.pem:serverName=a.example",
                "pin=",
                "insecure=yes",
            ],
        ),
        ("old.pem", ca.to_owned(), &["expired"], &["pin=", "insecure=yes"]),
        (
            "old.pem",
            ":serverName=b.example".to_owned(),
            &["expired", "wrong-name", "issuer-missing"],
            &["pin=", "insecure=yes"],
        ),
        (
            "new.pem",
            ca.to_owned(),
            &["not-yet-valid"],
            &["pin=", "insecure=yes"],
        ),
    ] {
        let (_run, port) = place.serve(&format!(":DIR/{server}"));
        let report = place.show(port, &fields);
        let found: Vec<_> = list(&report["findings"], "kind");
        assert_eq!(found, kinds, "{server} {fields}: {report:#}");
        let endpoints = list(&report["remedies"], "endpoint");
        assert_eq!(endpoints.len(), remedies.len(), "{server} {fields}: {report:#}");
        let der = files::identity(
            &place.at(server),
            &Passphrases::new(None, ""),
            &place.at(server),
            None,
        )
        .unwrap();
        place.write("server.pem", &files::certificates_pem(&der.chain));
        for (endpoint, remedy) in endpoints.iter().zip(remedies) {
            assert!(endpoint.contains(remedy), "{server} {fields}: {endpoint}");
            let pasted = endpoint
                .replace("trustRoots=ca.pem", "trustRoots=DIR/ca.pem")
                .replace("=server.pem", "=DIR/server.pem");
            place.netkit(&["connect", &pasted]).run().status(0);
        }
    }
    // Who is asked who they are learns it before it goes wrong.
    let (_run, port) = place.serve(":DIR/good.pem:clientCA=DIR/ca.pem");
    let report = place.show(port, ca);
    assert_eq!(report["client_certificate_asked_for"], true, "{report:#}");
    // The key that is pinned is another one; all else stands in second place.
    let pin = Pin::of(&authority.identity().chain[0]).unwrap();
    let report = place.show(port, &format!(":pin={pin}"));
    let first = &report["findings"][0];
    assert_eq!(
        (&first["kind"], &first["refused"]),
        (&"other-key".into(), &true.into())
    );
    assert!(list(&report["findings"], "kind").len() > 1);
    assert_eq!(report["findings"][1]["refused"], false);
}

fn list<'a>(array: &'a Value, name: &str) -> Vec<&'a str> {
    let all = array.as_array().unwrap().iter();
    all.map(|entry| entry[name].as_str().unwrap()).collect()
}

/// Whether a peer is here; it has to be where interoperation is required.
fn have(name: &str) -> bool {
    let found = program("sh", ["-c", &format!("command -v {name}")]).run().status == 0;
    let required = std::env::var_os("NETKIT_INTEROP").is_some_and(|value| value == "required");
    assert!(found || !required, "{name} is required and not installed");
    found
}

/// Chains that nobody should make. `issue NAME ISSUER SUBJECT EXTENSIONS`.
const ZOO: &str = r#"set -e
issue() {
  n=$1 i=$2 cn=$3 ext=$4; shift 4
  openssl req -new -newkey ${KEY:-ec -pkeyopt ec_paramgen_curve:P-256} -nodes -subj "/CN=$cn" -keyout $n.key -out $n.csr
  printf "$ext" > $n.ext
  openssl x509 -req -in $n.csr -CA $i.crt -CAkey $i.key -CAcreateserial -days 9 -extfile $n.ext -out $n.crt "$@"
}
san='subjectAltName=DNS:a.example\n' ca='basicConstraints=critical,CA:TRUE'
for name in root other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj "/CN=$name" \
    -keyout $name.key -out $name.crt -addext "$ca"
done
issue int root int "$ca\n"
issue good int good "$san"
issue aia int aia "${san}authorityInfoAccess=caIssuers;URI:http://ca.example/int.crt\n"
issue client int client "${san}extendedKeyUsage=clientAuth\n"
issue nameless int nameless 'basicConstraints=CA:FALSE\n'
issue sha1 int sha1 "$san" -sha1
KEY=rsa:1024 issue small int small "$san"
issue zero root zero "$ca,pathlen:0\n"
issue below zero below "$ca\n"
issue deep below deep "$san"
issue no root no 'basicConstraints=CA:FALSE\n'
issue byno no byno "$san"
issue narrow root narrow "$ca\nnameConstraints=critical,permitted;DNS:b.example\n"
issue beyond narrow beyond "$san"
openssl x509 -req -in int.csr -CA root.crt -CAkey root.key -CAcreateserial -days 9 -extfile int.ext -out int.crt
openssl req -new -x509 -key other.key -subj /CN=int -days 9 -out impostor.crt -addext "$ca"
"#;

#[test]
fn the_doctor_names_the_certificate_that_broke_the_chain() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    let script = format!("cd {}\n{ZOO}", place.0.path().display());
    program("sh", ["-c", &script]).run().status(0);
    for (leaf, between, kind, number, words) in [
        ("good", &["int"][..], "", 0, ""),
        (
            "good",
            &[],
            "issuer-missing",
            1,
            "its issuer `CN=int` is neither sent by the server nor trusted",
        ),
        (
            "aia",
            &[],
            "issuer-missing",
            1,
            "neither sent by the server nor trusted",
        ),
        (
            "good",
            &["impostor"],
            "bad-signature",
            1,
            "its signature is not by the key of certificate 2, `CN=int`",
        ),
        (
            "good",
            &["root", "other", "int"],
            "surplus",
            2,
            "it is trusted already, and need not be sent",
        ),
        (
            "deep",
            &["zero", "below"],
            "too-deep",
            2,
            "it allows no authority below it, and there is 1",
        ),
        (
            "deep",
            &["below", "zero"],
            "too-deep",
            3,
            "it allows no authority below it, and there is 1",
        ),
        (
            "byno",
            &["no"],
            "not-authority",
            2,
            "it vouches for certificate 1, and is no authority",
        ),
        (
            "beyond",
            &["narrow"],
            "name-forbidden",
            2,
            "it may not vouch for `a.example`",
        ),
        ("client", &["int"], "wrong-purpose", 1, "it is not for servers"),
        ("nameless", &["int"], "wrong-name", 1, "it names no host"),
        (
            "sha1",
            &["int"],
            "weak-signature",
            1,
            "it is signed by ECDSA with SHA-1",
        ),
        ("small", &["int"], "weak-key", 1, "its key is RSA with 1024 bits"),
    ] {
        let chain: String = between
            .iter()
            .map(|name| std::fs::read_to_string(place.at(&format!("{name}.crt"))).unwrap())
            .collect();
        // openssl wants one certificate at least, and its own one again changes nothing.
        let own = std::fs::read_to_string(place.at(&format!("{leaf}.crt"))).unwrap();
        place.write("chain.pem", if chain.is_empty() { &own } else { &chain });
        let mut server = vec![
            "s_server",
            "-www",
            "-accept",
            "127.0.0.1:0",
            "-cipher",
            "DEFAULT:@SECLEVEL=0",
        ];
        let (crt, key, sent) = (
            format!("DIR/{leaf}.crt"),
            format!("DIR/{leaf}.key"),
            "DIR/chain.pem",
        );
        let files = [crt, key, sent.to_owned()].map(|file| place.text(&file));
        server.extend(["-cert", &files[0], "-key", &files[1]]);
        if !between.is_empty() {
            server.extend(["-cert_chain", &files[2]]);
        }
        let server = program("openssl", server).start();
        let ready = server.await_stdout("\nACCEPT 127.0.0.1:");
        let ready = String::from_utf8_lossy(&ready).into_owned();
        let ready = match ready.rsplit_once("ACCEPT 127.0.0.1:") {
            Some((_, port)) if port.contains('\n') => ready,
            _ => String::from_utf8_lossy(&server.await_stdout("\n")).into_owned(),
        };
        let port = ready.rsplit_once("ACCEPT 127.0.0.1:").unwrap().1;
        let port: u16 = port.lines().next().unwrap().trim().parse().unwrap();
        let report = place.show(port, ":trustRoots=DIR/root.crt");
        if kind.is_empty() {
            assert_eq!(report["findings"], serde_json::json!([]), "{leaf}: {report:#}");
            assert_eq!(report["verified"], true);
            continue;
        }
        let finding = &report["findings"][0];
        assert_eq!(finding["kind"], kind, "{leaf}: {report:#}");
        assert_eq!(finding["certificate"], number, "{leaf}: {report:#}");
        assert!(
            finding["why"].as_str().unwrap().contains(words),
            "{leaf}: {report:#}"
        );
        assert_eq!(report["verified"], kind == "surplus", "{leaf}: {report:#}");
        if leaf == "aia" {
            assert!(
                finding["help"]
                    .as_str()
                    .unwrap()
                    .contains("from http://ca.example/int.crt")
            );
        }
        // A key that proves nothing is helped by nothing.
        let remedies = list(&report["remedies"], "endpoint");
        assert_eq!(
            remedies.is_empty(),
            ["weak-key", "surplus"].contains(&kind),
            "{report:#}"
        );
    }
}

#[test]
fn a_file_is_shown_with_all_that_is_in_it() {
    let place = Place::new();
    place.write("pass", "open sesame\n");
    let cert = |args: &[&str]| place.netkit(&[&["cert"], args].concat()).run();
    cert(&["self-signed", "--out", "DIR/", "--combined", "a.example"]).status(0);
    let text = cert(&["show", "DIR/combined.pem"]).status(0).text();
    for line in [
        "names        a.example",
        "private key",
        "belongs to   certificate 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("PRIVATE KEY-----"), "{text}");
    // A key from elsewhere, and one that nobody can read.
    cert(&["self-signed", "--out", "DIR/x"]).status(0);
    cert(&["self-signed", "--out", "DIR/y", "--passphrase-file", "DIR/pass"]).status(0);
    let read = |name: &str| std::fs::read_to_string(place.at(name)).unwrap();
    place.write(
        "mixed.pem",
        &(read("x/key.pem") + &read("y/cert.pem") + &read("y/key.pem")),
    );
    let text = cert(&["show", "DIR/mixed.pem"]).status(0).text();
    assert!(text.contains("belongs to   nothing else in this file"), "{text}");
    assert!(
        text.contains("encrypted    a passphrase is needed to say more"),
        "{text}"
    );
    let report = cert(&["show", "--json", "DIR/mixed.pem"]).status(0).text();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["encrypted_keys"], 1);
    assert_eq!(report["keys"][0]["certificate"], Value::Null);
    cert(&["show", "--pem", "DIR/x/key.pem"])
        .status(2)
        .mentions("there is no certificate in it");
    cert(&["show", "DIR/pass"]).status(2).mentions("pass` is not PEM");
    cert(&["show", "tcp:127.0.0.1:1"])
        .status(2)
        .mentions("there is no TLS in a tcp endpoint, and so no certificate");
}

#[test]
fn a_time_is_given_by_either_end() {
    let place = Place::new();
    let made = |args: &[&str]| -> (String, String) {
        let out = ["cert", "self-signed", "--force", "--out", "DIR/"];
        place.netkit(&[&out[..], args].concat()).run().status(0);
        let shown = place
            .netkit(&["cert", "show", "--json", "DIR/cert.pem"])
            .run()
            .text();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let day = |name: &str| shown["certificates"][0][name].as_str().unwrap()[..10].to_owned();
        (day("not_before"), day("not_after"))
    };
    for (args, from, to) in [
        (&["--not-before", "2090-01-01"][..], "2090-01-01", "2091-01-01"),
        (
            &["--not-before", "2090-01-01", "--days", "2"],
            "2090-01-01",
            "2090-01-03",
        ),
        (&["--not-after", "2021-01-01"], "2020-01-02", "2021-01-01"),
        (
            &["--not-before", "2020-01-01", "--not-after", "2021-01-01"],
            "2020-01-01",
            "2021-01-01",
        ),
    ] {
        assert_eq!(made(args), (from.to_owned(), to.to_owned()), "{args:?}");
    }
    let backwards = [
        "cert",
        "self-signed",
        "--not-before",
        "2091-01-01",
        "--not-after",
        "2090-01-01",
    ];
    place
        .netkit(&backwards)
        .run()
        .status(2)
        .mentions("it would end before it begins");
}
