//! The ways a mail host can misbehave, and what its port does then.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certs::{Authority, Flavour};
use crate::error::LabError;
use crate::relay::{Filter, relay};
use crate::smtp::{Persona, TlsEnd, serve};

const DRIP_EVERY: Duration = Duration::from_secs(1);
const LONG_LINE: usize = 1024 * 1024;
const TARPIT_MS: u64 = 5_000;

/// What one port of one host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Postfix answers.
    #[default]
    None,
    /// Nobody listens.
    Refuse,
    /// Accepts and says nothing.
    Silent,
    /// Says something that is no SMTP.
    Garbage,
    /// Sends its greeting a byte a second and never ends it.
    Drip,
    /// Sends a greeting of one megabyte without a line's end.
    LongLine,
    /// Closes when the client begins with TLS.
    CloseMidTls,
    /// Does not offer STARTTLS and refuses it.
    NoStarttls,
    /// Greets with 421.
    #[serde(rename = "greet_4xx")]
    Greet4xx,
    /// Greets with 554.
    #[serde(rename = "greet_5xx")]
    Greet5xx,
    /// Shows a certificate that is over.
    ExpiredCert,
    /// Shows a certificate that nobody vouches for.
    SelfSigned,
    /// Shows a certificate for another name.
    WrongName,
    /// Answers TLS with the alert of a server that knows only SSL 3.0.
    Ssl3Only,
    /// Takes TLS 1.0 and 1.1, and suites without a certificate, beside the good ones.
    OldTls,
    /// Knows RSA key exchange alone, which gives no forward secrecy.
    RsaOnly,
    /// Ends a message at a line end that is LF alone; on port 25.
    BareLf,
    /// Takes every recipient and refuses it after DATA; on port 25.
    LateRefusal,
    /// Answers every line late.
    Tarpit,
    /// Knows another password of the mailbox; where mailboxes log in.
    AuthRefused,
    /// Puts off who comes for the first time; on port 25.
    Greylist,
    /// Greets as another program; where greetings are in clear.
    OtherBanner,
    /// Resets the connection as soon as it is there.
    Reset,
}

/// A fault with its measure: the body of `PUT /hosts/{address}/ports/{port}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSetting {
    /// What the port does.
    pub fault: Fault,
    /// Milliseconds before every answer of a tarpit; 5000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

/// What a connection is served with.
#[derive(Debug)]
pub struct Service {
    /// The host's public name.
    pub name: String,
    /// Postfix's port behind this one.
    pub backend: SocketAddr,
    /// TLS begins with the first byte.
    pub implicit_tls: bool,
    /// Makes certificates.
    pub authority: Arc<Authority>,
}

/// A port's behaviour, ready to serve.
#[derive(Debug)]
pub enum Behaviour {
    /// Postfix, seen through a filter.
    Relay(Filter),
    /// The small server.
    Scripted(Box<Persona>),
    /// Bytes without sense.
    Raw(Fault),
}

impl Service {
    /// Makes what a fault needs, once for all connections.
    pub fn behaviour(&self, setting: FaultSetting) -> Result<Behaviour, LabError> {
        let names = |name: &str| vec![name.to_owned()];
        let certificate = |flavour| self.authority.server(&names(&self.name), flavour);
        let persona = |refusal, tls, tls_end| {
            Behaviour::Scripted(Box::new(Persona { hostname: self.name.clone(), refusal, tls: Some(tls), tls_end, sink: None }))
        };
        let filter = Filter {
            name: self.name.clone(),
            greeting: (setting.fault == Fault::OtherBanner).then_some("ESMTP Exim 4.98"),
            starttls: setting.fault != Fault::NoStarttls,
            delay: Duration::ZERO,
        };
        Ok(match setting.fault {
            Fault::None
            | Fault::Refuse
            | Fault::NoStarttls
            | Fault::OldTls
            | Fault::RsaOnly
            | Fault::BareLf
            | Fault::LateRefusal
            | Fault::AuthRefused
            | Fault::Greylist
            | Fault::OtherBanner => Behaviour::Relay(filter),
            Fault::Tarpit => Behaviour::Relay(Filter { delay: Duration::from_millis(setting.delay_ms.unwrap_or(TARPIT_MS).min(300_000)), ..filter }),
            Fault::Silent | Fault::Garbage | Fault::Drip | Fault::LongLine | Fault::Reset => Behaviour::Raw(setting.fault),
            Fault::CloseMidTls => persona(None, certificate(Flavour::Good)?, TlsEnd::Closes),
            Fault::Ssl3Only => persona(None, certificate(Flavour::Good)?, TlsEnd::Ssl3Alert),
            Fault::Greet4xx => persona(Some("421 4.3.2 Service not available, try again later"), certificate(Flavour::Good)?, TlsEnd::Completes),
            Fault::Greet5xx => persona(Some("554 5.7.1 No mail from you"), certificate(Flavour::Good)?, TlsEnd::Completes),
            Fault::ExpiredCert => persona(None, certificate(Flavour::Expired)?, TlsEnd::Completes),
            Fault::SelfSigned => persona(None, certificate(Flavour::SelfSigned)?, TlsEnd::Completes),
            Fault::WrongName => persona(None, self.authority.server(&names("somebody-else.invalid"), Flavour::Good)?, TlsEnd::Completes),
        })
    }

    /// Serves one connection.
    pub async fn connection(&self, stream: TcpStream, behaviour: &Behaviour) -> io::Result<()> {
        match behaviour {
            Behaviour::Relay(filter) => relay(stream, self.backend, filter, self.implicit_tls).await,
            Behaviour::Scripted(persona) => serve(stream, persona, self.implicit_tls).await,
            Behaviour::Raw(fault) => raw(stream, *fault).await,
        }
    }
}

async fn raw(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Reset => return stream.set_zero_linger(),
        Fault::Garbage => stream.write_all(b"\x00\xff\xfe{\"hello\":1}\x07\r\nHTTP/1.1 400 Bad Request\r\n\r\n").await?,
        Fault::LongLine => {
            stream.write_all(b"220 ").await?;
            stream.write_all(&vec![b'a'; LONG_LINE]).await?;
        }
        Fault::Drip => {
            stream.set_nodelay(true)?;
            for byte in b"220-".iter().chain(std::iter::repeat(&b'.')) {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(DRIP_EVERY).await;
            }
        }
        _ => {}
    }
    // Reads until the client leaves: closing first would say more than this fault shall.
    let mut waste = [0; 4096];
    while stream.read(&mut waste).await? > 0 {}
    Ok(())
}
