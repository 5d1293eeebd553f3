//! drop: accept and close.
//! Absent: a word.

use std::io;

use super::{Protocol, Service, Talk};
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static DROP: Protocol = Protocol {
    name: "drop",
    summary: "accepts and closes",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::streams(Drop)),
};

struct Drop;

impl Talk for Drop {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(async move {
            // At once, and without reading: the client is to see a server that wants nothing of it.
            drop(stream);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::protocol::tests::pair;

    #[tokio::test]
    async fn the_client_sees_the_end_at_once() {
        let (stream, mut client) = pair(64);
        Drop.talk(stream).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
