//! What is answered at once: as many of the lines that have come as one write, and one sync of the disk, should hold.
//! Absent: connections and files; what became of the texts is told afterwards.

use super::commands::Commands;
use super::split::Split;

/// Bytes of answers, and of text for the disk, that are gathered before they are passed on.
const ROUND: usize = 64 * 1024;

/// The answers to some lines, in order.
#[derive(Debug, Default)]
pub(super) struct Round {
    said: Vec<u8>,
    /// The answers that hold only once a text is on disk.
    promises: Vec<Promise>,
    /// The texts, one for each file.
    pub(super) saves: Vec<Save>,
    pub(super) then: Then,
}

/// What is to be appended to one of the files.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) file: usize,
    pub(super) text: Vec<u8>,
}

/// Which part of what is said depends on which of the texts.
#[derive(Debug)]
struct Promise {
    from: usize,
    to: usize,
    save: usize,
}

/// How it goes on when the answers are out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Then {
    /// More has to come first.
    #[default]
    Read,
    /// There may be more lines.
    Again,
    /// The connection is to be closed.
    Close,
}

impl Round {
    /// Answers the lines that have come, until there is enough for one round.
    pub(super) fn of(commands: &Commands, lines: &mut Split) -> Self {
        let mut round = Round::default();
        let mut texts = 0;
        while round.said.len() < ROUND && texts < ROUND {
            match lines.next() {
                None => return round,
                Some(Ok(line)) => {
                    let (length, close) = round.answer(commands, line);
                    texts += length;
                    if close {
                        round.then = Then::Close;
                        return round;
                    }
                }
                Some(Err(_overlong)) => {
                    round.said.extend_from_slice(&commands.overlong);
                    round.then = Then::Close;
                    return round;
                }
            }
        }
        round.then = Then::Again;
        round
    }

    /// Answers a line; gives the length of its text for the disk, and whether the connection is to be closed.
    fn answer(&mut self, commands: &Commands, line: &[u8]) -> (usize, bool) {
        let from = self.said.len();
        let mut text = Vec::new();
        let act = commands.act(line, &mut self.said, &mut text);
        let length = text.len();
        if let Some(file) = act.file {
            let save = match self.saves.iter().position(|save| save.file == file) {
                Some(save) => {
                    self.saves[save].text.append(&mut text);
                    save
                }
                None => {
                    self.saves.push(Save { file, text });
                    self.saves.len() - 1
                }
            };
            let to = self.said.len();
            self.promises.push(Promise { from, to, save });
        }
        (length, act.close)
    }

    /// What goes out, after it was told which of the texts are on disk.
    pub(super) fn settled(self, commands: &Commands, saved: &[bool]) -> Vec<u8> {
        let is_broken = |promise: &&Promise| saved.get(promise.save) != Some(&true);
        if !self.promises.iter().any(|promise| is_broken(&promise)) {
            return self.said;
        }
        let mut out = Vec::new();
        let mut done = 0;
        for promise in self.promises.iter().filter(is_broken) {
            out.extend_from_slice(&self.said[done..promise.from]);
            out.extend_from_slice(&commands.unsaved);
            done = promise.to;
        }
        out.extend_from_slice(&self.said[done..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::commands::{Append, Command, Part, Pattern, Template};
    use super::*;

    /// All that is said to these bytes, and all that is saved, however they come.
    fn conversation<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, saved: bool) -> (Vec<u8>, Vec<u8>, Then) {
        let commands = Commands::built_in(Path::new("f"));
        let mut lines = Split::new(40);
        let (mut said, mut texts) = (Vec::new(), Vec::new());
        for piece in pieces {
            lines.push(piece);
            loop {
                let round = Round::of(&commands, &mut lines);
                let then = round.then;
                for save in &round.saves {
                    texts.extend_from_slice(&save.text);
                }
                said.extend(round.settled(&commands, &[saved]));
                match then {
                    Then::Read => break,
                    Then::Again => {}
                    Then::Close => return (said, texts, then),
                }
            }
        }
        (said, texts, Then::Read)
    }

    #[test]
    fn a_broken_promise_is_told_in_its_place() {
        let talk = [&b"hello\nwrite: a\nx\nwrite: b\ngoodbye\nhello\n"[..]];
        let hello = "Hello! How are you?\r\n";
        let bye = "Noooo don't go awayyyyy...\r\n";
        for (saved, answer) in [(true, "Message saved!"), (false, "ERROR could not save")] {
            let (said, texts, then) = conversation(talk, saved);
            let expected = format!("{hello}{answer}\r\nUnknown command\r\n{answer}\r\n{bye}");
            assert_eq!(String::from_utf8(said).unwrap(), expected);
            assert_eq!((texts, then), (b"a\nb\n".to_vec(), Then::Close));
        }
    }

    #[test]
    fn each_file_keeps_or_breaks_its_own_promises() {
        let command = |prefix: &str, file| Command {
            pattern: Pattern::Prefix(prefix.into()),
            reply: Some(Template(vec![Part::Capture(0)])),
            append: Some(Append {
                file,
                text: Template(vec![Part::Capture(1)]),
            }),
            close: false,
        };
        let commands = Commands {
            list: vec![command("a", 0), command("b", 1)],
            ..Commands::empty()
        };
        let mut lines = Split::new(40);
        lines.push(b"a1\nb1\na2\nb2\n");
        let round = Round::of(&commands, &mut lines);
        let texts: Vec<_> = round
            .saves
            .iter()
            .map(|save| (save.file, save.text.clone()))
            .collect();
        assert_eq!(texts, [(0, b"1\n2\n".to_vec()), (1, b"1\n2\n".to_vec())]);
        let said = round.settled(&commands, &[false, true]);
        let no = "ERROR could not save\r\n";
        assert_eq!(String::from_utf8(said).unwrap(), format!("{no}b1\r\n{no}b2\r\n"));
    }

    #[test]
    fn ten_thousand_tiny_lines_take_few_rounds_of_bounded_size() {
        let commands = Commands::built_in(Path::new("f"));
        let mut lines = Split::new(40);
        lines.push(&b"\n".repeat(10_000));
        let (mut rounds, mut length) = (0, 0);
        loop {
            let round = Round::of(&commands, &mut lines);
            let then = round.then;
            let said = round.settled(&commands, &[]);
            assert!(said.len() < ROUND + 100);
            (rounds, length) = (rounds + 1, length + said.len());
            if then == Then::Read {
                break;
            }
        }
        assert_eq!(length, 10_000 * "Unknown command\r\n".len());
        assert!(rounds < 5, "{rounds} rounds");
    }

    proptest! {
        #[test]
        fn however_the_packets_are_cut_the_conversation_is_the_same(
            words in proptest::collection::vec(
                prop_oneof!["hello\r?\n", "goodbye\r\n", "write: [a-z\u{e9}]{0,30}\r?\n", "[a-z]{0,45}\n", "\r\n", "h\u{0}"],
                0..12,
            ),
            cuts in proptest::collection::vec(0_usize..400, 0..8),
            saved: bool,
        ) {
            let bytes = words.concat().into_bytes();
            let whole = conversation([&bytes[..]], saved);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let cut = conversation(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]), saved);
            prop_assert_eq!(&cut, &whole);
            prop_assert_eq!(&conversation(bytes.chunks(1), saved), &whole);
        }
    }
}
