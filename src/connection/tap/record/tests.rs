use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::connection::Address;

fn recorded(work: impl FnOnce(&Recording)) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file.pcapng");
    let recording = Recording::create(&path).unwrap();
    work(&recording);
    recording.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn facts() -> Facts {
    let at = |text: &str| Address::Inet(text.parse().unwrap());
    Facts::new(at("192.0.2.1:80"), at("192.0.2.2:5555"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn little(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().unwrap())
}

/// The packets of a file, each with its time; all blocks are whole.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let (mut rest, mut found) = (file, Vec::new());
    while !rest.is_empty() {
        let length = little(&rest[4..]) as usize;
        assert_eq!(little(&rest[length - 4..]) as usize, length);
        assert!(length.is_multiple_of(4));
        if little(rest) == 6 {
            let time = u64::from(little(&rest[12..])) << 32 | u64::from(little(&rest[16..]));
            let size = little(&rest[20..]) as usize;
            found.push((time, rest[28..28 + size].to_vec()));
        }
        rest = &rest[length..];
    }
    found
}

/// A receiver of TCP over IPv4, which takes nothing that is not next; gives what each port has said, and its flags.
fn received(file: &[u8], port: u16) -> (Vec<u8>, Vec<u8>) {
    let (mut next, mut said, mut flags) = (None, Vec::new(), Vec::new());
    let mut other = None;
    for (_, packet) in packets(file) {
        assert_eq!(usize::from(u16_at(&packet, 2)), packet.len());
        let segment = &packet[20..];
        let (sequence, acknowledged) = (u32_at(segment, 4), u32_at(segment, 8));
        let payload = &segment[usize::from(segment[12] >> 4) * 4..];
        let counted = payload.len() as u32 + u32::from(segment[13] & (SYN | FIN) != 0);
        if u16_at(segment, 0) == port {
            if let Some(next) = next {
                assert_eq!(sequence, next);
            }
            next = Some(sequence.wrapping_add(counted));
            said.extend(payload);
            flags.push(segment[13]);
            if segment[13] & ACK != 0 {
                assert_eq!(Some(acknowledged), other);
            }
        } else {
            other = Some(sequence.wrapping_add(counted));
        }
    }
    (said, flags)
}

#[test]
fn a_conversation_from_its_beginning_to_its_end() {
    let file = recorded(|recording| {
        let mut tap = recording.stream(&facts(), Role::Server);
        tap.data(Direction::Received, b"question");
        tap.end(Direction::Received);
        tap.data(Direction::Sent, b"answer");
        tap.end(Direction::Sent);
    });
    let (said, flags) = received(&file, 5555);
    assert_eq!(said, b"question");
    assert_eq!(flags, [SYN, ACK, PSH | ACK, FIN | ACK, ACK]);
    let (said, flags) = received(&file, 80);
    assert_eq!(said, b"answer");
    assert_eq!(flags, [SYN | ACK, ACK, PSH | ACK, FIN | ACK]);
}

#[test]
fn a_client_begins_and_whoever_leaves_too_early_resets() {
    let file = recorded(|recording| {
        let mut tap = recording.stream(&facts(), Role::Client);
        tap.data(Direction::Sent, b"a");
        tap.end(Direction::Received);
    });
    assert_eq!(received(&file, 80).1, [SYN, ACK, PSH | ACK, ACK, RST | ACK]);
    let file = recorded(|recording| {
        let mut tap = recording.stream(&facts(), Role::Client);
        let reset = io::ErrorKind::ConnectionReset.into();
        tap.failed(Direction::Received, &reset);
        tap.failed(Direction::Sent, &reset);
        tap.data(Direction::Sent, b"late");
    });
    assert_eq!(received(&file, 5555).1, [SYN | ACK, RST | ACK]);
}

#[test]
fn a_tls_peer_that_is_cut_off_has_ended() {
    let file = recorded(|recording| {
        let mut tap = recording.stream(&facts(), Role::Client);
        tap.failed(Direction::Received, &io::ErrorKind::UnexpectedEof.into());
        tap.end(Direction::Sent);
    });
    assert_eq!(received(&file, 5555).1, [SYN | ACK, FIN | ACK, ACK]);
}

#[test]
fn datagrams_keep_their_edges() {
    let file = recorded(|recording| {
        let mut tap = recording.datagrams(&facts(), Role::Client);
        tap.data(Direction::Sent, b"one");
        tap.data(Direction::Sent, b"");
        tap.data(Direction::Received, b"two");
    });
    let seen: Vec<(u16, Vec<u8>)> = packets(&file)
        .iter()
        .map(|(_, packet)| (u16_at(packet, 20), packet[28..].to_vec()))
        .collect();
    assert_eq!(
        seen,
        [(80, b"one".to_vec()), (80, vec![]), (5555, b"two".to_vec())]
    );
}

#[test]
fn a_file_is_for_its_owner_and_is_emptied() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    drop(Recording::create(&path).unwrap());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let empty = std::fs::read(&path).unwrap();
    std::fs::write(&path, vec![1; 1000]).unwrap();
    drop(Recording::create(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), empty);
    let error = Recording::create(directory.path()).unwrap_err();
    assert_eq!(error.why(), "is a directory");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_payload_of_all_packets_is_what_was_exchanged(
        pieces in proptest::collection::vec((any::<bool>(), 0_usize..300_000), 0..12),
        ends in any::<(bool, bool)>(),
    ) {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let file = recorded(|recording| {
            let mut tap = recording.stream(&facts(), Role::Server);
            for (number, (is_up, length)) in pieces.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
                let (direction, all) = match is_up {
                    true => (Direction::Received, &mut up),
                    false => (Direction::Sent, &mut down),
                };
                tap.data(direction, &bytes);
                all.extend(bytes);
            }
            if ends.0 { tap.end(Direction::Received); }
            if ends.1 { tap.end(Direction::Sent); }
        });
        prop_assert!(received(&file, 5555).0 == up);
        prop_assert!(received(&file, 80).0 == down);
        let times: Vec<u64> = packets(&file).into_iter().map(|(time, _)| time).collect();
        prop_assert!(times.is_sorted());
    }
}
