//! `Args`: the arguments of one endpoint string, typed by the table of its type; accessors that never panic.
//! Absent: how fields and table are matched, sockets, files, flags, and the tables themselves.

use std::net::IpAddr;
use std::time::Duration;

use super::param::{Default, Param};
use super::read::Reader;
use super::value::Value;
use super::{Kind, Piece, Refused, Role, Spec};
use crate::diagnostic::Span;

/// The arguments of one endpoint string.
///
/// Each accessor takes the name of a [`Param`] of the table that was read; a name that is not in it is an error of the
/// program, and gives what an argument that is not given would.
#[derive(Debug, Clone)]
pub struct Args {
    pub(super) spec: Spec,
    pub(super) role: Role,
    pub(super) params: &'static [Param],
    /// One for each row of the table.
    pub(super) slots: Vec<Slot>,
}

/// What a string says about one row of the table.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) given: Option<Piece>,
    pub(super) value: Value,
}

/// One row of the table with what the string says about it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The row.
    pub param: &'static Param,
    /// The value as it was written, or the default; `None` where there is neither.
    pub text: Option<&'a str>,
    /// Whether the string gives it.
    pub given: bool,
}

impl Args {
    /// Reads the fields of `spec` by the table of its type in this role. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the carets under the first field that is wrong, or after the end if one is missing.
    pub fn read(spec: &Spec, role: Role, params: &'static [Param]) -> Result<Args, Refused> {
        Reader { spec, role, params }.read_or_explain()
    }

    /// The string that was read.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The role that it was read for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    fn slot(&self, name: &str) -> Option<(&'static Param, &Slot)> {
        let found = self
            .params
            .iter()
            .zip(&self.slots)
            .find(|(param, _)| param.answers_to(name));
        debug_assert!(
            found.is_some(),
            "no argument {name} in the table of {}",
            self.spec.name.text
        );
        found
    }

    /// Every row of the table with its value, in the order of the table.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.params.iter().zip(&self.slots).map(|(param, slot)| Entry {
            param,
            text: text(param, slot),
            given: slot.given.is_some(),
        })
    }

    /// Whether the string gives it.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.piece(name).is_some()
    }

    /// What was given, with its place.
    #[must_use]
    pub fn piece(&self, name: &str) -> Option<&Piece> {
        self.slot(name)?.1.given.as_ref()
    }

    /// Where the value stands; the end of the endpoint where it is not given.
    #[must_use]
    pub fn span(&self, name: &str) -> Span {
        self.piece(name)
            .map_or(Span::at(self.spec.span.end), |piece| piece.span)
    }

    /// The value as it was written, or the default; empty where there is neither.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.text_if(name).unwrap_or_default()
    }

    /// The value as it was written, or the default.
    #[must_use]
    pub fn text_if(&self, name: &str) -> Option<&str> {
        self.slot(name).and_then(|(param, slot)| text(param, slot))
    }

    /// The host as the resolver and certificates want it: in ASCII. [`Args::text`] is what the user wrote.
    #[must_use]
    pub fn host(&self, name: &str) -> &str {
        match self.slot(name) {
            Some((
                _,
                Slot {
                    value: Value::Host(ascii),
                    ..
                },
            )) => ascii,
            _ => "",
        }
    }

    /// The port; 0 where there is none.
    #[must_use]
    pub fn port(&self, name: &str) -> u16 {
        u16::try_from(self.integer(name)).unwrap_or(0)
    }

    /// The number, or the number of bytes; 0 where there is none.
    #[must_use]
    pub fn integer(&self, name: &str) -> u64 {
        self.integer_if(name).unwrap_or(0)
    }

    /// The number, or the number of bytes.
    #[must_use]
    pub fn integer_if(&self, name: &str) -> Option<u64> {
        match self.slot(name)?.1.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The permissions; 0 where there are none.
    #[must_use]
    pub fn mode(&self, name: &str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or(0)
    }

    /// The length of time.
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.slot(name)?.1.value {
            Value::Duration(duration) => Some(duration),
            _ => None,
        }
    }

    /// Yes or no; no where neither is said.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(
            self.slot(name),
            Some((
                _,
                Slot {
                    value: Value::Flag(true),
                    ..
                }
            ))
        )
    }

    /// The IP address.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        match self.slot(name)?.1.value {
            Value::Address(address, _) => Some(address),
            _ => None,
        }
    }

    /// The zone of an IPv6 address: `eth0` in `fe80::1%eth0`.
    #[must_use]
    pub fn zone(&self, name: &str) -> Option<&str> {
        match &self.slot(name)?.1.value {
            Value::Address(_, zone) => zone.as_deref(),
            _ => None,
        }
    }

    /// The texts between the commas.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        match self.slot(name) {
            Some((
                _,
                Slot {
                    value: Value::List(items),
                    ..
                },
            )) => items,
            _ => &[],
        }
    }

    /// The endpoint that stands in this value, cut.
    ///
    /// # Errors
    ///
    /// As [`Spec::nested`].
    pub fn endpoint(&self, name: &str) -> Result<Option<Spec>, Refused> {
        self.piece(name).map(|piece| self.spec.nested(piece)).transpose()
    }

    /// Refuses the value of one argument.
    #[must_use]
    pub fn refuse(&self, name: &str, kind: Kind, message: impl Into<String>) -> Refused {
        self.spec.refuse(kind, self.span(name), message)
    }
}

fn text<'a>(param: &Param, slot: &'a Slot) -> Option<&'a str> {
    match (&slot.given, param.default) {
        (Some(piece), _) => Some(&piece.text),
        (None, Default::Text(text)) => Some(text),
        (None, Default::Required | Default::Absent) => None,
    }
}
