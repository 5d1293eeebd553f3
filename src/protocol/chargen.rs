//! chargen: lines of a rotating pattern for as long as the client takes them, RFC 864.
//! Absent: any use of what the client sends; it is read and thrown away.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Answer, Protocol, Respond, Service, Talk};
use crate::connection::pump::with_scratch;
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static CHARGEN: Protocol = Protocol {
    name: "chargen",
    summary: "sends lines of a rotating pattern without end (RFC 864)",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::both(Chargen::default())),
};

/// The printable ASCII characters, blank included.
const PRINTABLE: usize = 95;
/// Characters of a line, before its CRLF.
const LINE: usize = 72;
/// After as many lines as there are characters the pattern repeats.
const PERIOD: usize = PRINTABLE * (LINE + 2);
/// Periods kept in memory, so that a write is large.
const PERIODS: usize = 10;
/// Writes before other tasks get a turn.
const WRITES_PER_TURN: u32 = 16;
/// RFC 864: a datagram holds 0 to 512 characters.
const DATAGRAM_MAX: usize = 512;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut pattern = Vec::with_capacity(PERIOD * PERIODS);
    for line in 0..PRINTABLE * PERIODS {
        pattern.extend((0..LINE).map(|column| b' ' + ((line + column) % PRINTABLE) as u8));
        pattern.extend_from_slice(b"\r\n");
    }
    pattern
});

#[derive(Default)]
struct Chargen {
    /// Datagrams answered: the lengths of the answers vary with it.
    answered: AtomicUsize,
}

impl Talk for Chargen {
    fn talk(&self, mut stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        let (mut at, mut client_ended) = (0, false);
        Box::pin(poll_fn(move |cx| {
            // Read first: a client that never reads must not hide that it is gone.
            if !client_ended {
                client_ended = poll_discard(&mut stream, cx)?;
            }
            for _ in 0..WRITES_PER_TURN {
                match Pin::new(&mut stream).poll_write(cx, &PATTERN[at..]) {
                    Poll::Ready(written) => at = (at + written?) % PATTERN.len(),
                    Poll::Pending => {
                        // Layers such as TLS must not sit on what they took.
                        return match Pin::new(&mut stream).poll_flush(cx) {
                            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                            _ => Poll::Pending,
                        };
                    }
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}

/// Throws away what is there; says whether the client has ended.
fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<bool> {
    with_scratch(|scratch| {
        let mut buf = ReadBuf::new(scratch);
        match Pin::new(stream).poll_read(cx, &mut buf) {
            Poll::Pending => Ok(false),
            Poll::Ready(read) => {
                read?;
                // There may be more: come back for it.
                cx.waker().wake_by_ref();
                Ok(buf.filled().is_empty())
            }
        }
    })
}

impl Respond for Chargen {
    fn respond(&self, _request: &[u8], answer: &mut Vec<u8>) -> Answer {
        // A stride prime to 513 visits every length from 0 to 512 before one comes again.
        let turn = self.answered.fetch_add(1, Relaxed) % (DATAGRAM_MAX + 1);
        let length = (turn * 211 + 144) % (DATAGRAM_MAX + 1);
        answer.extend_from_slice(&PATTERN[..length]);
        Answer::Text
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::protocol::tests::pair;

    #[tokio::test]
    async fn lines_rotate_and_input_is_ignored() {
        let (stream, mut client) = pair(1000);
        let talk = tokio::spawn(Chargen::default().talk(stream));
        client.write_all(&[b'x'; 5000]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = vec![0; (PERIODS + 1) * PERIOD];
        client.read_exact(&mut got).await.unwrap();
        let lines: Vec<_> = got.chunks(LINE + 2).collect();
        assert!(lines[0].starts_with(b" !\"#$%&'()*+,-./0123456789"));
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(&line[LINE..], b"\r\n");
            assert_eq!(line[0], b' ' + (number % PRINTABLE) as u8);
            assert_eq!(line[1], b' ' + ((number + 1) % PRINTABLE) as u8);
        }
        drop(client);
        assert!(talk.await.unwrap().is_err());
    }

    #[test]
    fn a_datagram_holds_0_to_512_characters_of_varying_number() {
        let chargen = Chargen::default();
        let lengths: std::collections::BTreeSet<usize> = (0..=DATAGRAM_MAX)
            .map(|_| {
                let mut answer = Vec::new();
                assert_eq!(chargen.respond(b"", &mut answer), Answer::Text);
                answer.len()
            })
            .collect();
        assert_eq!(lengths, (0..=DATAGRAM_MAX).collect());
    }
}
