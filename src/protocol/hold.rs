//! hold: accept, ignore what arrives, say nothing.
//! Absent: an end of our own, until the client has been gone for a while.

use std::io;
use std::time::Duration;

use super::{Protocol, Service, Talk, drain};
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static HOLD: Protocol = Protocol {
    name: "hold",
    summary: "accepts, ignores what arrives and says nothing; ends 10s after the client has",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::streams(Hold)),
};

/// A client that ended its half may still wait for an answer, or be gone: the two look the same from here. This long
/// it is left waiting.
const AFTER_THE_END: Duration = Duration::from_secs(10);

struct Hold;

impl Talk for Hold {
    fn talk(&self, mut stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(async move {
            drain(&mut stream).await?;
            tokio::time::sleep(AFTER_THE_END).await;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;
    use crate::protocol::tests::pair;

    #[tokio::test(start_paused = true)]
    async fn silence_outlasts_the_clients_half_for_a_while() {
        let (stream, mut client) = pair(64);
        let talk = tokio::spawn(Hold.talk(stream));
        client.write_all(&[0; 1000]).await.unwrap();
        client.shutdown().await.unwrap();
        let start = Instant::now();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(start.elapsed(), AFTER_THE_END);
        talk.await.unwrap().unwrap();
    }
}
