//! From an endpoint string to the end of a wire that it names: `ClientEndpoint`, `ServerEndpoint`; and `Reading`, what
//! a string means, for `explain`.
//! Absent: the types themselves; all that is known of them stands in their tables.

use std::ffi::OsStr;

use super::{Binder, Bound, Connector, TRANSPORTS, Transport, wrapped};
use crate::connection::{BoxFuture, Connection, Dial, Facts};
use crate::diagnostic::listed;
use crate::endpoint::{Args, Kind, MAX_DEPTH, Param, Refused, Role, Spec, ValueKind, usage};
use crate::error::Result;
use crate::layer::{WRAPPERS, Wrapper};
use crate::need::Need;

/// A client endpoint, read and checked. Nothing is open yet.
#[derive(Debug)]
pub struct ClientEndpoint {
    text: String,
    type_name: &'static str,
    connector: Box<dyn Connector>,
}

impl ClientEndpoint {
    /// Reads a command-line argument as a client endpoint.
    ///
    /// # Errors
    /// Why the string is refused, and where in it.
    pub fn parse(text: &OsStr) -> Result<Self, Refused> {
        let spec = Spec::parse_os(text)?;
        let (connector, transport) = connector(&spec)?;
        Ok(ClientEndpoint {
            text: spec.source.to_string(),
            type_name: transport.name,
            connector,
        })
    }

    /// The string as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Who can look at the certificates of the far end; `None` where nobody is verified by one.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn doctor(&self) -> Option<&dyn super::Doctor> {
        self.connector.doctor()
    }

    /// Whether it opens datagrams rather than connections of bytes, as far as is known before.
    #[must_use]
    pub fn carries_datagrams(&self) -> bool {
        self.connector.carries_datagrams()
    }

    /// Opens a connection of our own, established to its last layer.
    ///
    /// # Errors
    /// Status 3, 4 or 5, naming the endpoint.
    pub async fn connect(&self) -> Result<Connection> {
        self.connect_for(None).await
    }

    /// Opens a connection on behalf of another one, of which `client` is known: a PROXY header tells the other end.
    ///
    /// # Errors
    /// As [`ClientEndpoint::connect`].
    pub async fn connect_for(&self, client: Option<&Facts>) -> Result<Connection> {
        self.connector
            .connect(client)
            .await
            .map_err(|error| error.on(format!("could not connect to {}", shown(&self.text))))
    }
}

/// An endpoint connects like what it names; its errors name it.
impl Connector for ClientEndpoint {
    fn connect<'a>(&'a self, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(self.connect_for(client))
    }

    fn carries_datagrams(&self) -> bool {
        self.connector.carries_datagrams()
    }

    fn needs(&self) -> Vec<Need> {
        self.connector.needs()
    }
}

/// Dials every kind of client endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Dialler;

impl Dial for Dialler {
    fn dial(&self, endpoint: Spec) -> BoxFuture<'static, Result<Connection>> {
        Box::pin(async move {
            let (connector, _) = connector(&endpoint)?;
            let connected = connector.connect(None).await;
            connected
                .map_err(|error| error.on(format!("could not connect to {}", shown(&endpoint.to_string()))))
        })
    }

    fn needs(&self, endpoint: &Spec) -> Vec<Need> {
        let own = connector(endpoint).map_or(Vec::new(), |(connector, _)| connector.needs());
        [vec![Need::Dial], own].concat()
    }
}

/// What opens the connections of a client endpoint, which may stand in another one.
pub(super) fn connector(spec: &Spec) -> Result<(Box<dyn Connector>, &'static Transport), Refused> {
    let Unwrapped {
        wrappers,
        spec,
        transport,
        args,
    } = unwrap(spec, Role::Client)?;
    let Some(role) = &transport.client else {
        return Err(other_end(&spec, Row::Transport(transport), Role::Client));
    };
    let connector = (role.connector)(&args)?;
    Ok((wrapped::connector(connector, &wrappers, &spec)?, transport))
}

/// What takes the address of a server endpoint.
fn binder(spec: &Spec) -> Result<(Box<dyn Binder>, &'static Transport), Refused> {
    let Unwrapped {
        wrappers,
        spec,
        transport,
        args,
    } = unwrap(spec, Role::Server)?;
    let Some(role) = &transport.server else {
        return Err(other_end(&spec, Row::Transport(transport), Role::Server));
    };
    let binder = (role.binder)(&args)?;
    Ok((wrapped::binder(binder, &wrappers, &spec)?, transport))
}

/// A server endpoint, read and checked. Nothing is bound yet.
#[derive(Debug)]
pub struct ServerEndpoint {
    text: String,
    type_name: &'static str,
    binder: Box<dyn Binder>,
}

impl ServerEndpoint {
    /// Reads a command-line argument as a server endpoint.
    ///
    /// # Errors
    /// Why the string is refused, and where in it.
    pub fn parse(text: &OsStr) -> Result<Self, Refused> {
        let spec = Spec::parse_os(text)?;
        let (binder, transport) = binder(&spec)?;
        Ok(ServerEndpoint {
            text: spec.source.to_string(),
            type_name: transport.name,
            binder,
        })
    }

    /// The string as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Whether datagrams arrive there rather than connections of bytes.
    #[must_use]
    pub fn carries_datagrams(&self) -> bool {
        self.binder.carries_datagrams()
    }

    /// Binds the endpoint.
    ///
    /// # Errors
    /// Status 7, naming the endpoint.
    pub fn bind(&self) -> Result<Box<dyn Bound>> {
        self.binder
            .bind()
            .map_err(|error| error.on(format!("could not bind {}", shown(&self.text))))
    }
}

/// What a string means in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The role.
    pub role: Role,
    /// The layers, the outermost first; the last one is the transport.
    pub layers: Vec<Layer>,
    /// The canonical spelling.
    pub canonical: String,
}

/// One layer of a [`Reading`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The name of its type.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// Its fields, in the order of its table.
    pub fields: Vec<FieldReading>,
}

/// One field of a [`Layer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReading {
    /// Its name.
    pub name: &'static str,
    /// Its value; `None` where it has neither been given nor a default.
    pub value: Option<String>,
    /// Whether the string gave it.
    pub given: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl Reading {
    /// Reads a string in one role. Opens nothing.
    ///
    /// # Errors
    /// Why the string is refused in that role, and where in it.
    pub fn parse(text: &OsStr, role: Role) -> Result<Self, Refused> {
        let spec = Spec::parse_os(text)?;
        // Made and thrown away: checks across fields belong to the maker.
        match role {
            Role::Client => connector(&spec).map(drop)?,
            Role::Server => binder(&spec).map(drop)?,
        }
        let read = unwrap(&spec, role)?;
        let mut layers = Vec::new();
        lay(&read, &mut layers)?;
        let mut canonical = String::new();
        for (wrapper, args) in &read.wrappers {
            canonical.push_str(&spelled(args, wrapper.name));
            canonical.push(':');
        }
        canonical.push_str(&spelled(&read.args, read.transport.name));
        Ok(Reading {
            role,
            layers,
            canonical,
        })
    }
}

/// Puts down the layers of an endpoint, and then of the one that it is spoken on, if it names one.
fn lay(read: &Unwrapped, layers: &mut Vec<Layer>) -> Result<(), Refused> {
    for (wrapper, args) in &read.wrappers {
        layers.push(layer(wrapper.name, wrapper.summary, args));
    }
    layers.push(layer(read.transport.name, read.transport.summary, &read.args));
    for entry in read.args.entries() {
        if entry.param.value == ValueKind::Endpoint
            && let Some(inner) = read.args.endpoint(entry.param.name)?
        {
            lay(&unwrap(&inner, Role::Client)?, layers)?;
        }
    }
    Ok(())
}

fn layer(name: &'static str, summary: &'static str, args: &Args) -> Layer {
    let fields = args
        .entries()
        .map(|entry| FieldReading {
            name: entry.param.name,
            value: entry.text.map(str::to_owned),
            given: entry.given,
            doc: entry.param.doc,
        })
        .collect();
    Layer {
        name,
        summary,
        fields,
    }
}

fn spelled(args: &Args, name: &str) -> String {
    let mut spec = args.spec().clone();
    spec.name.text = name.to_owned();
    spec.to_string()
}

/// An endpoint string taken apart: the wrappers, from the left, and the endpoint that they stand before.
struct Unwrapped {
    wrappers: Vec<(&'static Wrapper, Args)>,
    spec: Spec,
    transport: &'static Transport,
    args: Args,
}

/// Takes the wrappers off an endpoint and reads the fields of them all.
fn unwrap(spec: &Spec, role: Role) -> Result<Unwrapped, Refused> {
    let mut spec = spec.clone();
    let mut wrappers = Vec::new();
    loop {
        let name = spec.type_name();
        if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
            let (outer, inner) = spec.split_wrapper();
            wrappers.push((*wrapper, read(&outer, Row::Wrapper(wrapper), role)?));
            spec = inner.ok_or_else(|| alone(&outer, wrapper))?;
            if spec.depth > MAX_DEPTH {
                return Err(spec.too_deep(spec.name.span));
            }
            continue;
        }
        let Some(transport) = TRANSPORTS.iter().find(|transport| transport.name == name) else {
            let known = TRANSPORTS.iter().map(|transport| transport.name);
            let refused = spec.unknown_type(known.chain(WRAPPERS.iter().map(|wrapper| wrapper.name)));
            return Err(match typeless(&spec, role) {
                Some(meant) if refused.diagnostic.help.is_none() => {
                    refused.help(format!("a string begins with its type: `{meant}`"))
                }
                _ => refused,
            });
        };
        let args = read(&spec, Row::Transport(transport), role)?;
        return Ok(Unwrapped {
            wrappers,
            spec,
            transport,
            args,
        });
    }
}

fn alone(spec: &Spec, wrapper: &Wrapper) -> Refused {
    let message = format!("{} stands before an endpoint, and none follows", wrapper.name);
    spec.refuse(Kind::WrapperAlone, spec.name.span, message)
        .help(format!("write it as {}:ENDPOINT", wrapper.name))
}

/// A type in its table, transport or wrapper.
#[derive(Clone, Copy)]
enum Row {
    Transport(&'static Transport),
    Wrapper(&'static Wrapper),
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Transport(transport) => transport.name,
            Row::Wrapper(wrapper) => wrapper.name,
        }
    }

    fn params(self, role: Role) -> Option<&'static [Param]> {
        match self {
            Row::Transport(transport) => transport.params(role),
            Row::Wrapper(wrapper) => wrapper.params(role),
        }
    }
}

/// Reads the fields; where they make sense for the other end of the wire alone, says that rather than what is missing.
fn read(spec: &Spec, row: Row, role: Role) -> Result<Args, Refused> {
    let Some(wanted) = row.params(role) else {
        return Err(other_end(spec, row, role));
    };
    let refused = match Args::read(spec, role, wanted) {
        Ok(args) => return Ok(args),
        Err(refused) => refused,
    };
    let Some(others) = row.params(role.other()) else {
        return Err(refused);
    };
    match refused.kind {
        // An unknown name is the surest sign of what is wrong, whatever else may be.
        Kind::UnknownArgument => {
            let span = refused.diagnostic.span;
            let name = spec.source.get(span.start..span.end).unwrap_or_default();
            if others.iter().any(|param| param.answers_to(name)) {
                let note = format!("`{name}` is for a {} {} endpoint", row.name(), role.other());
                return Err(refused.help(note));
            }
            Err(refused)
        }
        Kind::MissingArgument | Kind::TooManyArguments | Kind::NotAnInteger
            if Args::read(spec, role.other(), others).is_ok() =>
        {
            let needed: Vec<_> = wanted
                .iter()
                .filter(|param| param.is_required())
                .map(|param| param.name)
                .collect();
            let message = format!(
                "{} is a {} endpoint: a {role} {} endpoint needs {}",
                shown(
                    spec.source
                        .get(spec.span.start..spec.span.end)
                        .unwrap_or(&spec.source)
                ),
                role.other(),
                row.name(),
                listed(&needed, "and"),
            );
            let mut wrong = spec.refuse(Kind::WrongRole, refused.diagnostic.span, message);
            wrong = wrong.help(format!("write it as {}", usage(row.name(), wanted)));
            Err(wrong)
        }
        _ => Err(refused),
    }
}

fn other_end(spec: &Spec, row: Row, role: Role) -> Refused {
    let message = format!(
        "there is no {role} {} endpoint, only a {} one",
        row.name(),
        role.other()
    );
    spec.refuse(Kind::WrongRole, spec.name.span, message)
}

/// What a string that lacks its type may be meant as: a path, or what other tools take for TCP.
fn typeless(spec: &Spec, role: Role) -> Option<String> {
    let text = &*spec.source;
    let meant = if text.starts_with(['/', '.']) {
        format!("unix:{text}")
    } else {
        format!("tcp:{}", text.trim_start_matches(':'))
    };
    Reading::parse(OsStr::new(&meant), role).is_ok().then_some(meant)
}

/// A user's text within a line of a message.
#[must_use]
pub fn shown(text: &str) -> String {
    /// Longer strings are cut: the picture below the message shows where it matters.
    const MOST: usize = 120;
    let mut line: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line.replace("\\\\", "\\")
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}
