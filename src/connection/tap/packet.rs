//! Packets as they might have been on a wire: IPv4 (RFC 791) or IPv6 (RFC 8200) with TCP (RFC 9293) or UDP (RFC 768),
//! their checksums right. Absent: what they are for, and fragments.

use std::net::{IpAddr, SocketAddr};

/// Bytes of payload in a TCP segment: with its headers, and some room, a packet of 64 KiB holds it.
pub const SEGMENT_MAX: usize = 65_160;

/// Each window counts in units of 2^7 bytes, so that 8 MiB may be under way.
const WINDOW_SHIFT: u8 = 7;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The end of a direction.
pub const FIN: u8 = 1;
/// The beginning of a connection.
pub const SYN: u8 = 1 << 1;
/// The connection is no more.
pub const RST: u8 = 1 << 2;
/// What is here is all there is for now.
pub const PSH: u8 = 1 << 3;
/// The number of what is expected next is given.
pub const ACK: u8 = 1 << 4;

/// A segment, but for its addresses and its payload.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The number of its first byte.
    pub sequence: u32,
    /// What is expected next of the other side, where the flags say so.
    pub acknowledged: u32,
    /// [`SYN`] and the like.
    pub flags: u8,
}

/// A TCP packet of one address to another, both of one family. The payload is no longer than [`SEGMENT_MAX`].
#[must_use]
pub fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment, payload: &[u8]) -> Vec<u8> {
    let mut options = Vec::new();
    if segment.flags & SYN != 0 {
        // The segment's size, nothing, and the window's scale (RFC 7323).
        options.extend([2, 4]);
        options.extend((SEGMENT_MAX as u16).to_be_bytes());
        options.extend([1, 3, 3, WINDOW_SHIFT]);
    }
    let mut out = Vec::with_capacity(20 + options.len() + payload.len());
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(segment.sequence.to_be_bytes());
    out.extend(segment.acknowledged.to_be_bytes());
    out.push(((20 + options.len()) as u8 / 4) << 4);
    out.push(segment.flags);
    out.extend(u16::MAX.to_be_bytes());
    // The checksum, and a pointer to what is urgent.
    out.extend([0; 4]);
    out.extend(options);
    out.extend(payload);
    let sum = checksum(from, to, TCP, &out);
    out[16..18].copy_from_slice(&sum.to_be_bytes());
    within_ip(from, to, TCP, &out)
}

/// A UDP packet of one address to another, both of one family. What is longer than a datagram can be is cut.
#[must_use]
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(crate::connection::datagram::LARGEST)];
    let mut out = Vec::with_capacity(8 + payload.len());
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend((8 + payload.len() as u16).to_be_bytes());
    out.extend([0; 2]);
    out.extend(payload);
    let sum = match checksum(from, to, UDP, &out) {
        // 0 says that there is none.
        0 => u16::MAX,
        sum => sum,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    within_ip(from, to, UDP, &out)
}

/// What it takes to stay alive on the way, as most systems have it.
const HOPS: u8 = 64;

fn within_ip(from: SocketAddr, to: SocketAddr, protocol: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + content.len());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // Version and length of the header, service.
            out.extend([0x45, 0]);
            out.extend((20 + content.len() as u16).to_be_bytes());
            // No number, as it is not to be fragmented.
            out.extend([0, 0, 0x40, 0, HOPS, protocol, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = !folded(sum(&out));
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            out.extend([0x60, 0, 0, 0]);
            out.extend((content.len() as u16).to_be_bytes());
            out.extend([protocol, HOPS]);
            out.extend(octets(from));
            out.extend(octets(to));
        }
    }
    out.extend(content);
    out
}

/// Over the pseudo header too, which has the addresses (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn checksum(from: SocketAddr, to: SocketAddr, protocol: u8, content: &[u8]) -> u16 {
    let addresses = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (from, to) => sum(&octets(from)) + sum(&octets(to)),
    };
    !folded(addresses + u64::from(protocol) + content.len() as u64 + sum(content))
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Of 16-bit words, the last one filled up with 0 (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let last = words.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    words
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
        .sum::<u64>()
        + last
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_segment_over_ipv4() {
        let segment = Segment {
            sequence: 0x0102_0304,
            acknowledged: 0x0506_0708,
            flags: PSH | ACK,
        };
        let packet = tcp(
            address("192.0.2.1:80"),
            address("192.0.2.2:5555"),
            segment,
            b"abc",
        );
        let expected = b"E\0\0+\0\0@\0@\x06\xb6\xc9\xc0\0\x02\x01\xc0\0\x02\x02\
            \0P\x15\xb3\x01\x02\x03\x04\x05\x06\x07\x08P\x18\xff\xffAL\0\0abc";
        assert_eq!(
            packet.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn a_datagram_over_ipv6() {
        let packet = udp(address("[2001:db8::1]:1"), address("[2001:db8::2]:2"), b"hi");
        let header =
            b"`\0\0\0\0\n\x11@ \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x01 \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\
            \0\x01\0\x02\0\n";
        assert_eq!(
            packet[..46].escape_ascii().to_string(),
            header.escape_ascii().to_string()
        );
        assert_eq!(&packet[48..], b"hi");
        // Summed over pseudo header and datagram, a right checksum leaves nothing.
        let from = address("[2001:db8::1]:1");
        assert_eq!(checksum(from, address("[2001:db8::2]:2"), UDP, &packet[40..]), 0);
    }

    #[test]
    fn the_longest_of_all_fit() {
        for (from, to) in [
            ("192.0.2.1:1", "192.0.2.2:2"),
            ("[2001:db8::1]:1", "[2001:db8::2]:2"),
        ] {
            let (from, to) = (address(from), address(to));
            let segment = Segment {
                sequence: 0,
                acknowledged: 0,
                flags: SYN | ACK,
            };
            for packet in [
                tcp(from, to, segment, &[1; SEGMENT_MAX]),
                udp(from, to, &[1; crate::connection::datagram::LARGEST]),
            ] {
                let (header, at, protocol) = match from.is_ipv4() {
                    true => (20, 2, packet[9]),
                    false => (40, 4, packet[6]),
                };
                let told = usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
                let counted = if from.is_ipv4() { 0 } else { header };
                assert_eq!(told + counted, packet.len());
                assert_eq!(checksum(from, to, protocol, &packet[header..]), 0);
            }
        }
    }
}
