//! Any bytes as a script: cut, printed, cut again; every refusal drawn; the checks of what was cut.
//! Absent: includes, and playing.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use netkit::error::Error;
use netkit::script::{REFUSALS_MAX, Refusal, Script};

fn drawn(refusals: Vec<Refusal>) {
    assert!((1..=REFUSALS_MAX).contains(&refusals.len()));
    for refusal in refusals {
        let diagnostic = &refusal.diagnostic;
        let span = diagnostic.span;
        assert!(diagnostic.source.get(span.start..span.end).is_some(), "{refusal:?}");
        assert!(!diagnostic.message.contains(char::is_control), "{refusal:?}");
        let _ = format!("{:#}", Error::from(refusal));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = Path::new("/nowhere/fuzz.netkit");
    match Script::cut(path, text) {
        Ok(script) => {
            let printed = script.to_string();
            let again = Script::cut(path, &printed).expect("what is printed reads back");
            assert_eq!(again.steps, script.steps);
            assert_eq!(again.limits, script.limits);
            assert_eq!(again.to_string(), printed);
        }
        Err(refusals) => drawn(refusals),
    }
    // Includes lead nowhere from there, unless they are absolute.
    if !text.contains("include")
        && let Err(refusals) = Script::parse(path, text)
    {
        drawn(refusals);
    }
});
