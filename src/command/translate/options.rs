//! The options of a peer as a table of rows, and a reader of its line that leaves none out.
//! Absent: the rows.

use netkit::diagnostic::{Span, quoted};

use super::told::Told;
use super::words::{Read, Unread, Word};

/// One option, under all its names.
pub(super) struct Row<D: 'static> {
    pub(super) names: &'static [&'static str],
    /// Whether a value follows.
    pub(super) valued: bool,
    pub(super) then: Then<D>,
}

/// What becomes of an option.
pub(super) enum Then<D: 'static> {
    Set(fn(&mut D)),
    Take(fn(&mut D, &Given, &mut Told) -> Read<()>),
    /// It is so in netkit anyway.
    Same,
    /// It cannot be carried over, and why.
    Lost(&'static str),
}

/// An option as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: String,
    /// Its value, or an empty text, and where that stands.
    pub(super) value: Word,
    /// Where the option stands.
    pub(super) span: Span,
}

impl Given {
    /// As it was written, in one word.
    pub(super) fn text(&self, between: &str) -> String {
        match self.value.text.as_str() {
            "" => self.name.clone(),
            value => format!("{}{between}{value}", self.name),
        }
    }

    pub(super) fn value(&self) -> String {
        self.value.text.clone()
    }

    pub(super) fn lose(&self, told: &mut Told, why: &str) {
        told.lose(self.text(if self.name.starts_with('-') { " " } else { "=" }), why);
    }

    pub(super) fn refuse(&self, message: impl Into<String>) -> Unread {
        Unread {
            span: self.span,
            message: message.into(),
            help: None,
        }
    }
}

pub(super) const fn set<D>(names: &'static [&'static str], then: fn(&mut D)) -> Row<D> {
    Row {
        names,
        valued: false,
        then: Then::Set(then),
    }
}

pub(super) const fn take<D>(
    names: &'static [&'static str],
    then: fn(&mut D, &Given, &mut Told) -> Read<()>,
) -> Row<D> {
    Row {
        names,
        valued: true,
        then: Then::Take(then),
    }
}

pub(super) const fn same<D>(names: &'static [&'static str]) -> Row<D> {
    Row {
        names,
        valued: false,
        then: Then::Same,
    }
}

pub(super) const fn lost<D>(names: &'static [&'static str], why: &'static str) -> Row<D> {
    Row {
        names,
        valued: false,
        then: Then::Lost(why),
    }
}

pub(super) const fn lost_value<D>(names: &'static [&'static str], why: &'static str) -> Row<D> {
    Row {
        names,
        valued: true,
        then: Then::Lost(why),
    }
}

impl<D> Row<D> {
    /// Does what the row says.
    pub(super) fn heed(&self, draft: &mut D, given: &Given, told: &mut Told) -> Read<()> {
        match self.then {
            Then::Set(set) => set(draft),
            Then::Take(take) => take(draft, given, told)?,
            Then::Same => {}
            Then::Lost(why) => given.lose(told, why),
        }
        Ok(())
    }
}

/// How a peer writes its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `-lkp 80`, `--listen`, `--idle-timeout=5`, and long names cut short.
    Getopt,
    /// `-connect host:port`, and the same with two hyphens.
    Long,
}

/// Reads a line by its table. What is no option is given back.
pub(super) fn read<D>(
    program: &str,
    style: Style,
    rows: &'static [Row<D>],
    words: &[Word],
    draft: &mut D,
    told: &mut Told,
) -> Read<Vec<Word>> {
    let mut rest = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if text == "--" {
            rest.extend(words.by_ref().cloned());
        } else if text == "-" || !text.starts_with('-') {
            rest.push(word.clone());
        } else if style == Style::Long || text.starts_with("--") {
            let (name, attached) = match text.find('=').filter(|_| style == Style::Getopt) {
                Some(at) => (&text[..at], Some(word.part(at + 1, text.len()))),
                None => (text, None),
            };
            let row = long(rows, style, name).ok_or_else(|| unknown(program, word, name))?;
            let given = given(program, row, name, word, attached, &mut words)?;
            row.heed(draft, &given, told)?;
        } else {
            cluster(program, rows, word, &mut words, draft, told)?;
        }
    }
    Ok(rest)
}

/// Options of one letter each: the rest of the word is the value of the first that has one.
fn cluster<'a, D>(
    program: &str,
    rows: &'static [Row<D>],
    word: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
    draft: &mut D,
    told: &mut Told,
) -> Read<()> {
    let text = word.text.as_str();
    for (at, letter) in text.char_indices().skip(1) {
        let name = format!("-{letter}");
        let end = at + letter.len_utf8();
        let here = word.part(at, end);
        let row = rows.iter().find(|row| row.names.contains(&name.as_str()));
        let row = row.ok_or_else(|| unknown(program, &here, &name))?;
        let attached = (row.valued && end < text.len()).then(|| word.part(end, text.len()));
        let stop = attached.is_some();
        let given = given(program, row, &name, &here, attached, words)?;
        row.heed(draft, &given, told)?;
        if stop {
            break;
        }
    }
    Ok(())
}

fn long<D>(rows: &'static [Row<D>], style: Style, name: &str) -> Option<&'static Row<D>> {
    let exact = rows.iter().find(|row| {
        row.names.contains(&name)
            || (style == Style::Long
                && name
                    .strip_prefix('-')
                    .is_some_and(|name| row.names.contains(&name)))
    });
    if exact.is_some() || style == Style::Long {
        return exact;
    }
    let mut found = rows.iter().filter(|row| {
        row.names
            .iter()
            .any(|known| known.starts_with("--") && known.starts_with(name))
    });
    match (found.next(), found.next()) {
        (Some(row), None) => Some(row),
        _ => None,
    }
}

fn given<'a, D>(
    program: &str,
    row: &Row<D>,
    name: &str,
    word: &Word,
    attached: Option<Word>,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Read<Given> {
    let value = match (row.valued, attached) {
        (true, Some(value)) => value,
        (true, None) => words
            .next()
            .cloned()
            .ok_or_else(|| word.refuse(format!("{} of {program} needs a value", quoted(name))))?,
        (false, Some(value)) => {
            return Err(value.refuse(format!("{} of {program} takes no value", quoted(name))));
        }
        (false, None) => word.part(word.text.len(), word.text.len()),
    };
    Ok(Given {
        name: name.to_owned(),
        value,
        span: word.span,
    })
}

fn unknown(program: &str, word: &Word, name: &str) -> Unread {
    word.refuse(format!("{program} has no option {}", quoted(name)))
}
