//! `manual`: the manual pages, from the command line's own description and the tables.
//! Absent: prose that could disagree with either.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::Cli;
use crate::cli::help::{statuses, usage_of, usage_of_wrapper};
use netkit::endpoint::{Default, Param, Role};
use netkit::error::{Error, Result, Status};
use netkit::layer::{WRAPPERS, Wrapper};
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
            let directory = self.directory.display().to_string();
            Error::io(Status::Failure, &error).on(format!("could not write to {}", directory.escape_debug()))
        };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        for (name, page) in pages().map_err(failed)? {
            fs::write(self.directory.join(name), page).map_err(failed)?;
        }
        Ok(Status::Done)
    }
}

/// What a page says of where it comes from.
const SOURCE: &str = concat!("netkit ", env!("CARGO_PKG_VERSION"));

/// Every page with its file name.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let verbs = shown(&command);
    let mut pages = vec![("netkit.1".to_owned(), overview_page(&command, &verbs)?)];
    for verb in &verbs {
        let below = shown(verb);
        let name = page_name(&command, verb);
        let inner: Vec<String> = below.iter().map(|inner| page_name(verb, inner)).collect();
        let others: Vec<String> = ["netkit".to_owned()].into_iter().chain(inner.clone()).collect();
        pages.push((format!("{name}.1"), verb_page(verb, &name, &others)?));
        for (verb, own) in below.iter().zip(&inner) {
            let siblings = inner.iter().filter(|other| *other != own).cloned();
            let others: Vec<String> = ["netkit".to_owned(), name.clone()]
                .into_iter()
                .chain(siblings)
                .collect();
            pages.push((format!("{own}.1"), verb_page(verb, own, &others)?));
        }
    }
    pages.push(("netkit-endpoints.7".to_owned(), endpoints_page()));
    #[cfg(feature = "config")]
    pages.push(("netkit-lines.5".to_owned(), lines_page()));
    pages.push(("netkit-finger.5".to_owned(), finger_page()));
    #[cfg(feature = "regex")]
    pages.push(("netkit-script.5".to_owned(), script_page()));
    Ok(pages)
}

/// The verbs of a command that its help shows.
fn shown(command: &Command) -> Vec<Command> {
    let verbs = command.get_subcommands();
    verbs
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        .cloned()
        .collect()
}

/// `netkit-cert` of `netkit`, `netkit-cert-show` of that.
fn page_name(above: &Command, verb: &Command) -> String {
    let above = above.get_display_name().unwrap_or(above.get_name());
    format!("{above}-{}", verb.get_name())
}

fn verb_page(verb: &Command, name: &str, others: &[String]) -> std::io::Result<Vec<u8>> {
    let after = verb
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    // The page is named with a hyphen, the synopsis shows what is typed.
    let named = verb.clone().display_name(name.to_owned());
    let man = Man::new(named.disable_help_subcommand(true))
        .title(name.to_uppercase())
        .source(SOURCE);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    let below = shown(verb);
    if !below.is_empty() {
        verbs_section(&mut rest, verb, &below);
    }
    sections(&mut rest, &after);
    sections(&mut rest, &statuses());
    let mut others: Vec<(&str, &str)> = others.iter().map(|name| (name.as_str(), "1")).collect();
    others.push(("netkit-endpoints", "7"));
    see_also(&mut rest, &others);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// The verbs of a command, each with what it does.
fn verbs_section(page: &mut Roff, above: &Command, verbs: &[Command]) {
    page.control("SH", ["VERBS"]);
    for verb in verbs {
        page.control("TP", []);
        page.text([bold(page_name(above, verb)), roman("(1)")]);
        page.text([roman(
            verb.get_about().map(ToString::to_string).unwrap_or_default(),
        )]);
    }
}

#[cfg(feature = "config")]
fn lines_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["NETKIT-LINES", "5", "", SOURCE]);
    page.control("SH", ["NAME"]);
    page.text([roman("netkit-lines - files of commands for netkit serve lines")]);
    sections(&mut page, netkit::protocol::lines::MANUAL);
    see_also(&mut page, &[("netkit-serve", "1")]);
    page.to_roff().into_bytes()
}

fn finger_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["NETKIT-FINGER", "5", "", SOURCE]);
    page.control("SH", ["NAME"]);
    page.text([roman("netkit-finger - where netkit serve finger finds users")]);
    sections(&mut page, netkit::protocol::finger::MANUAL);
    see_also(&mut page, &[("netkit-serve", "1"), ("netkit-finger", "1")]);
    page.to_roff().into_bytes()
}

#[cfg(feature = "regex")]
fn script_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["NETKIT-SCRIPT", "5", "", SOURCE]);
    page.control("SH", ["NAME"]);
    page.text([roman("netkit-script - scripts that netkit run plays")]);
    sections(&mut page, netkit::script::MANUAL);
    see_also(&mut page, &[("netkit-run", "1"), ("netkit-endpoints", "7")]);
    page.to_roff().into_bytes()
}

fn overview_page(command: &Command, verbs: &[Command]) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).title("NETKIT").source(SOURCE);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    verbs_section(&mut rest, command, verbs);
    sections(&mut rest, &statuses());
    let names: Vec<String> = verbs.iter().map(|verb| page_name(command, verb)).collect();
    let mut others: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    others.push(("netkit-endpoints", "7"));
    see_also(&mut rest, &others);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// The parts of a long help as sections: a line at the margin is a heading, what is indented below it stays as it is.
fn sections(page: &mut Roff, text: &str) {
    let mut open = false;
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            if open {
                page.control("EE", []);
            }
            page.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
            page.control("EX", []);
            open = true;
        } else {
            page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    if open {
        page.control("EE", []);
    }
}

fn see_also(page: &mut Roff, others: &[(&str, &str)]) {
    page.control("SH", ["SEE ALSO"]);
    let last = others.len().saturating_sub(1);
    let words = others.iter().enumerate().flat_map(|(at, (name, section))| {
        let end = if at == last { "" } else { ", " };
        [bold(*name), roman(format!("({section}){end}"))]
    });
    page.text(words.collect::<Vec<_>>());
}

fn endpoints_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["NETKIT-ENDPOINTS", "7", "", SOURCE]);
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
    page.control("SH", ["WRAPPERS"]);
    for paragraph in WRAPPING {
        page.control("PP", []);
        page.text([roman(*paragraph)]);
    }
    for wrapper in WRAPPERS {
        describe_wrapper(&mut page, wrapper);
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

const WRAPPING: &[&str] = &[
    "A wrapper stands before a whole endpoint: haproxy:tcp:1234. Fields of its own, given by name, stand right behind \
     its name: haproxy:version=1:tcp:localhost:1234. Wrappers may stand before one another, and have their say in the \
     order they are written, before anything else is said on the connection, TLS included.",
    "A server does not guess whether a PROXY header is there: without a valid one, of either version, the connection \
     is closed. Who connects directly can say anything in a header, so only proxies should reach such an endpoint. \
     --handshake-timeout limits the time that a header takes.",
];

fn describe(page: &mut Roff, transport: &Transport) {
    page.control("SS", [transport.name]);
    page.text([roman(transport.summary)]);
    for role in Role::ALL {
        let own = transport.params(role).zip(transport.examples(role));
        if let Some((usage, (params, examples))) = usage_of(transport, role).zip(own) {
            describe_role(page, role, usage, params, examples);
        }
    }
}

fn describe_wrapper(page: &mut Roff, wrapper: &Wrapper) {
    page.control("SS", [wrapper.name]);
    page.text([roman(wrapper.summary)]);
    for role in Role::ALL {
        let own = wrapper.params(role).zip(wrapper.examples(role));
        if let Some((usage, (params, examples))) = usage_of_wrapper(wrapper, role).zip(own) {
            describe_role(page, role, usage, params, examples);
        }
    }
}

fn describe_role(page: &mut Roff, role: Role, usage: String, params: &[Param], examples: &[&str]) {
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
