//! Every bad input, with its carets.
//! Absent: files.

use std::path::Path;

use snapbox::{assert_data_eq, str};

use super::{Script, shown};
use crate::script::Kind;

fn kinds(text: &str) -> Vec<(Kind, usize)> {
    let refusals = Script::parse(Path::new("t.netkit"), text).unwrap_err();
    refusals
        .iter()
        .map(|refusal| (refusal.kind, refusal.line))
        .collect()
}

/// What each of these lines is answered with.
fn answers(lines: &[&str]) -> String {
    let answer = |line: &&str| match Script::parse(Path::new("t.netkit"), line) {
        Ok(_) => panic!("{line} is taken"),
        Err(refusals) => shown(refusals),
    };
    lines.iter().map(answer).collect()
}

#[test]
fn words() {
    assert_data_eq!(
        answers(&[
            "strat lines: serve lines tcp:0",
            "alice expect \"x\"",
            "alice",
            "frobnicate the server",
            "connect alice $lines",
            "connect alice",
            "connect end to tcp:h:1",
            "connect al-ice to tcp:h:1",
            "start lines serve lines tcp:0",
            "start lines: connect tcp:h:1",
            "start lines: srve echo tcp:0",
            "start lines:",
            "stop lines now",
            "  alice expects clsoe",
            "alice expects hello",
            "alice expects tls alert unknown_cs",
            "sleep 5 minutes",
            "sleep fast",
            "sleep 0s",
            "sleep 2d",
            "sleep 50ms within 1s",
            "repeat 0 times",
            "repeat 99999 times",
            "repeat three times",
            "a exits with status 256",
            "limit 2s each, 5s each",
            "set X to a free prot",
            "check $a matches \"b\"",
            "a expects silence",
        ]),
        str![[r#""#]]
    );
}

#[test]
fn texts() {
    assert_data_eq!(
        answers(&[
            "set X to \"abc",
            "set X to \"a\\q\"",
            "set X to \"a\\x4\"",
            "set X to \"\\$5\"",
            "set X to \"5$\"",
            "set X to \"${a\"",
            "set X to \"$a.b.c\"",
            "set X to \"$TMP.x\"",
            "set X to $env",
            "set X to hello",
            "set X to \"a\"b",
            "set X to $a/b",
            "a sends hex 0",
            "a sends hex zz",
            "a sends hex",
            "a expects /a(/",
            "a expects /a",
            "a expects /a/b/",
            "a expects /a{1000000}/",
            "a expects /${}/",
            "launch a: 'x",
            "set X to \"日本\" 語",
        ]),
        str![[r#""#]]
    );
}

#[test]
fn blocks() {
    for (text, kind, line) in [
        ("repeat 2 times\nsleep 1s\n", Kind::UnmatchedBlock, 1),
        ("sleep 1s\nend", Kind::UnmatchedBlock, 2),
        ("and", Kind::UnmatchedBlock, 1),
        (
            "repeat 2 times\nsleep 1s\nand\nsleep 1s\nend",
            Kind::UnmatchedBlock,
            3,
        ),
        ("repeat 2 times\nend", Kind::EmptyBlock, 1),
        ("parallel\nsleep 1s\nend", Kind::EmptyBlock, 1),
        ("parallel\nsleep 1s\nand\nend", Kind::EmptyBlock, 3),
        ("parallel\nand\nsleep 1s\nend", Kind::EmptyBlock, 1),
        ("sleep 1s\nlimit 1s each", Kind::MisplacedLimit, 2),
        ("limit 1s each\nlimit 1s in all", Kind::MisplacedLimit, 2),
    ] {
        assert_eq!(kinds(text), [(kind, line)], "{text}");
    }
    let deep = format!(
        "{}sleep 1s\n{}",
        "repeat 1 times\n".repeat(20),
        "end\n".repeat(20)
    );
    assert_eq!(kinds(&deep), [(Kind::TooMuch, 9)]);
    let wide = format!("parallel\n{}sleep 1s\nend", "sleep 1s\nand\n".repeat(16));
    assert_eq!(kinds(&wide), [(Kind::TooMuch, 33)]);
    // Far deeper than any stack.
    let abyss = "parallel\n".repeat(100_000);
    assert_eq!(kinds(&abyss)[0].0, Kind::UnmatchedBlock);
    let closed = format!("{}{}", "repeat 1 times\n".repeat(30_000), "end\n".repeat(30_000));
    assert_eq!(kinds(&closed)[0].0, Kind::TooMuch);
}

#[test]
fn several_are_told_at_once() {
    let text = "strat a\nrepeat x times\nsleep 1s\nend\nsleep\nset X to $y\n";
    assert_eq!(
        kinds(text),
        [(Kind::UnknownStep, 1), (Kind::BadNumber, 2), (Kind::Missing, 5)]
    );
    let many = "what\n".repeat(1000);
    assert_eq!(kinds(&many).len(), crate::script::REFUSALS_MAX);
    let many = "set X to $nothing\n".repeat(1000);
    assert_eq!(kinds(&many).len(), crate::script::REFUSALS_MAX);
}

#[test]
fn names() {
    let with = |lines: &str| format!("listen door on tcp:0\nconnect alice to $door\nset X to \"x\"\n{lines}");
    let all: String = [
        "alcie sends \"x\"",
        "bob sends \"x\"",
        "door sends \"x\"",
        "stop door",
        "accept bob on dor",
        "set Y to $Z",
        "set Y to $dor",
        "set Y to $alice",
        "set Y to $alice.port",
        "set Y to \"$X.port\"",
        "set Y to $door.peer",
        "set Y to $PATH",
        "set Y to $env.NETKIT_SURELY_NOT_SET",
        "set alice to \"x\"",
        "alice expects /(?<door>x)/",
        "alice expects /(?<end>x)/",
        "check $X does not match /(?<y>x)/",
        "alice expects \"\"",
        "alice expects line \"a\\r\\n\"",
        "connect eve to $door fails\neve sends \"x\"",
        "parallel\nset Y to \"x\"\nand\nset Z to $Y\nend",
        "parallel\nset Y to \"x\"\nand\nset Y to \"y\"\nend",
        "connect bob to tcp:127.0.0.1:prot=5",
        "connect bob to \"tpc:127.0.0.1:5\"",
        "connect bob to \"tcp:\\x31:pro=5\"",
        "wait for tcp:1234",
        "listen other on stdio:",
        "alice sends file \"/nowhere/x\"",
        "alice sends file \"$DIR\"",
        "launch a: netkit-surely-no-program",
        "launch a: /bin/sh \"\\0\"",
    ]
    .iter()
    .map(|lines| {
        let refusals = Script::parse(Path::new("t.netkit"), &with(lines)).err();
        shown(refusals.unwrap_or_else(|| panic!("{lines} is taken")))
    })
    .collect();
    let here = std::env::current_dir().unwrap();
    assert_data_eq!(all.replace(here.to_str().unwrap(), "[HERE]"), str![[r#""#]]);
}
