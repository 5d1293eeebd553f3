//! The settings of a finger server: the table entry, and what is made of them.
//! Absent: what is said.

use std::sync::Arc;

use tracing::warn;

use super::users::Users;
use super::users::command::Program;
#[cfg(feature = "config")]
use super::users::file::Listed;
use super::users::memory::Memory;
use super::users::system::System;
#[cfg(feature = "http")]
use super::users::web::Web;
use super::{Terms, service};
use crate::diagnostic::quoted;
use crate::endpoint::{Kind, Param, ValueKind};
use crate::error::{Error, Status};
use crate::protocol::{Protocol, Setup, Unfit};

const QUERY_TIMEOUT: &str = "30s";
const ANSWER_TIMEOUT: &str = "10s";

/// The table entry.
pub(in crate::protocol) static FINGER: Protocol = Protocol {
    name: "finger",
    summary: "tells about users (RFC 1288), from tables, files, the system, a program or the web",
    settings: &[
        #[cfg(feature = "config")]
        Param::absent(
            "users",
            ValueKind::Path,
            "users in a TOML file, `NAME = \"TEXT\"` a line; read again when it changes",
        )
        .by_name(),
        Param::optional(
            "system",
            ValueKind::Flag,
            "no",
            "users of this system, with their .project and .plan",
        )
        .by_name(),
        Param::absent(
            "command",
            ValueKind::Path,
            "a program that is run with the name as its argument, without a shell; its output is the answer, see netkit-finger(5)",
        )
        .by_name(),
        #[cfg(feature = "http")]
        Param::absent(
            "url",
            ValueKind::Text,
            "an http or https URL that is asked for with the name behind it",
        )
        .by_name(),
        Param::optional(
            "no-list",
            ValueKind::Flag,
            "no",
            "refuse to list the users of --user-entry and --users",
        )
        .by_name(),
        Param::optional(
            "no-answer",
            ValueKind::Flag,
            "no",
            "read a query, then close without an answer",
        )
        .by_name(),
        Param::optional(
            "forward",
            ValueKind::Flag,
            "no",
            "pass user@host on to that host, one server far",
        )
        .by_name(),
        Param::absent(
            "forward-port",
            ValueKind::Port { zero_ok: false },
            "the port of the servers that queries are passed on to; default: 79",
        )
        .by_name(),
        Param::optional(
            "query-timeout",
            ValueKind::Duration { zero_ok: false },
            QUERY_TIMEOUT,
            "how long a client may take to send its query, and to take its answer; default: 30s",
        )
        .by_name(),
        Param::optional(
            "answer-timeout",
            ValueKind::Duration { zero_ok: false },
            ANSWER_TIMEOUT,
            "how long finding an answer may take; default: 10s",
        )
        .by_name(),
    ],
    repeated: &[Param::absent(
        USER_ENTRY,
        ValueKind::Text,
        "a user, as NAME=TEXT; can be given several times",
    )],
    service: |setup| Ok(service(terms(setup)?)),
};

const USER_ENTRY: &str = "user-entry";

fn terms(setup: &Setup<'_>) -> Result<Terms, Unfit> {
    let args = setup.args;
    let users = users(setup)?;
    if args.flag("no-answer") && !users.is_empty() {
        let message = "--no-answer leaves no use for users";
        return Err(args.refuse("no-answer", Kind::Conflict, message).into());
    }
    let forward = args.flag("forward");
    if args.given("forward-port") && !forward {
        let message = "--forward-port is of use with --forward only";
        return Err(args.refuse("forward-port", Kind::Conflict, message).into());
    }
    let port = match args.given("forward-port") {
        true => args.port("forward-port"),
        false => super::PORT,
    };
    Ok(Terms {
        users,
        lists: !args.flag("no-list"),
        answers: !args.flag("no-answer"),
        forward: forward.then(|| (Arc::clone(&setup.dial), port)),
        query_timeout: args.duration("query-timeout").unwrap_or_default(),
        answer_timeout: args.duration("answer-timeout").unwrap_or_default(),
    })
}

/// The back-ends, the quick ones first.
fn users(setup: &Setup<'_>) -> Result<Vec<Box<dyn Users>>, Unfit> {
    let args = setup.args;
    let mut users: Vec<Box<dyn Users>> = Vec::new();
    let entries: Vec<(String, String)> = setup
        .repeated
        .iter()
        .filter(|(name, _)| *name == USER_ENTRY)
        .map(|(_, entry)| user_entry(entry))
        .collect::<Result<_, _>>()?;
    if !entries.is_empty() {
        users.push(Box::new(Memory::new(entries)));
    }
    #[cfg(feature = "config")]
    if let Some(path) = args.text_if("users") {
        users.push(Box::new(Listed::open(path.as_ref())?));
    }
    if args.flag("system") {
        users.push(Box::new(System::default()));
    }
    if let Some(path) = args.text_if("command") {
        let program = Program::new(path);
        // It may be there by the time that somebody asks.
        if let Some(why) = program.obstacle() {
            warn!("--command {} cannot be run so far: {why}", quoted(path));
        }
        users.push(Box::new(program));
    }
    #[cfg(feature = "http")]
    if let Some(prefix) = args.text_if("url") {
        let web = Web::new(prefix, Arc::clone(&setup.dial)).map_err(|why| {
            let message = format!("--url {}: {why}", quoted(prefix));
            args.refuse("url", Kind::Unsupported, message)
        })?;
        users.push(Box::new(web));
    }
    Ok(users)
}

fn user_entry(entry: &str) -> Result<(String, String), Unfit> {
    match entry.split_once('=') {
        Some((name, text)) if !name.trim().is_empty() && !name.contains('@') => {
            Ok((name.trim().to_owned(), text.to_owned()))
        }
        _ => {
            let why = format!("--{USER_ENTRY} {}: a user is written NAME=TEXT", quoted(entry));
            Err(Error::new(Status::Usage, why).into())
        }
    }
}
