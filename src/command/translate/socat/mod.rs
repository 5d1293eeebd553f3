//! socat: its own options, and the two addresses that become one line.
//! Absent: what an address says.

mod address;
mod option;

use netkit::diagnostic::{Span, quoted};
use netkit::units;

use self::address::{Address, Place, Wire};
use super::netcat::{NO_PROGRAMS, is_echo};
use super::options::Given;
use super::told::{Line, Told, Translation};
use super::wire::{Family, Kind, time, times};
use super::words::{Read, Unread, Word};

/// What stands before the addresses.
#[derive(Debug, Default)]
struct Socat {
    family: Option<Family>,
    /// How often -d was given.
    talk: usize,
    data: bool,
    hexdump: bool,
    forth_only: Option<Word>,
    back_only: Option<Word>,
    half_close: Option<Word>,
    idle: Option<String>,
    log_file: Option<String>,
    syslog: bool,
    name: Option<String>,
}

/// Options of one letter with a value, which may stand in the same word.
const VALUED: &[char] = &['b', 'L', 'W', 'r', 'R', 'S', 't', 'T'];

pub(super) fn translate(words: &[Word], whole: Span) -> Read<Translation> {
    let mut told = Told::default();
    let mut socat = Socat::default();
    let mut words = words.iter().peekable();
    while let Some(word) =
        words.next_if(|word| word.text.starts_with('-') && word.text.len() > 1 && !word.text.contains(','))
    {
        socat.option(word, &mut words, &mut told)?;
    }
    let rest: Vec<&Word> = words.collect();
    let [first, second] = rest[..] else {
        let (span, message) = match rest.get(2) {
            Some(surplus) => (surplus.span, "socat takes two addresses"),
            None => (Span::at(whole.end), "socat needs two addresses"),
        };
        return Err(Unread {
            span,
            message: message.into(),
            help: None,
        });
    };
    let ends = [
        Address::read(first, socat.family, &mut told)?,
        Address::read(second, socat.family, &mut told)?,
    ];
    let line = socat.line(ends, [first, second], &mut told)?;
    Ok(Translation {
        lines: vec![line],
        told,
    })
}

impl Socat {
    fn option<'a>(
        &mut self,
        word: &Word,
        words: &mut impl Iterator<Item = &'a Word>,
        told: &mut Told,
    ) -> Read<()> {
        let text = &word.text[1..];
        let letter = text.chars().next().unwrap_or_default();
        let tail = &text[letter.len_utf8()..];
        let value = if !VALUED.contains(&letter) {
            None
        } else if tail.is_empty() {
            let missing = || word.refuse(format!("{} of socat needs a value", quoted(&word.text)));
            Some(words.next().cloned().ok_or_else(missing)?)
        } else {
            Some(word.part(word.text.len() - tail.len(), word.text.len()))
        };
        let shown = match &value {
            Some(value) => format!("-{letter} {}", value.text),
            None => word.text.clone(),
        };
        match (letter, tail, value) {
            ('d', tail, _) if tail.chars().all(|c| c == 'd') => self.talk += text.len(),
            ('d', tail, _) if tail.parse::<usize>().is_ok_and(|level| level <= 4) => {
                self.talk = tail.parse().unwrap_or_default();
            }
            ('v', "", _) => self.data = true,
            ('x', "", _) => self.hexdump = true,
            ('u', "", _) => self.forth_only = Some(word.clone()),
            ('U', "", _) => self.back_only = Some(word.clone()),
            ('4', "", _) => self.family = Some(Family::V4),
            ('6', "", _) => self.family = Some(Family::V6),
            ('0' | 'g', "", _) => {}
            ('t', _, value) => self.half_close = value,
            ('T', _, Some(value)) => self.idle = time(&value)?,
            ('l', "s", _) => {}
            ('l', "y", _) => self.syslog = true,
            ('l', "f" | "p", _) => {
                let missing = || word.refuse(format!("{} of socat needs a value", quoted(&word.text)));
                let value = words.next().ok_or_else(missing)?.text.clone();
                *self.named(tail) = Some(value);
            }
            ('l', tail, _) if tail.starts_with(['f', 'p']) => *self.named(tail) = Some(tail[1..].to_owned()),
            ('l', tail, _) if tail.starts_with('y') => {
                self.syslog = true;
                told.lose(shown, "the facility: netkit is a daemon in the system's log");
            }
            ('l', tail, _) if tail.starts_with(['m', 'u', 'h']) => {
                told.lose(
                    shown,
                    "netkit logs to standard error, --log-file or --syslog, in its own words",
                );
            }
            ('b', ..) => told.lose(shown, "the buffers of netkit have their own sizes"),
            ('L' | 'W', ..) => told.lose(shown, "only --pidfile and UNIX sockets are locked"),
            ('r' | 'R', ..) => told.lose(shown, "netkit writes no copy of what is said"),
            ('s', "", _) => told.lose(shown, "an error ends the connection that it is about"),
            ('S', ..) => told.lose(shown, "netkit logs no signals"),
            ('D', "", _) => told.lose(shown, "netkit does not show its descriptors"),
            _ => return Err(word.refuse(format!("socat has no option {}", quoted(&word.text)))),
        }
        Ok(())
    }

    /// What `-lf` and `-lp` name.
    fn named(&mut self, tail: &str) -> &mut Option<String> {
        match tail.starts_with('f') {
            true => &mut self.log_file,
            false => &mut self.name,
        }
    }

    fn line(&self, [first, second]: [Address; 2], words: [&Word; 2], told: &mut Told) -> Read<Line> {
        // Which of the two is read from, and which is written to.
        let (reads, writes) = (
            [self.back_only.is_none(), self.forth_only.is_none()],
            [self.forth_only.is_none(), self.back_only.is_none()],
        );
        match (first.place, second.place) {
            (Place::Wire(one), Place::Wire(other)) => self.relay(one, other, words, told),
            (Place::Wire(wire), near) => self.near(wire, near, words[1], [reads[1], writes[1]], told),
            (near, Place::Wire(wire)) => self.near(wire, near, words[0], [reads[0], writes[0]], told),
            _ => Err(words[1]
                .refuse("neither address is of the network")
                .help("cat and the shell wire files and programs")),
        }
    }

    /// A wire between two of the network.
    fn relay(&self, one: Box<Wire>, other: Box<Wire>, words: [&Word; 2], told: &mut Told) -> Read<Line> {
        let (server, client, at) = match (one.listens, other.listens) {
            (true, false) => (one, other, words),
            (false, true) => (other, one, [words[1], words[0]]),
            (true, true) => {
                return Err(words[1].refuse("both addresses listen, and a relay connects to one of them"));
            }
            (false, false) => {
                return Err(words[1].refuse("both addresses connect, and a relay listens on one of them"));
            }
        };
        if (server.end.kind == Kind::Udp) != (client.end.kind == Kind::Udp) {
            return Err(at[1]
                .refuse(
                    "one address carries datagrams and the other one bytes, which socat just runs together",
                )
                .help("netkit relay wants to know where a datagram ends: see its --framing"));
        }
        for word in [&self.forth_only, &self.back_only].into_iter().flatten() {
            told.lose(word.text.clone(), "a relay forwards both directions");
        }
        for given in server.crlf.iter().chain(&client.crlf).chain(&client.again) {
            given.lose(
                told,
                "netkit relay forwards bytes as they are, and tries a target once for each client",
            );
        }
        if let Some(word) = &self.half_close {
            told.lose(
                format!("-t {}", word.text),
                "a relay waits for the other half without a limit",
            );
        }
        let mut line = Line::of(&["relay", &server.end.server(), &client.end.client()]);
        line.switch("--once", !server.fork);
        self.serving(&mut line, &server);
        self.common(&mut line, told);
        line.switch("--hexdump", self.hexdump);
        Ok(line)
    }

    /// A wire to the network from what is on this side.
    fn near(
        &self,
        wire: Box<Wire>,
        near: Place,
        word: &Word,
        [reads, writes]: [bool; 2],
        told: &mut Told,
    ) -> Read<Line> {
        let echoes = match &near {
            Place::Pipe => true,
            Place::Program(command) => is_echo(command),
            _ => false,
        };
        if echoes && wire.listens && reads && writes {
            let mut line = Line::of(&["serve", "echo", &wire.end.server()]);
            line.switch("--once", !wire.fork);
            self.serving(&mut line, &wire);
            for given in &wire.crlf {
                given.lose(told, "an echo gives back what came");
            }
            self.common(&mut line, told);
            if let Some(word) = &self.half_close {
                told.lose(format!("-t {}", word.text), "an echo ends when all is given back");
            }
            if self.hexdump {
                told.lose(
                    "-x",
                    "netkit serve shows no data in hexadecimal; -vv shows it as text",
                );
            }
            return Ok(line);
        }
        let mut line = if wire.listens {
            let mut line = Line::of(&["listen", &wire.end.server()]);
            line.switch("--keep-open", wire.fork);
            if wire.fork {
                told.note(
                    "socat takes several connections at a time; netkit listen takes one after the other",
                );
            }
            for (flag, block) in &wire.access {
                line.flag(flag, Some(block));
            }
            for (name, value) in [("su", &wire.user), ("chroot", &wire.chroot)] {
                if let Some(value) = value {
                    told.lose(
                        format!("{name}={value}"),
                        "netkit listen stays who and where it is",
                    );
                }
            }
            if let Some(most) = &wire.most {
                most.lose(told, "netkit listen takes one connection at a time");
            }
            line
        } else {
            let mut line = Line::of(&["connect", &wire.end.client()]);
            self.await_first(&wire, &mut line, told);
            line
        };
        match near {
            Place::Stdio => {
                if !reads {
                    line.hold_open(told);
                }
                if !writes {
                    line.output = Some(("/dev/null".into(), false));
                }
            }
            Place::Program(_) => told.lose(word.text.clone(), NO_PROGRAMS),
            Place::Pipe => told.lose(
                word.text.clone(),
                "netkit connect gives nothing back; standard input and output are used instead",
            ),
            Place::File { .. } if reads && writes => {
                return Err(word
                    .refuse("one file is both read and written")
                    .help("-u or -U says in which direction"));
            }
            Place::File { path, .. } if reads => {
                line.input = Some(path);
                line.output = Some(("/dev/null".into(), false));
            }
            Place::File { path, append } => {
                line.hold_open(told);
                line.output = Some((path, append));
            }
            // Both ends of the network are a relay.
            Place::Wire(_) => {}
        }
        if let Some(given) = wire.crlf.first() {
            line.switch("--crlf", true);
            if writes {
                given.lose(
                    told,
                    "for what comes; --crlf is about what is sent, and a CR that comes stays",
                );
            }
        }
        line.switch("--hexdump", self.hexdump);
        self.common(&mut line, told);
        if let Some(limit) = &self.half_close {
            line.flag("--half-close-timeout", time(limit)?.as_deref().or(Some("1ms")));
            told.note("when --half-close-timeout ends a run, its status is 4");
        }
        Ok(line)
    }

    /// Tries again until the server is there: a wait, of which the connection is then certain.
    fn await_first(&self, wire: &Wire, line: &mut Line, told: &mut Told) {
        let again = &wire.again;
        let value = |name: &str| again.iter().find(|given| given.name == name).map(Given::value);
        let number = |text: String| text.parse::<u32>().ok();
        let forever = again
            .iter()
            .any(|given| given.name == "forever" && given.value.text != "0");
        let Some(tries) = value("retry")
            .and_then(number)
            .filter(|tries| *tries > 0)
            .or(forever.then_some(u32::MAX))
        else {
            return;
        };
        if wire.end.kind == Kind::Udp {
            again
                .iter()
                .for_each(|given| given.lose(told, "a UDP port that is open says nothing"));
            return;
        }
        let interval = value("interval").and_then(|text| units::duration(&text).ok());
        let interval = interval
            .filter(|time| !time.is_zero())
            .unwrap_or(std::time::Duration::from_secs(1));
        line.await_first = [
            wire.end.client(),
            "--interval".into(),
            times(interval, 1),
            "--timeout".into(),
            times(interval, tries),
        ]
        .into();
        told.note("wait makes a connection of its own first, and begins with short intervals; connect then tries once");
    }

    fn serving(&self, line: &mut Line, wire: &Wire) {
        line.flag(
            "--max-connections",
            wire.most.as_ref().map(Given::value).as_deref(),
        );
        for (flag, block) in &wire.access {
            line.flag(flag, Some(block));
        }
        line.flag("--user", wire.user.as_deref());
        line.flag("--chroot", wire.chroot.as_deref());
    }

    fn common(&self, line: &mut Line, told: &mut Told) {
        line.flag("--idle-timeout", self.idle.as_deref());
        match (self.data, self.talk) {
            (true, _) => line.word("-vv"),
            (false, 2..) => line.word("-v"),
            _ => {}
        }
        line.flag("--log-file", self.log_file.as_deref());
        match (&self.name, self.syslog && self.log_file.is_none()) {
            // The value is optional, so it stands in the same word.
            (Some(name), true) => line.word(format!("--syslog={name}")),
            (None, true) => line.word("--syslog"),
            (Some(name), false) => told.lose(format!("-lp{name}"), "it is a name in the system's log"),
            (None, false) => {}
        }
    }
}
