//! Programs of others that may be on this machine, and what it takes to start them.
//! Absent: what they are asked to do.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;

use rustix::process::geteuid;
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

/// What root has been given, and others may not have. Where the tests that miss it are run once more, by root,
/// `NETKIT_FOR_ROOT` names the file that gets their names, and they are skipped.
pub(crate) fn given_to_root<T>(name: &str, found: Option<T>) -> Option<T> {
    let list = std::env::var_os("NETKIT_FOR_ROOT").filter(|_| found.is_none() && !geteuid().is_root());
    let Some(list) = list else {
        return given(name, found);
    };
    // The harness names the thread of a test after it, unless that is the only one.
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert_ne!(
        test, "main",
        "with a single thread nobody knows which test needs {name}"
    );
    let mut list = File::options().append(true).create(true).open(list).unwrap();
    list.write_all(format!("{test}\n").as_bytes()).unwrap();
    eprintln!("skipped: root has {name}, and runs this afterwards");
    None
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
