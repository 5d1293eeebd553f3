//! The query line of RFC 1288, 2.3, read and written: `[/W ][USER][@HOST...]`.
//! Absent: bytes, sockets, and who is asked.

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while1};
use nom::character::complete::{char, space0, space1};
use nom::combinator::{all_consuming, eof, opt, peek};
use nom::multi::many0;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

/// A query line without its end is no longer than this.
pub const QUERY_MAX: usize = 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// `/W`: more is wanted.
    pub long: bool,
    /// Who is asked about; nobody: a list of users is wanted.
    pub user: Option<String>,
    /// The hosts that it is to be passed on to, the last one first to be asked.
    pub hosts: Vec<String>,
}

/// No query: an `@` without a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no host follows an `@`")
    }
}

impl std::error::Error for Malformed {}

impl Query {
    /// Reads a line without its end.
    ///
    /// `/W` is one only as the first word; the rest is a name, whatever it looks like.
    ///
    /// # Errors
    /// [`Malformed`]: an `@` is not followed by a host.
    pub fn parse(line: &str) -> Result<Query, Malformed> {
        // A host ends in no blank, and a name neither: they are what a typist left behind.
        match all_consuming(query).parse(line.trim_end()) {
            Ok((_, query)) => Ok(query),
            Err(_) => Err(Malformed),
        }
    }

    /// Takes off the host that is to be asked, if there is one; what stays is what to ask it.
    #[must_use]
    pub fn next_hop(mut self) -> (Query, Option<String>) {
        let host = self.hosts.pop();
        (self, host)
    }
}

fn query(input: &str) -> IResult<&str, Query> {
    let word_end = peek(alt((eof, space1)));
    let long = opt(terminated(tag_no_case("/W"), word_end));
    let user = take_while(|c| c != '@');
    let host = preceded(char('@'), take_while1(|c: char| c != '@' && !c.is_whitespace()));
    let (rest, (_, long, _, user, hosts)) = (space0, long, space0, user, many0(host)).parse(input)?;
    // `many0` stops at what is no host; an `@` there is one too many.
    let (rest, _) = nom::combinator::not(tag("@")).parse(rest)?;
    let user = user.trim_end();
    let query = Query {
        long: long.is_some(),
        user: (!user.is_empty()).then(|| user.to_owned()),
        hosts: hosts.into_iter().map(str::to_owned).collect(),
    };
    Ok((rest, query))
}

/// The line, without its end.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked_more = self.user.is_some() || !self.hosts.is_empty();
        match (self.long, asked_more) {
            (true, true) => f.write_str("/W ")?,
            (true, false) => f.write_str("/W")?,
            (false, _) => {}
        }
        f.write_str(self.user.as_deref().unwrap_or_default())?;
        self.hosts.iter().try_for_each(|host| write!(f, "@{host}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(long: bool, user: &str, hosts: &[&str]) -> Query {
        Query {
            long,
            user: (!user.is_empty()).then(|| user.to_owned()),
            hosts: hosts.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn lines_are_read_as_the_rfc_says() {
        for (line, wanted) in [
            ("", query(false, "", &[])),
            ("   ", query(false, "", &[])),
            ("alice", query(false, "alice", &[])),
            (" alice ", query(false, "alice", &[])),
            ("/W", query(true, "", &[])),
            ("/W ", query(true, "", &[])),
            ("/W alice", query(true, "alice", &[])),
            ("/w  alice", query(true, "alice", &[])),
            ("alice@host", query(false, "alice", &["host"])),
            ("/W alice@a@b", query(true, "alice", &["a", "b"])),
            ("@host", query(false, "", &["host"])),
            ("/W @host", query(true, "", &["host"])),
        ] {
            assert_eq!(Query::parse(line), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn only_a_first_word_is_the_switch() {
        for (line, user) in [
            ("/Walice", "/Walice"),
            ("alice /W", "alice /W"),
            ("foo bar", "foo bar"),
            ("-l", "-l"),
            ("../../etc/passwd", "../../etc/passwd"),
        ] {
            assert_eq!(Query::parse(line), Ok(query(false, user, &[])));
        }
    }

    #[test]
    fn a_host_has_to_follow() {
        for line in ["@", "alice@", "alice@@b", "alice@a@", "alice@a b", "alice@ a"] {
            assert_eq!(Query::parse(line), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn the_last_host_is_asked_first() {
        let (rest, host) = query(true, "alice", &["a", "b"]).next_hop();
        assert_eq!((rest.to_string(), host), ("/W alice@a".into(), Some("b".into())));
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in any::<String>()) {
            let _ = Query::parse(&line);
        }

        #[test]
        fn what_is_written_is_read_back(
            long: bool,
            user in "([a-z.-][a-z ._-]{0,10}[a-z])?",
            hosts in proptest::collection::vec("[a-z0-9.:-]{1,8}", 0..4),
        ) {
            let query = Query { long, user: (!user.is_empty()).then_some(user), hosts };
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }
    }
}
