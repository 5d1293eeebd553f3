//! `Piece`: an unescaped part of an endpoint string that knows where each of its characters was written.
//! Absent: how the string was cut.

use std::sync::Arc;

use crate::diagnostic::Span;

/// An unescaped part of an endpoint string.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The text that is meant, with escapes and brackets undone.
    pub text: String,
    /// Where it stands in the source, brackets not included.
    pub span: Span,
    map: Arc<Map>,
}

/// From offsets in the unescaped text to offsets in the text it was cut from.
#[derive(Debug)]
struct Map {
    start: usize,
    /// After each escape: the offset in the text, and the one it corresponds to. In between both run side by side.
    jumps: Vec<(usize, usize)>,
    /// The map of the piece that this one was cut from.
    outer: Option<Arc<Map>>,
}

impl Map {
    fn locate(&self, offset: usize) -> usize {
        let mut offset = offset;
        let mut map = self;
        // As many rounds as the endpoint is deep, see `MAX_DEPTH`.
        loop {
            let passed = map.jumps.partition_point(|(from, _)| *from <= offset);
            let (from, to) = passed
                .checked_sub(1)
                .and_then(|i| map.jumps.get(i))
                .copied()
                .unwrap_or((0, map.start));
            offset = to + (offset - from);
            match &map.outer {
                Some(outer) => map = outer,
                None => return offset,
            }
        }
    }
}

/// What is meant decides, not how or where it was written.
impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Piece {}

impl Piece {
    pub(super) fn new(text: String, start: usize, end: usize, jumps: Vec<(usize, usize)>) -> Self {
        let map = Map {
            start,
            jumps,
            outer: None,
        };
        Piece {
            text,
            span: Span::new(start, end),
            map: Arc::new(map),
        }
    }

    /// Where a part of [`Piece::text`] was written in the source.
    #[must_use]
    pub fn locate(&self, part: Span) -> Span {
        let start = part.start.min(self.text.len());
        let end = part.end.clamp(start, self.text.len());
        Span::new(self.map.locate(start), self.map.locate(end))
    }

    /// The same piece, seen from the text that `outer` was cut from.
    pub(super) fn within(self, outer: &Piece) -> Self {
        let span = outer.locate(self.span);
        // The piece was made a moment ago and nobody shares its map, so nothing is copied here.
        let map = match Arc::try_unwrap(self.map) {
            Ok(map) => map,
            Err(shared) => Map {
                start: shared.start,
                jumps: shared.jumps.clone(),
                outer: shared.outer.clone(),
            },
        };
        let map = Map {
            outer: Some(Arc::clone(&outer.map)),
            ..map
        };
        Piece {
            text: self.text,
            span,
            map: Arc::new(map),
        }
    }
}
