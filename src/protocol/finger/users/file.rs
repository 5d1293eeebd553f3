//! Users in a TOML file, `NAME = "TEXT"` a line; read again when it changes.
//! Absent: watching; the file is looked at when somebody asks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use tracing::{info, warn};

use super::{Users, Wanted};
use crate::connection::BoxFuture;
use crate::diagnostic::{Diagnostic, Span};
use crate::error::{Error, Result, Status};
use crate::units::size_text;

/// A longer file is refused, so that memory has a bound.
const FILE_MAX: u64 = 4 * 1024 * 1024;

type Table = BTreeMap<String, String>;

/// The users of a file.
#[derive(Debug, Clone)]
pub struct Listed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    source: String,
    /// Held while it is copied or replaced, never while a file is read.
    table: Mutex<Arc<Table>>,
    /// The file that was read last, good or not. Held while one is read.
    seen: Mutex<Option<Identity>>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Listed {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is not such a file; where it is wrong is shown.
    pub fn open(path: &Path) -> Result<Self> {
        let (table, identity) = read(path)?;
        Ok(Listed(Arc::new(Shared {
            // It is to be found after a change of directory, too.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            source: path.display().to_string(),
            table: Mutex::new(Arc::new(table)),
            seen: Mutex::new(Some(identity)),
        })))
    }

    /// The users as the file has them now, or, where it is no good, had them last.
    async fn current(&self) -> Arc<Table> {
        let ours = self.clone();
        // A disk may be slow. A look that fails to happen leaves the table as it is.
        let _ = tokio::task::spawn_blocking(move || ours.0.look()).await;
        self.0.table()
    }
}

impl Shared {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file if it is not the one that was read last. What is wrong with it is said once.
    fn look(&self) {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody is at it; the table that there is will do.
            Err(TryLockError::WouldBlock) => return,
        };
        let now = std::fs::metadata(&self.path)
            .ok()
            .map(|metadata| Identity::of(&metadata));
        if now == *seen {
            return;
        }
        // Even if it is no good: it is not to be read again until it changes.
        *seen = now;
        match read(&self.path) {
            Ok((table, identity)) => {
                *seen = Some(identity);
                self.replace(table);
                info!("reloaded {}", self.source);
            }
            Err(error) => warn!("{error}; the users are as they were"),
        }
    }

    fn replace(&self, table: Table) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

impl Users for Listed {
    fn source(&self) -> &str {
        &self.0.source
    }

    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let table = self.current().await;
            Ok(table.get(&wanted.name).map(|text| text.clone().into_bytes()))
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<String>>>> {
        Box::pin(async move { Ok(Some(self.current().await.keys().cloned().collect())) })
    }

    fn reload(&self) -> Result<Option<String>> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (table, identity) = read(&self.0.path)?;
        *seen = Some(identity);
        self.0.replace(table);
        Ok(Some(self.0.source.clone()))
    }
}

fn read(path: &Path) -> Result<(Table, Identity)> {
    let what = || format!("could not read {}", path.display());
    let failed = |error: io::Error| Error::io(Status::Failure, &error).on(what());
    let file = File::open(path).map_err(failed)?;
    // Of the open file, so that it is the one that is read.
    let identity = Identity::of(&file.metadata().map_err(failed)?);
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        let why = format!("it is longer than {}", size_text(FILE_MAX));
        return Err(Error::new(Status::Failure, why).on(what()));
    }
    let text = String::from_utf8(text)
        .map_err(|_| Error::new(Status::Failure, "it is not UTF-8 text").on(what()))?;
    let table = toml::from_str(&text).map_err(|error| pointed(&text, &error).on(what()))?;
    Ok((table, identity))
}

/// The error, shown in its line of the file.
fn pointed(text: &str, error: &toml::de::Error) -> Error {
    let message = error.message().lines().next().unwrap_or_default();
    let span = error.span().unwrap_or_default();
    let start = span.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text
        .get(line_start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    let place = Diagnostic {
        message: format!("line {}: {message}", before.matches('\n').count() + 1),
        source: line.to_owned(),
        span: Span::new(
            start - line_start,
            (span.end.max(start) - line_start).min(line.len()),
        ),
        help: Some("each line is NAME = \"TEXT\"".into()),
    };
    place.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str) -> Wanted {
        Wanted {
            name: name.into(),
            long: false,
        }
    }

    async fn said(users: &Listed, name: &str) -> Option<String> {
        let found = users.find(&wanted(name)).await.unwrap();
        found.map(|text| String::from_utf8(text).unwrap())
    }

    #[tokio::test]
    async fn the_file_is_read_again_when_it_changes_and_kept_when_it_breaks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.toml");
        let put = |text: &str| {
            let new = directory.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &path).unwrap();
        };
        put("alice = \"one\"\n\"with blank\" = \"\"\"two\nlines\"\"\"\n");
        let users = Listed::open(&path).unwrap();
        assert_eq!(said(&users, "alice").await.as_deref(), Some("one"));
        assert_eq!(said(&users, "with blank").await.as_deref(), Some("two\nlines"));
        assert_eq!(said(&users, "bob").await, None);
        put("bob = \"three\"\n");
        assert_eq!(said(&users, "bob").await.as_deref(), Some("three"));
        assert_eq!(said(&users, "alice").await, None);
        put("bob = three\n");
        assert_eq!(said(&users, "bob").await.as_deref(), Some("three"));
        assert!(users.reload().is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(said(&users, "bob").await.as_deref(), Some("three"));
        put("carol = \"four\"\n");
        assert_eq!(users.list().await.unwrap().unwrap(), ["carol"]);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.toml");
        for (text, line, picture) in [
            ("alice = \"a\"\nbob = 3\n", "line 2: ", "  bob = 3\n        ^"),
            ("alice = \"a\"\nbob \"b\"\n", "line 2: ", "  bob \"b\"\n      ^"),
            ("[group]\nx = \"y\"\n", "line 1: ", "  [group]\n  ^^^^^^^"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.why().starts_with(line), "{error:#}");
            let shown = error.picture_text().unwrap();
            assert!(shown.starts_with(picture), "{error:#}");
        }
        std::fs::write(&path, vec![b'#'; 5_000_000]).unwrap();
        assert!(read(&path).unwrap_err().why().contains("longer than 4MiB"));
    }
}
