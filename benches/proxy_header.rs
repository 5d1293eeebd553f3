//! What it costs to read a PROXY header: nanoseconds a header, the median of many runs, by kind of header.
//! Absent: sockets, which cost more than any header, and a verdict; compare two builds on one quiet machine.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark says what it found, and ends where it can't"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netkit::layer::proxy::header::{Ends, Header, Tlv, Version, read};

/// The runs of a kind, of which the median counts.
const RUNS: usize = 51;

/// How long a run takes, about.
const RUN: Duration = Duration::from_millis(10);

fn header(version: Version, source: &str, destination: &str, tlvs: Vec<Tlv>) -> Vec<u8> {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Header {
        version,
        local: false,
        ends: Some(Ends::of_one_family(address(source), address(destination), false)),
        tlvs,
    }
    .write()
}

/// A value that nobody knows, of so many bytes.
fn tlv(length: usize) -> Tlv {
    Tlv {
        kind: 0xE0,
        value: vec![7; length],
    }
}

fn once(bytes: &[u8], count: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        let _ = black_box(read(black_box(bytes)));
    }
    start.elapsed()
}

fn median(bytes: &[u8]) -> f64 {
    // As many as fill a run.
    let mut count = 1;
    while once(bytes, count) < RUN && count < 1 << 24 {
        count *= 2;
    }
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| once(bytes, count).as_nanos() as f64 / f64::from(count))
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[RUNS / 2]
}

fn main() {
    let v4 = ("192.0.2.10:51234", "198.51.100.20:443");
    let v6 = ("[2001:db8::10]:51234", "[2001:db8::20]:443");
    let second = header(Version::V2, v4.0, v4.1, vec![]);
    let cases = [
        ("version 1, IPv4", header(Version::V1, v4.0, v4.1, vec![])),
        ("version 1, IPv6", header(Version::V1, v6.0, v6.1, vec![])),
        (
            "version 1, a line that is too long",
            [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(),
        ),
        ("version 2, IPv4, checksum", second.clone()),
        (
            "version 2, IPv6, checksum",
            header(Version::V2, v6.0, v6.1, vec![]),
        ),
        ("version 2, half of it", second[..20].to_vec()),
        (
            "version 2, checksum, 8 values",
            header(Version::V2, v4.0, v4.1, (0..8).map(|_| tlv(16)).collect()),
        ),
        (
            "version 2, checksum, 60 KiB of values",
            header(Version::V2, v4.0, v4.1, (0..60).map(|_| tlv(1021)).collect()),
        ),
        (
            "no header at all",
            b"GET / HTTP/1.1\r\nHost: netkit\r\n\r\n".to_vec(),
        ),
    ];
    println!("{:40} {:>8} {:>10} {:>8}", "header", "bytes", "ns", "MB/s");
    for (name, bytes) in cases {
        let nanos = median(&bytes);
        let rate = bytes.len() as f64 / nanos * 1000.0;
        println!("{name:40} {:>8} {nanos:>10.1} {rate:>8.0}", bytes.len());
    }
}
