use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::connection::{Address, Facts};

const MS: Duration = Duration::from_millis(1);

fn pair(faults: Faults, room: usize) -> (DuplexStream, Stream) {
    let (far, near) = duplex(room);
    let stream = Stream::new(near, Facts::new(Address::Unnamed, Address::Unnamed));
    (far, faulty(stream, &faults, 1))
}

fn rate(rate: u64) -> Faults {
    Faults {
        rate: NonZeroU64::new(rate),
        ..Faults::default()
    }
}

fn delay(delay: Duration) -> Faults {
    Faults {
        delay,
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn every_byte_and_the_end_are_late_by_the_delay() {
    let (mut far, mut near) = pair(delay(100 * MS), 1024);
    let start = Instant::now();
    let feed = async {
        far.write_all(b"one").await.unwrap();
        sleep(30 * MS).await;
        far.write_all(b"two").await.unwrap();
        sleep(30 * MS).await;
        far.shutdown().await.unwrap();
    };
    let take = async {
        let mut seen = Vec::new();
        let mut buf = [0; 16];
        loop {
            let read = near.read(&mut buf).await.unwrap();
            seen.push((start.elapsed().as_millis(), buf[..read].to_vec()));
            if read == 0 {
                return seen;
            }
        }
    };
    let (_, seen) = tokio::join!(feed, take);
    let times: Vec<u128> = seen.iter().map(|(time, _)| *time).collect();
    let all: Vec<u8> = seen.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(all, b"onetwo");
    // A timer is late by a millisecond at most.
    for (time, due) in times.iter().zip([100, 130, 160]) {
        assert!((due..=due + 1).contains(time), "{times:?}");
    }
    assert_eq!(times.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_after_what_came_before_it() {
    let inner = broken_off();
    let stream = Stream::new(inner, Facts::new(Address::Unnamed, Address::Unnamed));
    let mut near = faulty(stream, &delay(50 * MS), 1);
    let start = Instant::now();
    let mut buf = [0; 16];
    assert_eq!(near.read(&mut buf).await.unwrap(), 3);
    let error = near.read(&mut buf).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(start.elapsed() >= 50 * MS);
}

/// Gives `abc`, then a reset.
fn broken_off() -> impl Io {
    struct Broken(u8);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0 += 1;
            if self.0 > 1 {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            buf.put_slice(b"abc");
            Poll::Ready(Ok(()))
        }
    }
    impl AsyncWrite for Broken {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    Broken(0)
}

#[tokio::test(start_paused = true)]
async fn a_second_carries_what_the_rate_says() {
    for bytes in [500_u64, 10 * 1024, 1_000_000, 100_000_000] {
        let (mut far, mut near) = pair(rate(bytes), 1 << 20);
        let feed = tokio::spawn(async move {
            let chunk = vec![7; 1 << 16];
            while far.write_all(&chunk).await.is_ok() {}
        });
        let start = Instant::now();
        let (mut got, mut quarters) = (0_u64, Vec::new());
        let mut buf = vec![0; 1 << 18];
        let mut timed = Box::pin(sleep(Duration::from_secs(1)));
        loop {
            tokio::select! {
                biased;
                read = near.read(&mut buf) => {
                    got += read.unwrap() as u64;
                    let quarter = (start.elapsed().as_millis() / 250) as usize;
                    if quarters.len() < quarter { quarters.push(got); }
                }
                () = &mut timed => break,
            }
        }
        let near_enough = |got: u64, part: f64| (got as f64 / (bytes as f64 * part) - 1.0).abs();
        assert!(near_enough(got, 1.0) <= 0.02, "{bytes}: {got}");
        for (number, quarter) in quarters.iter().enumerate() {
            let part = (number + 1) as f64 / 4.0;
            assert!(near_enough(*quarter, part) <= 0.06, "{bytes}: {quarters:?}");
        }
        feed.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_stays_with_the_sender() {
    for (faults, most) in [
        (rate(1), RIPE_MAX + READ),
        (delay(Duration::from_secs(3600)), UNDER_WAY_MAX),
    ] {
        let (mut far, mut near) = pair(faults, 1024);
        let feed = tokio::spawn(async move {
            let mut fed = 0;
            while let Ok(Ok(written)) = tokio::time::timeout(MS, far.write(&[1; 1000])).await {
                fed += written;
            }
            fed
        });
        let read = tokio::time::timeout(500 * MS, near.read(&mut [0; 10])).await;
        assert!(read.is_err());
        let fed = feed.await.unwrap();
        assert!(fed <= most + 1024 && fed >= most / 2, "{fed} bytes were taken");
    }
}

#[tokio::test(start_paused = true)]
async fn single_bytes_are_bounded_too() {
    let (mut far, near) = pair(delay(Duration::from_secs(3600)), 1);
    let mut near = near;
    let feed = tokio::spawn(async move {
        let mut fed = 0_usize;
        while tokio::time::timeout(5 * MS, far.write_all(b"x")).await.is_ok() {
            fed += 1;
            sleep(2 * MS).await;
        }
        fed
    });
    let read = tokio::time::timeout(Duration::from_secs(600), near.read(&mut [0; 10])).await;
    assert!(read.is_err());
    let fed = feed.await.unwrap();
    assert!((PIECES_MAX..=PIECES_MAX + 2).contains(&fed), "{fed}");
}

#[tokio::test(start_paused = true)]
async fn exactly_so_many_bytes_then_a_failure_that_says_so() {
    for (limit, delay) in [(0, 0), (1, 0), (100_000, 0), (100_000, 20)] {
        let faults = Faults {
            close_after: Some(limit),
            delay: delay * MS,
            ..Faults::default()
        };
        let (mut far, mut near) = pair(faults, 1 << 20);
        far.write_all(&[3; 200_000]).await.unwrap();
        let mut got = Vec::new();
        let error = near.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(CloseAfter::caused(&error), Some(limit));
        assert_eq!(got.len() as u64, limit);
        // What is read on is thrown away by whoever closes; the end can be waited for.
        drop(far);
        near.read_to_end(&mut got).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_limit_is_an_end() {
    let faults = Faults {
        close_after: Some(10),
        ..Faults::default()
    };
    let (mut far, mut near) = pair(faults, 64);
    far.write_all(b"short").await.unwrap();
    drop(far);
    let mut got = Vec::new();
    near.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"short");
}

#[tokio::test(start_paused = true)]
async fn the_bare_stream_is_hidden_but_found_beneath() {
    let (_far, near) = pair(delay(MS), 64);
    assert!(near.downcast_ref::<DuplexStream>().is_none());
    assert!(near.beneath::<DuplexStream>().is_some());
    let (_far, early) = duplex(64);
    let early = Stream::new(early, Facts::new(Address::Unnamed, Address::Unnamed));
    let mut early = faulty(early.preceded_by(b"abc".to_vec()), &delay(MS), 1);
    assert!(early.beneath::<DuplexStream>().is_some());
    let mut got = [0; 3];
    early.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"abc");
    let opaque = near.map(|io| io);
    assert!(opaque.beneath::<DuplexStream>().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_arrive_in_order_and_not_too_early(
        pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..600), 0_u32..20), 0..20),
        (delay, jitter, rate, corrupt) in (0_u32..30, 0_u32..30, proptest::option::of(1_000_u64..1 << 30), any::<bool>()),
        take in 1_usize..700,
        wire in 1_usize..2000,
        seed: u64,
    ) {
        let faults = Faults {
            delay: delay * MS,
            jitter: jitter * MS,
            rate: rate.and_then(NonZeroU64::new),
            close_after: None,
            corrupt: corrupt.then(|| NonZeroU64::new(50).unwrap()),
        };
        let sent: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (got, late) = runtime.block_on(async move {
            let (mut far, near) = duplex(wire);
            let stream = Stream::new(near, Facts::new(Address::Unnamed, Address::Unnamed));
            let mut near = faulty(stream, &faults, seed);
            let feed = async {
                for (bytes, wait) in pieces {
                    far.write_all(&bytes).await.unwrap();
                    sleep(wait * MS).await;
                }
                far.shutdown().await.unwrap();
                Instant::now()
            };
            let read = async {
                let mut got = Vec::new();
                let mut buf = vec![0; take];
                loop {
                    match near.read(&mut buf).await.unwrap() {
                        0 => return (got, Instant::now()),
                        read => got.extend_from_slice(&buf[..read]),
                    }
                }
            };
            let (ended, (got, seen)) = tokio::join!(feed, read);
            (got, seen - ended)
        });
        prop_assert!(late >= delay * MS);
        let mut expected = sent;
        if corrupt {
            Corrupt::new(NonZeroU64::new(50).unwrap(), Chance::branch(seed, 1)).apply(&mut expected);
        }
        prop_assert_eq!(got, expected);
    }
}
