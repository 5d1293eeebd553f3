//! A web server that is asked: GET of a prefix with the name behind it, over HTTP or HTTPS.
//! Absent: redirects, proxies, and a time limit; dropping the future gives up.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

use super::unasked::Unasked;
use super::{ANSWER_MAX, NAME_MAX, Users, Wanted};
use crate::connection::{BoxFuture, Connection, Dial, Stream};
use crate::endpoint::Spec;
use crate::error::{Error, Result, Status};
use crate::escape::escape;
use crate::need::Need;
use crate::units::size_text;

/// Requests at once; who asks meanwhile waits, within the time for an answer.
const AT_ONCE: usize = 64;
/// What the head of a response may take.
const HEAD_MAX: usize = 32 * 1024;
/// Of a redirect's target, so much is logged.
const TARGET_MAX: usize = 100;

/// A web server.
pub struct Web {
    prefix: String,
    host: String,
    endpoint: Spec,
    dial: Arc<dyn Dial>,
    places: Semaphore,
}

impl Web {
    /// Asks for `prefix` with the name behind it.
    ///
    /// # Errors
    /// What is wrong with the prefix.
    pub fn new(prefix: &str, dial: Arc<dyn Dial>) -> Result<Self, String> {
        let uri: Uri = prefix.parse().map_err(|_| "it is no URL".to_owned())?;
        let (kind, port) = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => ("tcp", 80),
            Some(scheme) if *scheme == Scheme::HTTPS => ("tls", 443),
            _ => return Err("a URL begins with http:// or https://".into()),
        };
        if kind == "tls" && cfg!(not(feature = "tls")) {
            return Err("this build knows no TLS".into());
        }
        let authority = uri.authority().ok_or("a URL needs a host")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a user in it is not taken".into());
        }
        if prefix.contains('#') {
            return Err("what follows a # is never sent".into());
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => port,
            _ => authority
                .port_u16()
                .filter(|port| *port > 0)
                .ok_or("a port is 1 to 65535")?,
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Ok(Web {
            prefix: prefix.to_owned(),
            host: authority.as_str().to_owned(),
            endpoint: Spec::new(kind).positional(bare).positional(port.to_string()),
            dial,
            places: Semaphore::new(AT_ONCE),
        })
    }

    async fn ask(&self, name: &str) -> Result<Option<Vec<u8>>> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let Connection::Stream(stream) = self.dial.dial(self.endpoint.clone()).await? else {
            return Err(failed("no stream leads there"));
        };
        let request = self.request(name)?;
        let (status, body) = exchange(stream, request).await?;
        match status {
            StatusCode::OK => Ok(Some(body)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => Err(failed(format!(
                "the web server answers with status {}",
                status.as_u16()
            ))),
        }
    }

    fn request(&self, name: &str) -> Result<Request<Empty<Bytes>>> {
        let uri: Uri = format!("{}{}", self.prefix, encoded(name))
            .parse()
            .map_err(wrong)?;
        // The form of a request to the server itself: path and query alone.
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, concat!("netkit/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "text/plain, */*;q=0.5")
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(wrong)
    }
}

/// The status, and the body where it is wanted.
async fn exchange(stream: Stream, request: Request<Empty<Bytes>>) -> Result<(StatusCode, Vec<u8>)> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(Unasked::new(stream)))
        .await
        .map_err(wrong)?;
    let talk = async move {
        let response = sender.send_request(request).await.map_err(wrong)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(failed(redirect(&response)));
        }
        let body = if status == StatusCode::OK {
            read(response.into_body()).await?
        } else {
            Vec::new()
        };
        Ok((status, body))
    };
    // The connection has to be driven for anything to move on it. Its own end is told to whoever waits for a response.
    let drive = async move {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        done = talk => done,
        never = drive => never,
    }
}

async fn read(body: Incoming) -> Result<Vec<u8>> {
    match Limited::new(body, ANSWER_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            let most = size_text(ANSWER_MAX as u64);
            Err(failed(format!("the web server sends more than {most}")))
        }
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(wrong(*error)),
            Err(error) => Err(failed(error.to_string())),
        },
    }
}

fn redirect(response: &Response<Incoming>) -> String {
    let status = response.status().as_u16();
    match response.headers().get(header::LOCATION) {
        None => format!("the web server answers with status {status}"),
        Some(target) => {
            let target = target.as_bytes();
            let target = escape(&target[..target.len().min(TARGET_MAX)]);
            format!("the web server answers with status {status}, and {target} is not followed")
        }
    }
}

fn failed(why: impl Into<String>) -> Error {
    Error::new(Status::Failure, why)
}

/// An error of a library, with the one that caused it.
fn wrong(error: impl std::error::Error) -> Error {
    match error.source() {
        Some(source) => failed(format!("{error}: {source}")),
        None => failed(error.to_string()),
    }
}

/// Whether a name can stand as one component of a path, whatever a server takes `%2F` for.
fn can_be_asked(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\\'])
}

/// RFC 3986, 2.3: what is not unreserved becomes `%XX`.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

impl Users for Web {
    fn source(&self) -> &str {
        &self.prefix
    }

    fn needs(&self) -> Vec<Need> {
        self.dial.needs(&self.endpoint)
    }

    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        if !can_be_asked(&wanted.name) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        Box::pin(self.ask(&wanted.name))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::protocol::tests::pair;

    /// Every connection leads to this server: it reads a request and says what it says.
    struct Server(Vec<u8>, tokio::sync::mpsc::UnboundedSender<String>);

    impl Dial for Server {
        fn dial(&self, endpoint: Spec) -> BoxFuture<'static, Result<Connection>> {
            let (ours, mut theirs) = pair(1000);
            let (says, heard) = (self.0.clone(), self.1.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(theirs.read_u8().await.unwrap());
                }
                heard
                    .send(format!("{endpoint} {}", String::from_utf8(request).unwrap()))
                    .unwrap();
                // Whoever has heard enough goes.
                let _ = theirs.write_all(&says).await;
            });
            Box::pin(std::future::ready(Ok(Connection::Stream(ours))))
        }
    }

    async fn ask(prefix: &str, name: &str, says: &[u8]) -> (Result<Option<Vec<u8>>>, String) {
        let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let web = Web::new(prefix, Arc::new(Server(says.to_vec(), sender))).unwrap();
        let wanted = Wanted {
            name: name.into(),
            long: false,
        };
        let found = web.find(&wanted).await;
        (found, heard.try_recv().unwrap_or_default())
    }

    #[tokio::test]
    async fn the_name_stands_behind_the_prefix() {
        let says = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";
        let (found, request) = ask("http://example.com/~", "al ice?", says).await;
        assert_eq!(found.unwrap(), Some(b"hi\n".to_vec()));
        assert!(
            request.starts_with("tcp:example.com:80 GET /~al%20ice%3F HTTP/1.1\r\nhost: example.com\r\n")
        );
        let (_, request) = ask("http://[::1]:8080/?user=", "ä", says).await;
        assert!(request.starts_with("tcp:[::1]:8080 GET /?user=%C3%A4 HTTP/1.1\r\nhost: [::1]:8080\r\n"));
        let (_, request) = ask("https://example.com/", "a", says).await;
        assert!(request.starts_with("tls:example.com:443 GET /a "), "{request}");
        for name in ["../../etc/passwd", "..", "a/b", "a\\b", ".git", &"a".repeat(65)] {
            let (found, request) = ask("http://example.com/", name, says).await;
            assert_eq!((found.unwrap(), request.as_str()), (None, ""));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_fails_with_its_reason() {
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(
            ask("http://h/", "a", chunks).await.0.unwrap(),
            Some(b"abc".to_vec())
        );
        let gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found";
        assert_eq!(ask("http://h/", "a", gone).await.0.unwrap(), None);
        let mut huge = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        huge.resize(200_000, b'a');
        let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        head.resize(200_000, b'a');
        for (says, why) in [
            (
                &b"HTTP/1.1 302 Found\r\nLocation: http://other/\x1b\r\n\r\n"[..],
                "",
            ),
            (
                b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\n\r\n",
                "302, and http://other/ is not followed",
            ),
            (b"HTTP/1.1 500 Oops\r\n\r\n", "status 500"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ""),
            (b"\x00\x01garbage\r\n\r\n", ""),
            (b"", ""),
            (&huge, "more than 64KiB"),
            (&head, ""),
        ] {
            let error = ask("http://h/", "a", says).await.0.unwrap_err().to_string();
            assert!(error.contains(why) && !error.is_empty(), "{error}");
        }
    }

    /// Answers whoever connects, without a look at what they want.
    struct Hasty;

    impl Dial for Hasty {
        fn dial(&self, _: Spec) -> BoxFuture<'static, Result<Connection>> {
            let (ours, mut theirs) = pair(1000);
            Box::pin(async move {
                let says = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";
                theirs.write_all(says).await.unwrap();
                tokio::spawn(async move { theirs.read_to_end(&mut Vec::new()).await });
                Ok(Connection::Stream(ours))
            })
        }
    }

    #[tokio::test]
    async fn an_answer_may_be_there_before_the_question() {
        let web = Web::new("http://h/", Arc::new(Hasty)).unwrap();
        let wanted = Wanted {
            name: "a".into(),
            long: false,
        };
        for _ in 0..20 {
            assert_eq!(web.find(&wanted).await.unwrap(), Some(b"hi\n".to_vec()));
        }
    }

    #[test]
    fn a_prefix_is_checked() {
        let (sender, _) = tokio::sync::mpsc::unbounded_channel();
        let dial = Arc::new(Server(Vec::new(), sender));
        for prefix in [
            "",
            "example.com",
            "/x",
            "ftp://h/",
            "http://",
            "http://u:p@h/",
            "http://h/#",
            "http://h /",
            "http://h:/",
            "http://h:0/",
            "http://h:99999/",
        ] {
            assert!(Web::new(prefix, dial.clone()).is_err(), "{prefix}");
        }
    }
}
