//! Any bytes as a PROXY header: the answer is the same however they are cut, and what is read can be written.
//! Absent: connections.

#![no_main]

use libfuzzer_sys::fuzz_target;
use netkit::layer::proxy::header::{LONGEST, Tlv, read};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    for end in 0..bytes.len().min(600) {
        let part = read(&bytes[..end]);
        assert!(part == Ok(None) || part == whole, "cut at {end}");
    }
    if let Ok(Some((mut header, length))) = whole {
        assert!(length <= bytes.len() && length <= LONGEST);
        header.tlvs.retain(|tlv| tlv.kind != Tlv::CRC32C);
        let written = header.write();
        let (mut back, length) = read(&written).expect("valid").expect("whole");
        assert_eq!(length, written.len());
        back.tlvs.retain(|tlv| tlv.kind != Tlv::CRC32C);
        assert_eq!(back.ends, header.ends);
        // Of values that all but fill a header, the checksum may leave no room for the last.
        if length < LONGEST / 2 {
            assert_eq!(back, header);
        }
    }
});
