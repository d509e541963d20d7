//! The wire of one conversation: bounded reads and writes in clear or under TLS, and the transcript. What is said is decided elsewhere.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use waypost_types::outcome::{Speaker, TranscriptLine};

use super::{
    Limits,
    reply::{LINE_SHOWN, Reply, ReplyError, ReplyParser},
};
use crate::text::shown;

/// How a wait ended badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// Nothing came.
    #[error("the server is silent: nothing came for {0} seconds")]
    Silent(u64),
    /// Something came, too slowly.
    #[error("the server answers too slowly: no whole reply in {0} seconds")]
    Slow(u64),
    /// End of stream.
    #[error("the server closed the connection")]
    Closed,
    /// Cut off.
    #[error("the server reset the connection")]
    Reset,
    /// RFC 5321 4.5.3.1.5 allows 512.
    #[error("the server sent a line longer than {0} bytes")]
    LineTooLong(usize),
    /// More than any conversation needs.
    #[error("the server sent more than {0} bytes")]
    TooMuch(usize),
    /// Not SMTP.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// TLS alerts in the middle, and the rest.
    #[error("the connection broke: {0}")]
    Io(String),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // rustls calls a connection cut without close_notify an unexpected end.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Self::Closed,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Io(error.to_string()),
        }
    }
}

enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

/// One connection.
pub(crate) struct Wire<'a> {
    link: Link,
    limits: &'a Limits,
    started: Instant,
    deadline: Instant,
    buffer: Vec<u8>,
    received: usize,
    secrets: Vec<String>,
    /// Everything said so far.
    pub transcript: Vec<TranscriptLine>,
    /// A line was longer than the 512 bytes of RFC 5321 4.5.3.1.5.
    pub long_line: bool,
    /// A line ended without CR.
    pub bare_lf: bool,
    /// How long each reply was waited for, the greeting's left out.
    pub waits: Vec<Duration>,
}

impl<'a> Wire<'a> {
    pub fn new(stream: TcpStream, limits: &'a Limits, started: Instant) -> Self {
        Self {
            link: Link::Plain(stream),
            limits,
            started,
            deadline: Instant::now() + limits.greeting + limits.total,
            buffer: Vec::with_capacity(1024),
            received: 0,
            secrets: Vec::new(),
            transcript: Vec::with_capacity(24),
            long_line: false,
            bare_lf: false,
            waits: Vec::with_capacity(6),
        }
    }

    /// True once TLS stands.
    pub fn is_tls(&self) -> bool {
        matches!(self.link, Link::Tls(_))
    }

    /// What a login is bound to the session with (RFC 9266). In TLS 1.2 it would depend on an extension that rustls does not tell of.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let Link::Tls(stream) = &self.link else { return None };
        let (_, session) = stream.get_ref();
        (session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)).then_some(())?;
        session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).ok()
    }

    /// From now on this text is masked in the transcript and in replies, whoever says it.
    pub fn keep_secret(&mut self, text: String) {
        if !text.is_empty() {
            self.secrets.push(text);
            // One may hold another, which masked first would leave the rest of it.
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// The text without what is secret: before it is cut, or the first half of a secret would be left.
    pub fn masked(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "****"))
    }

    /// A line of a reply without what is secret. Its code is no part of the text, and a challenge is for us to read: what it says is masked where it
    /// is told.
    fn masked_line(&self, line: Vec<u8>) -> Vec<u8> {
        if self.secrets.is_empty() || line.starts_with(b"334") {
            return line;
        }
        let is_reply = line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit);
        let (code, text) = line.split_at(if is_reply { 4 } else { 0 });
        [code, self.masked(String::from_utf8_lossy(text).into_owned()).as_bytes()].concat()
    }

    /// Sends a command and waits for the reply.
    pub async fn ask(&mut self, command: &str) -> Result<Reply, WireError> {
        self.send(command, self.deadline).await?;
        self.reply().await
    }

    /// Sends a command and another behind it in one packet, and waits for the reply to the first.
    pub async fn ask_ahead(&mut self, command: &str, ahead: &str) -> Result<Reply, WireError> {
        self.log(Speaker::Client, command.as_bytes());
        self.log(Speaker::Client, ahead.as_bytes());
        self.put(format!("{command}\r\n{ahead}\r\n"), self.deadline).await?;
        self.reply().await
    }

    async fn send(&mut self, command: &str, until: Instant) -> Result<(), WireError> {
        self.log(Speaker::Client, command.as_bytes());
        self.put(format!("{command}\r\n"), until).await
    }

    async fn put(&mut self, line: String, until: Instant) -> Result<(), WireError> {
        let until = until.min(Instant::now() + self.limits.reply_idle);
        let writing = async {
            match &mut self.link {
                Link::Plain(stream) => stream.write_all(line.as_bytes()).await,
                Link::Tls(stream) => {
                    stream.write_all(line.as_bytes()).await?;
                    stream.flush().await
                }
                Link::Gone => Err(io::ErrorKind::BrokenPipe.into()),
            }
        };
        timeout_at(until, writing).await.map_err(|_| WireError::Silent(seconds(self.limits.reply_idle)))??;
        Ok(())
    }

    /// Sends a message, or part of one; the transcript says what it was.
    pub async fn put_message(&mut self, text: String, shown: &str) -> Result<(), WireError> {
        self.log(Speaker::Client, shown.as_bytes());
        self.put(text, self.deadline).await
    }

    /// Closes the connection in the middle of a message, which ends it (RFC 5321 4.1.1.10): nothing else is said.
    pub async fn hang_up(&mut self) {
        self.close_until(Instant::now() + self.limits.quit).await;
        self.link = Link::Gone;
    }

    /// Waits for the greeting, with more patience than for any other reply; the rest of the conversation has its time from then on.
    pub async fn greeting(&mut self) -> Result<Reply, WireError> {
        let reply = self.reply_until(Instant::now() + self.limits.greeting, self.limits.greeting).await;
        self.deadline = Instant::now() + self.limits.total;
        reply
    }

    /// Waits for a whole reply.
    pub async fn reply(&mut self) -> Result<Reply, WireError> {
        let begun = Instant::now();
        let reply = self.reply_until(self.deadline.min(begun + self.limits.reply_total), self.limits.reply_idle).await;
        self.waits.push(begun.elapsed());
        reply
    }

    async fn reply_until(&mut self, until: Instant, idle: Duration) -> Result<Reply, WireError> {
        let mut parser = ReplyParser::default();
        loop {
            let line = self.line_until(until, idle).await?;
            let line = self.masked_line(line);
            if let Some(reply) = parser.feed(&line, self.limits.reply_lines)? {
                return Ok(reply);
            }
        }
    }

    /// The next line of a server that does not speak SMTP, within the conversation's time.
    pub async fn line(&mut self) -> Result<Vec<u8>, WireError> {
        self.line_until(self.deadline.min(Instant::now() + self.limits.reply_total), self.limits.reply_idle).await
    }

    /// Its first line, for which there is more patience.
    pub async fn first_line(&mut self) -> Result<Vec<u8>, WireError> {
        let line = self.line_until(Instant::now() + self.limits.greeting, self.limits.greeting).await;
        self.deadline = Instant::now() + self.limits.total;
        line
    }

    /// Says something and waits for nothing.
    pub async fn say(&mut self, command: &str) -> Result<(), WireError> {
        self.send(command, self.deadline).await
    }

    /// The next line without its end. How it came is noted, and what it was.
    async fn line_until(&mut self, until: Instant, idle: Duration) -> Result<Vec<u8>, WireError> {
        let begun = Instant::now();
        let mut heard = false;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.long_line |= line.len() > 512;
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                } else {
                    self.bare_lf = true;
                }
                self.log(Speaker::Server, &line);
                if line.len() > self.limits.line {
                    return Err(WireError::LineTooLong(self.limits.line));
                }
                return Ok(line);
            }
            if self.buffer.len() > self.limits.line {
                let start: Vec<u8> = std::mem::take(&mut self.buffer);
                self.log(Speaker::Server, &start);
                return Err(WireError::LineTooLong(self.limits.line));
            }
            heard |= !self.buffer.is_empty();
            match self.fill(until.min(Instant::now() + idle)).await {
                Err(WireError::Silent(_)) if heard => return Err(WireError::Slow(seconds(begun.elapsed()))),
                filled => filled?,
            }
        }
    }

    async fn fill(&mut self, until: Instant) -> Result<(), WireError> {
        let begun = Instant::now();
        let mut chunk = [0; 2048];
        let reading = async {
            match &mut self.link {
                Link::Plain(stream) => stream.read(&mut chunk).await,
                Link::Tls(stream) => stream.read(&mut chunk).await,
                Link::Gone => Ok(0),
            }
        };
        let read = match timeout_at(until, reading).await {
            Err(_) => return Err(WireError::Silent(seconds(until - begun))),
            Ok(read) => read?,
        };
        if read == 0 {
            if !self.buffer.is_empty() {
                let rest = std::mem::take(&mut self.buffer);
                self.log(Speaker::Server, &rest);
            }
            self.link = Link::Gone;
            return Err(WireError::Closed);
        }
        self.received += read;
        if self.received > self.limits.bytes {
            return Err(WireError::TooMuch(self.limits.bytes));
        }
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(())
    }

    /// Starts TLS. Whatever the server said in clear beyond its reply is dropped (RFC 3207 6: it could be an attacker's).
    pub async fn start_tls(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<&TlsStream<TcpStream>, io::Error> {
        self.buffer.clear();
        let Link::Plain(stream) = std::mem::replace(&mut self.link, Link::Gone) else {
            return Err(io::Error::other("TLS stands already"));
        };
        let until = self.deadline.min(Instant::now() + self.limits.tls);
        let stream =
            timeout_at(until, TlsConnector::from(config).connect(name, stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.link = Link::Tls(Box::new(stream));
        match &self.link {
            Link::Tls(stream) => Ok(stream),
            _ => Err(io::Error::other("TLS does not stand")),
        }
    }

    /// The connection itself, while it is in clear. What the server said beyond its reply is dropped, as for TLS.
    pub fn into_clear(self) -> Option<TcpStream> {
        match self.link {
            Link::Plain(stream) => Some(stream),
            Link::Tls(_) | Link::Gone => None,
        }
    }

    /// Leaves politely: QUIT, and its reply when the conversation is in step.
    pub async fn quit(&mut self, in_step: bool) {
        if matches!(self.link, Link::Gone) {
            return;
        }
        let until = Instant::now() + self.limits.quit;
        let said = self.send("QUIT", until).await;
        if said.is_ok()
            && in_step
            && let Err(error) = self.reply_until(until, self.limits.quit).await
        {
            tracing::trace!(%error, "no answer to QUIT");
        }
        self.close_until(until).await;
    }

    /// Says the word by which a conversation of another kind is left, reads what is said to it, up to so many lines, and closes.
    pub async fn leave(&mut self, word: &str, lines: usize) {
        if matches!(self.link, Link::Gone) {
            return;
        }
        let until = Instant::now() + self.limits.quit;
        let mut said = self.send(word, until).await;
        for _ in 0..lines {
            if said.is_ok() {
                said = self.line_until(until, self.limits.quit).await.map(drop);
            }
        }
        if let Err(error) = said {
            tracing::trace!(%error, word, "no answer to a farewell");
        }
        self.close_until(until).await;
    }

    async fn close_until(&mut self, until: Instant) {
        let closing = async {
            match &mut self.link {
                Link::Plain(stream) => stream.shutdown().await,
                Link::Tls(stream) => stream.shutdown().await,
                Link::Gone => Ok(()),
            }
        };
        if !matches!(timeout_at(until, closing).await, Ok(Ok(()))) {
            tracing::trace!("the connection was not closed in order");
        }
    }

    fn log(&mut self, from: Speaker, line: &[u8]) {
        let line = if self.secrets.is_empty() {
            shown(line, LINE_SHOWN)
        } else {
            shown(self.masked(String::from_utf8_lossy(line).into_owned()), LINE_SHOWN)
        };
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.transcript.push(TranscriptLine { at_ms, from, line });
    }
}

fn seconds(duration: Duration) -> u64 {
    (duration + Duration::from_millis(999)).as_secs().max(1)
}
