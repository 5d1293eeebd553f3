//! The log: what is worth a line, on standard error, in a file or in the system's log, as text or as JSON.
//! Absent: what is logged; and payload, which never comes here but escaped.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use super::log_file::LogFile;
use super::privileges::Identity;
use super::syslog::{self, Syslog};
use crate::error::{Error, Result, Status};

/// The target of lines that standard error gets in another form.
pub const FILE_ONLY: &str = "netkit::file";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

/// What is logged, how and where.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// -1: errors only; 0: listening endpoints and warnings; 1: connections; 2: data.
    pub verbosity: i8,
    /// How a line is written.
    pub format: Format,
    /// A file instead of standard error.
    pub file: Option<PathBuf>,
    /// The system's log instead of either, and the name that we have there.
    pub syslog: Option<String>,
    /// Colour on standard error.
    pub colour: bool,
    /// The target of lines that go to standard error wherever the log goes: whoever started us waits for them.
    pub always: &'static str,
}

/// The running log.
#[derive(Clone)]
pub struct Log(Arc<Sink>);

struct Sink {
    level: LevelFilter,
    format: Format,
    colour: bool,
    always: &'static str,
    keeper: Option<Keeper>,
    elsewhere: Mutex<Option<Box<Liner>>>,
}

/// Where lines go instead of standard error.
enum Keeper {
    File(LogFile),
    System(Syslog),
}

/// Takes a line that was for standard error, or says that it cannot.
type Liner = dyn Fn(&str) -> bool + Send + Sync;

impl Log {
    /// Opens the log and makes it the process's.
    ///
    /// # Errors
    /// Status 1: the file cannot be opened, or the process has a log already.
    pub fn start(settings: Settings) -> Result<Self> {
        let keeper = match (&settings.file, &settings.syslog) {
            (None, None) => None,
            (Some(path), _) => Some(Keeper::File(LogFile::open(path)?)),
            (None, Some(prefix)) => Some(Keeper::System(Syslog::open(Path::new(syslog::SOCKET), prefix)?)),
        };
        let level = match settings.verbosity {
            ..0 => LevelFilter::ERROR,
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            2.. => LevelFilter::TRACE,
        };
        let Settings {
            format,
            colour,
            always,
            ..
        } = settings;
        let sink = Arc::new(Sink {
            level,
            format,
            colour,
            always,
            keeper,
            elsewhere: Mutex::new(None),
        });
        tracing::subscriber::set_global_default(Registry::default().with(ToSink(Arc::clone(&sink))))
            .map_err(|error| Error::new(Status::Failure, error.to_string()).on("could not start the log"))?;
        Ok(Log(sink))
    }

    /// Opens the file anew, after it was moved away; says whether there is one.
    ///
    /// # Errors
    /// Status 1; the old file stays in use.
    pub fn reopen(&self) -> Result<bool> {
        self.file().map_or(Ok(false), |log| log.reopen().map(|()| true))
    }

    /// Holds on to the directory of the file, where it is found from now on: the process is about to get another root,
    /// in which its path leads elsewhere.
    ///
    /// # Errors
    /// Status 1: the directory cannot be opened.
    pub fn keep_directory(&self) -> Result<()> {
        self.file().map_or(Ok(()), LogFile::keep_directory)
    }

    /// Gives the file, if we have made it, to whom we are about to become.
    ///
    /// # Errors
    /// What the system says.
    pub fn give(&self, identity: Identity) -> io::Result<()> {
        let (user, group) = identity.owner();
        self.file().map_or(Ok(()), |log| log.give(user, group))
    }

    /// Whether the file can be opened anew by who we are now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_reopening(&self) -> io::Result<()> {
        self.file().map_or(Ok(()), LogFile::check_reopening)
    }

    /// Gives lines for standard error to `liner`, who knows how to show them where it leads, until that is dropped.
    /// Those it does not take go to standard error all the same.
    pub fn divert(&self, liner: impl Fn(&str) -> bool + Send + Sync + 'static) -> Diverted {
        *self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(liner));
        Diverted(Arc::clone(&self.0))
    }

    /// Whether the log goes to a file.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.file().is_some()
    }

    /// The file that SIGHUP opens anew.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file().map(LogFile::absolute)
    }

    /// Whether the log goes to standard error alone.
    #[must_use]
    pub fn is_on_standard_error(&self) -> bool {
        self.0.keeper.is_none()
    }

    fn file(&self) -> Option<&LogFile> {
        match &self.0.keeper {
            Some(Keeper::File(log)) => Some(log),
            Some(Keeper::System(_)) | None => None,
        }
    }
}

/// Lines go elsewhere for as long as this lives.
pub struct Diverted(Arc<Sink>);

impl Drop for Diverted {
    fn drop(&mut self) {
        *self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

struct ToSink(Arc<Sink>);

impl<S: Subscriber> Layer<S> for ToSink {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.write(event);
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Our own events only: what libraries have to say is not for our users.
        metadata.target().starts_with("netkit") && *metadata.level() <= self.0.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level)
    }
}

impl Sink {
    fn write(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        match &self.keeper {
            None => {}
            Some(Keeper::File(log)) => log.write(&self.line(level, &fields, Style::File)),
            Some(Keeper::System(log)) => log.write(level, &self.line(level, &fields, Style::Plain)),
        }
        if self.keeper.is_some() && event.metadata().target() != self.always {
            return;
        }
        if event.metadata().target() == FILE_ONLY {
            return;
        }
        let style = if self.colour {
            Style::Coloured
        } else {
            Style::Plain
        };
        let line = self.line(level, &fields, style);
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if elsewhere.as_ref().is_some_and(|liner| liner(&line)) {
            return;
        }
        // Standard error may be closed; there is nowhere left to say so.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn line(&self, level: Level, fields: &Fields, style: Style) -> String {
        match self.format {
            Format::Text => text_line(level, fields, style),
            Format::Json => json_line(level, fields),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Coloured,
    File,
}

fn text_line(level: Level, fields: &Fields, style: Style) -> String {
    let mut line = String::new();
    if style == Style::File {
        line.push_str(&now());
        line.push(' ');
    }
    let (word, colour) = match level {
        Level::ERROR => ("error:", "\x1b[1;31m"),
        Level::WARN => ("warning:", "\x1b[1;33m"),
        _ => ("", ""),
    };
    if !word.is_empty() {
        if style == Style::Coloured {
            let _ = write!(line, "{colour}{word}\x1b[0m ");
        } else {
            let _ = write!(line, "{word} ");
        }
    }
    line.push_str(&fields.message);
    for (name, value) in &fields.others {
        match value {
            Value::String(text) => {
                let _ = write!(line, " {name}={text}");
            }
            value => {
                let _ = write!(line, " {name}={value}");
            }
        }
    }
    line.push('\n');
    line
}

fn json_line(level: Level, fields: &Fields) -> String {
    let mut object = Map::new();
    object.insert("time".into(), now().into());
    object.insert("level".into(), level.as_str().to_lowercase().into());
    object.insert("message".into(), fields.message.clone().into());
    for (name, value) in &fields.others {
        object.insert((*name).into(), value.clone());
    }
    format!("{}\n", Value::Object(object))
}

fn now() -> String {
    stamp(OffsetDateTime::now_utc())
}

/// As RFC 3339 has it, in milliseconds, which are three digits always: so lines stand under each other.
fn stamp(utc: OffsetDateTime) -> String {
    let (year, month, day) = utc.to_calendar_date();
    let (hour, minute, second, millisecond) = utc.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.put(field, value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            message: "accepted".into(),
            others: vec![("peer", "127.0.0.1:5".into()), ("sent", 7.into())],
        }
    }

    #[test]
    fn a_time_is_as_long_as_any_other() {
        let at = |milliseconds: i128| {
            let since_1970 = 1_000_000 * milliseconds + 999_999;
            stamp(OffsetDateTime::from_unix_timestamp_nanos(since_1970).unwrap())
        };
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_480), "2000-02-29T00:00:00.480Z");
    }

    #[test]
    fn text_for_people() {
        assert_eq!(
            text_line(Level::DEBUG, &fields(), Style::Plain),
            "accepted peer=127.0.0.1:5 sent=7\n"
        );
        assert_eq!(
            text_line(Level::WARN, &fields(), Style::Plain),
            "warning: accepted peer=127.0.0.1:5 sent=7\n"
        );
        let line = text_line(Level::INFO, &fields(), Style::File);
        assert!(line.contains("Z accepted"), "{line}");
    }

    #[test]
    fn json_for_programs() {
        let line = json_line(Level::INFO, &fields());
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "accepted");
        assert_eq!(value["level"], "info");
        assert_eq!(value["sent"], 7);
        assert!(value["time"].as_str().unwrap().ends_with('Z'));
    }
}
