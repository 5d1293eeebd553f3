//! The layer on a connection in memory, with the clock stopped.
//! Absent: the format of the header, which has its own tests.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::header::{Tlv, Version};
use super::*;
use crate::connection::Facts;

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n";

fn pair(room: usize) -> (Stream, DuplexStream) {
    let (near, far) = tokio::io::duplex(room);
    let facts = Facts::new(Address::Unnamed, Address::Descriptor(9));
    (Stream::new(near, facts), far)
}

fn layer(version: Version) -> Proxy {
    Proxy { version }
}

/// What the layer makes of `sent`, which the far end writes in pieces of `piece` bytes before it ends.
async fn accepted(sent: Vec<u8>, piece: usize) -> Result<(Facts, Vec<u8>)> {
    let (stream, mut far) = pair(300);
    let writer = tokio::spawn(async move {
        for piece in sent.chunks(piece) {
            if far.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let accepted = layer(Version::V2).accept(stream).await;
    let mut rest = Vec::new();
    let facts = match accepted {
        Ok(mut stream) => {
            stream.read_to_end(&mut rest).await.unwrap();
            Ok(stream.facts().clone())
        }
        Err(error) => Err(error),
    };
    writer.await.unwrap();
    Ok((facts?, rest))
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time_or_all_at_once() {
    for piece in [1, 7, 1000] {
        let (facts, rest) = accepted([V1, b"hello"].concat(), piece).await.unwrap();
        assert_eq!(facts.peer, inet("192.0.2.1:1111"));
        assert_eq!(facts.local, inet("192.0.2.2:2222"));
        assert_eq!(facts.via, Some(Address::Descriptor(9)));
        assert_eq!(rest, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_header_is_payload() {
    let (facts, rest) = accepted([V1, b"PROXY UNKNOWN\r\n"].concat(), 9).await.unwrap();
    assert_eq!(facts.peer, inet("192.0.2.1:1111"));
    assert_eq!(rest, b"PROXY UNKNOWN\r\n");
}

#[tokio::test(start_paused = true)]
async fn the_proxys_own_connections_keep_their_ends() {
    for header in [
        Header::local(Version::V1).write(),
        Header::local(Version::V2).write(),
    ] {
        let (facts, rest) = accepted([&header, &b"ping"[..]].concat(), 5).await.unwrap();
        assert_eq!((facts.peer, facts.via), (Address::Descriptor(9), None));
        assert_eq!(rest, b"ping");
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_values_as_there_can_be_and_payload_behind_them() {
    let value = vec![7; 65_000];
    let kind = 0xe0;
    let header = Header {
        version: Version::V2,
        local: false,
        ends: Some(Ends::Unix {
            source: b"/run/a".to_vec(),
            destination: b"\0b".to_vec(),
            datagrams: false,
        }),
        tlvs: vec![Tlv { kind, value }],
    };
    let payload = vec![b'x'; 100_000];
    let (facts, rest) = accepted([header.write(), payload.clone()].concat(), 65_536)
        .await
        .unwrap();
    assert_eq!(facts.peer, Address::Path("/run/a".into()));
    assert_eq!(facts.local, Address::Abstract(b"b".to_vec()));
    assert!(rest == payload);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_header_is_an_expectation_that_failed() {
    let endless = [&b"PROXY "[..], &[b'x'; 1000]].concat();
    for (sent, why) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            "no valid PROXY header: it begins with something else",
        ),
        (
            &endless,
            "no valid PROXY header: its line does not end within 107 bytes",
        ),
        (b"", "the connection ended without a PROXY header"),
        (&V1[..20], "the connection ended within its PROXY header"),
    ] {
        let error = accepted(sent.to_vec(), 50).await.unwrap_err();
        assert_eq!(error.status(), Status::Expectation);
        assert_eq!(error.why(), why);
    }
}

/// No line end, and not too long yet: the caller's limit decides.
#[tokio::test(start_paused = true)]
async fn a_header_that_never_ends_is_waited_for_as_long_as_the_caller_likes() {
    for begun in [&V1[..V1.len() - 1], b"", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"] {
        let (stream, mut far) = pair(300);
        far.write_all(begun).await.unwrap();
        let limit = Duration::from_secs(10);
        let proxy = layer(Version::V2);
        assert!(timeout(limit, proxy.accept(stream)).await.is_err());
    }
}

/// Each byte comes well within the limit, which is on all of them together.
#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_in_time_or_not() {
    for (limit, in_time) in [(10, false), (V1.len() as u64 + 1, true)] {
        let (stream, mut far) = pair(300);
        let sent = tokio::spawn(async move {
            for byte in V1 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if far.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            far
        });
        let accepted = timeout(Duration::from_secs(limit), layer(Version::V2).accept(stream)).await;
        assert_eq!(accepted.is_ok(), in_time, "{limit}");
        if let Ok(stream) = accepted {
            assert_eq!(stream.unwrap().facts().peer, inet("192.0.2.1:1111"));
        }
        sent.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_speaks_for_itself_first() {
    for version in [Version::V1, Version::V2] {
        let (stream, mut far) = pair(300);
        let mut stream = layer(version).connect(stream, None).await.unwrap();
        stream.write_all(b"payload").await.unwrap();
        drop(stream);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        let (header, length) = header::read(&sent).unwrap().unwrap();
        assert_eq!(header, Header::local(version));
        assert_eq!(&sent[length..], b"payload");
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_whose_connection_is_handed_on_is_named() {
    let v6 = "[2001:db8::1]:1111";
    let unix = || Address::Path("/run/s".into());
    for (version, client, expected) in [
        (
            Version::V1,
            Facts::new(inet("192.0.2.2:2222"), inet("192.0.2.1:1111")),
            Some(inet("192.0.2.1:1111")),
        ),
        (
            Version::V2,
            Facts::new(inet("192.0.2.2:2222"), inet("192.0.2.1:1111")),
            Some(inet("192.0.2.1:1111")),
        ),
        // As a socket for both families shows an IPv4 client.
        (
            Version::V1,
            Facts::new(inet("[::ffff:192.0.2.2]:2222"), inet("[::ffff:192.0.2.1]:1111")),
            Some(inet("192.0.2.1:1111")),
        ),
        (
            Version::V1,
            Facts::new(inet("192.0.2.2:2222"), inet(v6)),
            Some(inet(v6)),
        ),
        (
            Version::V2,
            Facts::new(inet("192.0.2.2:2222"), inet(v6)),
            Some(inet(v6)),
        ),
        (
            Version::V2,
            Facts::new(unix(), Address::Unnamed),
            Some(Address::Unnamed),
        ),
        // What there is no word for is a connection of our own.
        (Version::V1, Facts::new(unix(), Address::Unnamed), None),
        (Version::V2, Facts::new(Address::Unnamed, Address::Unnamed), None),
        (Version::V2, Facts::new(Address::Stdio, Address::Stdio), None),
        (
            Version::V2,
            Facts::new(inet("192.0.2.2:2222"), Address::Unnamed),
            None,
        ),
    ] {
        let (stream, mut far) = pair(300);
        drop(layer(version).connect(stream, Some(&client)).await.unwrap());
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        let (facts, _) = accepted(sent, 1000).await.unwrap();
        assert_eq!(facts.via.is_some(), expected.is_some(), "{client:?}");
        if let Some(expected) = expected {
            assert_eq!(facts.peer, expected, "{client:?}");
        }
    }
}

fn with(tlvs: Vec<Tlv>) -> Vec<u8> {
    let header = Header {
        version: Version::V2,
        local: false,
        ends: Some(Ends::of_one_family(
            "192.0.2.1:1111".parse().unwrap(),
            "192.0.2.2:2222".parse().unwrap(),
            false,
        )),
        tlvs,
    };
    header.write()
}

#[tokio::test(start_paused = true)]
async fn what_the_proxy_says_besides_is_kept() {
    let tlv = |kind, value: &[u8]| Tlv {
        kind,
        value: value.to_vec(),
    };
    let tlvs = vec![
        tlv(Tlv::AUTHORITY, b"www.example.com"),
        tlv(Tlv::ALPN, b"h2"),
        tlv(Tlv::UNIQUE_ID, b"id-1"),
        tlv(Tlv::NETNS, b"blue"),
        tlv(Tlv::SSL, b"\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x05alice"),
        tlv(Tlv::NOOP, b"\0\0"),
        tlv(0xea, b"\x01x"),
    ];
    let (facts, _) = accepted(with(tlvs), 1000).await.unwrap();
    assert_eq!(
        facts.proxied.unwrap().to_string(),
        "authority=www.example.com alpn=h2 unique-id=id-1 namespace=blue \
         tls=TLSv1.3 certificate=shown verified=yes name=alice 0xea=\\x01x"
    );
    let (facts, _) = accepted(with(Vec::new()), 1000).await.unwrap();
    assert_eq!(facts.proxied, None);
}

#[tokio::test(start_paused = true)]
async fn a_bare_stream_is_left_where_the_header_ends() {
    for (header, payload) in [(with(Vec::new()), "payload"), (V1.to_vec(), "")] {
        let (stream, mut far) = pair(300);
        far.write_all(&[&header, payload.as_bytes()].concat())
            .await
            .unwrap();
        let mut stream = layer(Version::V2).accept(stream).await.unwrap();
        assert!(stream.downcast_ref::<DuplexStream>().is_some());
        drop(far);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, payload);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_too_early_is_in_front_until_it_is_read() {
    let (stream, mut far) = pair(300);
    far.write_all(&[V1, b"payload"].concat()).await.unwrap();
    let mut stream = layer(Version::V1).accept(stream).await.unwrap();
    assert!(stream.beneath::<DuplexStream>().is_some());
    for expected in [&b"pay"[..], b"load"] {
        assert!(stream.downcast_ref::<DuplexStream>().is_none());
        let mut got = vec![0; expected.len()];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, expected);
    }
    assert!(stream.downcast_ref::<DuplexStream>().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_is_not_read_to_its_end() {
    let (stream, mut far) = pair(16);
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        while far.write_all(b"PROXY TCP4 ").await.is_ok() {
            sent += 11;
        }
        sent
    });
    assert!(layer(Version::V2).accept(stream).await.is_err());
    assert!(writer.await.unwrap() < 200);
}
