//! The mail sink: takes every message and shows it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use crate::error::LabError;
use crate::hosts::{bind, close};
use crate::layout::Layout;
use crate::mime;
use crate::smtp::{Persona, TlsEnd, serve};

/// The oldest messages go when there are more.
const MAX_MESSAGES: usize = 2_000;

/// How the sink treats senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SinkFault {
    /// Takes everything.
    #[default]
    #[serde(rename = "none")]
    None,
    /// Refuses recipients for now.
    #[serde(rename = "refuse_4xx")]
    Refuse4xx,
    /// Refuses recipients for good.
    #[serde(rename = "refuse_5xx")]
    Refuse5xx,
    /// Closes the connection before the greeting.
    #[serde(rename = "drop")]
    Drop,
    /// Takes three seconds for greeting and recipients.
    #[serde(rename = "slow")]
    Slow,
    /// Takes a message, and says so three seconds later.
    #[serde(rename = "late_answer")]
    LateAnswer,
    /// Nobody listens, and conversations that were begun end.
    #[serde(rename = "stopped")]
    Stopped,
}

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Counts from one.
    pub id: u64,
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// All header fields in order, unfolded.
    pub headers: Vec<(String, String)>,
    /// The first text/plain part, decoded.
    pub text: String,
    /// The first text/html part, decoded.
    pub html: String,
    /// The whole message.
    pub raw: String,
    /// Milliseconds since 1970.
    pub received_at: u64,
}

impl Mail {
    /// The first header field of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What arrived, and the port where it arrives.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Mutex<State>,
    /// Who listens, where the sink is not stopped.
    listening: AsyncMutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Mail>,
    last_id: u64,
    fault: SinkFault,
}

impl Sink {
    /// Opens the sink's port.
    pub async fn start(layout: &Layout) -> Result<Arc<Self>, LabError> {
        let sink = Arc::new(Self { address: layout.sink(), state: Mutex::default(), listening: AsyncMutex::default() });
        sink.listen().await?;
        Ok(sink)
    }

    /// Opens the port where it is closed.
    async fn listen(self: &Arc<Self>) -> Result<(), LabError> {
        let mut listening = self.listening.lock().await;
        if listening.is_some() {
            return Ok(());
        }
        let listener = bind(self.address).await?;
        let persona =
            Persona { hostname: "sink.lab.test".to_owned(), refusal: None, tls: None, tls_end: TlsEnd::Completes, sink: Some(Arc::clone(self)) };
        *listening = Some(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let persona = persona.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &persona, false).await {
                        tracing::debug!(%error, "sink connection");
                    }
                });
            }
        }));
        Ok(())
    }

    /// Keeps a message.
    pub fn record(&self, from: &str, to: &[String], raw: &[u8]) {
        let parsed = mime::parse(raw);
        let mut state = self.lock();
        state.last_id += 1;
        let mail = Mail {
            id: state.last_id,
            from: from.to_owned(),
            to: to.to_vec(),
            subject: parsed.subject,
            headers: parsed.headers,
            text: parsed.text,
            html: parsed.html,
            raw: String::from_utf8_lossy(raw).into_owned(),
            received_at: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
        };
        state.messages.push_back(mail);
        if state.messages.len() > MAX_MESSAGES {
            state.messages.pop_front();
        }
    }

    /// Messages in order of arrival, of one recipient if asked.
    pub fn messages(&self, to: Option<&str>) -> Vec<Mail> {
        let wanted = |mail: &&Mail| to.is_none_or(|to| mail.to.iter().any(|one| one.eq_ignore_ascii_case(to)));
        self.lock().messages.iter().filter(wanted).cloned().collect()
    }

    /// Forgets messages, of one recipient if asked.
    pub fn clear(&self, to: Option<&str>) {
        self.lock().messages.retain(|mail| to.is_some_and(|to| !mail.to.iter().any(|one| one.eq_ignore_ascii_case(to))));
    }

    /// How it treats senders now.
    pub fn fault(&self) -> SinkFault {
        self.lock().fault
    }

    /// How it treats senders from now on.
    pub async fn set_fault(self: &Arc<Self>, fault: SinkFault) -> Result<(), LabError> {
        self.lock().fault = fault;
        if fault == SinkFault::Stopped {
            close(self.listening.lock().await.take()).await;
            return Ok(());
        }
        self.listen().await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
