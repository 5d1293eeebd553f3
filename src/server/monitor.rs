//! The monitor: `/metrics`, `/healthz` and `/readyz` over HTTP, on a listener of its own with limits of its own.
//! Absent: what is counted, and any way to change anything.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, error};

use super::door::established;
use super::exposition::{Exposition, Format};
use super::reserve::Reserve;
use super::shortage::{self, Next, Shortage};
use super::stop::Stop;
use crate::connection::refusals::Refusals;
use crate::connection::{Connection, Stream};
use crate::error::reason;
use crate::transport::{Accept, Incoming as Client, Stage};

/// Clients at once, from their first byte to the last of their answer. For a further one the slowest has to go: whoever
/// asks whether we live must not wait for those who have nothing to say.
const CLIENTS_MAX: usize = 64;

/// The time for what comes before HTTP, such as TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);

/// The time for a request and its answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Bytes in the head of a request, and room for an answer on its way out.
const BUFFER_MAX: usize = 16 * 1024;

/// Header fields in a request.
const FIELDS_MAX: usize = 64;

const PLAIN: &str = "text/plain; charset=utf-8";

/// What the monitor knows.
#[derive(Debug)]
pub struct Monitor {
    exposition: Exposition,
    ready: AtomicBool,
    reserve: Arc<Reserve>,
    stop: Stop,
}

impl Monitor {
    /// A monitor of a server that stops when `stop` says so. When the server has all other descriptors in use, those in
    /// `reserve` are for who asks.
    #[must_use]
    pub fn new(exposition: Exposition, reserve: Arc<Reserve>, stop: Stop) -> Arc<Self> {
        Arc::new(Monitor {
            exposition,
            ready: AtomicBool::new(false),
            reserve,
            stop,
        })
    }

    /// All endpoints are bound, and clients may come.
    pub fn ready(&self) {
        self.ready.store(true, Relaxed);
    }

    /// Answers until the future is dropped, the listener's end included: that the server goes on without it is in the
    /// log.
    pub async fn serve(self: Arc<Self>, mut listener: Box<dyn Accept>, endpoint: String) {
        if let Err(error) = self.accept_all(&mut *listener, &endpoint).await {
            error!("no more metrics on {endpoint}: {}", reason(&error));
        }
        pending().await
    }

    async fn accept_all(self: &Arc<Self>, listener: &mut dyn Accept, endpoint: &str) -> io::Result<()> {
        let refusals = Arc::new(Refusals::default());
        let mut shortage = Shortage::default();
        let mut answering = JoinSet::new();
        let mut places = Places::default();
        loop {
            let accepted = tokio::select! {
                Some(_) = answering.join_next() => {
                    self.reserve.refill();
                    continue;
                }
                accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
            };
            match accepted {
                Ok(Some(client)) => {
                    if places.are_taken() {
                        // Those who have said something meanwhile get their answer first.
                        tokio::task::yield_now().await;
                        if places.are_taken() {
                            places.make_one();
                        }
                    }
                    let asked = Arc::new(AtomicBool::new(false));
                    let (monitor, refusals) = (Arc::clone(self), Arc::clone(&refusals));
                    let task = answering.spawn(monitor.receive(client, refusals, Arc::clone(&asked)));
                    places.take(task, asked);
                }
                Ok(None) => {
                    while answering.join_next().await.is_some() {}
                    return Ok(());
                }
                Err(error) if shortage::is_of_descriptors(&error) && self.reserve.lend() => {}
                Err(error) => {
                    let of_descriptors = shortage::is_of_descriptors(&error);
                    if shortage.judge(endpoint, error)? == Next::Again {
                        continue;
                    }
                    tokio::task::yield_now().await;
                    if of_descriptors && places.make_one() {
                        answering.join_next().await;
                        self.reserve.refill();
                    } else {
                        tokio::time::sleep(shortage::PAUSE).await;
                    }
                }
            }
        }
    }

    /// A client, from the first layer to the last byte. `asked` becomes true with its request.
    async fn receive(self: Arc<Self>, client: Client, refusals: Arc<Refusals>, asked: Arc<AtomicBool>) {
        let connection = match client.stage {
            Stage::Established(connection) => connection,
            Stage::Handshake(handshake) => {
                let peer = client.peer.to_string();
                match established(handshake, None, HANDSHAKE, &peer, &refusals).await {
                    Ok(connection) => connection,
                    // That was said.
                    Err(_) => return,
                }
            }
        };
        match connection {
            Connection::Stream(stream) => self.converse(stream, &asked).await,
            Connection::Datagram(_) => {}
        }
    }

    /// One request, one answer.
    async fn converse(&self, stream: Stream, asked: &AtomicBool) {
        let peer = stream.facts().peer.clone();
        let service = service_fn(|request: Request<Incoming>| {
            asked.store(true, Relaxed);
            let response = self.answer(request.method(), request.uri().path(), request.headers());
            debug!(%peer, status = u64::from(response.status().as_u16()), "asked for {}", request.uri().path().escape_debug());
            async { Ok::<_, Infallible>(response) }
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .keep_alive(false)
            // A client that has said all may say so.
            .half_close(true)
            .max_buf_size(BUFFER_MAX)
            .max_headers(FIELDS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        match tokio::time::timeout(ANSWER, conversation).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%peer, "no answer: {error}"),
            Err(_elapsed) => debug!(%peer, "no answer: it took too long"),
        }
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut refused = response(
                StatusCode::METHOD_NOT_ALLOWED,
                PLAIN,
                "only GET and HEAD\n".into(),
            );
            refused.headers_mut().insert(ALLOW, ALLOWED);
            return refused;
        }
        match path {
            "/metrics" => {
                let format = format(headers);
                match self.exposition.text(format) {
                    Ok(text) => response(StatusCode::OK, format.content_type(), text),
                    Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "no text\n".into()),
                }
            }
            "/healthz" => response(StatusCode::OK, PLAIN, "ok\n".into()),
            "/readyz" => {
                let (status, text) = match (self.stop.is_told(), self.ready.load(Relaxed)) {
                    (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
                    (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
                    (false, true) => (StatusCode::OK, "ok\n"),
                };
                response(status, PLAIN, text.into())
            }
            _ => response(
                StatusCode::NOT_FOUND,
                PLAIN,
                "there are /metrics, /healthz and /readyz\n".into(),
            ),
        }
    }
}

/// Who is being answered, those first who came first.
#[derive(Debug, Default)]
struct Places(VecDeque<Taken>);

#[derive(Debug)]
struct Taken {
    task: AbortHandle,
    /// The whole head of a request came.
    asked: Arc<AtomicBool>,
}

impl Places {
    fn take(&mut self, task: AbortHandle, asked: Arc<AtomicBool>) {
        self.0.push_back(Taken { task, asked });
    }

    fn are_taken(&mut self) -> bool {
        self.0.retain(|taken| !taken.task.is_finished());
        self.0.len() >= CLIENTS_MAX
    }

    /// Closes the connection that has kept us waiting longest for a request. Where all have asked, and do not take
    /// their answers, the one that came first. Whether there was any.
    fn make_one(&mut self) -> bool {
        self.0.retain(|taken| !taken.task.is_finished());
        let all = self.0.len();
        let slowest = self.0.iter().position(|taken| !taken.asked.load(Relaxed));
        let Some(taken) = self.0.remove(slowest.unwrap_or(0)) else {
            return false;
        };
        debug!("closed the slowest of {all} clients for another one");
        taken.task.abort();
        true
    }
}

const ALLOWED: hyper::header::HeaderValue = hyper::header::HeaderValue::from_static("GET, HEAD");
const NO_STORE: hyper::header::HeaderValue = hyper::header::HeaderValue::from_static("no-store");

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// OpenMetrics for those who ask for it; whatever else they ask for, they get what everybody reads.
fn format(headers: &HeaderMap) -> Format {
    let mut accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let asked = accepted.any(|kind| {
        let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        let unwanted = parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().strip_prefix("q="))
            .any(|quality| quality.parse() == Ok(0.0_f32));
        kind.trim().eq_ignore_ascii_case("application/openmetrics-text") && !unwanted
    });
    if asked { Format::OpenMetrics } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::mpsc;

    use super::*;
    use crate::connection::{Address, Facts};
    use crate::server::book::Book;
    use crate::server::stop::{Lever, stop};
    use crate::transport::{Incoming, Stage};

    /// Clients as they are sent.
    struct Sent(mpsc::UnboundedReceiver<DuplexStream>);

    impl Accept for Sent {
        fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
            self.0.poll_recv(cx).map(|stream| {
                Ok(stream.map(|stream| Incoming {
                    peer: Address::Unnamed,
                    stage: Stage::Established(Connection::Stream(Stream::new(
                        stream,
                        Facts::new(Address::Unnamed, Address::Unnamed),
                    ))),
                }))
            })
        }
    }

    struct Monitored {
        monitor: Arc<Monitor>,
        clients: mpsc::UnboundedSender<DuplexStream>,
        lever: Lever,
    }

    fn monitored() -> Monitored {
        let (lever, stop) = stop();
        let monitor = Monitor::new(
            Exposition::new(Arc::new(Book::new(&[])), None),
            Arc::new(Reserve::of(0)),
            stop,
        );
        let (clients, listener) = mpsc::unbounded_channel();
        tokio::spawn(Arc::clone(&monitor).serve(Box::new(Sent(listener)), "here".into()));
        Monitored {
            monitor,
            clients,
            lever,
        }
    }

    impl Monitored {
        fn client(&self) -> DuplexStream {
            let (ours, theirs) = duplex(1 << 20);
            self.clients.send(theirs).unwrap();
            ours
        }

        async fn asked(&self, request: &str) -> String {
            let mut client = self.client();
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        }

        async fn status(&self, path: &str) -> String {
            let answer = self
                .asked(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
                .await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_comes_and_goes() {
        let monitored = monitored();
        assert_eq!(monitored.status("/readyz").await, "503");
        assert_eq!(monitored.status("/healthz").await, "200");
        monitored.monitor.ready();
        assert_eq!(monitored.status("/readyz").await, "200");
        monitored.lever.pull();
        assert_eq!(monitored.status("/readyz").await, "503");
        assert_eq!(monitored.status("/healthz").await, "200");
    }

    #[tokio::test(start_paused = true)]
    async fn only_get_and_head_are_answered_and_one_path_each() {
        let monitored = monitored();
        assert_eq!(monitored.status("/").await, "404");
        assert_eq!(monitored.status("/metrics?x=y").await, "200");
        let refused = monitored
            .asked("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        assert!(
            refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD"),
            "{refused}"
        );
        let head = monitored.asked("HEAD /healthz HTTP/1.1\r\n\r\n").await;
        assert!(
            head.contains("content-length: 3") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_slowly_or_for_too_much_is_let_go() {
        let monitored = monitored();
        let start = tokio::time::Instant::now();
        let mut silent = monitored.client();
        silent.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = silent.read_to_end(&mut answer).await;
        assert!(start.elapsed() <= ANSWER, "{:?}", start.elapsed());
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(BUFFER_MAX));
        assert!(!monitored.asked(&long).await.contains(" 200 "));
        let many = format!(
            "GET /healthz HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(FIELDS_MAX + 1)
        );
        assert!(!monitored.asked(&many).await.contains(" 200 "));
        assert!(
            !monitored
                .asked("\x16\x03\x01 this is no HTTP\r\n\r\n")
                .await
                .contains(" 200 ")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_hold_up_nobody_who_asks() {
        let monitored = monitored();
        monitored.monitor.ready();
        let start = tokio::time::Instant::now();
        let mut slow: Vec<_> = (0..3 * CLIENTS_MAX).map(|_| monitored.client()).collect();
        for _ in 0..3 {
            assert_eq!(monitored.status("/readyz").await, "200");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        // The last to come are still there, and have their time.
        let mut last = slow.pop().unwrap();
        last.write_all(b"GET /readyz HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        last.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(slow[0].read(&mut [0]).await.unwrap(), 0, "the first are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answer_holds_up_nobody_either() {
        let monitored = monitored();
        let mut deaf = Vec::new();
        for _ in 0..2 * CLIENTS_MAX {
            let (mut ours, theirs) = duplex(64);
            monitored.clients.send(theirs).unwrap();
            ours.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
            deaf.push(ours);
        }
        let start = tokio::time::Instant::now();
        assert_eq!(monitored.status("/healthz").await, "200");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_is_not_the_one_to_go() {
        let mut places = Places::default();
        let mut tasks = JoinSet::new();
        for place in 0..CLIENTS_MAX {
            let asked = Arc::new(AtomicBool::new(place < 2));
            places.take(tasks.spawn(pending::<()>()), asked);
        }
        assert!(places.are_taken());
        assert!(places.make_one());
        // One was enough.
        assert!(!places.are_taken());
        let left: Vec<_> = places.0.iter().map(|taken| taken.asked.load(Relaxed)).collect();
        assert_eq!(left.len(), CLIENTS_MAX - 1);
        assert_eq!(left[..3], [true, true, false]);
        tokio::task::yield_now().await;
        assert!(tasks.try_join_next().is_some_and(|ended| ended.is_err()));
    }

    #[test]
    fn the_format_is_the_one_asked_for() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, hyper::header::HeaderValue::from_static(accept));
            format(&headers)
        };
        // As Prometheus 2 asks.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(of(prometheus), Format::OpenMetrics);
        assert_eq!(
            of("text/html, application/OpenMetrics-text ; q=0.5"),
            Format::OpenMetrics
        );
        assert_eq!(of("application/openmetrics-text;q=0"), Format::Text);
        assert_eq!(of("*/*"), Format::Text);
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }
}
