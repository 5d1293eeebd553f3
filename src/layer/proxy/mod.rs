//! The `haproxy` wrapper: the PROXY protocol, which says who a client behind a proxy is.
//! Absent: the format of the header, and sockets.

pub mod header;

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::debug;

use self::header::{Ends, Header, Ssl, Tlv, UNIX_NAME, Version};
use super::{Layer, Wrapper, WrapperRole};
use crate::connection::proxied::{Proxied, ProxiedTls};
use crate::connection::{Address, BoxFuture, Facts, Stream};
use crate::endpoint::{Param, ValueKind};
use crate::error::{Error, Result, Status};

const CLIENT: &[Param] = &[Param::optional(
    "version",
    ValueKind::Choice(&["1", "2"]),
    "2",
    "of the header: 1 is a line of text, 2 is binary and has a checksum",
)
.by_name()];

/// The table entry.
pub static HAPROXY: Wrapper = Wrapper {
    name: "haproxy",
    summary: "a PROXY header first: a client sends it, a server requires it",
    client: Some(WrapperRole {
        params: CLIENT,
        examples: &[
            "haproxy:tcp:localhost:1234",
            "haproxy:version=1:tcp:localhost:1234",
        ],
        layer: |args| {
            let version = match args.text("version") {
                "1" => Version::V1,
                _ => Version::V2,
            };
            Ok(Arc::new(Proxy { version }))
        },
    }),
    server: Some(WrapperRole {
        params: &[],
        examples: &["haproxy:tcp:1234", "haproxy:unix:/run/behind-proxy.sock"],
        layer: |_| Ok(Arc::new(Proxy { version: Version::V2 })),
    }),
};

/// What is asked for at once: more than headers have, and little beside what they may announce.
const CHUNK: usize = 4096;

#[derive(Debug)]
struct Proxy {
    /// What is sent; both are read.
    version: Version,
}

impl Layer for Proxy {
    fn connect<'a>(&'a self, mut stream: Stream, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Stream>> {
        Box::pin(async move {
            let header = header_for(self.version, client).write();
            let sent = match stream.write_all(&header).await {
                Ok(()) => stream.flush().await,
                Err(error) => Err(error),
            };
            sent.map_err(|error| Error::io(Status::Lost, &error))?;
            Ok(stream)
        })
    }

    fn accept(&self, mut stream: Stream) -> BoxFuture<'_, Result<Stream>> {
        Box::pin(async move {
            let (header, rest) = read(&mut stream).await?;
            note(&mut stream, header);
            if rest.is_empty() {
                return Ok(stream);
            }
            Ok(stream.preceded_by(rest))
        })
    }

    fn names_peer(&self) -> bool {
        true
    }
}

/// Where no client's connection is handed on, or one whose ends nobody could be told, we speak for ourselves.
fn header_for(version: Version, client: Option<&Facts>) -> Header {
    match client.and_then(ends_of) {
        None => Header::local(version),
        Some(ends) => Header {
            version,
            local: false,
            ends: Some(ends),
            tlvs: Vec::new(),
        },
    }
}

fn ends_of(client: &Facts) -> Option<Ends> {
    match (&client.peer, &client.local) {
        (Address::Inet(source), Address::Inet(destination)) => {
            Some(Ends::of_one_family(*source, *destination, client.datagrams))
        }
        (Address::Unnamed, Address::Unnamed) => None,
        (source, destination) => Some(Ends::Unix {
            source: unix_name(source)?,
            destination: unix_name(destination)?,
            datagrams: client.datagrams,
        }),
    }
}

fn unix_name(address: &Address) -> Option<Vec<u8>> {
    let name = match address {
        Address::Path(path) => path.as_os_str().as_bytes().to_vec(),
        Address::Abstract(name) => [&[0], &name[..]].concat(),
        Address::Unnamed => Vec::new(),
        Address::Inet(_) | Address::Descriptor(_) | Address::Stdio => return None,
    };
    (name.len() <= UNIX_NAME).then_some(name)
}

/// The header, and what was read beyond it: as a rule nothing, so that the bare stream is left for what follows.
async fn read(stream: &mut Stream) -> Result<(Header, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        match header::read(&bytes) {
            Ok(Some((header, length))) => return Ok((header, bytes.split_off(length))),
            Ok(None) => {}
            Err(invalid) => return Err(wrong(format!("no valid PROXY header: {invalid}"))),
        }
        let more = (header::room(&bytes) - bytes.len()).min(CHUNK);
        bytes.reserve(more);
        let read = (&mut *stream).take(more as u64).read_buf(&mut bytes).await;
        match read.map_err(|error| Error::io(Status::Lost, &error))? {
            0 if bytes.is_empty() => {
                return Err(wrong("the connection ended without a PROXY header".into()));
            }
            0 => return Err(wrong("the connection ended within its PROXY header".into())),
            _ => {}
        }
    }
}

fn wrong(why: String) -> Error {
    Error::new(Status::Expectation, why)
}

/// Both ends become those that the header names.
fn note(stream: &mut Stream, header: Header) {
    let facts = stream.facts_mut();
    let Some(ends) = header.ends else {
        debug!(peer = %facts.peer, "the PROXY header names no client: this is one of the proxy's own connections");
        return;
    };
    let (source, destination) = match ends {
        Ends::Inet {
            source, destination, ..
        } => (Address::Inet(source), Address::Inet(destination)),
        Ends::Unix {
            source, destination, ..
        } => (unix(&source), unix(&destination)),
    };
    let proxy = std::mem::replace(&mut facts.peer, source);
    facts.local = destination;
    debug!(peer = %facts.peer, local = %facts.local, "handed on by the proxy {proxy}");
    let proxied = proxied(header.tlvs);
    if proxied != Proxied::default() {
        debug!(peer = %facts.peer, "the proxy says {proxied}");
        facts.proxied = Some(Arc::new(proxied));
    }
    // Behind several, the one that is connected to us is the one we know.
    facts.via.get_or_insert(proxy);
}

fn proxied(tlvs: Vec<Tlv>) -> Proxied {
    let mut proxied = Proxied::default();
    for Tlv { kind, value } in tlvs {
        match kind {
            Tlv::ALPN => proxied.alpn = Some(value),
            Tlv::AUTHORITY => proxied.authority = Some(value),
            Tlv::UNIQUE_ID => proxied.unique_id = Some(value),
            Tlv::NETNS => proxied.namespace = Some(value),
            Tlv::SSL => proxied.tls = Ssl::read(&value).ok().map(tls),
            // They have done their work.
            Tlv::CRC32C | Tlv::NOOP => {}
            kind => proxied.others.push((kind, value)),
        }
    }
    proxied
}

fn tls(ssl: Ssl) -> ProxiedTls {
    let mut tls = ProxiedTls {
        certificate: ssl.certificate,
        verified: ssl.verified,
        ..ProxiedTls::default()
    };
    for Tlv { kind, value } in ssl.tlvs {
        match kind {
            Tlv::SSL_VERSION => tls.version = Some(value),
            Tlv::SSL_CIPHER => tls.cipher = Some(value),
            Tlv::SSL_CN => tls.common_name = Some(value),
            _ => {}
        }
    }
    tls
}

fn unix(name: &[u8]) -> Address {
    match name {
        [] => Address::Unnamed,
        [0, name @ ..] => Address::Abstract(name.to_vec()),
        path => Address::Path(std::ffi::OsString::from_vec(path.to_vec()).into()),
    }
}

#[cfg(test)]
mod tests;
