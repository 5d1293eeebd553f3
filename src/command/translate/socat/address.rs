//! One address of socat: its type, its fields, and its options.
//! Absent: what two of them make together.

use netkit::diagnostic::quoted;

use super::super::options::Given;
use super::super::told::Told;
use super::super::wire::{End, Family, Kind, host, port};
use super::super::words::{Read, Unread, Word};
use super::option::OPTIONS;

/// What an address leads to.
#[derive(Debug)]
pub(super) enum Place {
    Stdio,
    /// Gives back what it gets.
    Pipe,
    Program(String),
    File {
        path: String,
        append: bool,
    },
    Wire(Box<Wire>),
}

/// An end of the network.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) end: End,
    pub(super) listens: bool,
    pub(super) fork: bool,
    pub(super) crlf: Vec<Given>,
    /// Attempts to connect.
    pub(super) again: Vec<Given>,
    pub(super) access: Vec<(&'static str, String)>,
    pub(super) most: Option<Given>,
    pub(super) user: Option<String>,
    pub(super) chroot: Option<String>,
    /// Whether the other end is verified.
    pub(super) verify: bool,
}

pub(super) struct Address {
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Stdio,
    Pipe,
    Program,
    File,
    Client(Kind),
    Server(Kind),
    /// UNIX, without a file.
    Abstract(bool),
    /// The target lies behind a proxy: its host and port follow those of the proxy.
    Proxy,
}

/// The types, each with its names and the family that they fix.
const TYPES: &[(&[&str], Type)] = &[
    (&["STDIO", "STDIN", "STDOUT", "READLINE"], Type::Stdio),
    (&["PIPE", "FIFO", "ECHO"], Type::Pipe),
    (&["EXEC", "SYSTEM", "SHELL"], Type::Program),
    (&["OPEN", "FILE", "GOPEN", "CREATE", "CREAT"], Type::File),
    (&["TCP", "TCP-CONNECT", "INET"], Type::Client(Kind::Tcp)),
    (
        &["TCP-LISTEN", "TCP-L", "INET-LISTEN", "INET-L"],
        Type::Server(Kind::Tcp),
    ),
    (
        &["UDP", "UDP-CONNECT", "UDP-SENDTO", "UDP-DATAGRAM", "UDP-DGRAM"],
        Type::Client(Kind::Udp),
    ),
    (
        &["UDP-LISTEN", "UDP-L", "UDP-RECVFROM", "UDP-RECV"],
        Type::Server(Kind::Udp),
    ),
    (
        &["UNIX", "UNIX-CONNECT", "UNIX-CLIENT", "LOCAL"],
        Type::Client(Kind::Unix),
    ),
    (&["UNIX-LISTEN", "UNIX-L"], Type::Server(Kind::Unix)),
    (
        &["ABSTRACT", "ABSTRACT-CONNECT", "ABSTRACT-CLIENT"],
        Type::Abstract(false),
    ),
    (&["ABSTRACT-LISTEN", "ABSTRACT-L"], Type::Abstract(true)),
    (
        &["OPENSSL", "SSL", "OPENSSL-CONNECT", "SSL-CONNECT"],
        Type::Client(Kind::Tls),
    ),
    (
        &["OPENSSL-LISTEN", "OPENSSL-L", "SSL-LISTEN", "SSL-L"],
        Type::Server(Kind::Tls),
    ),
    (
        &[
            "PROXY",
            "PROXY-CONNECT",
            "SOCKS4",
            "SOCKS4A",
            "SOCKS5",
            "SOCKS5-CONNECT",
        ],
        Type::Proxy,
    ),
];

impl Address {
    /// Reads an address: its type, its fields, then its options behind commas.
    pub(super) fn read(word: &Word, family: Option<Family>, told: &mut Told) -> Read<Address> {
        let parts = cut(word, ',')?;
        let (head, options) = match parts.split_first() {
            Some((head, options)) => (head, options),
            None => return Err(word.refuse("an address is empty")),
        };
        if word.text.contains("!!") {
            return Err(word.refuse("netkit has no address of two halves"));
        }
        let (kind, own, fields) = named(head)?;
        let options = options.iter().filter(|option| !option.text.is_empty()).map(given);
        let place = match kind {
            Type::Stdio => {
                options.for_each(|given| given.lose(told, "standard input and output are taken as they are"));
                Place::Stdio
            }
            Type::Pipe if fields.is_empty() => Place::Pipe,
            Type::Pipe => {
                return Err(head
                    .refuse("netkit opens no named pipes")
                    .help("the shell does: < PIPE and > PIPE"));
            }
            Type::Program => {
                options.for_each(|given| given.lose(told, "it is about the program"));
                Place::Program(
                    head.text
                        .split_once(':')
                        .map_or_else(String::new, |(_, command)| command.to_owned()),
                )
            }
            Type::File => {
                let mut append = false;
                for given in options {
                    match given.name.as_str() {
                        "append" => append = given.value.text != "0",
                        // The shell's > and < do so.
                        "creat" | "create" | "trunc" | "rdonly" | "wronly" | "o-creat" | "o-trunc" => {}
                        _ => given.lose(told, "the shell opens the file"),
                    }
                }
                let path = fields
                    .first()
                    .map(|path| path.text.clone())
                    .filter(|path| !path.is_empty());
                let path = path.ok_or_else(|| head.refuse("a path is missing"))?;
                Place::File { path, append }
            }
            _ => Place::Wire(Box::new(Wire::read(
                kind,
                own.or(family),
                head,
                &fields,
                options,
                told,
            )?)),
        };
        Ok(Address { place })
    }
}

impl Wire {
    fn read(
        kind: Type,
        family: Option<Family>,
        head: &Word,
        fields: &[Word],
        options: impl Iterator<Item = Given>,
        told: &mut Told,
    ) -> Read<Wire> {
        let mut wire = Wire {
            verify: true,
            ..Wire::default()
        };
        wire.end.family = family;
        let missing = |what: &str| head.refuse(format!("{what} is missing in this address"));
        let path = || {
            fields
                .first()
                .map(|path| path.text.clone())
                .filter(|path| !path.is_empty())
        };
        match (kind, fields) {
            (Type::Abstract(listens), _) => {
                wire.listens = listens;
                wire.end.kind = Kind::Unix;
                wire.end.host = format!("@{}", path().ok_or_else(|| missing("a name"))?);
            }
            (Type::Client(Kind::Unix) | Type::Server(Kind::Unix), _) => {
                wire.listens = kind == Type::Server(Kind::Unix);
                wire.end.kind = Kind::Unix;
                wire.end.host = path().ok_or_else(|| missing("a path"))?;
            }
            (Type::Proxy, [_, name, number, ..]) => {
                told.lose(
                    head.text.clone(),
                    "netkit goes through no HTTP or SOCKS proxy; the line connects directly",
                );
                (wire.end.host, wire.end.port) = (host(name)?, port(number, false)?);
            }
            (Type::Client(kind), [name, number]) => {
                wire.end.kind = kind;
                (wire.end.host, wire.end.port) = (host(name)?, port(number, false)?);
            }
            (Type::Server(kind), [number]) => {
                wire.listens = true;
                wire.end.kind = kind;
                wire.end.port = port(number, true)?;
            }
            (Type::Server(_), _) => return Err(missing("a port")),
            _ => return Err(missing("a host or a port")),
        }
        for given in options {
            match OPTIONS
                .iter()
                .find(|row| row.names.contains(&given.name.as_str()))
            {
                Some(row) => row.heed(&mut wire, &given, told)?,
                None => given.lose(told, "netkit has nothing like it"),
            }
        }
        wire.trust(told);
        wire.end.lose_lonely_key(wire.listens, told);
        Ok(wire)
    }

    /// Who is verified: both ends are, where nothing else is said.
    fn trust(&mut self, told: &mut Told) {
        if self.end.kind != Kind::Tls {
            return;
        }
        match (self.listens, self.verify) {
            (false, true) => {}
            (false, false) => {
                self.end.tls.insecure = true;
                self.end.note_unused_trust("cafile", told);
                told.note("verify=0 became insecure=yes: whoever answers is trusted; without it netkit verifies chain and name");
            }
            (true, true) if self.end.tls.trust.is_some() => self.end.tls.client_auth = Some("require"),
            (true, true) => told.lose(
                "verify",
                "socat asks clients for a certificate unless verify=0 says otherwise; netkit does where clientCA=FILE says whose",
            ),
            (true, false) => self.end.note_unused_trust("cafile", told),
        }
    }
}

/// `name=value`, or a name alone.
fn given(option: &Word) -> Given {
    let length = option.text.len();
    let at = option.text.find('=');
    let value = at.map_or(length, |at| at + 1);
    let mut value = option.part(value, length);
    value.text = unquoted(&value.text);
    Given {
        name: option.text[..at.unwrap_or(length)].to_ascii_lowercase(),
        value,
        span: option.span,
    }
}

/// The type of an address, the family that its name fixes, and its fields.
fn named(head: &Word) -> Read<(Type, Option<Family>, Vec<Word>)> {
    let text = head.text.as_str();
    if text == "-" || matches!(text, "0" | "1") {
        return Ok((Type::Stdio, None, Vec::new()));
    }
    let mut parts = cut(head, ':')?;
    let first = parts.remove(0);
    if parts.is_empty() && text.contains('/') {
        return Ok((Type::File, None, vec![head.clone()]));
    }
    for part in &mut parts {
        part.text = unquoted(&part.text);
    }
    let name = first.text.to_ascii_uppercase();
    let find = |name: &str| TYPES.iter().find(|(names, _)| names.contains(&name));
    if name == "FD"
        || (parts.is_empty() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(head
            .refuse("a descriptor of the caller is a wire of its own")
            .help("netkit connect fd:N wires it to standard input and output"));
    }
    if let Some((_, kind)) = find(&name) {
        return Ok((*kind, None, parts));
    }
    // TCP4-LISTEN is TCP-LISTEN of one family.
    for (digit, family) in [('4', Family::V4), ('6', Family::V6)] {
        let without = name.replacen(digit, "", 1);
        if name.starts_with(['T', 'U'])
            && name.as_bytes().get(3) == Some(&(digit as u8))
            && let Some((_, kind)) = find(&without)
        {
            return Ok((*kind, Some(family), parts));
        }
    }
    let unread = first.refuse(format!(
        "netkit has nothing for an address of the type {}",
        quoted(&first.text)
    ));
    let known = TYPES.iter().flat_map(|(names, _)| names.iter().copied());
    Err(match netkit::endpoint::nearest(&name, known) {
        Some(near) => unread.help(format!("did you mean `{near}`?")),
        None => unread,
    })
}

/// Cuts at a character that stands neither in quotes nor in brackets, nor behind a backslash.
fn cut(word: &Word, at: char) -> Read<Vec<Word>> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote, mut escaped) = (0, 0_usize, None, false);
    for (place, c) in word.text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '(' | '{', None) => depth += 1,
            (']' | ')' | '}', None) => depth = depth.saturating_sub(1),
            (c, None) if c == at && depth == 0 => {
                parts.push(word.part(start, place));
                start = place + c.len_utf8();
            }
            _ => {}
        }
    }
    if quote.is_some() || depth > 0 {
        let unread: Unread = word.refuse("a quote or a bracket is not closed");
        return Err(unread);
    }
    parts.push(word.part(start, word.text.len()));
    Ok(parts)
}

/// Without quotes and backslashes.
fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {}
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}
