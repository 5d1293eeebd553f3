//! The endpoint string: `Spec`, its type and its fields, cut once; `parse` and `Display` are inverse functions.
//! Absent: which types and fields exist, and everything that opens something.

mod args;
mod complaint;
mod grammar;
mod param;
mod piece;
mod read;
mod refused;
mod suggest;
mod value;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

pub use args::{Args, Entry};
pub use param::{Default, Param, ValueKind, usage};
pub use piece::Piece;
pub use refused::{Kind, Refused};
pub use suggest::nearest;

use crate::diagnostic::{Span, quoted};

/// How deep endpoints may stand in or before one another: deeper than anyone stacks layers, and far from where the
/// stack of a thread ends.
pub const MAX_DEPTH: usize = 16;

/// Which end of the wire a string names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that connects.
    Client,
    /// The end that is connected to.
    Server,
}

impl Role {
    /// Both, in the order they are shown.
    pub const ALL: [Role; 2] = [Role::Client, Role::Server];

    /// The role at the far end.
    #[must_use]
    pub const fn other(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Client => "client",
            Role::Server => "server",
        })
    }
}

/// One argument as it was written; its place among the others is its place in [`Spec::fields`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The keyword, if it has one.
    pub name: Option<Piece>,
    /// The value.
    pub value: Piece,
}

impl Field {
    /// Where it was written, the keyword included.
    #[must_use]
    pub fn span(&self) -> Span {
        match &self.name {
            Some(name) => name.span.to(self.value.span),
            None => self.value.span,
        }
    }
}

/// An endpoint string, cut and unescaped.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The whole text that the user wrote: that of the outermost endpoint, if this one is part of another.
    pub source: Arc<str>,
    /// The type: the first positional, wherever it stood.
    pub name: Piece,
    /// The other positionals and the keywords, in the order they were written.
    pub fields: Vec<Field>,
    /// Where this endpoint stands in the source.
    pub span: Span,
    /// How many endpoints this one stands in or behind.
    pub depth: usize,
}

/// The unescaped texts decide; where they were written does not.
impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.fields == other.fields
    }
}

impl Eq for Spec {}

impl Spec {
    /// An endpoint that a program names, rather than a user; its pieces stand nowhere.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Spec {
        let name = Piece::new(name.into(), 0, 0, Vec::new());
        Spec {
            source: Arc::from(""),
            name,
            fields: Vec::new(),
            span: Span::at(0),
            depth: 0,
        }
    }

    /// The same with one more positional.
    #[must_use]
    pub fn positional(mut self, value: impl Into<String>) -> Spec {
        self.fields.push(Field {
            name: None,
            value: Piece::new(value.into(), 0, 0, Vec::new()),
        });
        self
    }

    /// The same with one more keyword.
    #[must_use]
    pub fn keyword(mut self, name: impl Into<String>, value: impl Into<String>) -> Spec {
        let name = Piece::new(name.into(), 0, 0, Vec::new());
        self.fields.push(Field {
            name: Some(name),
            value: Piece::new(value.into(), 0, 0, Vec::new()),
        });
        self
    }

    /// Cuts an endpoint string. Takes time in proportion to its length, whatever it holds.
    ///
    /// # Errors
    ///
    /// [`Refused`]: a backslash at the end, an unmatched bracket, text after one, or no type.
    pub fn parse(text: &str) -> Result<Spec, Refused> {
        let source: Arc<str> = Arc::from(text);
        Spec::assemble(&source, None, text, 0)
    }

    /// The same for bytes that may not be text.
    ///
    /// # Errors
    ///
    /// As [`Spec::parse`], and where the bytes are not UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Spec, Refused> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Spec::parse(text),
            Err(error) => {
                let text = String::from_utf8_lossy(bytes);
                // Everything before the first bad byte is the same in both, so the offset is too.
                let at = error.valid_up_to();
                let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
                Err(Refused::new(
                    Kind::NotUtf8,
                    &text,
                    span,
                    "an endpoint string is UTF-8 text",
                ))
            }
        }
    }

    /// The same for a command-line argument.
    ///
    /// # Errors
    ///
    /// As [`Spec::parse_bytes`].
    pub fn parse_os(text: &OsStr) -> Result<Spec, Refused> {
        Spec::parse_bytes(text.as_encoded_bytes())
    }

    /// Cuts an endpoint string that stands inside a value of this one. Errors point into the outermost source.
    ///
    /// # Errors
    ///
    /// As [`Spec::parse`], and where it stands too deep.
    pub fn nested(&self, value: &Piece) -> Result<Spec, Refused> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(self.too_deep(value.span));
        }
        Spec::assemble(&self.source, Some(value), &value.text, depth)
    }

    fn assemble(
        source: &Arc<str>,
        within: Option<&Piece>,
        text: &str,
        depth: usize,
    ) -> Result<Spec, Refused> {
        let whole = within.map_or(Span::new(0, text.len()), |piece| piece.span);
        let locate = |span: Span| within.map_or(span, |piece| piece.locate(span));
        let cut = grammar::cut(text).map_err(|fault| fault.refused(source, locate(fault.span)))?;
        let mut name = None;
        let mut fields = Vec::with_capacity(cut.len().saturating_sub(1));
        for mut field in cut {
            if let Some(outer) = within {
                field.value = field.value.within(outer);
                field.name = field.name.map(|piece| piece.within(outer));
            }
            match (&name, &field.name) {
                (None, None) => name = Some(field.value),
                _ => fields.push(field),
            }
        }
        let Some(name) = name else {
            return Err(Refused::new(Kind::NoType, source, whole, "no endpoint type")
                .help("the first part without a `=` is the type: tcp:HOST:PORT"));
        };
        Ok(Spec {
            source: Arc::clone(source),
            name,
            fields,
            span: whole,
            depth,
        })
    }

    /// The type in lower case: the case of its ASCII letters does not count.
    #[must_use]
    pub fn type_name(&self) -> String {
        self.name.text.to_ascii_lowercase()
    }

    /// Refuses a keyword that is given twice.
    ///
    /// # Errors
    ///
    /// [`Kind::GivenTwice`], with the carets under the second.
    pub fn given_once(&self) -> Result<(), Refused> {
        let mut seen = HashSet::with_capacity(self.fields.len());
        for name in self.fields.iter().filter_map(|field| field.name.as_ref()) {
            if !seen.insert(name.text.as_str()) {
                let message = format!("argument {} is given twice", quoted(&name.text));
                return Err(self.refuse(Kind::GivenTwice, name.span, message));
            }
        }
        Ok(())
    }

    /// Takes a wrapper off the endpoint it stands before.
    ///
    /// The keywords around the wrapper's name, up to the next positional, are its own; that positional is the type of
    /// the inner endpoint, and all that follows belongs to it. Without such a positional there is no inner endpoint.
    #[must_use]
    pub fn split_wrapper(mut self) -> (Spec, Option<Spec>) {
        let Some(at) = self.fields.iter().position(|field| field.name.is_none()) else {
            return (self, None);
        };
        let mut rest = self.fields.split_off(at).into_iter();
        let Some(first) = rest.next() else {
            return (self, None);
        };
        let inner = Spec {
            source: Arc::clone(&self.source),
            span: first.value.span.to(self.span),
            name: first.value,
            fields: rest.collect(),
            depth: self.depth + 1,
        };
        // The wrapper ends where its own last piece does: before the colon in front of the inner type.
        let end = self.fields.last().map_or(self.name.span.end, |field| {
            field.span().end.max(self.name.span.end)
        });
        self.span.end = end;
        (self, Some(inner))
    }

    /// Refuses this endpoint, with the carets under a part of the source.
    #[must_use]
    pub fn refuse(&self, kind: Kind, span: Span, message: impl Into<String>) -> Refused {
        Refused::new(kind, &self.source, span, message)
    }

    /// Refuses an endpoint whose type nobody knows; `known` are the types that there are.
    #[must_use]
    pub fn unknown_type<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Refused {
        let message = if self.name.text.is_empty() {
            String::from("the endpoint type is empty")
        } else {
            format!("unknown endpoint type {}", quoted(&self.name.text))
        };
        let refused = self.refuse(Kind::UnknownType, self.name.span, message);
        match nearest(self.name.text.trim(), known) {
            Some(name) => refused.help(format!("did you mean `{name}`?")),
            None => refused,
        }
    }

    /// Refuses endpoints that stand too deep in or behind one another.
    #[must_use]
    pub fn too_deep(&self, span: Span) -> Refused {
        self.refuse(
            Kind::TooDeep,
            span,
            format!("endpoints stand in one another more than {MAX_DEPTH} deep"),
        )
    }
}

/// The canonical spelling: the type first, then the fields in their order. [`Spec::parse`] reads it back.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        grammar::write_positional(f, &self.name.text)?;
        for field in &self.fields {
            f.write_str(":")?;
            match &field.name {
                Some(name) => {
                    grammar::write_name(f, &name.text)?;
                    f.write_str("=")?;
                    grammar::write_value(f, &field.value.text)?;
                }
                None => grammar::write_positional(f, &field.value.text)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
