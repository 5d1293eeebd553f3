//! Layers: a stream in, a stream out.
//! Absent: sockets, and who asked for the layer.

pub mod crlf;
pub mod idle;
#[cfg(feature = "tls")]
pub mod tls;
