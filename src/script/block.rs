//! Lines to steps: blocks are put together, each with the steps in it; limits are taken from the top.
//! Absent: files, and what is in a line.

use std::time::Duration;

use super::grammar::{Said, What, first, said};
use super::refusal::{Kind, Wrong};
use super::step::{Action, Place, Step};
use super::words::Line;
use super::{BRANCHES_MAX, DEPTH_MAX, Limits, REFUSALS_MAX};
use crate::diagnostic::quoted;

/// A file, cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) limits: Limits,
    /// Where limits were given.
    pub(super) limited: Option<Place>,
    pub(super) steps: Vec<Step>,
}

/// A block whose end has not come yet.
struct Open {
    place: Place,
    kind: Begun,
    /// Those before the current branch.
    branches: Vec<Vec<Step>>,
    /// Of the block, or of its current branch.
    steps: Vec<Step>,
    /// Where the current branch begins.
    branch: Place,
}

enum Begun {
    Repeat(u32),
    Parallel,
    /// Its first line was refused already; what is in it is read nevertheless.
    Refused,
}

/// Cuts the text of a file; all that is wrong is told, up to a limit.
pub(super) fn cut(source: usize, text: &str) -> Result<Cut, Vec<Wrong>> {
    let mut reader = Reader::default();
    let mut base = 0;
    for (at, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        // Some editors begin a file with a mark of its encoding.
        let bare = line.strip_prefix('\u{feff}').filter(|_| at == 0).unwrap_or(line);
        let line = Line {
            source,
            number: at + 1,
            base: base + (line.len() - bare.len()),
            text: bare,
        };
        reader.take(line);
        base += whole.len();
        if reader.wrongs.len() >= REFUSALS_MAX {
            break;
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    cut: Cut,
    open: Vec<Open>,
    wrongs: Vec<Wrong>,
    /// A step has been read, or tried.
    begun: bool,
}

impl Reader {
    fn take(&mut self, line: Line<'_>) {
        match said(line) {
            Ok(None) => {}
            Ok(Some(Said { what, place })) => {
                if let Err(wrong) = self.put(what, place) {
                    self.wrongs.push(wrong);
                }
            }
            Err(wrong) => {
                let place = wrong.place;
                self.wrongs.push(wrong);
                // Its `end` is not to be told of as well.
                match first(line.text) {
                    "repeat" | "parallel" => self.begin(Begun::Refused, place),
                    _ => self.steps().push(refused(place)),
                }
            }
        }
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        self.begun = true;
        match self.open.last_mut() {
            Some(open) => &mut open.steps,
            None => &mut self.cut.steps,
        }
    }

    fn begin(&mut self, kind: Begun, place: Place) {
        self.begun = true;
        self.open.push(Open {
            place,
            kind,
            branches: Vec::new(),
            steps: Vec::new(),
            branch: place,
        });
    }

    fn put(&mut self, what: What, place: Place) -> Result<(), Wrong> {
        match what {
            What::Step(action, within) => self.steps().push(Step {
                action,
                within,
                place,
            }),
            What::Limit { step, script } => self.limit(step, script, place)?,
            What::Repeat { times } => self.begin_block(Begun::Repeat(times), place)?,
            What::Parallel => self.begin_block(Begun::Parallel, place)?,
            What::And => self.and(place)?,
            What::End => self.end(place)?,
        }
        Ok(())
    }

    fn begin_block(&mut self, kind: Begun, place: Place) -> Result<(), Wrong> {
        if self.open.len() < DEPTH_MAX {
            self.begin(kind, place);
            return Ok(());
        }
        // What stands in it is not kept: steps in steps without a limit would be more than a stack holds.
        self.begin(Begun::Refused, place);
        // One that is too deep is told of once, not each that stands in it.
        if self.open.len() > DEPTH_MAX + 1 {
            return Ok(());
        }
        let message = format!("blocks stand in one another more than {DEPTH_MAX} deep");
        Err(Wrong::new(Kind::TooMuch, place, message))
    }

    fn limit(&mut self, step: Option<Duration>, script: Option<Duration>, place: Place) -> Result<(), Wrong> {
        if self.begun {
            let wrong = Wrong::new(Kind::MisplacedLimit, place, "limits stand before the first step");
            return Err(wrong.help("a single step is limited by `within 5s` behind it"));
        }
        if self.cut.limited.is_some() {
            return Err(Wrong::new(Kind::MisplacedLimit, place, "limits are given once")
                .help("both stand in one line: `limit 2s each, 10s in all`"));
        }
        self.cut.limited = Some(place);
        self.cut.limits = Limits {
            step: step.unwrap_or(self.cut.limits.step),
            script: script.unwrap_or(self.cut.limits.script),
        };
        Ok(())
    }

    fn and(&mut self, place: Place) -> Result<(), Wrong> {
        match self.open.last_mut() {
            Some(open) if !matches!(open.kind, Begun::Repeat(_)) => {
                let steps = std::mem::take(&mut open.steps);
                let begun = std::mem::replace(&mut open.branch, place);
                let empty = steps.is_empty();
                open.branches.push(steps);
                if empty {
                    return Err(Wrong::new(Kind::EmptyBlock, begun, "this branch does nothing"));
                }
                if open.branches.len() == BRANCHES_MAX {
                    let message = format!("more than {BRANCHES_MAX} branches");
                    return Err(Wrong::new(Kind::TooMuch, place, message));
                }
                Ok(())
            }
            _ => Err(
                Wrong::new(Kind::UnmatchedBlock, place, "`and` stands in no `parallel` block")
                    .help("`parallel` begins a block, `and` divides it, `end` ends it"),
            ),
        }
    }

    fn end(&mut self, place: Place) -> Result<(), Wrong> {
        let Some(open) = self.open.pop() else {
            return Err(
                Wrong::new(Kind::UnmatchedBlock, place, "nothing is open that could end here")
                    .help("`repeat` and `parallel` begin what `end` ends"),
            );
        };
        let begun = open.place;
        let nothing = open.steps.is_empty();
        let action = match open.kind {
            Begun::Refused => {
                self.steps().push(refused(begun));
                return Ok(());
            }
            Begun::Repeat(_) if nothing => {
                return Err(Wrong::new(Kind::EmptyBlock, begun, "nothing is repeated"));
            }
            Begun::Repeat(times) => Action::Repeat {
                times,
                steps: open.steps,
            },
            Begun::Parallel if nothing => {
                return Err(Wrong::new(
                    Kind::EmptyBlock,
                    open.branch,
                    "this branch does nothing",
                ));
            }
            Begun::Parallel => {
                let mut branches = open.branches;
                branches.push(open.steps);
                if branches.len() < 2 {
                    return Err(Wrong::new(
                        Kind::EmptyBlock,
                        begun,
                        "there is one branch, and nothing beside it",
                    )
                    .help("`and` divides the branches"));
                }
                Action::Parallel { branches }
            }
        };
        self.steps().push(Step {
            action,
            within: None,
            place: begun,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Cut, Vec<Wrong>> {
        for open in &self.open {
            let word = match open.kind {
                Begun::Repeat(_) => "repeat",
                Begun::Parallel => "parallel",
                Begun::Refused => continue,
            };
            let message = format!("this {} has no `end`", quoted(word));
            self.wrongs
                .push(Wrong::new(Kind::UnmatchedBlock, open.place, message));
        }
        if self.wrongs.is_empty() {
            return Ok(self.cut);
        }
        self.wrongs.sort_by_key(|wrong| wrong.place.line);
        self.wrongs.truncate(REFUSALS_MAX);
        Err(self.wrongs)
    }
}

/// Stands for what was refused, so that the block around it is not called empty as well; nobody gets to see it.
fn refused(place: Place) -> Step {
    Step {
        action: Action::Sleep(Duration::ZERO),
        within: None,
        place,
    }
}
