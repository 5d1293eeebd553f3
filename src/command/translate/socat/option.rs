//! The options of socat's addresses that netkit has a place for, as a table. Of socat's hundreds, all others are lost.
//! Absent: how they are written.

use super::super::options::{Given, Row, Then, lost};
use super::super::told::Told;
use super::super::wire::{Family, Kind, bare, time};
use super::super::words::Read;
use super::address::Wire;
use netkit::units::prefix::Prefix;

pub(super) static OPTIONS: &[Row<Wire>] = &[
    // SO_REUSEADDR is set, TCP_NODELAY is on, the file of a socket comes and goes with the server.
    plain(
        &[
            "reuseaddr",
            "so-reuseaddr",
            "nodelay",
            "tcp-nodelay",
            "unlink-early",
            "unlink-close",
            "shut-down",
        ],
        switch,
    ),
    plain(&["fork"], |wire, given, told| {
        wire.fork = given.value.text != "0";
        if wire.fork && !wire.listens {
            given.lose(told, "a client connects once");
        }
        Ok(())
    }),
    plain(&["crnl", "crlf", "cr"], |wire, given, told| {
        if given.name == "cr" {
            given.lose(told, "netkit makes CRLF of LF, or leaves it");
        } else {
            wire.crlf.push(given.clone());
        }
        Ok(())
    }),
    plain(
        &["forever", "retry", "interval", "intervall"],
        |wire, given, told| {
            if wire.listens {
                given.lose(
                    told,
                    "a server that cannot bind ends; a service manager starts it again",
                );
            } else {
                let name = given.name.replace("intervall", "interval");
                wire.again.push(Given {
                    name,
                    ..given.clone()
                });
            }
            Ok(())
        },
    ),
    plain(&["bind"], bind),
    plain(&["range"], range),
    plain(&["max-children"], |wire, given, told| {
        if given.value.text.parse::<u64>().is_ok_and(|most| most > 0) {
            match wire.listens {
                true => wire.most = Some(given.clone()),
                false => given.lose(told, "it is for servers"),
            }
            return Ok(());
        }
        Err(given.value.refuse("it takes a number above 0"))
    }),
    plain(&["backlog"], |wire, given, told| {
        match (
            wire.listens && wire.end.kind != Kind::Udp,
            given.value.text.parse::<u32>(),
        ) {
            (true, Ok(1..)) => wire.end.fields.push(("backlog", given.value())),
            _ => given.lose(told, "there is no backlog here"),
        }
        Ok(())
    }),
    plain(&["connect-timeout"], |wire, given, told| {
        if wire.listens {
            given.lose(told, "it is for clients");
        } else {
            wire.end.timeout = time(&given.value)?;
        }
        Ok(())
    }),
    plain(&["keepidle", "tcp-keepidle"], |wire, given, told| {
        if wire.listens || wire.end.kind != Kind::Tcp {
            given.lose(told, "keepalive=TIME is a field of tcp client endpoints");
        } else if let Some(idle) = time(&given.value)? {
            wire.end.fields.push(("keepalive", idle));
        }
        Ok(())
    }),
    plain(&["pf", "protocol-family"], |wire, given, told| {
        match given.value.text.as_str() {
            "ip4" | "ipv4" | "2" => wire.end.family = Some(Family::V4),
            "ip6" | "ipv6" | "10" => wire.end.family = Some(Family::V6),
            _ => given.lose(told, "netkit has IPv4 and IPv6"),
        }
        Ok(())
    }),
    plain(&["ipv6only", "ipv6-v6only"], |wire, given, told| {
        let v6 = wire.listens && wire.end.family == Some(Family::V6);
        match (v6, given.value.text.as_str()) {
            (true, "" | "1") => {}
            (true, _) => {
                wire.end.family = None;
                wire.end.dual = true;
            }
            (false, _) => given.lose(told, "v6only= is a field of tcp6 server endpoints"),
        }
        Ok(())
    }),
    plain(&["mode", "perm"], |wire, given, told| {
        let octal = given.value.text.trim_start_matches('0');
        let fits = (1..=4).contains(&octal.len()) && octal.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        if wire.listens && wire.end.kind == Kind::Unix && fits {
            wire.end.fields.push(("mode", octal.to_owned()));
        } else {
            given.lose(told, "mode= is a field of unix server endpoints");
        }
        Ok(())
    }),
    plain(&["su", "setuid", "su-d", "substuser"], |wire, given, told| {
        serving(wire, given, told, |wire| &mut wire.user);
        Ok(())
    }),
    plain(&["chroot"], |wire, given, told| {
        serving(wire, given, told, |wire| &mut wire.chroot);
        Ok(())
    }),
    plain(&["cert", "certificate"], |wire, given, told| {
        tls(wire, given, told, |wire, value| wire.end.tls.cert = Some(value));
        Ok(())
    }),
    plain(&["key"], |wire, given, told| {
        tls(wire, given, told, |wire, value| wire.end.tls.key = Some(value));
        Ok(())
    }),
    plain(&["cafile", "capath"], |wire, given, told| {
        tls(wire, given, told, |wire, value| wire.end.tls.trust = Some(value));
        Ok(())
    }),
    plain(&["verify"], |wire, given, told| {
        tls(wire, given, told, |wire, value| wire.verify = value != "0");
        Ok(())
    }),
    plain(
        &["commonname", "cn", "openssl-commonname"],
        |wire, given, told| {
            if wire.listens || given.value.text.is_empty() {
                given.lose(told, "a client verifies a name, a server none");
            } else {
                tls(wire, given, told, |wire, value| {
                    wire.end.tls.server_name = Some(value)
                });
            }
            Ok(())
        },
    ),
    plain(&["snihost", "openssl-snihost"], |wire, given, told| {
        let named = wire.end.tls.server_name.as_ref().unwrap_or(&wire.end.host);
        if *named != given.value.text {
            given.lose(
                told,
                "the name that is asked for is the one that is verified: serverName=",
            );
        }
        Ok(())
    }),
    plain(
        &["openssl-min-proto-version", "min-proto-version"],
        |wire, given, told| {
            match version(&given.value.text) {
                Some(version) => wire.end.tls.lowest = Some(version),
                None => given.lose(told, "netkit speaks TLS 1.2 and 1.3"),
            }
            Ok(())
        },
    ),
    plain(
        &["openssl-max-proto-version", "max-proto-version"],
        |wire, given, told| {
            match version(&given.value.text) {
                Some(version) => wire.end.tls.highest = Some(version),
                None => given.lose(told, "netkit speaks TLS 1.2 and 1.3"),
            }
            Ok(())
        },
    ),
    plain(&["method", "opensslmethod"], |wire, given, told| {
        match version(&given.value.text) {
            Some(version) => (wire.end.tls.lowest, wire.end.tls.highest) = (Some(version), Some(version)),
            None if given.value.text.eq_ignore_ascii_case("tls") => {}
            None => given.lose(told, "netkit speaks TLS 1.2 and 1.3"),
        }
        Ok(())
    }),
    lost(&["ignoreeof"], "the end of what is read ends that half"),
    lost(
        &["sp", "sourceport"],
        "a client leaves from a port that the system picks",
    ),
    lost(&["reuseport", "so-reuseport"], "a server holds its port alone"),
    lost(
        &["keepalive", "so-keepalive"],
        "keepalive=TIME of a client endpoint is in its place, and needs a time",
    ),
    lost(
        &["cipher", "ciphers"],
        "the ciphers of netkit are fixed, and all are good ones",
    ),
    lost(&["dhparams", "dh"], "keys are agreed on by ECDHE"),
    lost(
        &["user", "owner", "group", "uid", "gid"],
        "the socket belongs to whoever starts netkit",
    ),
    lost(&["tcpwrap", "tcpwrappers"], "--allow and --deny are in its place"),
];

const fn plain(
    names: &'static [&'static str],
    then: fn(&mut Wire, &Given, &mut Told) -> Read<()>,
) -> Row<Wire> {
    Row {
        names,
        valued: false,
        then: Then::Take(then),
    }
}

/// What netkit does anyway, and cannot be told not to.
fn switch(_: &mut Wire, given: &Given, told: &mut Told) -> Read<()> {
    if given.value.text == "0" {
        given.lose(told, "netkit does it all the same");
    }
    Ok(())
}

fn version(text: &str) -> Option<&'static str> {
    match text.to_ascii_uppercase().as_str() {
        "TLS1.2" | "TLSV1.2" => Some("1.2"),
        "TLS1.3" | "TLSV1.3" => Some("1.3"),
        _ => None,
    }
}

fn tls(wire: &mut Wire, given: &Given, told: &mut Told, put: fn(&mut Wire, String)) {
    if wire.end.kind == Kind::Tls {
        put(wire, given.value());
    } else {
        given.lose(told, "it is for TLS");
    }
}

fn serving(wire: &mut Wire, given: &Given, told: &mut Told, place: fn(&mut Wire) -> &mut Option<String>) {
    if wire.listens && wire.fork {
        *place(wire) = Some(given.value());
    } else {
        given.lose(told, "servers alone change who and where they are");
    }
}

fn bind(wire: &mut Wire, given: &Given, told: &mut Told) -> Read<()> {
    let text = given.value.text.as_str();
    if wire.end.kind == Kind::Unix {
        given.lose(told, "a UNIX socket that connects has no address of its own");
        return Ok(());
    }
    let split = match text.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(at) => at + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let address = given.value.part(0, split);
    if split < text.len() && text.get(split + 1..).is_some_and(|port| port != "0") {
        told.lose(
            format!("bind={text}"),
            "the port: a client leaves from one that the system picks",
        );
    }
    if wire.listens {
        return wire.end.bind(&address);
    }
    wire.end.leaving_from = Some(bare(&address.text)).filter(|address| !address.is_empty());
    Ok(())
}

/// `10.0.0.0/8`, `10.0.0.0:255.0.0.0`, `[::1/128]`.
fn range(wire: &mut Wire, given: &Given, told: &mut Told) -> Read<()> {
    let text = bare(&given.value.text);
    let block = match text.split_once(':') {
        Some((address, mask)) if mask.contains('.') && !mask.contains(':') => mask
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(u32::from)
            .filter(|mask| mask.leading_ones() + mask.trailing_zeros() == u32::BITS)
            .map(|mask| format!("{address}/{}", mask.leading_ones())),
        _ => Some(text.clone()),
    };
    match block.filter(|block| block.parse::<Prefix>().is_ok()) {
        Some(block) if wire.listens => wire.access.push(("--allow", block)),
        Some(_) => given.lose(told, "it is for servers"),
        None => given.lose(told, "netkit knows clients by addresses and blocks of them"),
    }
    Ok(())
}
