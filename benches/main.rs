//! The benchmarks, one program: the parsers and the engine that copies, without a network.
//! Absent: peers and real connections, which `benches/figures` measures.
#![allow(clippy::unwrap_used, reason = "a benchmark ends where it can't go on")]

mod endpoint;
mod engine;
mod proxy_header;
mod script;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Two minutes for all of them; what is asked for on the command line comes after, and wins.
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    endpoint::run(&mut criterion);
    proxy_header::run(&mut criterion);
    script::run(&mut criterion);
    engine::run(&mut criterion);
    criterion.final_summary();
}
