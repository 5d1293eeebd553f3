//! A relay of datagrams as it is first written, to be measured against: a socket for each peer, and a system call for each
//! datagram that comes and for each that goes. Absent: an end of any peer.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use rustix::event::{PollFd, PollFlags, poll};

/// Longer than any datagram.
const ROOM: usize = 65_536;

/// Datagrams of one socket before the next gets its turn.
const PER_TURN: u32 = 32;

struct Peer {
    address: SocketAddr,
    socket: UdpSocket,
}

/// Forwards what comes to `listen` to `far`, and back, for ever.
pub(crate) fn relay(listen: SocketAddr, far: SocketAddr) -> io::Result<()> {
    let listener = UdpSocket::bind(listen)?;
    listener.set_nonblocking(true)?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut known: HashMap<SocketAddr, usize> = HashMap::new();
    let mut buf = vec![0; ROOM];
    loop {
        let sockets = std::iter::once(&listener).chain(peers.iter().map(|peer| &peer.socket));
        let mut waited: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        poll(&mut waited, None)?;
        let ready: Vec<_> = waited.iter().map(|one| !one.revents().is_empty()).collect();
        if ready[0] {
            for _ in 0..PER_TURN {
                let Some((length, from)) = there(listener.recv_from(&mut buf))? else {
                    break;
                };
                let place = match known.get(&from) {
                    Some(place) => *place,
                    None => {
                        let socket = UdpSocket::bind(SocketAddr::new(listen.ip(), 0))?;
                        socket.connect(far)?;
                        socket.set_nonblocking(true)?;
                        peers.push(Peer {
                            address: from,
                            socket,
                        });
                        known.insert(from, peers.len() - 1);
                        peers.len() - 1
                    }
                };
                there(peers[place].socket.send(&buf[..length]))?;
            }
        }
        for (peer, ready) in peers.iter().zip(&ready[1..]) {
            for _ in 0..if *ready { PER_TURN } else { 0 } {
                let Some(length) = there(peer.socket.recv(&mut buf))? else {
                    break;
                };
                there(listener.send_to(&buf[..length], peer.address))?;
            }
        }
    }
}

/// `None`: nothing is there, there is no room, or an earlier datagram did not arrive. What is lost is counted by the load.
fn there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Err(error) => Err(error),
    }
}
