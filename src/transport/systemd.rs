//! The `systemd` endpoint: a listening socket that the service manager bound for us (sd_listen_fds(3)).
//! Absent: binding, and removing a socket's file: both are the service manager's.

use std::env;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use socket2::Domain;

use super::listening::Adopted;
use super::{Binder, Bound, ServerRole, Transport};
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind};
use crate::error::{Error, Result, Status, reason};
use crate::kernel;

const SERVER: &[Param] = &[
    Param::required(
        "domain",
        ValueKind::Choice(&["INET", "INET6", "UNIX"]),
        "family of the socket: INET, INET6 or UNIX",
    ),
    Param::absent(
        "index",
        ValueKind::Descriptor,
        "its place among the sockets passed, from 0",
    ),
    Param::absent(
        "name",
        ValueKind::Text,
        "its name, FileDescriptorName= in the socket unit",
    ),
];

/// The table entry.
pub(super) static SYSTEMD: Transport = Transport {
    name: "systemd",
    summary: "a socket that the service manager passes",
    client: None,
    server: Some(ServerRole {
        params: SERVER,
        examples: &["systemd:INET:0", "systemd:UNIX:name=web"],
        binder: |args| {
            Ok(Box::new(Passed {
                domain: domain(args.text("domain")),
                which: which(args)?,
            }))
        },
    }),
};

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

/// More than any unit has; a larger number is a mistake, and not to be counted up to.
const MOST: usize = 4096;

fn domain(name: &str) -> Domain {
    match name {
        "INET" => Domain::IPV4,
        "INET6" => Domain::IPV6,
        _ => Domain::UNIX,
    }
}

fn domain_name(domain: Domain) -> &'static str {
    match domain {
        Domain::IPV4 => "INET",
        Domain::IPV6 => "INET6",
        Domain::UNIX => "UNIX",
        _ => "unknown",
    }
}

fn which(args: &Args) -> Result<Which, Refused> {
    match (args.integer_if("index"), args.text_if("name")) {
        (Some(index), None) => Ok(Which::Index(usize::try_from(index).unwrap_or(usize::MAX))),
        (None, Some(name)) => Ok(Which::Name(name.to_owned())),
        (given, _) => {
            let field = if given.is_some() { "name" } else { "domain" };
            Err(args.refuse(
                field,
                Kind::NeedIndexOrName,
                "a systemd server endpoint needs either index or name",
            ))
        }
    }
}

#[derive(Debug)]
enum Which {
    Index(usize),
    Name(String),
}

#[derive(Debug)]
struct Passed {
    domain: Domain,
    which: Which,
}

impl Binder for Passed {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        let passed = Sockets::from_environment(|name| env::var(name).ok(), std::process::id())?;
        let index = passed.find(&self.which)?;
        let refused = |error| Error::io(Status::Bind, &error);
        let descriptor = take(index, passed.count).map_err(|why| Error::new(Status::Bind, why))?;
        let bound = Adopted::new(descriptor).map_err(refused)?;
        let found = bound.domain().map_err(refused)?;
        if found != self.domain {
            let (found, wanted) = (domain_name(found), domain_name(self.domain));
            return Err(Error::new(
                Status::Bind,
                format!("the socket passed is of domain {found}, not {wanted}"),
            ));
        }
        Ok(Box::new(bound))
    }
}

/// The descriptors that were passed, each until an endpoint takes it. All are taken over with the first, so that those
/// which no endpoint names do not reach our children either.
///
/// `LISTEN_PID` and its like do: nothing takes a variable away safely once there may be threads. They say nothing to a
/// child, which is not the process that `LISTEN_PID` names.
static PASSED: Mutex<Vec<Descriptor>> = Mutex::new(Vec::new());

/// A descriptor, `None` once it is taken; or why it is none.
type Descriptor = Result<Option<OwnedFd>, String>;

fn take(index: usize, count: usize) -> Result<OwnedFd, String> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.is_empty() {
        passed.extend((FIRST..).take(count).map(|number| {
            kernel::adopt(number)
                .map(Some)
                .map_err(|error| format!("descriptor {number} is of no use: {}", reason(&error)))
        }));
    }
    match passed.get_mut(index) {
        Some(Ok(descriptor)) => descriptor
            .take()
            .ok_or_else(|| "another endpoint has this socket already".to_owned()),
        Some(Err(why)) => Err(why.clone()),
        None => Err("it was not passed".to_owned()),
    }
}

/// What the environment says was passed.
#[derive(Debug)]
struct Sockets {
    count: usize,
    /// As many as there are sockets, or none: older service managers give no names.
    names: Vec<String>,
}

impl Sockets {
    fn from_environment(variable: impl Fn(&str) -> Option<String>, own: u32) -> Result<Self> {
        let none = |why: &str| Error::new(Status::Bind, format!("no sockets were passed to us: {why}"));
        let pid = variable("LISTEN_PID").ok_or_else(|| none("LISTEN_PID is not set"))?;
        if pid != own.to_string() {
            return Err(none("LISTEN_PID names another process"));
        }
        let count = variable("LISTEN_FDS").ok_or_else(|| none("LISTEN_FDS is not set"))?;
        let count = count
            .parse()
            .ok()
            .filter(|count| *count <= MOST)
            .ok_or_else(|| none("LISTEN_FDS is not a number of descriptors"))?;
        let names: Vec<String> = match variable("LISTEN_FDNAMES") {
            Some(names) => names.split(':').map(str::to_owned).collect(),
            None => Vec::new(),
        };
        // A list that does not fit says nothing about which is which.
        let names = if names.len() == count { names } else { Vec::new() };
        Ok(Sockets { count, names })
    }

    fn find(&self, which: &Which) -> Result<usize> {
        let refused = |why: String| Err(Error::new(Status::Bind, why));
        match which {
            Which::Index(index) if *index < self.count => Ok(*index),
            Which::Index(index) => {
                refused(format!("no socket has index {index}: {} were passed", self.count))
            }
            Which::Name(name) => {
                let mut named = (0..)
                    .zip(&self.names)
                    .filter(|(_, other)| *other == name)
                    .map(|(index, _)| index);
                match (named.next(), named.next()) {
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => {
                        refused(format!("several sockets are named `{name}`: give the index"))
                    }
                    (None, _) if self.names.is_empty() => {
                        refused("the sockets were passed without names".into())
                    }
                    (None, _) => refused(format!(
                        "no socket is named `{name}`: there are {}",
                        self.names.join(", ")
                    )),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(pid: &str, count: &str, names: Option<&str>) -> Result<Sockets> {
        let variable = |name: &str| match name {
            "LISTEN_PID" => Some(pid.to_owned()),
            "LISTEN_FDS" => Some(count.to_owned()),
            _ => names.map(str::to_owned),
        };
        Sockets::from_environment(variable, 42)
    }

    fn named(name: &str) -> Which {
        Which::Name(name.into())
    }

    #[test]
    fn sockets_are_found_by_index_and_by_name() {
        let three = sockets("42", "3", Some("web:web6:uds")).unwrap();
        assert_eq!(three.find(&Which::Index(2)).unwrap(), 2);
        assert_eq!(three.find(&named("web6")).unwrap(), 1);
        assert_eq!(
            three.find(&Which::Index(3)).unwrap_err().why(),
            "no socket has index 3: 3 were passed"
        );
        let why = three.find(&named("mail")).unwrap_err().why().to_owned();
        assert_eq!(why, "no socket is named `mail`: there are web, web6, uds");
    }

    #[test]
    fn names_may_be_missing_and_must_not_be_ambiguous() {
        for names in [None, Some("only-one")] {
            let two = sockets("42", "2", names).unwrap();
            assert_eq!(two.find(&Which::Index(1)).unwrap(), 1);
            assert_eq!(
                two.find(&named("x")).unwrap_err().why(),
                "the sockets were passed without names"
            );
        }
        let twins = sockets("42", "2", Some("a:a")).unwrap();
        assert_eq!(
            twins.find(&named("a")).unwrap_err().why(),
            "several sockets are named `a`: give the index"
        );
    }

    #[test]
    fn what_was_passed_to_another_process_is_not_ours() {
        for (pid, count) in [
            ("41", "1"),
            ("042", "1"),
            ("42", "many"),
            ("42", "-1"),
            ("42", "4097"),
        ] {
            assert_eq!(sockets(pid, count, None).unwrap_err().status(), Status::Bind);
        }
        assert!(Sockets::from_environment(|_| None, 42).is_err());
    }
}
