//! The language as a whole: cutting, spelling, nesting, wrappers, and reading by small tables.
//! Absent: generated strings, in `generated`, and the conformance vectors, which are under `tests/` of the package.

use super::*;

mod generated;

static CLIENT: &[Param] = &[
    Param::required("host", ValueKind::Host, "where to"),
    Param::required("port", ValueKind::Port { zero_ok: false }, "which port"),
    Param::optional(
        "timeout",
        ValueKind::Duration { zero_ok: false },
        "30s",
        "how long",
    ),
    Param::absent("bindAddress", ValueKind::Address, "from where"),
    Param::absent("endpoint", ValueKind::Endpoint, "over what").by_name(),
    Param::optional("nodelay", ValueKind::Flag, "yes", "send at once")
        .by_name()
        .aliases(&["noDelay"]),
    Param::optional("alpn", ValueKind::List, "", "protocols").by_name(),
];

static SERVER: &[Param] = &[
    Param::required("port", ValueKind::Port { zero_ok: true }, "which port"),
    Param::optional("interface", ValueKind::AddressV4, "0.0.0.0", "where"),
    Param::optional(
        "backlog",
        ValueKind::Integer { min: 1, max: 65535 },
        "1024",
        "how many wait",
    ),
    Param::optional("mode", ValueKind::Mode, "666", "permissions").by_name(),
    Param::optional("buffer", ValueKind::Size, "64k", "how much").by_name(),
];

static UNIX: &[Param] = &[Param::required("path", ValueKind::Path, "where")];

fn parse(text: &str) -> Spec {
    Spec::parse(text).unwrap()
}

fn client(text: &str) -> Result<Args, Refused> {
    Args::read(&parse(text), Role::Client, CLIENT)
}

fn server(text: &str) -> Result<Args, Refused> {
    Args::read(&parse(text), Role::Server, SERVER)
}

/// As the program prints it.
fn shown<T: fmt::Debug>(result: Result<T, Refused>) -> String {
    format!("error: {:#}\n", crate::error::Error::from(result.unwrap_err()))
}

fn kind<T: fmt::Debug>(result: Result<T, Refused>) -> Kind {
    result.unwrap_err().kind
}

/// What the source has where the piece says it stands.
fn written(spec: &Spec, span: Span) -> &str {
    &spec.source[span.start..span.end]
}

#[test]
fn every_piece_knows_where_it_stands() {
    let spec = parse(r"k\=\:1=a\\b:tcp:[::1]:p=[x:[y]]:é\é");
    let spans: Vec<&str> = spec
        .fields
        .iter()
        .map(|field| written(&spec, field.value.span))
        .collect();
    assert_eq!(spans, [r"a\\b", "::1", "x:[y]", r"é\é"]);
    let texts: Vec<&str> = spec
        .fields
        .iter()
        .map(|field| field.value.text.as_str())
        .collect();
    assert_eq!(texts, [r"a\b", "::1", "x:[y]", "éé"]);
    let name = spec.fields[0].name.as_ref().unwrap();
    assert_eq!(
        (name.text.as_str(), written(&spec, name.span)),
        ("k=:1", r"k\=\:1")
    );
    assert_eq!(written(&spec, spec.name.span), "tcp");
    assert_eq!(written(&spec, spec.fields[0].span()), r"k\=\:1=a\\b");
    // Characters inside the piece, too.
    assert_eq!(written(&spec, name.locate(Span::new(1, 2))), r"\=");
    assert_eq!(written(&spec, name.locate(Span::new(3, 4))), "1");
    assert_eq!(written(&spec, name.locate(Span::new(3, 99))), "1");
}

#[test]
fn what_cannot_be_cut_is_pointed_at() {
    for (text, expected, span) in [
        ("\\", Kind::TrailingEscape, (0, 1)),
        ("a:b\\\\\\", Kind::TrailingEscape, (5, 6)),
        ("a:k=v\\", Kind::TrailingEscape, (5, 6)),
        ("a:[b", Kind::UnmatchedBracket, (2, 3)),
        ("a:k=[[b]:c", Kind::UnmatchedBracket, (4, 5)),
        ("[", Kind::UnmatchedBracket, (0, 1)),
        ("a:[b]c:d", Kind::TextAfterBracket, (5, 6)),
        ("a:k=[b]]", Kind::TextAfterBracket, (7, 8)),
        ("a:[k]=v:w", Kind::TextAfterBracket, (5, 7)),
        ("a=b", Kind::NoType, (0, 3)),
        ("=", Kind::NoType, (0, 1)),
    ] {
        let refused = Spec::parse(text).unwrap_err();
        assert_eq!(
            (refused.kind, refused.diagnostic.span),
            (expected, Span::new(span.0, span.1)),
            "{text}"
        );
    }
    let refused = Spec::parse_bytes(b"tcp:\xc3\xa9\xffx:80").unwrap_err();
    assert_eq!(refused.kind, Kind::NotUtf8);
    assert_eq!(refused.diagnostic.picture(), "  tcp:é\u{fffd}x:80\n       ^\n");
}

#[test]
fn the_canonical_spelling_prefers_brackets() {
    for (text, canonical) in [
        ("", ""),
        ("::", "::"),
        ("tcp:", "tcp:"),
        ("k=v:tcp:80", "tcp:k=v:80"),
        (r"tcp:\:\:1:80", "tcp:[::1]:80"),
        (
            r"tls:a:endpoint=tls\:b\:endpoint=tcp\\\:c",
            r"tls:a:endpoint=[tls:b:endpoint=tcp\:c]",
        ),
        (r"unix:/a\=b:k=v\=w", r"unix:/a\=b:k=v=w"),
        (r"unix:a\:]:k\:l=\[m]", r"unix:a\:]:k\:l=\[m]"),
        ("unix:[[x]]:[a]", r"unix:\[x]:a"),
        (r"a\b:\\", r"ab:\\"),
    ] {
        assert_eq!(parse(text).to_string(), canonical, "{text}");
        assert_eq!(parse(canonical).to_string(), canonical);
    }
}

#[test]
fn a_keyword_is_given_once() {
    let refused = parse("a:k=1:b:k=2").given_once().unwrap_err();
    assert_eq!(
        (refused.kind, refused.diagnostic.span),
        (Kind::GivenTwice, Span::new(8, 9))
    );
    assert!(parse("a:k=1:b:K=2").given_once().is_ok());
}

#[test]
fn a_wrapper_takes_the_keywords_around_its_name() {
    let (wrapper, inner) = parse("x=0:haproxy:version=1:tcp:host=h:80").split_wrapper();
    let inner = inner.unwrap();
    assert_eq!(wrapper.to_string(), "haproxy:x=0:version=1");
    assert_eq!(written(&wrapper, wrapper.span), "x=0:haproxy:version=1");
    assert_eq!(inner.to_string(), "tcp:host=h:80");
    assert_eq!(written(&inner, inner.span), "tcp:host=h:80");
    assert_eq!((wrapper.depth, inner.depth), (0, 1));
    assert_eq!(parse("haproxy:k=v").split_wrapper().1, None);
    assert_eq!(
        parse("haproxy:").split_wrapper().1.map(|inner| inner.name.text),
        Some(String::new())
    );
    // What the wrapper hands on is read as if it stood alone, and the carets are where it stands.
    let (_, inner) = parse(r"haproxy:unix:/a\=b:c=d").split_wrapper();
    assert_eq!(
        shown(Args::read(&inner.unwrap(), Role::Server, UNIX)),
        "error: unknown argument `c` for a unix server endpoint\n  haproxy:unix:/a\\=b:c=d\n                     ^\nhelp: it takes path\n"
    );
}

#[test]
fn errors_in_nested_endpoints_point_into_the_whole_string() {
    for (text, written_as) in [
        (r"tls:a:endpoint=[tcp:b:prot=1]", "prot"),
        (r"tls:a:endpoint=tcp\:b\:prot=1", "prot"),
        (r"tls:a:endpoint=[tls:b:endpoint=[tcp:c:prot=1]]", "prot"),
        (
            r"tls:a:endpoint=tls\:b\:endpoint=tcp\\\:c\\\:pr\\\\\\\:ot=1",
            r"pr\\\\\\\:ot",
        ),
        (r"tls:a:endpoint=[tls:b:endpoint=tcp\:c\:\prot=1]", r"\prot"),
        (r"tls:é\é:endpoint=t\ls\:\é\:endpoint=[tcp\:c\:prot=1]", "prot"),
    ] {
        let mut spec = parse(text);
        loop {
            let field = spec
                .fields
                .iter()
                .rev()
                .find(|field| field.name.is_some())
                .unwrap()
                .clone();
            let name = field.name.as_ref().unwrap();
            if name.text != "endpoint" {
                assert_eq!(written(&spec, name.span), written_as, "{text}");
                assert_eq!(written(&spec, field.value.span), "1", "{text}");
                break;
            }
            spec = spec.nested(&field.value).unwrap();
        }
    }
    let spec = parse(r"tls:a:endpoint=tcp\:b\\");
    let refused = spec.nested(&spec.fields[1].value).unwrap_err();
    assert_eq!(refused.kind, Kind::TrailingEscape);
    assert_eq!(
        refused.diagnostic.picture().lines().last(),
        Some("                       ^^")
    );
}

#[test]
fn endpoints_do_not_nest_for_ever() {
    let mut text = String::from("tcp");
    for _ in 0..=MAX_DEPTH {
        text = format!("tls:endpoint=[{text}]");
    }
    let mut spec = parse(&text);
    let refused = loop {
        match spec.nested(&spec.fields[0].value) {
            Ok(inner) => spec = inner,
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused.kind, spec.depth), (Kind::TooDeep, MAX_DEPTH));
}

#[test]
fn positionals_take_what_the_keywords_leave() {
    for text in [
        "tcp:h:80",
        "tcp:host=h:80",
        "tcp:80:host=h",
        "tcp:h:port=80",
        "port=80:tcp:host=h",
        "TCP:h:80",
    ] {
        let args = client(text).unwrap();
        assert_eq!((args.host("host"), args.port("port")), ("h", 80), "{text}");
        assert_eq!(args.duration("timeout"), Some(std::time::Duration::from_secs(30)));
        assert!(!args.given("timeout") && args.given("host"));
        assert_eq!(args.address("bindAddress"), None);
        assert!(args.flag("nodelay"));
    }
    let args = client("tcp:h:80:5:[fe80::1%eth0]:noDelay=no:alpn=h2,http/1.1").unwrap();
    assert_eq!(
        (args.text("timeout"), args.zone("bindAddress")),
        ("5", Some("eth0"))
    );
    assert_eq!(args.list("alpn"), ["h2", "http/1.1"]);
    assert!(!args.flag("nodelay") && args.given("nodelay"));
    let given: Vec<bool> = args.entries().map(|entry| entry.given).collect();
    assert_eq!(given, [true, true, true, true, false, true, true]);
    let args = server("tcp:0:127.0.0.1:5").unwrap();
    assert_eq!(
        (args.port("port"), args.integer("backlog"), args.mode("mode")),
        (0, 5, 0o666)
    );
    assert_eq!(args.integer("buffer"), 65536);
    // Without arguments, one that is empty does no harm.
    assert!(Args::read(&parse("stdio:"), Role::Client, &[]).is_ok());
    assert_eq!(
        kind(Args::read(&parse("stdio::"), Role::Client, &[])),
        Kind::TooManyArguments
    );
}

#[test]
fn refusals_name_the_cause() {
    use Kind::*;
    for (text, expected) in [
        ("tcp", MissingArgument),
        ("tcp:", MissingArgument),
        ("tcp:h", MissingArgument),
        ("tcp:h:80:1:1.2.3.4:x", TooManyArguments),
        ("tcp:h:http", NotAnInteger),
        ("tcp:a:80:host=b", GivenTwice),
        ("tcp:http:host=b", NotAnInteger),
        ("tcp:host=a:host=b:80", GivenTwice),
        ("tcp:a:80:nodelay=1:noDelay=1", GivenTwice),
        ("tcp::80", EmptyHost),
        ("tcp:::1:80", MissingArgument),
        ("tcp:[::1]:0", PortOutOfRange),
        ("tcp:h:80:0", TimeoutOutOfRange),
        ("tcp:h:80:foo=bar", UnknownArgument),
        ("tcp:h:80:x:foo=bar", UnknownArgument),
        ("tcp:a b:80", BadHostname),
    ] {
        assert_eq!(kind(client(text)), expected, "{text}");
    }
    for (text, expected) in [
        ("tcp:", NotAnInteger),
        ("tcp:65536", PortOutOfRange),
        ("tcp:80:[::1]", WrongAddressFamily),
        ("tcp:80:interface=::1", GivenTwice),
        ("tcp:80:port=81", GivenTwice),
        ("tcp:80:::1", TooManyArguments),
        ("tcp:1:127.0.0.1:0", OutOfRange),
        ("tcp:1:mode=888", NotOctal),
    ] {
        assert_eq!(kind(server(text)), expected, "{text}");
    }
}

#[test]
fn refusals_are_shown_with_carets_and_help() {
    assert_eq!(
        shown(server("tcp:prot=1234")),
        "error: unknown argument `prot` for a tcp server endpoint\n  tcp:prot=1234\n      ^^^^\nhelp: did you mean `port`?\n"
    );
    assert_eq!(
        shown(client("tcp:1234")),
        "error: a client tcp endpoint needs host and port\n  tcp:1234\n          ^\nhelp: it is written tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]\n"
    );
    assert_eq!(
        shown(client("tcp:::1:80")),
        "error: a client tcp endpoint needs host and port\n  tcp:::1:80\n      ^^^\nhelp: an IPv6 address goes in brackets: tcp:[::1]:80\n"
    );
    assert_eq!(
        shown(client("tcp:2001:db8::1:80:timeout=5s")),
        "error: a client tcp endpoint needs host and port\n  tcp:2001:db8::1:80:timeout=5s\n      ^^^^^^^^^^^\nhelp: an IPv6 address goes in brackets: tcp:[2001:db8::1]:80:timeout=5s\n"
    );
    assert_eq!(
        shown(client("tcp:a:80:host=b")),
        "error: argument `host` is given twice for a tcp client endpoint\n  tcp:a:80:host=b\n           ^^^^\nhelp: a value without a name gives it too, by its position\n"
    );
    assert_eq!(
        shown(client("tcp:h:443:endpoint=tcp:7.6.5.4:443")),
        "error: timeout `7.6.5.4` is not a length of time\n  tcp:h:443:endpoint=tcp:7.6.5.4:443\n                         ^^^^^^^\nhelp: an endpoint in a value goes in brackets: endpoint=[tcp:7.6.5.4:443]\n"
    );
    assert_eq!(
        shown(Args::read(&parse("unix:/srv/a=b"), Role::Client, UNIX)),
        "error: unknown argument `/srv/a` for a unix client endpoint\n  unix:/srv/a=b\n       ^^^^^^\nhelp: a `=` that is part of a value is written `\\=`\n"
    );
    assert_eq!(
        shown::<()>(Err(parse("tpc:80").unknown_type(["tcp", "udp"]))),
        "error: unknown endpoint type `tpc`\n  tpc:80\n  ^^^\nhelp: did you mean `tcp`?\n"
    );
    assert_eq!(
        shown(server("tcp:80:127.0.0.1:10:extra")),
        "error: too many arguments for a tcp server endpoint\n  tcp:80:127.0.0.1:10:extra\n                      ^^^^^\nhelp: it is written tcp:PORT[:INTERFACE[:BACKLOG]]\n"
    );
}

#[test]
fn a_spec_made_by_a_program_is_spelt_so_that_it_reads_back() {
    let inner = Spec::new("tcp").positional("::1").positional("80");
    let spec = Spec::new("tls")
        .positional("a=b")
        .keyword("endpoint", inner.to_string())
        .keyword("x", "y");
    assert_eq!(spec.to_string(), r"tls:a\=b:endpoint=[tcp:[::1]:80]:x=y");
    assert_eq!(parse(&spec.to_string()), spec);
}

#[test]
fn usage_shows_what_is_needed() {
    assert_eq!(usage("tcp", CLIENT), "tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]");
    assert_eq!(usage("stdio", &[]), "stdio");
    static NAMED: &[Param] = &[
        Param::required("domain", ValueKind::Text, ""),
        Param::required("name", ValueKind::Text, "").by_name(),
    ];
    assert_eq!(usage("systemd", NAMED), "systemd:DOMAIN:name=NAME");
}

#[test]
fn long_strings_take_no_longer_than_they_are() {
    // What is not linear does not come to an end here.
    for unit in ["\\", "[", ":", "=", "[]:"] {
        let _ = Spec::parse(&unit.repeat((1 << 20) / unit.len()));
    }
    const LEN: usize = 1 << 16;
    for unit in [
        "\\",
        "\\\\",
        "[",
        "]",
        ":",
        "=",
        "[]:",
        "[:",
        "a:",
        "k=v:",
        "host=::1:",
        "host=",
        "::1:",
        "1:",
        "\\:",
        "é",
        "\u{301}",
        "\0",
        "haproxy:",
        "k=[",
        "=[]:",
        "endpoint=tcp:",
    ] {
        let body = unit.repeat(LEN / unit.len());
        for text in [
            body.clone(),
            format!("tcp:{body}"),
            format!("tcp:h:80:k=[{body}]"),
            format!("tcp:{body}:host=h"),
        ] {
            let spec = match Spec::parse(&text) {
                Ok(spec) => spec,
                Err(refused) => {
                    assert!(refused.diagnostic.picture().len() < 1000);
                    continue;
                }
            };
            let canonical = spec.to_string();
            assert!(Spec::parse(&canonical).is_ok_and(|again| again == spec));
            let _ = spec.given_once();
            for (role, params) in [(Role::Client, CLIENT), (Role::Server, SERVER)] {
                let refused = Args::read(&spec, role, params).unwrap_err();
                assert!(refused.diagnostic.picture().len() < 1000 && refused.diagnostic.message.len() < 1000);
            }
            for field in spec.fields.iter().take(4) {
                let _ = spec.nested(&field.value);
            }
            let _ = spec.split_wrapper();
        }
    }
}
