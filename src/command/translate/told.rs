//! What came of a line: `Translation`, the lines of ours that do the same, and what they do not.
//! Absent: how it was found out.

use netkit::endpoint::Role;

use super::words::in_shell;

/// A command line of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The verb, what it works on, and its flags.
    pub(super) words: Vec<String>,
    /// An endpoint that has to be there first, and the flags of that wait.
    pub(super) await_first: Vec<String>,
    /// No input, and yet our half stays open: an input that never ends stands before the line.
    pub(super) held_open: bool,
    /// A file on standard input.
    pub(super) input: Option<String>,
    /// A file on standard output, and whether it is appended to.
    pub(super) output: Option<(String, bool)>,
}

/// A program that writes nothing, and ends when nobody reads it any more.
const NEVER_ENDS: &str = "tail -f /dev/null";

impl Line {
    pub(super) fn of(words: &[&str]) -> Self {
        Line {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Line::default()
        }
    }

    pub(super) fn word(&mut self, word: impl Into<String>) {
        self.words.push(word.into());
    }

    /// A flag and its value, if there is one.
    pub(super) fn flag(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.word(name);
            self.word(value);
        }
    }

    /// A flag without a value, where it is wanted.
    pub(super) fn switch(&mut self, name: &str, wanted: bool) {
        if wanted {
            self.word(name);
        }
    }

    /// Reads no input and leaves our half open, where --no-stdin would end it at once.
    pub(super) fn hold_open(&mut self, told: &mut Told) {
        self.held_open = true;
        told.note(
            "our half stays open, as no input is read: tail -f writes nothing and, that of GNU, ends with its reader",
        );
    }

    /// The endpoints in it, each with the role it stands in.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (Role, &str)> {
        let word = |at: usize| self.words.get(at).map(String::as_str);
        let (server, client) = match word(0) {
            Some("connect" | "wait") => (None, word(1)),
            Some("listen") => (word(1), None),
            Some("serve") => (word(2), None),
            _ => (word(1), word(2).filter(|word| *word != "--to")),
        };
        let targets = self
            .words
            .windows(2)
            .filter(|pair| pair[0] == "--to")
            .map(|pair| pair[1].as_str());
        let clients = client
            .into_iter()
            .chain(targets)
            .chain(self.await_first.first().map(String::as_str));
        let servers = server.into_iter().map(|server| (Role::Server, server));
        servers.chain(clients.map(|client| (Role::Client, client)))
    }

    /// As a shell takes it.
    pub(super) fn text(&self) -> String {
        let mut words = Vec::new();
        if self.held_open {
            words.push(format!("{NEVER_ENDS} |"));
        }
        words.push("netkit".to_owned());
        if !self.await_first.is_empty() {
            words.push("wait".into());
            words.extend(self.await_first.iter().map(|word| in_shell(word)));
            words.extend(["--".to_owned(), "netkit".to_owned()]);
        }
        words.extend(self.words.iter().map(|word| in_shell(word)));
        if let Some(file) = &self.input {
            words.extend(["<".to_owned(), in_shell(file)]);
        }
        if let Some((file, append)) = &self.output {
            words.extend([if *append { ">>" } else { ">" }.to_owned(), in_shell(file)]);
        }
        words.join(" ")
    }
}

/// What is to be said of a line besides the translation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What was not carried over, and why.
    pub(super) lost: Vec<(String, String)>,
    /// What holds all the same, and is worth knowing.
    pub(super) notes: Vec<String>,
}

impl Told {
    pub(super) fn lose(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.lost.push((what.into(), why.into()));
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// A line, translated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Translation {
    pub(super) lines: Vec<Line>,
    pub(super) told: Told,
}
