//! What the ends of a relay see of each other, for every pair of kinds: a half that ends, a connection that is reset, and
//! TLS that is cut short. One table says it.
//! Absent: what is moved, how fast, and datagrams.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::harness::peer::{accept, dial, listener, reset};
use crate::harness::place::{Place, port};
use crate::harness::{A_MOMENT, Run, eventually, netkit, netkit_after};

/// What a connection is made of, on either side of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Unix,
    Tls,
    /// TCP, with the PROXY header in front.
    Proxied,
    /// The relay's standard input and output: it is server only.
    Stdio,
    /// A socket that the relay inherits: it is client only, as a server's is one of those above.
    Inherited,
}

const SERVERS: [Kind; 5] = [Kind::Tcp, Kind::Unix, Kind::Tls, Kind::Proxied, Kind::Stdio];
const TARGETS: [Kind; 5] = [Kind::Tcp, Kind::Unix, Kind::Tls, Kind::Proxied, Kind::Inherited];

/// What one end does, in the middle of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It ends its half, in the way of its kind.
    End,
    /// It breaks the connection off.
    Reset,
    /// TCP ends, and TLS did not.
    Truncate,
}

/// What the other end finds when it reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    End,
    Reset,
    Truncated,
}

/// Whether there is such an act on such a connection.
fn can(kind: Kind, act: Act) -> bool {
    match act {
        Act::End => true,
        // A pipe breaks for those who write into it, never for those who read.
        Act::Reset => kind != Kind::Stdio,
        Act::Truncate => kind == Kind::Tls,
    }
}

/// The table. What was lost on one side must not look complete on the other, as far as its kind can tell the two apart.
fn expected(act: Act, other: Kind) -> Found {
    match (act, other) {
        (Act::End, _) => Found::End,
        (Act::Reset | Act::Truncate, Kind::Tcp | Kind::Proxied) => Found::Reset,
        (Act::Reset | Act::Truncate, Kind::Tls) => Found::Truncated,
        // These know only one way to end.
        (Act::Reset | Act::Truncate, Kind::Unix | Kind::Stdio | Kind::Inherited) => Found::End,
    }
}

/// The test's end of a connection with the relay.
enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
    Caller(Box<StreamOwned<ClientConnection, TcpStream>>),
    Called(Box<StreamOwned<ServerConnection, TcpStream>>),
    /// The relay itself, whose standard input and output it is.
    Stdio,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Tcp(_) => "tcp",
            End::Unix(_) => "unix",
            End::Caller(_) | End::Called(_) => "tls",
            End::Stdio => "stdio",
        })
    }
}

impl End {
    fn say(&mut self, relay: &mut Run, bytes: &[u8]) {
        match self {
            End::Tcp(tcp) => tcp.write_all(bytes).unwrap(),
            End::Unix(unix) => unix.write_all(bytes).unwrap(),
            End::Caller(tls) => tls.write_all(bytes).unwrap(),
            End::Called(tls) => tls.write_all(bytes).unwrap(),
            End::Stdio => relay.write(bytes),
        }
    }

    fn hear(&mut self, relay: &Run, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        match self {
            End::Tcp(tcp) => tcp.read_exact(&mut got).unwrap(),
            End::Unix(unix) => unix.read_exact(&mut got).unwrap(),
            End::Caller(tls) => tls.read_exact(&mut got).unwrap(),
            End::Called(tls) => tls.read_exact(&mut got).unwrap(),
            End::Stdio => {
                relay.await_stdout(bytes);
                return;
            }
        }
        assert_eq!(got, bytes);
    }

    fn end(&mut self, relay: &mut Run) {
        match self {
            End::Tcp(tcp) => tcp.shutdown(Shutdown::Write).unwrap(),
            End::Unix(unix) => unix.shutdown(Shutdown::Write).unwrap(),
            End::Caller(tls) => {
                tls.conn.send_close_notify();
                tls.flush().unwrap();
            }
            End::Called(tls) => {
                tls.conn.send_close_notify();
                tls.flush().unwrap();
            }
            End::Stdio => relay.end_input(),
        }
    }

    fn reset(self, relay: &mut Run, other: &mut End) {
        match self {
            End::Tcp(tcp) => reset(tcp),
            End::Caller(tls) => reset(tls.sock),
            End::Called(tls) => reset(tls.sock),
            End::Unix(unix) => {
                // Closed with something unread, which is what a reset is there.
                other.say(relay, b"?");
                unix.set_nonblocking(false).unwrap();
                eventually("something to leave unread", || {
                    (rustix::io::ioctl_fionread(&unix).unwrap() > 0).then_some(())
                });
            }
            End::Stdio => unreachable!("a pipe cannot be reset"),
        }
    }

    /// Says as much as the other one, who reads nothing, leaves room for.
    fn fill(&mut self) {
        match self {
            End::Tcp(tcp) => {
                hurry(tcp);
                fill(tcp);
            }
            End::Unix(unix) => {
                unix.set_write_timeout(Some(A_MOMENT)).unwrap();
                fill(unix);
            }
            End::Caller(tls) => {
                hurry(&tls.sock);
                fill(&mut **tls);
            }
            End::Called(tls) => {
                hurry(&tls.sock);
                fill(&mut **tls);
            }
            End::Stdio => unreachable!("a pipe cannot be reset"),
        }
    }

    /// The error that stands on the connection, for one who does not read.
    fn failure(&self) -> Option<ErrorKind> {
        let End::Tcp(tcp) = self else {
            unreachable!("only TCP says so to whoever does not read")
        };
        tcp.take_error().unwrap().map(|error| error.kind())
    }

    fn truncate(self) {
        match self {
            End::Caller(tls) => tls.sock.shutdown(Shutdown::Write).unwrap(),
            End::Called(tls) => tls.sock.shutdown(Shutdown::Write).unwrap(),
            _ => unreachable!("only TLS can be cut short"),
        }
    }

    /// Reads `last` and then whatever end there is.
    fn find(&mut self, relay: &Run, last: &[u8]) -> Found {
        let mut got = Vec::new();
        let read = match self {
            End::Tcp(tcp) => tcp.read_to_end(&mut got),
            End::Unix(unix) => unix.read_to_end(&mut got),
            End::Caller(tls) => tls.read_to_end(&mut got),
            End::Called(tls) => tls.read_to_end(&mut got),
            End::Stdio => {
                let all = relay
                    .stdout
                    .until_end(|| "standard output did not end".to_owned());
                got.extend(all.strip_prefix(HELLO).unwrap());
                Ok(0)
            }
        };
        assert_eq!(got, last, "{self:?}");
        match read {
            Ok(_) => Found::End,
            Err(error) => match error.kind() {
                ErrorKind::ConnectionReset => Found::Reset,
                ErrorKind::UnexpectedEof => Found::Truncated,
                _ => panic!("{self:?}: {error}"),
            },
        }
    }
}

/// Where the relay's connections come to.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// There is one already.
    There(UnixStream),
}

/// What was said, heard, and said again, so that the connection stands and both directions work.
const HELLO: &[u8] = b"hello, whoever is there\n";
/// What comes right before the act.
const LAST: &[u8] = b"and that is all";

struct Pairs {
    place: Place,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Pairs {
    fn new() -> Self {
        let place = Place::new();
        let chain = |file| -> Vec<_> {
            let certificates = CertificateDer::pem_file_iter(place.path(file)).unwrap();
            certificates.collect::<Result<_, _>>().unwrap()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain("ca/cert.pem"));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::from_pem_file(place.path("server/key.pem")).unwrap();
        Pairs {
            client: Arc::new(
                ClientConfig::builder_with_provider(Arc::clone(&provider))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(roots)
                    .with_no_client_auth(),
            ),
            server: Arc::new(
                ServerConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_no_client_auth()
                    .with_single_cert(chain("server/cert.pem"), key)
                    .unwrap(),
            ),
            place,
        }
    }

    /// A relay between the two, a connection on either side of it, and a first word both ways.
    fn meet(&self, server: Kind, target: Kind) -> (Run, End, End) {
        let mut inherited = None;
        let (door, to) = match target {
            Kind::Tcp | Kind::Tls | Kind::Proxied => {
                let (door, endpoint) = listener();
                let port = port(&endpoint);
                let to = match target {
                    Kind::Tls => format!("tls:127.0.0.1:{port}:trustRoots=ca/cert.pem"),
                    Kind::Proxied => format!("haproxy:{endpoint}"),
                    _ => endpoint,
                };
                (Door::Tcp(door), to)
            }
            Kind::Unix => {
                let path = self.place.path("target");
                let _ = std::fs::remove_file(&path);
                (
                    Door::Unix(UnixListener::bind(&path).unwrap()),
                    "unix:target".to_owned(),
                )
            }
            Kind::Inherited | Kind::Stdio => {
                let (ours, its) = UnixStream::pair().unwrap();
                inherited = Some(OwnedFd::from(its));
                let patience = Some(Duration::from_secs(20));
                ours.set_read_timeout(patience).unwrap();
                (Door::There(ours), "fd:3".to_owned())
            }
        };
        let from = match server {
            Kind::Tcp => "tcp:0:127.0.0.1",
            Kind::Unix | Kind::Inherited => "unix:relay",
            Kind::Tls => "tls:0:privateKey=server/key.pem:certKey=server/cert.pem:interface=127.0.0.1",
            Kind::Proxied => "haproxy:tcp:0:127.0.0.1",
            Kind::Stdio => "stdio",
        };
        let args = ["relay", from, &to];
        let relay = match inherited {
            None => netkit(args),
            // What is inherited comes by way of standard input.
            Some(descriptor) => netkit_after("", "3<&0 0</dev/null", args).stdin(descriptor),
        };
        let mut relay = relay.directory(&self.place.path("")).start();
        let endpoint = relay.endpoint();
        let mut near = match server {
            Kind::Tcp | Kind::Proxied => End::Tcp(dial(relay.address())),
            Kind::Unix | Kind::Inherited => End::Unix(UnixStream::connect(self.place.path("relay")).unwrap()),
            Kind::Tls => {
                let tcp = dial(([127, 0, 0, 1], port(&endpoint)).into());
                let name = ServerName::try_from("localhost").unwrap();
                let client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
                End::Caller(Box::new(StreamOwned::new(client, tcp)))
            }
            Kind::Stdio => End::Stdio,
        };
        if server == Kind::Proxied {
            near.say(&mut relay, b"PROXY UNKNOWN\r\n");
        }
        near.say(&mut relay, HELLO);
        let mut far = match door {
            Door::Tcp(door) => {
                let mut tcp = accept(&door);
                if target == Kind::Proxied {
                    skip_header(&mut tcp);
                }
                match target {
                    Kind::Tls => {
                        let server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
                        End::Called(Box::new(StreamOwned::new(server, tcp)))
                    }
                    _ => End::Tcp(tcp),
                }
            }
            Door::Unix(door) => End::Unix(door.accept().unwrap().0),
            Door::There(unix) => End::Unix(unix),
        };
        far.hear(&relay, HELLO);
        far.say(&mut relay, HELLO);
        near.hear(&relay, HELLO);
        (relay, near, far)
    }
}

/// TLS reads when it cannot write.
fn hurry(tcp: &TcpStream) {
    tcp.set_write_timeout(Some(A_MOMENT)).unwrap();
    tcp.set_read_timeout(Some(A_MOMENT)).unwrap();
}

fn fill(mut writer: impl Write) {
    let piece = [b'.'; 64 * 1024];
    loop {
        match writer.write(&piece) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("could not write: {error}"),
        }
    }
}

/// Reads a PROXY header of version 2 and no more.
fn skip_header(tcp: &mut TcpStream) {
    let mut head = [0; 16];
    tcp.read_exact(&mut head).unwrap();
    assert_eq!(head[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
    tcp.read_exact(&mut rest).unwrap();
}

#[test]
fn what_one_end_does_the_other_finds() {
    let pairs = Pairs::new();
    for server in SERVERS {
        for target in TARGETS {
            // Both would come by way of standard input.
            if server == Kind::Stdio && target == Kind::Inherited {
                continue;
            }
            for act in [Act::End, Act::Reset, Act::Truncate] {
                for client_acts in [true, false] {
                    let (actor, other) = if client_acts {
                        (server, target)
                    } else {
                        (target, server)
                    };
                    if !can(actor, act) {
                        continue;
                    }
                    let (mut relay, near, far) = pairs.meet(server, target);
                    let (mut first, mut second) = if client_acts { (near, far) } else { (far, near) };
                    first.say(&mut relay, LAST);
                    let found = match act {
                        Act::End => {
                            first.end(&mut relay);
                            let found = second.find(&relay, LAST);
                            // The other half is as good as before.
                            second.say(&mut relay, LAST);
                            second.end(&mut relay);
                            assert_eq!(first.find(&relay, LAST), Found::End, "{server:?} {target:?}");
                            found
                        }
                        Act::Reset => {
                            // Once it has arrived: a reset may overtake bytes in the sender's own kernel.
                            second.hear(&relay, LAST);
                            first.reset(&mut relay, &mut second);
                            let rest = match second {
                                End::Stdio => LAST,
                                _ => b"",
                            };
                            second.find(&relay, rest)
                        }
                        Act::Truncate => {
                            first.truncate();
                            second.find(&relay, LAST)
                        }
                    };
                    let expected = expected(act, other);
                    assert_eq!(
                        found, expected,
                        "{server:?} to {target:?}: {act:?}, the client's: {client_acts}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_reset_is_passed_on_to_one_who_takes_nothing() {
    // Whoever acts, and whether that is the client; all at once, as each takes its time.
    let cases = [
        (Kind::Tcp, true),
        (Kind::Tcp, false),
        (Kind::Unix, true),
        (Kind::Tls, true),
        (Kind::Tls, false),
        (Kind::Proxied, true),
    ];
    std::thread::scope(|threads| {
        for (actor, client_acts) in cases {
            threads.spawn(move || {
                let pairs = Pairs::new();
                let (server, target) = if client_acts {
                    (actor, Kind::Tcp)
                } else {
                    (Kind::Tcp, actor)
                };
                let (mut relay, near, far) = pairs.meet(server, target);
                let (mut first, mut second) = if client_acts { (near, far) } else { (far, near) };
                first.fill();
                first.reset(&mut relay, &mut second);
                let found = eventually("the reset", || second.failure());
                assert_eq!(
                    found,
                    ErrorKind::ConnectionReset,
                    "{actor:?}, the client's: {client_acts}"
                );
            });
        }
    });
}

#[test]
fn a_reset_is_passed_on_to_one_who_takes_nothing_of_tls() {
    let pairs = Pairs::new();
    let (relay, mut client, target) = pairs.meet(Kind::Tcp, Kind::Tls);
    let before = relay.descriptors();
    client.fill();
    let End::Called(mut target) = target else {
        unreachable!("it speaks TLS")
    };
    let End::Tcp(client) = client else {
        unreachable!("it is bare")
    };
    reset(client);
    eventually("the pair to be given up", || {
        (relay.descriptors() + 2 <= before).then_some(())
    });
    // What had come is there, and does not look complete.
    let error = target.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}
