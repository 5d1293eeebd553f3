//! Flows over real sockets.
//! Absent: what a relay makes of them.

use std::future::poll_fn;
use std::net::UdpSocket;
use std::task::Waker;

use super::super::queue::WAITING_MAX;
use super::table::BACKLOG;
use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn flows(at: &str, settings: Settings) -> (Flows, SocketAddr) {
    let datagrams = Datagrams::from_std(UdpSocket::bind(at).unwrap()).unwrap();
    let address = datagrams.local_addr();
    (Flows::with(datagrams, settings, None), address)
}

fn client(to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(to).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

async fn accept(flows: &mut Flows) -> Datagram {
    let accepted = tokio::time::timeout(LIMIT, poll_fn(|cx| flows.poll_accept(cx))).await;
    match accepted.unwrap().unwrap().unwrap().stage {
        Stage::Established(Connection::Datagram(flow)) => flow,
        _ => panic!("no flow"),
    }
}

async fn recv(flow: &mut Datagram) -> Option<Vec<u8>> {
    let mut buf = vec![0; 65_536];
    let length = tokio::time::timeout(LIMIT, flow.recv(&mut buf))
        .await
        .unwrap()
        .unwrap()?;
    buf.truncate(length);
    Some(buf)
}

#[tokio::test]
async fn each_peer_is_a_connection_with_its_edges() {
    let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
    let (one, two) = (client(to), client(to));
    one.send(b"a").unwrap();
    two.send(b"").unwrap();
    one.send(b"bc").unwrap();
    let (mut first, mut second) = (accept(&mut listener).await, accept(&mut listener).await);
    assert_eq!(first.facts().peer, one.local_addr().unwrap().into());
    assert_eq!(second.facts().local, to.into());
    assert_eq!(recv(&mut first).await.unwrap(), b"a");
    assert_eq!(recv(&mut first).await.unwrap(), b"bc");
    assert_eq!(recv(&mut second).await.unwrap(), b"");
    second.send(b"for two").await.unwrap();
    first.send(b"").await.unwrap();
    let mut buf = [0; 16];
    assert_eq!((two.recv(&mut buf).unwrap(), one.recv(&mut buf).unwrap()), (7, 0));
}

#[tokio::test]
async fn a_slow_flow_loses_its_own_datagrams_only() {
    let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
    let (slow, quick) = (client(to), client(to));
    slow.send(b"slow").unwrap();
    let mut slow_flow = accept(&mut listener).await;
    quick.send(&[0]).unwrap();
    let mut quick_flow = accept(&mut listener).await;
    recv(&mut quick_flow).await;
    for round in 0..40_u8 {
        for _ in 0..20 {
            slow.send(b"more").unwrap();
        }
        quick.send(&[round]).unwrap();
        assert_eq!(recv(&mut quick_flow).await.unwrap(), [round]);
    }
    assert_eq!(recv(&mut slow_flow).await.unwrap(), b"slow");
    for _ in 1..WAITING_MAX {
        assert_eq!(recv(&mut slow_flow).await.unwrap(), b"more");
    }
    slow.send(b"last").unwrap();
    assert_eq!(recv(&mut slow_flow).await.unwrap(), b"last");
}

#[tokio::test]
async fn a_flow_goes_on_when_nobody_accepts_any_more() {
    let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
    let (one, other) = (client(to), client(to));
    one.send(b"1").unwrap();
    let mut flow = accept(&mut listener).await;
    drop(listener);
    other.send(b"nobody listens").unwrap();
    one.send(b"2").unwrap();
    assert_eq!(recv(&mut flow).await.unwrap(), b"1");
    assert_eq!(recv(&mut flow).await.unwrap(), b"2");
    drop(flow);
    // With its last owner the socket is closed.
    let freed = async {
        while UdpSocket::bind(to).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, freed).await.unwrap();
}

#[tokio::test]
async fn there_are_no_more_flows_than_allowed() {
    let (mut listener, to) = flows(
        "127.0.0.1:0",
        Settings {
            flows_max: 2,
            ..Settings::default()
        },
    );
    let clients = [client(to), client(to), client(to)];
    for client in &clients {
        client.send(b"x").unwrap();
    }
    let (first, mut second) = (accept(&mut listener).await, accept(&mut listener).await);
    clients[1].send(b"y").unwrap();
    assert_eq!(
        (recv(&mut second).await.unwrap(), recv(&mut second).await.unwrap()),
        (b"x".to_vec(), b"y".to_vec())
    );
    assert_eq!(listener.shared.table().len(), 2);
    drop(first);
    clients[2].send(b"z").unwrap();
    assert_eq!(recv(&mut accept(&mut listener).await).await.unwrap(), b"z");
}

#[tokio::test]
async fn the_backlog_is_bounded() {
    let (listener, to) = flows("127.0.0.1:0", Settings::default());
    let clients: Vec<_> = (0..BACKLOG + 9).map(|_| client(to)).collect();
    for (at, client) in clients.iter().enumerate() {
        client.send(b"x").unwrap();
        while listener.shared.table().backlog.len() < (at + 1).min(BACKLOG) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(listener.shared.table().len(), BACKLOG);
}

#[tokio::test]
async fn an_idle_flow_ends_and_its_peer_may_begin_anew() {
    let idle = Some(Duration::from_millis(100));
    let (mut listener, to) = flows(
        "127.0.0.1:0",
        Settings {
            idle,
            ..Settings::default()
        },
    );
    let client = client(to);
    client.send(b"x").unwrap();
    let mut flow = accept(&mut listener).await;
    assert_eq!(recv(&mut flow).await.unwrap(), b"x");
    assert_eq!(recv(&mut flow).await, None);
    client.send(b"y").unwrap();
    let mut again = accept(&mut listener).await;
    drop(flow);
    assert_eq!(recv(&mut again).await.unwrap(), b"y");
    client.send(b"z").unwrap();
    assert_eq!(recv(&mut again).await.unwrap(), b"z");
}

#[tokio::test]
async fn a_flow_that_nobody_accepts_in_time_is_forgotten() {
    let idle = Some(Duration::from_millis(30));
    let (mut listener, to) = flows(
        "127.0.0.1:0",
        Settings {
            idle,
            ..Settings::default()
        },
    );
    client(to).send(b"x").unwrap();
    let came_and_went = async {
        for waiting in [1, 0] {
            while listener.shared.table().backlog.len() != waiting {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(LIMIT, came_and_went).await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(listener.poll_accept(&mut cx).is_pending());
}

#[tokio::test]
async fn a_peer_that_writes_to_two_addresses_has_a_flow_for_each() {
    let (mut listener, bound) = flows("0.0.0.0:0", Settings::default());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    for to in ["127.0.0.1", "127.0.0.2"] {
        let to: SocketAddr = SocketAddr::new(to.parse().unwrap(), bound.port());
        client.send_to(b"x", to).unwrap();
        let mut flow = accept(&mut listener).await;
        assert_eq!(flow.facts().local, to.into());
        flow.send(b"y").await.unwrap();
        assert_eq!(client.recv_from(&mut [0; 4]).unwrap(), (1, to));
    }
}

#[tokio::test]
async fn accepting_and_receiving_can_be_given_up_without_loss() {
    let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(listener.poll_accept(&mut cx).is_pending());
    let client = client(to);
    client.send(b"x").unwrap();
    let mut flow = accept(&mut listener).await;
    assert_eq!(recv(&mut flow).await.unwrap(), b"x");
    assert!(flow.poll_recv(&mut cx, &mut [0; 4]).is_pending());
    client.send(b"y").unwrap();
    assert_eq!(recv(&mut flow).await.unwrap(), b"y");
}
