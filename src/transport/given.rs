//! A stream made of descriptors that we were given: one to read, one to write, which may be the same.
//! Absent: how one of them is read or written without changing it for others.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::descriptor::{Input, Output};
use super::waiting::Waiting;

/// An input and an output as one stream. Shutting it down ends the output.
#[derive(Debug)]
pub(crate) struct Given {
    input: Inward,
    output: Output,
}

#[derive(Debug)]
enum Inward {
    From(Input),
    /// It ended before it began.
    Nothing,
    /// The other end cannot say anything, and has not ended for that: it ends with us.
    Silence {
        ended: bool,
        reader: Option<Waker>,
    },
}

impl Given {
    /// Both ways.
    #[must_use]
    pub(crate) fn new(input: Input, output: Output) -> Self {
        Given {
            input: Inward::From(input),
            output,
        }
    }

    /// Output alone: nothing is to be read, and that is known from the start.
    #[must_use]
    pub(crate) fn without_input(output: Output) -> Self {
        Given {
            input: Inward::Nothing,
            output,
        }
    }

    /// Output to one who cannot answer: nothing comes for as long as we have not ended.
    #[must_use]
    pub(crate) fn outward(output: Output) -> Self {
        Given {
            input: Inward::Silence {
                ended: false,
                reader: None,
            },
            output,
        }
    }

    /// What is read, for an engine that can do better than to read it.
    pub(crate) fn source(&self) -> Option<&Waiting> {
        match &self.input {
            Inward::From(input) => input.waiting(),
            Inward::Nothing | Inward::Silence { .. } => None,
        }
    }

    /// Whether it writes to a socket, which may say something when it takes no more.
    pub(crate) fn writes_to_socket(&self) -> bool {
        self.output.is_socket()
    }

    /// What is written, for the same.
    pub(crate) fn sink(&self) -> Option<&Waiting> {
        self.output.waiting()
    }

    /// Nothing is written any more: who says nothing ends with that.
    fn end_silence(&mut self) {
        if let Inward::Silence { ended, reader } = &mut self.input {
            *ended = true;
            if let Some(reader) = reader.take() {
                reader.wake();
            }
        }
    }
}

impl AsyncRead for Given {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.input {
            Inward::From(input) => Pin::new(input).poll_read(cx, buf),
            Inward::Nothing | Inward::Silence { ended: true, .. } => Poll::Ready(Ok(())),
            Inward::Silence { reader, .. } => {
                *reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Given {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.output).poll_write(cx, buf);
        if let Poll::Ready(Err(_)) = written {
            self.end_silence();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.output).poll_shutdown(cx))?;
        self.end_silence();
        Poll::Ready(Ok(()))
    }
}
