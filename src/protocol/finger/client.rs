//! The asking side: one query, one answer, however the other end behaves.
//! Absent: who is asked, and time limits; dropping the future gives up.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::query::Query;
use crate::connection::Stream;
use crate::error::{Error, Result, Status, reason};
use crate::units::size_text;

/// Asks, and takes up to `most` bytes of an answer into `heard`, which keeps what came if the future is dropped.
///
/// # Errors
/// Status 8 where the connection is lost, 6 where the answer is longer than that; what came stands in `heard`.
pub async fn ask(mut stream: Stream, query: &Query, most: usize, heard: &mut Vec<u8>) -> Result<()> {
    let lost = |error: io::Error| Error::new(Status::Lost, reason(&error));
    // A server may answer before it has read the query, and close: what it said counts.
    let asked = async {
        stream.write_all(format!("{query}\r\n").as_bytes()).await?;
        stream.flush().await
    };
    let asked = asked.await;
    let room = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = (&mut stream).take(room).read_to_end(heard).await;
    if heard.len() > most {
        heard.truncate(most);
        let why = format!("the answer is longer than {}", size_text(room - 1));
        return Err(Error::new(Status::Expectation, why));
    }
    match (asked, read) {
        (_, Err(error)) => Err(lost(error)),
        (Err(error), _) if heard.is_empty() => Err(lost(error)),
        _ => {
            // Politeness; the answer is had.
            let _ = stream.shutdown().await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::pair;

    fn query(line: &str) -> Query {
        Query::parse(line).unwrap()
    }

    #[tokio::test]
    async fn a_query_goes_out_and_the_answer_comes_in() {
        let (stream, mut server) = pair(64);
        let server = tokio::spawn(async move {
            let mut line = [0; 10];
            server.read_exact(&mut line).await.unwrap();
            server.write_all(b"here\r\n").await.unwrap();
            line
        });
        let mut heard = Vec::new();
        ask(stream, &query("/W alice"), 100, &mut heard).await.unwrap();
        assert_eq!(heard, b"here\r\n");
        assert_eq!(&server.await.unwrap(), b"/W alice\r\n");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let (stream, mut server) = pair(64);
        let server = tokio::spawn(async move { while server.write_all(&[b'a'; 50]).await.is_ok() {} });
        let mut heard = Vec::new();
        let error = ask(stream, &query("alice"), 1000, &mut heard).await.unwrap_err();
        assert_eq!((error.status(), heard.len()), (Status::Expectation, 1000));
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_closes_without_a_word_has_said_nothing() {
        let (stream, mut server) = pair(64);
        let server = tokio::spawn(async move {
            let mut line = [0; 7];
            server.read_exact(&mut line).await.unwrap();
        });
        let mut heard = Vec::new();
        ask(stream, &query("alice"), 100, &mut heard).await.unwrap();
        assert_eq!(heard, b"");
        server.await.unwrap();
    }
}
