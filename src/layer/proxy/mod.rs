//! The `haproxy` wrapper: the PROXY protocol, which says who a client behind a proxy is.
//! Absent: the format of the header, and sockets.

pub mod header;

use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::debug;

use self::header::{Ends, Header, LONGEST, Version};
use super::{Layer, Wrapper, WrapperRole};
use crate::connection::prefixed::Prefixed;
use crate::connection::{Address, BoxFuture, Stream};
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

/// Room for a header in its usual size; only one that says it is longer gets more.
const ROOM: usize = 536;

/// Bytes of a value that the log shows.
const SHOWN: usize = 128;

#[derive(Debug)]
struct Proxy {
    /// What is sent; both are read.
    version: Version,
}

impl Layer for Proxy {
    fn connect(&self, mut stream: Stream) -> BoxFuture<'_, Result<Stream>> {
        Box::pin(async move {
            // Nobody's connection is handed on: we speak for ourselves.
            let header = Header::local(self.version).write();
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
            note(&mut stream, &header);
            if rest.is_empty() {
                return Ok(stream);
            }
            Ok(stream.map(|io| Prefixed::new(io, rest)))
        })
    }
}

/// The header, and what was read beyond it.
async fn read(stream: &mut Stream) -> Result<(Header, Vec<u8>)> {
    let mut bytes = vec![0; ROOM];
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            // Only a header that says how long it is gets here; it has to send half of that before it gets more room.
            let room = header::announced(&bytes).unwrap_or(LONGEST).min(2 * filled);
            bytes.resize(room, 0);
        }
        let read = stream.read(&mut bytes[filled..]).await;
        let read = read.map_err(|error| Error::io(Status::Lost, &error))?;
        filled += read;
        match header::read(&bytes[..filled]) {
            Ok(Some((header, length))) => {
                bytes.truncate(filled);
                return Ok((header, bytes.split_off(length)));
            }
            Ok(None) if read == 0 && filled == 0 => {
                return Err(wrong("the connection ended without a PROXY header".into()));
            }
            Ok(None) if read == 0 => {
                return Err(wrong("the connection ended within its PROXY header".into()));
            }
            Ok(None) => {}
            Err(invalid) => return Err(wrong(format!("no valid PROXY header: {invalid}"))),
        }
    }
}

fn wrong(why: String) -> Error {
    Error::new(Status::Expectation, why)
}

/// Both ends become those that the header names.
fn note(stream: &mut Stream, header: &Header) {
    let facts = stream.facts_mut();
    let Some(ends) = &header.ends else {
        debug!(peer = %facts.peer, "the PROXY header names no client: this is one of the proxy's own connections");
        return;
    };
    let (source, destination) = match ends {
        Ends::Inet {
            source, destination, ..
        } => (Address::Inet(*source), Address::Inet(*destination)),
        Ends::Unix {
            source, destination, ..
        } => (unix(source), unix(destination)),
    };
    let proxy = std::mem::replace(&mut facts.peer, source);
    facts.local = destination;
    debug!(peer = %facts.peer, local = %facts.local, "handed on by the proxy {proxy}");
    for tlv in &header.tlvs {
        let (length, shown) = (tlv.value.len(), &tlv.value[..tlv.value.len().min(SHOWN)]);
        debug!(peer = %facts.peer, kind = tlv.kind, length, "the proxy says {}", shown.escape_ascii());
    }
    // Behind several, the one that is connected to us is the one we know.
    facts.via.get_or_insert(proxy);
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
