//! `manual`: the manual pages, from the command line's own description and the tables.
//! Absent: prose that could disagree with either.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueHint};
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::Cli;
use crate::cli::help::usage_of;
use netkit::endpoint::{Default, Param, Role};
use netkit::error::{Error, Result, Status};
use netkit::transport::{TRANSPORTS, Transport};

/// Write the manual pages into a directory
#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// The directory; pages that are there are replaced
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
}

impl Manual {
    pub(super) fn run(self) -> Result<Status> {
        let failed = |error: std::io::Error| {
            Error::io(Status::Failure, &error).on(format!("could not write to {}", self.directory.display()))
        };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        for (name, page) in pages().map_err(failed)? {
            fs::write(self.directory.join(name), page).map_err(failed)?;
        }
        Ok(Status::Done)
    }
}

/// Every page with its file name.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    pages.push(("netkit.1".to_owned(), page));
    for verb in command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
    {
        let name = format!("netkit-{}", verb.get_name());
        let mut page = Vec::new();
        // The page is named with a hyphen, the synopsis shows what is typed.
        let verb = verb
            .clone()
            .display_name(name.clone())
            .disable_help_subcommand(true);
        clap_mangen::Man::new(verb)
            .title(name.to_uppercase())
            .render(&mut page)?;
        pages.push((format!("{name}.1"), page));
    }
    pages.push(("netkit-endpoints.7".to_owned(), endpoints_page()));
    Ok(pages)
}

fn endpoints_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["NETKIT-ENDPOINTS", "7"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "netkit-endpoints - the strings that name either end of a wire",
    )]);
    page.control("SH", ["SYNTAX"]);
    for paragraph in SYNTAX {
        page.control("PP", []);
        page.text([roman(*paragraph)]);
    }
    page.control("SH", ["TYPES"]);
    for transport in TRANSPORTS {
        describe(&mut page, transport);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("netkit"),
        roman("(1), "),
        bold("netkit-explain"),
        roman("(1)"),
    ]);
    page.to_roff().into_bytes()
}

const SYNTAX: &[&str] = &[
    "An endpoint string is a type and its fields, with colons in between: tcp:localhost:1234. A field is a value, or \
     a name, an equals sign and a value: tcp:host=localhost:port=1234. Values without a name fill, in order, the \
     fields that were not given by name. A field may be given once.",
    "A backslash takes the meaning from the character that follows it: a colon, an equals sign, a backslash or a \
     bracket that belongs to a value.",
    "A value that begins with [ runs to the matching ], and nothing in between has a meaning of its own: \
     tcp:[::1]:80.",
    "Times are written 250ms, 5s, 2m or 1h; a bare number is seconds. Flags are yes or no, on or off, true or false, \
     1 or 0. The case of a type's letters does not count.",
];

fn describe(page: &mut Roff, transport: &Transport) {
    page.control("SS", [transport.name]);
    page.text([roman(transport.summary)]);
    for role in Role::ALL {
        let Some(usage) = usage_of(transport, role) else {
            continue;
        };
        let (params, examples) = match role {
            Role::Client => transport
                .client
                .as_ref()
                .map(|client| (client.params, client.examples)),
            Role::Server => transport
                .server
                .as_ref()
                .map(|server| (server.params, server.examples)),
        }
        .unwrap_or_default();
        page.control("TP", []);
        page.text([roman(format!("as a {role}: ")), bold(usage)]);
        page.text([roman(format!("for example {}", examples.join(" , ")))]);
        page.control("RS", []);
        for param in params {
            page.control("TP", []);
            page.text([italic(param.name)]);
            page.text([roman(doc(param))]);
        }
        page.control("RE", []);
    }
}

fn doc(param: &Param) -> String {
    let mut doc = param.doc.to_owned();
    match param.default {
        Default::Required => doc.push_str(" (required)"),
        Default::Text(text) => doc.push_str(&format!(" (default {text})")),
        Default::Absent => {}
    }
    if !param.positional {
        doc.push_str("; by name only");
    }
    doc
}
