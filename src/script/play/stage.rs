//! What a script has on its stage while it is played: variables, connections, doors, parts, its directory, its limits; and
//! what is told of them.
//! Absent: what the steps do.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::Means;
use super::branches;
use super::conversation::Conversation;
use super::door::Door;
use super::fault::Fault;
use super::part::{Part, status_words};
use super::scratch::Scratch;
use crate::connection::BoxFuture;
use crate::diagnostic::line_of;
use crate::script::Script;
use crate::script::report::{ConversationTold, Failure, PartTold, StepTold};
use crate::script::step::{Place, Step};
use crate::units::{duration_text, size_text};

/// Steps that are told of, each with all its rounds in one.
const STEPS_MAX: usize = 500;

/// Bytes of all variables together.
const VARIABLES_MAX: usize = 16 * 1024 * 1024;

/// Conversations that a failure shows.
const CONVERSATIONS_MAX: usize = 4;

/// After a failure the parts have so long to say what they think of it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Everything that is there, by its name.
#[derive(Default)]
struct Props {
    variables: HashMap<String, Vec<u8>>,
    conversations: Vec<Arc<Conversation>>,
    doors: HashMap<String, Arc<Door>>,
    parts: Vec<Cast>,
    steps: Vec<StepTold>,
    more_steps: u64,
}

struct Cast {
    name: String,
    endpoints: Vec<String>,
    part: Arc<Turn<Part>>,
}

/// The moment at which a step is late, and what to say then.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) at: Instant,
    /// `within 500ms`.
    pub(super) words: String,
}

pub(super) struct Stage<'a> {
    script: &'a Script,
    means: &'a dyn Means,
    over: Instant,
    props: Mutex<Props>,
    /// Dropped last: parts may still write into it.
    scratch: Scratch,
}

impl<'a> Stage<'a> {
    pub(super) fn new(script: &'a Script, means: &'a dyn Means) -> crate::error::Result<Self> {
        Ok(Stage {
            script,
            means,
            scratch: Scratch::new()?,
            over: Instant::now() + script.limits.script,
            props: Mutex::default(),
        })
    }

    fn props(&self) -> MutexGuard<'_, Props> {
        self.props.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self) -> &'a Script {
        self.script
    }

    pub(super) fn means(&self) -> &'a dyn Means {
        self.means
    }

    /// The script's temporary directory.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Plays all steps.
    pub(super) async fn all(&self) -> Result<(), Fault> {
        for step in &self.script.steps {
            self.play(step).await?;
        }
        Ok(())
    }

    /// When a step is late that may take so long, or `None`: as long as the script may.
    pub(super) fn limit(&self, own: Option<Duration>) -> Limit {
        let at = own.map(|own| (Instant::now() + own, own));
        match at {
            Some((at, own)) if at <= self.over => Limit {
                at,
                words: format!("within {}", duration_text(own)),
            },
            _ => Limit {
                at: self.over,
                words: format!(
                    "within the {} that the script may take",
                    duration_text(self.script.limits.script)
                ),
            },
        }
    }

    pub(super) fn note(&self, step: &Step, took: Duration, passed: bool) {
        let told = StepTold {
            file: (step.place.source > 0).then(|| self.file(step.place)),
            number: step.place.line,
            line: self.script.line(step.place).to_owned(),
            took,
            passed,
            times: 1,
        };
        let mut props = self.props();
        let same = |earlier: &&mut StepTold| {
            earlier.passed && (earlier.number, &earlier.file) == (told.number, &told.file)
        };
        if let (true, Some(earlier)) = (passed, props.steps.iter_mut().find(same)) {
            earlier.times += 1;
            earlier.took += took;
            return;
        }
        if props.steps.len() < STEPS_MAX {
            props.steps.push(told);
        } else {
            props.more_steps += 1;
        }
    }

    /// The steps that were played, and how many more there were.
    pub(super) fn told(&self) -> (Vec<StepTold>, u64) {
        let mut props = self.props();
        (std::mem::take(&mut props.steps), props.more_steps)
    }

    fn file(&self, place: Place) -> String {
        let source = self.script.source(place);
        source
            .map(|source| source.path.display().to_string())
            .unwrap_or_default()
    }

    pub(super) fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.props().variables.get(name).cloned()
    }

    /// A variable takes a value, if all of them together stay within bounds.
    pub(super) fn set(&self, place: Place, name: &str, value: Vec<u8>) -> Result<(), Fault> {
        let mut props = self.props();
        let others = props.variables.iter().filter(|(other, _)| *other != name);
        let held: usize = others.map(|(_, value)| value.len()).sum();
        if held.saturating_add(value.len()) > VARIABLES_MAX {
            let most = size_text(VARIABLES_MAX as u64);
            return Err(Fault::new(
                place,
                format!("all variables would hold more than {most}"),
            ));
        }
        props.variables.insert(name.to_owned(), value);
        Ok(())
    }

    pub(super) fn endpoints(&self, name: &str) -> Vec<String> {
        let props = self.props();
        if let Some(door) = props.doors.get(name) {
            return vec![door.endpoint()];
        }
        let cast = props.parts.iter().find(|cast| cast.name == name);
        cast.map(|cast| cast.endpoints.clone()).unwrap_or_default()
    }

    pub(super) fn conversation(&self, name: &str, place: Place) -> Result<Arc<Conversation>, Fault> {
        let props = self.props();
        let found = props.conversations.iter().find(|found| found.name() == name);
        found
            .cloned()
            .ok_or_else(|| Fault::new(place, format!("{name} is not connected")))
    }

    /// An earlier one of that name is closed.
    pub(super) fn enter(&self, conversation: Conversation) {
        let mut props = self.props();
        props
            .conversations
            .retain(|other| other.name() != conversation.name());
        props.conversations.push(Arc::new(conversation));
    }

    /// Closes the connection of that name at once, if there is one.
    pub(super) fn leave(&self, name: &str) {
        self.props().conversations.retain(|other| other.name() != name);
    }

    pub(super) fn door(&self, name: &str, place: Place) -> Result<Arc<Door>, Fault> {
        let props = self.props();
        let found = props.doors.get(name).cloned();
        found.ok_or_else(|| Fault::new(place, format!("nothing listens as {name}")))
    }

    pub(super) fn open(&self, name: &str, door: Door) {
        self.props().doors.insert(name.to_owned(), Arc::new(door));
    }

    /// Gives the address back, if there is such a door.
    pub(super) fn shut(&self, name: &str) {
        self.props().doors.remove(name);
    }

    pub(super) fn part(&self, name: &str, place: Place) -> Result<Arc<Turn<Part>>, Fault> {
        let props = self.props();
        let found = props.parts.iter().find(|cast| cast.name == name);
        found
            .map(|cast| Arc::clone(&cast.part))
            .ok_or_else(|| Fault::new(place, format!("{name} was not started")))
    }

    /// The part that came last, unless it is a server of ours, which tells by itself that it listens.
    pub(super) fn last_launched(&self) -> Option<Arc<Turn<Part>>> {
        let props = self.props();
        let last = props.parts.last().filter(|cast| cast.endpoints.is_empty());
        last.map(|cast| Arc::clone(&cast.part))
    }

    /// The part takes the name, which nobody else has any more.
    pub(super) fn cast(&self, name: &str, part: Part) -> Arc<Turn<Part>> {
        let part = Arc::new(Turn::new(part));
        let mut props = self.props();
        props.parts.retain(|cast| cast.name != name);
        props.parts.push(Cast {
            name: name.to_owned(),
            endpoints: Vec::new(),
            part: Arc::clone(&part),
        });
        part
    }

    pub(super) fn listens(&self, name: &str, endpoints: &[String]) {
        let mut props = self.props();
        if let Some(cast) = props.parts.iter_mut().find(|cast| cast.name == name) {
            cast.endpoints = endpoints.to_vec();
        }
    }

    /// All there is to know about a failure.
    pub(super) async fn failure(&self, fault: &Fault) -> Failure {
        let source = self.script.source(fault.place);
        let text = source.map_or("", |source| &source.text);
        let (_, line, span) = line_of(text, fault.place.span);
        let (mut conversations, parts) = {
            let props = self.props();
            let parts: Vec<Arc<Turn<Part>>> = props.parts.iter().map(|cast| Arc::clone(&cast.part)).collect();
            (props.conversations.clone(), parts)
        };
        // The one that it is about, then the latest.
        conversations.reverse();
        conversations.sort_by_key(|told| Some(told.name()) != fault.who.as_deref());
        conversations.truncate(CONVERSATIONS_MAX);
        let conversations = conversations
            .iter()
            .map(|told| {
                let (events, left_out) = told.so_far();
                ConversationTold {
                    name: told.name().to_owned(),
                    peer: told.facts().peer.to_string(),
                    events,
                    left_out,
                }
            })
            .collect();
        let mut said = Vec::new();
        if !parts.is_empty() {
            tokio::time::sleep(LAST_WORDS).await;
        }
        for part in parts {
            let mut part = part.lock().await;
            let was_told = part.status().is_some();
            let ended = match part.has_ended() {
                true => part.wait().await.filter(|_| !was_told),
                false => None,
            };
            let (text, left_out) = part.said();
            said.push(PartTold {
                name: part.name().to_owned(),
                said: text,
                left_out,
                ended: ended.map(status_words),
            });
        }
        Failure {
            status: fault.status,
            file: self.file(fault.place),
            number: fault.place.line,
            line: line.to_owned(),
            span,
            why: fault.why.clone(),
            picture: fault.picture.clone(),
            conversations,
            parts: said,
            kept: None,
        }
    }

    /// Closes and stops everything. The directory is what is left.
    pub(super) async fn clear(self) -> Scratch {
        let Props {
            conversations,
            doors,
            parts,
            ..
        } = self.props.into_inner().unwrap_or_else(PoisonError::into_inner);
        // First, so that no server waits for the end of one.
        drop(conversations);
        drop(doors);
        let stopping = parts.into_iter().map(|cast| -> BoxFuture<'_, Result<(), ()>> {
            Box::pin(async move {
                cast.part.lock().await.stop().await;
                Ok(())
            })
        });
        // None of them fails.
        let _ = branches::all(stopping.collect()).await;
        self.scratch
    }
}
