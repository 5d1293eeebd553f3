//! From the command line to an exit status.
//! Absent: the work itself, which the library and the verbs do.

mod cli;
mod command;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use command::Cli;
use netkit::error::Error;
use netkit::process::log;
use netkit::server::ready;

fn main() -> ExitCode {
    // Before anything is printed: a shell that asks for completions gets them and nothing else.
    CompleteEnv::with_factory(Cli::command).complete();
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return answered(&answer, colour),
    };
    let json = cli.log_is_json();
    match command::run(cli, colour) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let status = error.status();
            // Where the log is a file, the failure stands there too; as JSON, on standard error as well.
            if json && error_enabled() {
                tracing::error!(
                    target: ready::TARGET,
                    status = status.code(),
                    what = error.what(),
                    why = error.why(),
                    picture = error.picture_text(),
                    help = error.help_text(),
                    "{error}"
                );
            } else {
                tracing::error!(target: log::FILE_ONLY, "{error}");
                report(&error, colour);
            }
            ExitCode::from(status.code())
        }
    }
}

/// Prints what clap has to say: help that was asked for, or what is wrong with the line.
fn answered(answer: &clap::Error, colour: bool) -> ExitCode {
    let printed = answer.print().and_then(|()| std::io::stdout().flush());
    match command::report::printed(printed) {
        Err(error) if !answer.use_stderr() => {
            report(&error, colour);
            ExitCode::from(error.status().code())
        }
        // What cannot be said on standard error can be said nowhere; the status tells.
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(u8::MAX)),
    }
}

/// Whether a log has been started; before that there is nobody to write a line of JSON.
fn error_enabled() -> bool {
    tracing::enabled!(target: ready::TARGET, tracing::Level::ERROR)
}

/// `error: WHAT: WHY`, the picture, the help line.
fn report(error: &Error, colour: bool) {
    let (red, bold, off) = if colour {
        ("\x1b[1;31m", "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{red}error:{off} {error}\n");
    if let Some(picture) = error.picture_text() {
        text.push_str(picture.trim_end_matches('\n'));
        text.push('\n');
    }
    if let Some(help) = error.help_text() {
        text.push_str(&format!("{bold}help:{off} {help}\n"));
    }
    // Standard error may be closed; there is nowhere left to say so.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
