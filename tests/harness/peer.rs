//! The other side of a wire, played by the test with plain sockets.
//! Absent: anything of ours, so that both sides cannot be wrong in the same way.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{A_MOMENT, PATIENCE, eventually};

/// A connection to a server of ours, with a deadline on all that is read and written.
pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    patient(stream)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A listener on a port that the system picked, and the endpoint string that leads there.
pub(crate) fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// The next client of a listener.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let stream = eventually("a client", || match listener.accept() {
        Ok((stream, _)) => Some(stream),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("could not accept: {error}"),
    });
    stream.set_nonblocking(false).unwrap();
    patient(stream)
}

/// A port that refuses connections for as long as the socket lives: it is taken, but nobody listens.
pub(crate) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A port that answers nobody: it listens, but its backlog is full of clients that are never accepted.
pub(crate) fn deaf() -> (Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..16 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let full = client.connect_timeout(&address, A_MOMENT).is_err();
        held.push(client);
        if full {
            return (held, address.as_socket().unwrap());
        }
    }
    panic!("the backlog takes clients without end");
}

/// Breaks the connection off with a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Reads exactly so many bytes.
pub(crate) fn read(mut stream: impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads to the end.
pub(crate) fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Says something, ends its half, and reads what the other side has to say.
pub(crate) fn ask(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = dial(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_all(stream)
}

/// That a server echoes on this connection.
#[track_caller]
pub(crate) fn assert_echo(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    assert_eq!(read(stream, bytes.len()), bytes);
}

/// Tries again where a signal interrupted the attempt: a socket with a time limit says so even of one that only let
/// this process go on after it was stopped.
pub(crate) fn undisturbed<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// That nothing comes for a moment.
#[track_caller]
pub(crate) fn assert_silent(stream: &TcpStream) {
    stream.set_read_timeout(Some(A_MOMENT)).unwrap();
    let error = undisturbed(|| (&mut &*stream).read(&mut [0])).expect_err("nothing was to come");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// That the connection is gone: its end or a reset, and no byte before.
#[track_caller]
pub(crate) fn assert_gone(mut stream: &TcpStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("a byte came instead of the end"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// Waits until nobody listens there any more.
pub(crate) fn await_refusal(address: SocketAddr) {
    eventually("connections to be refused", || {
        let error = TcpStream::connect_timeout(&address, PATIENCE).err()?;
        (error.kind() == io::ErrorKind::ConnectionRefused).then_some(())
    });
}

/// So many bytes without a pattern that a mistake could hide in (xorshift64).
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A stream of either family, so that one test does for all.
pub(crate) trait Wire: Read + Write + Send {
    /// Ends our half.
    fn end(&mut self);
    /// Another handle on the same connection.
    fn another(&self) -> Box<dyn Wire>;
    fn limit_reads(&self, limit: Duration);

    /// That nothing comes for a moment.
    fn assert_silent(&mut self) {
        self.limit_reads(A_MOMENT);
        let error = undisturbed(|| self.read(&mut [0])).expect_err("nothing was to come");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        self.limit_reads(PATIENCE);
    }
}

macro_rules! wire {
    ($stream:ty) => {
        impl Wire for $stream {
            fn end(&mut self) {
                self.shutdown(Shutdown::Write).unwrap();
            }
            fn another(&self) -> Box<dyn Wire> {
                Box::new(self.try_clone().unwrap())
            }
            fn limit_reads(&self, limit: Duration) {
                self.set_read_timeout(Some(limit)).unwrap();
            }
        }
    };
}

wire!(TcpStream);
wire!(UnixStream);

/// A connection to the server that a client string leads to: `tcp:`, `tcp6:` or `unix:`.
pub(crate) fn dial_endpoint(endpoint: &str) -> Box<dyn Wire> {
    let Some(path) = endpoint.strip_prefix("unix:") else {
        return Box::new(dial(super::address(endpoint)));
    };
    let stream = match path.strip_prefix('@') {
        None => UnixStream::connect(path).unwrap(),
        Some(name) => UnixStream::connect_addr(&UnixAddress::from_abstract_name(name).unwrap()).unwrap(),
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}
