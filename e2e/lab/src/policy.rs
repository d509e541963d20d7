//! The HTTPS host of MTA-STS policies (RFC 8461 section 3.3): one address for all domains, told apart by the name asked for. Beside that it
//! is the door by which webhooks are reached over HTTPS, as channels want it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::certs::Authority;
use crate::error::LabError;
use crate::hooks::{HookAnswer, Hooks};
use crate::layout::Layout;

const CONNECTION_LIMIT: Duration = Duration::from_secs(20);
const REQUEST_LIMIT: usize = 16 * 1024;
const POST_LIMIT: usize = 64 * 1024;

/// What is answered for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The HTTP status.
    #[serde(default = "ok")]
    pub status: u16,
    /// The text.
    pub body: String,
    /// The media type.
    #[serde(default = "plain")]
    pub content_type: String,
}

const fn ok() -> u16 {
    200
}

fn plain() -> String {
    "text/plain".to_owned()
}

impl Policy {
    /// A policy that enforces TLS for one MX host.
    pub fn enforce(mx: &str) -> Self {
        Self { status: 200, body: format!("version: STSv1\r\nmode: enforce\r\nmx: {mx}\r\nmax_age: 604800\r\n"), content_type: plain() }
    }
}

/// All policies by domain.
#[derive(Debug)]
pub struct Policies {
    by_domain: Mutex<BTreeMap<String, Policy>>,
    hooks: Arc<Hooks>,
}

impl Policies {
    /// Opens the host.
    pub async fn start(layout: &Layout, authority: &Arc<Authority>, hooks: Arc<Hooks>) -> Result<Arc<Self>, LabError> {
        let policies = Arc::new(Self { by_domain: Mutex::default(), hooks });
        let acceptor = TlsAcceptor::from(authority.any_name()?);
        let listener = TcpListener::bind(layout.policy()).await.map_err(LabError::io(format!("binding {}", layout.policy())))?;
        let shared = Arc::clone(&policies);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (policies, acceptor) = (Arc::clone(&shared), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_LIMIT, policies.answer(stream, acceptor)).await {
                        tracing::debug!(%error, "policy host");
                    }
                });
            }
        });
        Ok(policies)
    }

    /// Sets the policy of a domain.
    pub fn set(&self, domain: &str, policy: Policy) {
        self.lock().insert(domain.to_owned(), policy);
    }

    /// Removes the policy of a domain: 404 from then on.
    pub fn remove(&self, domain: &str) {
        self.lock().remove(domain);
    }

    /// All policies.
    pub fn snapshot(&self) -> BTreeMap<String, Policy> {
        self.lock().clone()
    }

    async fn answer(&self, stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
        let mut stream = acceptor.accept(stream).await?;
        let mut request = Vec::new();
        while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < REQUEST_LIMIT {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if text.starts_with("post /slack/") {
            return self.post(stream, request).await;
        }
        let host = text.lines().find_map(|line| line.strip_prefix("host:")).unwrap_or_default().trim().trim_end_matches(":443").to_owned();
        let path_fits = text.starts_with("get /.well-known/mta-sts.txt ");
        let policy = host.strip_prefix("mta-sts.").filter(|_| path_fits).and_then(|domain| self.lock().get(domain).cloned());
        let Policy { status, body, content_type } =
            policy.unwrap_or_else(|| Policy { status: 404, body: "No policy here\r\n".to_owned(), content_type: plain() });
        let head = format!("HTTP/1.1 {status} Lab\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    }

    async fn post(&self, mut stream: TlsStream<TcpStream>, mut request: Vec<u8>) -> io::Result<()> {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(request.len());
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let headers: BTreeMap<String, String> =
            head.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let length = headers.get("content-length").and_then(|value| value.parse::<usize>().ok());
        let whole = end + 4 + length.unwrap_or(0).min(POST_LIMIT);
        while request.len() < whole {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).and_then(|path| path.strip_prefix("/slack/")).unwrap_or_default();
        let body = String::from_utf8_lossy(&request[(end + 4).min(whole)..]).into_owned();
        let answer = self.hooks.take(path, headers, body);
        tokio::time::sleep(answer.delay()).await;
        let HookAnswer { status, retry_after, .. } = answer;
        if status != 0 {
            let wait = retry_after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
            let text = if status == 200 { "ok" } else { "no" };
            let head =
                format!("HTTP/1.1 {status} Lab\r\nContent-Type: text/plain\r\n{wait}Content-Length: {}\r\nConnection: close\r\n\r\n", text.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(text.as_bytes()).await?;
        }
        stream.shutdown().await
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Policy>> {
        self.by_domain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
