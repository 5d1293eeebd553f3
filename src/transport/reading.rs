//! From an endpoint string to the end of a wire that it names: `ClientEndpoint`, `ServerEndpoint`; and `Reading`, what
//! a string means, for `explain`.
//! Absent: the types themselves; all that is known of them stands in their tables.

use std::ffi::OsStr;

use super::{Binder, Bound, Connector, TRANSPORTS, Transport};
use crate::connection::Connection;
use crate::diagnostic::listed;
use crate::endpoint::{Args, Kind, Param, Refused, Role, Spec, ValueKind, usage};
use crate::error::{Error, Result, Status};

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

    /// Opens a connection to look at who answers, and to say nothing: they are not verified.
    ///
    /// # Errors
    /// Status 2 where this kind of endpoint verifies nobody; else as [`ClientEndpoint::connect`].
    pub async fn look(&self) -> Result<Connection> {
        let could_not = |error: Error| error.on(format!("could not look at {}", shown(&self.text)));
        match self.connector.look() {
            Some(connection) => connection.await.map_err(could_not),
            None => {
                let why = format!("a {} endpoint has no certificate", self.type_name);
                Err(could_not(Error::new(Status::Usage, why)))
            }
        }
    }

    /// Opens a connection, established to its last layer.
    ///
    /// # Errors
    /// Status 3, 4 or 5, naming the endpoint.
    pub async fn connect(&self) -> Result<Connection> {
        self.connector
            .connect()
            .await
            .map_err(|error| error.on(format!("could not connect to {}", shown(&self.text))))
    }
}

/// What opens the connections of a client endpoint, which may stand in another one.
pub(super) fn connector(spec: &Spec) -> Result<(Box<dyn Connector>, &'static Transport), Refused> {
    let transport = transport(spec)?;
    let args = read(spec, transport, Role::Client)?;
    match &transport.client {
        Some(role) => Ok(((role.connector)(&args)?, transport)),
        None => Err(other_end(spec, transport, Role::Client)),
    }
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
        let transport = transport(&spec)?;
        let args = read(&spec, transport, Role::Server)?;
        let Some(role) = &transport.server else {
            return Err(other_end(&spec, transport, Role::Server));
        };
        let binder = (role.binder)(&args)?;
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
        let transport = transport(&spec)?;
        let mut layers = Vec::new();
        lay(&spec, role, &mut layers)?;
        Ok(Reading {
            role,
            layers,
            canonical: canonical(spec, transport),
        })
    }
}

/// Puts down an endpoint, and then the one that it is spoken on, if it names one.
fn lay(spec: &Spec, role: Role, layers: &mut Vec<Layer>) -> Result<(), Refused> {
    let transport = transport(spec)?;
    let args = read(spec, transport, role)?;
    // Made and thrown away: checks across fields belong to the maker.
    match role {
        Role::Client => {
            if let Some(client) = &transport.client {
                (client.connector)(&args)?;
            }
        }
        Role::Server => {
            if let Some(server) = &transport.server {
                (server.binder)(&args)?;
            }
        }
    }
    let fields = args
        .entries()
        .map(|entry| FieldReading {
            name: entry.param.name,
            value: entry.text.map(str::to_owned),
            given: entry.given,
            doc: entry.param.doc,
        })
        .collect();
    layers.push(Layer {
        name: transport.name,
        summary: transport.summary,
        fields,
    });
    for entry in args.entries() {
        if entry.param.value == ValueKind::Endpoint
            && let Some(inner) = args.endpoint(entry.param.name)?
        {
            lay(&inner, Role::Client, layers)?;
        }
    }
    Ok(())
}

fn canonical(mut spec: Spec, transport: &Transport) -> String {
    spec.name.text = transport.name.to_owned();
    spec.to_string()
}

fn transport(spec: &Spec) -> Result<&'static Transport, Refused> {
    let name = spec.type_name();
    match TRANSPORTS.iter().find(|transport| transport.name == name) {
        Some(transport) => Ok(transport),
        None => Err(spec.unknown_type(TRANSPORTS.iter().map(|transport| transport.name))),
    }
}

fn params(transport: &Transport, role: Role) -> Option<&'static [Param]> {
    match role {
        Role::Client => transport.client.as_ref().map(|client| client.params),
        Role::Server => transport.server.as_ref().map(|server| server.params),
    }
}

/// Reads the fields; where they make sense for the other end of the wire alone, says that rather than what is missing.
fn read(spec: &Spec, transport: &'static Transport, role: Role) -> Result<Args, Refused> {
    let Some(wanted) = params(transport, role) else {
        return Err(other_end(spec, transport, role));
    };
    let refused = match Args::read(spec, role, wanted) {
        Ok(args) => return Ok(args),
        Err(refused) => refused,
    };
    let Some(others) = params(transport, role.other()) else {
        return Err(refused);
    };
    match refused.kind {
        // An unknown name is the surest sign of what is wrong, whatever else may be.
        Kind::UnknownArgument => {
            let span = refused.diagnostic.span;
            let name = spec.source.get(span.start..span.end).unwrap_or_default();
            if others.iter().any(|param| param.answers_to(name)) {
                let note = format!("`{name}` is for a {} {} endpoint", transport.name, role.other());
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
                shown(&spec.source),
                role.other(),
                transport.name,
                listed(&needed, "and"),
            );
            let mut wrong = spec.refuse(Kind::WrongRole, refused.diagnostic.span, message);
            wrong = wrong.help(format!("write it as {}", usage(transport.name, wanted)));
            Err(wrong)
        }
        _ => Err(refused),
    }
}

fn other_end(spec: &Spec, transport: &Transport, role: Role) -> Refused {
    let message = format!(
        "there is no {role} {} endpoint, only a {} one",
        transport.name,
        role.other()
    );
    spec.refuse(Kind::WrongRole, spec.name.span, message)
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
