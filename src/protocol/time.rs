//! time: the seconds since 1900 as four bytes, RFC 868.
//! Absent: anything after 2036-02-07 but the wrapped count, as the RFC has only 32 bits.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, Protocol, Respond, Service, Talk, answer_and_end};
use crate::connection::{BoxFuture, Stream};

/// The table entry.
pub(super) static TIME: Protocol = Protocol {
    name: "time",
    summary: "says the seconds since 1900 as 32 bits, big-endian (RFC 868)",
    settings: &[],
    repeated: &[],
    service: |_| Ok(Service::both(Time)),
};

/// From the RFC's epoch, 1900-01-01, to UNIX time's: 70 years, 17 of them leap years.
const SECONDS_1900_TO_1970: u64 = (70 * 365 + 17) * 86_400;

#[derive(Clone, Copy)]
struct Time;

impl Talk for Time {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(answer_and_end(stream, since_1900(unix_seconds()).to_vec()))
    }
}

impl Respond for Time {
    fn respond(&self, _request: &[u8], answer: &mut Vec<u8>) -> Answer {
        answer.extend_from_slice(&since_1900(unix_seconds()));
        Answer::Text
    }
}

fn unix_seconds() -> u64 {
    // A clock before 1970 reads as 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn since_1900(unix_seconds: u64) -> [u8; 4] {
    ((unix_seconds + SECONDS_1900_TO_1970) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::protocol::tests::pair;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        // RFC 868: 2,208,988,800 is 1970-01-01, 2,398,291,200 is 1976-01-01, 2,629,584,000 is 1983-05-01.
        for (rfc, unix) in [
            (2_208_988_800_u32, 0),
            (2_398_291_200, 189_302_400),
            (2_629_584_000, 420_595_200),
        ] {
            assert_eq!(since_1900(unix), rfc.to_be_bytes());
        }
    }

    #[test]
    fn the_count_wraps_in_2036() {
        assert_eq!(since_1900((1 << 32) - SECONDS_1900_TO_1970), [0; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn four_bytes_then_the_end() {
        let (stream, mut client) = pair(64);
        let talk = tokio::spawn(Time.talk(stream));
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 4);
        drop(client);
        talk.await.unwrap().unwrap();
    }
}
