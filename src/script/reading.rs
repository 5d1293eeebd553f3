//! Files to a script: includes are read where they stand, each in the directory of the file that names it.
//! Absent: whether the steps make sense.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{self, Cut};
use super::refusal::{Kind, Refusal, Wrong, shown};
use super::step::{Action, Step};
use super::{DEPTH_MAX, REFUSALS_MAX, SIZE_MAX, SOURCES_MAX, Script, Source};
use crate::units::size_text;
use crate::whole;

pub(super) fn read(path: &Path) -> Result<Script, Vec<Refusal>> {
    let text = text_of(path, SIZE_MAX).map_err(|why| vec![Refusal::of_file(path, why)])?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Script, Vec<Refusal>> {
    let mut script = cut(path, text)?;
    let mut reader = Reader {
        left: SIZE_MAX.saturating_sub(text.len() as u64),
        open: vec![real(path)],
        refusals: Vec::new(),
        sources: std::mem::take(&mut script.sources),
    };
    reader.include(&mut script.steps);
    script.sources = reader.sources;
    if reader.refusals.is_empty() {
        Ok(script)
    } else {
        reader.refusals.truncate(REFUSALS_MAX);
        Err(reader.refusals)
    }
}

pub(super) fn cut(path: &Path, text: &str) -> Result<Script, Vec<Refusal>> {
    let source = Source {
        path: path.to_owned(),
        text: Arc::from(text),
    };
    if text.len() as u64 > SIZE_MAX {
        let why = format!("it is longer than {}", size_text(SIZE_MAX));
        return Err(vec![Refusal::of_file(path, why)]);
    }
    match block::cut(0, text) {
        Ok(Cut { limits, steps, .. }) => Ok(Script {
            sources: vec![source],
            limits,
            steps,
        }),
        Err(wrongs) => Err(wrongs.into_iter().map(|wrong| wrong.within(&source)).collect()),
    }
}

/// The text of a file, or why there is none.
fn text_of(path: &Path, most: u64) -> Result<String, String> {
    let whole = whole::read(path, most).map_err(|why| why.to_string())?;
    String::from_utf8(whole.bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })
}

/// What a file is called by every way that leads to it.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

struct Reader {
    sources: Vec<Source>,
    /// Bytes that may still be read.
    left: u64,
    /// The files that are being read, each included by the one before it.
    open: Vec<PathBuf>,
    refusals: Vec<Refusal>,
}

impl Reader {
    fn include(&mut self, steps: &mut [Step]) {
        for step in steps {
            if self.refusals.len() >= REFUSALS_MAX {
                return;
            }
            match &mut step.action {
                Action::Repeat { steps, .. } => self.include(steps),
                Action::Parallel { branches } => branches.iter_mut().for_each(|steps| self.include(steps)),
                Action::Include { .. } => self.included(step),
                _ => {}
            }
        }
    }

    fn included(&mut self, step: &mut Step) {
        let Action::Include { file, steps } = &mut step.action else {
            return;
        };
        let refuse = |reader: &mut Self, wrong: Wrong| {
            if let Some(source) = reader.sources.get(wrong.place.source) {
                let refusal = wrong.within(source);
                reader.refusals.push(refusal);
            }
        };
        let Some(name) = file
            .literal()
            .map(|name| String::from_utf8_lossy(name).into_owned())
        else {
            let message = "what is included is known before anything starts, so it holds no variables";
            return refuse(self, Wrong::new(Kind::BadFile, file.place, message));
        };
        let folder = self
            .sources
            .get(step.place.source)
            .and_then(|source| source.path.parent());
        let path = folder.unwrap_or(Path::new("")).join(&name);
        let known = real(&path);
        if let Some(at) = self.open.iter().position(|open| *open == known) {
            let wrong = Wrong::new(Kind::EndlessInclude, file.place, "this include has no end");
            let ways: Vec<String> = self.open[at + 1..].iter().map(|path| shown(path)).collect();
            return refuse(
                self,
                wrong.help(match ways.as_slice() {
                    [] => String::from("the file includes itself"),
                    ways => format!("it includes itself by way of {}", ways.join(", ")),
                }),
            );
        }
        if self.open.len() > DEPTH_MAX {
            let message = format!("files include one another more than {DEPTH_MAX} deep");
            return refuse(self, Wrong::new(Kind::TooMuch, file.place, message));
        }
        if self.sources.len() >= SOURCES_MAX {
            let message = format!("a script is made of at most {SOURCES_MAX} files");
            return refuse(self, Wrong::new(Kind::TooMuch, file.place, message));
        }
        let text = match text_of(&path, self.left) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("could not read {}: {why}", shown(&path));
                return refuse(self, Wrong::new(Kind::BadFile, file.place, message));
            }
        };
        self.left = self.left.saturating_sub(text.len() as u64);
        let index = self.sources.len();
        let source = Source {
            path,
            text: Arc::from(text.as_str()),
        };
        self.sources.push(source.clone());
        let cut = block::cut(index, &text).and_then(|cut| match cut.limited {
            Some(place) => Err(vec![Wrong::new(
                Kind::MisplacedLimit,
                place,
                "limits stand in the script itself, not in what it includes",
            )]),
            None => Ok(cut),
        });
        match cut {
            Ok(cut) => {
                *steps = cut.steps;
                self.open.push(known);
                self.include(steps);
                self.open.pop();
            }
            Err(wrongs) => {
                let refusals = wrongs.into_iter().map(|wrong| wrong.within(&source));
                self.refusals.extend(refusals);
            }
        }
    }
}
