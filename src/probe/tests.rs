//! Attempts against sockets of this machine.

use std::net::TcpListener;

use super::*;

fn endpoint(text: &str) -> ClientEndpoint {
    ClientEndpoint::parse(text.as_ref()).unwrap()
}

fn brief() -> Terms {
    Terms {
        limit: Duration::from_millis(200),
        ..Terms::default()
    }
}

fn listener() -> (TcpListener, ClientEndpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = endpoint(&format!("tcp:{}", listener.local_addr().unwrap()));
    (listener, endpoint)
}

#[tokio::test]
async fn an_open_port_takes_one_attempt() {
    let (_listener, endpoint) = listener();
    let arrival = until(&endpoint, &brief()).await.unwrap();
    assert_eq!(arrival.attempts, 1);
}

#[tokio::test]
async fn a_closed_one_is_tried_until_the_limit() {
    let (listener, endpoint) = listener();
    drop(listener);
    let error = until(&endpoint, &brief()).await.unwrap_err();
    assert_eq!(
        (error.status(), error.why()),
        (Status::Timeout, "connection refused")
    );
}

#[tokio::test]
async fn it_is_gone_when_it_is_refused() {
    let (listener, endpoint) = listener();
    let error = until_gone(&endpoint, &brief()).await.unwrap_err();
    assert_eq!(error.why(), "it still accepts");
    drop(listener);
    assert_eq!(
        until_gone(&endpoint, &brief()).await.unwrap().why,
        "connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn the_waits_double_up_to_the_interval() {
    let (_listener, endpoint) = listener();
    let terms = Terms::default();
    let mut attempts = Attempts::of(&endpoint, &terms);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        attempts.rest(None).await;
        waits.push(start.elapsed().as_millis());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
    // The last look at what has to be stable comes in time, and none after the limit.
    let start = Instant::now();
    attempts.rest(Some(start + Duration::from_millis(7))).await;
    assert_eq!(start.elapsed().as_millis(), 7);
    tokio::time::advance(terms.limit).await;
    let late = Instant::now();
    attempts.rest(None).await;
    assert_eq!(late.elapsed(), Duration::ZERO);
}
