//! Who looks on at a conversation.
//! Absent: what each of them makes of it.

use std::io;
use std::sync::Arc;

use tracing::{Level, enabled};

use super::Limits;
use super::book::{Entry, Row};
use super::noted::Noted;
use crate::connection::tap::hexdump::Hexdump;
use crate::connection::tap::log::Log;
use crate::connection::tap::{Tap, tapped_datagram, tapped_stream};
use crate::connection::{Datagram, Stream};
use crate::endpoint::Role;
use crate::transport::Incoming;

/// The log, and the book.
pub(super) struct Watched {
    noted: Option<Noted>,
    entry: Option<Entry>,
}

impl Watched {
    /// From now on it is a conversation.
    pub(super) fn new(noted: Option<Noted>, row: Option<&Arc<Row>>) -> Self {
        Watched {
            noted,
            entry: row.map(Row::begin),
        }
    }

    /// They see what goes by from here on, and so do the dump and the record that the limits ask for.
    pub(super) fn look_on(&mut self, mut stream: Stream, limits: &Limits) -> Stream {
        let mut taps: Vec<Box<dyn Tap>> = Vec::new();
        if limits.hexdump {
            taps.push(Box::new(Hexdump::of_connection(stream.facts())));
        }
        if let Some(recording) = &limits.record {
            taps.push(recording.stream(stream.facts(), Role::Server));
        }
        if let Some(noted) = &mut self.noted {
            // A layer may have learnt who it is that speaks.
            noted.peer = stream.facts().peer.to_string();
            stream = stream.counted(noted.count.clone());
            if enabled!(Level::TRACE) {
                taps.push(Box::new(Log::of(stream.facts().peer.to_string())));
            }
        }
        if let Some(entry) = &self.entry {
            stream = stream.counted(entry.count.clone());
        }
        tapped_stream(stream, taps)
    }

    /// The same for one that carries datagrams, whose socket counts by itself.
    pub(super) fn look_on_datagram(&mut self, datagram: Datagram, limits: &Limits) -> Datagram {
        let peer = datagram.facts().peer.to_string();
        let mut taps: Vec<Box<dyn Tap>> = Vec::new();
        if limits.hexdump {
            taps.push(Box::new(Hexdump::of(peer.clone())));
        }
        if let Some(recording) = &limits.record {
            taps.push(recording.datagrams(datagram.facts(), Role::Server));
        }
        if let Some(noted) = &mut self.noted {
            if let Some(count) = datagram.count() {
                noted.count = count.clone();
            }
            if enabled!(Level::TRACE) {
                taps.push(Box::new(Log::of(peer)));
            }
        }
        tapped_datagram(datagram, taps)
    }

    pub(super) fn end(self, result: &io::Result<()>) {
        if let Some(entry) = self.entry {
            entry.end(result);
        }
        if let Some(noted) = self.noted {
            noted.end(result);
        }
    }
}

/// The note of a connection, where the log takes one.
pub(super) fn noted(incoming: &Incoming, endpoint: &str) -> Option<Noted> {
    enabled!(Level::DEBUG).then(|| Noted::begin(incoming, endpoint))
}
