//! The `unix` endpoint: a socket in the file system, or a Linux abstract name that begins with `@`.
//! Absent: the lock beside it, and accepting.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use super::listening::{accept_on, unix_address, unix_endpoint};
use super::lock::{self, Lock, Owner};
use super::{Binder, Bound, ClientRole, Connector, Listener, ServerRole, Transport};
use crate::connection::{Address, BoxFuture, Connection, Facts, Stream};
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind};
use crate::error::{Error, Result, Status, reason};
use crate::units::duration_text;

const CLIENT: &[Param] = &[
    Param::required(
        "path",
        ValueKind::Path,
        "path of the socket; @NAME is a Linux abstract name",
    ),
    Param::optional(
        "timeout",
        ValueKind::Duration { zero_ok: false },
        "30s",
        "limit on connecting",
    ),
    Param::optional(
        "checkPID",
        ValueKind::Flag,
        "no",
        "refuse if the lock says that the server is gone",
    )
    .aliases(&["lockfile"]),
];

const SERVER: &[Param] = &[
    Param::required(
        "address",
        ValueKind::Path,
        "path of the socket; @NAME is a Linux abstract name",
    )
    .aliases(&["path"]),
    Param::optional(
        "mode",
        ValueKind::Mode,
        "666",
        "permissions of the socket, in octal",
    ),
    Param::optional(
        "backlog",
        ValueKind::Integer {
            min: 1,
            max: i32::MAX as u64,
        },
        "1024",
        "connections that wait to be accepted",
    ),
    Param::optional(
        "lockfile",
        ValueKind::Flag,
        "yes",
        "keep a lock, PATH.lock, beside the socket",
    ),
];

/// The table entry.
pub(super) static UNIX: Transport = Transport {
    name: "unix",
    summary: "a UNIX socket; @NAME is a Linux abstract name",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &[
            "unix:/run/echo.sock",
            "unix:@echo",
            "unix:/run/echo.sock:timeout=5s",
        ],
        connector: |args| {
            let name = Name::read(args, "path")?;
            let timeout = args.duration("timeout").unwrap_or(TIMEOUT);
            Ok(Box::new(Client {
                name,
                timeout,
                check_owner: args.flag("checkPID"),
            }))
        },
    }),
    server: Some(ServerRole {
        params: SERVER,
        examples: &[
            "unix:/run/echo.sock",
            "unix:/run/echo.sock:mode=660",
            "unix:@echo",
        ],
        binder: |args| {
            let name = Name::read(args, "address")?;
            let is_abstract = matches!(name, Name::Abstract(_));
            for field in ["mode", "lockfile"] {
                if is_abstract && args.given(field) {
                    let message = format!("an abstract name has no {field}: it is not a file");
                    return Err(args.refuse(field, Kind::Conflict, message));
                }
            }
            let backlog = u32::try_from(args.integer("backlog")).unwrap_or(u32::MAX);
            Ok(Box::new(Server {
                name,
                mode: args.mode("mode"),
                backlog,
                locked: args.flag("lockfile"),
            }))
        },
    }),
};

/// What `timeout` defaults to; the table says the same in words.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a path or name that the kernel's address structure has room for, one NUL not counted.
const NAME_MAX: usize = 107;

#[derive(Debug, Clone)]
enum Name {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

impl Name {
    fn read(args: &Args, field: &str) -> Result<Self, Refused> {
        let text = args.text(field);
        if text.len() > NAME_MAX {
            let message = format!(
                "a socket's path has at most {NAME_MAX} bytes, and this one {}",
                text.len()
            );
            return Err(args.refuse(field, Kind::OutOfRange, message));
        }
        if text.contains('\0') {
            return Err(args.refuse(field, Kind::OutOfRange, "a path holds no NUL character"));
        }
        Ok(match text.strip_prefix('@') {
            Some(name) => Name::Abstract(name.as_bytes().to_owned()),
            None => Name::Path(text.into()),
        })
    }

    /// As the system calls take it: an abstract name begins with NUL.
    fn as_path(&self) -> PathBuf {
        match self {
            Name::Path(path) => path.clone(),
            Name::Abstract(name) => {
                let mut bytes = vec![0];
                bytes.extend_from_slice(name);
                PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
                    bytes,
                ))
            }
        }
    }

    fn address(&self) -> Address {
        match self {
            Name::Path(path) => Address::Path(path.clone()),
            Name::Abstract(name) => Address::Abstract(name.clone()),
        }
    }

    fn endpoint(&self) -> String {
        match self {
            Name::Path(path) => unix_endpoint(&path.to_string_lossy()),
            Name::Abstract(name) => unix_endpoint(&format!("@{}", String::from_utf8_lossy(name))),
        }
    }
}

#[derive(Debug)]
struct Client {
    name: Name,
    timeout: Duration,
    check_owner: bool,
}

impl Connector for Client {
    fn connect(&self) -> BoxFuture<'_, Result<Connection>> {
        Box::pin(async {
            if let (true, Name::Path(path)) = (self.check_owner, &self.name) {
                check_owner(path)?;
            }
            let stream = match tokio::time::timeout(self.timeout, attempt(&self.name)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(Error::new(
                        Status::Connect,
                        "connection refused: nobody listens on this socket",
                    ));
                }
                Ok(Err(error)) => return Err(Error::io(Status::Connect, &error)),
                Err(_elapsed) => {
                    let why = format!("no answer within {}", duration_text(self.timeout));
                    return Err(Error::new(Status::Timeout, why));
                }
            };
            let local = stream
                .local_addr()
                .map_or(Address::Unnamed, |address| unix_address(&address.into()));
            Ok(Connection::Stream(Stream::new(
                stream,
                Facts::new(local, self.name.address()),
            )))
        })
    }
}

/// Connects; while the server's backlog is full, tries again.
async fn attempt(name: &Name) -> io::Result<UnixStream> {
    /// The longest pause between two attempts.
    const PAUSE_MAX: Duration = Duration::from_millis(100);
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(name.as_path()).await {
            // A full backlog gives no event to wait for on a UNIX socket, only this.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            done => return done,
        }
    }
}

fn check_owner(path: &Path) -> Result<()> {
    let link = lock::path_of(path);
    let why = match lock::owner(&link) {
        // A lock of our own number is ours, or cannot be told from it: connecting will tell.
        Ok(Owner::Alive(_)) => return Ok(()),
        Ok(Owner::Gone(number)) if number == std::process::id() as i32 => return Ok(()),
        Ok(Owner::Gone(number)) => format!("its server, process {number}, is gone"),
        Ok(Owner::Nobody) => format!("no server holds {}", link.display()),
        Err(error) => reason(&error),
    };
    Err(Error::new(Status::Connect, why))
}

#[derive(Debug)]
struct Server {
    name: Name,
    mode: u32,
    backlog: u32,
    locked: bool,
}

impl Binder for Server {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        let bound = match &self.name {
            Name::Path(path) => self.bind_path(path),
            Name::Abstract(_) => self.socket(None).map(|socket| (socket, None)),
        };
        let (socket, file) = bound.map_err(|error| Error::io(Status::Bind, &error))?;
        Ok(Box::new(UnixBound {
            socket,
            endpoint: self.name.endpoint(),
            _file: file,
        }))
    }
}

impl Server {
    fn socket(&self, mode: Option<Mode>) -> io::Result<Socket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Some(mode) = mode {
            // Linux gives the file the mode of the socket, less the process's mask: at no time it is wider than asked.
            fchmod(&socket, mode)?;
        }
        socket.bind(&SockAddr::unix(self.name.as_path())?)?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }

    /// Lock, look for what a dead server left, bind with no more than the permissions asked for.
    fn bind_path(&self, path: &Path) -> io::Result<(Socket, Option<SocketFile>)> {
        // Other netkits that bind in this directory wait until we are done, so that two of them do not take over the
        // same leftovers. It is held for a few system calls.
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let held = File::open(directory)?;
        flock(&held, FlockOperation::LockExclusive)?;
        // First, for a lock with our own number may be that of an endpoint of this very process.
        let found = Found::at(path)?;
        let lock = if self.locked {
            Some(Lock::take(path)?)
        } else {
            None
        };
        if found == Found::Stale {
            fs::remove_file(path)?;
        }
        let socket = self.socket(Some(Mode::from_raw_mode(self.mode)))?;
        let made = fs::symlink_metadata(path)?;
        let file = SocketFile {
            path: path.to_owned(),
            inode: (made.dev(), made.ino()),
            _lock: lock,
        };
        // The process's mask may have taken away from it.
        fs::set_permissions(path, Permissions::from_mode(self.mode))?;
        Ok((socket, Some(file)))
    }
}

/// What stands where a socket is to be made.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The socket of a server that is gone.
    Stale,
}

impl Found {
    /// Anything but the socket of a dead server is in the way.
    fn at(path: &Path) -> io::Result<Self> {
        let in_use = |text: &str| {
            Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("address in use: {text}"),
            ))
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
            Ok(found) if !found.file_type().is_socket() => {
                return in_use("there is a file of that name that is not a socket");
            }
            Ok(_) => {}
        }
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        probe.set_nonblocking(true)?;
        match probe.connect(&SockAddr::unix(path)?) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Found::Stale),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Ok(()) => in_use("a server answers on this socket"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                in_use("a server with a full backlog has this socket")
            }
            Err(error) => in_use(&reason(&error)),
        }
    }
}

struct UnixBound {
    socket: Socket,
    endpoint: String,
    /// Removed with it.
    _file: Option<SocketFile>,
}

impl Bound for UnixBound {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(accept_on(&self.socket)?))
    }
}

/// The socket that we made. Dropping it removes the file, if it is still the same, and then the lock.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    _lock: Option<Lock>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn server(path: &Path) -> Server {
        Server {
            name: Name::Path(path.to_owned()),
            mode: 0o666,
            backlog: 5,
            locked: true,
        }
    }

    fn refusal(server: &Server) -> String {
        server.bind().err().expect("bound").to_string()
    }

    #[test]
    fn the_socket_has_its_mode_and_goes_with_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for mode in [0o666, 0o600, 0o660, 0o777] {
            let bound = Server {
                mode,
                ..server(&path)
            }
            .bind()
            .unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, mode);
            assert!(fs::read_link(directory.path().join("s.lock")).is_ok());
            drop(bound);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_second_server_is_refused_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = server(&path).bind().unwrap();
        for locked in [true, false] {
            let text = refusal(&Server {
                locked,
                ..server(&path)
            });
            assert_eq!(text, "address in use: a server answers on this socket");
        }
        assert!(fs::read_link(directory.path().join("s.lock")).is_ok());
        drop(first);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_with_or_without_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let bound = server(&path).bind().unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(bound);
        drop(UnixListener::bind(&path).unwrap());
        std::os::unix::fs::symlink(std::process::id().to_string(), directory.path().join("s.lock")).unwrap();
        drop(server(&path).bind().unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_ordinary_file_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert_eq!(
            refusal(&server(&path)),
            "address in use: there is a file of that name that is not a socket"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        // Nor does the lock stay behind.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_successors_socket_is_not_ours_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let bound = server(&path).bind().unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn a_missing_directory_is_said() {
        assert_eq!(
            refusal(&server(Path::new("/nonexistent/s"))),
            "no such file or directory"
        );
    }

    #[tokio::test]
    async fn an_abstract_name_is_served_and_reached() {
        let name = Name::Abstract(format!("netkit-test-{}", std::process::id()).into_bytes());
        let bound = Server {
            name: name.clone(),
            mode: 0o666,
            backlog: 5,
            locked: true,
        }
        .bind()
        .unwrap();
        assert!(bound.endpoint().starts_with("unix:@netkit-test-"));
        let client = Client {
            name,
            timeout: TIMEOUT,
            check_owner: true,
        };
        assert!(client.connect().await.is_ok());
        drop(bound);
        assert_eq!(client.connect().await.unwrap_err().status(), Status::Connect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_backlog_is_waited_for_within_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _bound = Server {
            backlog: 1,
            ..server(&path)
        }
        .bind()
        .unwrap();
        let client = Client {
            name: Name::Path(path),
            timeout: Duration::from_secs(2),
            check_owner: false,
        };
        let mut waiting = Vec::new();
        let full = loop {
            match client.connect().await {
                Ok(connection) => waiting.push(connection),
                Err(error) => break error,
            }
        };
        assert_eq!(full.status(), Status::Timeout);
        assert!(!waiting.is_empty());
    }

    #[tokio::test]
    async fn the_check_refuses_a_dead_server_and_touches_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let client = Client {
            name: Name::Path(path.clone()),
            timeout: TIMEOUT,
            check_owner: true,
        };
        let error = client.connect().await.unwrap_err();
        assert!(error.to_string().starts_with("no server holds "), "{error}");
        let bound = server(&path).bind().unwrap();
        assert!(client.connect().await.is_ok());
        drop(bound);
    }
}
