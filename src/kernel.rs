//! The one place with `unsafe`: taking over a descriptor that our parent left open for us, known by its number alone,
//! waiting for a descriptor, what a socket has not got rid of and whether it ever was connected, catching signals for a
//! while, becoming two processes, children that end with us, and Landlock.
//! Absent: everything for which a crate has a safe form.
#![allow(unsafe_code, reason = "no safe function does any of it")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes over the inherited descriptor `number`; from here on it belongs to the value returned, which closes it.
///
/// What this process opened itself is close-on-exec, as everything that Rust and its libraries open; what a parent
/// left open is not. So a descriptor with that mark is somebody's already, and refused; taking one over sets the mark,
/// and nobody takes it twice. Standard input, output and error (0 to 2) are nobody's to take.
///
/// # Errors
/// `InvalidInput` for 0 to 2 and below, `NotFound`-like system errors where the descriptor is not open, `AlreadyExists`
/// where this process uses it for something else.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "0, 1 and 2 are standard input, output and error",
        ));
    }
    // SAFETY: the borrow lasts for this function. A number that is not open, or is closed meanwhile by another thread,
    // makes fcntl(2) fail with EBADF; it does nothing else with it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed).map_err(|error| match error {
        rustix::io::Errno::BADF => io::Error::new(io::ErrorKind::NotFound, "the descriptor is not open"),
        error => error.into(),
    })?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the descriptor was not left open for us",
        ));
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: the descriptor is open, and by the argument above nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Bytes that were written to a socket and that the far end has not acknowledged (TCP) or read (UNIX): SIOCOUTQ of tcp(7)
/// and unix(7).
///
/// # Errors
/// What the system says, as for something that is no such socket.
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    nix::ioctl_read_bad!(outgoing, libc::TIOCOUTQ, libc::c_int);
    let mut bytes = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the call writes one int, which is there.
    unsafe { outgoing(socket.as_raw_fd(), &raw mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Whether a TCP socket has been connected, whatever became of it since: the first that it sent, its SYN, was acknowledged
/// then (`tcpi_bytes_acked`, TCP_INFO of tcp(7)). Unlike SO_ERROR, being asked takes nothing away from whoever reads next.
///
/// # Errors
/// What the system says, as for something that is no such socket.
pub fn has_been_connected(socket: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: numbers only, for which zeroes are a value; they stay where a kernel older than a field does not write it.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the descriptor is open for as long as it is borrowed, and the call writes at most `length` bytes, which are
    // there.
    let told = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if told != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(info.tcpi_bytes_acked > 0)
}

/// Lets the current runtime wait for `descriptor`, which is kept open for as long.
///
/// # Errors
/// The descriptor and what the system says: `PermissionDenied` where it is always ready, as files are.
pub fn watch(descriptor: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: the runtime needs the number to stay the same and open until it is deregistered. An `OwnedFd` owns it,
    // nothing here gives it out mutably, and `AsyncFd` deregisters before it drops what it holds.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|refused| refused.into_parts())
}

/// Where the handler says which signal came: the end that is read, and the other. It is never closed, as a handler may
/// still be about to write.
static CAME: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// Held by whoever catches signals: there is one pipe, and one handler before ours.
static CATCHING: Mutex<()> = Mutex::new(());

/// More signals than this at once are no others.
const CAME_MAX: usize = 64;

/// Does what a handler may do and no more: it takes no lock, allocates nothing, and makes one system call.
extern "C" fn note(number: std::ffi::c_int) {
    if let (Some((_, pipe)), Ok(number)) = (CAME.get(), u8::try_from(number)) {
        // A pipe that is full says enough already.
        let _ = rustix::io::write(pipe, &[number]);
    }
}

/// Signals that do nothing but make this readable, for as long as it lives. When it is dropped they mean again what they
/// meant before, and those that came, except for SIGINT, come to that.
pub struct Caught {
    /// What each of them meant.
    before: Vec<(Signal, SigAction)>,
    pipe: &'static OwnedFd,
    _alone: MutexGuard<'static, ()>,
}

/// Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT. What the process was started to ignore stays ignored.
///
/// # Errors
/// `WouldBlock` where somebody does so already; else what the system says.
pub fn catch_ends() -> io::Result<Caught> {
    let alone = match CATCHING.try_lock() {
        Ok(alone) => alone,
        Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
    };
    let (pipe, _) = match CAME.get() {
        Some(ends) => ends,
        None => {
            let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            CAME.get_or_init(|| ends)
        }
    };
    let mut caught = Caught {
        before: Vec::new(),
        pipe,
        _alone: alone,
    };
    // What came too late for whoever caught before.
    caught.came();
    let handler = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: `note` is sound at any moment in any thread, and does not touch `errno`: the system call that it
        // makes can only fail by the pipe being full, which a few bytes do not make it.
        let before = unsafe { sigaction(signal, &handler) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            put_back(signal, &before);
        } else {
            caught.before.push((signal, before));
        }
    }
    Ok(caught)
}

fn is_ours(action: &SigAction) -> bool {
    let ours: extern "C" fn(_) = note;
    matches!(action.handler(), SigHandler::Handler(handler) if std::ptr::fn_addr_eq(handler, ours))
}

/// Unless somebody else has taken the signal from us meanwhile.
fn put_back(signal: Signal, before: &SigAction) {
    // SAFETY: this is what the signal meant before we caught it, for whoever had made that sound; and what is put back
    // in the second step was there a moment ago.
    unsafe {
        if let Ok(ours) = sigaction(signal, before)
            && !is_ours(&ours)
        {
            let _ = sigaction(signal, &ours);
        }
    }
}

impl Caught {
    fn came(&self) -> Vec<u8> {
        let mut came = vec![0; CAME_MAX];
        let count = rustix::io::read(self.pipe, &mut came[..]).unwrap_or(0);
        came.truncate(count);
        came
    }
}

impl AsFd for Caught {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            put_back(*signal, before);
        }
        let came = self.came();
        for (signal, _) in &self.before {
            if *signal != Signal::SIGINT && came.contains(&(*signal as u8)) {
                let _ = raise(*signal);
            }
        }
    }
}

/// Closes what our parent left open and nobody here has taken over, standard input, output and error excepted: by the
/// argument of [`adopt`], that is what is not marked close-on-exec. Says how many there were.
///
/// # Errors
/// /proc cannot be read.
pub fn close_inherited() -> io::Result<usize> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // Those that are ours, or that the reading itself has opened, are refused.
    Ok(open.into_iter().filter(|number| adopt(*number).is_ok()).count())
}

/// Goes on as two processes. The parent gets the number of its child, the child `None`.
///
/// # Errors
/// `Unsupported` where there is more than one thread, or nobody can tell; what the system says.
pub fn fork() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "there is more than one thread",
        ));
    }
    // SAFETY: the child is a copy of the calling thread alone. What others held at that moment, such as the lock of the
    // allocator, would stay held for ever; but the kernel lists one thread, which is this one, it starts no other before
    // the call, and no thread of this process can come from elsewhere. So the child has all that a process has.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(None),
        nix::unistd::ForkResult::Parent { child } => {
            let child = Pid::from_raw(child.as_raw());
            child.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
    }
}

/// Makes a program be killed when the thread that starts it ends, however that comes about.
pub fn die_with_us(command: &mut Command) {
    let us = rustix::process::getpid();
    let set = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Who has ended before cannot be waited for any more.
        match rustix::process::getppid() == Some(us) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls, and allocates nothing: an error is a number, or a
    // kind without words.
    unsafe {
        command.pre_exec(set);
    }
}

/// What a Landlock ruleset is about, landlock_create_ruleset(2): what is about it and not allowed is refused. The layout
/// is the kernel's.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_*`, from version 4 on; 0 before.
    pub network: u64,
    /// `LANDLOCK_SCOPE_*`, from version 6 on; 0 before.
    pub scope: u64,
}

/// The version of Landlock that this kernel has.
///
/// # Errors
/// It has none, or does not use it.
pub fn landlock_version() -> io::Result<u32> {
    const VERSION: libc::c_uint = 1;
    let none = std::ptr::null::<Handled>();
    // SAFETY: with this flag the call reads and writes no memory, and makes nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    u32::try_from(version).map_err(|_negative| io::Error::last_os_error())
}

/// A ruleset that allows nothing of what it is about, and holds for nobody yet.
///
/// # Errors
/// What the system says.
pub fn landlock_ruleset(handled: &Handled) -> io::Result<OwnedFd> {
    let size = std::mem::size_of::<Handled>();
    // SAFETY: the kernel reads `size` bytes at a pointer that is good for as many; a kernel that knows fewer fields
    // wants the rest to be 0, and says so otherwise.
    let made = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::from_ref(handled),
            size,
            0_u32,
        )
    };
    let number = i32::try_from(made).map_err(|_| io::ErrorKind::InvalidData)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, close-on-exec, and nobody else knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Allows `access` to a file, or to all below a directory.
///
/// # Errors
/// What the system says.
pub fn landlock_allow(ruleset: BorrowedFd<'_>, beneath: BorrowedFd<'_>, access: u64) -> io::Result<()> {
    /// `struct landlock_path_beneath_attr`, which has no padding.
    #[repr(C, packed)]
    struct Beneath {
        access: u64,
        directory: i32,
    }
    const PATH_BENEATH: libc::c_uint = 1;
    let rule = Beneath {
        access,
        directory: beneath.as_raw_fd(),
    };
    // SAFETY: the kernel reads the twelve bytes of `rule`, which outlive the call, as do both descriptors.
    let done = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            PATH_BENEATH,
            std::ptr::from_ref(&rule),
            0_u32,
        )
    };
    succeeded(done)
}

/// Holds the current thread, and those that it starts, to a ruleset for good. `no_new_privs` has to be set.
///
/// # Errors
/// What the system says.
pub fn landlock_hold(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes two numbers and touches no memory of ours.
    succeeded(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) })
}

fn succeeded(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_taken_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfd(&writer, FdFlags::empty()).unwrap();
        let number = OwnedFd::from(writer).into_raw_fd();
        let adopted = adopt(number).unwrap();
        assert_eq!(adopt(number).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::File::from(adopted).write_all(b"x").unwrap();
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"x");
    }

    #[test]
    fn a_process_with_threads_is_not_copied() {
        // The harness of the tests is such a one.
        std::thread::scope(|scope| {
            let (held, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv().is_err());
            assert_eq!(fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
            drop(held);
        });
    }

    #[test]
    fn what_is_ours_or_not_open_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            adopt(file.as_raw_fd()).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(adopt(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(adopt(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
