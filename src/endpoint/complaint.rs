//! What is said when fields and table do not match: in the words of the user, with what they probably meant.
//! Absent: the rules themselves; those are in `read`.

use super::param::{ValueKind, usage};
use super::read::Reader;
use super::value;
use super::{Kind, Piece, Refused, Spec, nearest};
use crate::diagnostic::{Span, clean, listed, quoted};

/// An IPv6 address has eight groups at most, and may begin and end with a colon.
const ADDRESS_PIECES_MAX: usize = 9;

impl Reader<'_> {
    /// The type, as it stands in messages.
    fn name(&self) -> String {
        clean(&self.spec.type_name())
    }

    /// `a tcp server endpoint`.
    fn noun(&self) -> String {
        let name = self.name();
        // As they are spoken: an ess-ess-ell, an eff-dee.
        let article = if name.starts_with(['a', 'e', 'i', 'o']) || name == "ssl" || name == "fd" {
            "an"
        } else {
            "a"
        };
        format!("{article} {name} {} endpoint", self.role)
    }

    pub(super) fn unknown(&self, name: &Piece) -> Refused {
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

    pub(super) fn surplus(&self, value: &Piece) -> Refused {
        let message = format!("too many arguments for {}", self.noun());
        let help = match usage(&self.name(), self.params) {
            usage if self.params.is_empty() => format!("it is written `{usage}`, without arguments"),
            usage => format!("it is written {usage}"),
        };
        self.spec
            .refuse(Kind::TooManyArguments, value.span, message)
            .help(help)
    }

    pub(super) fn twice(&self, name: &Piece) -> Refused {
        let message = format!(
            "argument {} is given twice for {}",
            quoted(&name.text),
            self.noun()
        );
        self.spec.refuse(Kind::GivenTwice, name.span, message)
    }

    pub(super) fn missing(&self) -> Refused {
        let name = self.name();
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

    /// Some things that people write look like something else to the rules; what they meant is said instead.
    ///
    /// The string is read once more for each guess. Their number is bounded by the table, not by the string.
    pub(super) fn explained(&self, refused: Refused) -> Refused {
        // Two keywords of one name: nothing is left to guess.
        if refused.kind == Kind::GivenTwice {
            return refused;
        }
        self.bare_address(&refused)
            .or_else(|| self.given_by_position())
            .or_else(|| self.bare_endpoint(&refused))
            .unwrap_or(refused)
    }

    /// `tcp:a:80:host=b` moves `a` to the port. If the string is fine without the keyword, the port is not the error.
    fn given_by_position(&self) -> Option<Refused> {
        let fields = &self.spec.fields;
        let positionals = fields.iter().filter(|field| field.name.is_none()).count();
        let mut rows = self
            .params
            .iter()
            .filter(|param| param.positional)
            .take(positionals);
        rows.find_map(|param| {
            let named = |name: &Piece| param.answers_to(&name.text);
            let at = fields
                .iter()
                .position(|field| field.name.as_ref().is_some_and(named))?;
            let name = fields.get(at)?.name.as_ref()?;
            self.read(Some(at)).ok()?;
            Some(
                self.twice(name)
                    .help("a value without a name gives it too, by its position"),
            )
        })
    }

    /// `tcp:::1:80`, `interface=::1`: the colons of an IPv6 address cut it into pieces.
    fn bare_address(&self, refused: &Refused) -> Option<Refused> {
        let fields = &self.spec.fields;
        let mut positionals = self.params.iter().filter(|param| param.positional);
        let (start, required, found) = fields.iter().enumerate().find_map(|(start, field)| {
            let param = match &field.name {
                Some(name) => self.params.iter().find(|param| param.answers_to(&name.text)),
                None => positionals.next(),
            }?;
            let found = if param.value.is_address() {
                self.addresses(start)
            } else {
                Vec::new()
            };
            (!found.is_empty()).then_some((start, param.is_required(), found))
        })?;
        let first = fields.get(start)?;

        // The longest that leaves a string which can be read: what follows the address may be the port. If there is
        // none, but nothing follows either, the brackets still come first.
        let meant = |found: &(String, usize)| {
            let mut meant = self.spec.clone();
            meant.fields.get_mut(start)?.value.text.clone_from(&found.0);
            meant.fields.drain(start + 1..=found.1);
            Some((meant, found.1))
        };
        // Of the wrong family, it is an address nevertheless.
        let reads = |meant: &Spec| match (Reader {
            spec: meant,
            role: self.role,
            params: self.params,
        })
        .read(None)
        {
            Ok(_) => true,
            Err(refused) => refused.kind == Kind::WrongAddressFamily,
        };
        let all = || found.iter().rev().filter_map(meant);
        let (meant, last) = all()
            .find(|(meant, _)| reads(meant))
            .or_else(|| all().find(|(meant, _)| meant.fields.len() == 1))?;
        let span = first.value.span.to(fields.get(last)?.value.span);
        let refused = match &first.name {
            Some(name) => self.twice(name),
            None if required => {
                let mut refused = self.missing();
                refused.diagnostic.span = span;
                refused
            }
            None => refused.clone(),
        };
        Some(refused.help(suggested("an IPv6 address goes in brackets", &meant.to_string())))
    }

    /// The IPv6 addresses that a field makes with those that follow it, and the last field of each.
    fn addresses(&self, start: usize) -> Vec<(String, usize)> {
        let mut fields = self.spec.fields.iter().enumerate().skip(start);
        let mut text = fields
            .next()
            .map(|(_, field)| field.value.text.clone())
            .unwrap_or_default();
        let mut found = Vec::new();
        // A colon that is part of a piece was written on purpose: with brackets, or escaped.
        if text.contains(':') {
            return found;
        }
        for (at, field) in fields.take(ADDRESS_PIECES_MAX) {
            if field.name.is_some() || field.value.text.contains(':') {
                break;
            }
            text.push(':');
            text.push_str(&field.value.text);
            if value::literal(&text).is_some() {
                found.push((text.clone(), at));
            }
        }
        found
    }

    /// `endpoint=tcp:10.0.0.1:443`: the colons of an endpoint in a value cut it into pieces.
    fn bare_endpoint(&self, refused: &Refused) -> Option<Refused> {
        let fields = &self.spec.fields;
        let at = fields.iter().position(|field| {
            let param = |name: &Piece| self.params.iter().find(|param| param.answers_to(&name.text));
            field
                .name
                .as_ref()
                .and_then(param)
                .is_some_and(|param| param.value == ValueKind::Endpoint)
        })?;
        let field = fields.get(at)?;
        let name = field.name.as_ref()?;
        let pieces: Vec<_> = fields
            .iter()
            .skip(at + 1)
            .take_while(|field| field.name.is_none())
            .collect();
        let last = pieces.last()?;
        let wrong = refused.diagnostic.span;
        if wrong.start < field.value.span.end || wrong.end > last.value.span.end {
            return None;
        }
        let inner = Spec {
            name: field.value.clone(),
            fields: pieces.into_iter().cloned().collect(),
            ..self.spec.clone()
        };
        let spelling = format!("{}=[{inner}]", name.text);
        Some(
            refused
                .clone()
                .help(suggested("an endpoint in a value goes in brackets", &spelling)),
        )
    }
}

/// A spelling that can be copied, if it is short enough to be shown whole.
fn suggested(advice: &str, spelling: &str) -> String {
    if clean(spelling) == spelling {
        format!("{advice}: {spelling}")
    } else {
        advice.to_owned()
    }
}
