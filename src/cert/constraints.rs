//! Whether a name is among those that an authority may vouch for (RFC 5280, section 4.2.1.10).
//! Absent: names that no server is verified by.

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, NameConstraints};

use super::Name;

/// Whether the constraints forbid a name. Where names of its kind are permitted, it has to be one of those.
pub(super) fn forbidden(constraints: &NameConstraints<'_>, name: &Name) -> bool {
    let (permitted, excluded) = (&constraints.permitted_subtrees, &constraints.excluded_subtrees);
    let mut of_its_kind = permitted
        .iter()
        .flatten()
        .filter_map(|subtree| within(&subtree.base, name))
        .peekable();
    let outside = of_its_kind.peek().is_some() && !of_its_kind.any(|inside| inside);
    let mut excluded = excluded.iter().flatten();
    outside || excluded.any(|subtree| within(&subtree.base, name) == Some(true))
}

/// Whether a name lies in a subtree; `None` where it is of another kind.
fn within(base: &GeneralName<'_>, name: &Name) -> Option<bool> {
    match (base, name) {
        (GeneralName::DNSName(base), Name::Dns(name)) => Some(below(base, name)),
        (GeneralName::IPAddress(base), Name::Ip(address)) => match address {
            IpAddr::V4(address) if base.len() == 8 => Some(masked(base, &address.octets())),
            IpAddr::V6(address) if base.len() == 32 => Some(masked(base, &address.octets())),
            _ => None,
        },
        _ => None,
    }
}

/// Nothing is allocated: a server that is refused could have this done often.
fn below(base: &str, name: &str) -> bool {
    let (base, name) = (base.as_bytes(), name.as_bytes());
    let Some(length) = name.len().checked_sub(base.len()) else {
        return false;
    };
    let (rest, end) = name.split_at(length);
    let whole_labels = rest.is_empty() || base.is_empty() || base[0] == b'.' || rest.ends_with(b".");
    whole_labels && end.eq_ignore_ascii_case(base)
}

/// An address, then a mask of the same length.
fn masked(base: &[u8], address: &[u8]) -> bool {
    let (network, mask) = base.split_at(address.len());
    address
        .iter()
        .zip(network)
        .zip(mask)
        .all(|((byte, network), mask)| byte & mask == network & mask)
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::GeneralSubtree;

    use super::*;

    #[test]
    fn what_is_permitted_is_permitted_with_all_below_and_nothing_else_of_its_kind() {
        let subtree = |base| Some(vec![GeneralSubtree { base }]);
        let dns = |permitted, excluded| NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: excluded,
        };
        let example = dns(subtree(GeneralName::DNSName("Example.com")), None);
        let network = dns(
            subtree(GeneralName::IPAddress(&[10, 0, 0, 0, 255, 0, 0, 0])),
            None,
        );
        let dotted = dns(None, subtree(GeneralName::DNSName(".example.com")));
        for (constraints, name, is) in [
            (&example, "example.com", false),
            (&example, "a.b.EXAMPLE.com", false),
            (&example, "notexample.com", true),
            (&example, "10.0.0.1", false),
            (&network, "10.1.2.3", false),
            (&network, "11.1.2.3", true),
            (&network, "::1", false),
            (&network, "a.example", false),
            (&dotted, "a.example.com", true),
            (&dotted, "example.com", false),
        ] {
            assert_eq!(forbidden(constraints, &name.parse().unwrap()), is, "{name}");
        }
    }
}
