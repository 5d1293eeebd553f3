//! PROXY headers and inherited sockets with the programs that others run in front of servers: haproxy, nginx, curl,
//! Twisted, systemd. Absent: the programs. A test of one that is not installed is skipped with a word on standard
//! error, and fails where `NETKIT_INTEROP=required` says that it has to be there.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netkit::connection::{Address, Connection, Facts};
use netkit::transport::reading::ClientEndpoint;
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far more than a slow, busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs, and all that it writes. Dropping it kills it.
struct Running {
    child: Child,
    said: Arc<(Mutex<String>, Condvar)>,
    readers: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(command: &mut Command) -> Running {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("NOTIFY_SOCKET")
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = Arc::new((Mutex::new(String::new()), Condvar::new()));
    let pipes: [Box<dyn Read + Send>; 2] = [
        Box::new(child.stdout.take().unwrap()),
        Box::new(child.stderr.take().unwrap()),
    ];
    let readers = pipes.into_iter().map(|mut pipe| {
        let said = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                said.0
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..read]));
                said.1.notify_all();
            }
        })
    });
    let readers = readers.collect();
    Running { child, said, readers }
}

impl Running {
    /// Waits until it has said `text`, and gives the line with it.
    fn says(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.said.0.lock().unwrap();
        loop {
            if let Some(line) = said
                .split_inclusive('\n')
                .find(|line| line.contains(text) && line.ends_with('\n'))
            {
                return line.trim_end().to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {text:?}; said was:\n{said}");
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
    }

    fn so_far(&self) -> String {
        self.said.0.lock().unwrap().clone()
    }

    /// The client string that it tells.
    fn endpoint(&self) -> String {
        let line = self.says("listening on ");
        line.rsplit("listening on ").next().unwrap().to_owned()
    }

    /// Where it listens on TCP.
    fn address(&self) -> SocketAddr {
        let endpoint = self.endpoint();
        endpoint[endpoint.find("tcp:").unwrap() + 4..].parse().unwrap()
    }

    /// Waits for its end, and until all that it has said is there.
    fn status(&mut self) -> Option<i32> {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.child.wait().unwrap().code()
    }
}

fn netkit<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Running {
    start(Command::new(env!("CARGO_BIN_EXE_netkit")).args(args))
}

fn echo_behind_a_proxy() -> Running {
    netkit(["-v", "serve", "echo", "haproxy:tcp:0:127.0.0.1"])
}

/// The path of a program; `None`: the test is skipped.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    found(
        name,
        places
            .iter()
            .map(|place| place.join(name))
            .find(|path| path.is_file()),
    )
}

fn found<T>(name: &str, peer: Option<T>) -> Option<T> {
    if peer.is_none() {
        assert!(
            std::env::var_os("NETKIT_INTEROP").is_none_or(|value| value != "required"),
            "{name} is not installed"
        );
        eprintln!("skipped: {name} is not installed");
    }
    peer
}

/// A listening socket that a program inherits, so that no port has to be guessed.
fn inherited() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fcntl_setfd(&listener, FdFlags::empty()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port for a program that cannot be told to let the system pick one. As long as the socket is there, others are not
/// given it; both say `SO_REUSEADDR`, and only the program listens.
fn reserved() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends, ends our half, and gives all that comes.
fn exchanged(mut stream: TcpStream, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    stream.write_all(bytes.as_ref()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// The same through a client endpoint of ours, on behalf of `client`.
fn exchanged_for(endpoint: &str, client: Option<&Facts>, bytes: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let endpoint = ClientEndpoint::parse(OsStr::new(endpoint)).unwrap();
        let Connection::Stream(mut stream) = endpoint.connect_for(client).await.unwrap() else {
            panic!("no stream")
        };
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    })
}

/// A client that only a header can know of.
fn somebody(family: u8) -> Facts {
    let (local, peer) = match family {
        4 => ("198.51.100.20:443", "192.0.2.10:51234"),
        _ => ("[2001:db8::20]:443", "[2001:db8::10]:51234"),
    };
    let inet = |text: &str| Address::Inet(text.parse().unwrap());
    Facts::new(inet(local), inet(peer))
}

mod alone {
    use super::*;

    #[test]
    fn both_ends_are_ours() {
        let server = echo_behind_a_proxy();
        let endpoint = server.endpoint();
        assert!(endpoint.starts_with("haproxy:tcp:127.0.0.1:"), "{endpoint}");
        for version in ["", "version=1:", "version=2:"] {
            let endpoint = endpoint.replacen("haproxy:", &format!("haproxy:{version}"), 1);
            let mut client = netkit(["connect", "--send", "ping", "--no-stdin", &endpoint]);
            assert_eq!(client.status(), Some(0), "{}", client.so_far());
            assert_eq!(client.so_far(), "ping");
        }
    }

    #[test]
    fn the_log_names_the_client_and_its_proxy() {
        let server = echo_behind_a_proxy();
        let stream = connect(server.address());
        let proxy = stream.local_addr().unwrap();
        let answer = exchanged(stream, "PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello");
        assert_eq!(answer, b"hello");
        let line = server.says("handed on by the proxy ");
        assert!(line.contains("peer=192.0.2.1:1111"), "{line}");
        assert!(line.contains(&format!("by the proxy {proxy} ")), "{line}");
        let closed = server.says("closed");
        assert!(
            closed.contains("peer=192.0.2.1:1111") && closed.contains("received=5"),
            "{closed}"
        );
    }

    #[test]
    fn without_a_header_nothing_is_said_and_the_reason_is_logged() {
        let server = echo_behind_a_proxy();
        for (bytes, why) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "it begins with something else"),
            (b"PROXY TCP4 999.1.1.1 1.1.1.1 1 2\r\n", "an address in it is none of its family"),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x0a\xc6\x33\x64\x14\xc8\x22\x01\xbb\x03\0\x04abcd", "its checksum does not match"),
            (b"PROXY TC", "the connection ended within its PROXY header"),
        ] {
            let mut stream = connect(server.address());
            let proxy = stream.local_addr().unwrap();
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // What it did not read it may answer with a reset.
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.is_empty());
            let line = server.says(why);
            assert!(line.contains(&proxy.to_string()), "{line}");
        }
    }

    #[test]
    fn a_silent_proxy_does_not_hold_the_door_and_has_its_limit() {
        let server = netkit([
            "serve",
            "echo",
            "--handshake-timeout",
            "300ms",
            "haproxy:tcp:0:127.0.0.1",
        ]);
        let mut silent = connect(server.address());
        silent.write_all(b"PROXY").unwrap();
        assert_eq!(exchanged(connect(server.address()), "PROXY UNKNOWN\r\nhi"), b"hi");
        let line = server.says("no connection was established within 300ms");
        assert!(line.contains(&silent.local_addr().unwrap().to_string()), "{line}");
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }

    #[test]
    fn unix_sockets_have_headers_too() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("s");
        let server = netkit(["-v", "serve", "echo", &format!("haproxy:unix:{}", path.display())]);
        let endpoint = server.endpoint();
        assert_eq!(endpoint, format!("haproxy:unix:{}", path.display()));
        let answer = exchanged_for(&endpoint, Some(&somebody(6)), b"x");
        assert_eq!(answer, b"x");
        let line = server.says("handed on by the proxy ");
        assert!(
            line.contains("peer=[2001:db8::10]:51234") && line.contains("by the proxy unnamed "),
            "{line}"
        );
    }

    #[test]
    fn of_two_headers_the_first_stands_first_in_the_string() {
        let server = netkit(["-v", "serve", "echo", "haproxy:haproxy:tcp:0:127.0.0.1"]);
        let headers = "PROXY TCP4 1.1.1.1 1.1.1.2 1 1\r\nPROXY TCP4 2.2.2.2 2.2.2.3 2 2\r\nx";
        assert_eq!(exchanged(connect(server.address()), headers), b"x");
        server.says("handed on by the proxy 127.0.0.1:");
        server.says("handed on by the proxy 1.1.1.1:1 peer=2.2.2.2:2 ");
    }

    #[test]
    fn listen_reads_the_header_before_the_conversation() {
        let mut server = netkit(["-v", "listen", "--no-stdin", "haproxy:tcp:0:127.0.0.1"]);
        let stream = connect(server.address());
        exchanged(stream, "PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\npayload");
        assert_eq!(server.status(), Some(0));
        server.says("accepted 192.0.2.1:1111 on 192.0.2.2:2222 through 127.0.0.1:");
        assert!(server.so_far().contains("payload"));
    }
}

mod haproxy {
    use super::*;

    /// haproxy, listening on an inherited socket, in front of `server`.
    fn haproxy(bind: &str, server: &str) -> Option<(Running, SocketAddr, TempDir)> {
        let program = installed("haproxy")?;
        let (listener, address) = inherited();
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("haproxy.cfg");
        let config = format!(
            "global\n  nbthread 1\n  log stdout format raw local0\n\
             defaults\n  mode tcp\n  log global\n  option tcplog\n  timeout connect 30s\n  timeout client 60s\n  timeout server 60s\n\
             frontend in\n  bind fd@{} {bind}\n  unique-id-format id-%ci-%cp\n  default_backend out\n\
             backend out\n  server s {server}\n",
            listener.as_raw_fd()
        );
        fs::write(&file, config).unwrap();
        let running = start(Command::new(program).arg("-db").arg("-f").arg(&file));
        Some((running, address, directory))
    }

    #[test]
    fn its_headers_are_understood() {
        for options in [
            "send-proxy",
            "send-proxy-v2",
            "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
            "send-proxy-v2-ssl-cn",
        ] {
            let server = echo_behind_a_proxy();
            let Some((_haproxy, address, _directory)) =
                haproxy("", &format!("{} {options}", server.address()))
            else {
                return;
            };
            let stream = connect(address);
            let client = stream.local_addr().unwrap();
            assert_eq!(
                exchanged(stream, "hello"),
                b"hello",
                "{options}: {}",
                server.so_far()
            );
            let line = server.says("handed on by the proxy ");
            assert!(line.contains(&format!("peer={client} ")), "{options}: {line}");
            if options.contains("unique-id") {
                let line = server.says("unique-id=");
                assert!(
                    line.contains(&format!("unique-id=id-127.0.0.1-{}", client.port())),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn its_health_checks_are_its_own_connections() {
        let server = echo_behind_a_proxy();
        let there = format!(
            "{} send-proxy-v2 check check-send-proxy inter 100ms",
            server.address()
        );
        let Some((_haproxy, address, _directory)) = haproxy("", &there) else {
            return;
        };
        server.says("one of the proxy's own connections");
        assert_eq!(exchanged(connect(address), "hello"), b"hello");
    }

    #[test]
    fn it_understands_our_headers() {
        for version in [1, 2] {
            for family in [4, 6] {
                let server = echo_behind_a_proxy();
                let there = format!("{} send-proxy-v2", server.address());
                let Some((_haproxy, address, _directory)) = haproxy("accept-proxy", &there) else {
                    return;
                };
                let endpoint = format!("haproxy:version={version}:tcp:{address}");
                let client = somebody(family);
                assert_eq!(exchanged_for(&endpoint, Some(&client), b"hello"), b"hello");
                // It passes on what we told it.
                let line = server.says("handed on by the proxy ");
                assert!(
                    line.contains(&format!("peer={} ", client.peer)),
                    "v{version}: {line}"
                );
            }
        }
    }

    #[test]
    fn it_takes_connections_of_our_own() {
        for version in [1, 2] {
            let server = echo_behind_a_proxy();
            let there = format!("{} send-proxy", server.address());
            let Some((haproxy, address, _directory)) = haproxy("accept-proxy", &there) else {
                return;
            };
            let endpoint = format!("haproxy:version={version}:tcp:{address}");
            let answer = exchanged_for(&endpoint, None, b"hello");
            assert_eq!(answer, b"hello", "v{version}: {}", haproxy.so_far());
        }
    }
}

mod nginx {
    use super::*;

    fn nginx(server: &str) -> Option<(Running, SocketAddr, TempDir)> {
        let program = installed("nginx")?;
        let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let module = found(
            "nginx's stream module",
            Some(module).filter(|path| fs::exists(path).unwrap()),
        )?;
        let (reserved, address) = reserved();
        let directory = TempDir::new().unwrap();
        let place = directory.path().display();
        let file = directory.path().join("nginx.conf");
        let server = server.replace("ADDRESS", &address.to_string());
        let config = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr notice;\n\
             events {{}}\nstream {{ server {{ {server} }} }}\n"
        );
        fs::write(&file, config).unwrap();
        let running = start(
            Command::new(program)
                .arg("-c")
                .arg(&file)
                .arg("-p")
                .arg(directory.path()),
        );
        drop(connect(address));
        drop(reserved);
        Some((running, address, directory))
    }

    #[test]
    fn its_headers_are_understood() {
        let server = echo_behind_a_proxy();
        let pass = format!(
            "listen ADDRESS; proxy_pass {}; proxy_protocol on;",
            server.address()
        );
        let Some((_nginx, address, _directory)) = nginx(&pass) else {
            return;
        };
        let mut stream = connect(address);
        let client = stream.local_addr().unwrap();
        // It ends both halves with the first.
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        let line = server.says(&format!("peer={client} local="));
        assert!(line.contains("by the proxy 127.0.0.1:"), "{line}");
    }

    #[test]
    fn it_understands_our_headers() {
        let told = "listen ADDRESS proxy_protocol; \
                    return \"$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr\";";
        let Some((nginx, address, _directory)) = nginx(told) else {
            return;
        };
        for version in [1, 2] {
            for (family, expected) in [
                (4, "192.0.2.10:51234 198.51.100.20"),
                (6, "2001:db8::10:51234 2001:db8::20"),
            ] {
                let endpoint = format!("haproxy:version={version}:tcp:{address}");
                let answer = exchanged_for(&endpoint, Some(&somebody(family)), b"");
                assert_eq!(String::from_utf8_lossy(&answer), expected, "{}", nginx.so_far());
            }
        }
    }
}

mod curl {
    use super::*;

    #[test]
    fn its_header_is_understood() {
        let Some(program) = installed("curl") else {
            return;
        };
        let answer = r"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes";
        let server = netkit([
            "-v",
            "listen",
            "--no-stdin",
            "--send",
            answer,
            "haproxy:tcp:0:127.0.0.1",
        ]);
        let url = format!("http://{}/", server.address());
        let mut curl =
            start(Command::new(program).args(["-sS", "--noproxy", "*", "--haproxy-protocol", &url]));
        assert_eq!(curl.status(), Some(0), "{}", curl.so_far());
        let line = server.says("accepted 127.0.0.1:");
        assert!(line.contains(" through 127.0.0.1:"), "{line}");
        server.says("GET / HTTP/1.1");
    }
}

pub(crate) mod twisted {
    use super::*;

    const RECEIVER: &str = "
import sys
from twisted.internet import endpoints, protocol, reactor
class Tell(protocol.Protocol):
    def dataReceived(self, data):
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.transport.write(f'{peer.host} {peer.port} {host.host} {host.port} {data.decode()}'.encode())
        self.transport.loseConnection()
d = endpoints.serverFromString(reactor, 'haproxy:tcp:0:interface=127.0.0.1').listen(protocol.Factory.forProtocol(Tell))
def listening(port):
    print(f'listening on tcp:127.0.0.1:{port.getHost().port}', flush=True)
d.addCallback(listening)
reactor.run()
";

    /// A Python with Twisted: the one that `NETKIT_PYTHON` names, the first of the path, or the system's.
    pub(crate) fn python() -> Option<PathBuf> {
        let named = std::env::var_os("NETKIT_PYTHON").map(PathBuf::from);
        let candidates = named
            .into_iter()
            .chain(["python3".into(), "/usr/bin/python3".into()]);
        let has_it = |program: &PathBuf| {
            let probe = Command::new(program).args(["-c", "import twisted"]).output();
            probe.is_ok_and(|output| output.status.success())
        };
        found("Twisted", candidates.into_iter().find(has_it))
    }

    #[test]
    fn it_understands_our_headers() {
        let Some(python) = python() else {
            return;
        };
        let server = start(Command::new(python).args(["-c", RECEIVER]));
        let address = server.address();
        for (version, family, expected) in [
            (1, 4, "192.0.2.10 51234 198.51.100.20 443 x"),
            (2, 4, "192.0.2.10 51234 198.51.100.20 443 x"),
            (1, 6, "2001:db8::10 51234 2001:db8::20 443 x"),
            // It writes IPv6 addresses in full.
            (2, 6, "2001:db8:0:0:0:0:0:10 51234 2001:db8:0:0:0:0:0:20 443 x"),
        ] {
            let endpoint = format!("haproxy:version={version}:tcp:{address}");
            let answer = exchanged_for(&endpoint, Some(&somebody(family)), b"x");
            assert_eq!(String::from_utf8_lossy(&answer), expected, "{}", server.so_far());
        }
        // In version 1 it drops the short form of UNKNOWN, against the specification.
        let own = exchanged_for(&format!("haproxy:tcp:{address}"), None, b"x");
        let own = String::from_utf8_lossy(&own);
        assert!(own.starts_with("127.0.0.1 ") && own.ends_with(" x"), "{own}");
    }
}

mod systemd {
    use super::*;

    /// Starts netkit as a service on these sockets. It is started by the first client.
    fn activated(sockets: &[&str], names: &str, args: &[&str]) -> Option<Running> {
        let mut command = Command::new(installed("systemd-socket-activate")?);
        command.arg(format!("--fdname={names}"));
        for socket in sockets {
            command.arg("-l").arg(socket);
        }
        let running = start(command.arg(env!("CARGO_BIN_EXE_netkit")).args(args));
        running.says("Listening on ");
        Some(running)
    }

    #[test]
    fn sockets_are_served_by_index_and_by_name() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("s");
        let (_reserved, address) = reserved();
        let (one, two) = (path.to_str().unwrap(), address.to_string());
        let args = ["serve", "echo", "systemd:UNIX:0", "haproxy:systemd:INET:name=web"];
        let Some(mut server) = activated(&[one, &two], "local:web", &args) else {
            return;
        };
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello");
        server.says(&format!("listening on unix:{one}"));
        server.says(&format!("listening on haproxy:tcp:{address}"));
        assert_eq!(exchanged(connect(address), "PROXY UNKNOWN\r\nhi"), b"hi");
        let pid = rustix::process::Pid::from_child(&server.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(server.status(), Some(0));
        assert!(path.exists(), "the file belongs to systemd");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (names, endpoints, why) in [
            (
                "a",
                &["systemd:INET:1"][..],
                "no socket has index 1: 1 were passed",
            ),
            (
                "a",
                &["systemd:INET6:0"],
                "the socket passed is of domain INET, not INET6",
            ),
            (
                "a",
                &["systemd:INET:name=b"],
                "no socket is named `b`: there are a",
            ),
            (
                "a",
                &["systemd:INET:0", "systemd:INET:name=a"],
                "another endpoint has this socket already",
            ),
            (
                "a",
                &["systemd:INET:0", "fd:3"],
                "the descriptor was not left open for us",
            ),
        ] {
            let (_reserved, address) = reserved();
            let args = [&["serve", "echo"], endpoints].concat();
            let Some(mut server) = activated(&[&address.to_string()], names, &args) else {
                return;
            };
            drop(connect(address));
            assert_eq!(server.status(), Some(7), "{}", server.so_far());
            let line = server.says(why);
            assert!(line.contains("error: could not bind "), "{line}");
        }
    }

    #[test]
    fn names_that_are_ambiguous_are_refused() {
        let ((_one, one), (_two, two)) = (reserved(), reserved());
        let args = ["serve", "echo", "systemd:INET:name=a"];
        let Some(mut server) = activated(&[&one.to_string(), &two.to_string()], "a:a", &args) else {
            return;
        };
        drop(connect(one));
        assert_eq!(server.status(), Some(7), "{}", server.so_far());
        server.says("several sockets are named `a`: give the index");
    }

    #[test]
    fn lies_are_found_out() {
        for (count, why) in [
            ("1", "descriptor 3 is of no use: the descriptor is not open"),
            ("nonsense", "LISTEN_FDS is not a number of descriptors"),
            ("99999999999", "LISTEN_FDS is not a number of descriptors"),
            ("0", "no socket has index 0: 0 were passed"),
        ] {
            let script =
                format!("LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" serve echo systemd:INET:0 3<&-");
            let mut run = start(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_netkit")]));
            assert_eq!(run.status(), Some(7));
            run.says(why);
        }
        let mut run = netkit(["serve", "echo", "systemd:INET:0"]);
        assert_eq!(run.status(), Some(7));
        run.says("no sockets were passed to us: LISTEN_PID is not set");
    }
}
