//! qotd: a quote of the day, RFC 865.
//! Absent: files of quotes; a setting takes the text.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, Protocol, Respond, Service, Talk, answer_and_end};
use crate::connection::{BoxFuture, Stream};
use crate::endpoint::{Kind, Param, ValueKind};

/// The table entry.
pub(super) static QOTD: Protocol = Protocol {
    name: "qotd",
    summary: "says a quote and closes (RFC 865)",
    settings: &[Param::absent(
        "quote",
        ValueKind::Text,
        "the quote to say, below 512 bytes; default: one of ours a day",
    )
    .by_name()],
    repeated: &[],
    service: |setup| {
        let quote = setup.args.text("quote");
        // RFC 865: "less than 512 characters", its line end included.
        if quote.len() + 2 >= LIMIT {
            let message = "a quote must stay below 512 bytes";
            return Err(setup.args.refuse("quote", Kind::OutOfRange, message).into());
        }
        Ok(Service::both(Qotd {
            own: (!quote.is_empty()).then(|| quote.into()),
        }))
    },
};

const LIMIT: usize = 512;
const SECONDS_A_DAY: u64 = 86_400;

const QUOTES: [&str; 7] = [
    "A closed port is an answer; a silent one is a question.",
    "Half a connection is still a conversation.",
    "The packet you did not lose is the one nobody thanks you for.",
    "Whoever waits without a limit has already decided to hang.",
    "Be strict in what you log, and brief in when.",
    "A name is a promise that some address will keep.",
    "Every protocol is simple until the second implementation.",
];

#[derive(Clone)]
struct Qotd {
    own: Option<Arc<str>>,
}

impl Qotd {
    fn today(&self) -> Vec<u8> {
        let days = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
            / SECONDS_A_DAY;
        let quote = match &self.own {
            Some(own) => own,
            None => QUOTES[(days % QUOTES.len() as u64) as usize],
        };
        format!("{quote}\r\n").into_bytes()
    }
}

impl Talk for Qotd {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(answer_and_end(stream, self.today()))
    }
}

impl Respond for Qotd {
    fn respond(&self, _request: &[u8], answer: &mut Vec<u8>) -> Answer {
        answer.extend(self.today());
        Answer::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quote_fits() {
        for quote in QUOTES {
            assert!(quote.len() + 2 < LIMIT && quote.is_ascii());
        }
    }

    #[test]
    fn the_own_quote_is_said() {
        let qotd = Qotd {
            own: Some("to each their own".into()),
        };
        let mut answer = Vec::new();
        assert_eq!(qotd.respond(b"", &mut answer), Answer::Text);
        assert_eq!(answer, b"to each their own\r\n");
    }
}
