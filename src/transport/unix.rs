//! The `unix` endpoint: a socket in the file system, or a Linux abstract name that begins with `@`.
//! Absent: making and removing the file and its lock, and accepting.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use super::listening::{accept_on, unix_address, unix_endpoint};
use super::lock::{self, Owner};
use super::socket_file::{Making, SocketFile};
use super::{Binder, Bound, ClientRole, Connector, Listener, ServerRole, Transport};
use crate::connection::{Address, BoxFuture, Connection, Facts, Stream};
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind};
use crate::error::{Error, Result, Status, reason};
use crate::need::Need;
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
            let making = Making {
                mode: args.mode("mode"),
                backlog,
                locked: args.flag("lockfile"),
            };
            Ok(Box::new(Server { name, making }))
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
        let (what, name) = match text.strip_prefix('@') {
            Some(name) => ("an abstract name", name),
            None => ("a socket's path", text),
        };
        let length = name.len();
        if length > NAME_MAX {
            let message = format!("{what} has at most {NAME_MAX} bytes, and this one {length}");
            return Err(args.refuse(field, Kind::OutOfRange, message));
        }
        if length == 0 {
            // The kernel would choose one, and nobody would know it.
            return Err(args.refuse(field, Kind::EmptyPath, format!("{what} cannot be empty")));
        }
        if name.contains('\0') {
            return Err(args.refuse(field, Kind::OutOfRange, format!("{what} holds no NUL character")));
        }
        Ok(if text.starts_with('@') {
            Name::Abstract(name.as_bytes().to_owned())
        } else {
            Name::Path(name.into())
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

    /// What a refused connection means: the system says the same of a dead socket and of an ordinary file.
    fn why_refused(&self) -> &'static str {
        match self {
            Name::Abstract(_) => "nobody listens on this name",
            Name::Path(path) => match fs::metadata(path) {
                Ok(found) if !found.file_type().is_socket() => "this file is not a socket",
                _ => "nobody listens on this socket",
            },
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
    fn connect<'a>(&'a self, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async {
            if let (true, Name::Path(path)) = (self.check_owner, &self.name) {
                check_owner(path)?;
            }
            let stream = match tokio::time::timeout(self.timeout, attempt(&self.name)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    let why = format!("connection refused: {}", self.name.why_refused());
                    return Err(Error::new(Status::Connect, why).absence(true));
                }
                Ok(Err(error)) => {
                    let absent = error.kind() == io::ErrorKind::NotFound;
                    return Err(Error::io(Status::Connect, &error).absence(absent));
                }
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
    let owner = lock::owner(&link);
    let absent = matches!(owner, Ok(Owner::Gone(_) | Owner::Nobody));
    let why = match owner {
        // A lock of our own number is ours, or cannot be told from it: connecting will tell.
        Ok(Owner::Alive(_)) => return Ok(()),
        Ok(Owner::Gone(number)) if number == std::process::id() as i32 => return Ok(()),
        Ok(Owner::Gone(number)) => format!("its server, process {number}, is gone"),
        Ok(Owner::Nobody) => format!("no server holds {}", link.display()),
        Err(error) => reason(&error),
    };
    Err(Error::new(Status::Connect, why).absence(absent))
}

#[derive(Debug)]
struct Server {
    name: Name,
    making: Making,
}

impl Binder for Server {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        let bound = match &self.name {
            Name::Path(path) => self
                .making
                .listen(path)
                .map(|(file, socket)| (Some(file), socket)),
            Name::Abstract(_) => self.bind_abstract().map(|socket| (None, socket)),
        };
        let (file, socket) = bound.map_err(|error| Error::io(Status::Bind, &error))?;
        Ok(Box::new(UnixBound {
            socket,
            endpoint: self.name.endpoint(),
            file,
        }))
    }
}

impl Server {
    fn bind_abstract(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(self.name.as_path())?)?;
        socket.listen(i32::try_from(self.making.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }
}

struct UnixBound {
    /// Removed with it, and before it: until then the inode is not another's.
    file: Option<SocketFile>,
    socket: Socket,
    endpoint: String,
}

impl Bound for UnixBound {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(accept_on(&self.socket)?))
    }

    fn needs(&self) -> Vec<Need> {
        // Its lock lies beside it.
        let file = self.file.as_ref();
        file.map(|file| Need::Remove(file.path().to_owned()))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKING: Making = Making {
        mode: 0o666,
        backlog: 5,
        locked: true,
    };

    fn server(path: &Path) -> Server {
        Server {
            name: Name::Path(path.to_owned()),
            making: MAKING,
        }
    }

    #[tokio::test]
    async fn an_abstract_name_is_served_and_reached() {
        let name = Name::Abstract(format!("netkit-test-{}", std::process::id()).into_bytes());
        let bound = Server {
            name: name.clone(),
            making: MAKING,
        }
        .bind()
        .unwrap();
        assert!(bound.endpoint().starts_with("unix:@netkit-test-"));
        let client = Client {
            name,
            timeout: TIMEOUT,
            check_owner: true,
        };
        assert!(client.connect(None).await.is_ok());
        drop(bound);
        assert_eq!(client.connect(None).await.unwrap_err().status(), Status::Connect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_backlog_is_waited_for_within_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let making = Making { backlog: 1, ..MAKING };
        let _bound = Server {
            name: Name::Path(path.clone()),
            making,
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
            match client.connect(None).await {
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
        let error = client.connect(None).await.unwrap_err();
        assert!(error.to_string().starts_with("no server holds "), "{error}");
        let bound = server(&path).bind().unwrap();
        assert!(client.connect(None).await.is_ok());
        drop(bound);
    }

    fn read(text: &str) -> Result<(), String> {
        let client = UNIX.client.as_ref().unwrap();
        let spec = crate::endpoint::Spec::parse(text).map_err(|refused| refused.to_string())?;
        let read = Args::read(&spec, crate::endpoint::Role::Client, client.params);
        read.and_then(|args| (client.connector)(&args))
            .map(|_| ())
            .map_err(|refused| refused.to_string())
    }

    #[test]
    fn names_are_as_long_as_the_kernel_takes_them_and_not_empty() {
        let longest = "x".repeat(NAME_MAX);
        assert!(read(&format!("unix:{longest}")).is_ok());
        assert!(read(&format!("unix:@{longest}")).is_ok());
        assert!(read(&format!("unix:{longest}x")).unwrap_err().contains("107"));
        assert!(read(&format!("unix:@{longest}x")).unwrap_err().contains("107"));
        assert!(read("unix:@").is_err());
        assert!(read("unix:").is_err());
    }

    #[tokio::test]
    async fn the_longest_names_work() {
        let directory = tempfile::tempdir().unwrap();
        let room = NAME_MAX - directory.path().as_os_str().len() - 1;
        let path = Name::Path(directory.path().join("x".repeat(room)));
        let number = std::process::id().to_string();
        let name = Name::Abstract(format!("{number}{}", "x".repeat(NAME_MAX - number.len())).into_bytes());
        for name in [path, name] {
            let _bound = Server {
                name: name.clone(),
                making: MAKING,
            }
            .bind()
            .unwrap();
            let client = Client {
                name,
                timeout: TIMEOUT,
                check_owner: false,
            };
            client.connect(None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn why_nobody_answers_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let client = Client {
            name: Name::Path(path.clone()),
            timeout: TIMEOUT,
            check_owner: false,
        };
        let why = async || client.connect(None).await.unwrap_err().why().to_owned();
        assert_eq!(why().await, "no such file or directory");
        fs::write(&path, "").unwrap();
        assert_eq!(why().await, "connection refused: this file is not a socket");
        fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(why().await, "connection refused: nobody listens on this socket");
    }
}
