//! Users named on the command line: `NAME=TEXT`.
//! Absent: files.

use super::{Users, Wanted};
use crate::connection::BoxFuture;
use crate::error::Result;

/// Names and what is said of them, in the order they were given.
#[derive(Debug, Clone, Default)]
pub struct Memory(Vec<(String, String)>);

impl Memory {
    /// A table of these; of a name that is given twice the last text holds.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut table: Vec<(String, String)> = Vec::new();
        for (name, text) in entries {
            match table.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = text,
                None => table.push((name, text)),
            }
        }
        Memory(table)
    }
}

impl Users for Memory {
    fn source(&self) -> &str {
        "--user-entry"
    }

    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let found = self.0.iter().find(|(name, _)| *name == wanted.name);
        let text = found.map(|(_, text)| text.clone().into_bytes());
        Box::pin(std::future::ready(Ok(text)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<String>>>> {
        let names = self.0.iter().map(|(name, _)| name.clone()).collect();
        Box::pin(std::future::ready(Ok(Some(names))))
    }
}
