//! `translate`: the netkit line that does what a line of another program does, and what it does not do.
//! Absent: the programs, each of which has a file of its own.

mod nc;
mod ncat;
mod netcat;
mod openssl;
mod options;
mod socat;
mod stunnel;
mod told;
mod wire;
mod words;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::Args;

use self::stunnel::Fault;
use self::told::{Line, Translation};
use self::words::{Read, Word, cut};
use super::report;
use crate::cli::help;
use netkit::diagnostic::{Diagnostic, Span, listed, quoted};
use netkit::error::{Error, Result, Status};
use netkit::transport::reading::Reading;

/// A program whose lines are read: its names, and its reader.
struct Peer {
    names: &'static [&'static str],
    read: fn(&[Word], Span) -> Read<Translation>,
}

/// The programs. stunnel stands apart, as its line names a file.
static PEERS: &[Peer] = &[
    Peer {
        names: &["nc", "netcat"],
        read: nc::either,
    },
    Peer {
        names: &["nc.openbsd"],
        read: nc::openbsd,
    },
    Peer {
        names: &["nc.traditional"],
        read: nc::traditional,
    },
    Peer {
        names: &["ncat"],
        read: ncat::translate,
    },
    Peer {
        names: &["socat", "socat1"],
        read: socat::translate,
    },
    Peer {
        names: &["openssl"],
        read: openssl::translate,
    },
];

const STUNNEL: &[&str] = &["stunnel", "stunnel4", "stunnel5"];

/// No file of a person is longer.
const FILE_MAX: u64 = 1024 * 1024;

const NOTES: &str = "\
Notes:
  Read are the lines of nc (OpenBSD's and the traditional one), ncat, socat,
  openssl s_client and s_server, and stunnel with its file. Standard output
  gets the netkit line, quoted for the shell, one for each service of stunnel.
  Standard error gets `not carried over:` with each option that netkit has
  nothing for, and `note:` where something else is worth knowing. Nothing is
  opened but the file of stunnel.

  The status is 0 when all was carried over, 1 when something was not, and 2,
  without a line, when there is no reading.

  TLS: where the other program takes any certificate by default, netkit
  verifies, and a note has the endpoint that trusts anybody. Where its line says
  that nothing is to be verified, so does ours, with a note.

  netkit ends its half of a connection at the end of the input, and then waits
  until the peer has ended: as nc -N and ncat do, where nc and s_client do
  neither, and socat waits for half a second. Where no input is read and the
  half stays open all the same, as with nc -d and socat -U, `tail -f /dev/null |`
  stands before our line. Its statuses are its own.";

const EXAMPLES: &str = "\
Examples:
  netkit translate -- socat TCP-LISTEN:1234,fork,reuseaddr TCP:localhost:1235
  netkit translate -- nc -lk 1234
  netkit translate -- ncat --ssl --ssl-verify example.com 443
  netkit translate -- openssl s_client -connect example.com:443 -verify_return_error";

/// Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does
#[derive(Debug, Args)]
#[command(
    override_usage = "netkit translate -- PROGRAM [ARGUMENT]...\n       netkit translate FILE.conf",
    after_long_help = help::parts(&[NOTES, EXAMPLES])
)]
pub(crate) struct Translate {
    /// The line, as it would be typed, behind --; or a configuration of stunnel
    #[arg(value_name = "WORD", required = true, trailing_var_arg = true, allow_hyphen_values = true,
          value_hint = clap::ValueHint::CommandWithArguments)]
    words: Vec<OsString>,
}

impl Translate {
    /// Prints the line and what is to be said of it.
    pub(super) fn run(self) -> Result<Status> {
        let (source, words) = cut(&self.words)?;
        let translation = translate(&source, &words).and_then(sound)?;
        let lines: String = translation
            .lines
            .iter()
            .flat_map(|line| [line.text(), "\n".into()])
            .collect();
        report::print(lines.as_bytes())?;
        let told = &translation.told;
        let mut said = String::new();
        for (what, why) in &told.lost {
            said.push_str(&format!("not carried over: {}: {why}\n", visible(what)));
        }
        for note in &told.notes {
            said.push_str(&format!("note: {}\n", visible(note)));
        }
        report::say(&said);
        Ok(if told.lost.is_empty() {
            Status::Done
        } else {
            Status::Failure
        })
    }
}

/// Text of others on one line, whatever it holds.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || netkit::escape::misleads(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// What comes out is what the verbs take: a name that no certificate can be for, say, has no line.
fn sound(translation: Translation) -> Result<Translation> {
    for (role, endpoint) in translation.lines.iter().flat_map(Line::endpoints) {
        Reading::parse(endpoint.as_ref(), role)
            .map_err(|refused| Error::from(refused).on("there is no endpoint for this"))?;
    }
    Ok(translation)
}

fn translate(source: &str, words: &[Word]) -> Result<Translation> {
    let Some((program, rest)) = words.split_first() else {
        return Err(Error::new(Status::Usage, "no line is given"));
    };
    let name = program.text.rsplit('/').next().unwrap_or_default();
    let whole = Span::new(0, source.len());
    if let Some(peer) = PEERS.iter().find(|peer| peer.names.contains(&name)) {
        return (peer.read)(rest, whole).map_err(|unread| unread.within(source));
    }
    if STUNNEL.contains(&name) {
        let refused = match rest {
            [file] if !file.text.starts_with('-') => return configuration(&file.text),
            [] => words::Unread {
                span: Span::at(source.len()),
                message: "the file of stunnel is missing".into(),
                help: None,
            },
            [option, ..] if option.text.starts_with('-') => {
                option.refuse("of stunnel, a file is read and no option")
            }
            [_, surplus, ..] => surplus.refuse("stunnel takes one file"),
            [file] => file.refuse("this is no file"),
        };
        return Err(refused.within(source));
    }
    if rest.is_empty() && name.ends_with(".conf") {
        return configuration(&program.text);
    }
    Err(unknown(program, rest, name).within(source))
}

fn unknown(program: &Word, rest: &[Word], name: &str) -> words::Unread {
    let known: Vec<&str> = PEERS
        .iter()
        .filter_map(|peer| peer.names.first().copied())
        .chain(["stunnel"])
        .collect();
    let unread = program.refuse(format!(
        "{} is no program whose lines are read",
        quoted(&program.text)
    ));
    let first = program.text.split_whitespace().next().unwrap_or_default();
    let is_line = first.len() < program.text.len() && known.contains(&first);
    if is_line && rest.is_empty() {
        return unread.help("write the line without quotes around all of it, behind --");
    }
    match netkit::endpoint::nearest(name, known.iter().copied()) {
        Some(near) => unread.help(format!("did you mean `{near}`?")),
        None => unread.help(format!(
            "read are {}, and a FILE.conf of stunnel",
            listed(&known, "and")
        )),
    }
}

/// Reads the file of stunnel.
fn configuration(path: &str) -> Result<Translation> {
    let what = || format!("could not read {}", quoted(path));
    let failed = |error: std::io::Error| Error::io(Status::Usage, &error).on(what());
    // Asked before it is opened: a pipe that nobody writes to would never open.
    if !Path::new(path).metadata().map_err(failed)?.is_file() {
        return Err(Error::new(Status::Usage, "it is no file").on(what()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(Error::new(Status::Usage, "it is too long for a configuration").on(what()));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Error::new(Status::Usage, "it is not UTF-8 text").on(what()))?;
    stunnel::translate(&text).map_err(|Fault { number, line, unread }| {
        let message = format!(
            "{}, line {number}: {}",
            netkit::diagnostic::clean(path),
            unread.message
        );
        Error::from(Diagnostic {
            message,
            source: line,
            span: unread.span,
            help: unread.help,
        })
    })
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
