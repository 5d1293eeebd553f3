//! What a script claims of its texts, and whether it is so.
//! Absent: what comes from a peer.

use super::act::in_time;
use super::fault::Fault;
use super::search::{find, is_too_much, matched};
use super::stage::{Limit, Stage};
use crate::escape::bytes_literal;
use crate::script::difference::{Difference, clipped};
use crate::script::step::{Claim, Pattern, Place, Text};

impl Stage<'_> {
    pub(super) async fn check(
        &self,
        place: Place,
        limit: &Limit,
        subject: &Text,
        claim: &Claim,
    ) -> Result<(), Fault> {
        let value = self.bytes(subject)?;
        let failed = |why: &str, picture: Vec<String>| {
            let mut fault = Fault::new(place, why);
            fault.picture = picture;
            Err(fault)
        };
        let both = |word: &str, other: &[u8]| {
            vec![
                format!("expected  {word}{}", literal(other)),
                format!("found     {}", literal(&value)),
            ]
        };
        match claim {
            Claim::Is { holds, other } => {
                let other = self.bytes(other)?;
                let [expected, arrived, caret] = Difference::next(&other, &value).lines();
                let found = arrived.replacen("arrived  ", "found    ", 1);
                match ((value == other) == *holds, holds) {
                    (true, _) => Ok(()),
                    (false, true) => failed("it is something else", vec![expected, found, caret]),
                    (false, false) => failed("it is just that", both("anything but ", &other)),
                }
            }
            Claim::Contains { holds, other } => {
                let other = self.bytes(other)?;
                match (find(&value, &other).is_some() == *holds, holds) {
                    (true, _) => Ok(()),
                    (false, true) => failed("it is not in there", both("", &other)),
                    (false, false) => failed("it is in there", both("nothing like ", &other)),
                }
            }
            Claim::Matches { holds, pattern } => {
                let matching = self.check_pattern(value, *holds, pattern, place);
                in_time(place, limit, matching, || "it was not searched".to_owned()).await
            }
        }
    }

    async fn check_pattern(
        &self,
        value: Vec<u8>,
        holds: bool,
        pattern: &Pattern,
        place: Place,
    ) -> Result<(), Fault> {
        let pattern = self.pattern(pattern)?;
        let found = match is_too_much(&pattern, &value) {
            (_, true) => return Err(Fault::new(place, "it is too long for this regex")),
            (false, _) => matched(&pattern, &value),
            (true, _) => {
                let (pattern, value) = (pattern.clone(), value.clone());
                let searched = tokio::task::spawn_blocking(move || matched(&pattern, &value)).await;
                searched.map_err(|_panicked| Fault::new(place, "it could not be searched"))?
            }
        };
        if found.is_some() != holds {
            let (why, word) = match holds {
                true => ("it does not match", ""),
                false => ("it matches", "nothing like "),
            };
            let mut fault = Fault::new(place, why);
            fault.picture = vec![
                format!("expected  {word}/{pattern}/"),
                format!("found     {}", literal(&value)),
            ];
            return Err(fault);
        }
        for (name, value) in found.map(|found| found.captures).unwrap_or_default() {
            self.set(place, &name, value)?;
        }
        Ok(())
    }
}

/// Bytes as they are written, and of many the first.
fn literal(bytes: &[u8]) -> String {
    match clipped(bytes) {
        (_, true) => bytes_literal(bytes),
        (shown, false) => format!("b\"{shown}…\" ({} bytes)", bytes.len()),
    }
}
