//! Telling what came of each script, in the order in which they were named, whatever the order in which they end.
//! Absent: what each form looks like.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::super::report::print;
use netkit::error::{Error, Result, Status};
use netkit::script::report::{Told, json, junit as xml, tap, text};
use netkit::terminal::tally::Tally;

/// The form of the report on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text { brief: bool },
    Tap,
    Json,
}

/// What has been told, and what waits for its turn.
pub(super) struct Reporter {
    form: Form,
    style: text::Style,
    tally: Tally,
    came: Vec<Option<Told>>,
    told: usize,
}

impl Reporter {
    pub(super) fn new(form: Form, count: usize) -> Self {
        let colour =
            io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Reporter {
            form,
            style: text::Style {
                colour,
                brief: form == Form::Text { brief: true },
            },
            tally: Tally::new(count as u64),
            came: (0..count).map(|_| None).collect(),
            told: 0,
        }
    }

    pub(super) fn begins(&mut self, name: &str) {
        self.tally.at(name);
    }

    /// Tells of this one as soon as those before it have been told of.
    pub(super) fn ended(&mut self, place: usize, told: Told) -> Result<()> {
        self.tally.one();
        self.came[place] = Some(told);
        while let Some(Some(told)) = self.came.get(self.told) {
            self.say(self.told, told)?;
            self.told += 1;
        }
        Ok(())
    }

    fn say(&self, place: usize, told: &Told) -> Result<()> {
        let text = match self.form {
            Form::Text { .. } => text::script(told, self.style),
            Form::Tap if place == 0 => tap::head(self.came.len()) + &tap::point(1, told),
            Form::Tap => tap::point(place + 1, told),
            Form::Json => return Ok(()),
        };
        self.tally.aside(|| print(text.as_bytes())).map(drop)
    }

    /// Tells the rest, and gives all that there was.
    pub(super) fn finish(self, took: Duration) -> Result<Vec<Told>> {
        // After an interruption there may be gaps.
        for (place, told) in self.came.iter().enumerate().skip(self.told) {
            if let Some(told) = told {
                self.say(place, told)?;
            }
        }
        drop(self.tally);
        let all: Vec<Told> = self.came.into_iter().flatten().collect();
        let text = match self.form {
            Form::Text { .. } => text::summary(&all, took),
            Form::Tap => return Ok(all),
            Form::Json => format!("{:#}\n", json::report(&all, took)),
        };
        print(text.as_bytes())?;
        Ok(all)
    }
}

/// Writes the file so that it is seen whole or not at all. What is no file, such as `/dev/stdout`, is written to; a link
/// stays, and leads to the file.
pub(super) fn junit(path: &Path, all: &[Told], took: Duration) -> Result<()> {
    let text = xml::report(all, took)?;
    let failed = |error: &io::Error| {
        Error::io(Status::Failure, error).on(format!("could not write the report {}", super::shown(path)))
    };
    let found = std::fs::metadata(path);
    if found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let written = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut open| open.write_all(text.as_bytes()));
        return written.map_err(|error| failed(&error));
    }
    let leads = std::fs::canonicalize(path);
    let path = leads.as_deref().unwrap_or(path);
    let mut name = path
        .file_name()
        .ok_or_else(|| failed(&io::ErrorKind::IsADirectory.into()))?
        .to_owned();
    name.push(format!(".new.{}", std::process::id()));
    let draft = path.with_file_name(name);
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        // It may not have been made.
        let _ = std::fs::remove_file(&draft);
        failed(&error)
    })
}
