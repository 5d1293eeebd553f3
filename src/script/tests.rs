//! The language as a whole: what is read, what is refused and where, and that printing and reading are inverse.
//! Absent: playing.

mod generated;
mod includes;
mod refused;

use std::path::Path;
use std::time::Duration;

use super::step::{
    Action, Claim, Expectation, Fact, Failure, Field, Holder, Payload, Piece, Step, Text, Value,
};
use super::{Limits, Refusal, Script};

fn cut(text: &str) -> Script {
    Script::cut(Path::new("t.netkit"), text).unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

fn one(text: &str) -> Step {
    let mut steps = cut(text).steps;
    assert_eq!(steps.len(), 1, "{text}");
    steps.remove(0)
}

/// How a refusal is shown, without the file's name.
fn shown(refusals: Vec<Refusal>) -> String {
    let all = refusals.into_iter().map(|refusal| {
        let line = refusal.line;
        format!("{line}: {:#}\n", refusal.diagnostic)
    });
    all.collect()
}

fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.into())
}

fn literal(text: &Text) -> &str {
    std::str::from_utf8(text.literal().unwrap()).unwrap()
}

fn holders(text: &Text) -> Vec<Holder> {
    let variables = text.pieces.iter().filter_map(|piece| match piece {
        Piece::Variable(variable) => Some(variable.of.clone()),
        Piece::Bytes(_) => None,
    });
    variables.collect()
}

const FIRST: &str = r#"
# The line server greets, answers, and says goodbye.
limit 2s each, 10s in all

start lines: serve lines tcp:0 --file $TMP/said
connect alice to $lines

alice expects "Connection with the server established!\r\n"
alice sends "hello\r\n"
alice expects line "Hello! How are you?" within 500ms
alice sends line "goodbye"   # and out
alice expects /No+ don't go away(?<dots>\.+)\r\n/
alice expects close
check $dots is "....."
"#;

#[test]
fn a_whole_script_is_read() {
    let script = Script::parse(Path::new("t.netkit"), FIRST).unwrap();
    let limits = Limits {
        step: Duration::from_secs(2),
        script: Duration::from_secs(10),
    };
    assert_eq!(script.limits, limits);
    assert_eq!(script.steps.len(), 9);
    let Action::Start { name, command } = &script.steps[0].action else {
        panic!()
    };
    assert_eq!(name.text, "lines");
    let words: Vec<_> = command[..4].iter().map(literal).collect();
    assert_eq!(words, ["serve", "lines", "tcp:0", "--file"]);
    let said = Piece::Variable(super::step::Variable {
        of: Holder::Temporary,
        place: script.steps[0].place,
    });
    assert_eq!(command[4].pieces, [said, bytes("/said")]);
    let within = &script.steps[4];
    assert_eq!(within.within, Some(Duration::from_millis(500)));
    assert_eq!(
        (within.place.line, script.line(within.place)),
        (10, r#"alice expects line "Hello! How are you?" within 500ms"#)
    );
    let goodbye = script.steps[5].place;
    let source = &script.source(goodbye).unwrap().text;
    assert_eq!(
        &source[goodbye.span.start..goodbye.span.end],
        r#"alice sends line "goodbye""#
    );
}

#[test]
fn texts_hold_escapes_and_variables() {
    let Action::Send {
        payload: Payload::Text(text),
        line: false,
        ..
    } = one(r#"a sends "x\r\n\x00\"$$5 ${who}y $lines.port. $env.HOME$alice.tls.version""#).action
    else {
        panic!()
    };
    assert_eq!(
        holders(&text),
        [
            Holder::Named("who".into()),
            Holder::Field("lines".into(), Field::Port),
            Holder::Environment("HOME".into()),
            Holder::Field("alice".into(), Field::Fact(Fact::TlsVersion)),
        ]
    );
    assert_eq!(text.pieces[0], bytes("x\r\n\0\"$5 "));
    assert_eq!(text.pieces[2], bytes("y "));
    assert_eq!(text.pieces[4], bytes(". "));
}

#[test]
fn arguments_are_read_as_a_shell_reads_them() {
    let Action::Launch { command, .. } =
        one(r#"launch a: prog 'b $c' d" \t"e$$ "" tcp:h\:1 f#g --x="$TMP" # within 5s"#).action
    else {
        panic!()
    };
    let words: Vec<_> = command[..6].iter().map(literal).collect();
    assert_eq!(words, ["prog", "b $c", "d \te$", "", r"tcp:h\:1", "f#g"]);
    assert_eq!(command[6].pieces[0], bytes("--x="));
    assert_eq!(holders(&command[6]), [Holder::Temporary]);
    assert_eq!(command.len(), 7);
}

#[test]
fn every_step_is_read() {
    for (text, action) in [
        ("stop a", "Stop"),
        ("a exits", "Exits"),
        ("a exits with status 255 within 1s", "Exits"),
        ("wait for tcp:h:1 tcp:h:2 to be gone within 5s", "Wait"),
        ("connect a to $b fails with tls", "Connect"),
        ("connect a to $b fails with /no (such|more)/ within 1s", "Connect"),
        ("listen a on unix:$TMP/socket", "Listen"),
        ("accept a on b fails", "Accept"),
        ("a sends hex 48 650a within 2s", "Send"),
        ("a sends file \"x\"", "Send"),
        ("a sends $b", "Send"),
        ("a expects exactly hex 00", "Expect"),
        ("a expects file \"$DIR/x\"", "Expect"),
        ("a expects tls alert within 1s", "Expect"),
        ("a expects tls alert unknown_ca", "Expect"),
        ("a expects silence for 300ms", "Expect"),
        ("a ends", "End"),
        ("a closes", "Close"),
        ("a resets", "Reset"),
        ("check $a is not \"\"", "Check"),
        ("check $a does not contain \"b\"", "Check"),
        ("check $a does not match /b/", "Check"),
        ("set a to a free port", "Set"),
        ("set a to $a", "Set"),
        ("sleep 1.5s", "Sleep"),
        ("repeat 3 times\n a ends\nend", "Repeat"),
        ("parallel\n a ends\nand\n b ends\nand\nb ends\nend", "Parallel"),
        ("include \"x\"", "Include"),
        ("start a within 5s: relay tcp:0 $b", "Start"),
    ] {
        let step = one(text);
        assert!(
            format!("{:?}", step.action).starts_with(action),
            "{text}: {step:?}"
        );
        // The order of words and the words are kept, only blanks may differ.
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let same = text.replace("650a", "65 0a");
        assert_eq!(squeezed(&step.to_string()), squeezed(&same));
    }
    let Action::Check {
        claim: Claim::Matches { holds: false, .. },
        ..
    } = one("check $a does not match /b/").action
    else {
        panic!()
    };
    let Action::Connect {
        fails: Some(Failure::Tls),
        ..
    } = one("connect a to $b fails with tls").action
    else {
        panic!()
    };
    let Action::Set {
        value: Value::FreePort,
        ..
    } = one("set a to a free port").action
    else {
        panic!()
    };
    let Action::Expect {
        what: Expectation::Exactly(Payload::Hex(hex)),
        ..
    } = one("a expects exactly hex 00 fF").action
    else {
        panic!()
    };
    assert_eq!(hex, [0, 255]);
}

#[test]
fn line_ends_blanks_and_marks_do_not_count() {
    let plain = cut("limit 1s each\nrepeat 2 times\na ends\nend\n");
    let odd = cut("\u{feff}limit   1s\teach\r\n\r\n\t repeat 2 times # twice\r\na  ends\r\n  end");
    assert_eq!(plain.steps, odd.steps);
    assert_eq!(plain.limits, odd.limits);
    assert_eq!(odd.steps[0].place.line, 3);
    assert!(cut("").steps.is_empty() && cut(" # nothing").steps.is_empty());
}

#[test]
fn limits_may_stand_alone() {
    let limits = |text| cut(text).limits;
    assert_eq!(limits("limit 1s each").step, Duration::from_secs(1));
    assert_eq!(limits("limit 1s each").script, Limits::default().script);
    assert_eq!(limits("limit 9s in all").script, Duration::from_secs(9));
    assert_eq!(limits("limit 9s in all, 2s each").step, Duration::from_secs(2));
}

#[test]
fn a_regex_keeps_its_own_backslashes() {
    let Action::Expect {
        what: Expectation::Matches(pattern),
        ..
    } = one(r"a expects /^\/(?<rest>[^ ]+)\\ \$ ${v}$/ within 1s").action
    else {
        panic!()
    };
    assert_eq!(pattern.groups, ["rest"]);
    assert_eq!(pattern.pieces[0], bytes(r"^/(?<rest>[^ ]+)\\ \$ "));
    assert_eq!(pattern.pieces[2], bytes("$"));
    assert_eq!(pattern.to_string(), r"/^\/(?<rest>[^ ]+)\\ \$ ${v}$/");
}

#[test]
fn names_flow_in_the_order_of_the_steps() {
    let good = r#"
set GREETING to "hello"
listen door on tcp:0:interface=127.0.0.1
parallel
    connect bob to $door
    bob sends $GREETING
and
    accept guest on door
    guest expects /(?<word>[a-z]+)/
end
check $word is $GREETING
check $guest.peer is $bob.local
repeat 2 times
    connect bob to $door.1
    accept guest on door
end
connect eve to tls:127.0.0.1:$door.port:servername=localhost fails with tls
launch other: /bin/sh -c "exit 3"
other exits with status 3
"#;
    Script::parse(Path::new("t.netkit"), good).unwrap_or_else(|refusals| panic!("{}", shown(refusals)));
}
