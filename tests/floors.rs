//! The floors of `src/`: imports go down, never up; two directories on one floor never see each other; and which
//! crates a floor may use. Absent: what a file is about; only what it names is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A floor: the top-level modules on it, and the paths of other crates that they may use, the floors below included.
struct Floor {
    modules: &'static [Module],
    /// Whether its modules see each other: the foundation's files do, rooms with doors of their own do not.
    open: bool,
}

struct Module {
    name: &'static str,
    /// Prefixes of paths: `tokio::io` allows `tokio::io::AsyncRead` and not `tokio::net`.
    crates: &'static [&'static str],
}

const fn module(name: &'static str, crates: &'static [&'static str]) -> Module {
    Module { name, crates }
}

/// From the ground up, as ARCHITECTURE.md draws it.
const FLOORS: &[Floor] = &[
    Floor {
        open: true,
        modules: &[
            module("error", &[]),
            module("diagnostic", &["unicode_width"]),
            module("units", &[]),
            module("escape", &[]),
            module("backoff", &[]),
            module("lacking", &["rustix"]),
            module("living", &["rustix"]),
            module("need", &[]),
            module("orphans", &["rustix"]),
            module("whole", &["rustix"]),
            // The one place with `unsafe`: it is as low as what it wraps.
            module("kernel", &["nix", "rustix", "tokio::io"]),
        ],
    },
    Floor {
        open: false,
        modules: &[
            module("endpoint", &["nom", "idna"]),
            module(
                "cert",
                &[
                    "aws_lc_rs::digest",
                    "aws_lc_rs::rand",
                    "idna",
                    "rcgen",
                    "x509_parser",
                    "pkcs8",
                    "rustix",
                    "rustls_pemfile",
                    "rustls_pki_types",
                    "time",
                    "tracing",
                ],
            ),
        ],
    },
    Floor {
        open: false,
        modules: &[module("connection", &["rustix::fs", "tokio::io", "tracing"])],
    },
    Floor {
        open: false,
        modules: &[module(
            "layer",
            &[
                "tokio::io",
                "tokio::time",
                "tokio_rustls",
                "rustls",
                "aws_lc_rs",
                "rustls_native_certs",
                "time",
                "tracing",
            ],
        )],
    },
    Floor {
        open: false,
        modules: &[
            module(
                "transport",
                &[
                    "nix",
                    "quinn_udp",
                    "rustix",
                    "socket2",
                    "tokio::io",
                    "tokio::net",
                    "tokio::select",
                    "tokio::spawn",
                    "tokio::sync",
                    "tokio::task",
                    "tokio::time",
                    "tracing",
                ],
            ),
            module(
                "protocol",
                &[
                    "http_body_util",
                    "hyper",
                    "hyper_util",
                    "nix",
                    "nom",
                    "regex",
                    "rustix",
                    "time",
                    "tokio::io",
                    "tokio::process",
                    "tokio::select",
                    // The end of a child is a signal.
                    "tokio::signal",
                    "tokio::sync",
                    "tokio::task",
                    "tokio::time",
                    "tokio::try_join",
                    "toml",
                    "tracing",
                ],
            ),
        ],
    },
    Floor {
        open: false,
        modules: &[
            module(
                "server",
                &[
                    "http_body_util",
                    "hyper",
                    "hyper_util",
                    "prometheus_client",
                    "rustix",
                    "tokio",
                    "tracing",
                ],
            ),
            module("relay", &["rustix", "socket2", "tokio", "tracing"]),
            module("reconnect", &["tokio", "tracing"]),
            module("probe", &["tokio::io", "tokio::time", "tracing"]),
            module(
                "script",
                &[
                    "nom",
                    "quick_junit",
                    "regex",
                    "rustix",
                    "serde_json",
                    "tokio",
                    "tracing",
                ],
            ),
            module(
                "process",
                &[
                    "nix",
                    "rustix",
                    "sd_notify",
                    "serde_json",
                    "time",
                    "tokio",
                    "tracing",
                    "tracing_subscriber",
                ],
            ),
            // Of tokio, what has nothing to do with the network.
            module(
                "terminal",
                &[
                    "indicatif",
                    "rustix",
                    "rustyline",
                    "tokio::io",
                    "tokio::select",
                    "tokio::spawn",
                    "tokio::sync",
                    "tokio::task",
                    "tokio::time",
                ],
            ),
        ],
    },
    Floor {
        open: false,
        modules: &[module(
            "testing",
            &["tokio::runtime", "tokio::sync", "tokio::task", "tokio::time"],
        )],
    },
    Floor {
        open: false,
        modules: &[module("cli", &["clap", "clap_complete", "time"])],
    },
    Floor {
        open: false,
        modules: &[module(
            "command",
            &[
                "clap",
                "clap_complete",
                "clap_mangen",
                "serde_json",
                "time",
                "tokio",
                "tracing",
            ],
        )],
    },
    Floor {
        open: true,
        modules: &[
            module("main", &["clap", "clap_complete", "tracing"]),
            module("lib", &[]),
        ],
    },
];

/// Directories whose files are neighbours that never meet, with the files that all of them may use.
const SOLITARY: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    (
        "command",
        &[
            "daemon",
            "host",
            "monitored",
            "record",
            "report",
            "session",
            "talk",
            "work",
        ],
    ),
    // What names no endpoint type is there for the types that do; `reading` stands above the table of all of them.
    (
        "transport",
        &[
            "datagrams",
            "descriptor",
            "distinct",
            "given",
            "handshake",
            "listening",
            "lock",
            "race",
            "secured",
            "socket",
            "socket_file",
            "waiting",
            "wrapped",
        ],
    ),
];

/// What is wrong, a line each.
type Complaints = BTreeSet<String>;

fn floor_of(module: &str) -> Option<(usize, &'static Module)> {
    FLOORS.iter().enumerate().find_map(|(height, floor)| {
        let found = floor.modules.iter().find(|candidate| candidate.name == module)?;
        Some((height, found))
    })
}

/// Whether a path is `prefix`, or leads into it.
fn within(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Judges one file: where it lies below `src/`, and its text.
fn judge(file: &Path, text: &str, crates: &BTreeSet<String>) -> Complaints {
    let mut complaints = Complaints::new();
    let place = module_path(file);
    let shown = file.display();
    let Some((height, module)) = floor_of(&place[0]) else {
        complaints.insert(format!(
            "{shown}: `{}` is on no floor; give it one in tests/floors.rs",
            place[0]
        ));
        return complaints;
    };
    for path in paths(&without_tests(&without_comments(text))) {
        let path = absolute(path, &place);
        let root = path[0].as_str();
        if crates.contains(root) {
            let full = path.join("::");
            if !module.crates.iter().any(|prefix| within(&full, prefix)) {
                complaints.insert(format!("{shown}: `{full}` is not for {}", module.name));
            }
            continue;
        }
        if root != "crate" && root != "netkit" {
            continue;
        }
        let Some((target, below)) = path.get(1).and_then(|name| floor_of(name)) else {
            continue;
        };
        if below.name == module.name {
            if let Some(neighbour) = neighbour(&place, &path[1..]) {
                complaints.insert(format!("{shown}: uses its neighbour `{neighbour}`"));
            }
        } else if target > height {
            complaints.insert(format!("{shown}: `{}` is above {}", below.name, module.name));
        } else if target == height && !FLOORS[height].open {
            complaints.insert(format!(
                "{shown}: `{}` is on the floor of {}",
                below.name, module.name
            ));
        }
    }
    complaints
}

/// The file next door that a path leads to, where neighbours are not to meet.
fn neighbour<'a>(place: &[String], path: &'a [String]) -> Option<&'a str> {
    let (_, shared) = SOLITARY.iter().find(|(directory, _)| *directory == place[0])?;
    let (ours, theirs) = (place.get(1)?, path.get(1)?);
    let is_file = |name: &str| {
        let directory = source().join(&place[0]);
        directory.join(format!("{name}.rs")).exists() || directory.join(name).join("mod.rs").exists()
    };
    (ours != theirs
        && is_file(theirs)
        && is_file(ours)
        && !shared.contains(&theirs.as_str())
        && !shared.contains(&ours.as_str()))
    .then_some(theirs.as_str())
}

/// `src/connection/tap/log.rs` is `connection`, `tap`, `log`.
fn module_path(file: &Path) -> Vec<String> {
    let without = file.with_extension("");
    let mut path: Vec<String> = without
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// `super::` and `self::` spelt out. In a module within a file they lead one step too far up, which names nothing.
fn absolute(path: Vec<String>, place: &[String]) -> Vec<String> {
    let mut base: Vec<String> = place.to_vec();
    let mut rest = path.iter().peekable();
    match path[0].as_str() {
        "self" => drop(rest.next()),
        "super" => {
            while rest.next_if(|part| *part == "super").is_some() {
                base.pop();
            }
        }
        _ => return path,
    }
    std::iter::once("crate".to_owned())
        .chain(base)
        .chain(rest.cloned())
        .collect()
}

/// The text without comments, string literals and character literals, which may hold anything.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if c == '"' {
            quoted(rest, '"')
        } else if rest.starts_with("'\\") || (c == '\'' && rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skip..];
    }
    out
}

/// The length of a raw string literal that the text begins with.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&end)? + end.len())
}

/// The length of a literal between quotes, escapes heeded.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text without its test modules, which may use what the code may not.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let (block, line) = (
            tail.find('{').unwrap_or(tail.len()),
            tail.find(';').unwrap_or(tail.len()),
        );
        let end = if line < block {
            line + 1
        } else {
            block + braces(&tail[block..])
        };
        rest = &tail[end..];
    }
    out + rest
}

/// The length of what lies from a brace to the one that matches it.
fn braces(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// Every path of two or more parts, groups in braces spelt out: `use a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_root = is_word(&tokens[at]) && (at == 0 || !["::", "."].contains(&tokens[at - 1].as_str()));
        if is_root && tokens.get(at + 1).is_some_and(|token| token == "::") {
            path(&tokens, &mut at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn path(tokens: &[String], at: &mut usize, before: &[String], found: &mut Vec<Vec<String>>) {
    let mut parts = before.to_vec();
    let text = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        if text(*at) == "{" {
            *at += 1;
            while *at < tokens.len() && text(*at) != "}" {
                if is_word(text(*at)) || text(*at) == "{" {
                    path(tokens, at, &parts, found);
                } else {
                    *at += 1;
                }
            }
            *at += 1;
            return;
        }
        if !is_word(text(*at)) {
            break;
        }
        // `use a::{self}` is `a`.
        if text(*at) != "self" || parts.is_empty() {
            parts.push(text(*at).to_owned());
        }
        *at += 1;
        if text(*at) != "::" {
            break;
        }
        *at += 1;
    }
    if text(*at) == "as" {
        *at += 2;
    }
    found.push(parts);
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The names of the crates that Cargo.toml lists for the program, as code writes them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(['=', '.']))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_go_down() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let crates = dependencies(&manifest);
    assert!(
        crates.contains("tokio") && crates.contains("tracing_subscriber"),
        "{crates:?}"
    );
    let mut found = Vec::new();
    files(&source(), &mut found);
    assert!(found.len() > 40, "only {} files", found.len());
    let mut complaints = Complaints::new();
    let mut unused: BTreeSet<(&str, &str)> = FLOORS
        .iter()
        .flat_map(|floor| floor.modules)
        .flat_map(|module| module.crates.iter().map(|allowed| (module.name, *allowed)))
        .collect();
    for file in found {
        let below = file.strip_prefix(source()).unwrap();
        // A file of tests may use what the code may not.
        if below.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        complaints.extend(judge(below, &text, &crates));
        let place = module_path(below);
        for path in paths(&without_tests(&without_comments(&text))) {
            let path = absolute(path, &place).join("::");
            unused.retain(|(module, allowed)| *module != place[0] || !within(&path, allowed));
        }
    }
    complaints.extend(
        unused
            .into_iter()
            .map(|(module, allowed)| format!("{module} has no need of `{allowed}`")),
    );
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is said about a made-up file.
fn said(file: &str, text: &str) -> Vec<String> {
    let crates = ["tokio", "clap", "socket2"].map(str::to_owned).into();
    judge(Path::new(file), text, &crates).into_iter().collect()
}

#[test]
fn what_breaks_the_rules_is_found() {
    for (file, text, complaint) in [
        (
            "connection/mod.rs",
            "use crate::server::Server;",
            "connection/mod.rs: `server` is above connection",
        ),
        (
            "endpoint/mod.rs",
            "use super::connection::Facts;",
            "endpoint/mod.rs: `connection` is above endpoint",
        ),
        (
            "transport/tcp.rs",
            "use crate::{error, protocol::Talk};",
            "transport/tcp.rs: `protocol` is on the floor of transport",
        ),
        (
            "protocol/echo.rs",
            "fn f() { netkit::transport::go() }",
            "protocol/echo.rs: `transport` is on the floor of protocol",
        ),
        (
            "server/mod.rs",
            "pub use crate::relay;",
            "server/mod.rs: `relay` is on the floor of server",
        ),
        (
            "protocol/echo.rs",
            "use super::chargen::PATTERN;",
            "protocol/echo.rs: uses its neighbour `chargen`",
        ),
        (
            "transport/tcp.rs",
            "use super::stdio::{self as other};",
            "transport/tcp.rs: uses its neighbour `stdio`",
        ),
        (
            "endpoint/grammar.rs",
            "use tokio::io;",
            "endpoint/grammar.rs: `tokio::io` is not for endpoint",
        ),
        (
            "connection/mod.rs",
            "use tokio::{io, net::TcpStream};",
            "connection/mod.rs: `tokio::net::TcpStream` is not for connection",
        ),
        (
            "server/mod.rs",
            "fn f(x: u8) -> clap::Command { x }",
            "server/mod.rs: `clap::Command` is not for server",
        ),
        (
            "cli/options.rs",
            "use crate::command::Cli;",
            "cli/options.rs: `command` is above cli",
        ),
        (
            "attic/mod.rs",
            "",
            "attic/mod.rs: `attic` is on no floor; give it one in tests/floors.rs",
        ),
        (
            "error.rs",
            "mod m { use crate::endpoint::Spec; }",
            "error.rs: `endpoint` is above error",
        ),
        (
            "error.rs",
            "/* { */ const Q: char = '\"'; use crate::endpoint::Spec; // \"",
            "error.rs: `endpoint` is above error",
        ),
        (
            "error.rs",
            "#[cfg(test)] mod tests { fn f() {} } use crate::endpoint::Spec;",
            "error.rs: `endpoint` is above error",
        ),
    ] {
        assert_eq!(said(file, text), [complaint], "{text}");
    }
}

#[test]
fn what_keeps_the_rules_is_not() {
    for (file, text) in [
        ("diagnostic.rs", "use crate::error::Error; use std::io;"),
        (
            "server/mod.rs",
            "use self::open::Open; use super::protocol::Talk; use crate::{transport::Bound, error};",
        ),
        (
            "transport/tcp.rs",
            "use super::socket::Family; use super::{Bound, Listener}; use socket2::Socket;",
        ),
        ("transport/mod.rs", "mod tcp; static T: &[&str] = &[tcp::TCP];"),
        (
            "connection/tap/log.rs",
            "use super::{Direction, Tap}; use super::super::Stream; use tokio::io::AsyncRead;",
        ),
        (
            "error.rs",
            "// use crate::endpoint::Spec;\n/// [`crate::endpoint`] \nfn f() -> &str { \"crate::endpoint::x\" }",
        ),
        (
            "error.rs",
            "fn f<'a>(x: &'a str) -> &'a str { r#\"crate::endpoint::\"#; x }",
        ),
        (
            "error.rs",
            "#[cfg(test)]\nmod tests { use crate::endpoint::Spec; }\n#[cfg(test)]\nmod more;",
        ),
        (
            "main.rs",
            "mod cli; mod command; use command::Cli; use clap::Parser; use netkit::error::Error;",
        ),
    ] {
        assert_eq!(said(file, text), [""; 0], "{text}");
    }
}
