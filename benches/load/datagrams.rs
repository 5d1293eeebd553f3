//! Datagrams there and back through a relay, many to a system call on our side, so that the relay's side counts.
//! Absent: their order; what does not come back in time is lost.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::{LocalSet, spawn_local};

use crate::Load;

/// Longer than any answer over loopback takes.
const LATE: Duration = Duration::from_millis(50);

/// What a group of datagrams received in one takes at most.
const GROUP: usize = 65_536;

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    room: Vec<Vec<u8>>,
    metas: Vec<RecvMeta>,
}

impl Socket {
    async fn bound(at: SocketAddr) -> io::Result<Socket> {
        let socket = UdpSocket::bind(at).await?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Socket {
            socket,
            state,
            room: vec![vec![0; GROUP]; BATCH_SIZE],
            metas: vec![RecvMeta::default(); BATCH_SIZE],
        })
    }

    /// Waits for something, and takes all that came with it: the groups are the first so many of `room`.
    async fn receive(&mut self) -> io::Result<usize> {
        let Socket {
            socket,
            state,
            room,
            metas,
        } = self;
        let mut slices: Vec<_> = room.iter_mut().map(|room| IoSliceMut::new(room)).collect();
        socket
            .async_io(Interest::READABLE, || {
                state.recv(UdpSockRef::from(&*socket), &mut slices, metas)
            })
            .await
    }

    /// Sends datagrams of one size, which lie end to end.
    async fn send(&self, destination: SocketAddr, contents: &[u8], size: usize) -> io::Result<()> {
        let most = self.state.max_gso_segments().min(GROUP / size - 1).max(1);
        for group in contents.chunks(most * size) {
            let transmit = Transmit {
                destination,
                ecn: None,
                contents: group,
                segment_size: Some(size),
                src_ip: None,
            };
            self.socket
                .async_io(Interest::WRITABLE, || {
                    self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
                })
                .await?;
        }
        Ok(())
    }
}

async fn echo(mut socket: Socket) -> io::Result<()> {
    loop {
        let groups = socket.receive().await?;
        for group in 0..groups {
            let meta = socket.metas[group];
            if meta.len > 0 {
                let contents = &socket.room[group][..meta.len];
                socket.send(meta.addr, contents, meta.stride).await?;
            }
        }
    }
}

async fn ask(
    mut socket: Socket,
    to: SocketAddr,
    size: usize,
    window: usize,
    back: Rc<Cell<u64>>,
    lost: Rc<Cell<u64>>,
) -> io::Result<()> {
    let contents = vec![7; size * window];
    let mut under_way = 0;
    loop {
        // Half the window at once: groups stay groups.
        if under_way <= window / 2 {
            socket.send(to, &contents[under_way * size..], size).await?;
            under_way = window;
        }
        match tokio::time::timeout(LATE, socket.receive()).await {
            Ok(groups) => {
                let metas = &socket.metas[..groups?];
                let came: usize = metas
                    .iter()
                    .map(|meta| meta.len.div_ceil(meta.stride.max(1)))
                    .sum();
                back.set(back.get() + came as u64);
                under_way = under_way.saturating_sub(came);
            }
            Err(_) => {
                lost.set(lost.get() + under_way as u64);
                under_way = 0;
            }
        }
    }
}

/// Datagrams that came back: a second, and in all; and how many were lost.
pub(crate) async fn run(load: &Load, size: usize, window: usize) -> io::Result<(f64, u64, u64)> {
    if size == 0 || size > 1472 || window == 0 {
        return Err(io::Error::other(
            "datagrams of 1 to 1472 bytes, at least one under way",
        ));
    }
    let (back, lost) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let tasks = LocalSet::new();
    let running = tasks.run_until(async {
        spawn_local(echo(Socket::bound(load.far).await?));
        for _ in 0..load.connections {
            let local = SocketAddr::new(load.to.ip(), 0);
            let socket = Socket::bound(local).await?;
            spawn_local(ask(socket, load.to, size, window, back.clone(), lost.clone()));
        }
        io::Result::Ok(load.measured(|| back.get()).await)
    });
    let (rate, total) = running.await?;
    Ok((rate, total, lost.get()))
}
