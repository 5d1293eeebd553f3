//! A line -> its answer: the commands, in their order, and what is said where none of them is meant. Pure.
//! Absent: connections, files of commands, and the files that texts are appended to, which are numbers here.

use std::path::{Path, PathBuf};

/// What ends a line that we say.
const LINE_END: &[u8] = b"\r\n";

/// What a server says, and to what.
#[derive(Debug)]
pub(super) struct Commands {
    /// Said to whoever comes.
    pub(super) greeting: Option<Vec<u8>>,
    /// The first that a line fits is meant.
    pub(super) list: Vec<Command>,
    pub(super) unknown: Vec<u8>,
    pub(super) overlong: Vec<u8>,
    pub(super) unsaved: Vec<u8>,
    /// What commands append to.
    pub(super) files: Vec<PathBuf>,
}

/// One command.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) pattern: Pattern,
    pub(super) reply: Option<Template>,
    pub(super) append: Option<Append>,
    /// Whether the connection is closed after the reply.
    pub(super) close: bool,
}

/// The lines that a command is for.
#[derive(Debug)]
pub(super) enum Pattern {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    #[cfg(feature = "regex")]
    #[cfg_attr(not(feature = "config"), allow(dead_code, reason = "it is read from a file"))]
    Regex(regex::bytes::Regex),
}

/// What is appended, and to which of the files.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) file: usize,
    pub(super) text: Template,
}

/// A text with places for parts of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Part>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    /// A part of the line; 0 is all of it.
    Capture(usize),
}

/// What a line led to, beside the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Act {
    /// The file that the text is for. The reply holds only once the text is on disk.
    pub(super) file: Option<usize>,
    pub(super) close: bool,
}

/// The parts of a line that fits a pattern.
#[derive(Debug)]
pub(super) struct Fit<'a> {
    line: &'a [u8],
    parts: Parts<'a>,
}

#[derive(Debug)]
enum Parts<'a> {
    None,
    Rest(&'a [u8]),
    #[cfg(feature = "regex")]
    Groups(regex::bytes::Captures<'a>),
}

impl Fit<'_> {
    fn part(&self, number: usize) -> &[u8] {
        match (&self.parts, number) {
            (_, 0) => self.line,
            (Parts::Rest(rest), 1) => rest,
            #[cfg(feature = "regex")]
            (Parts::Groups(groups), _) => groups.get(number).map_or(&[], |group| group.as_bytes()),
            _ => &[],
        }
    }
}

impl Pattern {
    pub(super) fn fit<'a>(&self, line: &'a [u8]) -> Option<Fit<'a>> {
        let parts = match self {
            Pattern::Exact(text) => (text == line).then_some(Parts::None)?,
            Pattern::Prefix(prefix) => Parts::Rest(line.strip_prefix(prefix.as_slice())?),
            #[cfg(feature = "regex")]
            Pattern::Regex(regex) => Parts::Groups(regex.captures(line)?),
        };
        Some(Fit { line, parts })
    }
}

impl Template {
    fn fill(&self, fit: &Fit<'_>, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Capture(number) => out.extend_from_slice(fit.part(*number)),
            }
        }
    }
}

/// A text as lines that go out, each with its end.
pub(super) fn said(text: &str) -> Vec<u8> {
    let mut said = wired(text);
    said.extend_from_slice(LINE_END);
    said
}

/// Line ends within a text as they go out.
pub(super) fn wired(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

impl Commands {
    /// The commands of a server that was given none; texts go to `file`.
    pub(super) fn built_in(file: &Path) -> Self {
        let command = |pattern, reply: &str| Command {
            pattern,
            reply: Some(Template(vec![Part::Text(wired(reply))])),
            append: None,
            close: false,
        };
        let exact = |line: &str| Pattern::Exact(line.into());
        let prefix = |line: &str| Pattern::Prefix(line.into());
        Commands {
            greeting: Some(said("Connection with the server established!")),
            list: vec![
                command(exact("hello"), "Hello! How are you?"),
                Command {
                    close: true,
                    ..command(exact("goodbye"), "Noooo don't go awayyyyy...")
                },
                Command {
                    append: Some(Append {
                        file: 0,
                        text: Template(vec![Part::Capture(1)]),
                    }),
                    ..command(prefix("write: "), "Message saved!")
                },
            ],
            files: vec![file.to_owned()],
            ..Commands::empty()
        }
    }

    /// No commands, and what is said where nothing else is laid down.
    pub(super) fn empty() -> Self {
        Commands {
            greeting: None,
            list: Vec::new(),
            unknown: said("Unknown command"),
            overlong: said("ERROR line too long"),
            unsaved: said("ERROR could not save"),
            files: Vec::new(),
        }
    }

    /// Answers a line: the reply is added to `reply`, and to `text` what is to be appended, each with its line end.
    pub(super) fn act(&self, line: &[u8], reply: &mut Vec<u8>, text: &mut Vec<u8>) -> Act {
        let found = self
            .list
            .iter()
            .find_map(|command| Some((command, command.pattern.fit(line)?)));
        let Some((command, fit)) = found else {
            reply.extend_from_slice(&self.unknown);
            return Act::default();
        };
        if let Some(template) = &command.reply {
            template.fill(&fit, reply);
            reply.extend_from_slice(LINE_END);
        }
        let file = command.append.as_ref().map(|append| {
            append.text.fill(&fit, text);
            text.push(b'\n');
            append.file
        });
        Act {
            file,
            close: command.close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(commands: &Commands, line: &[u8]) -> (String, Vec<u8>, Act) {
        let (mut reply, mut text) = (Vec::new(), Vec::new());
        let act = commands.act(line, &mut reply, &mut text);
        (String::from_utf8(reply).unwrap(), text, act)
    }

    #[test]
    fn the_built_in_commands_are_as_the_contract_says() {
        let commands = Commands::built_in(Path::new("file.txt"));
        assert_eq!(
            commands.greeting.as_deref(),
            Some(&b"Connection with the server established!\r\n"[..])
        );
        let act = |file, close| Act { file, close };
        for (line, reply, text, does) in [
            (
                &b"hello"[..],
                "Hello! How are you?\r\n",
                &b""[..],
                act(None, false),
            ),
            (b"goodbye", "Noooo don't go awayyyyy...\r\n", b"", act(None, true)),
            (b"write: a b", "Message saved!\r\n", b"a b\n", act(Some(0), false)),
            (b"write: ", "Message saved!\r\n", b"\n", act(Some(0), false)),
            (
                b"write: \xff\0\xc3",
                "Message saved!\r\n",
                b"\xff\0\xc3\n",
                act(Some(0), false),
            ),
            (b"write:", "Unknown command\r\n", b"", act(None, false)),
            (b"hello ", "Unknown command\r\n", b"", act(None, false)),
            (b"Hello", "Unknown command\r\n", b"", act(None, false)),
            (b"", "Unknown command\r\n", b"", act(None, false)),
            (b"\xff", "Unknown command\r\n", b"", act(None, false)),
        ] {
            assert_eq!(
                answer(&commands, line),
                (reply.into(), text.into(), does),
                "{}",
                line.escape_ascii()
            );
        }
    }

    #[test]
    fn the_first_command_that_fits_is_meant() {
        let reply = |number| Some(Template(vec![Part::Capture(number)]));
        let command = |pattern, reply| Command {
            pattern,
            reply,
            append: None,
            close: false,
        };
        let commands = Commands {
            list: vec![
                command(Pattern::Prefix("say ".into()), reply(1)),
                command(Pattern::Prefix("s".into()), reply(0)),
                command(Pattern::Exact("never said".into()), None),
            ],
            ..Commands::empty()
        };
        assert_eq!(answer(&commands, b"say it").0, "it\r\n");
        assert_eq!(answer(&commands, b"sit").0, "sit\r\n");
        assert_eq!(answer(&commands, b"never said").0, "");
        assert_eq!(answer(&commands, b"what").0, "Unknown command\r\n");
    }

    #[test]
    fn lines_within_a_text_go_out_as_lines() {
        assert_eq!(said("a\nb\r\nc"), b"a\r\nb\r\nc\r\n");
        assert_eq!(said(""), b"\r\n");
    }
}
