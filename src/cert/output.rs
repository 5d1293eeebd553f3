//! Writing keys and certificates: all the files of a set appear, or none; secrets are secret from their first byte.
//! Absent: what is in them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Fault;
use super::open::shown;
use crate::error::reason;

/// A file to be written.
#[derive(Debug)]
pub struct File {
    /// Its name, without a directory.
    pub name: &'static str,
    /// What is to be in it.
    pub text: String,
    /// Only its owner may read it.
    pub secret: bool,
}

/// Writes the files into `directory`, which is made where it is missing. What is there already stays, and nothing is
/// written, unless `force` lets it be replaced.
///
/// # Errors
/// A file is there already, or the system refuses something; nothing has changed then.
pub fn write(directory: &Path, files: &[File], force: bool) -> Result<Vec<PathBuf>, Fault> {
    let failed = |path: &Path, error: &io::Error| {
        Fault::new(format!("cannot write {}: {}", shown(path), reason(error)))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let mut set = Set::default();
    for file in files {
        let place = Place {
            path: directory.join(file.name),
            draft: directory.join(format!(".{}.{}", file.name, std::process::id())),
            old: directory.join(format!(".{}.{}.old", file.name, std::process::id())),
            moved: false,
            put: false,
        };
        if !force && fs::symlink_metadata(&place.path).is_ok() {
            let why = format!("{} is there already", shown(&place.path));
            return Err(Fault::new(why).help("--force overwrites it"));
        }
        let written = draft(&place.draft, file);
        let path = place.path.clone();
        set.places.push(place);
        written.map_err(|error| failed(&path, &error))?;
    }
    for place in &mut set.places {
        let path = place.path.clone();
        place.put(force).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Fault::new(format!("{} is there already", shown(&path))).help("--force overwrites it")
            }
            _ => failed(&path, &error),
        })?;
    }
    set.done = true;
    Ok(set.places.iter().map(|place| place.path.clone()).collect())
}

/// A name for what will get another one, that nobody can have taken before.
pub(super) fn draft_name(name: &str) -> io::Result<String> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(format!(".{name}.{:016x}", u64::from_ne_bytes(random)))
}

fn draft(path: &Path, file: &File) -> io::Result<()> {
    let mode = if file.secret { 0o600 } else { 0o644 };
    let mut options = OpenOptions::new();
    let mut open = options.write(true).create_new(true).mode(mode).open(path)?;
    open.write_all(file.text.as_bytes())?;
    open.sync_all()
}

/// Where a file goes, and what is beside it on the way.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    draft: PathBuf,
    old: PathBuf,
    moved: bool,
    put: bool,
}

impl Place {
    fn put(&mut self, force: bool) -> io::Result<()> {
        if force && fs::symlink_metadata(&self.path).is_ok() {
            fs::rename(&self.path, &self.old)?;
            self.moved = true;
        }
        // A link, unlike a new name, never takes the place of a file that appeared meanwhile.
        fs::hard_link(&self.draft, &self.path)?;
        self.put = true;
        Ok(())
    }
}

/// Files on their way. Unless all have arrived, dropping it puts back what was there.
#[derive(Debug, Default)]
struct Set {
    places: Vec<Place>,
    done: bool,
}

impl Drop for Set {
    fn drop(&mut self) {
        for place in &self.places {
            let _ = fs::remove_file(&place.draft);
            if self.done {
                let _ = fs::remove_file(&place.old);
                continue;
            }
            if place.put {
                let _ = fs::remove_file(&place.path);
            }
            if place.moved {
                let _ = fs::rename(&place.old, &place.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn pair(text: &str) -> [File; 2] {
        ["key.pem", "cert.pem"].map(|name| File {
            name,
            text: format!("{name} {text}"),
            secret: name == "key.pem",
        })
    }

    fn listing(directory: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).unwrap_or_default())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_pair_appears_whole_and_replaces_nothing_unasked() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("new/dir");
        let written = write(&directory, &pair("one"), false).unwrap();
        assert_eq!(written, [directory.join("key.pem"), directory.join("cert.pem")]);
        let mode = |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("key.pem"), 0o600);
        assert_ne!(mode("cert.pem") & 0o400, 0);
        let before = listing(&directory);
        assert_eq!(before.len(), 2);
        let fault = write(&directory, &pair("two"), false).unwrap_err();
        assert!(fault.why.ends_with("key.pem` is there already"), "{fault}");
        assert_eq!(listing(&directory), before);
        write(&directory, &pair("two"), true).unwrap();
        assert_eq!(listing(&directory)[0].1, "cert.pem two");
        assert_eq!(listing(&directory).len(), 2);
    }

    #[test]
    fn half_a_pair_never_remains() {
        let home = tempfile::tempdir().unwrap();
        // The second of them stands in the way: not a file, so it cannot even be replaced.
        fs::create_dir_all(home.path().join("cert.pem/x")).unwrap();
        fs::write(home.path().join("key.pem"), "mine").unwrap();
        let blocked = home.path().join(format!(".cert.pem.{}.old", std::process::id()));
        fs::create_dir_all(blocked.join("y")).unwrap();
        let before = listing(home.path());
        write(home.path(), &pair("new"), true).unwrap_err();
        assert_eq!(listing(home.path()), before);
    }
}
