//! Scripts made at random: printed and read again they are the same, and no bytes make anything but an answer.
//! Absent: scripts with names that make sense.

use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::error::Error;
use crate::script::step::{
    Action, Claim, Expectation, Fact, Failure, Field, Holder, Name, Pattern, Payload, Piece, Place, Step,
    Text, Value, Variable, Word,
};
use crate::script::{ALERTS, Limits, RESERVED, Script, VERBS, pattern};

fn place() -> Place {
    Place::default()
}

fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,6}"
        .prop_filter("no word of the language", |text| {
            !RESERVED.contains(&text.as_str())
        })
        .prop_map(|text| Name { text, place: place() })
}

fn holder() -> impl Strategy<Value = Holder> {
    let field = prop_oneof![
        (1_usize..99).prop_map(Field::Endpoint),
        Just(Field::Host),
        Just(Field::Port),
        (0..Fact::ALL.len()).prop_map(|at| Field::Fact(Fact::ALL[at])),
    ];
    prop_oneof![
        Just(Holder::Temporary),
        Just(Holder::Directory),
        "[A-Z_0-9]{1,5}".prop_map(Holder::Environment),
        name().prop_map(|name| Holder::Named(name.text)),
        (name(), field).prop_map(|(name, field)| Holder::Field(name.text, field)),
    ]
}

/// Pieces as reading leaves them: none empty, no two of bytes side by side.
fn pieces(bytes: impl Strategy<Value = Vec<u8>>, most: usize) -> impl Strategy<Value = Vec<Piece>> {
    let variable = holder().prop_map(|of| Piece::Variable(Variable { of, place: place() }));
    vec(prop_oneof![bytes.prop_map(Piece::Bytes), variable], 0..most).prop_map(|pieces| {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (_, Piece::Bytes(bytes)) if bytes.is_empty() => {}
                (Some(Piece::Bytes(before)), Piece::Bytes(bytes)) => before.extend(bytes),
                (_, piece) => joined.push(piece),
            }
        }
        joined
    })
}

fn text() -> impl Strategy<Value = Text> {
    let bytes = prop_oneof![
        any::<Vec<u8>>(),
        "[a-z.$#\"'\\\\ /:]{0,8}".prop_map(String::into_bytes),
        "(to|within|be|#|\\$)".prop_map(String::into_bytes),
    ];
    pieces(bytes, 4).prop_map(|pieces| Text {
        pieces,
        place: place(),
    })
}

fn pattern_() -> impl Strategy<Value = Pattern> {
    let bytes = r"([a-z /$]|\\\$|\\\\|\(\?<[a-z]>x\)|[.+]a|é){0,4}".prop_map(String::into_bytes);
    pieces(bytes, 3).prop_filter_map("no regex", |pieces| {
        // Braces behind a dollar would be a variable.
        pattern::read(pieces, place()).ok()
    })
}

fn time() -> impl Strategy<Value = Duration> {
    (1_u64..86_400_000_000).prop_map(Duration::from_micros)
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        text().prop_map(Payload::Text),
        vec(any::<u8>(), 1..5).prop_map(Payload::Hex),
        text().prop_map(Payload::File),
    ]
}

fn expectation() -> impl Strategy<Value = Expectation> {
    prop_oneof![
        payload().prop_map(Expectation::Contains),
        payload().prop_map(Expectation::Exactly),
        text().prop_map(Expectation::Line),
        pattern_().prop_map(Expectation::Matches),
        Just(Expectation::Close),
        Just(Expectation::Reset),
        Just(Expectation::Alert(None)),
        (0..ALERTS.len()).prop_map(|at| {
            let text = ALERTS[at].to_owned();
            Expectation::Alert(Some(Word { text, place: place() }))
        }),
        time().prop_map(Expectation::Silence),
    ]
}

fn failure() -> impl Strategy<Value = Option<Failure>> {
    proptest::option::of(prop_oneof![
        Just(Failure::Any),
        Just(Failure::Refused),
        Just(Failure::Timeout),
        Just(Failure::Tls),
        Just(Failure::Reset),
        pattern_().prop_map(Failure::Matching),
    ])
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        (any::<bool>(), text()).prop_map(|(holds, other)| Claim::Is { holds, other }),
        (any::<bool>(), text()).prop_map(|(holds, other)| Claim::Contains { holds, other }),
        (any::<bool>(), pattern_()).prop_map(|(holds, pattern)| Claim::Matches { holds, pattern }),
    ]
}

fn simple() -> impl Strategy<Value = Action> {
    let verb = (0..VERBS.len()).prop_map(|at| Text {
        pieces: vec![Piece::Bytes(VERBS[at].into())],
        place: place(),
    });
    let parts = prop_oneof![
        (name(), verb, vec(text(), 0..4)).prop_map(|(name, verb, words)| Action::Start {
            name,
            command: [vec![verb], words].concat()
        }),
        (name(), vec(text(), 1..4)).prop_map(|(name, command)| Action::Launch { name, command }),
        name().prop_map(|name| Action::Stop { name }),
        (name(), any::<Option<u8>>()).prop_map(|(name, status)| Action::Exits { name, status }),
    ];
    let ends = prop_oneof![
        (vec(text(), 1..4), any::<bool>()).prop_map(|(endpoints, gone)| Action::Wait { endpoints, gone }),
        (name(), text(), failure()).prop_map(|(name, endpoint, fails)| Action::Connect {
            name,
            endpoint,
            fails
        }),
        (name(), text()).prop_map(|(name, endpoint)| Action::Listen { name, endpoint }),
        (name(), name(), failure()).prop_map(|(name, door, fails)| Action::Accept { name, door, fails }),
    ];
    let talk = prop_oneof![
        (name(), payload()).prop_map(|(who, payload)| Action::Send {
            who,
            payload,
            line: false
        }),
        (name(), text()).prop_map(|(who, text)| Action::Send {
            who,
            payload: Payload::Text(text),
            line: true
        }),
        (name(), expectation()).prop_map(|(who, what)| Action::Expect { who, what }),
        name().prop_map(|who| Action::End { who }),
        name().prop_map(|who| Action::Close { who }),
        name().prop_map(|who| Action::Reset { who }),
    ];
    let rest = prop_oneof![
        (text(), claim()).prop_map(|(subject, claim)| Action::Check { subject, claim }),
        (name(), text()).prop_map(|(name, text)| Action::Set {
            name,
            value: Value::Text(text)
        }),
        name().prop_map(|name| Action::Set {
            name,
            value: Value::FreePort
        }),
        time().prop_map(Action::Sleep),
        text().prop_map(|file| Action::Include {
            file,
            steps: Vec::new()
        }),
    ];
    prop_oneof![parts, ends, talk, rest]
}

/// A limit stands where one is taken.
fn step(action: Action, within: Option<Duration>) -> Step {
    let taken = match &action {
        Action::Expect { what, .. } => !matches!(what, Expectation::Silence(_)),
        Action::Start { .. }
        | Action::Stop { .. }
        | Action::Exits { .. }
        | Action::Wait { .. }
        | Action::Connect { .. }
        | Action::Accept { .. }
        | Action::Send { .. }
        | Action::End { .. }
        | Action::Close { .. } => true,
        _ => false,
    };
    Step {
        action,
        within: within.filter(|_| taken),
        place: place(),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let simple = (simple(), proptest::option::of(time())).prop_map(|(action, within)| step(action, within));
    let any = simple.prop_recursive(3, 12, 4, |inner| {
        let some = || vec(inner.clone(), 1..3);
        prop_oneof![
            (1_u32..=10_000, some()).prop_map(|(times, steps)| step(Action::Repeat { times, steps }, None)),
            vec(some(), 2..4).prop_map(|branches| step(Action::Parallel { branches }, None)),
        ]
    });
    vec(any, 0..4)
}

fn answered(text: &str) {
    match Script::cut(Path::new("t.netkit"), text) {
        Ok(script) => {
            let printed = script.to_string();
            let again = Script::cut(Path::new("t.netkit"), &printed).unwrap();
            assert_eq!(again.steps, script.steps);
            assert_eq!(again.to_string(), printed);
        }
        Err(refusals) => {
            assert!(!refusals.is_empty());
            for refusal in refusals {
                let span = refusal.diagnostic.span;
                assert!(
                    refusal.diagnostic.source.get(span.start..span.end).is_some(),
                    "{refusal:?}"
                );
                assert!(
                    !refusal.diagnostic.message.contains(char::is_control),
                    "{refusal:?}"
                );
                let _ = format!("{:#}", Error::from(refusal));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_printed_script_reads_back(steps in steps(), each in time(), all in time()) {
        let limits = Limits { step: each, script: all };
        let script = Script { sources: Vec::new(), limits, steps };
        let text = script.to_string();
        let again = Script::cut(Path::new("t.netkit"), &text);
        let again = again.map_err(|refusals| TestCaseError::fail(format!("{text}\n{refusals:#?}")))?;
        prop_assert_eq!(&again.steps, &script.steps, "{}", text);
        prop_assert_eq!(again.limits, script.limits);
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        answered(&text);
    }

    #[test]
    fn any_words_are_answered(
        text in "((start|launch|connect|listen|accept|a|b|sends|expects|to|on|repeat|parallel|and|end|limit|wait|for|set|check|is|\
                  serve|hex|file|line|exactly|tls|alert|include|within|5s|\"|\\$|\\$\\{|\\}|/|\\\\|:|#|,|[0-9]{1,9}|é|[a-z.]{0,4})( |\n|\t|)){0,24}"
    ) {
        answered(&text);
        // What is refused beyond the grammar is shown as well.
        for refusal in Script::parse(Path::new("t.netkit"), &text).err().into_iter().flatten() {
            let _ = format!("{:#}", Error::from(refusal));
        }
    }
}
