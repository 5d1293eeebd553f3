//! discard: everything that arrives is thrown away, RFC 863.
//! Absent: any answer.

use std::io;

use super::{Answer, Protocol, Respond, Service, Talk, drain};
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static DISCARD: Protocol = Protocol {
    name: "discard",
    summary: "throws away what arrives (RFC 863)",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::both(Discard)),
};

#[derive(Clone, Copy)]
struct Discard;

impl Talk for Discard {
    fn talk(&self, mut stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(async move { drain(&mut stream).await })
    }
}

impl Respond for Discard {
    fn respond(&self, _request: &[u8], _answer: &mut Vec<u8>) -> Answer {
        Answer::Nothing
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::protocol::tests::pair;

    #[tokio::test]
    async fn it_takes_everything_and_ends_with_the_client() {
        let (stream, mut client) = pair(16);
        let talk = tokio::spawn(Discard.talk(stream));
        client.write_all(&[7; 100_000]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got.is_empty());
        talk.await.unwrap().unwrap();
    }
}
