//! Whether a script makes sense before it is played: every name is known where it is used and stands for the right thing.
//! Absent: what is literal (`literal`), the grammar, and anything that only playing can tell.

use std::collections::BTreeMap;
use std::env;

use super::refusal::{Kind, Refusal, Wrong};
use super::step::{
    Action, Claim, Expectation, Failure, Field, Holder, Name, Pattern, Payload, Piece, Place, Step, Text,
    Value, Variable,
};
use super::{REFUSALS_MAX, Script};
use crate::diagnostic::quoted;
use crate::endpoint::{Role, nearest};

/// What a name can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Part,
    Door,
    Connection,
    Variable,
}

impl Thing {
    const fn word(self) -> &'static str {
        match self {
            Thing::Part => "a part",
            Thing::Door => "a door",
            Thing::Connection => "a connection",
            Thing::Variable => "a variable",
        }
    }

    /// What makes one.
    const fn made_by(self) -> &'static str {
        match self {
            Thing::Part => "`start` and `launch` make parts",
            Thing::Door => "`listen NAME on ENDPOINT` makes a door",
            Thing::Connection => "`connect NAME to ENDPOINT` and `accept NAME on DOOR` make connections",
            Thing::Variable => "`set`, and groups with names in a regex that came before, make variables",
        }
    }
}

/// What each name stands for where the walk has come to.
type Known = BTreeMap<String, Thing>;

/// Walks through a script in its order.
pub(super) struct Walk<'a> {
    pub(super) script: &'a Script,
    known: Known,
    /// What any name was first made to be, even where it is not known any more.
    was: Known,
    /// Where names were made since the current branch began.
    made: Vec<(String, Place)>,
    pub(super) wrongs: Vec<Wrong>,
}

pub(super) fn check(script: &Script) -> Result<(), Vec<Refusal>> {
    let mut walk = Walk {
        script,
        known: Known::new(),
        was: Known::new(),
        made: Vec::new(),
        wrongs: Vec::new(),
    };
    walk.steps(&script.steps);
    if walk.wrongs.is_empty() && !script.steps.iter().any(does_something) {
        let place = Place {
            line: 1,
            ..Place::default()
        };
        let wrong = Wrong::new(Kind::Missing, place, "there is no step to play");
        walk.wrongs
            .push(wrong.help("a script without a step would pass, whatever it was to test"));
    }
    if walk.wrongs.is_empty() {
        return Ok(());
    }
    let sources = &script.sources;
    let refusals = walk
        .wrongs
        .into_iter()
        .filter_map(|wrong| Some(sources.get(wrong.place.source)?).map(|source| wrong.within(source)));
    Err(refusals.take(REFUSALS_MAX).collect())
}

/// Whether a step is more than a block around nothing.
fn does_something(step: &Step) -> bool {
    match &step.action {
        Action::Repeat { steps, .. } | Action::Include { steps, .. } => steps.iter().any(does_something),
        Action::Parallel { branches } => branches.iter().flatten().any(does_something),
        _ => true,
    }
}

impl Walk<'_> {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            if self.wrongs.len() >= REFUSALS_MAX {
                return;
            }
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Start { name, command } => {
                self.texts(command);
                self.make(name, Thing::Part);
            }
            Action::Launch { name, command } => {
                self.texts(command);
                if let Some(program) = command.first() {
                    self.program(program);
                }
                self.make(name, Thing::Part);
            }
            Action::Stop { name } | Action::Exits { name, .. } => self.need(name, Thing::Part),
            Action::Wait { endpoints, .. } => endpoints
                .iter()
                .for_each(|text| self.endpoint(text, Role::Client)),
            Action::Connect {
                name,
                endpoint,
                fails,
            } => {
                self.endpoint(endpoint, Role::Client);
                self.made_or_failed(name, fails.as_ref());
            }
            Action::Listen { name, endpoint } => {
                self.endpoint(endpoint, Role::Server);
                self.make(name, Thing::Door);
            }
            Action::Accept { name, door, fails } => {
                self.need(door, Thing::Door);
                self.made_or_failed(name, fails.as_ref());
            }
            Action::Send { who, payload, .. } => {
                self.need(who, Thing::Connection);
                self.payload(payload);
            }
            Action::Expect { who, what } => {
                self.need(who, Thing::Connection);
                self.expectation(what);
            }
            Action::End { who } | Action::Close { who } | Action::Reset { who } => {
                self.need(who, Thing::Connection)
            }
            Action::Check { subject, claim } => {
                self.text(subject);
                match claim {
                    Claim::Is { other, .. } | Claim::Contains { other, .. } => self.text(other),
                    Claim::Matches { holds, pattern } => self.pattern(pattern, *holds),
                }
            }
            Action::Set { name, value } => {
                if let Value::Text(text) = value {
                    self.text(text);
                }
                self.make(name, Thing::Variable);
            }
            Action::Sleep(_) => {}
            Action::Repeat { steps, .. } | Action::Include { steps, .. } => self.steps(steps),
            Action::Parallel { branches } => self.branches(branches),
        }
    }

    /// What a branch makes is not known to those beside it: nobody could say which comes first.
    fn branches(&mut self, branches: &[Vec<Step>]) {
        let before = self.known.clone();
        let outer = std::mem::take(&mut self.made);
        let mut all: Vec<(String, Place)> = Vec::new();
        let mut after = before.clone();
        for steps in branches {
            self.known = before.clone();
            self.steps(steps);
            let made = std::mem::take(&mut self.made);
            for (name, place) in &made {
                if all.iter().any(|(other, _)| other == name) {
                    let message = format!("{} is made in another branch as well", quoted(name));
                    self.wrongs
                        .push(Wrong::new(Kind::WrongKind, *place, message).help("give it another name here"));
                }
            }
            all.extend(made);
            after.append(&mut self.known);
        }
        self.known = after;
        self.made = outer;
        self.made.extend(all);
    }

    fn make(&mut self, name: &Name, thing: Thing) {
        match self.was.get(&name.text) {
            Some(was) if *was != thing => {
                let message = format!("{} is {} already", quoted(&name.text), was.word());
                let wrong = Wrong::new(Kind::WrongKind, name.place, message);
                self.wrongs
                    .push(wrong.help(format!("give {} another name", thing.word())));
            }
            _ => {
                self.was.insert(name.text.clone(), thing);
                self.known.insert(name.text.clone(), thing);
                self.made.push((name.text.clone(), name.place));
            }
        }
    }

    fn made_or_failed(&mut self, name: &Name, fails: Option<&Failure>) {
        self.make(name, Thing::Connection);
        if let Some(failure) = fails {
            // Nobody can talk to it, but it cannot become something else either.
            self.known.remove(&name.text);
            if let Failure::Matching(pattern) = failure {
                self.pattern(pattern, false);
            }
        }
    }

    fn need(&mut self, name: &Name, thing: Thing) {
        let found = self.known.get(&name.text).copied();
        if found == Some(thing) {
            return;
        }
        let wrong = match found {
            Some(other) => {
                let message = format!("{} is {}, not {}", quoted(&name.text), other.word(), thing.word());
                Wrong::new(Kind::WrongKind, name.place, message).help(thing.made_by())
            }
            None => {
                let message = format!(
                    "{} is called {} yet",
                    thing.word().replacen("a ", "no ", 1),
                    quoted(&name.text)
                );
                Wrong::new(Kind::UnknownName, name.place, message)
                    .help(thing.made_by())
                    .meant(&name.text, self.names(|known| known == thing))
            }
        };
        self.wrongs.push(wrong);
    }

    fn names(&self, like: impl Fn(Thing) -> bool) -> impl Iterator<Item = &str> {
        self.known
            .iter()
            .filter(move |(_, thing)| like(**thing))
            .map(|(name, _)| name.as_str())
    }

    fn texts(&mut self, texts: &[Text]) {
        for text in texts {
            self.text(text);
            if text
                .pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Bytes(bytes) if bytes.contains(&0)))
            {
                let wrong = Wrong::new(Kind::BadText, text.place, "an argument of a program holds no NUL");
                self.wrongs.push(wrong);
            }
        }
    }

    pub(super) fn text(&mut self, text: &Text) {
        self.pieces(&text.pieces);
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            if let Piece::Variable(variable) = piece {
                self.variable(variable);
            }
        }
    }

    fn variable(&mut self, variable: &Variable) {
        let place = variable.place;
        let wrong = match &variable.of {
            Holder::Temporary | Holder::Directory => return,
            Holder::Environment(name) => {
                if env::var_os(name).is_some() {
                    return;
                }
                let message = format!("{} is not in the environment", quoted(name));
                Wrong::new(Kind::UndefinedVariable, place, message)
            }
            Holder::Named(name) => match self.known.get(name) {
                Some(Thing::Variable | Thing::Part | Thing::Door) => return,
                Some(Thing::Connection) => {
                    let message = format!("{} is a connection, which has no value of its own", quoted(name));
                    Wrong::new(Kind::WrongKind, place, message).help(format!(
                        "what is known of it is called `${name}.peer` and the like"
                    ))
                }
                None => self.undefined(name, place),
            },
            Holder::Field(name, field) => {
                let fits = |thing| match field {
                    Field::Endpoint(_) | Field::Host | Field::Port => {
                        matches!(thing, Thing::Part | Thing::Door)
                    }
                    Field::Fact(_) => thing == Thing::Connection,
                };
                match self.known.get(name).copied() {
                    Some(thing) if fits(thing) => return,
                    Some(thing) => {
                        let field = field.to_string();
                        let message = format!(
                            "{} is {}, which has no {}",
                            quoted(name),
                            thing.word(),
                            quoted(&format!(".{field}"))
                        );
                        let wrong = Wrong::new(Kind::WrongKind, place, message);
                        match thing {
                            Thing::Variable => wrong.help(format!("if the dot belongs to the text, write `${{{name}}}.{field}`")),
                            Thing::Connection => wrong.help(format!("for example `${name}.peer.port`")),
                            Thing::Part | Thing::Door => wrong.help(format!("it has `${name}.host`, `${name}.port`, and `${name}.1` for its first endpoint")),
                        }
                    }
                    None => self.undefined(name, place),
                }
            }
        };
        self.wrongs.push(wrong);
    }

    fn undefined(&self, name: &str, place: Place) -> Wrong {
        let message = format!("{} is not set yet", quoted(&format!("${name}")));
        let near = nearest(name, self.names(|_| true).chain(["TMP", "DIR"]));
        let wrong = Wrong::new(Kind::UndefinedVariable, place, message);
        match near {
            Some(near) => wrong.help(format!("did you mean {}?", quoted(&format!("${near}")))),
            None if env::var_os(name).is_some() => wrong.help(format!(
                "the environment's is called {}",
                quoted(&format!("$env.{name}"))
            )),
            None => wrong.help(Thing::Variable.made_by()),
        }
    }

    /// `sets`: the groups of the pattern become variables behind it.
    fn pattern(&mut self, pattern: &Pattern, sets: bool) {
        self.pieces(&pattern.pieces);
        for group in &pattern.groups {
            let name = Name {
                text: group.clone(),
                place: pattern.place,
            };
            if !sets {
                let message = format!("the group {} never becomes a variable here", quoted(group));
                let wrong = Wrong::new(Kind::BadRegex, pattern.place, message);
                self.wrongs
                    .push(wrong.help("a group without a name is written `(?:...)`"));
            } else if super::RESERVED.contains(&group.as_str()) {
                let message = format!("{} is a word of the language", quoted(group));
                let wrong = Wrong::new(Kind::BadName, pattern.place, message);
                self.wrongs.push(wrong.help("call the group something else"));
            } else {
                self.make(&name, Thing::Variable);
            }
        }
    }

    fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Text(text) => self.text(text),
            Payload::Hex(_) => {}
            Payload::File(file) => {
                self.text(file);
                self.file(file);
            }
        }
    }

    fn expectation(&mut self, what: &Expectation) {
        match what {
            Expectation::Contains(payload) | Expectation::Exactly(payload) => {
                self.payload(payload);
                if let Payload::Text(text) = payload
                    && text.pieces.is_empty()
                {
                    let wrong = Wrong::new(Kind::BadText, text.place, "an empty text is always there");
                    self.wrongs
                        .push(wrong.help("an empty line is expected with `line \"\"`, the end with `close`"));
                }
            }
            Expectation::Line(text) => {
                self.text(text);
                if text
                    .pieces
                    .iter()
                    .any(|piece| matches!(piece, Piece::Bytes(bytes) if bytes.contains(&b'\n')))
                {
                    let wrong = Wrong::new(Kind::BadText, text.place, "no line has a line end in it");
                    self.wrongs
                        .push(wrong.help("`line` stands for a text without its end"));
                }
            }
            Expectation::Matches(pattern) => self.pattern(pattern, true),
            Expectation::Close | Expectation::Reset | Expectation::Alert(_) | Expectation::Silence(_) => {}
        }
    }
}
