//! The contract, tested from outside: the real binary over real sockets, a file per topic.
//! Absent: what a unit test can show.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test states what it expects by panicking, and says what it skips"
)]

mod harness;

mod access;
#[cfg(feature = "tls")]
mod cert_show;
mod connect;
mod daemon;
#[cfg(feature = "metrics")]
mod deploy;
mod errors;
mod explain;
mod faults;
mod finger;
mod finger_peers;
mod floors;
mod generated;
mod interop;
mod lines;
mod listen;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tls")]
mod pairs;
mod proxy;
mod proxy_faults;
mod readme;
mod ready;
mod reconnect;
mod record;
mod relay;
mod relay_datagrams;
mod relay_faults;
#[cfg(feature = "regex")]
mod run;
#[cfg(feature = "regex")]
mod run_bounds;
mod sandbox;
#[cfg(all(feature = "regex", feature = "tls"))]
mod scripts;
mod serve;
mod splice;
mod tables;
mod terminal;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_faults;
#[cfg(feature = "tls")]
mod tls_files;
#[cfg(feature = "tls")]
mod tls_peers;
#[cfg(feature = "tls")]
mod tls_words;
mod transfers;
mod translate;
mod vectors;
mod wait;
