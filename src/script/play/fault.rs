//! A step that failed: where, why, and which connection it was about.
//! Absent: what else a report shows.

use super::conversation::Unmet;
use super::status_of;
use crate::error::{Error, Status};
use crate::script::step::Place;

/// Why a script goes no further.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) status: Status,
    pub(super) why: String,
    pub(super) picture: Vec<String>,
    /// The connection that it is about.
    pub(super) who: Option<String>,
}

impl Fault {
    pub(super) fn new(place: Place, why: impl Into<String>) -> Self {
        Fault {
            place,
            status: Status::Expectation,
            why: why.into(),
            picture: Vec::new(),
            who: None,
        }
    }

    /// The time is over.
    pub(super) fn late(place: Place, unmet: Unmet) -> Self {
        Fault {
            status: Status::Timeout,
            ..Fault::unmet(place, unmet)
        }
    }

    pub(super) fn unmet(place: Place, unmet: Unmet) -> Self {
        Fault {
            picture: unmet.picture,
            ..Fault::new(place, unmet.why)
        }
    }

    pub(super) fn error(place: Place, error: &Error) -> Self {
        let mut fault = Fault::new(place, error.to_string());
        fault.status = status_of(error.status());
        fault.picture = error
            .picture_text()
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default();
        if let Some(help) = error.help_text() {
            fault.picture.push(format!("help: {help}"));
        }
        fault
    }

    pub(super) fn about(mut self, who: &str) -> Self {
        self.who = Some(who.to_owned());
        self
    }
}
