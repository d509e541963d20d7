//! Small requests over HTTPS, GET for policy files and logos, POST for messages to people's tools: the address is resolved and checked here,
//! the certificate too, and bytes, redirects and time are bounded. What an answer looks like on the wire is in `http`.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::Url;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    DialError, HttpFailure, Lookup, Net,
    http::{self, Progress},
    http_failure::handshake_failure,
};

/// All of a GET, with its redirects.
const LIMIT: Duration = Duration::from_secs(8);
/// All of a POST.
const POST_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of the answer to a POST that are looked at, where nobody asks for more.
pub(super) const MOST_ANSWER: usize = 4 * 1024;
const CONNECT: Duration = Duration::from_secs(3);
/// Bytes of a policy file (RFC 8461 3.3 lets senders cap it there).
const MOST_BYTES: usize = 64 * 1024;
/// Addresses of a host that are tried.
const MOST_ADDRESSES: usize = 4;
/// Redirects that are followed, where any are.
pub(crate) const MOST_REDIRECTS: usize = 3;
/// An answer as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, lower case, without parameters.
    pub content_type: String,
    /// The body, as text.
    pub body: String,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBytes {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, lower case, without parameters.
    pub content_type: String,
    /// Where it came from in the end.
    pub url: String,
    /// Redirects followed on the way.
    pub redirects: usize,
    /// The body.
    pub body: Vec<u8>,
}

/// Something to send.
#[derive(Clone)]
pub struct HttpPost {
    /// An `https:` address on port 443.
    pub url: String,
    /// Beside those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, unless the headers name another `Content-Type`.
    pub body: String,
}

impl std::fmt::Debug for HttpPost {
    /// Addresses and headers hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpPost").finish_non_exhaustive()
    }
}

/// What the other side said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReceipt {
    /// Status code. A redirect is not followed: it is the answer.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of the body, as text.
    pub body: String,
}

/// What all fetches of a [`Net`] share.
#[derive(Debug)]
pub(super) struct Https {
    config: Option<Arc<ClientConfig>>,
    /// Where hosts listen.
    port: u16,
}

impl Https {
    pub fn new(roots: Arc<RootCertStore>, port: u16) -> Self {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            // It fails only where the TLS library was built without a protocol version; each fetch says so then.
            .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
            .ok();
        Self { config, port }
    }
}

/// A policy file: no redirects, at most 64 KiB.
pub(super) async fn get(net: &Net, host: &str, path: &str) -> Result<HttpAnswer, HttpFailure> {
    let url = checked(&format!("https://{host}{path}"))?;
    let answer = tokio::time::timeout(LIMIT, exchange(net, &url, "text/plain", MOST_BYTES)).await.unwrap_or(Err(HttpFailure::TimedOut(LIMIT)))?;
    Ok(HttpAnswer { status: answer.status, content_type: answer.content_type, body: String::from_utf8_lossy(&answer.body).into_owned() })
}

/// Any file at an `https:` address, with at most three redirects to such addresses.
pub(super) async fn fetch(net: &Net, address: &str, max_bytes: usize) -> Result<HttpBytes, HttpFailure> {
    let following = async {
        let mut at = checked(address)?;
        for redirects in 0..=MOST_REDIRECTS {
            let answer = exchange(net, &at, "*/*", max_bytes).await?;
            let location = answer.location.as_deref().filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308));
            let Some(location) = location else {
                return Ok(HttpBytes { status: answer.status, content_type: answer.content_type, url: at.to_string(), redirects, body: answer.body });
            };
            let target = at.join(location).map_err(|error| HttpFailure::BadUrl(format!("it redirects to “{}”: {error}", shown(location))))?;
            at = checked(target.as_str()).map_err(|error| HttpFailure::BadUrl(format!("it redirects to an address that is not fetched: {error}")))?;
        }
        Err(HttpFailure::TooManyRedirects)
    };
    tokio::time::timeout(LIMIT, following).await.unwrap_or(Err(HttpFailure::TimedOut(LIMIT)))
}

/// Sends once. From the moment its status is known the other side has answered, whatever becomes of the rest.
pub(super) async fn post(net: &Net, post: &HttpPost, max_bytes: usize) -> Result<HttpReceipt, HttpFailure> {
    let ends = Instant::now() + POST_LIMIT;
    let url = checked(&post.url)?;
    let mut extra = format!("Content-Length: {}\r\n", post.body.len());
    if !post.headers.iter().any(|(name, _)| *name == "Content-Type") {
        extra.push_str("Content-Type: application/json\r\n");
    }
    for (name, value) in &post.headers {
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(HttpFailure::BadUrl(format!("the header {name} can not be sent: it holds control characters")));
        }
        // A String takes all that is written to it.
        let _ = write!(extra, "{name}: {value}\r\n");
    }
    let mut reader = http::Reader::new(max_bytes);
    let exchanging = async {
        let mut tls = secure(net, &url).await?;
        tls.write_all(request("POST", &url, "*/*", &extra, &post.body).as_bytes()).await.map_err(broken)?;
        answer(&mut tls, &mut reader).await
    };
    let answered = tokio::time::timeout_at(ends, exchanging).await.unwrap_or(Err(HttpFailure::TimedOut(POST_LIMIT)));
    let answer = answered.or_else(|failure| reader.so_far().ok_or(failure))?;
    Ok(HttpReceipt { status: answer.status, retry_after: answer.retry_after, body: String::from_utf8_lossy(&answer.body).into_owned() })
}

/// An address that requests can go to, written as they will read it. Where its host is shows when they do.
pub fn check_url(text: &str) -> Result<String, HttpFailure> {
    checked(text).map(String::from)
}

/// An address that may be asked: `https:`, a host, the usual port, no login.
pub(crate) fn checked(text: &str) -> Result<Url, HttpFailure> {
    let bad = |why: &str| HttpFailure::BadUrl(format!("“{}” {why}", shown(text)));
    let url = Url::parse(text).map_err(|error| bad(&format!("is not an address: {error}")))?;
    if url.scheme() != "https" {
        return Err(bad("is not an https: address"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("carries a login, which is not sent"));
    }
    // Url drops the scheme's own port.
    if url.port().is_some() {
        return Err(bad("names another port than 443"));
    }
    Ok(url)
}

fn shown(text: &str) -> String {
    crate::text::shown(text, 120)
}

async fn exchange(net: &Net, url: &Url, accept: &str, max_bytes: usize) -> Result<http::Answer, HttpFailure> {
    let mut tls = secure(net, url).await?;
    tls.write_all(request("GET", url, accept, "", "").as_bytes()).await.map_err(broken)?;
    answer(&mut tls, &mut http::Reader::new(max_bytes)).await
}

/// What a GET over a connection that stands brought.
#[derive(Debug)]
pub(crate) struct Got {
    pub status: u16,
    /// `Location`, as it came.
    pub location: Option<String>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// All of the body came.
    pub whole: bool,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
}

/// GET over a connection that stands. From the moment its status is known there is an answer, whatever becomes of the rest.
pub(crate) async fn get_over(tls: &mut TlsStream<TcpStream>, url: &Url, max_bytes: usize) -> Result<Got, HttpFailure> {
    let begun = Instant::now();
    tls.write_all(request("GET", url, "*/*", "", "").as_bytes()).await.map_err(broken)?;
    tls.flush().await.map_err(broken)?;
    let mut first_byte = None;
    let mut reader = http::Reader::new(max_bytes);
    let mut chunk = [0; 8192];
    let ended = loop {
        let read = match tls.read(&mut chunk).await {
            Ok(read) => read,
            // Many servers close without a TLS goodbye; what came is judged by its length.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            Err(error) => break Err(broken(error)),
        };
        if read == 0 {
            break reader.end();
        }
        first_byte.get_or_insert_with(|| begun.elapsed());
        match reader.feed(&chunk[..read]) {
            Ok(Progress::More) => {}
            Ok(Progress::Done(answer)) => break Ok(answer),
            Err(failure) => break Err(failure),
        }
    };
    let whole = ended.is_ok();
    let answer = ended.or_else(|failure| reader.so_far().ok_or(failure))?;
    let first_byte = first_byte.unwrap_or_else(|| begun.elapsed());
    Ok(Got { status: answer.status, location: answer.location, body: answer.body, whole, first_byte })
}

fn request(method: &str, url: &Url, accept: &str, extra: &str, body: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = url.path();
    format!("{method} {path}{query} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: waypost\r\nAccept: {accept}\r\n{extra}Connection: close\r\n\r\n{body}")
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn broken(error: std::io::Error) -> HttpFailure {
    HttpFailure::Io(error.to_string())
}

/// A connection to a checked address of the host, whose certificate was checked too.
async fn secure(net: &Net, url: &Url) -> Result<TlsStream<TcpStream>, HttpFailure> {
    let bare = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stream = connect(net, bare).await?;
    let config = net.https().config.clone().ok_or_else(|| HttpFailure::Setup("there is no version of it to speak".to_owned()))?;
    let name =
        ServerName::try_from(bare.to_owned()).map_err(|error| HttpFailure::BadUrl(format!("“{bare}” can not stand in a certificate: {error}")))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| handshake_failure(&error, bare))
}

async fn answer(tls: &mut TlsStream<TcpStream>, reader: &mut http::Reader) -> Result<http::Answer, HttpFailure> {
    let mut chunk = [0; 8192];
    loop {
        let read = match tls.read(&mut chunk).await {
            Ok(read) => read,
            // Many servers close without a TLS goodbye; what came is judged by its length.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(broken(error)),
        };
        if read == 0 {
            return reader.end();
        }
        if let Progress::Done(answer) = reader.feed(&chunk[..read])? {
            return Ok(answer);
        }
    }
}

async fn connect(net: &Net, host: &str) -> Result<TcpStream, HttpFailure> {
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => match net.dns().addresses(host).await {
            Lookup::Found(addresses) => addresses,
            Lookup::Missing(_) => return Err(HttpFailure::NoAddress(host.to_owned())),
            Lookup::Failed(failure) => return Err(HttpFailure::Dns(failure)),
        },
    };
    let mut last = HttpFailure::NoAddress(host.to_owned());
    for address in addresses.into_iter().take(MOST_ADDRESSES) {
        match net.dial(SocketAddr::new(address, net.https().port), CONNECT).await {
            Ok(connected) => return Ok(connected),
            // That a host refuses says more than that a second address of it can not be reached from here.
            Err(error) if matches!(last, HttpFailure::Dial(DialError::Refused)) => tracing::debug!(%error, host, "another address"),
            Err(error) => last = HttpFailure::Dial(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{
        authority::{Authority, http_answer},
        tests::Server,
    };

    #[test]
    fn only_plain_https_addresses_are_fetched() {
        for fine in
            ["https://e.example/logo.svg", "https://e.example:443/", "https://192.0.2.1/x?y=1", "https://[2001:db8::1]/", "https://bücher.example/"]
        {
            assert!(checked(fine).is_ok(), "{fine}");
        }
        for (bad, why) in [
            ("http://e.example/", "not an https"),
            ("https://e.example:8443/", "another port"),
            ("https://a:b@e.example/", "login"),
            ("https://", "not an address"),
            ("data:image/svg+xml,x", "not an https"),
            ("e.example/logo.svg", "not an address"),
        ] {
            let error = checked(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn files_are_fetched_with_their_redirects_and_bounds() {
        let dns = Server::start(&[("e.example", "A 127.0.0.1"), ("other.example", "A 127.0.0.1")], &[]).await;
        let authority = Authority::new();
        let answer = |path: &str| match path {
            "/file?x=1" => http_answer("200 OK", "Content-Type: image/svg+xml; charset=utf-8\r\n", "<svg/>"),
            "/moved" => http_answer("302 Found", "Location: /file?x=1\r\n", ""),
            "/round" => http_answer("301 Moved", "Location: https://e.example/round\r\n", ""),
            "/down" => http_answer("301 Moved", "Location: http://e.example/file\r\n", ""),
            _ => http_answer("404 Not Found", "", "no"),
        };
        let address = authority.issue("e.example", |_| {}).https(answer).await;
        let net = authority.net(dns.address, false, Some(address));
        let got = net.https_fetch("https://e.example/moved", 6).await.unwrap();
        assert_eq!((got.status, got.body.as_slice(), got.redirects), (200, &b"<svg/>"[..], 1));
        assert_eq!((got.url.as_str(), got.content_type.as_str()), ("https://e.example/file?x=1", "image/svg+xml"));
        assert_eq!(net.https_fetch("https://e.example/file?x=1", 5).await, Err(HttpFailure::TooLarge(5)));
        assert_eq!(net.https_fetch("https://e.example/round", 9).await, Err(HttpFailure::TooManyRedirects));
        let down = net.https_fetch("https://e.example/down", 9).await.unwrap_err().to_string();
        assert!(down.contains("redirects") && down.contains("not an https"), "{down}");
        assert_eq!(net.https_get("e.example", "/moved").await.unwrap().status, 302);
        let named = net.https_get("other.example", "/").await.unwrap_err();
        assert_eq!(named, HttpFailure::Certificate("the certificate shown does not name other.example".to_owned()));
        let cut = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = cut.local_addr().unwrap();
        tokio::spawn(async move { drop(cut.accept().await.unwrap()) });
        let cut = authority.net(dns.address, false, Some(port)).https_get("e.example", "/").await.unwrap_err();
        assert!(matches!(cut, HttpFailure::Io(_)) && !cut.is_the_hosts(), "{cut}");
        let gone = net.https_get("gone.example", "/").await.unwrap_err();
        assert_eq!(gone, HttpFailure::NoAddress("gone.example".to_owned()));
    }

    #[tokio::test]
    async fn what_is_posted_arrives_and_the_status_is_the_answer_whatever_follows() {
        let dns = Server::start(&[("e.example", "A 127.0.0.1")], &[]).await;
        let authority = Authority::new();
        let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let answer = move |request: &str| {
            kept.lock().unwrap().push(request.to_owned());
            match request.split(' ').nth(1).unwrap() {
                "/fine?a=b" => http_answer("202 Accepted", "", "ok"),
                "/busy" => http_answer("429 Too Many Requests", "Retry-After: 7\r\n", "slow down"),
                "/moved" => http_answer("307 Moved", "Location: https://e.example/fine\r\n", ""),
                "/large" => http_answer("200 OK", "", &"x".repeat(MOST_ANSWER + 1)),
                "/chunks" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nz".to_owned(),
                "/short" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_owned(),
                _ => String::new(),
            }
        };
        let address = authority.issue("e.example", |_| {}).https_requests(answer).await;
        let net = authority.net(dns.address, false, Some(address));
        let send = async |path: &str| {
            let post = HttpPost { url: format!("https://e.example{path}"), headers: vec![("X-Id", "7".to_owned())], body: "{\"ä\":1}".to_owned() };
            net.https_post(&post).await
        };
        let receipt = |status, retry_after: Option<&str>, body: &str| {
            Ok(HttpReceipt { status, retry_after: retry_after.map(str::to_owned), body: body.to_owned() })
        };
        assert_eq!(send("/fine?a=b").await, receipt(202, None, "ok"));
        let request = seen.lock().unwrap().pop().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /fine?a=b HTTP/1.1\r\nHost: e.example\r\n"), "{head}");
        assert!(head.contains("\r\nX-Id: 7\r\n") && head.contains("\r\nContent-Length: 8\r\n"), "{head}");
        assert_eq!(body, "{\"ä\":1}");
        assert_eq!(send("/busy").await, receipt(429, Some("7"), "slow down"));
        assert_eq!(send("/moved").await, receipt(307, None, ""));
        assert_eq!(send("/large").await.map(|receipt| receipt.status), Ok(200));
        assert_eq!(send("/chunks").await, receipt(200, None, "ab"));
        assert_eq!(send("/short").await, receipt(200, None, "abc"));
        assert!(matches!(send("/nothing").await, Err(HttpFailure::Protocol(_))));
        assert_eq!(seen.lock().unwrap().len(), 6, "nothing is sent twice");
        let forged = HttpPost { url: "https://e.example/".to_owned(), headers: vec![("X-Id", "7\r\nX: y".to_owned())], body: String::new() };
        assert!(matches!(net.https_post(&forged).await, Err(HttpFailure::BadUrl(_))));
        let guarded = Net::new(crate::net::NetConfig {
            resolvers: vec![dns.address],
            egress: crate::net::Egress::Guarded { allow: Vec::new() },
            ..crate::net::NetConfig::default()
        });
        let inside = HttpPost { url: "https://e.example/".to_owned(), headers: Vec::new(), body: String::new() };
        assert!(matches!(guarded.unwrap().https_post(&inside).await, Err(HttpFailure::Dial(DialError::Forbidden(_)))));
    }

    #[tokio::test]
    async fn bad_certificates_are_told_apart() {
        let dns = Server::start(&[("e.example", "A 127.0.0.1")], &[]).await;
        let (trusted, other) = (Authority::new(), Authority::new());
        let old = |params: &mut rcgen::CertificateParams| {
            (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        };
        for (issued, words) in [(trusted.issue("e.example", old), "has expired"), (other.issue("e.example", |_| {}), "is not trusted")] {
            let address = issued.https(|_| http_answer("200 OK", "", "x")).await;
            let failure = trusted.net(dns.address, false, Some(address)).https_get("e.example", "/").await.unwrap_err();
            assert!(matches!(&failure, HttpFailure::Certificate(why) if why.contains(words)), "{failure}");
        }
    }
}
