//! The conformance vectors of the PROXY header at every place they can be cut at, and headers of our own read back.
//! Absent: connections.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap_or_default())
}

/// What a vector calls it: `TCP4`, `UNIX_DGRAM`.
fn family(ends: &Ends) -> String {
    match ends {
        Ends::Inet {
            source, datagrams, ..
        } => format!(
            "{}{}",
            if *datagrams { "UDP" } else { "TCP" },
            if source.is_ipv4() { 4 } else { 6 }
        ),
        Ends::Unix { datagrams, .. } => format!("UNIX_{}", if *datagrams { "DGRAM" } else { "STREAM" }),
    }
}

fn compare(vector: &Value, header: &Header) {
    let name = vector["name"].as_str().unwrap();
    let version = match header.version {
        Version::V1 => 1,
        Version::V2 => 2,
    };
    assert_eq!(vector["version"], version, "{name}");
    assert_eq!(vector["command"] == "LOCAL", header.local, "{name}");
    assert_eq!(vector["use_real"], header.ends.is_none(), "{name}");
    let Some(ends) = &header.ends else { return };
    assert_eq!(vector["family"], family(ends), "{name}");
    match ends {
        Ends::Inet {
            source, destination, ..
        } => {
            for (end, address, port) in [(source, "src", "src_port"), (destination, "dst", "dst_port")] {
                assert_eq!(vector[address].as_str().unwrap().parse(), Ok(end.ip()), "{name}");
                assert_eq!(vector[port], end.port(), "{name}");
            }
        }
        Ends::Unix {
            source, destination, ..
        } => {
            assert_eq!(&bytes(&vector["src_hex"]), source, "{name}");
            assert_eq!(&bytes(&vector["dst_hex"]), destination, "{name}");
        }
    }
    if let Some(tlvs) = vector["tlvs"].as_array() {
        assert_eq!(tlvs.len(), header.tlvs.len(), "{name}");
        for (wanted, tlv) in tlvs.iter().zip(&header.tlvs) {
            assert_eq!(
                (&wanted["type"], &bytes(&wanted["value"])),
                (&Value::from(tlv.kind), &tlv.value),
                "{name}"
            );
        }
    }
}

/// Every prefix either waits for more or comes to what the whole comes to.
fn check(vectors: &str) {
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let all = bytes(&vector["hex"]);
        let whole = read(&all);
        for end in 0..all.len() {
            match read(&all[..end]) {
                Ok(None) => {}
                Ok(Some((_, length))) => {
                    assert!(length <= end, "{name} cut at {end}");
                    assert_eq!(read(&all[..end]), whole, "{name} cut at {end}");
                }
                Err(invalid) => assert_eq!(Err(invalid), whole, "{name} cut at {end}"),
            }
        }
        match whole {
            Ok(Some((header, length))) => {
                assert_eq!(vector["ok"], true, "{name} is taken");
                assert_eq!(vector["header_len"], length, "{name}");
                assert_eq!(bytes(&vector["payload_hex"]), all[length..], "{name}");
                assert!(matches!(read(&all[..length - 1]), Ok(None)), "{name}");
                compare(vector, &header);
            }
            Ok(None) => assert_eq!(vector["why"], "incomplete", "{name}"),
            Err(invalid) => assert_eq!(vector["why"], invalid.code(), "{name}"),
        }
    }
}

#[test]
fn version_1_as_the_specification_has_it() {
    check(include_str!("../../../../tests/vectors/proxy_v1.json"));
}

#[test]
fn version_2_as_the_specification_has_it() {
    check(include_str!("../../../../tests/vectors/proxy_v2.json"));
}

#[test]
fn as_many_values_as_the_length_can_tell() {
    let header = Header {
        version: Version::V2,
        local: false,
        ends: Some(Ends::Inet {
            source: "192.0.2.1:1".parse().unwrap(),
            destination: "192.0.2.2:2".parse().unwrap(),
            datagrams: false,
        }),
        tlvs: vec![
            Tlv {
                kind: 0xe0,
                value: vec![7; usize::from(u16::MAX) - 12 - 7 - 3],
            },
            // No room is left for this one.
            Tlv {
                kind: 0xe1,
                value: Vec::new(),
            },
        ],
    };
    let mut written = header.write();
    assert_eq!(written.len(), LONGEST);
    let (back, length) = read(&written).unwrap().unwrap();
    assert_eq!((back.tlvs.len(), length), (2, LONGEST));
    assert_eq!(back.tlvs[0], header.tlvs[0]);
    written[40] ^= 1;
    assert_eq!(read(&written), Err(Invalid::Crc));
}

#[test]
fn what_the_vectors_do_not_hold() {
    let fixed = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", rest].concat();
    let block = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
    let with = |tlvs: &[u8]| {
        let length = (block.len() + tlvs.len()) as u16;
        read(&fixed(&[&length.to_be_bytes(), &block[..], tlvs].concat()))
    };
    assert!(with(&[]).is_ok());
    assert_eq!(
        with(&[&[5, 0, 129][..], &[0; 129]].concat()),
        Err(Invalid::UniqueId)
    );
    assert_eq!(with(&[0x20, 0, 4, 1, 0, 0, 0]), Err(Invalid::Tlv));
    assert_eq!(with(&[0x20, 0, 6, 1, 0, 0, 0, 0, 0x21]), Err(Invalid::Tlv));
    // LOCAL may be of any family.
    assert!(
        read(b"\r\n\r\n\0\r\nQUIT\n\x20\xff\0\0")
            .unwrap()
            .unwrap()
            .0
            .local
    );
}

fn socket(family: impl Strategy<Value = std::net::IpAddr> + Clone) -> impl Strategy<Value = Ends> {
    (family.clone(), family, any::<u16>(), any::<u16>(), any::<bool>()).prop_map(|(a, b, p, q, datagrams)| {
        Ends::Inet {
            source: SocketAddr::new(a, p),
            destination: SocketAddr::new(b, q),
            datagrams,
        }
    })
}

fn unix_name() -> impl Strategy<Value = Vec<u8>> {
    let filled = |name: &Vec<u8>| name.last() != Some(&0);
    proptest::collection::vec(any::<u8>(), 0..=108).prop_filter("ends in NUL", filled)
}

fn ends() -> impl Strategy<Value = Ends> {
    let unix =
        (unix_name(), unix_name(), any::<bool>()).prop_map(|(source, destination, datagrams)| Ends::Unix {
            source,
            destination,
            datagrams,
        });
    prop_oneof![
        socket(any::<[u8; 4]>().prop_map(Into::into)),
        socket(any::<[u8; 16]>().prop_map(Into::into)),
        unix,
    ]
}

fn other_tlvs() -> impl Strategy<Value = Vec<Tlv>> {
    let value = proptest::collection::vec(any::<u8>(), 0..200);
    let tlv = (0xe0_u8..=0xef, value).prop_map(|(kind, value)| Tlv { kind, value });
    proptest::collection::vec(tlv, 0..5)
}

proptest! {
    #[test]
    fn a_header_of_version_2_reads_back(ends in proptest::option::of(ends()), tlvs in other_tlvs()) {
        let header = Header { version: Version::V2, local: ends.is_none(), ends, tlvs };
        let mut written = header.write();
        let length = written.len();
        written.extend_from_slice(b"PROXY payload");
        prop_assert_eq!(room(&written), length);
        let (mut back, consumed) = read(&written).unwrap().unwrap();
        prop_assert_eq!(consumed, length);
        if header.local {
            prop_assert_eq!(back, Header::local(Version::V2));
        } else {
            prop_assert_eq!(back.tlvs.pop().map(|last| last.kind), Some(Tlv::CRC32C));
            prop_assert_eq!(back, header);
        }
    }

    #[test]
    fn a_header_of_version_1_reads_back(ends in ends()) {
        let tcp = matches!(ends, Ends::Inet { datagrams: false, .. });
        let header = Header { version: Version::V1, local: false, ends: Some(ends), tlvs: Vec::new() };
        let written = header.write();
        let (back, consumed) = read(&written).unwrap().unwrap();
        prop_assert_eq!(consumed, written.len());
        prop_assert_eq!(back.ends, header.ends.filter(|_| tcp));
    }

    #[test]
    fn any_bytes_are_told_from_a_header(
        start in prop_oneof![Just(&b""[..]), Just(&b"PROXY "[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n"[..])],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0_usize..300,
    ) {
        let bytes = [start, &rest].concat();
        let whole = read(&bytes);
        let part = read(&bytes[..cut.min(bytes.len())]);
        prop_assert!(part == Ok(None) || part == whole);
    }
}
