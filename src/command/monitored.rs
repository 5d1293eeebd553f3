//! `--metrics`: an endpoint beside those that are served, where others see how the server does.
//! Absent: what they see, and HTTP.

use std::future::pending;
use std::sync::Arc;

use crate::cli::options::MetricsOptions;
use netkit::error::Result;
#[cfg(feature = "metrics")]
use netkit::error::{Error, Status};
use netkit::server::book::Book;
use netkit::server::gate::Keeper;
use netkit::server::reserve::Reserve;
use netkit::server::stop::Stop;
use netkit::transport::Bound;
use netkit::transport::reading::ServerEndpoint;
#[cfg(feature = "metrics")]
use netkit::{
    server::exposition::Exposition, server::monitor::Monitor, server::ready::TARGET, transport::Listener,
};

/// Where it is asked for, read and not bound yet.
#[derive(Default)]
pub(super) struct Metrics {
    #[cfg(feature = "metrics")]
    endpoint: Option<ServerEndpoint>,
}

/// Where it is asked for, bound.
#[derive(Default)]
pub(super) struct Monitored {
    #[cfg(feature = "metrics")]
    inner: Option<Inner>,
}

#[cfg(feature = "metrics")]
struct Inner {
    bound: Arc<dyn Bound>,
    book: Arc<Book>,
    /// For who asks when the server has run out of descriptors.
    reserve: Arc<Reserve>,
}

#[cfg(feature = "metrics")]
impl Metrics {
    /// Reads what was asked for.
    pub(super) fn read(options: &MetricsOptions) -> Result<Self> {
        let Some(text) = &options.metrics else {
            return Ok(Metrics::default());
        };
        let endpoint = ServerEndpoint::parse(text)?;
        if endpoint.carries_datagrams() {
            return Err(Error::new(
                Status::Usage,
                "HTTP needs connections, and datagrams arrive there",
            )
            .on(format!("could not serve metrics on {}", endpoint.text())));
        }
        Ok(Metrics {
            endpoint: Some(endpoint),
        })
    }

    /// The endpoint.
    pub(super) fn endpoint(&self) -> Option<&ServerEndpoint> {
        self.endpoint.as_ref()
    }

    /// Binds, and opens a book about the endpoints that are served.
    pub(super) fn bind(&self, served: &[Arc<dyn Bound>]) -> Result<Monitored> {
        let Some(endpoint) = &self.endpoint else {
            return Ok(Monitored::default());
        };
        Ok(Monitored {
            inner: Some(Inner {
                bound: Arc::from(endpoint.bind()?),
                book: Arc::new(Book::new(served)),
                reserve: Arc::new(Reserve::new()),
            }),
        })
    }
}

#[cfg(feature = "metrics")]
impl Monitored {
    /// The book, where somebody may want to read it.
    pub(super) fn book(&self) -> Option<Arc<Book>> {
        self.inner.as_ref().map(|inner| Arc::clone(&inner.book))
    }

    /// What reloads with the endpoints that are served.
    pub(super) fn bound(&self) -> Option<Arc<dyn Bound>> {
        self.inner.as_ref().map(|inner| Arc::clone(&inner.bound))
    }

    /// The descriptors that the server is to leave alone.
    pub(super) fn reserve(&self) -> Option<Arc<Reserve>> {
        self.inner.as_ref().map(|inner| Arc::clone(&inner.reserve))
    }

    /// Says where it is, and gives what answers there for as long as it is polled. All endpoints are bound.
    pub(super) fn open(self, keeper: Option<Keeper>, stop: Stop) -> Result<impl Future<Output = ()>> {
        let opened = match self.inner {
            None => None,
            Some(Inner { bound, book, reserve }) => {
                let endpoint = bound.endpoint();
                let listener = match bound.listen() {
                    Ok(Listener::Connections(listener)) => listener,
                    Ok(Listener::Datagrams(_)) => {
                        return Err(not_served("datagrams arrive there", &endpoint));
                    }
                    Err(error) => return Err(not_served(&netkit::error::reason(&error), &endpoint)),
                };
                tracing::info!(target: TARGET, "metrics on {endpoint}");
                let monitor = Monitor::new(Exposition::new(book, keeper), reserve, stop);
                monitor.ready();
                Some((bound, monitor.serve(listener, endpoint)))
            }
        };
        Ok(async {
            match opened {
                None => pending().await,
                Some((_bound, serving)) => serving.await,
            }
        })
    }
}

#[cfg(feature = "metrics")]
fn not_served(why: &str, endpoint: &str) -> Error {
    Error::new(Status::Failure, why).on(format!("could not serve metrics on {endpoint}"))
}

#[cfg(not(feature = "metrics"))]
impl Metrics {
    pub(super) fn read(_: &MetricsOptions) -> Result<Self> {
        Ok(Metrics::default())
    }

    pub(super) fn endpoint(&self) -> Option<&ServerEndpoint> {
        None
    }

    pub(super) fn bind(&self, _: &[Arc<dyn Bound>]) -> Result<Monitored> {
        Ok(Monitored::default())
    }
}

#[cfg(not(feature = "metrics"))]
impl Monitored {
    pub(super) fn book(&self) -> Option<Arc<Book>> {
        None
    }

    pub(super) fn bound(&self) -> Option<Arc<dyn Bound>> {
        None
    }

    pub(super) fn reserve(&self) -> Option<Arc<Reserve>> {
        None
    }

    pub(super) fn open(self, _: Option<Keeper>, _: Stop) -> Result<impl Future<Output = ()>> {
        Ok(pending())
    }
}
