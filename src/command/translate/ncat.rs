//! ncat.
//! Absent: what the netcats have in common.

use std::net::IpAddr;

use netkit::diagnostic::Span;
use netkit::units::prefix::Prefix;

use super::netcat::Netcat;
use super::options::{Given, Row, Style, Then, lost, lost_value, read, same, set, take};
use super::told::{Told, Translation};
use super::wire::{Family, Tls, time};
use super::words::{Read, Word};

/// Where ncat goes without a port.
const PORT: &str = "31337";

const NO_PROXY: &str = "netkit is, and goes through, no HTTP or SOCKS proxy";

static ROWS: &[Row<Netcat>] = &[
    set(&["-4"], |ncat| ncat.family = Some(Family::V4)),
    set(&["-6"], |ncat| ncat.family = Some(Family::V6)),
    set(&["-U", "--unixsock"], |ncat| ncat.unix = true),
    set(&["-C", "--crlf"], |ncat| ncat.crlf = true),
    set(&["-l", "--listen"], |ncat| ncat.listen = true),
    set(&["-k", "--keep-open"], |ncat| ncat.keep_open = true),
    same(&["-n", "--nodns"]),
    Row {
        names: &["-u", "--udp"],
        valued: false,
        then: Then::Take(|ncat, given, _| {
            ncat.udp = Some(given.span);
            Ok(())
        }),
    },
    set(&["-v", "--verbose"], |ncat| ncat.verbose = true),
    set(&["-z"], |ncat| ncat.scan = true),
    set(&["--recv-only"], |ncat| ncat.no_stdin = true),
    take(&["-c", "--sh-exec", "-e", "--exec"], |ncat, given, _| {
        ncat.exec = Some(given.clone());
        Ok(())
    }),
    take(&["-p", "--source-port"], |ncat, given, _| {
        ncat.source_port = Some(given.clone());
        Ok(())
    }),
    take(&["-s", "--source"], |ncat, given, _| {
        ncat.source = Some(given.clone());
        Ok(())
    }),
    take(&["-m", "--max-conns"], |ncat, given, _| {
        if given.value.text.parse::<u64>().is_ok_and(|most| most > 0) {
            ncat.most = Some(given.clone());
            return Ok(());
        }
        Err(given.value.refuse("it takes a number above 0"))
    }),
    take(&["-i", "--idle-timeout"], |ncat, given, _| {
        ncat.idle = time(&given.value)?;
        Ok(())
    }),
    take(&["-w", "--wait"], |ncat, given, _| {
        ncat.timeout = time(&given.value)?;
        Ok(())
    }),
    take(&["-x", "--hex-dump"], |ncat, given, told| {
        ncat.hexdump = true;
        given.lose(told, "--hexdump writes to standard error, not to a file");
        Ok(())
    }),
    take(&["--allow"], |ncat, given, told| {
        access(ncat, "--allow", given, told)
    }),
    take(&["--deny"], |ncat, given, told| {
        access(ncat, "--deny", given, told)
    }),
    set(&["--ssl"], |ncat| {
        tls(ncat);
    }),
    set(&["--ssl-verify"], |ncat| {
        tls(ncat);
        ncat.verifies = true;
    }),
    take(&["--ssl-cert"], |ncat, given, _| {
        tls(ncat).cert = Some(given.value());
        Ok(())
    }),
    take(&["--ssl-key"], |ncat, given, _| {
        tls(ncat).key = Some(given.value());
        Ok(())
    }),
    take(&["--ssl-trustfile"], |ncat, given, _| {
        tls(ncat).trust = Some(given.value());
        ncat.verifies = true;
        Ok(())
    }),
    take(&["--ssl-servername"], |ncat, given, _| {
        tls(ncat).server_name = Some(given.value());
        Ok(())
    }),
    take(&["--ssl-alpn"], |ncat, given, _| {
        tls(ncat).alpn = Some(given.value());
        Ok(())
    }),
    lost_value(
        &["--ssl-ciphers"],
        "the ciphers of netkit are fixed, and all are good ones",
    ),
    lost_value(&["--lua-exec"], super::netcat::NO_PROGRAMS),
    lost_value(&["-g", "-G"], "netkit chooses no routes"),
    lost_value(&["-d", "--delay"], "netkit sends as fast as the peer takes it"),
    lost_value(&["-o", "--output"], "netkit writes no copy of what is said"),
    lost(&["--append-output"], "netkit writes no copy of what is said"),
    lost(&["-t", "--telnet"], "netkit answers no Telnet negotiation"),
    lost(&["--send-only"], "netkit reads what comes until the peer ends"),
    lost(&["--no-shutdown"], "netkit ends its half at the end of the input"),
    lost_value(
        &["--allowfile", "--denyfile"],
        "--allow and --deny take addresses, one by one",
    ),
    lost(
        &["--broker", "--chat"],
        "netkit passes nothing from one client to the others",
    ),
    lost_value(
        &["--proxy", "--proxy-type", "--proxy-auth", "--proxy-dns"],
        NO_PROXY,
    ),
    lost(
        &["-h", "--help", "--version"],
        "netkit connect --help and netkit listen --help",
    ),
    beyond(&["--sctp"]),
    beyond(&["--vsock"]),
];

const fn beyond(names: &'static [&'static str]) -> Row<Netcat> {
    Row {
        names,
        valued: false,
        then: Then::Take(|ncat, given, _| {
            ncat.beyond = Some(given.clone());
            Ok(())
        }),
    }
}

fn tls(ncat: &mut Netcat) -> &mut Tls {
    ncat.tls.get_or_insert_default()
}

/// Addresses and blocks; a name would be looked up once, and then again by nobody.
fn access(ncat: &mut Netcat, flag: &'static str, given: &Given, told: &mut Told) -> Read<()> {
    for one in given.value.text.split(',') {
        if one.parse::<Prefix>().is_ok() || one.parse::<IpAddr>().is_ok() {
            ncat.access.push((flag, one.to_owned()));
        } else {
            told.lose(
                format!("{flag} {one}"),
                "netkit knows clients by addresses and blocks of them",
            );
        }
    }
    Ok(())
}

pub(super) fn translate(words: &[Word], whole: Span) -> Read<Translation> {
    let mut told = Told::default();
    let mut ncat = Netcat {
        program: "ncat",
        dual: true,
        default_port: Some(PORT),
        ..Netcat::default()
    };
    let rest = read("ncat", Style::Getopt, ROWS, words, &mut ncat, &mut told)?;
    let auth = ncat.listen && ncat.tls.as_ref().is_some_and(|tls| tls.trust.is_some());
    if let (true, Some(tls)) = (ncat.listen, &mut ncat.tls) {
        if auth {
            tls.client_auth = Some("require");
        } else if ncat.verifies {
            told.lose(
                "--ssl-verify",
                "a server verifies clients by a file: --ssl-trustfile",
            );
        }
        if let Some(name) = tls.server_name.take() {
            told.lose(format!("--ssl-servername {name}"), "it is for clients");
        }
    }
    let line = ncat.finish(&rest, whole, &mut told)?;
    Ok(Translation {
        lines: vec![line],
        told,
    })
}
