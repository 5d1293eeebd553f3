//! placeholder until merged
use crate::protocol::Respond;
use crate::transport::datagrams::Datagrams;
use std::sync::Arc;
pub(super) async fn serve(_socket: Datagrams, _respond: Arc<dyn Respond>, _once: bool) {}
