//! Which certificate a client gets: the one that is good for the name it asks for.
//! Absent: files.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::cert::{Name, inspect};

/// Certificates, found by server name.
#[derive(Debug)]
pub(super) struct ByName {
    names: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name nobody, or somebody unknown.
    otherwise: Arc<CertifiedKey>,
}

impl ByName {
    /// Where a name is in several certificates, the first counts.
    pub(super) fn new(otherwise: Arc<CertifiedKey>, several: Vec<Arc<CertifiedKey>>) -> Self {
        let mut names = HashMap::new();
        for key in [&otherwise].into_iter().chain(&several) {
            for name in key
                .cert
                .first()
                .map(|leaf| inspect::names(leaf))
                .unwrap_or_default()
            {
                if let Name::Dns(name) = name {
                    names
                        .entry(name.to_ascii_lowercase())
                        .or_insert_with(|| Arc::clone(key));
                }
            }
        }
        ByName { names, otherwise }
    }

    fn find(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.otherwise;
        };
        // A wildcard stands for one label (RFC 6125, section 6.4.3).
        self.names
            .get(&name)
            .or_else(|| self.names.get(&format!("*.{}", name.split_once('.')?.1)))
            .unwrap_or(&self.otherwise)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.find(hello.server_name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::issue::{Leaf, Validity, self_signed};
    use crate::layer::tls::config::certified;

    #[test]
    fn exact_names_then_one_level_wildcards_then_the_first() {
        let key = |names: &[&str]| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            let identity = self_signed(&Leaf::server(names, Validity::days(1))).unwrap();
            Arc::new(certified(&identity).unwrap())
        };
        let (first, wild, exact) = (
            key(&["first.example"]),
            key(&["*.b.example"]),
            key(&["x.b.example", "first.example"]),
        );
        let by_name = ByName::new(Arc::clone(&first), vec![Arc::clone(&wild), Arc::clone(&exact)]);
        for (name, wanted) in [
            (None, &first),
            (Some("first.example"), &first),
            (Some("X.b.example"), &exact),
            (Some("y.b.example"), &wild),
            (Some("z.y.b.example"), &first),
            (Some("b.example"), &first),
            (Some("unknown"), &first),
        ] {
            assert!(Arc::ptr_eq(by_name.find(name), wanted), "{name:?}");
        }
    }
}
