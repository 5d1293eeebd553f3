//! Fields and table matched: by name, by position, each once, none left over; then every value is typed.
//! Absent: what is said to people who meant something else; that is `complaint`.

use super::args::{Args, Slot};
use super::param::{Default, Param};
use super::value::{self, Value};
use super::{Piece, Refused, Role, Spec};
use crate::diagnostic::Span;

/// A string and the table that it is read by.
pub(super) struct Reader<'a> {
    pub(super) spec: &'a Spec,
    pub(super) role: Role,
    pub(super) params: &'static [Param],
}

impl Reader<'_> {
    pub(super) fn read_or_explain(&self) -> Result<Args, Refused> {
        self.read(None).map_err(|refused| self.explained(refused))
    }

    /// Reads the fields, as if the one at `without` had not been written.
    pub(super) fn read(&self, without: Option<usize>) -> Result<Args, Refused> {
        let slots = self
            .matched(without)?
            .into_iter()
            .zip(self.params)
            .map(|(given, param)| {
                let text = match (&given, param.default) {
                    (Some(piece), _) => piece.text.as_str(),
                    (None, Default::Text(text)) => text,
                    (None, Default::Required | Default::Absent) => {
                        return Ok(Slot {
                            given,
                            value: Value::Absent,
                        });
                    }
                };
                let value = value::read(param, text).map_err(|fault| {
                    let span = given
                        .as_ref()
                        .map_or(Span::at(self.spec.span.end), |piece| piece.span);
                    let refused = self.spec.refuse(fault.kind, span, fault.message);
                    match fault.help {
                        Some(help) => refused.help(help),
                        None => refused,
                    }
                })?;
                Ok(Slot { given, value })
            });
        let slots = slots.collect::<Result<Vec<Slot>, Refused>>()?;
        Ok(Args {
            spec: self.spec.clone(),
            role: self.role,
            params: self.params,
            slots,
        })
    }

    /// For each row of the table, the piece that is its value.
    fn matched(&self, without: Option<usize>) -> Result<Vec<Option<Piece>>, Refused> {
        let fields = || {
            self.spec
                .fields
                .iter()
                .enumerate()
                .filter(|(at, _)| Some(*at) != without)
        };
        let mut given: Vec<Option<Piece>> = vec![None; self.params.len()];
        let index = |name: &Piece| self.params.iter().position(|param| param.answers_to(&name.text));

        // Positionals take what the keywords leave, so the keywords have to be known first; but what is wrong is
        // reported in the order it is written.
        let mut named = vec![false; self.params.len()];
        for row in fields()
            .filter_map(|(_, field)| field.name.as_ref())
            .filter_map(index)
        {
            if let Some(named) = named.get_mut(row) {
                *named = true;
            }
        }
        let mut free = (0..self.params.len())
            .filter(|row| self.params.get(*row).is_some_and(|param| param.positional))
            .filter(|row| !named.get(*row).copied().unwrap_or(false));

        for (_, field) in fields() {
            let row = match &field.name {
                Some(name) => index(name).ok_or_else(|| self.unknown(name))?,
                None => match free.next() {
                    Some(row) => row,
                    // `stdio:` is `stdio`.
                    None if self.params.is_empty()
                        && field.value.text.is_empty()
                        && self.spec.fields.len() == 1 =>
                    {
                        continue;
                    }
                    None => return Err(self.surplus(&field.value)),
                },
            };
            let Some(slot) = given.get_mut(row) else { continue };
            if slot.is_some() {
                let name = field.name.as_ref().unwrap_or(&field.value);
                return Err(self.twice(name));
            }
            *slot = Some(field.value.clone());
        }

        let missing = self
            .params
            .iter()
            .zip(&given)
            .any(|(param, piece)| param.is_required() && piece.is_none());
        if missing { Err(self.missing()) } else { Ok(given) }
    }
}
