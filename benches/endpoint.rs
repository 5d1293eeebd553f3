//! What it costs to read an endpoint string: cut into fields, and checked by the tables of its type.
//! Absent: names, files and sockets; nothing is opened.

use std::ffi::OsStr;
use std::hint::black_box;

use criterion::Criterion;
use netkit::endpoint::Spec;
use netkit::transport::reading::{ClientEndpoint, ServerEndpoint};

const CLIENTS: &[(&str, &str)] = &[
    ("tcp", "tcp:localhost:1234"),
    (
        "tcp, IPv6 and keywords",
        "tcp:host=[2001:db8::1]:port=443:timeout=5s",
    ),
    ("tls behind a wrapper", "haproxy:tls:example.com:443:timeout=5s"),
];

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("endpoint");
    for (name, text) in CLIENTS {
        ClientEndpoint::parse(OsStr::new(text)).unwrap();
        group.bench_function(format!("cut: {name}"), |bench| {
            bench.iter(|| black_box(Spec::parse_os(OsStr::new(black_box(text)))));
        });
        group.bench_function(format!("client: {name}"), |bench| {
            bench.iter(|| black_box(ClientEndpoint::parse(OsStr::new(black_box(text)))));
        });
    }
    group.bench_function("server: tcp", |bench| {
        bench.iter(|| {
            black_box(ServerEndpoint::parse(OsStr::new(black_box(
                "tcp:1234:interface=127.0.0.1",
            ))))
        });
    });
    // With its suggestion and its place in the text.
    group.bench_function("refused: a misspelt argument", |bench| {
        bench.iter(|| black_box(ServerEndpoint::parse(OsStr::new(black_box("tcp:prot=1234")))));
    });
    // The length of a string is the user's: time has to grow with it and no faster.
    for fields in [10, 1000] {
        let text = format!("tcp{}", ":a\\:b=c".repeat(fields));
        Spec::parse(&text).unwrap();
        group.bench_function(format!("cut: {fields} fields"), |bench| {
            bench.iter(|| black_box(Spec::parse_os(OsStr::new(black_box(&text)))));
        });
    }
    group.finish();
}
