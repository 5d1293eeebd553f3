//! The one place with `unsafe`: taking over a descriptor that our parent left open for us, known by its number alone,
//! waiting for a descriptor, and becoming two processes. Absent: everything for which a crate has a safe form.
#![allow(unsafe_code, reason = "no safe function does any of it")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
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

/// Lets the current runtime wait for `descriptor`, which is kept open for as long.
///
/// # Errors
/// The descriptor and what the system says: `PermissionDenied` where it is always ready, as files are.
pub fn watch(descriptor: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: the runtime needs the number to stay the same and open until it is deregistered. An `OwnedFd` owns it,
    // nothing here gives it out mutably, and `AsyncFd` deregisters before it drops what it holds.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|refused| refused.into_parts())
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, IntoRawFd};

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
