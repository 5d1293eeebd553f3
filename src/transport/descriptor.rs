//! Reading and writing descriptors that we were given: pipes, terminals, sockets, files, devices.
//! Absent: changing what others see of them; `O_NONBLOCK` belongs to the open file, which our parent may share.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::waiting::Waiting;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal or another character device.
    Device,
    /// Anything else, such as a block device.
    Other,
}

impl Kind {
    /// What `descriptor` is.
    ///
    /// # Errors
    /// What the system says, as when it is not open.
    pub(crate) fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(match FileType::from_raw_mode(fstat(descriptor)?.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::Device,
            _ => Kind::Other,
        })
    }
}

/// A descriptor to read from.
#[derive(Debug)]
pub(crate) struct Input {
    /// `None`: it cannot be read, or was closed; there is nothing to come.
    wait: Option<Waiting>,
}

impl Input {
    /// Reads from a duplicate of `descriptor`, or from the same pipe or terminal opened anew.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let kind = Kind::of(descriptor)?;
        if kind != Kind::Socket && access(descriptor)? == OFlags::WRONLY {
            return Ok(Input { wait: None });
        }
        let wait = Some(Waiting::new(descriptor, kind, OFlags::RDONLY)?);
        Ok(Input { wait })
    }

    /// What is waited on; `None` where there is nothing to come.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        self.wait.as_ref()
    }

    /// Whether the descriptor is open for writing alone.
    #[must_use]
    pub(crate) fn is_unreadable(&self) -> bool {
        self.wait.is_none()
    }
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &self.wait {
            None => Poll::Ready(Ok(())),
            Some(wait) => wait.poll_read(cx, buf),
        }
    }
}

/// A descriptor to write to.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None`: it cannot be written, or was shut down.
    wait: Option<Waiting>,
    kind: Kind,
    /// It stands for standard output, which has to go when this is shut down.
    is_stdout: bool,
}

impl Output {
    /// Writes to a duplicate of `descriptor`, or to the same pipe or terminal opened anew.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let kind = Kind::of(descriptor)?;
        let is_stdout = descriptor.as_raw_fd() == 1;
        // A pipe's reading end must not be opened anew: that would make a writer, and readers would wait for it.
        if kind != Kind::Socket && access(descriptor)? == OFlags::RDONLY {
            return Ok(Output {
                wait: None,
                kind,
                is_stdout,
            });
        }
        let wait = Some(Waiting::new(descriptor, kind, OFlags::WRONLY)?);
        Ok(Output {
            wait,
            kind,
            is_stdout,
        })
    }

    pub(super) fn is_socket(&self) -> bool {
        self.kind == Kind::Socket
    }

    /// What is waited on; `None` where nothing is taken.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        self.wait.as_ref()
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &self.wait {
            None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the descriptor is not open for writing",
            ))),
            Some(wait) => wait.poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wait) = self.wait.take() else {
            return Poll::Ready(Ok(()));
        };
        let done = match self.kind {
            Kind::Socket => match shutdown(wait.get(), Shutdown::Write) {
                Err(Errno::NOTCONN) => Ok(()),
                done => done.map_err(io::Error::from),
            },
            // The reader at the other end sees the end only when the last writer is closed, the original included.
            Kind::Pipe if self.is_stdout => {
                let null = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
                rustix::stdio::dup2_stdout(null).map_err(io::Error::from)
            }
            Kind::Pipe | Kind::File | Kind::Device | Kind::Other => Ok(()),
        };
        Poll::Ready(done)
    }
}

fn access(descriptor: BorrowedFd<'_>) -> io::Result<OFlags> {
    Ok(fcntl_getfl(descriptor)? & OFlags::ACCMODE)
}

/// Bytes between the place where a file is read next and its end; `None` for anything else.
#[must_use]
pub(crate) fn length_left(descriptor: impl AsFd) -> Option<u64> {
    let stat = fstat(descriptor.as_fd()).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let at = rustix::fs::tell(descriptor.as_fd()).ok()?;
    Some(u64::try_from(stat.st_size).ok()?.saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use rustix::fs::{CWD, mkfifoat};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    fn is_nonblocking(descriptor: impl AsFd) -> bool {
        fcntl_getfl(descriptor.as_fd())
            .unwrap()
            .contains(OFlags::NONBLOCK)
    }

    #[tokio::test]
    async fn pipes_carry_everything_and_stay_as_they_were() {
        let (reader, writer) = io::pipe().unwrap();
        let mut input = Input::new(reader.as_fd()).unwrap();
        let mut output = Output::new(writer.as_fd()).unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
        let expected = sent.clone();
        let write = tokio::spawn(async move {
            output.write_all(&sent).await.unwrap();
            output.shutdown().await.unwrap();
            drop(writer);
        });
        let mut got = Vec::new();
        input.read_to_end(&mut got).await.unwrap();
        write.await.unwrap();
        assert_eq!(got, expected);
        assert!(!is_nonblocking(&reader));
    }

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_is_broken() {
        let (reader, writer) = io::pipe().unwrap();
        let mut output = Output::new(writer.as_fd()).unwrap();
        drop(reader);
        let error = output.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn files_are_read_from_where_they_stand() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        assert_eq!(length_left(&file), Some(6));
        let mut input = Input::new(file.as_fd()).unwrap();
        let mut got = Vec::new();
        input.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"456789");
    }

    #[tokio::test]
    async fn sockets_end_by_halves_and_stay_as_they_were() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut input = Input::new(ours.as_fd()).unwrap();
        let mut output = Output::new(ours.as_fd()).unwrap();
        let mut far = tokio::net::UnixStream::from_std({
            theirs.set_nonblocking(true).unwrap();
            theirs
        })
        .unwrap();
        output.write_all(b"ask").await.unwrap();
        output.shutdown().await.unwrap();
        let mut asked = Vec::new();
        far.read_to_end(&mut asked).await.unwrap();
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut answer = Vec::new();
        input.read_to_end(&mut answer).await.unwrap();
        assert_eq!(
            (asked.as_slice(), answer.as_slice()),
            (&b"ask"[..], &b"answer"[..])
        );
        assert!(!is_nonblocking(&ours));
    }

    #[tokio::test]
    async fn devices_that_are_always_ready_are_read_and_written() {
        let null = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        let mut got = Vec::new();
        Input::new(null.as_fd())
            .unwrap()
            .read_to_end(&mut got)
            .await
            .unwrap();
        assert!(got.is_empty());
        Output::new(null.as_fd())
            .unwrap()
            .write_all(&[0; 100_000])
            .await
            .unwrap();
        assert_eq!(length_left(&null), None);
    }

    #[tokio::test]
    async fn the_wrong_end_of_a_pipe_has_nothing_to_read_and_takes_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        let mut output = Output::new(reader.as_fd()).unwrap();
        let error = output.write_all(b"x").await.unwrap_err();
        assert_eq!(error.to_string(), "the descriptor is not open for writing");
        let mut got = Vec::new();
        Input::new(writer.as_fd())
            .unwrap()
            .read_to_end(&mut got)
            .await
            .unwrap();
        assert!(got.is_empty());
    }

    /// What a wait that should be short is given.
    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_fifo_ends_though_its_writer_left_before_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        for sent in [&b""[..], b"data"] {
            let reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
            let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            writer.write_all(sent).unwrap();
            drop(writer);
            let mut input = Input::new(reader.as_fd()).unwrap();
            let mut got = Vec::new();
            let read = timeout(LIMIT, input.read_to_end(&mut got));
            read.await.expect("the end was not seen").unwrap();
            assert_eq!(got, sent);
        }
    }

    #[tokio::test]
    async fn lines_that_wait_at_a_terminal_are_all_read() {
        let (mut keyboard, terminal) = terminal();
        keyboard.write_all(b"one\ntwo\n").unwrap();
        let mut input = Input::new(terminal.as_fd()).unwrap();
        let mut buf = [0; 100];
        for expected in [&b"one\n"[..], b"two\n"] {
            let read = timeout(LIMIT, input.read(&mut buf)).await;
            let length = read.expect("the line was not seen").unwrap();
            assert_eq!(&buf[..length], expected);
        }
        assert!(!is_nonblocking(&terminal));
    }

    /// The master of a new pseudo-terminal, where keys are pressed, and the terminal.
    fn terminal() -> (std::fs::File, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (master.into(), terminal)
    }
}
