//! The two ends of a relay: connections to it, with TLS or without, and those it makes to us; bytes that cost little to
//! send and to take. Absent: what is counted.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create, sendfile};
use rustix::net::{RecvFlags, recv};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is sent or taken at once.
pub(crate) const PIECE: usize = 1 << 20;

/// Who does not connect in that time never will.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static TAKEN: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// The way through a relay.
pub(crate) struct Through {
    to: SocketAddr,
    pub(crate) far: TcpListener,
    tls: Option<TlsConnector>,
}

/// Our end of a connection to a relay.
pub(crate) enum Near {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Through {
    pub(crate) fn new(to: SocketAddr, far: SocketAddr, trust: Option<&Path>) -> io::Result<Through> {
        Ok(Through {
            to,
            far: listen(far)?,
            tls: trust.map(connector).transpose()?,
        })
    }

    pub(crate) async fn connect(&self) -> io::Result<Near> {
        let connecting = async {
            let stream = TcpStream::connect(self.to).await?;
            stream.set_nodelay(true)?;
            Ok(match &self.tls {
                None => Near::Plain(stream),
                Some(tls) => {
                    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                    Near::Tls(Box::new(tls.connect(name, stream).await?))
                }
            })
        };
        tokio::time::timeout(PATIENCE, connecting).await?
    }
}

pub(crate) fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(4096)
}

pub(crate) async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Every handshake is a whole one, as sessions do not go on; and all relays get the same to do, as they are not asked which
/// cipher and which key exchange they like best.
fn connector(trust: &Path) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(trust).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_AES_256_GCM_SHA384],
        // The second for a peer that has no other.
        kx_groups: vec![X25519, SECP256R1],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Zeros without an end, which lie in memory once.
pub(crate) struct Zeros(File);

impl Zeros {
    pub(crate) fn new() -> io::Result<Zeros> {
        let memory = memfd_create("zeros", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, PIECE as u64)?;
        Ok(Zeros(File::from(memory)))
    }

    /// Sends at most so many: the kernel hands pages over, and copies nothing.
    pub(crate) async fn send(&self, to: &TcpStream, most: usize) -> io::Result<usize> {
        to.async_io(Interest::WRITABLE, || {
            let mut offset = 0;
            Ok(sendfile(to, &self.0, Some(&mut offset), most.min(PIECE))?)
        })
        .await
    }
}

/// Takes what there is, and throws it away unseen: with TRUNC the kernel does not even copy it. 0 at the end.
pub(crate) async fn take(from: &TcpStream) -> io::Result<usize> {
    from.async_io(Interest::READABLE, || {
        TAKEN.with_borrow_mut(|taken| {
            let (_, length) = recv(from, &mut taken[..], RecvFlags::TRUNC)?;
            Ok(length)
        })
    })
    .await
}
