//! Programs of others that may be on this machine, and what it takes to start them.
//! Absent: what they are asked to do.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::eventually;

/// The name under which a peer is installed; `None`: the test is skipped, unless `NETKIT_INTEROP=required`.
pub(crate) fn installed(names: &[&'static str]) -> Option<&'static str> {
    given(names[0], names.iter().find(|name| is_there(name)).copied())
}

/// Whether a program can be started by its name.
pub(crate) fn is_there(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// What was found, which may be missing only where nobody requires it.
pub(crate) fn given<T>(name: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        assert!(
            std::env::var_os("NETKIT_INTEROP").is_none_or(|value| value != "required"),
            "{name} is not installed"
        );
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// A port for a peer that cannot be told to let the system pick one. The socket keeps others from it: both may hold it,
/// as both say `SO_REUSEADDR`; only the peer listens, and of two that take datagrams the later one gets them.
pub(crate) fn reserved(kind: Type) -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Waits until somebody listens on this TCP port, without connecting: some peers take a single client.
pub(crate) fn await_listening(address: SocketAddr) {
    let port = format!(":{:04X} ", address.port());
    eventually("the peer to listen", || {
        let listens = |table: &str| {
            let table = std::fs::read_to_string(table).unwrap_or_default();
            // 0A is LISTEN.
            table
                .lines()
                .any(|line| line.contains(&port) && line.contains(" 0A "))
        };
        (listens("/proc/net/tcp") || listens("/proc/net/tcp6")).then_some(())
    });
}
