//! Any bytes as a finger query and as an answer: read, written, read again; nothing that moves a cursor gets through.
//! Absent: back-ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit::protocol::finger::query::Query;
use netkit::protocol::finger::screen;

fuzz_target!(|bytes: &[u8]| {
    let line = screen::one_line(bytes);
    assert!(line.chars().all(|c| !c.is_control()));
    if let Ok(query) = Query::parse(&line) {
        assert_eq!(Query::parse(&query.to_string()), Ok(query));
    }
    let answer = String::from_utf8(screen::answer(bytes)).expect("an answer is text");
    let rest = answer.replace("\r\n", "");
    assert!(rest.chars().all(|c| c == '\t' || !c.is_control()));
});
