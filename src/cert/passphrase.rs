//! Passphrases: from a file, or from whoever can be asked; and kept, so that nobody is asked twice.
//! Absent: terminals. Who runs the program says how to ask.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::warn;

use super::Fault;
use super::open::{self, shown};
use crate::error::Status;

/// A passphrase is a line, not a file.
const LONGEST: usize = 4096;

/// How often somebody is asked who gives a wrong one.
const ATTEMPTS: u32 = 3;

/// A passphrase. Its bytes are overwritten when it is dropped, and it is never shown.
pub struct Secret(Vec<u8>);

impl Secret {
    /// One made of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Somebody might look, as far as the compiler knows.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Answer {
    /// A passphrase.
    Given(Secret),
    /// There is nobody to ask.
    Nobody,
    /// Whoever was asked ended the run instead.
    Interrupted,
}

/// Shows a prompt and takes a line that nobody sees.
pub type Ask = fn(prompt: &str) -> Answer;

static ASK: OnceLock<Ask> = OnceLock::new();

/// How this process asks its user for passphrases; the first call counts. Without one nobody is asked.
pub fn ask_with(ask: Ask) {
    let _ = ASK.set(ask);
}

/// Where the passphrases of some keys come from. What is cloned from it shares what was asked.
#[derive(Debug, Clone)]
pub struct Passphrases {
    file: Option<PathBuf>,
    /// What the user calls the file, in strings or as a flag.
    option: &'static str,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// What came through a pipe, which does not hold it any more.
    from_pipe: Option<Arc<Secret>>,
    /// What was asked, with the file of the key it is for.
    asked: Vec<(PathBuf, Arc<Secret>)>,
    /// A key needed one.
    used: bool,
    /// The start is over, and whoever sat there may be gone.
    hushed: bool,
}

/// A path that leads to the same file from every directory.
#[must_use]
pub fn anchored(path: &Path) -> PathBuf {
    // Without a current directory it leads nowhere, and stays as it is.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Passphrases {
    /// From the first line of a file that `option` names, such as `passphraseFile=FILE`; without it from the user.
    #[must_use]
    pub fn new(file: Option<PathBuf>, option: &'static str) -> Self {
        Passphrases {
            file,
            option,
            kept: Arc::default(),
        }
    }

    /// The file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// From here on nobody is asked any more; what is known stays known.
    pub fn hush(&self) {
        self.kept().hushed = true;
    }

    /// The same, wherever the process goes.
    #[must_use]
    pub fn anchored(&self) -> Self {
        Passphrases {
            file: self.file.as_deref().map(anchored),
            ..self.clone()
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The passphrase of the file, where there is one.
    pub(super) fn in_file(&self) -> Result<Option<Arc<Secret>>, Fault> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        if let Some(known) = &self.kept().from_pipe {
            return Ok(Some(Arc::clone(known)));
        }
        let (secret, pipe) = first_line(path)?;
        let secret = Arc::new(secret);
        if pipe {
            self.kept().from_pipe = Some(Arc::clone(&secret));
        }
        Ok(Some(secret))
    }

    /// Says so where a file was named that no key needed: `what` is not encrypted. To be called after the keys were read.
    ///
    /// # Errors
    /// The file is no good, which counts all the same.
    pub fn say_if_unused(&self, what: impl fmt::Display) -> Result<(), Fault> {
        if !self.kept().used && self.in_file()?.is_some() {
            let name = self.option.split(['=', ' ']).next().unwrap_or_default();
            warn!("{name} is not needed: {what} is not encrypted");
        }
        Ok(())
    }

    /// What `open` makes of the passphrase of the key in `path`. It gives `None` for a wrong one.
    pub(super) fn open<T>(&self, path: &Path, open: impl Fn(&[u8]) -> Option<T>) -> Result<T, Fault> {
        self.kept().used = true;
        let wrong = || Fault::new(format!("wrong passphrase for the private key in {}", shown(path)));
        if let Some(secret) = self.in_file()? {
            return open(secret.bytes()).ok_or_else(wrong);
        }
        let (known, hushed, had_one) = {
            let kept = self.kept();
            // Several keys often have the same one.
            let known: Vec<_> = kept.asked.iter().map(|(_, secret)| Arc::clone(secret)).collect();
            (
                known,
                kept.hushed,
                kept.asked.iter().any(|(key, _)| *key == anchored(path)),
            )
        };
        if let Some(opened) = known.iter().find_map(|secret| open(secret.bytes())) {
            return Ok(opened);
        }
        if hushed && had_one {
            let why = format!(
                "the private key in {} has another passphrase than the one given at the start",
                shown(path)
            );
            return Err(Fault::new(why));
        }
        let ask = ASK.get().filter(|_| !hushed);
        for attempt in 0..ATTEMPTS {
            let name = path.display().to_string();
            let again = if attempt == 0 { "" } else { "wrong passphrase; " };
            match ask.map(|ask| ask(&format!("{again}passphrase for {}: ", name.escape_debug()))) {
                Some(Answer::Given(secret)) => {
                    if let Some(opened) = open(secret.bytes()) {
                        self.kept().asked.push((anchored(path), Arc::new(secret)));
                        return Ok(opened);
                    }
                }
                Some(Answer::Interrupted) => {
                    return Err(Fault {
                        status: Some(Status::Interrupted),
                        ..Fault::new(format!("interrupted instead of a passphrase for {}", shown(path)))
                    });
                }
                Some(Answer::Nobody) | None => {
                    let why = format!("the private key in {} is encrypted", shown(path));
                    let help = format!("{} names a file with its passphrase", self.option);
                    return Err(Fault::new(why).help(help));
                }
            }
        }
        Err(wrong())
    }
}

/// The first line of a file, without its end; and whether it came through a pipe.
fn first_line(path: &Path) -> Result<(Secret, bool), Fault> {
    let whole = open::read(path)?;
    if whole.for_all {
        warn!(
            "everybody on this machine can read the passphrase in {}",
            shown(path)
        );
    }
    let whole = (Secret(whole.bytes), whole.pipe);
    let line = whole.0.bytes().split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Fault::new(format!("there is no passphrase in {}", shown(path))));
    }
    if line.len() > LONGEST {
        let why = format!("the first line of {} is too long for a passphrase", shown(path));
        return Err(Fault::new(why));
    }
    Ok((Secret(line.to_vec()), whole.1))
}

/// The passphrase in the first line of a file.
pub(super) fn of_file(path: &Path) -> Result<Secret, Fault> {
    first_line(path).map(|(secret, _)| secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_known_and_nobody_is_asked_after_the_start() {
        // The one question of this process: other tests have no encrypted key without a file.
        fn ask(prompt: &str) -> Answer {
            match prompt {
                "passphrase for a.key: " => Answer::Given(Secret::new(b"wrong".to_vec())),
                "wrong passphrase; passphrase for a.key: " => Answer::Given(Secret::new(b"right".to_vec())),
                "passphrase for stop.key: " => Answer::Interrupted,
                _ => Answer::Nobody,
            }
        }
        ask_with(ask);
        let right = |bytes: &[u8]| (bytes == b"right").then_some(());
        let passphrases = Passphrases::new(None, "passphraseFile=FILE");
        let open = |name: &str| passphrases.open(Path::new(name), right);
        open("a.key").unwrap();
        // Nobody would answer, and nobody needs to: it is the same passphrase.
        open("b.key").unwrap();
        let other = |bytes: &[u8]| (bytes == b"other").then_some(());
        let open = |name: &str| passphrases.open(Path::new(name), other);
        let fault = open("b.key").unwrap_err();
        assert_eq!(fault.why, "the private key in `b.key` is encrypted");
        assert_eq!(
            fault.help.unwrap(),
            "passphraseFile=FILE names a file with its passphrase"
        );
        assert_eq!(open("stop.key").unwrap_err().status, Some(Status::Interrupted));
        passphrases.clone().hush();
        passphrases.open(Path::new("a.key"), right).unwrap();
        assert!(
            open("stop.key")
                .unwrap_err()
                .why
                .ends_with("`stop.key` is encrypted")
        );
        let fault = open("a.key").unwrap_err();
        assert!(fault.why.contains("another passphrase"), "{fault}");
        assert_eq!(format!("{:?}", Secret::new(b"right".to_vec())), "Secret");
    }
}
