//! Which scripts are played: files, all below directories, and of those the ones whose names are asked for.
//! Absent: reading them.

use std::fs;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, Result, Status};

/// How the file of a script ends, where a directory is searched.
pub const EXTENSION: &str = "netkit";

/// Scripts of one run.
const SCRIPTS_MAX: usize = 100_000;

/// How deep directories are searched: a link may lead back up.
const DEPTH_MAX: usize = 32;

/// A regex that names have to match somewhere.
#[derive(Debug, Clone)]
pub struct Filter(Regex);

impl Filter {
    /// Reads a regex; a part of a name without special characters is one.
    ///
    /// # Errors
    /// In words what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).unicode(false).build();
        built.map(Filter).map_err(|error| {
            let text = error.to_string();
            text.lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned()
        })
    }

    /// Whether a name is asked for.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.0.is_match(name.as_bytes())
    }
}

/// The scripts behind these paths: a file as it is, of a directory all below it whose names end in `.netkit`, in the order of
/// their names.
///
/// # Errors
/// Status 2: a path leads nowhere, a directory cannot be read or holds none, or none is left by the filter.
pub fn scripts(paths: &[PathBuf], filter: Option<&Filter>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |error: &std::io::Error| {
            let what = format!("could not read {}", shown(path));
            Error::io(Status::Usage, error).on(what)
        };
        if !fs::metadata(path).map_err(|error| failed(&error))?.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        search(path, 0, &mut found).map_err(|error| failed(&error))?;
        if found.len() == before {
            let why = format!("no file below it ends in .{EXTENSION}");
            return Err(Error::new(Status::Usage, why).on(format!("could not play {}", shown(path))));
        }
    }
    if let Some(filter) = filter {
        found.retain(|path| filter.takes(&path.to_string_lossy()));
        if found.is_empty() {
            let why = "no script has a name like that";
            return Err(Error::new(Status::Usage, why).on("could not apply --filter"));
        }
    }
    Ok(found)
}

fn search(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let Ok(metadata) = fs::metadata(&path) else {
            // A link to nowhere is no script.
            continue;
        };
        if metadata.is_dir() {
            if depth < DEPTH_MAX {
                search(&path, depth + 1, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == EXTENSION)
            && found.len() < SCRIPTS_MAX
        {
            found.push(path);
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_as_they_are_and_directories_searched() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        for name in ["b.netkit", "a.netkit", "x.txt", "deep/c.netkit"] {
            fs::write(path(name), "").unwrap();
        }
        let all = scripts(&[place.path().to_owned(), path("x.txt")], None).unwrap();
        assert_eq!(all, ["a.netkit", "b.netkit", "deep/c.netkit", "x.txt"].map(path));
        let some = scripts(
            &[place.path().to_owned()],
            Some(&Filter::parse("/[bc]\\.").unwrap()),
        )
        .unwrap();
        assert_eq!(some, ["b.netkit", "deep/c.netkit"].map(path));
        for (paths, filter) in [(vec![path("none")], None), (vec![path("a.netkit")], Some("zzz"))] {
            let filter = filter.map(|filter| Filter::parse(filter).unwrap());
            assert_eq!(
                scripts(&paths, filter.as_ref()).unwrap_err().status(),
                Status::Usage
            );
        }
        assert_eq!(Filter::parse("(").unwrap_err(), "unclosed group");
    }
}
