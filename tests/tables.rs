//! The tables of endpoint types and protocols: what holds for each entry, so that a new one is held to it too.
//! Absent: what the entries do.

use std::collections::HashSet;
use std::ffi::OsStr;

use netkit::endpoint::{Args, Default, Kind, Param, Role, Spec};
use netkit::error::Status;
use netkit::layer::{WRAPPERS, Wrapper, WrapperRole};
use netkit::protocol::PROTOCOLS;
use netkit::transport::reading::{ClientEndpoint, Reading, ServerEndpoint};
use netkit::transport::{TRANSPORTS, Transport};

use crate::harness::netkit;

/// Every role of every type: its table and its examples.
fn roles() -> impl Iterator<
    Item = (
        &'static Transport,
        Role,
        &'static [Param],
        &'static [&'static str],
    ),
> {
    TRANSPORTS.iter().flat_map(|transport| {
        Role::ALL.into_iter().filter_map(|role| {
            let (params, examples) = (transport.params(role)?, transport.examples(role)?);
            Some((*transport, role, params, examples))
        })
    })
}

fn is_a_sentence_part(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.ends_with('.') && !text.contains('\n')
}

#[test]
fn type_names_are_unique_and_lower_case() {
    let mut names = HashSet::new();
    for transport in TRANSPORTS {
        let name = transport.name;
        assert!(names.insert(name), "{name} twice");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "{name}"
        );
        assert!(
            is_a_sentence_part(transport.summary),
            "{name}: {}",
            transport.summary
        );
        assert!(
            transport.client.is_some() || transport.server.is_some(),
            "{name} has no role"
        );
    }
}

#[test]
fn every_field_is_documented_and_named_once() {
    for (transport, role, params, _) in roles() {
        let mut names = HashSet::new();
        for param in params {
            let place = format!("{} of the {role} {}", param.name, transport.name);
            assert!(is_a_sentence_part(param.doc), "{place}: {}", param.doc);
            for name in std::iter::once(&param.name).chain(param.aliases) {
                assert!(names.insert(*name), "{place}: {name} twice");
                assert!(
                    name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                    "{place}: {name}"
                );
            }
        }
    }
}

#[test]
fn required_and_positional_fields_come_first() {
    for (transport, role, params, _) in roles() {
        let place = format!("the {role} {}", transport.name);
        assert!(
            params.is_sorted_by_key(|param| !param.positional),
            "{place}: positions after names"
        );
        let positional: Vec<_> = params.iter().filter(|param| param.positional).collect();
        assert!(
            positional.is_sorted_by_key(|param| !param.is_required()),
            "{place}: required after optional"
        );
    }
}

#[test]
fn every_example_parses_in_its_role() {
    for (transport, role, params, examples) in roles() {
        assert!(
            !examples.is_empty(),
            "the {role} {} has no example",
            transport.name
        );
        for example in examples {
            let text = OsStr::new(example);
            let read = match role {
                Role::Client => ClientEndpoint::parse(text).map(|endpoint| endpoint.type_name()),
                Role::Server => ServerEndpoint::parse(text).map(|endpoint| endpoint.type_name()),
            };
            let name = read.unwrap_or_else(|refused| panic!("{role} {example}: {refused:#}"));
            assert_eq!(name, transport.name, "{example}");
            let reading = Reading::parse(text, role).unwrap();
            // What stands before it wraps it, what follows is what it is spoken on.
            let layer = reading.layers.iter().find(|layer| layer.name == transport.name);
            assert_eq!(layer.unwrap().fields.len(), params.len());
        }
    }
}

#[test]
fn the_canonical_spelling_of_an_example_reads_the_same() {
    for (_, role, _, examples) in roles() {
        for example in examples {
            let reading = Reading::parse(OsStr::new(example), role).unwrap();
            let again = Reading::parse(OsStr::new(&reading.canonical), role).unwrap();
            assert_eq!(reading, again, "{example}");
            let spec = Spec::parse(example).unwrap();
            assert_eq!(Spec::parse(&spec.to_string()).unwrap(), spec, "{example}");
        }
    }
}

#[test]
fn every_default_could_have_been_given() {
    for (transport, role, params, examples) in roles() {
        for param in params {
            let Default::Text(default) = param.default else {
                continue;
            };
            let example = examples
                .iter()
                .map(|example| Spec::parse(example).unwrap())
                .find(|spec| Args::read(spec, role, params).is_ok_and(|args| !args.given(param.name)));
            let Some(example) = example else {
                panic!(
                    "no example of the {role} {} leaves {} out",
                    transport.name, param.name
                )
            };
            let given = Spec::parse(&format!("{example}:{}=[{default}]", param.name)).unwrap();
            let args = Args::read(&given, role, params).unwrap_or_else(|refused| panic!("{refused:#}"));
            let plain = Args::read(&example, role, params).unwrap();
            assert_eq!(args.text(param.name), plain.text(param.name));
        }
    }
}

#[test]
fn explain_knows_every_example() {
    for (transport, role, _, examples) in roles() {
        for example in examples {
            let outcome = netkit(["explain", example]).run().status(0).said("");
            let text = outcome.text();
            assert!(
                text.contains(&format!("{role} endpoint {}", transport.name)),
                "{example}:\n{text}"
            );
        }
    }
}

/// Every role of every wrapper.
fn wrappers() -> impl Iterator<Item = (&'static Wrapper, Role, &'static WrapperRole)> {
    let roles = |wrapper: &'static Wrapper| {
        let there = move |role| Some((wrapper, role, wrapper.role(role)?));
        Role::ALL.into_iter().filter_map(there)
    };
    WRAPPERS.iter().flat_map(move |wrapper| roles(wrapper))
}

#[test]
fn wrappers_keep_the_rules_of_types() {
    let types = TRANSPORTS.iter().map(|transport| transport.name);
    let mut names: HashSet<_> = types.collect();
    for wrapper in WRAPPERS {
        let name = wrapper.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
        assert!(is_a_sentence_part(wrapper.summary), "{name}: {}", wrapper.summary);
        assert!(
            wrappers().any(|(other, _, _)| other.name == name),
            "{name} has no role"
        );
    }
    for (wrapper, role, its) in wrappers() {
        for param in its.params {
            let place = format!("{} of the {role} {}", param.name, wrapper.name);
            assert!(is_a_sentence_part(param.doc), "{place}: {}", param.doc);
            // What has no name belongs to the endpoint behind it.
            assert!(!param.positional, "{place}: by position");
        }
        assert!(
            !its.examples.is_empty(),
            "the {role} {} has no example",
            wrapper.name
        );
        for example in its.examples {
            let reading = Reading::parse(OsStr::new(example), role);
            let reading = reading.unwrap_or_else(|refused| panic!("{role} {example}: {refused:#}"));
            assert_eq!(reading.layers[0].name, wrapper.name, "{example}");
            assert_eq!(reading.layers[0].fields.len(), its.params.len(), "{example}");
            let again = Reading::parse(OsStr::new(&reading.canonical), role).unwrap();
            assert_eq!(again, reading, "{example}");
        }
    }
}

#[test]
fn wrappers_stand_in_front_of_every_stream_and_are_refused_before_datagrams() {
    for (wrapper, role, its) in wrappers() {
        if its.params.iter().any(Param::is_required) {
            continue;
        }
        for (transport, _, _, examples) in roles().filter(|(_, its_role, _, _)| *its_role == role) {
            for example in examples {
                let text = format!("{}:{example}", wrapper.name);
                let reading = Reading::parse(OsStr::new(&text), role);
                if transport.name.starts_with("udp") {
                    assert_eq!(reading.unwrap_err().kind, Kind::Unsupported, "{text}");
                    continue;
                }
                let reading = reading.unwrap_or_else(|refused| panic!("{role} {text}: {refused:#}"));
                let names: Vec<_> = reading.layers.iter().map(|layer| layer.name).collect();
                // An endpoint within the endpoint follows, as under `tls`.
                assert_eq!(names[..2], [wrapper.name, transport.name]);
            }
        }
    }
}

#[test]
fn help_lists_every_type_protocol_and_status() {
    for (verb, role) in [
        ("connect", Role::Client),
        ("serve", Role::Server),
        ("listen", Role::Server),
    ] {
        // However the lines are broken.
        let help = netkit([verb, "--help"]).run().status(0).text();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (transport, _, _, _) in roles().filter(|(_, its_role, _, _)| *its_role == role) {
            assert!(
                help.contains(transport.summary),
                "{verb} --help lacks {}",
                transport.name
            );
        }
    }
    let help = netkit(["serve", "--help"]).run().text();
    for protocol in PROTOCOLS {
        assert!(
            help.contains(protocol.summary),
            "serve --help lacks {}",
            protocol.name
        );
        for setting in protocol.settings.iter().chain(protocol.repeated) {
            assert!(
                help.contains(&format!("--{}", setting.name)),
                "serve --help lacks --{}",
                setting.name
            );
        }
    }
    let help = netkit(["--help"]).run().text();
    for status in Status::ALL {
        assert!(
            help.contains(status.meaning()),
            "--help lacks status {}",
            status.code()
        );
    }
}

#[test]
fn protocol_names_are_unique_lower_case_and_documented() {
    let mut names = HashSet::new();
    for protocol in PROTOCOLS {
        assert!(names.insert(protocol.name), "{} twice", protocol.name);
        assert!(
            protocol.name.bytes().all(|byte| byte.is_ascii_lowercase()),
            "{}",
            protocol.name
        );
        assert!(is_a_sentence_part(protocol.summary), "{}", protocol.summary);
        for setting in protocol.settings.iter().chain(protocol.repeated) {
            assert!(
                is_a_sentence_part(setting.doc),
                "{}: {}",
                protocol.name,
                setting.doc
            );
        }
    }
}
