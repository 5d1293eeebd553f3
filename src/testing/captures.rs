//! The named parts of what a pattern matched.
//! Absent: matching.

use std::fmt;

use crate::escape::escape;
use crate::script::play::search::Found;

/// The named parts of what a pattern matched: `(?<id>[0-9]+)` is `id`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Captures(Vec<(String, Vec<u8>)>);

impl Captures {
    pub(super) fn of(found: Found) -> Self {
        Captures(found.captures)
    }

    /// The bytes of a part; `None` where the pattern has no such part, or matched without it.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// A part as text; what is not UTF-8 in it is replaced.
    ///
    /// # Panics
    /// The pattern has no such part, or matched without it.
    #[must_use]
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        match self.bytes(name) {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => panic!("the pattern matched without a part named `{name}`: {self:?}"),
        }
    }
}

impl fmt::Debug for Captures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self
            .0
            .iter()
            .map(|(name, bytes)| (name, format!("b\"{}\"", escape(bytes))));
        let mut map = f.debug_map();
        for (name, bytes) in parts {
            map.entry(name, &format_args!("{bytes}"));
        }
        map.finish()
    }
}
