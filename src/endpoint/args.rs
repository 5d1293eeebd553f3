//! `Args`: the fields of a string, matched with a table of `Param`s and typed, or refused at the field that is wrong.
//! Absent: sockets, files, flags, and the tables themselves.

use std::net::IpAddr;
use std::time::Duration;

use super::param::{Default, Param, ValueKind, usage};
use super::value::{self, Value};
use super::{Field, Kind, Piece, Refused, Role, Spec, nearest};
use crate::diagnostic::{Span, listed, quoted};

/// The arguments of one endpoint string.
///
/// Each accessor takes the name of a [`Param`] of the table that was read; a name that is not in it is an error of the
/// program, and gives what an argument that is not given would.
#[derive(Debug, Clone)]
pub struct Args {
    spec: Spec,
    role: Role,
    params: &'static [Param],
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    given: Option<Piece>,
    value: Value,
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
        let reader = Reader { spec, role, params };
        reader.read(None).map_err(|refused| reader.explained(refused))
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

struct Reader<'a> {
    spec: &'a Spec,
    role: Role,
    params: &'static [Param],
}

impl Reader<'_> {
    /// Reads the fields, as if the one at `without` had not been written.
    fn read(&self, without: Option<usize>) -> Result<Args, Refused> {
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

    /// `a tcp server endpoint`.
    fn noun(&self) -> String {
        let name = self.spec.type_name();
        // As they are spoken: an ess-ess-ell, an eff-dee.
        let article = if name.starts_with(['a', 'e', 'i', 'o']) || name == "ssl" || name == "fd" {
            "an"
        } else {
            "a"
        };
        format!("{article} {name} {} endpoint", self.role)
    }

    fn unknown(&self, name: &Piece) -> Refused {
        let message = format!("unknown argument {} for {}", quoted(&name.text), self.noun());
        let refused = self.spec.refuse(Kind::UnknownArgument, name.span, message);
        let names = self
            .params
            .iter()
            .flat_map(|param| std::iter::once(&param.name).chain(param.aliases))
            .copied();
        match nearest(&name.text, names) {
            Some(known) => refused.help(format!("did you mean `{known}`?")),
            None if name.text.contains('/') => refused.help("a `=` that is part of a value is written `\\=`"),
            None => {
                let names: Vec<&str> = self.params.iter().map(|param| param.name).collect();
                match names.as_slice() {
                    [] => refused.help(format!("{} takes no arguments", self.noun())),
                    names => refused.help(format!("it takes {}", listed(names, "and"))),
                }
            }
        }
    }

    fn surplus(&self, value: &Piece) -> Refused {
        let message = format!("too many arguments for {}", self.noun());
        let help = match usage(&self.spec.type_name(), self.params) {
            usage if self.params.is_empty() => format!("it is written `{usage}`, without arguments"),
            usage => format!("it is written {usage}"),
        };
        self.spec
            .refuse(Kind::TooManyArguments, value.span, message)
            .help(help)
    }

    fn twice(&self, name: &Piece) -> Refused {
        let message = format!(
            "argument {} is given twice for {}",
            quoted(&name.text),
            self.noun()
        );
        self.spec.refuse(Kind::GivenTwice, name.span, message)
    }

    fn missing(&self) -> Refused {
        let name = self.spec.type_name();
        let required: Vec<&str> = self
            .params
            .iter()
            .filter(|param| param.is_required())
            .map(|param| param.name)
            .collect();
        let message = format!(
            "a {} {name} endpoint needs {}",
            self.role,
            listed(&required, "and")
        );
        let help = format!("it is written {}", usage(&name, self.params));
        self.spec
            .refuse(Kind::MissingArgument, Span::at(self.spec.span.end), message)
            .help(help)
    }

    /// Two things that people write look like something else to the rules; what they meant is said instead.
    fn explained(&self, refused: Refused) -> Refused {
        if let Some(refused) = self.bare_address() {
            return refused;
        }
        // `tcp:a:80:host=b` moves `a` to the port. If the string is fine without the keyword, that is not the error.
        let positionals = self
            .spec
            .fields
            .iter()
            .filter(|field| field.name.is_none())
            .count();
        let rows = self
            .params
            .iter()
            .filter(|param| param.positional)
            .take(positionals);
        for param in rows {
            let named = |field: &Field| {
                field
                    .name
                    .as_ref()
                    .is_some_and(|name| param.answers_to(&name.text))
            };
            let Some(at) = self.spec.fields.iter().position(named) else {
                continue;
            };
            let name = self.spec.fields.get(at).and_then(|field| field.name.as_ref());
            if let (Some(name), Ok(_)) = (name, self.read(Some(at))) {
                return self
                    .twice(name)
                    .help("a value without a name gives it too, by its position");
            }
        }
        refused
    }

    /// `tcp:::1:80`, `interface=::1`: the colons of an IPv6 address cut it into pieces.
    fn bare_address(&self) -> Option<Refused> {
        let fields = &self.spec.fields;
        let start = fields.iter().position(|field| {
            let param = match &field.name {
                Some(name) => self.params.iter().find(|param| param.answers_to(&name.text)),
                None => self.params.iter().find(|param| param.positional),
            };
            param.is_some_and(|param| {
                matches!(
                    param.value,
                    ValueKind::Host | ValueKind::Address | ValueKind::AddressV4 | ValueKind::AddressV6
                )
            })
        })?;
        let first = fields.get(start)?;
        let mut address = first.value.text.clone();
        let mut found = None;
        // An address has no more than eight groups, and one empty piece at either end.
        for (taken, field) in fields.iter().skip(start + 1).take(9).enumerate() {
            if field.name.is_some() || address.len() > 64 {
                break;
            }
            address.push(':');
            address.push_str(&field.value.text);
            if value::literal(&address).is_some() {
                found = Some((start + 1 + taken, address.clone()));
                // As much as belongs to it, but a port must be left if one is needed.
                if first.name.is_none() && taken + start + 3 >= fields.len() {
                    break;
                }
            }
        }
        let (last, address) = found?;
        let mut fixed = self.spec.clone();
        if let Some(field) = fixed.fields.get_mut(start) {
            field.value.text = address;
        }
        fixed.fields.drain(start + 1..=last);
        let refused = match &first.name {
            Some(name) => self.twice(name),
            None => self.missing(),
        };
        Some(refused.help(format!("an IPv6 address goes in brackets: {fixed}")))
    }
}
