//! A server of ours, as a part of a run: its words checked before anything starts, and the command that starts it.
//! Absent: starting it.

use std::process::Command;

use clap::Parser;

use super::super::{Cli, Verb};
use netkit::diagnostic::quoted;
use netkit::error::{Error, Result, Status};

/// Whether these words start a server: `serve echo tcp:0`.
pub(super) fn check(words: &[String]) -> Result<(), String> {
    let Some(verb) = words.first() else {
        return Err("there is nothing to start".into());
    };
    if !matches!(verb.as_str(), "serve" | "relay") {
        return Err(format!("{} is no server: `serve` and `relay` are", quoted(verb)));
    }
    let mut cli = Cli::try_parse_from(line(words)).map_err(|error| {
        // Help and version are errors of clap's too; neither is a server.
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        first.to_owned()
    })?;
    let (daemonizes, read) = match &mut cli.verb {
        Verb::Serve(serve) => (serve.daemonizes(), serve.sound()),
        Verb::Relay(relay) => (relay.daemonizes(), relay.sound()),
        _ => return Err(format!("{} is no server", quoted(verb))),
    };
    match daemonizes {
        true => Err("a server with --daemonize would stay behind".into()),
        false => read.map_err(|error| error.to_string()),
    }
}

/// The command that starts it; it tells on its standard output where it listens.
pub(super) fn command(words: &[String]) -> Result<Command> {
    // The file may have been replaced since we started; what runs is still there under this name.
    let own = std::env::current_exe()
        .map_err(|error| Error::io(Status::Failure, &error).on("could not find netkit itself"))?;
    let mut command = Command::new(own);
    command.args(&line(words)[1..]);
    Ok(command)
}

fn line(words: &[String]) -> Vec<&str> {
    let mut line = vec!["netkit"];
    let (verb, rest) = words.split_at(words.len().min(1));
    line.extend(verb.iter().map(String::as_str));
    line.push("--ready-fd=1");
    line.extend(rest.iter().map(String::as_str));
    line
}
