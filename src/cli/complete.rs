//! Completing endpoint strings: wrappers and types first, then the names of their fields.
//! Absent: shells.

use std::collections::HashSet;
use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use netkit::endpoint::{Param, Role};
use netkit::layer::WRAPPERS;
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
    let mut seen = HashSet::new();
    roles
        .iter()
        .flat_map(|role| offers(typed, *role))
        .filter(|(text, _)| text.starts_with(typed) && seen.insert(text.clone()))
        .map(|(text, help)| CompletionCandidate::new(text).help(Some(help.into())))
        .collect()
}

/// What can stand where `typed` ends, with all that stands before it.
fn offers(typed: &str, role: Role) -> Vec<(String, &'static str)> {
    let Some((name, _)) = typed.split_once(':') else {
        let types = TRANSPORTS
            .iter()
            .filter(|transport| transport.params(role).is_some())
            .map(|transport| (transport.name, transport.summary));
        let wrappers = WRAPPERS
            .iter()
            .filter(|wrapper| wrapper.params(role).is_some())
            .map(|wrapper| (wrapper.name, wrapper.summary));
        let named = types.chain(wrappers);
        return named.map(|(name, doc)| (format!("{name}:"), doc)).collect();
    };
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == name);
    if let Some(params) = wrapper.and_then(|wrapper| wrapper.params(role)) {
        // Its own fields, then the endpoint that it stands before.
        let mut start = name.len() + 1;
        while let Some((field, _)) = typed[start..].split_once(':')
            && field.contains('=')
        {
            start += field.len() + 1;
        }
        let (before, inner) = typed.split_at(start);
        let mut found = fields(before, params);
        let inner = offers(inner, role);
        found.extend(
            inner
                .into_iter()
                .map(|(text, doc)| (format!("{before}{text}"), doc)),
        );
        return found;
    }
    // Fields are offered once the type is there, after the last colon.
    let transport = TRANSPORTS.iter().find(|transport| transport.name == name);
    let params = transport.and_then(|transport| transport.params(role));
    let before = typed.rfind(':').map_or("", |at| &typed[..=at]);
    fields(before, params.unwrap_or_default())
}

fn fields(before: &str, params: &'static [Param]) -> Vec<(String, &'static str)> {
    let fields = params.iter();
    fields
        .map(|param| (format!("{before}{}=", param.name), param.doc))
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

    #[test]
    fn behind_a_wrapper_its_fields_then_types_again() {
        assert_eq!(texts("hap", Role::Client), ["haproxy:"]);
        let both = texts("haproxy:", Role::Client);
        assert!(both.contains(&"haproxy:version=".to_owned()));
        assert!(both.contains(&"haproxy:tcp:".to_owned()));
        assert_eq!(
            texts("haproxy:version=1:unix:/x:ti", Role::Client),
            ["haproxy:version=1:unix:/x:timeout="]
        );
        assert_eq!(
            texts("haproxy:haproxy:tcp:1:b", Role::Server),
            ["haproxy:haproxy:tcp:1:backlog="]
        );
    }
}
