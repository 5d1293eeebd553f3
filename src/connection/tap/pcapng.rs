//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng): a section, one interface of bare IP packets, and packets.
//! Absent: what is in a packet, and files.

use super::Direction;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Says which byte order the section has; ours is always the little one.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// LINKTYPE_RAW: a packet begins with its IPv4 or IPv6 header.
const LINK_RAW: u16 = 101;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;

/// Bytes of a comment. An option could hold 64 KiB, which nobody would read.
const COMMENT_MAX: usize = 4096;

/// What comes first in a file: the section header, and the one interface, whose clock counts nanoseconds.
pub fn begin(out: &mut Vec<u8>) {
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER.to_le_bytes());
        // Version 1.0; the section goes on to the end of the file.
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend((-1_i64).to_le_bytes());
        let application = concat!("netkit ", env!("CARGO_PKG_VERSION"));
        option(out, SECTION_APPLICATION, application.as_bytes());
        option(out, OPTION_END, b"");
    });
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend(LINK_RAW.to_le_bytes());
        out.extend([0; 2]);
        // No packet is cut.
        out.extend(0_u32.to_le_bytes());
        option(out, INTERFACE_NAME, b"netkit");
        // A power of ten.
        option(out, INTERFACE_RESOLUTION, &[9]);
        option(out, OPTION_END, b"");
    });
}

/// A packet that was seen at `nanos` since 1970.
pub fn packet(out: &mut Vec<u8>, nanos: u64, direction: Direction, bytes: &[u8], comment: Option<&str>) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend(0_u32.to_le_bytes());
        out.extend(((nanos >> 32) as u32).to_le_bytes());
        out.extend((nanos as u32).to_le_bytes());
        // As it was, and as much of it as is here.
        let length = bytes.len() as u32;
        out.extend(length.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(bytes);
        pad(out, bytes.len());
        if let Some(comment) = comment {
            let mut most = comment.len().min(COMMENT_MAX);
            while !comment.is_char_boundary(most) {
                most -= 1;
            }
            option(out, OPTION_COMMENT, &comment.as_bytes()[..most]);
        }
        let flags: u32 = match direction {
            Direction::Received => 1,
            Direction::Sent => 2,
        };
        option(out, PACKET_FLAGS, &flags.to_le_bytes());
        option(out, OPTION_END, b"");
    });
}

/// The length of a block stands at both of its ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend(kind.to_le_bytes());
    let start = out.len();
    out.extend([0; 4]);
    body(out);
    let length = (out.len() - start + 8) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out.extend(length.to_le_bytes());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out, value.len());
}

/// To a multiple of four.
fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend(&[0; 3][..length.wrapping_neg() % 4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_section_and_its_interface() {
        let mut out = Vec::new();
        begin(&mut out);
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let name = 7 + version.len();
        let section = 28 + 4 + name.next_multiple_of(4) + 4;
        let mut expected = vec![0x0a, 0x0d, 0x0d, 0x0a, section as u8, 0, 0, 0];
        expected.extend(b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x04\0");
        expected.extend([name as u8, 0]);
        expected.extend([b"netkit ", version].concat());
        expected.resize(section - 8, 0);
        expected.extend([0, 0, 0, 0, section as u8, 0, 0, 0]);
        expected.extend(b"\x01\0\0\0\x2c\0\0\0\x65\0\0\0\0\0\0\0");
        expected.extend(b"\x02\0\x06\0netkit\0\0\x09\0\x01\0\x09\0\0\0\0\0\0\0\x2c\0\0\0");
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn a_packet_is_padded_and_has_its_time_its_way_and_its_comment() {
        let mut out = Vec::new();
        packet(
            &mut out,
            0x0123_4567_89ab_cdef,
            Direction::Sent,
            b"abcde",
            Some("hi!"),
        );
        let expected =
            b"\x06\0\0\0\x3c\0\0\0\0\0\0\0\x67\x45\x23\x01\xef\xcd\xab\x89\x05\0\0\0\x05\0\0\0abcde\0\0\0\
            \x01\0\x03\0hi!\0\x02\0\x04\0\x02\0\0\0\0\0\0\0\x3c\0\0\0";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        let mut out = Vec::new();
        packet(&mut out, 0, Direction::Received, b"", Some(&"ü".repeat(10_000)));
        assert_eq!(out.len(), 32 + 4 + COMMENT_MAX + 8 + 4);
    }
}
