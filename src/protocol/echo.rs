//! echo: everything that arrives goes back, RFC 862.
//! Absent: a buffer while nothing flows.

use std::future::poll_fn;
use std::io;

use super::{Answer, Protocol, Respond, Service, Talk};
use crate::connection::pump::Pump;
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static ECHO: Protocol = Protocol {
    name: "echo",
    summary: "sends back what arrives (RFC 862)",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::both(Echo)),
};

#[derive(Clone, Copy)]
struct Echo;

impl Talk for Echo {
    /// Answers everything that was sent, then ends our half.
    fn talk(&self, mut stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        let mut pump = Pump::default();
        Box::pin(poll_fn(move |cx| {
            pump.poll(cx, &mut stream).map_err(io::Error::from)
        }))
    }
}

impl Respond for Echo {
    fn respond(&self, _request: &[u8], _answer: &mut Vec<u8>) -> Answer {
        Answer::Request
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::protocol::tests::pair;

    #[tokio::test]
    async fn what_was_sent_before_the_end_comes_back_before_the_end() {
        let (stream, mut client) = pair(16);
        let talk = tokio::spawn(Echo.talk(stream));
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(write, reader.read_to_end(&mut got));
        read.unwrap();
        assert_eq!(got, expected);
        talk.await.unwrap().unwrap();
    }
}
