//! What was written to a peer that is about to be reset, and that it has not taken: a reset would cost it that.
//! Absent: why it is reset.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::getpeername;
use tokio::time::{Instant, sleep};

use super::bare::{Bare, Reach};
use super::stall::TAKES_NOTHING;
use crate::connection::Wire;
use crate::kernel;
use crate::transport::given::Given;

/// The first pause between two looks at what is left: the system tells nobody when the last of it is taken.
const ASK_FIRST: Duration = Duration::from_millis(2);

/// The longest such pause; each is twice the one before.
const ASK: Duration = Duration::from_millis(250);

/// Whether it is on TCP, whatever stands in front of that.
pub(super) fn knows_resets(wire: &Wire) -> bool {
    Bare::reached(wire, Given::sink, Reach::Carrier).is_ok_and(|socket| socket.is_tcp())
}

/// Bytes in a connection that a reset would drop, if it is one that knows resets.
pub(super) fn owed(to: &Wire) -> usize {
    match Bare::reached(to, Given::sink, Reach::Carrier) {
        // One that was reset keeps its count for good, and has no peer any more.
        Ok(socket) if socket.is_tcp() && getpeername(socket).is_ok() => {
            kernel::unsent(socket.as_fd()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Returns when nothing is `owed` any more, or none of it was taken for [`TAKES_NOTHING`], or for `idle`.
pub(super) async fn taken(owed: impl Fn() -> usize, idle: Option<Duration>) {
    let patience = idle.map_or(TAKES_NOTHING, |idle| idle.min(TAKES_NOTHING));
    let (mut left, mut since, mut ask) = (owed(), Instant::now(), ASK_FIRST);
    while left > 0 && since.elapsed() < patience {
        sleep(ask).await;
        ask = (2 * ask).min(ASK);
        let now = owed();
        if now != left {
            (left, since) = (now, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::connection::{Address, Facts, Stream};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_where_nothing_is_owed() {
        let start = Instant::now();
        taken(|| 0, None).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_it_slowly_gets_it_all() {
        let (start, asked) = (Instant::now(), Cell::new(0));
        // A byte every 25 s.
        let owed = || {
            asked.set(asked.get() + 1);
            10_usize.saturating_sub(start.elapsed().as_secs() as usize / 25)
        };
        taken(owed, None).await;
        assert_eq!(start.elapsed().as_secs(), 250);
        assert!(asked.get() < 1100, "asked {} times", asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_nothing_is_not_waited_for_for_ever() {
        let second = Duration::from_secs(1);
        for (idle, limit) in [
            (None, TAKES_NOTHING),
            (Some(second), second),
            (Some(TAKES_NOTHING * 2), TAKES_NOTHING),
        ] {
            let start = Instant::now();
            taken(|| 1, idle).await;
            assert!(start.elapsed() >= limit);
            assert!(start.elapsed() < limit + ASK);
        }
    }

    #[tokio::test]
    async fn nothing_is_owed_to_one_who_has_broken_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = listener.accept().await.unwrap().0;
        let mut near = Stream::new(near, Facts::new(Address::Unnamed, Address::Unnamed));
        // More than the far end's kernel takes by itself.
        let much = vec![0; 1 << 20];
        while timeout(Duration::from_millis(50), near.write_all(&much))
            .await
            .is_ok()
        {}
        assert!(owed(near.wire()) > 0);
        // With so much unread it is a reset.
        drop(far);
        let gone = async {
            while owed(near.wire()) > 0 {
                sleep(ASK_FIRST).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
