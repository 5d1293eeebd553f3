//! daytime: the date and the time as a line of text, RFC 867.
//! Absent: time zones; the answer is in UTC and says so.

use std::io;

use time::OffsetDateTime;

use super::{Answer, Protocol, Respond, Service, Talk, answer_and_end};
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static DAYTIME: Protocol = Protocol {
    name: "daytime",
    summary: "says the date and the time in UTC, as a line (RFC 867)",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::both(Daytime)),
};

#[derive(Clone, Copy)]
struct Daytime;

impl Talk for Daytime {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(answer_and_end(
            stream,
            line(OffsetDateTime::now_utc()).into_bytes(),
        ))
    }
}

impl Respond for Daytime {
    fn respond(&self, _request: &[u8], answer: &mut Vec<u8>) -> Answer {
        answer.extend_from_slice(line(OffsetDateTime::now_utc()).as_bytes());
        Answer::Text
    }
}

/// The syntax that RFC 867 proposes: `Weekday, Month Day, Year Time-Zone`.
fn line(now: OffsetDateTime) -> String {
    format!(
        "{}, {} {}, {} {:02}:{:02}:{:02}-UTC\r\n",
        now.weekday(),
        now.month(),
        now.day(),
        now.year(),
        now.hour(),
        now.minute(),
        now.second(),
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::protocol::tests::pair;

    #[test]
    fn the_line_reads_as_the_rfc_proposes() {
        let then = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
        assert_eq!(line(then), "Sunday, September 9, 2001 01:46:40-UTC\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_then_the_end() {
        let (stream, mut client) = pair(64);
        let talk = tokio::spawn(Daytime.talk(stream));
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert!(got.ends_with("-UTC\r\n") && got.len() < 64, "{got:?}");
        drop(client);
        talk.await.unwrap().unwrap();
    }
}
