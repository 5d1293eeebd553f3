//! What the netcats have in common: the draft that their options fill, and the line that it makes.
//! Absent: their options.

use netkit::diagnostic::{Span, quoted};

use super::options::Given;
use super::told::{Line, Told};
use super::wire::{End, Family, Kind, Tls, bare, host, port};
use super::words::{Read, Unread, Word};

/// What a line of a netcat asks for.
#[derive(Debug, Default)]
pub(super) struct Netcat {
    pub(super) program: &'static str,
    pub(super) listen: bool,
    pub(super) keep_open: bool,
    pub(super) udp: Option<Span>,
    pub(super) unix: bool,
    pub(super) family: Option<Family>,
    /// Without a family, its servers take both.
    pub(super) dual: bool,
    pub(super) crlf: bool,
    pub(super) no_stdin: bool,
    pub(super) verbose: bool,
    pub(super) scan: bool,
    pub(super) half_close: Option<String>,
    /// A limit on connecting.
    pub(super) timeout: Option<String>,
    pub(super) idle: Option<String>,
    pub(super) source_port: Option<Given>,
    pub(super) source: Option<Given>,
    pub(super) default_port: Option<&'static str>,
    pub(super) tls: Option<Tls>,
    /// Whether it verifies servers.
    pub(super) verifies: bool,
    /// A program for each connection.
    pub(super) exec: Option<Given>,
    pub(super) access: Vec<(&'static str, String)>,
    pub(super) most: Option<Given>,
    pub(super) hexdump: bool,
    /// Refused, whatever the rest says: the option that asks for what no endpoint is.
    pub(super) beyond: Option<Given>,
}

/// Programs that give back what they read.
pub(super) fn is_echo(command: &str) -> bool {
    matches!(command.trim(), "cat" | "/bin/cat" | "/usr/bin/cat")
}

/// Why a program on a connection is lost.
pub(super) const NO_PROGRAMS: &str =
    "netkit runs no program on a connection; its standard input and output are used instead";

impl Netcat {
    /// The line, once all options are read.
    pub(super) fn finish(self, rest: &[Word], whole: Span, told: &mut Told) -> Read<Line> {
        if let Some(given) = &self.beyond {
            return Err(given.refuse(format!(
                "netkit has no endpoint for {} of {}",
                quoted(&given.name),
                self.program
            )));
        }
        if let (Some(span), true) = (self.udp, self.unix || self.tls.is_some()) {
            let what = if self.unix {
                "datagrams on UNIX sockets"
            } else {
                "TLS on datagrams"
            };
            return Err(Unread {
                span,
                message: format!("netkit has no endpoint for {what}"),
                help: None,
            });
        }
        let mut end = self.end(rest, whole, told)?;
        if self.tls.is_some() && self.listen && end.tls.cert.is_none() {
            told.note(format!(
                "{} makes a certificate for each run; netkit has one of its own authority, which this user's netkit trusts",
                self.program
            ));
        }
        end.lose_lonely_key(self.listen, told);
        if self.tls.is_some() && !self.listen && !self.verifies {
            end.note_verified(self.program, told);
        }
        let mut line = self.verb(&mut end, told);
        let talks = matches!(line.words.first().map(String::as_str), Some("connect" | "listen"));
        if talks {
            line.switch("--crlf", self.crlf);
            if self.no_stdin && self.listen && self.default_port.is_some() {
                // As a server, ncat ends its half at once.
                line.word("--no-stdin");
            } else if self.no_stdin {
                line.hold_open(told);
            }
            line.switch("--hexdump", self.hexdump);
            line.flag("--half-close-timeout", self.half_close.as_deref());
        }
        if line.words.first().is_none_or(|verb| verb != "wait") {
            line.flag("--idle-timeout", self.idle.as_deref());
        }
        for (flag, block) in &self.access {
            match self.listen {
                true => line.flag(flag, Some(block)),
                false => told.lose(format!("{flag} {block}"), "it is for servers"),
            }
        }
        if !self.listen {
            let most = self.most.as_ref().map(|given| given.text(" "));
            for what in most.into_iter().chain(self.keep_open.then(|| "-k".to_owned())) {
                told.lose(what, "it is for servers");
            }
        } else if self.scan {
            told.lose("-z", "it is for clients");
        }
        line.switch("-v", self.verbose);
        Ok(line)
    }

    fn verb(&self, end: &mut End, told: &mut Told) -> Line {
        if self.scan && !self.listen {
            let limit = end.timeout.take().unwrap_or_else(|| "1s".into());
            told.note(format!(
                "wait tries again until --timeout {limit} is over, and its status is 4 then"
            ));
            return Line::of(&["wait", &end.client(), "--timeout", &limit]);
        }
        let runs = self.exec.as_ref();
        if let (Some(_), true) = (runs.filter(|given| is_echo(&given.value.text)), self.listen) {
            let mut line = Line::of(&["serve", "echo", &end.server()]);
            line.switch("--once", !self.keep_open);
            if self.crlf {
                told.lose("-C", "an echo gives back what came");
            }
            if self.half_close.is_some() {
                told.lose("-q", "an echo ends when all is given back");
            }
            line.flag(
                "--max-connections",
                self.most.as_ref().map(Given::value).as_deref(),
            );
            return line;
        }
        if let Some(given) = runs {
            given.lose(told, NO_PROGRAMS);
        }
        if !self.listen {
            return Line::of(&["connect", &end.client()]);
        }
        if let Some(given) = &self.most {
            given.lose(told, "netkit listen takes one connection at a time");
        }
        if self.keep_open && self.default_port.is_some() {
            told.note("ncat takes several connections at a time; netkit listen takes one after the other");
        }
        let mut line = Line::of(&["listen", &end.server()]);
        line.switch("--keep-open", self.keep_open);
        line
    }

    fn end(&self, rest: &[Word], whole: Span, told: &mut Told) -> Read<End> {
        let mut end = End {
            kind: match (self.unix, self.udp, &self.tls) {
                (true, ..) => Kind::Unix,
                (_, Some(_), _) => Kind::Udp,
                (_, _, Some(_)) => Kind::Tls,
                _ => Kind::Tcp,
            },
            family: self.family,
            dual: self.dual,
            timeout: self.timeout.clone(),
            tls: self.tls.clone().unwrap_or_default(),
            ..End::default()
        };
        let missing = |what: &str| Unread {
            span: Span::at(whole.end),
            message: format!("{what} is missing"),
            help: None,
        };
        let most = if self.unix { 1 } else { 2 };
        if let Some(word) = rest.get(most) {
            let message = format!("{} takes no further word than these", self.program);
            return Err(word
                .refuse(message)
                .help("netkit scans no ranges of ports, and one line is one connection"));
        }
        if self.unix {
            end.host = rest.first().ok_or_else(|| missing("a path"))?.text.clone();
            for given in [&self.source_port, &self.source].into_iter().flatten() {
                given.lose(told, "a UNIX socket that connects has no address of its own");
            }
            return Ok(end);
        }
        let is_port =
            |word: &Word| word.text.bytes().all(|byte| byte.is_ascii_digit()) || port(word, true).is_ok();
        let (place, number) = match rest {
            [place, number] => (Some(place), Some(number)),
            [number] if self.listen && self.source_port.is_none() && is_port(number) => (None, Some(number)),
            [place] => (Some(place), None),
            _ => (None, None),
        };
        let own = self.source_port.as_ref().filter(|_| self.listen);
        let number = number.or(own.map(|given| &given.value));
        end.port = match (number, self.default_port) {
            (Some(word), _) => port_of(word, self.listen)?,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return Err(missing("a port")),
        };
        match place {
            Some(place) if self.listen => end.bind(place)?,
            Some(place) => end.host = host(place)?,
            None if self.listen => {}
            None => return Err(missing("a host")),
        }
        match &self.source {
            Some(given) if self.listen => end.bind(&given.value)?,
            Some(given) => end.leaving_from = Some(bare(&given.value.text)),
            None => {}
        }
        if let (Some(given), false) = (&self.source_port, self.listen) {
            given.lose(told, "a client leaves from a port that the system picks");
        }
        Ok(end)
    }
}

fn port_of(word: &Word, zero_ok: bool) -> Read<String> {
    port(word, zero_ok).map_err(|unread| match word.text.contains('-') {
        true => unread.help(
            "netkit scans no ranges of ports: name each one, as in netkit wait tcp:HOST:80 tcp:HOST:81",
        ),
        false => unread,
    })
}
