//! nc, OpenBSD's and the traditional one.
//! Absent: what the netcats have in common.

use netkit::diagnostic::Span;

use super::netcat::Netcat;
use super::options::{Given, Row, Style, lost, lost_value, read, same, set, take};
use super::told::{Line, Told, Translation};
use super::wire::{Family, time};
use super::words::{Read, Word};

const NO_PROXY: &str = "netkit goes through no SOCKS or HTTP proxy";
const NO_SOCKET_OPTION: &str = "netkit leaves that to the system";

static OPENBSD: &[Row<Netcat>] = &[
    set(&["-4"], |nc| nc.family = Some(Family::V4)),
    set(&["-6"], |nc| nc.family = Some(Family::V6)),
    set(&["-C"], |nc| nc.crlf = true),
    set(&["-d"], |nc| nc.no_stdin = true),
    set(&["-k"], |nc| nc.keep_open = true),
    set(&["-l"], |nc| nc.listen = true),
    same(&["-N"]),
    same(&["-n"]),
    set(&["-U"], |nc| nc.unix = true),
    flag_u(),
    set(&["-v"], |nc| nc.verbose = true),
    set(&["-z"], |nc| nc.scan = true),
    take(&["-p"], |nc, given, _| put(&mut nc.source_port, given)),
    take(&["-s"], |nc, given, _| put(&mut nc.source, given)),
    take(&["-q"], quit),
    take(&["-w"], |nc, given, _| {
        let limit = time(&given.value)?;
        (nc.timeout, nc.idle) = (limit.clone(), limit);
        Ok(())
    }),
    lost(&["-D"], NO_SOCKET_OPTION),
    lost(&["-S"], "netkit signs no TCP segments"),
    lost(&["-b"], "netkit sends no broadcasts"),
    lost(&["-F"], "netkit passes no descriptors on"),
    lost(&["-r"], "ports are tried in order, or picked by the system"),
    lost(&["-t"], "netkit answers no Telnet negotiation"),
    lost(&["-h"], "netkit connect --help and netkit listen --help"),
    take(&["-Z"], |nc, given, _| beyond(nc, given)),
    lost_value(&["-I", "-O", "-M", "-m", "-T", "-V"], NO_SOCKET_OPTION),
    lost_value(&["-i"], "netkit sends lines as fast as they are taken"),
    lost_value(&["-P", "-X", "-x"], NO_PROXY),
    lost_value(&["-W"], "netkit counts no datagrams"),
];

static TRADITIONAL: &[Row<Netcat>] = &[
    set(&["-C"], |nc| nc.crlf = true),
    set(&["-l"], |nc| nc.listen = true),
    same(&["-n"]),
    flag_u(),
    set(&["-v"], |nc| nc.verbose = true),
    set(&["-z"], |nc| nc.scan = true),
    take(&["-c", "-e"], |nc, given, _| put(&mut nc.exec, given)),
    take(&["-p"], |nc, given, _| put(&mut nc.source_port, given)),
    take(&["-s"], |nc, given, _| put(&mut nc.source, given)),
    take(&["-q"], quit),
    take(&["-w"], |nc, given, _| {
        let limit = time(&given.value)?;
        (nc.timeout, nc.idle) = (limit.clone(), limit);
        Ok(())
    }),
    take(&["-o"], |nc, given, told| {
        nc.hexdump = true;
        given.lose(told, "--hexdump writes to standard error, not to a file");
        Ok(())
    }),
    lost(&["-b"], "netkit sends no broadcasts"),
    lost(
        &["-k"],
        "keepalive=TIME of a client endpoint is in its place, and needs a time",
    ),
    lost(&["-r"], "ports are tried in order, or picked by the system"),
    lost(&["-t"], "netkit answers no Telnet negotiation"),
    lost(&["-h"], "netkit connect --help and netkit listen --help"),
    lost_value(&["-g", "-G"], "netkit chooses no routes"),
    lost_value(&["-T"], NO_SOCKET_OPTION),
    lost_value(&["-i"], "netkit sends lines as fast as they are taken"),
];

const fn flag_u() -> Row<Netcat> {
    Row {
        names: &["-u"],
        valued: false,
        then: super::options::Then::Take(|nc, given, _| {
            nc.udp = Some(given.span);
            Ok(())
        }),
    }
}

fn put(place: &mut Option<Given>, given: &Given) -> Read<()> {
    *place = Some(given.clone());
    Ok(())
}

fn beyond(nc: &mut Netcat, given: &Given) -> Read<()> {
    nc.beyond = Some(given.clone());
    Ok(())
}

/// So long after the end of the input; a negative number is without a limit, as netkit has it anyway.
fn quit(nc: &mut Netcat, given: &Given, told: &mut Told) -> Read<()> {
    if given.value.text.starts_with('-') {
        return Ok(());
    }
    nc.half_close = time(&given.value)?;
    if nc.half_close.is_none() {
        nc.half_close = Some("1ms".into());
    }
    if nc.half_close.is_some() {
        told.note("when --half-close-timeout ends a run, its status is 4");
    }
    Ok(())
}

/// `nc`, whichever it is: what only the traditional one has tells them apart.
pub(super) fn either(words: &[Word], whole: Span) -> Read<Translation> {
    openbsd(words, whole).or_else(|unread| traditional(words, whole).map_err(|_| unread))
}

pub(super) fn openbsd(words: &[Word], whole: Span) -> Read<Translation> {
    translate(OPENBSD, words, whole)
}

pub(super) fn traditional(words: &[Word], whole: Span) -> Read<Translation> {
    translate(TRADITIONAL, words, whole)
}

fn translate(rows: &'static [Row<Netcat>], words: &[Word], whole: Span) -> Read<Translation> {
    let mut told = Told::default();
    let mut nc = Netcat {
        program: "nc",
        ..Netcat::default()
    };
    let rest = read("nc", Style::Getopt, rows, words, &mut nc, &mut told)?;
    let line: Line = nc.finish(&rest, whole, &mut told)?;
    Ok(Translation {
        lines: vec![line],
        told,
    })
}
