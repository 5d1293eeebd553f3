//! What it costs to read a PROXY header, by kind of header: every connection behind a proxy begins with one.
//! Absent: sockets, which cost more than any header.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput};
use netkit::layer::proxy::header::{Ends, Header, Tlv, Version, read};

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

pub(crate) fn run(criterion: &mut Criterion) {
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
    let mut group = criterion.benchmark_group("PROXY header");
    for (name, bytes) in cases {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bench| bench.iter(|| black_box(read(black_box(&bytes)))));
    }
    group.finish();
}
