//! What is said to whoever is there, and what they have to say: `Greeting`.
//! Absent: when it is tried again.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::datagram::ROOM;
use crate::connection::{Datagram, Stream};
use crate::error::{Error, Result, Status, reason};
use crate::escape::{bytes_literal, escape};

/// The text that is expected has to come within so many bytes.
pub const GREETING_MAX: usize = 64 * 1024;

/// Of what came instead, so much is shown.
const SHOWN_MAX: usize = 60;

/// How long a connection may take to be ended in good order, as TLS does.
const GOODBYE: Duration = Duration::from_secs(1);

/// After such a silence a datagram is sent again: it, or its answer, may have been lost.
const AGAIN: Duration = Duration::from_secs(1);

/// What is sent when a connection stands, and what has to come; both may be empty.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    /// Sent first. To a UDP endpoint something has to be: a port that is open says nothing by itself. `None`: nothing,
    /// while an empty text is a datagram of no bytes.
    pub send: Option<Vec<u8>>,
    /// Has to be in what comes: in the first [`GREETING_MAX`] bytes of a stream, or in one datagram.
    pub expect: Vec<u8>,
}

impl Greeting {
    /// Sends, reads until what is expected has come, and closes the connection.
    pub(super) async fn exchange(&self, mut stream: Stream, came: &mut Vec<u8>) -> Result<()> {
        if let Some(send) = &self.send {
            let sent = async {
                stream.write_all(send).await?;
                stream.flush().await
            };
            sent.await.map_err(|error| lost(&error))?;
        }
        self.read(&mut stream, came).await?;
        // The peer need not wait for it, and whether it listens is none of our business.
        let _ = tokio::time::timeout(GOODBYE, stream.shutdown()).await;
        Ok(())
    }

    async fn read(&self, stream: &mut Stream, came: &mut Vec<u8>) -> Result<()> {
        let mut buf = [0; 4096];
        while !holds(came, &self.expect) {
            if came.len() >= GREETING_MAX {
                return Err(self.unlike(came, "and more"));
            }
            match stream.read(&mut buf).await {
                Ok(0) => return Err(self.unlike(came, "and the end")),
                Ok(length) => came.extend_from_slice(&buf[..length]),
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(())
    }

    /// Sends a datagram, and again when nothing comes, until an answer holds what is expected.
    pub(super) async fn exchange_datagrams(&self, mut datagram: Datagram) -> Result<()> {
        let Some(send) = &self.send else {
            let why = "an open UDP port says nothing by itself: whether somebody is there cannot be told";
            return Err(Error::new(Status::Usage, why));
        };
        let mut buf = vec![0; ROOM];
        loop {
            datagram.send(send).await.map_err(|error| lost(&error))?;
            match tokio::time::timeout(AGAIN, datagram.recv(&mut buf)).await {
                Err(_silence) => {}
                Ok(Ok(Some(length))) if holds(&buf[..length], &self.expect) => return Ok(()),
                Ok(Ok(Some(length))) => return Err(self.unlike(&buf[..length], "")),
                Ok(Ok(None)) => return Err(self.unlike(b"", "and the end")),
                Ok(Err(error)) => return Err(lost(&error)),
            }
        }
    }

    /// What came is not what was expected.
    pub(super) fn unlike(&self, came: &[u8], then: &str) -> Error {
        let start = &came[..came.len().min(SHOWN_MAX)];
        let cut = if start.len() < came.len() { "…" } else { "" };
        let came = format!("b\"{}{cut}\" {then}", escape(start));
        let why = format!("{} came, not {}", came.trim_end(), bytes_literal(&self.expect));
        Error::new(Status::Expectation, why)
    }
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

fn lost(error: &io::Error) -> Error {
    Error::new(Status::Lost, reason(error)).absence(error.kind() == io::ErrorKind::ConnectionRefused)
}
