//! The parts of help that come from tables: endpoint types, wrappers, protocols, exit statuses.
//! Absent: flags, which clap describes.

use std::fmt::Write as _;

use netkit::endpoint::{Role, usage};
use netkit::error::Status;
use netkit::layer::{WRAPPERS, Wrapper};
use netkit::protocol::PROTOCOLS;
use netkit::transport::{TRANSPORTS, Transport};

/// The parts that follow the flags, a blank line in between. Each begins with its heading, which ends in a colon; the
/// lines below it are indented. The manual makes its sections of them.
pub(crate) fn parts(parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.trim_end()).collect();
    parts.join("\n\n")
}

/// How an endpoint of this type is written in this role, if it has it.
pub(crate) fn usage_of(transport: &Transport, role: Role) -> Option<String> {
    Some(usage(transport.name, transport.params(role)?))
}

/// The endpoint types of a role, a line each.
pub(crate) fn endpoints(role: Role) -> String {
    let heading = match role {
        Role::Client => "Client endpoints:",
        Role::Server => "Server endpoints:",
    };
    let rows = TRANSPORTS
        .iter()
        .filter_map(|transport| Some((usage_of(transport, role)?, transport.summary)));
    let note = "  Any field can be given by name, as in tcp:port=1234; netkit explain shows them all.";
    format!("{}{note}", table(heading, rows))
}

/// How a wrapper is written in this role, if it has it: its fields by name, then an endpoint.
pub(crate) fn usage_of_wrapper(wrapper: &Wrapper, role: Role) -> Option<String> {
    let fields = wrapper.params(role)?.iter();
    let fields: String = fields
        .map(|param| format!("[:{}={}]", param.name, param.name.to_ascii_uppercase()))
        .collect();
    Some(format!("{}{fields}:ENDPOINT", wrapper.name))
}

/// What can stand before the endpoints of a role, a line each.
pub(crate) fn wrappers(role: Role) -> String {
    let rows = WRAPPERS
        .iter()
        .filter_map(|wrapper| Some((usage_of_wrapper(wrapper, role)?, wrapper.summary)));
    table("Wrappers:", rows)
}

/// The protocols, a line each.
pub(crate) fn protocols() -> String {
    table(
        "Protocols:",
        PROTOCOLS
            .iter()
            .map(|protocol| (protocol.name.to_owned(), protocol.summary)),
    )
}

/// The exit statuses, a line each.
pub(crate) fn statuses() -> String {
    table(
        "Exit status:",
        Status::ALL
            .iter()
            .map(|status| (status.code().to_string(), status.meaning())),
    )
}

fn table(heading: &str, rows: impl Iterator<Item = (String, &'static str)>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    let mut text = format!("{heading}\n");
    for (left, right) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {left:width$}  {right}");
    }
    text
}
