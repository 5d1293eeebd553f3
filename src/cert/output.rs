//! Writing keys and certificates: all the files of a set appear, or none; secrets are secret from their first byte.
//! Absent: what is in them.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::Fault;
use super::open::shown;
use crate::error::reason;

/// A file to be written.
pub struct File {
    /// Its name, without a directory.
    pub name: &'static str,
    /// What is to be in it.
    pub text: String,
    /// Only its owner may read it.
    pub secret: bool,
}

/// What is in it may be a key, and is never shown.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Writes the files into `directory`, which is made where it is missing. What is there already stays, and nothing is
/// written, unless `force` lets it be replaced.
///
/// Each file is whole at any time, and there at any time if it was before. A set of several changes file by file once
/// all of them are on the disk: whoever reads at that moment, or after we were killed at it, can find a key and a
/// certificate that do not belong together, which a server that runs refuses.
///
/// # Errors
/// A file is there already, or the system refuses something; nothing has changed then.
pub fn write(directory: &Path, files: &[File], force: bool) -> Result<Vec<PathBuf>, Fault> {
    write_by(directory, files, force, rename_with)
}

/// Renames in a way that plain renaming does not know, and some file systems neither.
type Rename = fn(&Path, &Path, RenameFlags) -> Result<(), Errno>;

fn rename_with(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
    renameat_with(CWD, from, CWD, to, flags)
}

fn write_by(directory: &Path, files: &[File], force: bool, rename: Rename) -> Result<Vec<PathBuf>, Fault> {
    let failed = |path: &Path, error: &io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Fault::new(format!("{} is there already", shown(path))).help("--force overwrites it")
        }
        _ => Fault::new(format!("cannot write {}: {}", shown(path), reason(error))),
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let mut set = Set {
        places: Vec::new(),
        rename,
        done: false,
    };
    for file in files {
        let path = directory.join(file.name);
        // Said before anything is written; what appears later is noticed as well.
        let found = fs::symlink_metadata(&path);
        if !force && found.is_ok() {
            return Err(failed(&path, &io::ErrorKind::AlreadyExists.into()));
        }
        if found.is_ok_and(|found| found.is_dir()) {
            return Err(failed(&path, &io::ErrorKind::IsADirectory.into()));
        }
        let name = draft_name(file.name).map_err(|error| failed(&path, &error))?;
        let draft = directory.join(name);
        let written = write_draft(&draft, file);
        set.places.push(Place {
            path: path.clone(),
            draft,
            put: Put::NotYet,
        });
        written.map_err(|error| failed(&path, &error))?;
    }
    for place in &mut set.places {
        place
            .put(force, rename)
            .map_err(|error| failed(&place.path, &error))?;
    }
    set.done = true;
    // The names are to outlive a failure of power too; where a directory cannot be synced they do without.
    let _ = fs::File::open(directory).and_then(|directory| directory.sync_all());
    Ok(set.places.iter().map(|place| place.path.clone()).collect())
}

/// A name for what will get another one, that nobody can have taken before.
pub(super) fn draft_name(name: &str) -> io::Result<String> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(format!(".{name}.{:016x}", u64::from_ne_bytes(random)))
}

fn write_draft(path: &Path, file: &File) -> io::Result<()> {
    let mode = if file.secret { 0o600 } else { 0o644 };
    let mut options = OpenOptions::new();
    let mut open = options.write(true).create_new(true).mode(mode).open(path)?;
    open.write_all(file.text.as_bytes())?;
    open.sync_all()
}

/// Where a file goes, and where it was written.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    draft: PathBuf,
    put: Put,
}

/// What has been done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    NotYet,
    /// It has its name, which nobody had.
    New,
    /// It has its name, and what had it before has that of the draft.
    Exchanged,
}

impl Place {
    fn put(&mut self, force: bool, rename: Rename) -> io::Result<()> {
        // A file that appeared meanwhile is not lost: it stays, or gets the name of the draft.
        match rename(&self.draft, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => self.put = Put::New,
            Err(Errno::EXIST) if force => {
                rename(&self.draft, &self.path, RenameFlags::EXCHANGE)?;
                self.put = Put::Exchanged;
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.put_plainly(force)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The same on a file system that knows renaming only: what is replaced is gone for a moment.
    fn put_plainly(&mut self, force: bool) -> io::Result<()> {
        if fs::symlink_metadata(&self.path).is_err() {
            // A link, unlike a new name, replaces nothing either; some file systems do not know it.
            match fs::hard_link(&self.draft, &self.path) {
                Ok(()) => drop(fs::remove_file(&self.draft)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) => fs::rename(&self.draft, &self.path)?,
            }
            self.put = Put::New;
            return Ok(());
        }
        if !force {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.exchange_plainly()?;
        self.put = Put::Exchanged;
        Ok(())
    }

    fn exchange_plainly(&self) -> io::Result<()> {
        let mut aside = self.draft.clone().into_os_string();
        aside.push(".old");
        fs::rename(&self.path, &aside)?;
        if let Err(error) = fs::rename(&self.draft, &self.path) {
            let _ = fs::rename(&aside, &self.path);
            return Err(error);
        }
        fs::rename(&aside, &self.draft)
    }

    fn take_back(&self, rename: Rename) -> io::Result<()> {
        match self.put {
            Put::NotYet => fs::remove_file(&self.draft),
            Put::New => fs::remove_file(&self.path),
            Put::Exchanged => {
                rename(&self.draft, &self.path, RenameFlags::EXCHANGE)
                    .or_else(|_| self.exchange_plainly().map_err(|_| Errno::IO))?;
                // Now, and not before: until then this was the only copy of what we replaced.
                fs::remove_file(&self.draft)
            }
        }
    }
}

/// Files on their way. Unless all have arrived, dropping it puts back what was there.
#[derive(Debug)]
struct Set {
    places: Vec<Place>,
    rename: Rename,
    done: bool,
}

impl Drop for Set {
    fn drop(&mut self) {
        for place in self.places.iter().rev() {
            // There is nobody left to tell: what failed before is being told already.
            let _ = match (self.done, place.put) {
                (false, _) => place.take_back(self.rename),
                (true, Put::Exchanged) => fs::remove_file(&place.draft),
                (true, Put::New | Put::NotYet) => Ok(()),
            };
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

    /// A file system that knows no other renaming than the plain one.
    fn plain(_: &Path, _: &Path, _: RenameFlags) -> Result<(), Errno> {
        Err(Errno::INVAL)
    }

    #[test]
    fn half_a_pair_never_remains() {
        // The second of them fails when the first has been put.
        fn second_fails(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
            match to.ends_with("cert.pem") {
                true => Err(Errno::ACCESS),
                false => rename_with(from, to, flags),
            }
        }
        let home = tempfile::tempdir().unwrap();
        for before in [&[][..], &pair("old")] {
            if !before.is_empty() {
                write(home.path(), before, false).unwrap();
            }
            let known = listing(home.path());
            write_by(home.path(), &pair("new"), true, second_fails).unwrap_err();
            assert_eq!(listing(home.path()), known);
        }
        fs::remove_file(home.path().join("cert.pem")).unwrap();
        fs::create_dir(home.path().join("cert.pem")).unwrap();
        let known = listing(home.path());
        let fault = write(home.path(), &pair("new"), true).unwrap_err();
        assert!(fault.why.ends_with("is a directory"), "{fault}");
        assert_eq!(listing(home.path()), known);
    }

    #[test]
    fn plain_renaming_does_the_same() {
        let home = tempfile::tempdir().unwrap();
        let write = |text: &str, force| write_by(home.path(), &pair(text), force, plain);
        write("one", false).unwrap();
        let fault = write("two", false).unwrap_err();
        assert!(fault.why.ends_with("is there already"), "{fault}");
        write("two", true).unwrap();
        let now = listing(home.path());
        assert_eq!(now.len(), 2, "{now:?}");
        assert_eq!(now[1].1, "key.pem two");
        let place = Place {
            path: home.path().join("key.pem"),
            draft: home.path().join("draft"),
            put: Put::Exchanged,
        };
        fs::write(&place.draft, "key.pem one").unwrap();
        place.take_back(plain).unwrap();
        assert_eq!(fs::read_to_string(&place.path).unwrap(), "key.pem one");
        assert_eq!(listing(home.path()).len(), 2);
    }

    #[test]
    fn what_is_replaced_is_whole_at_any_moment() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &pair("0"), false).unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut looks = 0;
                while looks == 0 || !over.load(std::sync::atomic::Ordering::Relaxed) {
                    for name in ["key.pem", "cert.pem"] {
                        let text = fs::read_to_string(home.path().join(name)).unwrap();
                        assert!(text.starts_with(name), "{text}");
                    }
                    looks += 1;
                }
            });
            for number in 1..50 {
                write(home.path(), &pair(&number.to_string()), true).unwrap();
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(listing(home.path()).len(), 2);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", pair("sesame"));
        assert!(shown.contains("key.pem") && !shown.contains("sesame"), "{shown}");
    }
}
