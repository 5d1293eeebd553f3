//! Users in a TOML file, `NAME = "TEXT"` a line; read again when it changes.
//! Absent: watching; the file is looked at when somebody asks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tracing::{info, warn};

use super::{Users, Wanted};
use crate::connection::BoxFuture;
use crate::diagnostic::{Diagnostic, Span, line_of};
use crate::error::{Error, Result, Status};
use crate::need::Need;
use crate::whole;

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
        let (modified, changed) = match metadata.file_type().is_fifo() {
            // It changes by being read.
            true => ((0, 0), (0, 0)),
            false => (
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ),
        };
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified,
            changed,
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
        match reread(&self.path) {
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

    fn needs(&self) -> Vec<Need> {
        vec![Need::Read(self.0.path.clone())]
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
        let (table, identity) = reread(&self.0.path)?;
        *seen = Some(identity);
        self.0.replace(table);
        Ok(Some(self.0.source.clone()))
    }
}

/// Reads the file again. Drained, a pipe would pass for an empty one.
fn reread(path: &Path) -> Result<(Table, Identity)> {
    if whole::is_pipe(path) {
        let why = "it is a pipe, which is read at the start only";
        return Err(Error::new(Status::Failure, why).on(unread(path)));
    }
    read(path)
}

fn unread(path: &Path) -> String {
    format!("could not read {}", path.display())
}

fn read(path: &Path) -> Result<(Table, Identity)> {
    let what = || unread(path);
    let whole = whole::read(path, FILE_MAX)
        .map_err(|unread| Error::new(Status::Failure, unread.to_string()).on(what()))?;
    let identity = Identity::of(&whole.metadata);
    let text = String::from_utf8(whole.bytes)
        .map_err(|_| Error::new(Status::Failure, "it is not UTF-8 text").on(what()))?;
    let table = users(&text).map_err(|wrong| wrong.within(&text).on(what()))?;
    Ok((table, identity))
}

/// What is wrong with a file, and where in it.
struct Wrong(Range<usize>, String);

impl Wrong {
    /// The error, shown in its line of the file.
    fn within(self, text: &str) -> Error {
        let Wrong(range, message) = self;
        let (number, line, span) = line_of(text, Span::new(range.start, range.end));
        Error::from(Diagnostic {
            message: format!("line {number}: {message}"),
            source: line.to_owned(),
            span,
            help: Some("each line is NAME = \"TEXT\"".into()),
        })
    }
}

fn users(text: &str) -> std::result::Result<Table, Wrong> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(text.len()..text.len());
        Wrong(span, error.message().replace('\n', " "))
    })?;
    let user = |(name, value): (Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        let span = match value.get_ref() {
            // That of a table begins with its header.
            DeValue::Table(_) => name.span(),
            _ => value.span(),
        };
        match value.into_inner() {
            DeValue::String(told) => Ok((name.into_inner().into_owned(), told.into_owned())),
            _ => Err(Wrong(span, "this is no text in quotation marks".into())),
        }
    };
    document.into_inner().into_iter().map(user).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

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

    #[tokio::test]
    async fn what_came_through_a_pipe_is_kept() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"alice = \"one\"\n").unwrap();
        drop(writer);
        let users = Listed::open(&path).unwrap();
        assert_eq!(said(&users, "alice").await.as_deref(), Some("one"));
        let why = users.reload().unwrap_err().to_string();
        assert!(
            why.contains("it is a pipe, which is read at the start only"),
            "{why}"
        );
        assert_eq!(said(&users, "alice").await.as_deref(), Some("one"));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.toml");
        for (text, line, picture) in [
            ("alice = \"a\"\nbob = 3\n", "line 2: ", "  bob = 3\n        ^"),
            ("alice = \"a\"\nbob \"b\"\n", "line 2: ", "  bob \"b\"\n      ^"),
            ("[group]\nx = \"y\"\n", "line 1: ", "  [group]\n   ^^^^^"),
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
