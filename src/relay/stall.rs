//! A peer of which nothing is read for now, as the other one takes nothing: whether it has broken off all the same.
//! Absent: what follows then.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::socket_error;
use tokio::net::{TcpStream, UnixStream};

use super::idle::Idle;
use crate::connection::Wire;
use crate::transport::given::Given;
use crate::transport::waiting::look;

/// After so much time in which nothing moved it is looked at, and then again. Somebody who takes nothing for a moment is no
/// reason to: that happens all the time.
const LOOK: Duration = Duration::from_secs(1);

/// When to look. The timer is there from the first stall on until nothing has waited for a while, as a wait of its own
/// for each of them would cost more than all the rest.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Box<Idle>>);

impl Stall {
    /// Ready when `steps` has not changed for long while something waits to be taken. It is to be asked again then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waits: bool, steps: u64) -> Poll<()> {
        if self.0.is_none() && !waits {
            return Poll::Pending;
        }
        let idle = self.0.get_or_insert_with(|| Box::new(Idle::new(LOOK)));
        ready!(idle.poll(cx, steps));
        self.0 = None;
        if waits { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Why nothing more will come from there, if it has broken off: the system knows that before anything is read.
pub(super) fn broken(from: &Wire) -> Option<io::Error> {
    let socket = carrier(from)?;
    let mut looked = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    look(&mut looked).ok()?;
    if !looked[0].revents().contains(PollFlags::ERR) {
        return None;
    }
    // An end in good order leaves no error.
    socket_error(socket).ok()?.err().map(io::Error::from)
}

fn carrier(from: &Wire) -> Option<BorrowedFd<'_>> {
    let tcp = from.carrier::<TcpStream>().map(AsFd::as_fd);
    let unix = || from.carrier::<UnixStream>().map(AsFd::as_fd);
    let given = || Some(from.carrier::<Given>()?.source()?.get().as_fd());
    tcp.or_else(unix).or_else(given)
}
