//! A small GET over HTTPS for policy files (RFC 8461 3.3): certificate checked, no redirects, bounded in bytes and time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::{DialError, DnsFailure, Lookup, Net};

const LIMIT: Duration = Duration::from_secs(8);
const MOST_BYTES: u64 = 64 * 1024;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, lower case, without parameters.
    pub content_type: String,
    /// The body, as text.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFailure {
    /// The host has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The resolver did not tell.
    #[error("{0}")]
    Dns(DnsFailure),
    /// No connection.
    #[error("{0}")]
    Dial(DialError),
    /// The handshake failed; certificate errors are among these.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// Took too long.
    #[error("no complete answer within 8 s")]
    TimedOut,
    /// Not HTTP.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(&'static str),
    /// Broke off.
    #[error("the connection broke: {0}")]
    Io(String),
}

impl HttpFailure {
    /// True when the failure says something about the host rather than about us or the way to it.
    pub fn is_the_hosts(&self) -> bool {
        !matches!(self, Self::Dns(_) | Self::Dial(DialError::Forbidden(_) | DialError::Unreachable | DialError::Other(_)) | Self::TimedOut)
    }
}

pub(super) async fn get(net: &Net, host: &str, path: &str) -> Result<HttpAnswer, HttpFailure> {
    tokio::time::timeout(LIMIT, exchange(net, host, path)).await.unwrap_or(Err(HttpFailure::TimedOut))
}

async fn exchange(net: &Net, host: &str, path: &str) -> Result<HttpAnswer, HttpFailure> {
    let addresses = match net.dns().addresses(host).await {
        Lookup::Found(addresses) => addresses,
        Lookup::Missing(_) => return Err(HttpFailure::NoAddress(host.to_owned())),
        Lookup::Failed(failure) => return Err(HttpFailure::Dns(failure)),
    };
    let mut last = HttpFailure::NoAddress(host.to_owned());
    let mut stream = None;
    for address in addresses.into_iter().take(4) {
        match net.dial(SocketAddr::new(address, 443), Duration::from_secs(3)).await {
            Ok(connected) => {
                stream = Some(connected);
                break;
            }
            Err(error) => last = HttpFailure::Dial(error),
        }
    }
    let Some(stream) = stream else { return Err(last) };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| HttpFailure::Tls(e.to_string()))?
        .with_root_certificates(net.tls_roots().clone())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| HttpFailure::Tls(e.to_string()))?;
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| HttpFailure::Tls(e.to_string()))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: waypost\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.map_err(|e| HttpFailure::Io(e.to_string()))?;
    let mut bytes = Vec::new();
    match tls.take(MOST_BYTES).read_to_end(&mut bytes).await {
        // Many servers close without a TLS goodbye; what came is judged by its length below.
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(HttpFailure::Io(error.to_string())),
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<HttpAnswer, HttpFailure> {
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or(HttpFailure::Protocol("no end of headers"))?;
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or(HttpFailure::Protocol("no status line"))?;
    let header = |wanted: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_ascii_lowercase())
        })
    };
    let body = &bytes[split + 4..];
    let body = if header("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
        unchunk(body)?
    } else {
        match header("content-length").and_then(|v| v.parse::<usize>().ok()) {
            Some(length) if length > body.len() => return Err(HttpFailure::Protocol("the body is shorter than it says, or over 64 KiB")),
            Some(length) => body[..length].to_vec(),
            None => body.to_vec(),
        }
    };
    let content_type = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
    Ok(HttpAnswer { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, HttpFailure> {
    let bad = HttpFailure::Protocol("a broken chunk");
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").ok_or(bad.clone())?;
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .ok_or(bad.clone())?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        if size > rest.len().saturating_sub(2) {
            return Err(bad);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_by_length_by_chunks_and_to_the_end() {
        let body = |head: &str, body: &str| parse(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").as_bytes()).map(|a| a.body);
        assert_eq!(body("Content-Length: 2\r\n", "abc"), Ok("ab".to_owned()));
        assert_eq!(body("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n"), Ok("abc".to_owned()));
        assert_eq!(body("", "abc"), Ok("abc".to_owned()));
        assert!(body("Content-Length: 9\r\n", "abc").is_err());
        assert!(body("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nab").is_err());
        assert!(parse(b"SSH-2.0-x\r\n").is_err());
    }
}
