//! Servers and peers for the tests of network programs: started on free ports, played step by step, gone in the end.
//! Absent: matching and its reports, which are those of scripts.
//!
//! A test of a client starts a [`Server`], or opens a [`Door`] and answers by itself; a test of a server connects a
//! [`Peer`], and says what it sends and what has to come:
//!
//! ```
//! use netkit::testing::Server;
//!
//! // #[test]
//! fn the_line_server_greets_and_answers() {
//!     let server = Server::protocol("lines").start();
//!     let mut alice = server.connect();
//!     alice.expect_line("Connection with the server established!");
//!     alice.send_line("hello").expect_line("Hello! How are you?");
//!     alice.send_line("goodbye");
//!     let bye = alice.expect_match(r"No+ don't go away+(?<dots>\.+)\r\n");
//!     assert_eq!(bye.text("dots"), "...");
//!     alice.expect_close();
//! }
//! # the_line_server_greets_and_answers();
//! ```
//!
//! To test a server of yours, connect a peer to wherever it listens: `Peer::connect("tcp:127.0.0.1:1234")`, or any other
//! client endpoint. Put `netkit` among the `[dev-dependencies]`, with `default-features = false` and
//! `features = ["testing"]`; add `"tls"` for TLS.
//!
//! # When it comes otherwise
//!
//! A step that fails panics at the line of the test. Its message is that of a script that fails:
//!
//! ```text
//! peer: something else came
//!   expected  b"Hello, who are you?"
//!   arrived   b"Hello! How are you?\r\n"
//!                    ^
//!   peer so far, with 127.0.0.1:41267:
//!         0ms  received  b"Connection with the server established!\r\n"
//!         1ms  sent      b"hello\r\n"
//!         1ms  received  b"Hello! How are you?\r\n"
//! ```
//!
//! No step waits for longer than 5 seconds, unless [`Peer::within`] or [`Peer::set_limit`] say so.
//!
//! # Where it listens
//!
//! [`On`] names places that need nothing from the machine: a free TCP or UDP port, a UNIX socket in a directory of its own,
//! TLS with an authority that is made for the test and thrown away with it. Any server endpoint will do as well.
//!
//! ```
//! # #[cfg(feature = "tls")] {
//! use netkit::testing::{On, Peer, Server};
//!
//! let echo = Server::protocol("echo").on(On::Tls).on(On::Unix).start();
//! let front = Server::relay(echo.endpoint()).on("tcp:0:interface=127.0.0.1").start();
//!
//! let mut through = front.connect();
//! through.send("hello").expect("hello").end().expect_close();
//!
//! let mut direct = echo.connect();
//! assert_eq!(direct.facts().tls.as_ref().map(|tls| tls.version), Some("TLS 1.3"));
//! Peer::connect(&echo.endpoints()[1]).send("over the file").expect_exactly("over the file");
//! # }
//! ```
//!
//! # A protocol of your own
//!
//! ```
//! use netkit::testing::Server;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let server = Server::talking(|mut stream| async move {
//!     let mut name = [0; 5];
//!     stream.read_exact(&mut name).await?;
//!     stream.write_all(b"hello ").await?;
//!     stream.write_all(&name).await?;
//!     stream.shutdown().await
//! });
//! let server = server.start();
//! server.connect().send("alice").expect_exactly("hello alice").expect_close();
//! ```
//!
//! # Testing a client
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use netkit::testing::{Door, On};
//!
//! let door = Door::open(On::Tcp);
//! let address = door.address();
//! let client = std::thread::spawn(move || {
//!     let mut stream = TcpStream::connect(address).unwrap();
//!     stream.write_all(b"QUIT\r\n").unwrap();
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer).unwrap();
//!     answer
//! });
//! let mut guest = door.accept();
//! guest.expect_line("QUIT").send_line("221 bye").close();
//! assert_eq!(client.join().unwrap(), "221 bye\r\n");
//! ```
//!
//! # In async tests
//!
//! Servers and doors live on threads of their own, so a `#[tokio::test]` uses all of this as it is, as long as nothing that
//! runs on its own thread has to move meanwhile. Where something does, steps are awaited: [`AsyncPeer`].
//!
//! ```
//! use netkit::testing::{AsyncPeer, Door, On};
//! use tokio::io::AsyncWriteExt;
//!
//! // #[tokio::test]
//! # #[tokio::main(flavor = "current_thread")]
//! async fn a_client_on_this_thread() {
//!     let door = Door::open(On::Tcp);
//!     let address = door.address();
//!     tokio::spawn(async move {
//!         let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
//!         stream.write_all(b"hello").await.unwrap();
//!     });
//!     let mut guest: AsyncPeer = door.accept_async().await;
//!     guest.expect("hello").await;
//!     guest.expect_close().await;
//! }
//! # a_client_on_this_thread();
//! ```
#![allow(
    clippy::panic,
    reason = "a test is told by a panic that what it expects did not come"
)]

#[cfg(feature = "tls")]
mod authority;
mod awaited;
mod captures;
mod door;
mod peer;
mod place;
mod server;
mod talker;
mod thread;

use std::time::Duration;

pub use awaited::AsyncPeer;
pub use captures::Captures;
pub use door::Door;
pub use peer::Peer;
pub use place::On;
pub use server::{Plan, Server};

/// What a step may take, unless told otherwise.
const LIMIT: Duration = Duration::from_secs(5);
