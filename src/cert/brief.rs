//! Text that somebody else wrote, within a line of a message: escaped, and no longer than helps to tell who it was.
//! Absent: what the text is.

/// The longest name of a host has 253 characters, so that none is cut.
const SHOWN: usize = 256;

/// The text with what could drive a terminal escaped, and its rest left out where it is long.
pub(crate) fn brief(text: &str) -> String {
    cut(text.escape_debug())
}

/// The same of words of ours that quote somebody, in which what needs it is escaped already.
pub(crate) fn cut(mut text: impl Iterator<Item = char>) -> String {
    let mut shown: String = text.by_ref().take(SHOWN).collect();
    if text.next().is_some() {
        shown.push('…');
    }
    shown
}
