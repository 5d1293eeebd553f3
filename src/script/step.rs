//! What a script is made of: steps, the texts in them, expectations, facts; each with the place it was written at.
//! Absent: how it is written (`grammar`, `written`), whether it makes sense (`check`), and doing it (`play`).

use std::time::Duration;

use crate::diagnostic::Span;

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// Which file, as an index into [`super::Script::sources`].
    pub source: usize,
    /// The line, from 1.
    pub line: usize,
    /// The bytes of that file.
    pub span: Span,
}

/// The name of a part, a connection, a door or a variable. A script gives each name to one kind of thing.
#[derive(Debug, Clone)]
pub struct Name {
    /// A letter or `_`, then letters, digits and `_`; ASCII.
    pub text: String,
    /// Where it was written.
    pub place: Place,
}

/// The letters decide; where they were written does not.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

/// Bytes with variables in them: a quoted text, an endpoint, a word of a command. Escapes are undone.
#[derive(Debug, Clone)]
pub struct Text {
    /// In order; no piece of bytes is empty, and no two of them stand side by side.
    pub pieces: Vec<Piece>,
    /// Where it was written, quotes included.
    pub place: Place,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Eq for Text {}

impl Text {
    /// The bytes, if no variable is among them.
    #[must_use]
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(&[]),
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As they are.
    Bytes(Vec<u8>),
    /// What a variable holds when the step is played.
    Variable(Variable),
}

/// `$NAME`, `$lines.port`, `$alice.tls.version`, `$env.HOME`.
#[derive(Debug, Clone)]
pub struct Variable {
    /// What it is of.
    pub of: Holder,
    /// Where it was written, dollar included.
    pub place: Place,
}

impl PartialEq for Variable {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl Eq for Variable {}

/// Who holds the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// `$TMP`: the script's own temporary directory.
    Temporary,
    /// `$DIR`: the directory that the file with this line is in.
    Directory,
    /// `$env.NAME`: the environment that `run` was started in; a script that names what is not set there is refused.
    Environment(String),
    /// `$NAME`: what `set` or a group of a regex left there; of a part or a door, its first client endpoint string.
    Named(String),
    /// `$NAME.FIELD`: of a part, a door or a connection.
    Field(String, Field),
}

/// What can be asked of a part, a door or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `.1`, `.2`: of a part or a door, the client endpoint string of its n-th endpoint, from 1.
    Endpoint(usize),
    /// `.host`: of a part or a door, the host of its first endpoint.
    Host,
    /// `.port`: of a part or a door, the port of its first endpoint.
    Port,
    /// Of a connection.
    Fact(Fact),
}

/// What is known of a connection. One that is not known, such as the cipher where there is no TLS, is an empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// `peer`: the address of the other end, `127.0.0.1:80`; the real client's behind a PROXY header.
    Peer,
    /// `peer.host`: its address without the port.
    PeerHost,
    /// `peer.port`.
    PeerPort,
    /// `peer.name`: the first name in the peer's certificate.
    PeerName,
    /// `peer.names`: all names in it, with a space between them.
    PeerNames,
    /// `local`: the address of our end.
    Local,
    /// `local.host`.
    LocalHost,
    /// `local.port`.
    LocalPort,
    /// `via`: the address of the proxy in between, where a PROXY header told us who speaks.
    Via,
    /// `tls.version`: `TLS 1.2` or `TLS 1.3`.
    TlsVersion,
    /// `tls.cipher`: the registered name.
    TlsCipher,
    /// `tls.alpn`: the application protocol agreed on.
    TlsAlpn,
    /// `tls.servername`: the name the client asked for.
    TlsServerName,
    /// `tls.resumed`: `yes` or `no`.
    TlsResumed,
}

impl Fact {
    /// Every fact, as it stands in the manual.
    pub const ALL: [Fact; 14] = [
        Fact::Peer,
        Fact::PeerHost,
        Fact::PeerPort,
        Fact::PeerName,
        Fact::PeerNames,
        Fact::Local,
        Fact::LocalHost,
        Fact::LocalPort,
        Fact::Via,
        Fact::TlsVersion,
        Fact::TlsCipher,
        Fact::TlsAlpn,
        Fact::TlsServerName,
        Fact::TlsResumed,
    ];

    /// What stands behind the name of the connection and a dot.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fact::Peer => "peer",
            Fact::PeerHost => "peer.host",
            Fact::PeerPort => "peer.port",
            Fact::PeerName => "peer.name",
            Fact::PeerNames => "peer.names",
            Fact::Local => "local",
            Fact::LocalHost => "local.host",
            Fact::LocalPort => "local.port",
            Fact::Via => "via",
            Fact::TlsVersion => "tls.version",
            Fact::TlsCipher => "tls.cipher",
            Fact::TlsAlpn => "tls.alpn",
            Fact::TlsServerName => "tls.servername",
            Fact::TlsResumed => "tls.resumed",
        }
    }
}

/// One line that does something; a block is one step with steps in it.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// `within D`: the limit of this step alone, instead of the script's limit for each step.
    pub within: Option<Duration>,
    /// The whole line without indentation and comment; of a block its first line.
    pub place: Place,
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.action == other.action && self.within == other.within
    }
}

impl Eq for Step {}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `start NAME [within D]: serve ...`: runs a verb of ours, and goes on when all its endpoints are bound. A part that has
    /// the name already is stopped first.
    Start {
        /// Of the part.
        name: Name,
        /// The verb, which is one of [`super::VERBS`] and holds no variable, and its arguments.
        command: Vec<Text>,
    },
    /// `launch NAME: PROGRAM ...`: runs an outside program, without a shell, and goes on at once. A part that has the name
    /// already is stopped first.
    Launch {
        /// Of the part.
        name: Name,
        /// The program, looked up in `PATH`, and its arguments.
        command: Vec<Text>,
    },
    /// `stop NAME`: asks a part to end, insists after a grace, and waits until it is gone, however it ends.
    Stop {
        /// Of the part.
        name: Name,
    },
    /// `NAME exits [with status N]`: waits until a part has ended by itself, or was stopped.
    Exits {
        /// Of the part.
        name: Name,
        /// The status that it must end with; any, where none is given.
        status: Option<u8>,
    },
    /// `wait for ENDPOINT...`: waits until all of them accept, or with `to be gone` until none does.
    Wait {
        /// Client endpoints; at least one.
        endpoints: Vec<Text>,
        /// `to be gone`.
        gone: bool,
    },
    /// `connect NAME to ENDPOINT`, established to its last layer; or it has to fail.
    Connect {
        /// Of the connection; an earlier one of that name is closed first.
        name: Name,
        /// A client endpoint.
        endpoint: Text,
        /// `fails ...`: how it must not succeed. The name then stays without a connection.
        fails: Option<Failure>,
    },
    /// `listen NAME on ENDPOINT`: binds, and goes on.
    Listen {
        /// Of the door.
        name: Name,
        /// A server endpoint.
        endpoint: Text,
    },
    /// `accept NAME on DOOR`: waits for the next one that comes, and establishes it to its last layer.
    Accept {
        /// Of the connection; an earlier one of that name is closed first.
        name: Name,
        /// Of the door.
        door: Name,
        /// `fails ...`: how the handshake must not succeed.
        fails: Option<Failure>,
    },
    /// `NAME sends ...`: done when the system has taken all of it.
    Send {
        /// Of the connection.
        who: Name,
        /// What; with a CRLF behind it for `line`.
        payload: Payload,
        /// `line`.
        line: bool,
    },
    /// `NAME expects ...`.
    Expect {
        /// Of the connection.
        who: Name,
        /// What.
        what: Expectation,
    },
    /// `NAME ends`: half-close; what the peer still sends is read.
    End {
        /// Of the connection.
        who: Name,
    },
    /// `NAME closes`, both ways and in good order: the end is sent first, with TLS its close_notify.
    Close {
        /// Of the connection.
        who: Name,
    },
    /// `NAME resets`: the connection is torn down with a TCP reset.
    Reset {
        /// Of the connection.
        who: Name,
    },
    /// `check TEXT is TEXT`.
    Check {
        /// What is looked at.
        subject: Text,
        /// What has to be true of it.
        claim: Claim,
    },
    /// `set NAME to ...`.
    Set {
        /// Of the variable; an earlier value is replaced.
        name: Name,
        /// What it becomes.
        value: Value,
    },
    /// `sleep D`. No limit for steps counts, only the script's.
    Sleep(Duration),
    /// `repeat N times`, up to its `end`.
    Repeat {
        /// From 1 to [`super::REPEAT_MAX`].
        times: u32,
        /// At least one step.
        steps: Vec<Step>,
    },
    /// `parallel`, branches with `and` between them, `end`: all at once; done when all are, and the first failure
    /// ends all. One connection may be read in one branch and written in another.
    Parallel {
        /// From 2 to [`super::BRANCHES_MAX`], each with at least one step.
        branches: Vec<Vec<Step>>,
    },
    /// `include "FILE"`: its steps, in this place.
    Include {
        /// As it was written, relative to the file that it stands in; no variables.
        file: Text,
        /// What was read there; empty until it is.
        steps: Vec<Step>,
    },
}

/// What is sent, or expected byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// `"..."`, or a variable by itself.
    Text(Text),
    /// `hex 48 65 0a`.
    Hex(Vec<u8>),
    /// `file "..."`: its content when the step is played; relative to the file that the line stands in.
    File(Text),
}

/// What is expected of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Waits until this stands somewhere in the unread bytes, and reads through its end; what came before it is skipped.
    Contains(Payload),
    /// `exactly`: the next unread bytes are these.
    Exactly(Payload),
    /// `line "..."`: the next unread line, without its CRLF or LF, is this.
    Line(Text),
    /// `/.../`: as [`Expectation::Contains`]; groups with names become variables.
    Matches(Pattern),
    /// `close`: the peer ends in good order; unread bytes are a failure, with TLS a missing close_notify is one too.
    Close,
    /// `reset`: the connection is torn down; what came before it is skipped.
    Reset,
    /// `tls alert [NAME]`: the connection breaks because of an alert that the peer sent.
    Alert(Option<Word>),
    /// `silence for D`: nothing is unread, and nothing comes or ends for so long. No limit for steps counts.
    Silence(Duration),
}

/// A word out of a list, and where it stands.
#[derive(Debug, Clone)]
pub struct Word {
    /// As it was written.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Word {}

/// A regex over bytes. `${NAME}` in it is a variable whose value stands for itself, letter by letter.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The bytes of regex source, which are UTF-8, and variables.
    pub pieces: Vec<Piece>,
    /// The names of its groups, in order.
    pub groups: Vec<String>,
    /// Where it was written, slashes included.
    pub place: Place,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Eq for Pattern {}

/// What is claimed of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// `is`, `is not`.
    Is {
        /// The claim is that it is so.
        holds: bool,
        /// The same bytes.
        other: Text,
    },
    /// `contains`, `does not contain`.
    Contains {
        /// The claim is that it is so.
        holds: bool,
        /// These bytes, somewhere.
        other: Text,
    },
    /// `matches`, `does not match`. Groups with names become variables where it holds.
    Matches {
        /// The claim is that it is so.
        holds: bool,
        /// This, somewhere.
        pattern: Pattern,
    },
}

/// What a variable is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Text),
    /// `a free port`: a TCP port of the loopback address that nobody listens on now.
    FreePort,
}

/// How a connection must fail to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// `fails`: in any way but the step's time limit.
    Any,
    /// `fails with refused`: refused, unreachable, name not found; status 3.
    Refused,
    /// `fails with timeout`: the endpoint's own time limit; status 4.
    Timeout,
    /// `fails with tls`: the certificate or the handshake; status 5.
    Tls,
    /// `fails with reset`: lost on the way; status 8.
    Reset,
    /// `fails with /.../`: the reason, as an error line gives it, matches.
    Matching(Pattern),
}
