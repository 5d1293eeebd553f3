//! placeholder until merged
use super::{Accept, Incoming};
use std::task::{Context, Poll};
/// stub
pub struct Datagrams;
/// stub
pub struct Flows(Datagrams);
impl Flows {
    /// stub
    pub fn new(d: Datagrams) -> Self {
        Flows(d)
    }
}
impl Accept for Flows {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<Option<Incoming>>> {
        let _ = &self.0;
        Poll::Pending
    }
}
