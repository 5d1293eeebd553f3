//! The fields of a table in a file of settings, by name and by kind, and what is wrong with one, shown in its line.
//! Absent: what the fields are for.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Span, line_of, listed, quoted};
use crate::endpoint::nearest;
use crate::error::{Error, Status};

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) span: Span,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Wrong {
            message: message.into(),
            span: Span::new(range.start, range.end),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error, shown in the line of the file.
    pub(super) fn within(self, name: &str, text: &str) -> Error {
        let (number, line, span) = line_of(text, self.span);
        let picture = Diagnostic {
            message: String::new(),
            source: line.to_owned(),
            span,
            help: None,
        }
        .picture();
        let why = format!("{name}, line {number}: {}", self.message);
        let error = Error::new(Status::Usage, why).picture(picture);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

pub(super) fn ticked(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

/// The fields of a table, of which each has a name that is known.
pub(super) struct Fields<'t, 'i>(&'t DeTable<'i>);

impl<'t, 'i> Fields<'t, 'i> {
    pub(super) fn of(table: &'t DeTable<'i>, known: &[&str]) -> Result<Self, Wrong> {
        let unknown = table.iter().filter(|(key, _)| !known.contains(&&**key.get_ref()));
        // The first in the file: the table is in the order of the alphabet.
        let Some((key, _)) = unknown.min_by_key(|(key, _)| key.span().start) else {
            return Ok(Fields(table));
        };
        let wrong = Wrong::new(key.span(), format!("unknown key {}", quoted(key.get_ref())));
        Err(match nearest(key.get_ref(), known.iter().copied()) {
            Some(name) => wrong.help(format!("did you mean `{name}`?")),
            None => wrong.help(format!("there are {}", listed(&ticked(known), "and"))),
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.0.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<(Range<usize>, &'t str)>, Wrong> {
        match self.get(name).map(|value| (value.span(), value.get_ref())) {
            None => Ok(None),
            Some((span, DeValue::String(text))) => Ok(Some((span, text))),
            Some((span, _)) => Err(Wrong::new(span, format!("`{name}` is a text in quotation marks"))),
        }
    }

    pub(super) fn required(
        &self,
        name: &str,
        whole: &Range<usize>,
    ) -> Result<(Range<usize>, &'t str), Wrong> {
        let missing = || Wrong::new(whole.clone(), format!("`{name}` is missing"));
        self.text(name)?.ok_or_else(missing)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Wrong> {
        match self.get(name).map(|value| (value.span(), value.get_ref())) {
            None => Ok(false),
            Some((_, DeValue::Boolean(flag))) => Ok(*flag),
            Some((span, _)) => Err(Wrong::new(span, format!("`{name}` is true or false"))),
        }
    }
}
