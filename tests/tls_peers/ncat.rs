//! ncat with --ssl against our server, which ends its half without close_notify and expects ours.
//! Absent: ncat without TLS.

use crate::harness::installed::installed;
use crate::harness::place::Place;

#[test]
fn ncat_is_a_client_that_just_ends() {
    let Some(program) = installed(&["ncat"]) else {
        return;
    };
    let place = Place::new();
    let (server, port) = place.serve(&["echo"], "");
    let port = port.to_string();
    let args = [
        "--ssl-verify",
        "--ssl-trustfile",
        "ca/cert.pem",
        "localhost",
        &port,
    ];
    for _ in 0..10 {
        place
            .program(program, args)
            .input("hello\n")
            .run()
            .status(0)
            .wrote("hello\n")
            .said("");
    }
    server.stop().status(0);
}
