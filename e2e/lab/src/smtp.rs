//! A small SMTP server (RFC 5321): what the sink and the hosts with a broken certificate speak.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::time::timeout;

use crate::sink::{Sink, SinkFault};

const LINE_LIMIT: u64 = 8_192;
const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;
const IDLE_LIMIT: Duration = Duration::from_secs(60);
const RECIPIENT_LIMIT: usize = 100;
/// How long the slow sink takes for an answer.
const SLOW: Duration = Duration::from_secs(3);

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Persona {
    /// The name in greeting and EHLO.
    pub hostname: String,
    /// A greeting other than 220; nothing but QUIT works after it.
    pub refusal: Option<&'static str>,
    /// Offers STARTTLS, or wraps at once.
    pub tls: Option<Arc<ServerConfig>>,
    /// What happens when the client begins with TLS.
    pub tls_end: TlsEnd,
    /// Where messages go; without one they are taken and forgotten.
    pub sink: Option<Arc<Sink>>,
}

/// How a TLS handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsEnd {
    /// It works.
    Completes,
    /// The connection closes after the client's first message.
    Closes,
    /// An alert `handshake_failure` in the record version of SSL 3.0, as from a server that knows nothing newer (RFC 6101 section 5.4.2).
    Ssl3Alert,
}

/// Anything that bytes go through.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Serves one connection to its end.
pub async fn serve(stream: impl Stream, persona: &Persona, implicit_tls: bool) -> io::Result<()> {
    if implicit_tls {
        return secured(stream, persona, true).await;
    }
    match Session::new(stream, persona, false).run(true).await? {
        // RFC 3207 4.2: it begins anew, and does not greet a second time.
        Some(stream) => secured(stream, persona, false).await,
        None => Ok(()),
    }
}

async fn secured(mut stream: impl Stream, persona: &Persona, greets: bool) -> io::Result<()> {
    if persona.tls_end != TlsEnd::Completes {
        let mut hello = [0; 1024];
        timeout(IDLE_LIMIT, stream.read(&mut hello)).await??;
        if persona.tls_end == TlsEnd::Ssl3Alert {
            stream.write_all(&[0x15, 3, 0, 0, 2, 2, 40]).await?;
        }
        return stream.shutdown().await;
    }
    let Some(config) = &persona.tls else { return Ok(()) };
    let stream = timeout(IDLE_LIMIT, tokio_rustls::TlsAcceptor::from(Arc::clone(config)).accept(stream)).await??;
    Session::new(stream, persona, true).run(greets).await.map(drop)
}

struct Session<'a, S> {
    stream: BufStream<S>,
    persona: &'a Persona,
    secure: bool,
    from: String,
    to: Vec<String>,
}

impl<'a, S: Stream> Session<'a, S> {
    fn new(stream: S, persona: &'a Persona, secure: bool) -> Self {
        Self { stream: BufStream::new(stream), persona, secure, from: String::new(), to: Vec::new() }
    }

    /// Talks until the client leaves; gives the stream back when TLS shall begin.
    async fn run(mut self, greets: bool) -> io::Result<Option<S>> {
        match self.fault() {
            SinkFault::Drop | SinkFault::Stopped => return Ok(None),
            SinkFault::Slow => tokio::time::sleep(SLOW).await,
            _ => {}
        }
        if greets {
            let greeting = self.persona.refusal.map_or_else(|| format!("220 {} ESMTP Waypost lab", self.persona.hostname), str::to_owned);
            self.say(&greeting).await?;
        }
        while let Some(line) = self.line().await? {
            // A server that stops takes its connections with it, those that a client keeps for later too.
            if self.fault() == SinkFault::Stopped {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = text.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "QUIT" => {
                    self.say("221 2.0.0 Bye").await?;
                    break;
                }
                _ if self.persona.refusal.is_some() => self.say("503 5.5.1 Not here").await?,
                "EHLO" => self.ehlo().await?,
                "HELO" => self.say(&format!("250 {}", self.persona.hostname)).await?,
                "STARTTLS" if self.persona.tls.is_some() && !self.secure => {
                    self.say("220 2.0.0 Ready to start TLS").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "MAIL" => {
                    (self.from, self.to) = (path(&text), Vec::new());
                    self.say("250 2.1.0 Ok").await?;
                }
                "RCPT" => self.recipient(&text).await?,
                "DATA" if self.to.is_empty() => self.say("503 5.5.1 No recipients").await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.to.clear();
                    self.say("250 2.0.0 Ok").await?;
                }
                "NOOP" => self.say("250 2.0.0 Ok").await?,
                "AUTH" => self.say("535 5.7.8 Authentication failed").await?,
                _ => self.say("502 5.5.2 Not known here").await?,
            }
        }
        Ok(None)
    }

    async fn ehlo(&mut self) -> io::Result<()> {
        let tls = if self.persona.tls.is_some() && !self.secure { "250-STARTTLS\r\n" } else { "" };
        let reply =
            format!("250-{}\r\n250-PIPELINING\r\n250-SIZE {MESSAGE_LIMIT}\r\n{tls}250-ENHANCEDSTATUSCODES\r\n250 8BITMIME", self.persona.hostname);
        self.say(&reply).await
    }

    async fn recipient(&mut self, text: &str) -> io::Result<()> {
        match self.fault() {
            SinkFault::Refuse4xx => return self.say("451 4.7.1 Greylisted, try again later").await,
            SinkFault::Refuse5xx => return self.say("550 5.1.1 No such mailbox").await,
            SinkFault::Slow => tokio::time::sleep(SLOW).await,
            SinkFault::None | SinkFault::Drop | SinkFault::LateAnswer | SinkFault::Stopped => {}
        }
        if self.to.len() >= RECIPIENT_LIMIT {
            return self.say("452 4.5.3 Too many recipients").await;
        }
        self.to.push(path(text));
        self.say("250 2.1.5 Ok").await
    }

    async fn data(&mut self) -> io::Result<()> {
        self.say("354 End data with <CR><LF>.<CR><LF>").await?;
        let mut message = Vec::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(()) };
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            message.extend_from_slice(if line.first() == Some(&b'.') { &line[1..] } else { &line });
            if message.len() > MESSAGE_LIMIT {
                return self.say("552 5.3.4 Message too big").await;
            }
        }
        if let Some(sink) = &self.persona.sink {
            sink.record(&self.from, &self.to, &message);
        }
        if self.fault() == SinkFault::LateAnswer {
            tokio::time::sleep(SLOW).await;
        }
        self.to.clear();
        self.say("250 2.0.0 Ok: taken").await
    }

    fn fault(&self) -> SinkFault {
        self.persona.sink.as_ref().map_or(SinkFault::None, |sink| sink.fault())
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// The next line with its end, or nothing when the client is gone.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        timeout(IDLE_LIMIT, (&mut self.stream).take(LINE_LIMIT).read_until(b'\n', &mut line)).await??;
        Ok((!line.is_empty()).then_some(line))
    }
}

fn path(text: &str) -> String {
    let after = text.split_once(':').map_or("", |(_, rest)| rest).trim();
    match (after.find('<'), after.find('>')) {
        (Some(from), Some(to)) if from < to => after[from + 1..to].to_owned(),
        _ => after.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}
