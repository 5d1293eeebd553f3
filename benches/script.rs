//! What it costs to read a script: cut into steps, and one of them checked as a whole. The scripts are the examples.
//! Absent: playing, and what has to be there for it; the one that is checked launches nothing.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput};
use netkit::script::Script;

const LINES: &str = include_str!("../examples/lines.netkit");

const EXAMPLES: &[(&str, &str)] = &[
    ("lines", LINES),
    ("smtp", include_str!("../examples/smtp.netkit")),
    ("tls", include_str!("../examples/tls.netkit")),
];

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("script");
    let path = Path::new("examples/bench.netkit");
    for (name, text) in EXAMPLES {
        Script::cut(path, text).unwrap();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("cut: {name}"), |bench| {
            bench.iter(|| black_box(Script::cut(path, black_box(text))));
        });
    }
    Script::parse(path, LINES).unwrap();
    group.throughput(Throughput::Bytes(LINES.len() as u64));
    group.bench_function("cut and checked: lines", |bench| {
        bench.iter(|| black_box(Script::parse(path, black_box(LINES))));
    });
    // Time has to grow with the length and no faster.
    let long: String = (0..2000)
        .map(|n| format!("alice sends line \"number {n}\"\n"))
        .collect();
    Script::cut(path, &long).unwrap();
    group.throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("cut: 2000 lines", |bench| {
        bench.iter(|| black_box(Script::cut(path, black_box(&long))));
    });
    group.finish();
}
