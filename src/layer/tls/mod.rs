//! TLS on any stream: both handshakes, close_notify, and what TLS adds to the facts.
//! Absent: where the stream comes from, and which files keys are in.

mod by_name;
mod clients;
pub mod config;
pub mod current;
pub mod doctor;
mod platform;
mod reads;
mod trust;
mod watched;
mod wire;
mod words;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;
use tracing::debug;

use self::config::{ClientConfig, ServerConfig};
use self::wire::Wire;
use crate::connection::Stream;
use crate::connection::facts::{Facts, Tls};
use crate::connection::stream::{Io, Steps, Through};
use crate::error::Result;

/// Speaks TLS as a client on `stream`. It returns once the server is known to be who it should be.
///
/// # Errors
/// Status 5, in words.
pub async fn connect(stream: Stream, config: &ClientConfig) -> Result<Stream> {
    let (io, facts, steps) = stream.into_parts();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config.rustls));
    let mut handshake = connector
        .connect(config.name.clone(), Wire::new(io))
        .into_fallible();
    // What a certificate was refused for is known to the verifier alone, which runs within the poll that fails.
    let mut asked = false;
    let done = poll_fn(|cx| {
        let polled = Pin::new(&mut handshake).poll(cx);
        asked |= doctor::take_asked();
        let refused = trust::take_refused();
        polled.map(|done| {
            done.map_err(|(error, wire)| words::client(&error, wire.first(), config, asked, refused))
        })
    })
    .await?;
    Ok(established(done.into(), facts, steps, asked))
}

/// Speaks TLS as a server on `stream`.
///
/// # Errors
/// Status 5, in words.
pub async fn accept(stream: Stream, config: &ServerConfig) -> Result<Stream> {
    let (io, facts, steps) = stream.into_parts();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config.rustls));
    let mut handshake = acceptor.accept(Wire::new(io)).into_fallible();
    let done = poll_fn(|cx| {
        let polled = Pin::new(&mut handshake).poll(cx);
        let refused = trust::take_refused();
        polled.map(|done| done.map_err(|(error, wire)| words::server(&error, wire.first(), refused)))
    })
    .await?;
    Ok(established(done.into(), facts, steps, false))
}

fn established(mut stream: TlsStream<Wire>, mut facts: Facts, steps: Steps, asked: bool) -> Stream {
    let server_name = match &stream {
        TlsStream::Server(server) => server.get_ref().1.server_name().map(str::to_owned),
        TlsStream::Client(_) => None,
    };
    match &mut stream {
        TlsStream::Client(client) => client.get_mut().0.forget_first(),
        TlsStream::Server(server) => server.get_mut().0.forget_first(),
    }
    let tls = learned(stream.get_ref().1, server_name, asked);
    debug!(
        peer = %facts.peer,
        version = tls.version,
        cipher = tls.cipher,
        alpn = tls.alpn.as_deref().unwrap_or("none"),
        resumed = tls.resumed,
        "TLS stands"
    );
    facts.tls = Some(Arc::new(tls));
    Stream::spoken(Secure(stream), facts, steps)
}

fn learned(state: &CommonState, server_name: Option<String>, asked: bool) -> Tls {
    Tls {
        version: match state.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        },
        cipher: state
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .map_or("unknown", registered),
        alpn: state.alpn_protocol().map(|name| name.escape_ascii().to_string()),
        server_name,
        resumed: matches!(state.handshake_kind(), Some(rustls::HandshakeKind::Resumed)),
        asked_for_certificate: asked,
        peer_certificates: state
            .peer_certificates()
            .map(|chain| chain.iter().map(|certificate| certificate.to_vec()).collect())
            .unwrap_or_default(),
    }
}

/// The registered name of a cipher suite; rustls has names of its own for those of TLS 1.3.
fn registered(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        name => name,
    }
}

/// The alert with which the far end broke off, by its registered name, such as `unknown_ca`; `None` where an error of an
/// established connection has another cause.
#[must_use]
pub fn alert_of(error: &io::Error) -> Option<String> {
    words::alert_of(error)
}

/// An established TLS connection whose errors are in words.
struct Secure(TlsStream<Wire>);

impl Through for Secure {
    fn inner(&self) -> &dyn Io {
        self.0.get_ref().0.inner()
    }
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            && error.kind() == io::ErrorKind::UnexpectedEof
        {
            // It ended without close_notify, and may wait for ours all the same, as ncat does. It is sent as far as there is
            // room, as what follows is the end.
            self.0.get_mut().1.send_close_notify();
            let _ = Pin::new(&mut self.0).poll_flush(cx);
        }
        read.map_err(words::established)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0)
            .poll_write(cx, buf)
            .map_err(words::established)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0)
            .poll_write_vectored(cx, bufs)
            .map_err(words::established)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(words::established)
    }

    /// Sends close_notify, then ends our half of the stream below; the peer may go on.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0)
            .poll_shutdown(cx)
            .map_err(words::established)
    }
}
