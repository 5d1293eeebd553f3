//! `explain`: what an endpoint string means, as client and as server.
//! Absent: opening anything.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::report::print;
use crate::cli::complete;
use netkit::endpoint::{Kind, Refused, Role};
use netkit::error::{Error, Result, Status};
use netkit::transport::reading::{Layer, Reading};

const EXAMPLES: &str = "\
Examples:
  netkit explain tcp:1234
  netkit explain --json 'tcp:[::1]:80:timeout=5s'";

/// Show how an endpoint string is read, as client and as server
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Explain {
    /// Any endpoint string; nothing is opened
    #[arg(value_name = "ENDPOINT", add = complete::either())]
    endpoint: OsString,
    /// Print the same as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Status 0 where the string is valid in some role, otherwise the error.
    pub(super) fn run(self) -> Result<Status> {
        let readings = Role::ALL.map(|role| (role, Reading::parse(&self.endpoint, role)));
        if self.json {
            let object: serde_json::Map<_, _> = readings
                .iter()
                .map(|(role, reading)| (role.to_string(), as_json(reading)))
                .collect();
            print(format!("{:#}\n", Value::Object(object)).as_bytes())?;
        } else if readings.iter().any(|(_, reading)| reading.is_ok()) {
            let parts: Vec<_> = readings
                .iter()
                .map(|(role, reading)| as_text(*role, reading))
                .collect();
            print(parts.join("\n").as_bytes())?;
        }
        if readings.iter().any(|(_, reading)| reading.is_ok()) {
            return Ok(Status::Done);
        }
        // Valid in no role: the reason that says most. That something is missing, or that this is the other end, may only
        // mean that the string was read for the wrong role.
        let says_little = |kind: Kind| matches!(kind, Kind::WrongRole | Kind::MissingArgument);
        let mut refused: Vec<Refused> = readings
            .into_iter()
            .filter_map(|(_, reading)| reading.err())
            .collect();
        refused.sort_by_key(|refused| says_little(refused.kind));
        match refused.into_iter().next() {
            Some(refused) => Err(refused.into()),
            None => Err(Error::new(Status::Usage, "no endpoint")),
        }
    }
}

fn as_text(role: Role, reading: &Result<Reading, Refused>) -> String {
    match reading {
        Err(refused) => format!("not a {role} endpoint: {}\n", refused.diagnostic.message),
        Ok(reading) => {
            let mut text = format!("{role} endpoint {}\n", reading.canonical);
            for (depth, layer) in reading.layers.iter().enumerate() {
                write_layer(&mut text, layer, depth + 1);
            }
            text
        }
    }
}

fn write_layer(text: &mut String, layer: &Layer, depth: usize) {
    let indent = "  ".repeat(depth);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{indent}{}: {}", layer.name, layer.summary);
    let names = layer
        .fields
        .iter()
        .map(|field| field.name.len())
        .max()
        .unwrap_or(0);
    let values = layer
        .fields
        .iter()
        .map(|field| shown(&field.value).chars().count())
        .max()
        .unwrap_or(0);
    for field in &layer.fields {
        let origin = match (field.given, &field.value) {
            (true, _) => "given",
            (false, Some(_)) => "default",
            (false, None) => "not set",
        };
        let value = shown(&field.value);
        let _ = writeln!(
            text,
            "{indent}  {:names$}  {value:values$}  {origin:7}  {}",
            field.name, field.doc
        );
    }
}

/// A value on one line, whatever it holds.
fn shown(value: &Option<String>) -> String {
    value
        .as_ref()
        .map_or_else(|| "-".into(), |value| value.escape_debug().to_string())
}

fn as_json(reading: &Result<Reading, Refused>) -> Value {
    match reading {
        Err(refused) => {
            let diagnostic = &refused.diagnostic;
            json!({
                "valid": false,
                "kind": refused.kind.code(),
                "message": diagnostic.message,
                "span": [diagnostic.span.start, diagnostic.span.end],
                "help": diagnostic.help,
            })
        }
        Ok(reading) => {
            let layers: Vec<Value> = reading
                .layers
                .iter()
                .map(|layer| {
                    let fields: serde_json::Map<_, _> = layer
                        .fields
                        .iter()
                        .map(|field| {
                            (
                                field.name.to_owned(),
                                json!({ "value": field.value, "given": field.given }),
                            )
                        })
                        .collect();
                    json!({ "type": layer.name, "fields": fields })
                })
                .collect();
            json!({ "valid": true, "canonical": reading.canonical, "layers": layers })
        }
    }
}
