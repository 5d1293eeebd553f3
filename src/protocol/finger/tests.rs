//! The talk on streams in memory, with paused time, and back-ends that behave in every way.
//! Absent: sockets and processes.

use std::future::{pending, ready};

use tokio::io::{AsyncWriteExt, DuplexStream};

use super::users::memory::Memory;
use super::*;
use crate::protocol::tests::pair;

fn terms() -> Terms {
    Terms {
        users: Vec::new(),
        lists: true,
        answers: true,
        forward: None,
        query_timeout: Duration::from_secs(30),
        answer_timeout: Duration::from_secs(10),
    }
}

fn table(entries: &[(&str, &str)]) -> Terms {
    let entries = entries
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_string()));
    Terms {
        users: vec![Box::new(Memory::new(entries))],
        ..terms()
    }
}

async fn all(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn ask(terms: Terms, query: &[u8]) -> String {
    let (stream, mut client) = pair(1 << 20);
    let talk = tokio::spawn(service(terms).talk.talk(stream));
    client.write_all(query).await.unwrap();
    let answer = all(&mut client).await;
    drop(client);
    talk.await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn the_first_that_knows_a_user_answers() {
    let two = || {
        let mut two = table(&[("alice", "in\nWonderland")]);
        two.users
            .extend(table(&[("alice", "elsewhere"), ("bob", "away")]).users);
        two
    };
    assert_eq!(ask(two(), b"alice\r\n").await, "in\r\nWonderland\r\n");
    assert_eq!(ask(two(), b"/W bob\n").await, "away\r\n");
    assert_eq!(ask(two(), b"carol\r\n").await, "No such user\r\n");
    assert_eq!(ask(two(), b"\r\n").await, "alice\r\nbob\r\n");
    assert_eq!(ask(two(), b"/W\r\n").await, "alice\r\nbob\r\n");
    assert_eq!(ask(terms(), b"alice\r\n").await, "No such user\r\n");
}

#[tokio::test]
async fn lists_and_forwarding_are_refused() {
    let refusing = Terms {
        lists: false,
        ..table(&[("alice", "in")])
    };
    assert_eq!(ask(refusing, b"\r\n").await, "This server lists no users\r\n");
    assert_eq!(ask(terms(), b"\r\n").await, "This server lists no users\r\n");
    assert_eq!(ask(table(&[]), b"\r\n").await, "No users\r\n");
    for query in ["@host\r\n", "a@host\r\n", "a@b@c\r\n", "/W a@host\r\n"] {
        let answer = ask(table(&[("a", "in")]), query.as_bytes()).await;
        assert_eq!(answer, "This server asks no other server\r\n", "{query}");
    }
}

#[tokio::test]
async fn no_control_character_gets_through() {
    let terms = table(&[("alice", "\x1b]0;owned\x07\u{9b}31mred\u{202e}")]);
    assert_eq!(ask(terms, b"al\x1bi\0ce\r\n").await, "]0;owned31mred\r\n");
}

#[tokio::test]
async fn odd_queries_are_answered() {
    let long = vec![b'a'; 100_000];
    for (query, answer) in [
        (&long[..], "The query is too long\r\n"),
        (b"../../etc/passwd\r\n", "No such user\r\n"),
        (b";reboot\n", "No such user\r\n"),
        (b"$(id)\n", "No such user\r\n"),
        (b"-l\n", "No such user\r\n"),
        (b"\xff\xfb\x01\n", "No such user\r\n"),
        (b"alice@\n", "Not a query: no host follows an `@`\r\n"),
        (b"a\r\nb\r\nc\r\n", "No such user\r\n"),
    ] {
        assert_eq!(ask(terms(), query).await, answer, "{}", query.escape_ascii());
    }
}

#[tokio::test]
async fn the_longest_query_is_one_and_one_more_byte_is_not() {
    let name = "a".repeat(QUERY_MAX);
    for end in ["\n", "\r\n"] {
        let answer = ask(table(&[(&name, "in")]), format!("{name}{end}").as_bytes()).await;
        assert_eq!(answer, "in\r\n");
        let answer = ask(table(&[(&name, "in")]), format!("{name}a{end}").as_bytes()).await;
        assert_eq!(answer, "The query is too long\r\n");
    }
}

#[tokio::test]
async fn a_line_without_end_counts_when_the_client_has_ended() {
    for (said, answer) in [("alice", "in\r\n"), ("", "")] {
        let (stream, mut client) = pair(100);
        let talk = tokio::spawn(service(table(&[("alice", "in")])).talk.talk(stream));
        client.write_all(said.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(all(&mut client).await, answer);
        talk.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn without_an_answer_the_query_is_read_all_the_same() {
    let silent = Terms {
        answers: false,
        ..terms()
    };
    assert_eq!(ask(silent, b"alice\r\n").await, "");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_query_is_told_and_left() {
    let (stream, mut client) = pair(100);
    let start = Instant::now();
    let talk = tokio::spawn(service(terms()).talk.talk(stream));
    client.write_all(b"ali").await.unwrap();
    assert_eq!(all(&mut client).await, "No query came in time\r\n");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    talk.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answer_is_left() {
    let (stream, mut client) = pair(10);
    let start = Instant::now();
    let talk = tokio::spawn(service(table(&[("alice", &"a".repeat(1000))])).talk.talk(stream));
    client.write_all(b"alice\r\n").await.unwrap();
    let ended = talk.await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

/// A back-end that fails, or never answers.
enum Broken {
    Fails,
    Hangs,
}

impl Users for Broken {
    fn source(&self) -> &str {
        "broken"
    }

    fn find<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        match self {
            Broken::Fails => Box::pin(ready(Err(Error::new(Status::Failure, "secret reason")))),
            Broken::Hangs => Box::pin(pending()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_end_that_fails_or_hangs_is_an_internal_error() {
    for (broken, after) in [(Broken::Fails, 0), (Broken::Hangs, 10)] {
        let start = Instant::now();
        let terms = Terms {
            users: vec![Box::new(broken)],
            ..terms()
        };
        assert_eq!(ask(terms, b"alice\r\n").await, "Internal error in server\r\n");
        assert_eq!(start.elapsed(), Duration::from_secs(after));
    }
}

/// Where every endpoint leads to a finger server of these terms, or, without them, nowhere in good time.
struct Other(Option<fn() -> Terms>);

impl Dial for Other {
    fn dial(&self, endpoint: Spec) -> BoxFuture<'static, Result<Connection>> {
        let Some(terms) = self.0 else {
            return Box::pin(pending());
        };
        let (ours, theirs) = pair(1000);
        let (theirs_stream, facts) = (theirs, ours.facts().clone());
        let mut terms = terms();
        let entries = [("where".to_owned(), endpoint.to_string())];
        terms.users.push(Box::new(Memory::new(entries)));
        tokio::spawn(service(terms).talk.talk(Stream::new(theirs_stream, facts)));
        Box::pin(ready(Ok(Connection::Stream(ours))))
    }
}

fn forwarding(other: Option<fn() -> Terms>) -> Terms {
    Terms {
        forward: Some((Arc::new(Other(other)), 79)),
        ..table(&[("alice", "here")])
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_is_passed_on_one_server_far() {
    let there: Option<fn() -> Terms> = Some(|| table(&[("alice", "\x1bthere"), ("bob", "")]));
    for (query, answer) in [
        ("alice\n", "here\r\n"),
        ("alice@host\n", "there\r\n"),
        ("where@host.example\n", "tcp:host.example:79\r\n"),
        ("where@[::1]\n", "tcp:[::1]:79\r\n"),
        ("@host\n", "alice\r\nbob\r\nwhere\r\n"),
        (
            "alice@host@host\n",
            "This server asks one other server and no more\r\n",
        ),
        ("alice@host:22\n", "Not a query: no host can have that name\r\n"),
        ("alice@[a]\n", "Not a query: no host can have that name\r\n"),
        ("alice@::1\n", "Not a query: no host can have that name\r\n"),
    ] {
        assert_eq!(ask(forwarding(there), query.as_bytes()).await, answer, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_gets_no_more_time_than_a_back_end() {
    let start = Instant::now();
    assert_eq!(
        ask(forwarding(None), b"alice@host\n").await,
        "Internal error in server\r\n"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    // One that says more than it may is no better.
    let endless: Option<fn() -> Terms> = Some(|| table(&[("alice", &"a".repeat(200_000))]));
    assert_eq!(
        ask(forwarding(endless), b"alice@host\n").await,
        "Internal error in server\r\n"
    );
}
