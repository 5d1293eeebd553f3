//! `cert show` on what is odd: names that would drive a terminal, and certificates that are none.
//! Absent: why a handshake fails.

use crate::harness::place::Place;

/// What would turn a terminal red.
const RED: &str = "\x1b[31mno.pem";

#[test]
fn a_path_cannot_drive_the_terminal_that_it_is_shown_on() {
    let place = Place::empty();
    let show = |name: &str| place.netkit(["cert", "show", name]).run().status(2);
    place.write(RED, "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n");
    for name in ["\x1b[31mgone.pem", RED] {
        let outcome = show(name);
        assert!(!outcome.stderr.contains('\x1b'), "{:?}", outcome.stderr);
        outcome.mentions(r"could not show `\u{1b}[31m");
    }
    show(RED).mentions(r"-in $'\x1b[31mno.pem'");
    let out = place.path("\x1b[31mout");
    let made = place
        .netkit(["cert", "self-signed", "--out"])
        .arg(&out)
        .run()
        .status(0);
    assert!(!made.stderr.contains('\x1b'), "{:?}", made.stderr);
    made.mentions(r"out/cert.pem`");
}
