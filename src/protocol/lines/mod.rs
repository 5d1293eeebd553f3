//! lines: a server that answers commands, a line each.
//! Absent: what a line is (`split`), what it leads to (`commands`, `round`), files of commands (`table`), and the disk
//! (`append`).

mod append;
mod commands;
mod current;
#[cfg(feature = "config")]
mod fields;
mod round;
mod split;
#[cfg(feature = "config")]
mod table;
#[cfg(feature = "config")]
mod template;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tracing::warn;

use self::current::{Current, Source};
use self::round::{Round, Then};
use self::split::Split;
use super::{Protocol, Service, Setup, Talk, Unfit, Upkeep, answer_and_end};
use crate::connection::pump::with_scratch;
use crate::connection::{BoxFuture, Stream};
use crate::diagnostic::listed;
use crate::endpoint::{Kind, Param, ValueKind};
use crate::error::Result;
use crate::need::Need;

/// The manual of files of commands, as sections of a page: a line at the margin is a heading.
#[cfg(feature = "config")]
pub const MANUAL: &str = include_str!("manual.txt");

/// The table entry.
pub(super) static LINES: Protocol = Protocol {
    name: "lines",
    summary: "greets, and answers commands, a line each",
    settings: SETTINGS,
    repeated: &[],
    service,
};

const SETTINGS: &[Param] = &[
    Param::optional(
        "max-line",
        ValueKind::Size,
        "16384",
        "the longest line that is taken, in bytes, its end not counted; default 16384",
    )
    .by_name(),
    Param::optional(
        "file",
        ValueKind::Path,
        "file.txt",
        "what `write: TEXT` appends to; default file.txt",
    )
    .by_name(),
    #[cfg(feature = "config")]
    Param::absent(
        "commands",
        ValueKind::Path,
        "a file of commands instead of the built-in ones, see netkit-lines(5); SIGHUP reads it again",
    )
    .by_name(),
];

/// What a client that sends no line end can make us hold.
const MAX_LINE_MAX: u64 = 16 * 1024 * 1024;

/// Bytes read at once. Their lines are answered before more is read.
const READ: usize = 64 * 1024;

fn service(setup: &Setup) -> Result<Service, Unfit> {
    let args = setup.args;
    let max_line = args.integer("max-line");
    if max_line == 0 || max_line > MAX_LINE_MAX {
        let message = "a line has 1 byte to 16MiB";
        return Err(args.refuse("max-line", Kind::OutOfRange, message).into());
    }
    let source = Source::of(args)?;
    let current = Current::new(source.read()?, &[]);
    let lines = Lines(Arc::new(Shared {
        max_line: usize::try_from(max_line).unwrap_or(usize::MAX),
        source,
        current: RwLock::new(Arc::new(current)),
    }));
    Ok(Service {
        talk: Arc::new(lines.clone()),
        respond: None,
        exchange: None,
        upkeep: Some(Arc::new(lines)),
    })
}

#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    max_line: usize,
    source: Source,
    current: RwLock<Arc<Current>>,
}

impl Shared {
    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn converse(self: Arc<Self>, mut stream: Stream) -> io::Result<()> {
        let greeting = self.current().commands.greeting.clone();
        say(&mut stream, greeting.unwrap_or_default()).await?;
        let mut lines = Split::new(self.max_line);
        loop {
            if read(&mut stream, &mut lines).await? == 0 {
                // What has no line end is no line: a connection that was cut must not give half a command.
                return stream.shutdown().await;
            }
            // Asked for anew each time: after a reload, open connections follow the new commands.
            let current = self.current();
            loop {
                let round = Round::of(&current.commands, &mut lines);
                let then = round.then;
                let out = current.settle(round).await;
                match then {
                    Then::Close => return answer_and_end(stream, out).await,
                    Then::Again => say(&mut stream, out).await?,
                    Then::Read => {
                        say(&mut stream, out).await?;
                        break;
                    }
                }
            }
        }
    }
}

async fn say(stream: &mut Stream, text: Vec<u8>) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    stream.write_all(&text).await?;
    stream.flush().await
}

/// Reads what there is, through the thread's buffer, so that who waits for a client holds none; 0 is the end.
async fn read(stream: &mut Stream, lines: &mut Split) -> io::Result<usize> {
    poll_fn(|cx| {
        with_scratch(|scratch| {
            let room = scratch.len().min(READ);
            let mut buf = ReadBuf::new(&mut scratch[..room]);
            Pin::new(&mut *stream).poll_read(cx, &mut buf).map_ok(|()| {
                lines.push(buf.filled());
                buf.filled().len()
            })
        })
    })
    .await
}

impl Talk for Lines {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(Arc::clone(&self.0).converse(stream))
    }

    /// Files that are named first by commands that are read again are not among them.
    fn needs(&self) -> Vec<Need> {
        let source = self.0.source.file().map(|path| Need::Read(path.to_owned()));
        let current = self.0.current();
        let files = current
            .files
            .iter()
            .map(|file| Need::Write(file.path().to_owned()));
        source.into_iter().chain(files).collect()
    }
}

impl Upkeep for Lines {
    /// Opens the files anew that are open, and reads the commands again. One that fails keeps neither from the others.
    fn reload(&self) -> Result<Option<String>> {
        let shared = &self.0;
        let current = shared.current();
        let mut reloaded = Vec::new();
        let mut failed = Vec::new();
        for file in &current.files {
            match file.reopen() {
                Ok(true) => reloaded.push(file.path().display().to_string()),
                Ok(false) => {}
                Err(error) => failed.push(error),
            }
        }
        match shared.source.reread() {
            Ok(None) => {}
            Ok(Some((commands, name))) => {
                let new = Current::new(commands, &current.files);
                *shared.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                reloaded.push(name);
            }
            Err(error) => failed.push(error),
        }
        // The caller tells of one; those before it are told here.
        let last = failed.pop();
        for error in &failed {
            warn!("{error}");
        }
        match last {
            Some(error) => Err(error),
            None => Ok((!reloaded.is_empty()).then(|| listed(&reloaded, "and"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::connection::dial::Dial;
    use crate::endpoint::{Args, Role, Spec};
    use crate::error::{Error, Status};
    use crate::protocol::tests::pair;

    const GREETING: &str = "Connection with the server established!\r\n";
    const BYE: &str = "Noooo don't go awayyyyy...\r\n";

    struct Nobody;

    impl Dial for Nobody {
        fn dial(&self, _endpoint: Spec) -> BoxFuture<'static, Result<crate::connection::Connection>> {
            Box::pin(async { Err(Error::new(Status::Connect, "nobody is asked")) })
        }
    }

    fn made(settings: &[(&str, &str)]) -> Result<Service, Unfit> {
        let spec = settings.iter().fold(Spec::new("lines"), |spec, (name, value)| {
            spec.keyword(*name, *value)
        });
        let args = Args::read(&spec, Role::Server, LINES.settings)?;
        service(&Setup {
            args: &args,
            repeated: &[],
            dial: Arc::new(Nobody),
        })
    }

    /// A client of the built-in commands, and the talk.
    fn client(capacity: usize, settings: &[(&str, &str)]) -> (DuplexStream, JoinHandle<io::Result<()>>) {
        let (stream, client) = pair(capacity);
        let talk = made(settings).unwrap().talk.talk(stream);
        (client, tokio::spawn(talk))
    }

    async fn rest(client: &mut DuplexStream) -> String {
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        rest
    }

    #[tokio::test(start_paused = true)]
    async fn it_greets_answers_and_says_goodbye() {
        let (mut client, talk) = client(64, &[]);
        client
            .write_all(b"hello\r\nwhat\ngoodbye\nhello\n")
            .await
            .unwrap();
        let expected = format!("{GREETING}Hello! How are you?\r\nUnknown command\r\n{BYE}");
        assert_eq!(rest(&mut client).await, expected);
        drop(client);
        talk.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stays_after_goodbye_is_left_in_the_end() {
        let (mut client, talk) = client(64, &[]);
        client.write_all(b"goodbye\n").await.unwrap();
        assert_eq!(rest(&mut client).await, format!("{GREETING}{BYE}"));
        talk.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_ends_its_half_gets_all_its_answers_and_half_a_line_is_none() {
        let (mut client, talk) = client(64, &[]);
        client.write_all(b"hello\nhello").await.unwrap();
        client.shutdown().await.unwrap();
        let expected = format!("{GREETING}Hello! How are you?\r\n");
        assert_eq!(rest(&mut client).await, expected);
        talk.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_beyond_the_limit_is_told_and_ends_it() {
        for bytes in [
            &b"hello\nsix by\n"[..],
            b"hello\nsix by",
            b"hello\r\nmuch more than that",
        ] {
            let (mut client, talk) = client(64, &[("max-line", "5")]);
            client.write_all(bytes).await.unwrap();
            let expected = format!("{GREETING}Hello! How are you?\r\nERROR line too long\r\n");
            assert_eq!(rest(&mut client).await, expected);
            drop(client);
            talk.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_read_from() {
        let (mut client, talk) = client(64, &[]);
        let feed = async { while client.write_all(b"hello\n").await.is_ok() {} };
        let fed = tokio::time::timeout(std::time::Duration::from_secs(60), feed).await;
        assert!(fed.is_err(), "it takes lines without end");
        assert!(!talk.is_finished());
        talk.abort();
    }

    #[tokio::test]
    async fn what_is_saved_stands_in_the_file_when_it_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let (mut client, talk) = client(4096, &[("file", path.to_str().unwrap())]);
        client.write_all(b"write: \xff\0 a\r\nwrite: b\n").await.unwrap();
        let mut answer = vec![0; GREETING.len() + 2 * "Message saved!\r\n".len()];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\xff\0 a\nb\n");
        drop(client);
        talk.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_text_that_cannot_be_saved_is_told_and_the_talk_goes_on() {
        let (mut client, talk) = client(4096, &[("file", "/dev/full")]);
        client
            .write_all(b"write: a\nhello\nwrite: b\ngoodbye\n")
            .await
            .unwrap();
        let no = "ERROR could not save\r\n";
        let expected = format!("{GREETING}{no}Hello! How are you?\r\n{no}{BYE}");
        assert_eq!(rest(&mut client).await, expected);
        drop(client);
        talk.await.unwrap().unwrap();
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        for limit in ["0", "17MiB", "x"] {
            assert!(
                matches!(made(&[("max-line", limit)]), Err(Unfit::Setting(_))),
                "{limit}"
            );
        }
        assert!(made(&[("max-line", "1")]).is_ok());
    }
}
