//! What the texts of a script come to when a step is played: variables put in, files read, patterns made.
//! Absent: who sets a variable.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::fault::Fault;
use super::stage::Stage;
use crate::endpoint::Role;
use crate::script::pattern::Compiled;
use crate::script::step::{Field, Holder, Pattern, Payload, Piece, Place, Text, Variable};
use crate::transport::reading::Reading;
use crate::units::size_text;
use crate::whole;

/// Bytes of a file that is sent.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of a text, once its variables are in it; so none of them holds more.
const TEXT_MAX: usize = 1024 * 1024;

impl Stage<'_> {
    pub(super) fn bytes(&self, text: &Text) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        for piece in &text.pieces {
            match piece {
                Piece::Bytes(piece) => bytes.extend_from_slice(piece),
                Piece::Variable(variable) => bytes.extend(self.value(variable, text.place)?),
            }
            if bytes.len() > TEXT_MAX {
                let why = format!("it comes to more than {}", size_text(TEXT_MAX as u64));
                return Err(Fault::new(text.place, why));
            }
        }
        Ok(bytes)
    }

    /// A text as a word of a command, or an endpoint.
    pub(super) fn word(&self, text: &Text) -> Result<OsString, Fault> {
        self.bytes(text).map(OsString::from_vec)
    }

    fn value(&self, variable: &Variable, place: Place) -> Result<Vec<u8>, Fault> {
        match &variable.of {
            Holder::Temporary => Ok(self.directory().as_os_str().as_bytes().to_vec()),
            Holder::Directory => Ok(self.script().folder(place).into_os_string().into_vec()),
            Holder::Environment(name) => std::env::var_os(name)
                .map(OsString::into_vec)
                .ok_or_else(|| Fault::new(place, format!("{name} is not set in the environment"))),
            Holder::Named(name) => match self.variable(name) {
                Some(value) => Ok(value),
                None => self.endpoint(name, 1, place).map(String::into_bytes),
            },
            Holder::Field(name, Field::Endpoint(number)) => {
                self.endpoint(name, *number, place).map(String::into_bytes)
            }
            Holder::Field(name, Field::Host) => self.field_of(name, "host", place),
            Holder::Field(name, Field::Port) => self.field_of(name, "port", place),
            Holder::Field(name, Field::Fact(fact)) => {
                let conversation = self.conversation(name, place)?;
                Ok(super::facts::fact(conversation.facts(), *fact).into_bytes())
            }
        }
    }

    /// The client endpoint of a part or a door.
    fn endpoint(&self, name: &str, number: usize, place: Place) -> Result<String, Fault> {
        let endpoints = self.endpoints(name);
        let found = number
            .checked_sub(1)
            .and_then(|place| endpoints.get(place))
            .cloned();
        found.ok_or_else(|| match endpoints.len() {
            0 => Fault::new(place, format!("{name} has no value yet")),
            count => Fault::new(place, format!("{name} has no endpoint {number}, but {count}")),
        })
    }

    /// A field of the first endpoint: host or port.
    fn field_of(&self, name: &str, field: &str, place: Place) -> Result<Vec<u8>, Fault> {
        let endpoint = self.endpoint(name, 1, place)?;
        let reading = Reading::parse(endpoint.as_ref(), Role::Client).ok();
        let layers = reading.map(|reading| reading.layers).unwrap_or_default();
        let value = layers
            .into_iter()
            .rev()
            .flat_map(|layer| layer.fields)
            .find(|found| found.name == field)
            .and_then(|found| found.value);
        value
            .map(String::into_bytes)
            .ok_or_else(|| Fault::new(place, format!("{name} has no {field}: it listens on {endpoint}")))
    }

    /// What is sent, or expected byte by byte.
    pub(super) async fn payload(&self, payload: &Payload) -> Result<Vec<u8>, Fault> {
        match payload {
            Payload::Text(text) => self.bytes(text),
            Payload::Hex(bytes) => Ok(bytes.clone()),
            Payload::File(text) => {
                let named = PathBuf::from(self.word(text)?);
                let path = self.script().folder(text.place).join(&named);
                // It may be a pipe, and the others go on meanwhile.
                let read = tokio::task::spawn_blocking(move || whole::read(&path, FILE_MAX)).await;
                let name = named.display().to_string().escape_debug().to_string();
                match read {
                    Ok(Ok(whole)) => Ok(whole.bytes),
                    Ok(Err(why)) => Err(Fault::new(text.place, format!("could not read {name}: {why}"))),
                    Err(_panicked) => Err(Fault::new(text.place, format!("could not read {name}"))),
                }
            }
        }
    }

    /// A pattern in which variables stand for themselves, letter by letter.
    pub(super) fn pattern(&self, pattern: &Pattern) -> Result<Compiled, Fault> {
        let mut failed = None;
        let built = pattern.regex(|variable| match self.value(variable, pattern.place) {
            Ok(value) => Some(value),
            Err(fault) => {
                failed = Some(fault);
                None
            }
        });
        match failed {
            Some(fault) => Err(fault),
            None => built.map_err(|why| Fault::new(pattern.place, why)),
        }
    }
}
