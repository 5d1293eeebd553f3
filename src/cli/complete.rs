//! Completing endpoint strings: types first, then the names of their fields.
//! Absent: shells.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use netkit::endpoint::Role;
use netkit::transport::TRANSPORTS;

/// Completes client endpoints.
pub(crate) fn client() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, &[Role::Client]))
}

/// Completes server endpoints.
pub(crate) fn server() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, &[Role::Server]))
}

/// Completes endpoints of either role.
pub(crate) fn either() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, &Role::ALL))
}

fn candidates(typed: &OsStr, roles: &[Role]) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        for role in roles {
            let params = match role {
                Role::Client => transport.client.as_ref().map(|client| client.params),
                Role::Server => transport.server.as_ref().map(|server| server.params),
            };
            let Some(params) = params else { continue };
            // Fields are offered once the type is there, after the last colon.
            match typed.rsplit_once(':') {
                None => found.push((format!("{}:", transport.name), transport.summary)),
                Some((before, _)) if before.split(':').next() == Some(transport.name) => {
                    found.extend(
                        params
                            .iter()
                            .map(|param| (format!("{before}:{}=", param.name), param.doc)),
                    );
                }
                Some(_) => {}
            }
        }
    }
    found.retain(|(text, _)| text.starts_with(typed));
    found.dedup_by(|one, other| one.0 == other.0);
    found
        .into_iter()
        .map(|(text, help)| CompletionCandidate::new(text).help(Some(help.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(typed: &str, role: Role) -> Vec<String> {
        let found = candidates(OsStr::new(typed), &[role]);
        found
            .iter()
            .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn types_then_fields() {
        assert!(texts("t", Role::Client).contains(&"tcp:".to_owned()));
        assert_eq!(texts("tcp:80:ba", Role::Server), ["tcp:80:backlog="]);
        assert!(texts("tcp:h:80:ti", Role::Client).contains(&"tcp:h:80:timeout=".to_owned()));
        assert!(texts("nothing:", Role::Client).is_empty());
    }
}
