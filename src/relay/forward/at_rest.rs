//! Pairs of which one end is not waited for, on real sockets.

use std::future::poll_fn;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::time::timeout;

use super::*;
use crate::connection::Facts;
use crate::connection::stream::Io;

const LONG: Duration = Duration::from_secs(30);

fn stream(io: impl Io) -> Stream {
    Stream::new(io, Facts::new(Address::Unnamed, Address::Unnamed))
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, far)
}

/// Lets the pair go on until `what` is done.
async fn beside<T>(pair: &mut Forwarding, what: impl Future<Output = T>) -> T {
    let both = async {
        tokio::select! {
            parted = pair => panic!("parted: {parted:?}"),
            done = what => done,
        }
    };
    timeout(LONG, both).await.unwrap()
}

/// Lets the pair go on until an end of it rests.
async fn rested(pair: &mut Forwarding) -> Side {
    let resting = poll_fn(|cx| {
        assert!(Pin::new(&mut *pair).poll(cx).is_pending());
        pair.rests.map_or(Poll::Pending, Poll::Ready)
    });
    timeout(LONG, resting).await.unwrap()
}

fn always_resting(client: Stream, target: Stream) -> Forwarding {
    let mut pair = forward(client, target, None);
    pair.stall = Stall::at_rest();
    pair
}

fn noise() -> Vec<u8> {
    (0..16_000_000_u32).map(|n| (n ^ (n >> 9)) as u8).collect()
}

async fn nothing_is_missed(near: impl Io, far: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let (target, mut server) = tcp().await;
    let mut pair = always_resting(stream(near), stream(target));
    let (mut client, mut writer) = tokio::io::split(far);
    let sending = tokio::spawn(async move {
        writer.write_all(&noise()).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    assert_eq!(rested(&mut pair).await, Side::Client);

    // What the other one says meanwhile arrives.
    server.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    beside(&mut pair, client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"answer");

    let mut got = vec![0; 16_000_000];
    let (first, rest) = got.split_at_mut(4_000_000);
    beside(&mut pair, server.read_exact(first)).await.unwrap();
    assert_eq!(rested(&mut pair).await, Side::Client);
    beside(&mut pair, server.read_exact(rest)).await.unwrap();
    assert!(got == noise());
    assert_eq!(beside(&mut pair, server.read(&mut [0])).await.unwrap(), 0);
    sending.await.unwrap();

    server.shutdown().await.unwrap();
    timeout(LONG, &mut pair).await.unwrap().unwrap();
    assert_eq!(
        pair.up.direction.chosen(),
        Some(Ok(())),
        "it is spliced all the time"
    );
    drop(pair);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn who_rests_misses_nothing() {
    let (near, far) = tcp().await;
    nothing_is_missed(near, far).await;
    let (near, far) = UnixStream::pair().unwrap();
    nothing_is_missed(near, far).await;
}

/// Sends without end, until it cannot.
async fn flood(mut peer: TcpStream) -> io::Error {
    loop {
        if let Err(error) = peer.write_all(&[0; 65_536]).await {
            return error;
        }
    }
}

#[tokio::test]
async fn who_rests_is_reset_all_the_same() {
    let ((near, client), (target, server)) = (tcp().await, tcp().await);
    let mut pair = always_resting(stream(near), stream(target));
    let flooding = tokio::spawn(flood(client));
    assert_eq!(rested(&mut pair).await, Side::Client);
    SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    let parted = timeout(LONG, &mut pair).await.unwrap();
    assert!(matches!(parted, Err(Parted::Lost(Side::Target, _))), "{parted:?}");
    drop(pair);
    let error = timeout(LONG, flooding).await.unwrap().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn who_rests_for_too_long_is_reset_too() {
    let ((near, client), (target, _server)) = (tcp().await, tcp().await);
    let mut pair = always_resting(stream(near), stream(target));
    let flooding = tokio::spawn(flood(client));
    rested(&mut pair).await;
    pair.idle = Some(Box::new(Idle::new(Duration::from_millis(10))));
    let parted = timeout(LONG, &mut pair).await.unwrap();
    assert!(matches!(parted, Err(Parted::Idle(_))), "{parted:?}");
    drop(pair);
    let error = timeout(LONG, flooding).await.unwrap().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_pair_that_is_dropped_while_one_rests_is_closed() {
    let ((near, client), (target, mut server)) = (tcp().await, tcp().await);
    let mut pair = always_resting(stream(near), stream(target));
    let flooding = tokio::spawn(flood(client));
    rested(&mut pair).await;
    drop(pair);
    timeout(LONG, flooding).await.unwrap().unwrap();
    let all = timeout(LONG, server.read_to_end(&mut Vec::new())).await.unwrap();
    assert!(all.unwrap() > 0);
}

fn break_off(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Says all that it has to say, and ends its half.
async fn ask(pair: &mut Forwarding, from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"ask").await.unwrap();
    from.shutdown().await.unwrap();
    let mut got = Vec::new();
    beside(pair, to.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"ask");
}

#[tokio::test]
async fn who_resets_after_his_end_has_the_other_one_reset() {
    for breaks in [Side::Client, Side::Target] {
        let ((near, client), (target, server)) = (tcp().await, tcp().await);
        let (mut first, mut second) = match breaks {
            Side::Client => (client, server),
            Side::Target => (server, client),
        };
        let mut pair = forward(stream(near), stream(target), None);
        ask(&mut pair, &mut first, &mut second).await;
        break_off(first);
        // Nothing more moves, so this is as soon as there is a look.
        tokio::time::pause();
        let parted = timeout(LONG, &mut pair).await.unwrap();
        tokio::time::resume();
        assert!(
            matches!(&parted, Err(Parted::Lost(side, error))
                if *side == breaks && error.kind() == io::ErrorKind::ConnectionReset),
            "{parted:?}"
        );
        drop(pair);
        let error = second.write_all(b"answer").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn an_answer_of_which_a_part_was_taken_is_no_good_end() {
    // In one piece, and in bulk.
    for length in [100, 50_000_000] {
        let ((near, mut client), (target, mut server)) = (tcp().await, tcp().await);
        let mut pair = forward(stream(near), stream(target), None);
        ask(&mut pair, &mut client, &mut server).await;
        let answering = tokio::spawn(async move {
            let _ = server.write_all(&vec![0; length]).await;
            server
        });
        beside(&mut pair, client.read_exact(&mut [0; 10])).await.unwrap();
        let mut server = match length {
            100 => Some(answering.await.unwrap()),
            _ => None,
        };
        break_off(client);
        if let Some(server) = &mut server {
            server.write_all(b"the rest").await.unwrap();
        }
        let parted = timeout(LONG, &mut pair).await.unwrap();
        assert!(
            matches!(&parted, Err(Parted::Lost(Side::Client, error))
                if error.kind() == io::ErrorKind::ConnectionReset),
            "{parted:?}"
        );
    }
}

#[tokio::test]
async fn who_leaves_when_no_more_than_an_end_is_to_come_has_missed_nothing() {
    let ((near, mut client), (target, mut server)) = (tcp().await, tcp().await);
    let mut pair = forward(stream(near), stream(target), None);
    ask(&mut pair, &mut client, &mut server).await;
    server.write_all(b"answer").await.unwrap();
    beside(&mut pair, client.read_exact(&mut [0; 6])).await.unwrap();
    break_off(client);
    server.shutdown().await.unwrap();
    timeout(LONG, &mut pair).await.unwrap().unwrap();
}
