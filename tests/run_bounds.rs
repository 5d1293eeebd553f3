//! `run`: that nothing a script says, and nothing a peer sends, keeps it from its limits, from signals, or from its end.
//! Absent: what a failing script tells.

use std::fs;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Netkit, PATIENCE, eventually, netkit_after};

/// Steps without end that wait for nothing.
const BUSY: &str = "repeat 10000 times\nrepeat 10000 times\nset A to \"x\"\ncheck $A is \"x\"\nend\nend\n";

/// A regex that takes long where much comes.
const SLOW: &str = "/[ab]*[^b][ab]{1500}[ab]*[^a]{300}c/";

fn of(files: &[(&str, &str)]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

fn run(place: &TempDir, args: &[&str]) -> Netkit {
    netkit_after(&format!("cd '{}'", place.path().display()), "", ["run"]).args(args)
}

/// One script that is to end with this status, and what is told of it.
#[track_caller]
fn told(status: i32, script: &str) -> String {
    let place = of(&[("a.netkit", script)]);
    run(&place, &["a.netkit"]).run().status(status).text()
}

#[track_caller]
fn has(told: &str, words: &str) {
    assert!(told.contains(words), "{told}");
}

#[test]
fn steps_that_wait_for_nothing_are_over_in_time() {
    let start = Instant::now();
    let told = told(4, &format!("limit 1s each, 1s in all\n{BUSY}"));
    has(&told, "it was not reached within the 1s that the script may take");
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn steps_that_wait_for_nothing_heed_signals_and_neighbours() {
    let busy = format!("limit 1h in all\n{BUSY}");
    let place = of(&[
        ("a.netkit", &busy),
        ("b.netkit", "launch t: touch $DIR/there\nt exits\n"),
    ]);
    let run = run(&place, &["--jobs", "2", "a.netkit", "b.netkit"]).start();
    eventually("the neighbour", || fs::metadata(place.path().join("there")).ok());
    run.signal(Signal::TERM);
    has(&run.wait().status(143).text(), "interrupted a.netkit");
}

#[test]
fn a_regex_that_takes_long_keeps_to_its_limit() {
    let script = format!(
        "start c: serve echo tcp:0\nconnect a to $c\na sends file \"x\"\nsleep 100ms\na expects {SLOW} within 300ms\n"
    );
    let place = of(&[("a.netkit", &script)]);
    fs::write(place.path().join("x"), "ab".repeat(30_000)).unwrap();
    let start = Instant::now();
    let told = run(&place, &["a.netkit"]).run().status(4).text();
    has(&told, "it did not come within 300ms");
    // It has only just begun by then.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_large_regex_is_not_searched_in_a_flood() {
    let script =
        format!("start c: serve chargen tcp:0\nconnect a to $c\nsleep 300ms\na expects {SLOW} within 40s\n");
    has(
        &told(6, &script),
        "more came than this regex is searched in, which is 128KiB",
    );
}

#[test]
fn a_text_and_all_variables_have_their_most() {
    let grown = "set A to \"0123456789abcdef\"\nrepeat 32 times\nset A to \"$A$A\"\nend\n";
    has(&told(6, grown), "it comes to more than 1MiB");
    let mut many = "set A to \"0123456789abcdef\"\nrepeat 16 times\nset A to \"$A$A\"\nend\n".to_owned();
    for number in 0..20 {
        many.push_str(&format!("set B{number} to $A\n"));
    }
    has(&told(6, &many), "all variables would hold more than 16MiB");
    let words =
        "set A to \"0123456789abcdef\"\nrepeat 16 times\nset A to \"$A$A\"\nend\nlaunch x: true $A $A\n";
    has(&told(6, words), "its words come to more than 1MiB");
}

#[test]
fn a_part_is_stopped_while_its_end_is_waited_for() {
    let script = "launch e: sleep 1000\nparallel\ne exits within 20s\nand\nsleep 100ms\nstop e\nend\n";
    told(0, script);
}

#[test]
fn a_file_that_does_not_come_is_late() {
    let script = "start c: serve echo tcp:0\nconnect a to $c\na sends file \"fifo\" within 200ms\n";
    let place = of(&[("a.netkit", script)]);
    mknodat(
        CWD,
        place.path().join("fifo"),
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let told = run(&place, &["a.netkit"]).run().status(4).text();
    has(&told, "the file was not read within 200ms");
}
