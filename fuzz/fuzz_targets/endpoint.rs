//! Any bytes as an endpoint string: cut, spelt, cut again, read in both roles, every refusal drawn.
//! Absent: connecting and binding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit::endpoint::{Args, Param, Refused, Role, Spec, ValueKind};
use netkit::error::Error;
use netkit::{escape, units};

static PARAMS: &[Param] = &[
    Param::required("host", ValueKind::Host, "where to"),
    Param::required("port", ValueKind::Port { zero_ok: false }, "which port"),
    Param::optional(
        "timeout",
        ValueKind::Duration { zero_ok: false },
        "30s",
        "how long",
    ),
    Param::absent("bindAddress", ValueKind::Address, "from where"),
    Param::absent("v4", ValueKind::AddressV4, "an address"),
    Param::absent("v6", ValueKind::AddressV6, "an address"),
    Param::optional("mode", ValueKind::Mode, "666", "permissions").aliases(&["perm"]),
    Param::optional("size", ValueKind::Size, "64k", "how much").by_name(),
    Param::optional("flag", ValueKind::Flag, "no", "whether").by_name(),
    Param::optional("count", ValueKind::Integer { min: 1, max: 9 }, "5", "how many").by_name(),
    Param::absent("fd", ValueKind::Descriptor, "which").by_name(),
    Param::absent("path", ValueKind::Path, "where").by_name(),
    Param::absent("word", ValueKind::Choice(&["one", "two"]), "which").by_name(),
    Param::absent("list", ValueKind::List, "which").by_name(),
    Param::absent("endpoint", ValueKind::Endpoint, "over what").by_name(),
];

fn drawn(refused: Refused) {
    let span = refused.diagnostic.span;
    assert!(
        refused.diagnostic.source.get(span.start..span.end).is_some(),
        "{refused:?}"
    );
    assert!(!refused.diagnostic.message.contains(char::is_control));
    let picture = refused.diagnostic.picture();
    assert_eq!(picture.lines().count(), 2);
    assert!(picture.contains('^'));
    let _ = format!("{:#}", Error::from(refused));
}

fn examined(spec: Spec) {
    let text = spec.to_string();
    let again = Spec::parse(&text).expect("the canonical spelling reads back");
    assert_eq!(again, spec);
    assert_eq!(again.to_string(), text);
    if let Err(refused) = spec.given_once() {
        drawn(refused);
    }
    for role in Role::ALL {
        match (Args::read(&spec, role, PARAMS), Args::read(&again, role, PARAMS)) {
            (Ok(args), Ok(again)) => {
                for param in PARAMS {
                    assert_eq!(args.text_if(param.name), again.text_if(param.name));
                    assert_eq!(args.duration(param.name), again.duration(param.name));
                }
                assert!(!args.host("host").is_empty() && args.port("port") > 0);
            }
            (Err(refused), Err(again)) => {
                assert_eq!(refused.kind, again.kind);
                drawn(refused);
            }
            (first, second) => panic!("{first:?} but {second:?}"),
        }
    }
    drawn(spec.unknown_type(["tcp", "tls"]));
    for field in spec.fields.iter().take(4) {
        match spec.nested(&field.value) {
            // One at a time: as deep as the limit, and no wider than the string.
            Ok(inner) if inner.depth < 4 => examined(inner),
            Ok(_) => {}
            Err(refused) => drawn(refused),
        }
    }
    if let (_, Some(inner)) = spec.split_wrapper()
        && let Err(refused) = Args::read(&inner, Role::Client, PARAMS)
    {
        drawn(refused);
    }
}

fuzz_target!(|bytes: &[u8]| {
    match Spec::parse_bytes(bytes) {
        Ok(spec) => examined(spec),
        Err(refused) => drawn(refused),
    }
    assert_eq!(escape::unescape(&escape::escape(bytes)).as_deref(), Ok(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(duration) = units::duration(text) {
            assert_eq!(units::duration(&units::duration_text(duration)), Ok(duration));
        }
        if let Ok(size) = units::size(text) {
            assert_eq!(units::size(&units::size_text(size)), Ok(size));
        }
        if let Err(error) = escape::unescape(text) {
            let _ = error.within(text).picture();
        }
    }
});
