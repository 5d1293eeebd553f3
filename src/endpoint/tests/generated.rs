//! The language on generated strings: inverse functions, an answer to everything, places that are what they say.
//! Absent: what single strings mean.

use proptest::prelude::*;

use super::*;

fn piece(text: String) -> Piece {
    Piece::new(text, 0, 0, Vec::new())
}

/// Texts in which the characters that mean something are frequent.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\\\\:=\\[\\]a1é\\n\\x00]{0,8}", "[a-z]{0,6}"]
}

fn specs() -> impl Strategy<Value = Spec> {
    let field = (proptest::option::of(texts()), texts()).prop_map(|(name, value)| Field {
        name: name.map(piece),
        value: piece(value),
    });
    (texts(), proptest::collection::vec(field, 0..6)).prop_map(|(name, fields)| Spec {
        source: Arc::from(""),
        name: piece(name),
        fields,
        span: Span::at(0),
        depth: 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn parse_undoes_display(spec in specs()) {
        let text = spec.to_string();
        let again = Spec::parse(&text).unwrap();
        prop_assert_eq!(&again, &spec);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn a_spec_fits_into_a_value_of_another(inner in specs(), outer in specs()) {
        let mut outer = outer;
        outer.fields.push(Field { name: Some(piece(String::from("endpoint"))), value: piece(inner.to_string()) });
        let text = outer.to_string();
        let outer = Spec::parse(&text).unwrap();
        let again = outer.nested(&outer.fields.last().unwrap().value).unwrap();
        prop_assert_eq!(&again, &inner);
        // Every piece stands where it says: what is written there, unescaped as often as it is deep, holds its text.
        for field in &again.fields {
            let written = &text[field.value.span.start..field.value.span.end];
            let unescaped: String = field.value.text.chars().filter(|c| *c != '\\').collect();
            let mut rest = written.chars();
            prop_assert!(unescaped.chars().all(|c| rest.any(|w| w == c)), "{} in {}", unescaped, written);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        answered(Spec::parse_bytes(&bytes));
    }

    #[test]
    fn any_text_is_answered(text in texts()) {
        answered(Spec::parse(&text));
    }

    #[test]
    fn what_looks_like_an_endpoint_is_answered(
        text in "(tcp|stdio|k=v|):((host|port|endpoint|timeout|k)?=?(\\[|\\]|::1|80|-1|5s|[a-f0-9]{0,4}|\\\\:|1.2.3.4|é|:)){0,8}"
    ) {
        answered(Spec::parse(&text));
    }
}

fn answered(parsed: Result<Spec, Refused>) {
    let shown = |refused: Refused| {
        let Span { start, end } = refused.diagnostic.span;
        assert!(refused.diagnostic.source.get(start..end).is_some(), "{refused:?}");
        assert!(
            !refused.diagnostic.message.contains(char::is_control),
            "{refused:?}"
        );
        assert_eq!(refused.diagnostic.picture().lines().count(), 2);
    };
    let spec = match parsed {
        Ok(spec) => spec,
        Err(refused) => return shown(refused),
    };
    let again = Spec::parse(&spec.to_string()).unwrap();
    assert_eq!(again, spec);
    for (role, params) in [
        (Role::Client, CLIENT),
        (Role::Server, SERVER),
        (Role::Server, UNIX),
        (Role::Client, &[]),
    ] {
        match Args::read(&spec, role, params) {
            Ok(args) => {
                // The canonical spelling means the same.
                let again = Args::read(&again, role, params).unwrap();
                assert!(
                    args.entries()
                        .map(|entry| entry.text)
                        .eq(again.entries().map(|entry| entry.text))
                );
            }
            Err(refused) => {
                assert_eq!(kind(Args::read(&again, role, params)), refused.kind);
                shown(refused);
            }
        }
    }
    for field in &spec.fields {
        if let Err(refused) = spec.nested(&field.value) {
            shown(refused);
        }
    }
    if let Err(refused) = spec.given_once() {
        shown(refused);
    }
}
