//! The book as text for Prometheus: OpenMetrics, and the older format for those who do not ask for that.
//! Absent: HTTP, and counting.

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::book::{BUCKETS, Book, Failure, Moment, Outcome, Row, Unaccepted};
use super::gate::Keeper;
use crate::connection::tally::Lost;

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What Prometheus asks for.
    OpenMetrics,
    /// What it asked for before, and other tools still do.
    Text,
}

impl Format {
    /// The type that HTTP gives the text.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What is published of a server.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// All that the book says, and whom the keeper of the gate turned away.
    #[must_use]
    pub fn new(book: Arc<Book>, keeper: Option<Keeper>) -> Self {
        let mut registry = Registry::with_prefix("netkit");
        registry.register_collector(Box::new(Published { book, keeper }));
        Exposition(registry)
    }

    /// It all, as it stands now.
    ///
    /// # Errors
    /// Never, as long as there is memory.
    pub fn text(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        match format {
            Format::OpenMetrics => Ok(text),
            Format::Text => older(&text),
        }
    }
}

/// The older format names a counter by the name of its samples, and has no end.
fn older(text: &str) -> Result<String, fmt::Error> {
    let mut older = String::with_capacity(text.len());
    let mut lines = text.lines().filter(|line| *line != "# EOF").peekable();
    while let Some(line) = lines.next() {
        let described = line
            .strip_prefix("# HELP ")
            .and_then(|rest| Some((rest.split_once(' ')?, lines.peek()?)));
        if let Some(((name, help), kind)) = described
            && *kind == format!("# TYPE {name} counter")
        {
            lines.next();
            writeln!(older, "# HELP {name}_total {help}\n# TYPE {name}_total counter")?;
        } else {
            writeln!(older, "{line}")?;
        }
    }
    Ok(older)
}

#[derive(Debug)]
struct Published {
    book: Arc<Book>,
    keeper: Option<Keeper>,
}

/// The labels of a sample.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// What all metrics of one answer are taken from, so that they are of one moment.
struct Scrape<'a> {
    rows: Vec<(&'a Row, Moment)>,
}

impl<'a> Scrape<'a> {
    fn of(book: &'a Book) -> Self {
        Scrape {
            rows: book.rows().iter().map(|row| (&**row, row.moment())).collect(),
        }
    }

    /// A metric with samples for each endpoint.
    fn each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (kind, name, help): (MetricType, &str, &str),
        samples: impl Fn(&'a Row, &Moment) -> Vec<(Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for (row, moment) in &self.rows {
            for (mut labels, value) in samples(row, moment) {
                labels.insert(0, ("endpoint", row.endpoint()));
                let mut sample = metric.encode_family(&labels)?;
                match kind {
                    MetricType::Gauge => sample.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))?,
                    _ => sample.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                }
            }
        }
        Ok(())
    }

    fn durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(
            "connection_duration_seconds",
            "How long connections stood that are over.",
            None,
            MetricType::Histogram,
        )?;
        for (row, moment) in &self.rows {
            let durations = &moment.durations;
            let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(durations.buckets).collect();
            metric
                .encode_family(&[("endpoint", row.endpoint())])?
                .encode_histogram::<NoLabelSet>(
                    durations.sum,
                    durations.buckets.iter().sum(),
                    &buckets,
                    None,
                )?;
        }
        Ok(())
    }
}

fn refused(encoder: &mut DescriptorEncoder<'_>, keeper: &Keeper) -> fmt::Result {
    let refused = keeper.refused();
    let mut metric = encoder.encode_descriptor(
        "refused",
        "What was not let in: connections that rules deny or whose address has too many, and datagrams.",
        None,
        MetricType::Counter,
    )?;
    for (reason, count) in [
        ("denied", refused.denied()),
        ("connections_per_ip", refused.crowding()),
        ("denied_datagram", refused.datagrams()),
    ] {
        metric
            .encode_family(&[("reason", reason)])?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

impl Collector for Published {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let encoder = &mut encoder;
        let scrape = Scrape::of(&self.book);
        encoder
            .encode_descriptor("build_info", "The program, 1 for what it is.", None, Gauge)?
            .encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?
            .encode_gauge(&1_i64)?;
        scrape.each(
            encoder,
            (Counter, "connections", "Connections that ended, by how they did."),
            |row, _| {
                let outcomes = Outcome::ALL.into_iter();
                outcomes
                    .map(|(outcome, name)| (vec![("outcome", name)], row.ended(outcome)))
                    .collect()
            },
        )?;
        scrape.each(
            encoder,
            (Gauge, "open_connections", "Connections that stand."),
            |_, moment| vec![(vec![], moment.open)],
        )?;
        scrape.each(
            encoder,
            (
                Counter,
                "bytes",
                "Payload on connections, those that stand included.",
            ),
            |_, moment| {
                vec![
                    (vec![("direction", "received")], moment.received),
                    (vec![("direction", "sent")], moment.sent),
                ]
            },
        )?;
        scrape.durations(encoder)?;
        scrape.each(
            encoder,
            (
                Counter,
                "handshake_failures",
                "Connections that were never established, by what went wrong.",
            ),
            |row, _| {
                let failures = Failure::ALL.into_iter();
                failures
                    .map(|(failure, name)| (vec![("reason", name)], row.failed(failure)))
                    .collect()
            },
        )?;
        scrape.each(
            encoder,
            (
                Counter,
                "accept_errors",
                "Attempts to accept a connection that failed, by why they did.",
            ),
            |row, _| {
                let errors = Unaccepted::ALL.into_iter();
                errors
                    .map(|(error, name)| (vec![("reason", name)], row.unaccepted(error)))
                    .collect()
            },
        )?;
        let both_ways = |(received, sent)| {
            vec![
                (vec![("direction", "received")], received),
                (vec![("direction", "sent")], sent),
            ]
        };
        scrape.each(
            encoder,
            (Counter, "datagrams", "Datagrams that were let in, and answers."),
            |row, _| both_ways(row.datagrams().datagrams()),
        )?;
        scrape.each(
            encoder,
            (Counter, "datagram_bytes", "Payload in those datagrams."),
            |row, _| both_ways(row.datagrams().bytes()),
        )?;
        scrape.each(
            encoder,
            (
                Counter,
                "datagrams_lost",
                "Datagrams that were let in, or answers, and were lost here, by why.",
            ),
            |row, _| {
                let tally = row.datagrams();
                let lost = Lost::ALL.into_iter();
                lost.map(|(why, name)| (vec![("reason", name)], tally.lost(why)))
                    .collect()
            },
        )?;
        match &self.keeper {
            None => Ok(()),
            Some(keeper) => refused(encoder, keeper),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_by_their_samples() {
        let text =
            "# HELP a Some help.\n# TYPE a counter\na_total 1\n# HELP b Other.\n# TYPE b gauge\nb 2\n# EOF\n";
        assert_eq!(
            older(text).unwrap(),
            "# HELP a_total Some help.\n# TYPE a_total counter\na_total 1\n# HELP b Other.\n# TYPE b gauge\nb 2\n"
        );
    }

    #[test]
    fn a_label_is_escaped() {
        let bound: Vec<Arc<dyn crate::transport::Bound>> = vec![Arc::new(Odd)];
        let text = Exposition::new(Arc::new(Book::new(&bound)), None).text(Format::OpenMetrics);
        let text = text.unwrap();
        assert!(
            text.contains(r#"netkit_open_connections{endpoint="unix:a\"b\\n\nc"} 0"#),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    struct Odd;

    impl crate::transport::Bound for Odd {
        fn endpoint(&self) -> String {
            "unix:a\"b\\n\nc".into()
        }

        fn listen(&self) -> std::io::Result<crate::transport::Listener> {
            Err(std::io::ErrorKind::Unsupported.into())
        }
    }
}
