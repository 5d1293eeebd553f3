//! The conformance vectors of `tests/vectors/parse.json`: what Twisted does with a string, and what netkit does.
//! Absent: connecting and binding; a string is read, and nothing is opened.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state their expectations by panicking"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;

use netkit::endpoint::{Args, Kind, Param, Refused, Role, Spec};
use netkit::layer::WRAPPERS;
use netkit::transport::TRANSPORTS;
use netkit::transport::reading::Reading;
use serde_json::Value;

/// Where netkit's language decides otherwise than Twisted, and why. No vector departs without standing here.
const DEPARTURES: &[(&str, &str)] = &[
    (
        "p-syntax-036",
        "of two values for one keyword, none is more right than the other",
    ),
    (
        "p-syntax-037",
        "of two values for one keyword, none is more right than the other",
    ),
    (
        "p-syntax-041",
        "brackets are how an IPv6 address is written everywhere else",
    ),
    (
        "p-client-009",
        "positionals beyond the second are not forgotten: the third is the timeout",
    ),
    ("p-client-010", "a keyword does not lose to a positional silently"),
    ("p-client-012", "a port is ASCII digits, without blanks"),
    ("p-client-013", "a port is ASCII digits, without a sign"),
    ("p-client-014", "ranges are checked when the string is read"),
    ("p-client-015", "ranges are checked when the string is read"),
    ("p-client-016", "nothing listens on port 0"),
    (
        "p-client-018",
        "an empty host is a forgotten variable, not this machine",
    ),
    ("p-client-023", "ranges are checked when the string is read"),
    ("p-client-030", "netkit has a stdio client"),
    ("p-client-034", "`checkPID=0` switches the check off, not on"),
    ("p-client-037", "an empty path names nothing"),
    (
        "p-client-052",
        "a private key without a certificate proves nothing to anybody",
    ),
    ("p-client-053", "what is not verified is not secure"),
    ("p-server-006", "`tcp` binds IPv4, `tcp6` binds IPv6"),
    ("p-server-014", "ranges are checked when the string is read"),
    (
        "p-server-015",
        "the case of a type's name does not count in either role",
    ),
    ("p-server-019", "`tcp` binds IPv4, `tcp6` binds IPv6"),
    ("p-server-020", "`tcp6` has the order of arguments that `tcp` has"),
    ("p-server-025", "permissions have no sign"),
    ("p-server-026", "a flag may be said in words"),
    ("p-server-027", "`path` is the name that the client side uses"),
    (
        "p-server-033",
        "the first argument of every server is its port; `certDir=` chooses by server name",
    ),
    ("p-server-034", "the first argument of every server is its port"),
    ("p-server-036", "surplus arguments are a mistake"),
    ("p-server-040", "descriptors are not counted from the end"),
    (
        "p-server-045",
        "what a wrapper hands on is not quoted again, so an escape is not lost",
    ),
];

/// The same cause under another name: a time may have fractions and units, so what is wrong with it is not that it is
/// no whole number.
const SAME_CAUSE: &[(&str, &str)] = &[("not-an-integer", "not-a-duration")];

/// A string read as one kind of endpoint: the arguments of every layer, from the outermost.
type Read = fn(Role, &str) -> Result<Vec<Args>, Refused>;

#[derive(Debug)]
struct Vector {
    id: String,
    input: String,
    role: String,
    stance: String,
    all: Value,
}

impl Vector {
    /// What netkit is to do: whether it takes the string, and the code if it does not.
    fn expected(&self) -> (bool, Option<&str>) {
        let outcome = if self.stance == "differ" {
            &self.all["netkit"]
        } else {
            &self.all
        };
        (outcome["ok"] == true, outcome["why"].as_str())
    }
}

fn vectors() -> Vec<Vector> {
    let all: Vec<Value> = serde_json::from_str(include_str!("vectors/parse.json")).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    all.into_iter()
        .map(|all| Vector {
            id: text(&all, "id"),
            input: text(&all, "input"),
            role: text(&all, "role"),
            stance: text(&all, "stance"),
            all,
        })
        .collect()
}

fn cut(input: &str) -> Result<Spec, Refused> {
    let spec = Spec::parse(input)?;
    spec.given_once()?;
    Ok(spec)
}

#[test]
fn every_departure_has_a_reason() {
    let departing: Vec<String> = vectors()
        .into_iter()
        .filter(|vector| vector.stance == "differ")
        .map(|vector| vector.id)
        .collect();
    let explained: Vec<&str> = DEPARTURES.iter().map(|(id, _)| *id).collect();
    assert_eq!(departing, explained);
}

#[test]
fn strings_are_cut_as_twisted_cuts_them() {
    for vector in vectors().iter().filter(|vector| vector.role == "syntax") {
        let id = &vector.id;
        let cut = cut(&vector.input);
        if let Err(refused) = &cut {
            assert_eq!(refused.diagnostic.picture().lines().count(), 2, "{id}");
        }
        let (ok, why) = vector.expected();
        match (vector.stance.as_str(), cut) {
            ("either", Err(_)) => {}
            ("either", Ok(_)) if !ok => {}
            (_, Err(refused)) => assert_eq!((ok, Some(refused.kind.code())), (false, why), "{id}"),
            (_, Ok(_)) if !ok => panic!("{id}: taken, although {why:?}"),
            ("differ", Ok(spec)) => {
                assert_eq!(
                    (id.as_str(), spec.to_string().as_str()),
                    ("p-syntax-041", "a:[::1]:80")
                );
            }
            (_, Ok(spec)) => {
                assert_eq!(Some(spec.name.text.as_str()), vector.all["type"].as_str(), "{id}");
                assert_eq!(positionals(&spec), strings(&vector.all["args"]), "{id}");
                assert_eq!(keywords(&spec), map(&vector.all["kwargs"]), "{id}");
                assert_eq!(Spec::parse(&spec.to_string()).unwrap(), spec, "{id}");
            }
        }
    }
}

fn positionals(spec: &Spec) -> Vec<String> {
    spec.fields
        .iter()
        .filter(|field| field.name.is_none())
        .map(|field| field.value.text.clone())
        .collect()
}

fn keywords(spec: &Spec) -> BTreeMap<String, String> {
    let named = spec
        .fields
        .iter()
        .filter_map(|field| Some((field.name.as_ref()?, &field.value)));
    named
        .map(|(name, value)| (name.text.clone(), value.text.clone()))
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

/// Which of netkit's arguments holds what Twisted's endpoint object calls so.
fn argument(role: Role, meaning: &str) -> Option<&'static str> {
    Some(match (role, meaning) {
        (_, "host") => "host",
        (_, "port") => "port",
        (_, "timeout") => "timeout",
        (_, "bind_address") => "bindAddress",
        (Role::Client, "path") => "path",
        (Role::Server, "path") => "address",
        (_, "check_pid") => "checkPID",
        (_, "interface") => "interface",
        (_, "backlog") => "backlog",
        (_, "mode") => "mode",
        (_, "lockfile") => "lockfile",
        (_, "domain") => "domain",
        _ => return None,
    })
}

fn has(args: &Args, name: &str) -> bool {
    args.entries().any(|entry| entry.param.answers_to(name))
}

/// Compares what Twisted's endpoint object says, as far as the string says it, with the arguments that were read.
fn compare(id: &str, role: Role, meaning: &Value, layers: &[Args]) {
    let mut meaning = meaning;
    let mut layers = layers.iter();
    let mut args = layers.next().unwrap();
    loop {
        let defaults = meaning["defaults"].as_array().cloned().unwrap_or_default();
        for (key, value) in meaning.as_object().unwrap() {
            let Some(name) = argument(role, key) else { continue };
            if defaults.contains(&Value::String(key.clone())) || !has(args, name) {
                continue;
            }
            let text = value.as_str().unwrap_or_default();
            let same = match key.as_str() {
                "port" => u64::from(args.port(name)) == value.as_u64().unwrap(),
                "backlog" => args.integer(name) == value.as_u64().unwrap(),
                "timeout" => args.duration(name).unwrap().as_secs() == value.as_u64().unwrap(),
                "lockfile" | "check_pid" => args.flag(name) == value.as_bool().unwrap(),
                "interface" => args.address(name) == text.parse().ok(),
                "mode" => format!("{:o}", args.mode(name)) == text,
                _ => args.text(name) == text,
            };
            assert!(
                same,
                "{id}: {key} is {value}, but {name} is {:?}",
                args.text_if(name)
            );
        }
        if let Some(ascii) = meaning["host_ascii"].as_str()
            && has(args, "host")
        {
            assert_eq!(args.host("host"), ascii, "{id}");
        }
        match &meaning["over"] {
            Value::Null => return,
            over => meaning = over,
        }
        // The TCP connection under Twisted's tls endpoint has no string of its own: netkit's tls holds its fields.
        args = layers.next().unwrap_or(args);
    }
}

fn check(read: Read) {
    for vector in vectors() {
        let id = &vector.id;
        let role = match vector.role.as_str() {
            "client" => Role::Client,
            "server" => Role::Server,
            _ => continue,
        };
        let (ok, why) = vector.expected();
        match (vector.stance.as_str(), read(role, &vector.input)) {
            (stance, Err(refused)) => {
                assert_eq!(refused.diagnostic.picture().lines().count(), 2, "{id}");
                if stance == "either" {
                    continue;
                }
                assert!(!ok, "{id}: refused: {refused:#}");
                let (code, why) = (refused.kind.code(), why.unwrap_or_default());
                // Where netkit alone refuses, the reason is not always a code.
                let known = !why.contains(' ');
                assert!(
                    !known || code == why || SAME_CAUSE.contains(&(why, code)),
                    "{id}: {code} is not {why}"
                );
            }
            ("either", Ok(_)) => {}
            (stance, Ok(layers)) => {
                assert!(ok, "{id}: taken, although {why:?}");
                if stance == "same" {
                    compare(id, role, &vector.all["meaning"], &layers);
                }
            }
        }
    }
}

/// What a type takes in a role.
fn table(role: Role, name: &str) -> Option<&'static [Param]> {
    if let Some(transport) = TRANSPORTS.iter().find(|transport| transport.name == name) {
        return match role {
            Role::Client => transport.client.as_ref().map(|client| client.params),
            Role::Server => transport.server.as_ref().map(|server| server.params),
        };
    }
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == name)?;
    wrapper.role(role).map(|wrapper| wrapper.params)
}

/// What a type that has landed asks of its arguments together. Made and thrown away; nothing is opened.
fn checked_as_a_whole(role: Role, args: &Args) -> Result<(), Refused> {
    let name = args.spec().type_name();
    let transport = TRANSPORTS.iter().find(|transport| transport.name == name);
    match role {
        Role::Client => match transport.and_then(|transport| transport.client.as_ref()) {
            Some(client) => (client.connector)(args).map(drop),
            None => Ok(()),
        },
        Role::Server => match transport.and_then(|transport| transport.server.as_ref()) {
            Some(server) => (server.binder)(args).map(drop),
            None => Ok(()),
        },
    }
}

fn read(role: Role, input: &str) -> Result<Vec<Args>, Refused> {
    let mut spec = Spec::parse(input)?;
    let mut layers = Vec::new();
    loop {
        let params = table(role, &spec.type_name()).ok_or_else(|| spec.unknown_type(["tcp", "tls"]))?;
        if spec.type_name() == "haproxy" {
            let (wrapper, inner) = spec.split_wrapper();
            layers.push(Args::read(&wrapper, role, params)?);
            spec = inner.ok_or_else(|| wrapper.refuse(Kind::WrapperAlone, wrapper.name.span, "alone"))?;
            continue;
        }
        let args = Args::read(&spec, role, params)?;
        checked_as_a_whole(role, &args)?;
        let inner = if has(&args, "endpoint") {
            args.endpoint("endpoint")?
        } else {
            None
        };
        layers.push(args);
        match inner {
            Some(inner) => spec = inner,
            None => return Ok(layers),
        }
    }
}

#[test]
fn strings_are_read_as_twisted_reads_them() {
    check(read);
}

#[test]
fn the_transports_judge_every_string_alike() {
    for vector in vectors() {
        let id = &vector.id;
        let role = match vector.role.as_str() {
            "client" => Role::Client,
            "server" => Role::Server,
            _ => continue,
        };
        let judged = Reading::parse(OsStr::new(&vector.input), role);
        match (judged, read(role, &vector.input)) {
            // The other end's type may be known by its name alone, or as what it is.
            (Err(theirs), Err(_)) if theirs.kind == Kind::WrongRole => {}
            (Err(theirs), Err(ours)) => assert_eq!(theirs.kind, ours.kind, "{id}"),
            (Ok(reading), Ok(layers)) => {
                let fields = layers
                    .iter()
                    .flat_map(Args::entries)
                    .map(|entry| (entry.param.name, entry.text));
                let read = reading.layers.iter().flat_map(|layer| &layer.fields);
                let read = read.map(|field| (field.name, field.value.as_deref()));
                assert!(fields.eq(read), "{id}: {reading:?}");
                assert_eq!(
                    Reading::parse(OsStr::new(&reading.canonical), role).unwrap(),
                    reading,
                    "{id}: the canonical spelling means something else"
                );
            }
            (theirs, ours) => panic!("{id}: the transports say {theirs:?}, the tables {ours:?}"),
        }
    }
}
