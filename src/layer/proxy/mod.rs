//! The PROXY protocol: who a client behind a proxy is.
//! Absent: connections.

pub mod header;
