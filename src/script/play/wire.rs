//! One connection of a script, kept by a task of its own that reads ahead and writes what it is told to.
//! Absent: what is expected.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};

use super::history::History;
use crate::connection::datagram::{LARGEST, Messages};
use crate::connection::{Connection, Stream};
use crate::error::reason;
#[cfg(feature = "tls")]
use crate::layer::tls;

/// Bytes that came and were not expected yet. Beyond, nothing more is read, and so the peer is held back.
pub const UNREAD_MAX: usize = 1024 * 1024;

/// Datagrams that came and were not expected yet; they need no bytes.
const DATAGRAMS_MAX: usize = 16 * 1024;

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// Orders that wait for the task.
const ORDERS_MAX: usize = 8;

/// How the peer's half came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// In good order.
    Closed,
    /// By a reset.
    Reset,
    /// By this alert of TLS, by its registered name.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has alerts"))]
    Alert(String),
    /// Otherwise, in words.
    Lost(String),
}

/// What came from the peer.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) unread: Vec<u8>,
    /// The lengths of the datagrams that are unread; `None` for a stream.
    pub(super) datagrams: Option<VecDeque<usize>>,
    /// How often something was taken from the front.
    pub(super) taken: u64,
    pub(super) end: Option<End>,
    pub(super) history: History,
    /// The task waits for room.
    held_back: Option<Waker>,
}

impl Heard {
    pub(super) fn is_full(&self) -> bool {
        let many = |datagrams: &VecDeque<usize>| datagrams.len() >= DATAGRAMS_MAX;
        self.unread.len() >= UNREAD_MAX || self.datagrams.as_ref().is_some_and(many)
    }

    /// Whether there is nothing unread, not even a datagram without bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.datagrams.as_ref().is_none_or(VecDeque::is_empty)
    }

    /// What comes next: a datagram, or all.
    pub(super) fn next(&self) -> &[u8] {
        let first = self.datagrams.as_ref().and_then(|lengths| lengths.front());
        &self.unread[..first.copied().unwrap_or(self.unread.len())]
    }

    /// So many datagrams are read, and this much of the one behind them.
    pub(super) fn take_datagrams(&mut self, whole: usize, more: usize) {
        let mut count = more;
        if let Some(lengths) = &mut self.datagrams {
            count += lengths.drain(..whole).sum::<usize>();
            match lengths.front_mut() {
                Some(length) if *length > more => *length -= more,
                Some(_) => drop(lengths.pop_front()),
                None => {}
            }
        }
        self.take(count);
    }

    /// All is read.
    pub(super) fn take_all(&mut self) {
        if let Some(lengths) = &mut self.datagrams {
            lengths.clear();
        }
        self.take(self.unread.len());
    }

    /// The first `count` bytes are read.
    pub(super) fn take(&mut self, count: usize) {
        self.unread.drain(..count);
        self.taken += 1;
        if let Some(waker) = self.held_back.take() {
            waker.wake();
        }
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    heard: Mutex<Heard>,
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Done = oneshot::Sender<io::Result<()>>;

enum Order {
    Send(Vec<u8>, Done),
    /// Our half ends.
    End(Done),
    /// The end of our half, then of it all.
    Close(Done),
    Reset(Done),
}

/// The end of a wire that the script holds. Dropping it closes the connection at once.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// Takes a connection over, on the current runtime.
    pub(super) fn keep(connection: Connection) -> Self {
        let shared = Arc::new(Shared {
            heard: Mutex::new(Heard {
                unread: Vec::new(),
                datagrams: matches!(connection, Connection::Datagram(_)).then(VecDeque::new),
                taken: 0,
                end: None,
                history: History::new(),
                held_back: None,
            }),
            changed: Notify::new(),
        });
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        let mut keeper = Keeper {
            connection,
            shared: Arc::clone(&shared),
            orders: receiver,
            job: None,
            piece: vec![0; PIECE],
        };
        let task = tokio::spawn(std::future::poll_fn(move |cx| keeper.poll(cx)));
        Wire { shared, orders, task }
    }

    #[cfg(feature = "testing")]
    pub(super) async fn leave(&self) {
        self.task.abort();
        // One turn on a runtime of one thread.
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn send(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.order(|done| Order::Send(bytes, done)).await
    }

    pub(super) async fn end(&self) -> io::Result<()> {
        self.order(Order::End).await
    }

    pub(super) async fn close(&self) -> io::Result<()> {
        self.order(Order::Close).await
    }

    pub(super) async fn reset(&self) -> io::Result<()> {
        self.order(Order::Reset).await
    }

    async fn order(&self, order: impl FnOnce(Done) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the connection is closed");
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What is being written, or ended.
struct Job {
    bytes: Vec<u8>,
    written: usize,
    then: Then,
    done: Option<Done>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
    Close,
}

struct Keeper {
    connection: Connection,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    job: Option<Job>,
    piece: Vec<u8>,
}

impl Keeper {
    /// Ready when the connection is to be closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.job.is_none() {
                match self.orders.poll_recv(cx) {
                    Poll::Ready(Some(order)) => {
                        if self.begin(order).is_break() {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            if self.job.is_some()
                && let Poll::Ready(over) = self.poll_job(cx)
            {
                if over {
                    return Poll::Ready(());
                }
                continue;
            }
            ready!(self.poll_hear(cx));
        }
    }

    fn begin(&mut self, order: Order) -> std::ops::ControlFlow<()> {
        let job = |bytes, then, done| Job {
            bytes,
            written: 0,
            then,
            done: Some(done),
        };
        self.job = Some(match order {
            Order::Send(bytes, done) => {
                let mut heard = self.shared.heard();
                match &heard.datagrams {
                    Some(_) => heard.history.sent_apart(&bytes),
                    None => heard.history.sent(&bytes),
                }
                drop(heard);
                job(bytes, Then::GoOn, done)
            }
            Order::End(done) => job(Vec::new(), Then::End, done),
            Order::Close(done) => job(Vec::new(), Then::Close, done),
            Order::Reset(done) => {
                let set = match &self.connection {
                    Connection::Stream(stream) => match stream.downcast_ref::<TcpStream>() {
                        Some(tcp) => tcp.set_zero_linger(),
                        None => Err(io::Error::other(
                            "only a connection that is bare TCP can be reset",
                        )),
                    },
                    Connection::Datagram(_) => Err(io::Error::other("datagrams know no reset")),
                };
                let is_reset = set.is_ok();
                if is_reset {
                    self.shared.heard().history.noted("we reset the connection");
                }
                // Whoever asked may have given up.
                let _ = done.send(set);
                if is_reset {
                    return std::ops::ControlFlow::Break(());
                }
                return std::ops::ControlFlow::Continue(());
            }
        });
        std::ops::ControlFlow::Continue(())
    }

    /// Ready when the job is done: whether the connection is to be closed.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(job) = &mut self.job else {
            return Poll::Pending;
        };
        let done = match &mut self.connection {
            Connection::Stream(stream) => ready!(write(stream, job, cx)),
            Connection::Datagram(datagram) => match job.then {
                Then::GoOn => ready!(datagram.poll_send(cx, &job.bytes)),
                Then::End => Err(io::Error::other("datagrams have no end")),
                Then::Close => Ok(()),
            },
        };
        let then = job.then;
        match (&done, then) {
            (Ok(()), Then::End) => self.shared.heard().history.noted("we ended our half"),
            (_, Then::Close) => self.shared.heard().history.noted("we closed the connection"),
            (Err(error), _) => {
                let why = format!("could not be written to: {}", reason(error));
                self.shared.heard().history.noted(why);
            }
            (Ok(()), Then::GoOn) => {}
        }
        if let Some(answer) = job.done.take() {
            // Whoever asked may have given up.
            let _ = answer.send(done);
        }
        self.job = None;
        Poll::Ready(then == Then::Close)
    }

    /// Reads what comes, for as long as there is room. Ready when there may be more.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = {
            let mut heard = self.shared.heard();
            if heard.end.is_some() {
                return Poll::Pending;
            }
            if heard.is_full() {
                heard.held_back = Some(cx.waker().clone());
                return Poll::Pending;
            }
            UNREAD_MAX - heard.unread.len()
        };
        let came = match &mut self.connection {
            Connection::Stream(stream) => {
                let most = room.min(PIECE);
                let mut buf = ReadBuf::new(&mut self.piece[..most]);
                ready!(Pin::new(stream).poll_read(cx, &mut buf)).map(|()| buf.filled().len())
            }
            Connection::Datagram(datagram) => {
                debug_assert!(self.piece.len() < LARGEST + 100);
                match ready!(datagram.poll_recv(cx, &mut self.piece)) {
                    Ok(Some(count)) => Ok(count),
                    Ok(None) => Ok(0),
                    Err(error) => Err(error),
                }
            }
        };
        let mut guard = self.shared.heard();
        let heard = &mut *guard;
        match (came, &mut heard.datagrams) {
            // One without bytes is no end.
            (Ok(count), Some(lengths)) => {
                lengths.push_back(count);
                heard.unread.extend_from_slice(&self.piece[..count]);
                heard.history.received_apart(&self.piece[..count]);
            }
            (Ok(0), None) => {
                heard.history.noted("the peer ended its half");
                heard.end = Some(End::Closed);
            }
            (Ok(count), None) => {
                let bytes = &self.piece[..count];
                heard.unread.extend_from_slice(bytes);
                heard.history.received(bytes);
            }
            (Err(error), _) => {
                heard.history.noted(reason(&error));
                heard.end = Some(end_of(&error));
            }
        }
        drop(guard);
        self.shared.changed.notify_waiters();
        Poll::Ready(())
    }
}

fn write(stream: &mut Stream, job: &mut Job, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut stream = Pin::new(stream);
    while job.written < job.bytes.len() {
        let count = ready!(stream.as_mut().poll_write(cx, &job.bytes[job.written..]))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        job.written += count;
    }
    if job.then == Then::GoOn {
        // TLS may hold on to what was written.
        stream.poll_flush(cx)
    } else {
        stream.poll_shutdown(cx)
    }
}

fn end_of(error: &io::Error) -> End {
    #[cfg(feature = "tls")]
    if let Some(alert) = tls::alert_of(error) {
        return End::Alert(alert);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset => End::Reset,
        _ => End::Lost(reason(error)),
    }
}
