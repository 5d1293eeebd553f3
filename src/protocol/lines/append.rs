//! A file that texts are appended to, durably: whoever waits while the disk works shares the next sync.
//! Absent: connections, and what the texts mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::error::{Error, Result, Status, reason};

/// Bytes written and synced at once, about: what comes after them waits for the next turn.
const BATCH: usize = 1 << 20;

/// Texts that wait for the disk. Their senders wait where there are more.
const WAITING_MAX: usize = 256;

/// The file cannot take the text, and the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsaved;

/// A file to append to. It is opened, and its thread started, when the first text comes.
#[derive(Debug)]
pub(super) struct Appender {
    target: Arc<Target>,
    writer: Mutex<Option<mpsc::Sender<Job>>>,
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    open: Mutex<Option<File>>,
}

#[derive(Debug)]
struct Job {
    /// Whole lines, each with its end.
    text: Vec<u8>,
    done: oneshot::Sender<Result<(), Unsaved>>,
}

impl Appender {
    pub(super) fn new(path: PathBuf) -> Self {
        Appender {
            target: Arc::new(Target {
                path,
                open: Mutex::new(None),
            }),
            writer: Mutex::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.target.path
    }

    /// Why nothing could be appended now, as far as that is seen from outside. Nothing is made or opened.
    pub(super) fn obstacle(&self) -> Option<String> {
        match std::fs::metadata(self.path()) {
            Ok(found) if found.is_dir() => Some("it is a directory".into()),
            Ok(_) => None,
            Err(_) => {
                let parent = parent(self.path());
                (!parent.is_dir()).then(|| format!("there is no directory {}", parent.display()))
            }
        }
    }

    /// Appends whole lines; returns once they are on disk.
    ///
    /// # Errors
    /// They are not, and nothing of them is left in the file.
    pub(super) async fn save(&self, text: Vec<u8>) -> Result<(), Unsaved> {
        let (done, answer) = oneshot::channel();
        let writer = self.writer()?;
        writer.send(Job { text, done }).await.map_err(|_gone| Unsaved)?;
        answer.await.unwrap_or(Err(Unsaved))
    }

    /// The way to the thread. It ends with the last sender.
    fn writer(&self) -> Result<mpsc::Sender<Job>, Unsaved> {
        let mut writer = lock(&self.writer);
        if let Some(writer) = writer.as_ref().filter(|writer| !writer.is_closed()) {
            return Ok(writer.clone());
        }
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        let target = Arc::clone(&self.target);
        std::thread::Builder::new()
            .name("append".into())
            .spawn(move || target.work(jobs))
            .map_err(|error| {
                warn!("could not start a thread that writes: {}", reason(&error));
                Unsaved
            })?;
        *writer = Some(sender.clone());
        Ok(sender)
    }

    /// Opens the file anew, after it was moved away; says whether it was open. It may block.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub(super) fn reopen(&self) -> Result<bool> {
        if lock(&self.target.open).is_none() {
            return Ok(false);
        }
        let file = open(self.path()).map_err(|error| {
            Error::io(Status::Failure, &error).on(format!("could not reopen {}", self.path().display()))
        })?;
        *lock(&self.target.open) = Some(file);
        Ok(true)
    }
}

/// Whether two paths differ in no more than `.` and slashes: two writers of one file would be in each other's way.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    // What is not in front `Path` skips by itself.
    let plain = |path: &'_ Path| path.strip_prefix(".").unwrap_or(path).to_owned();
    plain(one) == plain(other)
}

impl Target {
    fn work(&self, mut jobs: mpsc::Receiver<Job>) {
        let mut failing = None;
        while let Some(first) = jobs.blocking_recv() {
            // A line end in front, for a file that somebody left without one.
            let mut text = vec![b'\n'];
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                text.extend_from_slice(&job.text);
                waiting.push(job.done);
                next = if text.len() < BATCH {
                    jobs.try_recv().ok()
                } else {
                    None
                };
            }
            let result = self.commit(&text);
            self.tell(&mut failing, result.as_ref().err());
            for done in waiting {
                // Whoever asked may have gone.
                let _ = done.send(result.as_ref().map_err(|_| Unsaved).copied());
            }
        }
    }

    /// Tells of a failure once, not for every client; again when the reason is another; and when it is over.
    fn tell(&self, failing: &mut Option<String>, error: Option<&io::Error>) {
        let path = self.path.display();
        let why = error.map(reason);
        match &why {
            Some(why) if failing.as_ref() != Some(why) => warn!("could not append to {path}: {why}"),
            None if failing.is_some() => info!("{path} takes text again"),
            Some(_) | None => {}
        }
        *failing = why;
    }

    /// Writes the text and waits until it is on disk. Its first byte, a line end, is left out where the file ends with
    /// one.
    fn commit(&self, text: &[u8]) -> io::Result<()> {
        let mut open = lock(&self.open);
        // A file that was deleted takes text to nowhere.
        let file = match open.take() {
            Some(file) if file.metadata()?.nlink() > 0 => open.insert(file),
            _ => open.insert(self::open(&self.path)?),
        };
        let before = file.metadata()?;
        let text = if ends_within_a_line(file, before.len()) {
            text
        } else {
            &text[1..]
        };
        let mut written = 0;
        let result = write(file, text, &mut written).and_then(|()| sync(file, before.is_file()));
        if result.is_err() && before.is_file() {
            undo(file, before.len(), written);
            // What the kernel did not get to the disk it may forget, and call the same file sound.
            *open = None;
        }
        result
    }
}

/// The directory that a file is in.
fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Opens a file to append to. That it is there at all is made durable as well.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Nobody may ever read from a pipe, and opening it would wait for that.
    options.append(true).create(true).custom_flags(NONBLOCK);
    let file = match options.clone().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(path),
        opened => opened,
    }?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        // A directory that we may not read cannot be synced by us.
        if let Ok(directory) = File::open(parent(path)) {
            sync(&directory, true)?;
        }
    } else if !metadata.file_type().is_char_device() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// `O_NONBLOCK`, which a regular file does not heed.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// Whether the last byte is something other than a line end; where that cannot be read, no.
fn ends_within_a_line(file: &File, length: u64) -> bool {
    let mut last = [b'\n'];
    length > 0 && file.read_exact_at(&mut last, length - 1).is_ok() && last != [b'\n']
}

fn write(mut file: &File, mut text: &[u8], written: &mut u64) -> io::Result<()> {
    while !text.is_empty() {
        match file.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                text = &text[length..];
                *written += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits for the disk. What is no file has none, and neither have the directories of some file systems.
fn sync(file: &File, has_disk: bool) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        Err(_) if !has_disk => Ok(()),
        result => result,
    }
}

/// Takes back what was written in part, unless somebody else has appended behind it.
fn undo(file: &File, before: u64, written: u64) {
    let is_ours = file.metadata().is_ok_and(|now| now.len() == before + written);
    if written > 0 && is_ours {
        // Where even this fails, the next text begins on a line of its own.
        let _ = file.set_len(before).and_then(|()| file.sync_data());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks leaves them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn appender(name: &str) -> (tempfile::TempDir, Appender) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        (directory, Appender::new(path))
    }

    #[tokio::test]
    async fn texts_come_to_stand_whole_and_in_order() {
        let (_directory, file) = appender("f");
        for number in 0..20 {
            file.save(format!("{number}\n").into_bytes()).await.unwrap();
        }
        let expected: String = (0..20).map(|number| format!("{number}\n")).collect();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), expected);
    }

    #[tokio::test]
    async fn many_at_once_lose_and_mix_nothing() {
        let (_directory, file) = appender("f");
        let file = Arc::new(file);
        let line = |number: usize| format!("{number} {}\n", "x".repeat(number));
        let saves: Vec<_> = (0..500)
            .map(|number| {
                let file = Arc::clone(&file);
                tokio::spawn(async move { file.save(line(number).into_bytes()).await })
            })
            .collect();
        for save in saves {
            save.await.unwrap().unwrap();
        }
        let text = fs::read_to_string(file.path()).unwrap();
        let mut found: Vec<_> = text.split_inclusive('\n').collect();
        let mut expected: Vec<_> = (0..500).map(line).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_line_that_somebody_left_unfinished_is_not_continued() {
        let (_directory, file) = appender("f");
        fs::write(file.path(), "half").unwrap();
        file.save(b"whole\n".to_vec()).await.unwrap();
        file.save(b"another\n".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "half\nwhole\nanother\n");
    }

    #[tokio::test]
    async fn a_full_device_is_said_and_the_next_text_is_tried() {
        let file = Appender::new("/dev/full".into());
        assert_eq!(file.save(b"x\n".to_vec()).await, Err(Unsaved));
        assert_eq!(file.save(b"x\n".to_vec()).await, Err(Unsaved));
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .unwrap();
        for path in [
            pipe,
            directory.path().to_owned(),
            directory.path().join("no/such"),
        ] {
            assert_eq!(Appender::new(path).save(b"x\n".to_vec()).await, Err(Unsaved));
        }
    }

    #[test]
    fn a_dot_or_a_slash_more_makes_no_other_file() {
        for (one, other, same) in [
            ("x", "./x", true),
            ("././a/./b", "a//b", true),
            ("x", "../x", false),
            ("a/../x", "x", false),
            ("/x", "x", false),
        ] {
            assert_eq!(is_same(one.as_ref(), other.as_ref()), same, "{one} {other}");
        }
    }

    #[tokio::test]
    async fn it_recovers_when_the_directory_appears() {
        let (directory, file) = appender("later/f");
        assert_eq!(file.save(b"lost\n".to_vec()).await, Err(Unsaved));
        fs::create_dir(directory.path().join("later")).unwrap();
        file.save(b"kept\n".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "kept\n");
    }

    #[tokio::test]
    async fn a_file_that_was_moved_is_left_on_reopening_and_one_deleted_at_once() {
        let (directory, file) = appender("f");
        let moved = directory.path().join("f.1");
        assert!(!file.reopen().unwrap());
        file.save(b"one\n".to_vec()).await.unwrap();
        fs::rename(file.path(), &moved).unwrap();
        file.save(b"two\n".to_vec()).await.unwrap();
        assert!(file.reopen().unwrap());
        file.save(b"three\n".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "three\n");
        fs::remove_file(file.path()).unwrap();
        file.save(b"four\n".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "four\n");
    }

    #[test]
    fn what_was_written_in_part_is_taken_back_unless_others_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "whole\nhal").unwrap();
        let file = open(&path).unwrap();
        undo(&file, 6, 3);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\n");
        fs::write(&path, "whole\nhal\nother\n").unwrap();
        undo(&file, 6, 3);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nhal\nother\n");
    }
}
