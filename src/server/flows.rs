//! Datagrams of many peers, each peer a flow that is served as a connection is: accepted, talked on in a task, ended.
//! Absent: how datagrams are sorted into flows, and what is said.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::gate::Keeper;
use super::open::FlowGuard;
use super::stop::Stop;
use super::{At, Server, Watched};
use crate::connection::Datagram;
use crate::layer::idle::IdleLimit;
use crate::transport::datagrams::Datagrams;
use crate::transport::datagrams::flows::{Flows, Settings};

/// Once we were told to stop, a flow on which nothing moved for so long has no answer to wait for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Server {
    /// Each peer that sends datagrams to this socket has a flow.
    pub(super) async fn accept_flows(self, socket: Datagrams, at: At, mut stop: Stop) -> io::Result<()> {
        let settings = Settings {
            idle: Some(self.0.limits.flow_idle.saturating_add(self.0.limits.flow_late)),
            flows_max: self.0.limits.flows_max,
            evicts: true,
            tally: at
                .row
                .as_ref()
                .map_or_else(Arc::default, |row| Arc::clone(row.datagrams())),
        };
        let gate = self.0.keeper.as_ref().map(Keeper::of_datagrams);
        let flows = Flows::with(socket, settings, gate);
        let closing = flows.closing();
        let last_answers = LAST_ANSWERS.saturating_add(self.0.limits.flow_late);
        let told = stop.clone();
        tokio::spawn(async move {
            stop.told().await;
            closing.wind_down(last_answers);
        });
        self.accept_all(Box::new(flows), at, told).await
    }

    /// Talks on a flow in a task that holds `held` for as long.
    pub(super) fn spawn_flow(&self, datagram: Datagram, mut watched: Watched, held: impl Send + 'static) {
        let Some(exchange) = self.0.service.exchange.clone() else {
            return;
        };
        let sole = self.0.limits.sole.then(|| datagram.facts().peer.to_string());
        let datagram = watched.look_on_datagram(datagram, &self.0.limits);
        let conversation = exchange.exchange(datagram);
        let held = (FlowGuard::new(&self.0.open), held);
        let server = self.clone();
        tokio::spawn(async move {
            let result = conversation.await;
            // Datagrams have no end of their own: that nothing comes any more is theirs.
            let idle = matches!(&result, Err(error) if IdleLimit::caused(error));
            if let Some(peer) = sole
                && !idle
            {
                server.0.sole.end(&peer, &result);
            }
            watched.end(&result);
            drop(held);
        });
    }
}
