//! `translate`: what comes out where, with which status, and lines that behave as those they come from.
//! Absent: the tables of options, which unit tests go through.

use std::io::{Read as _, Write as _};
#[cfg(feature = "tls")]
use std::path::Path;
use std::time::Duration;

use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::{Netkit, netkit, program, serve};

fn translate(line: &str) -> Netkit {
    netkit(["translate", "--"]).args(line.split_whitespace())
}

/// The line that `translate` prints, as a shell runs it.
fn ours(line: &str) -> Netkit {
    let printed = translate(line).run().text();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let binary = env!("CARGO_BIN_EXE_netkit");
    program(
        "sh",
        [
            "-c",
            &format!("netkit() {{ exec '{binary}' \"$@\"; }}\n{printed}"),
        ],
    )
}

/// What a line of theirs says to this input.
fn theirs(line: &str) -> Netkit {
    let mut words = line.split_whitespace();
    program(words.next().unwrap(), words)
}

#[test]
fn standard_output_has_the_line_and_the_status_tells_whether_it_is_all() {
    translate("socat TCP-LISTEN:80,fork TCP:h:81")
        .run()
        .status(0)
        .wrote("netkit relay tcp:80 tcp:h:81\n")
        .said("");
    translate("nc -i 1 -w 2 h 80")
        .run()
        .status(1)
        .wrote("netkit connect tcp:h:80:timeout=2s --idle-timeout 2s\n")
        .said("not carried over: -i 1: netkit sends lines as fast as they are taken\n");
    translate("nc -lY")
        .run()
        .status(2)
        .wrote("")
        .said("error: nc has no option `-Y`\n  nc -lY\n       ^\n");
    // The double hyphen may be left out: what follows the program is its own.
    netkit(["translate", "nc", "-l", "80"])
        .run()
        .status(0)
        .wrote("netkit listen tcp:80\n");
    netkit(["translate"]).run().status(2).wrote("");
    translate("telnet h")
        .run()
        .status(2)
        .mentions("help: read are nc, nc.openbsd,");
}

#[cfg(feature = "tls")]
#[test]
fn a_peer_that_verifies_nothing_is_not_copied_in_silence() {
    translate("openssl s_client -connect h:443").run().status(0).wrote("netkit connect tls:h:443\n").said(
        "note: s_client takes any certificate here; netkit verifies chain and name. To trust anybody, as s_client does: \
         tls:h:443:insecure=yes\n",
    );
}

#[test]
fn a_file_of_stunnel_is_read_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stunnel.conf");
    let text = "foreground = yes\n[a]\naccept = 127.0.0.1:443\nconnect = 80\ncert = my cert.pem\n[b]\naccept = 444\nconnect = 81\ncert = b.pem\n";
    std::fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap();
    let said = "note: each service is a process of its own\n";
    let lines = "netkit relay 'tls:443:privateKey=my cert.pem:interface=127.0.0.1' tcp:localhost:80\n\
                 netkit relay tls:444:privateKey=b.pem:interface=0.0.0.0 tcp:localhost:81\n";
    if !cfg!(feature = "tls") {
        return;
    }
    for words in [&["translate", name][..], &["translate", "--", "stunnel4", name]] {
        netkit(words).run().status(0).wrote(lines).said(said);
    }
    std::fs::write(&path, "[a]\naccept = 80\nwhat\n").unwrap();
    netkit(["translate", name])
        .run()
        .status(2)
        .wrote("")
        .mentions("line 3: neither NAME = VALUE nor [SERVICE]\n  what\n  ^^^^\n");
    for (bad, why) in [
        ("/nonexistent.conf", "no such file or directory"),
        ("/dev/zero", "it is no file"),
        (directory.path().to_str().unwrap(), "it is no file"),
    ] {
        netkit(["translate", "stunnel", bad])
            .run()
            .status(2)
            .wrote("")
            .mentions(why);
    }
}

#[test]
fn every_printed_endpoint_is_one_that_explain_reads() {
    for line in [
        "socat TCP6-LISTEN:80,fork TCP:[::1]:81",
        "socat - UNIX-CONNECT:/a\\:b",
        "socat - ABSTRACT-CONNECT:x",
        "nc -l -s ::1 80",
        "nc -U /run/a=b:c",
        "ncat -lu 53",
    ] {
        let printed = translate(line).run().text();
        let script = "for word; do case $word in *:*) printf '%s\\n' \"$word\";; esac; done";
        let words = program("sh", ["-c", &format!("set -- {printed}\n{script}")])
            .run()
            .text();
        assert!(words.lines().count() > 0, "{printed}");
        for endpoint in words.lines() {
            netkit(["explain", endpoint]).run().status(0);
        }
    }
}

#[test]
fn clients_behave_as_those_they_come_from() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let port = server.address().port();
    for (name, line) in [
        ("socat", format!("socat - TCP:127.0.0.1:{port}")),
        ("socat", format!("socat -u - TCP:127.0.0.1:{port}")),
        ("nc.openbsd", format!("nc.openbsd -N 127.0.0.1 {port}")),
        ("ncat", format!("ncat 127.0.0.1 {port}")),
    ] {
        if installed(&[name]).is_none() {
            continue;
        }
        let input = "one\ntwo\n";
        let expected = theirs(&line).input(input).run().status(0);
        ours(&line).input(input).run().status(0).wrote(expected.stdout);
    }
}

/// The answer of a server tells whether a client without input has ended its half.
#[test]
fn clients_without_input_keep_their_half_open() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in server.incoming() {
            let mut client = client.unwrap();
            client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let answer = match client.read(&mut [0]) {
                Ok(0) => "ended",
                Ok(_) => "data",
                Err(_) => "open",
            };
            let _ = client.write_all(answer.as_bytes());
        }
    });
    for (name, line) in [
        ("socat", format!("socat -U - TCP:127.0.0.1:{port}")),
        ("socat", format!("socat -u TCP:127.0.0.1:{port} -")),
        ("nc.openbsd", format!("nc.openbsd -d 127.0.0.1 {port}")),
        ("ncat", format!("ncat --recv-only 127.0.0.1 {port}")),
    ] {
        if installed(&[name]).is_some() {
            theirs(&line).input("").run().status(0).wrote("open");
        }
        ours(&line).input("").run().status(0).wrote("open");
    }
}

#[test]
fn a_relay_behaves_as_the_one_it_comes_from() {
    if installed(&["socat"]).is_none() {
        return;
    }
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let target = server.address();
    for mine in [false, true] {
        let (held, address) = reserved(socket2::Type::STREAM);
        let line = format!(
            "socat TCP4-LISTEN:{},bind=127.0.0.1,reuseaddr,fork TCP:{target}",
            address.port()
        );
        // Ours does not share its port with a socket that only holds it.
        if mine {
            drop(held);
        }
        let relay = if mine { ours(&line) } else { theirs(&line) }.start();
        await_listening(address);
        for _ in 0..2 {
            netkit(["connect", &format!("tcp:{address}")])
                .input("hello\n")
                .run()
                .status(0)
                .wrote("hello\n");
        }
        drop(relay);
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_tls_client_verifies_what_its_line_names() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = crate::harness::place::Place::new();
    let (_server, port) = place.serve(&["echo"], "");
    let authority = place.path("ca/cert.pem");
    let line = |file: &Path| {
        format!(
            "openssl s_client -quiet -connect localhost:{port} -verify_return_error -CAfile {}",
            file.display()
        )
    };
    ours(&line(&authority))
        .input("hello\n")
        .run()
        .status(0)
        .wrote("hello\n");
    ours(&line(&place.path("client/cert.pem")))
        .input("hello\n")
        .run()
        .status(5)
        .wrote("");
    theirs(&line(&place.path("client/cert.pem")))
        .input("hello\n")
        .run()
        .status(1)
        .wrote("");
}
