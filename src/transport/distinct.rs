//! Endpoints of one process that one string would lead to: each is told by a string of its own.
//! Absent: what the strings are; only an endpoint knows its own.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::{Bound, Listener};
use crate::error::Result;
use crate::need::Need;

/// The same endpoints, in their order. Those that have a string in common, as two of one name on two interfaces, tell
/// [`Bound::exact_endpoint`] instead.
#[must_use]
pub fn distinct(bound: Vec<Box<dyn Bound>>) -> Vec<Arc<dyn Bound>> {
    let mut times: HashMap<String, usize> = HashMap::new();
    for endpoint in &bound {
        *times.entry(endpoint.endpoint()).or_default() += 1;
    }
    let told = bound.into_iter().map(|bound| -> Arc<dyn Bound> {
        if times.get(&bound.endpoint()).is_some_and(|times| *times > 1) {
            Arc::new(Exact(bound))
        } else {
            Arc::from(bound)
        }
    });
    told.collect()
}

struct Exact(Box<dyn Bound>);

impl Bound for Exact {
    fn endpoint(&self) -> String {
        self.0.exact_endpoint()
    }

    fn exact_endpoint(&self) -> String {
        self.0.exact_endpoint()
    }

    fn listen(&self) -> io::Result<Listener> {
        self.0.listen()
    }

    fn elsewhere(&self) -> Option<String> {
        self.0.elsewhere()
    }

    fn needs(&self) -> Vec<Need> {
        self.0.needs()
    }

    fn reload(&self) -> Result<()> {
        self.0.reload()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str, &'static str);

    impl Bound for Named {
        fn endpoint(&self) -> String {
            self.0.into()
        }

        fn exact_endpoint(&self) -> String {
            self.1.into()
        }

        fn listen(&self) -> io::Result<Listener> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn only_those_who_share_a_string_have_another() {
        let named = [("a", "a1"), ("b", "b1"), ("a", "a2")];
        let bound = named.map(|(one, exact)| Box::new(Named(one, exact)) as Box<dyn Bound>);
        let told: Vec<_> = distinct(bound.into())
            .iter()
            .map(|bound| bound.endpoint())
            .collect();
        assert_eq!(told, ["a1", "b", "a2"]);
    }
}
