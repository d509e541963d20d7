//! Mailbox servers: greeting, what they can, STARTTLS or STLS or TLS from the first byte, what they can under it, and the way out. Nobody logs in.
//!
//! IMAP is RFC 9051, its TLS and LOGINDISABLED RFC 9051 6.2.1 and RFC 2595 3; POP3 is RFC 1939 with CAPA of RFC 2449 and STLS of RFC 2595 4. That
//! nothing of a login belongs in clear is RFC 8314 4.1.

use std::net::IpAddr;

use tokio::time::Instant;
use waypost_types::outcome::{ProbeMode, ServiceLook, Verdict};

use super::{Server, connect, imap, judged, pop};
use crate::{
    audit::rules::{Remark, remark},
    probe::{
        Prober, ms,
        remarks::judge_certificate,
        server_name,
        tls::handshake_failure,
        wire::{Wire, WireError},
    },
    text::shown,
};

/// Lines of one answer.
const MOST_LINES: usize = 100;
/// Words of a list that are kept, and characters of each.
const MOST_WORDS: usize = 100;
const WORD_SHOWN: usize = 100;
/// Characters of an answer that are shown in a sentence.
const SHOWN: usize = 200;

/// Which language a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Imap,
    Pop,
}

impl Protocol {
    const fn word(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop => "POP3",
        }
    }

    /// A rule of the catalog, which has those of each protocol apart.
    fn rule(self, name: &str) -> String {
        match self {
            Self::Imap => format!("imap.{name}"),
            Self::Pop => format!("pop.{name}"),
        }
    }

    const fn starttls(self) -> &'static str {
        match self {
            Self::Imap => "STARTTLS",
            Self::Pop => "STLS",
        }
    }

    fn offers_tls(self, capabilities: &[String]) -> bool {
        match self {
            Self::Imap => imap::has(capabilities, "STARTTLS"),
            Self::Pop => pop::has(capabilities, "STLS"),
        }
    }
}

/// Why a conversation was not held to its end.
struct End {
    verdict: Verdict,
    reason: String,
    remark: Option<Box<Remark>>,
}

struct Talk<'a> {
    prober: &'a Prober,
    server: Server<'a>,
    protocol: Protocol,
    address: IpAddr,
    wire: Wire<'a>,
    look: ServiceLook,
    remarks: Vec<Remark>,
    /// Commands so far, for their tags.
    asked: usize,
    /// The server may still understand us.
    in_step: bool,
}

/// Holds the conversation with one address and judges it.
pub(super) async fn look(prober: &Prober, server: Server<'_>, protocol: Protocol, mode: ProbeMode, address: IpAddr) -> ServiceLook {
    let started = Instant::now();
    let (stream, connected) = match connect(prober, server, address).await {
        Ok(connected) => connected,
        Err(look) => return look,
    };
    let mut look = ServiceLook { address: Some(address), ..ServiceLook::default() };
    look.stage_ms.connect = Some(connected);
    let wire = Wire::new(stream, &prober.limits, started);
    let mut talk = Talk { prober, server, protocol, address, wire, look, remarks: Vec::new(), asked: 0, in_step: true };
    let held = talk.hold(mode).await;
    if talk.in_step {
        talk.leave().await;
    }
    let Talk { wire, mut look, mut remarks, .. } = talk;
    look.transcript = wire.transcript;
    look.stage_ms.total = Some(ms(started));
    let host = server.host;
    let end = held.err();
    let told = end.as_ref().map(|end| (end.verdict, end.reason.clone()));
    remarks.extend(end.and_then(|end| end.remark).map(|remark| *remark));
    let fine = format!("speaks {}{}", protocol.word(), if look.tls.is_some() { " and TLS" } else { "" });
    let mut look = judged(look, remarks.into_iter().map(Remark::for_submission).collect(), host, fine);
    if let Some((verdict, reason)) = told {
        (look.verdict, look.reason) = (verdict, reason);
    }
    look
}

impl Talk<'_> {
    async fn hold(&mut self, mode: ProbeMode) -> Result<(), End> {
        if mode == ProbeMode::Implicit {
            self.handshake().await?;
        }
        self.greeting(mode).await?;
        self.look.capabilities = self.capabilities().await?;
        if mode == ProbeMode::Implicit {
            self.judge_secure();
            return Ok(());
        }
        self.judge_clear();
        if mode == ProbeMode::Plain {
            return Ok(());
        }
        if !self.protocol.offers_tls(&self.look.capabilities) {
            let Server { host, port } = self.server;
            let word = self.protocol.starttls();
            let rule = if self.protocol == Protocol::Imap { "imap.starttls_missing" } else { "pop.stls_missing" };
            self.remarks.push(remark(rule, host, format!("{host} does not offer {word} on port {port}")));
            return Ok(());
        }
        self.starttls().await?;
        self.look.capabilities = self.capabilities().await?;
        self.judge_secure();
        Ok(())
    }

    async fn greeting(&mut self, mode: ProbeMode) -> Result<(), End> {
        let begun = Instant::now();
        let line = self.wire.first_line().await;
        self.look.stage_ms.banner = Some(ms(begun));
        let line = line.map_err(|error| {
            let silent = matches!(error, WireError::Silent(_)) && mode != ProbeMode::Implicit;
            let hint = if silent { "; a port that waits for TLS from the first byte behaves like this" } else { "" };
            self.broke(&format!("no greeting: {error}{hint}"))
        })?;
        let line = String::from_utf8_lossy(&line).into_owned();
        self.look.banner = Some(shown(&line, SHOWN));
        let refused = match self.protocol {
            Protocol::Imap => match imap::read(&line, "") {
                imap::Line::Untagged(word, _) if word.eq_ignore_ascii_case("OK") || word.eq_ignore_ascii_case("PREAUTH") => return Ok(()),
                imap::Line::Untagged(word, text) if word.eq_ignore_ascii_case("BYE") => {
                    Some((text.to_owned(), text.to_ascii_uppercase().contains("[UNAVAILABLE]")))
                }
                _ => None,
            },
            Protocol::Pop => match pop::read(&line) {
                pop::Answer::Ok(_) => return Ok(()),
                pop::Answer::Refused { text, for_now } => Some((text.to_owned(), for_now)),
                pop::Answer::Other => None,
            },
        };
        Err(match refused {
            Some((text, true)) => End {
                verdict: Verdict::Degraded,
                reason: format!("the server greets with a temporary refusal: {}", shown(&text, SHOWN)),
                remark: None,
            },
            Some((text, false)) => self.refused(format!("the server refuses every conversation with us: {}", shown(&text, SHOWN))),
            None => {
                self.in_step = false;
                self.refused(format!("the greeting is not {}: {}", self.protocol.word(), shown(&line, SHOWN)))
            }
        })
    }

    /// What the server says it can. An old POP3 server knows no CAPA, which says nothing.
    async fn capabilities(&mut self) -> Result<Vec<String>, End> {
        let kept = |words: Vec<String>| words.into_iter().take(MOST_WORDS).map(|word| shown(word, WORD_SHOWN)).collect();
        match self.protocol {
            Protocol::Imap => {
                let (ended, text, untagged) = self.ask_imap("CAPABILITY").await?;
                if ended != imap::Ended::Ok {
                    return Err(self.refused(format!("CAPABILITY is refused: {text}")));
                }
                let lists = untagged.iter().filter_map(|line| match imap::read(line, "") {
                    imap::Line::Untagged(word, list) if word.eq_ignore_ascii_case("CAPABILITY") => Some(list.to_owned()),
                    _ => None,
                });
                Ok(kept(lists.flat_map(|list| list.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()))
            }
            Protocol::Pop => {
                let line = self.ask_pop("CAPA").await?;
                let mut list = Vec::new();
                if !matches!(pop::read(&line), pop::Answer::Ok(_)) {
                    return Ok(list);
                }
                for _ in 0..MOST_LINES {
                    let line = self.line("CAPA").await?;
                    if line == "." {
                        return Ok(kept(list));
                    }
                    list.push(line);
                }
                Err(self.broke("after CAPA: the list does not end"))
            }
        }
    }

    async fn starttls(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let refusal = match self.protocol {
            Protocol::Imap => {
                let (ended, text, _) = self.ask_imap("STARTTLS").await?;
                (ended != imap::Ended::Ok).then_some(text)
            }
            Protocol::Pop => {
                let line = self.ask_pop("STLS").await?;
                (!matches!(pop::read(&line), pop::Answer::Ok(_))).then_some(line)
            }
        };
        if let Some(text) = refusal {
            let (host, word) = (self.server.host, self.protocol.starttls());
            let summary = format!("{host} offers {word} and then refuses it: {}", shown(&text, SHOWN));
            let rule = if self.protocol == Protocol::Imap { "imap.starttls_refused" } else { "pop.stls_refused" };
            return Err(End { verdict: Verdict::Down, reason: summary.clone(), remark: Some(Box::new(remark(rule, host, summary))) });
        }
        let done = self.handshake().await;
        self.look.stage_ms.tls = Some(ms(begun));
        done
    }

    async fn handshake(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let tls = self.prober.tls.as_ref().map_err(|error| End {
            verdict: Verdict::Unknown,
            reason: format!("TLS could not be set up here: {error}"),
            remark: None,
        })?;
        let Server { host, port } = self.server;
        let name = server_name(host, self.address);
        let done = self.wire.start_tls(tls.config.clone(), name.clone()).await;
        self.look.stage_ms.tls = Some(ms(begun));
        match done {
            Ok(session) => {
                let seen = tls.judge(session, &name, self.prober.net.now());
                judge_certificate(host, true, &seen, self.prober.net.now(), &mut self.remarks);
                if seen.report.version == "TLSv1.2" {
                    self.remarks.push(remark("tls.no_13", host, format!("{host} speaks TLS 1.2, not 1.3")));
                }
                self.look.tls = Some(seen.report);
                Ok(())
            }
            Err(error) => {
                self.in_step = false;
                let (reason, _) = handshake_failure(&error);
                let summary = format!("The TLS handshake with {host} on port {port} fails: {reason}");
                Err(End { verdict: Verdict::Down, reason, remark: Some(Box::new(remark(&self.protocol.rule("handshake_fails"), host, summary))) })
            }
        }
    }

    /// What of a login is offered before TLS. Without TLS at all it is the same fault.
    fn judge_clear(&mut self) {
        let capabilities = &self.look.capabilities;
        let (shows, how) = match self.protocol {
            Protocol::Imap => (imap::takes_plain_login(capabilities), "LOGIN or a plain mechanism, without LOGINDISABLED"),
            Protocol::Pop => (pop::takes_plain_login(capabilities), "USER or a plain mechanism"),
        };
        if shows {
            let Server { host, port } = self.server;
            let summary = format!("{host} takes passwords in clear on port {port}: before TLS it offers {how}");
            self.remarks.push(remark(&self.protocol.rule("login_in_clear"), host, summary));
        }
    }

    fn judge_secure(&mut self) {
        if self.protocol == Protocol::Imap && !self.look.capabilities.is_empty() && !imap::takes_login(&self.look.capabilities) {
            let host = self.server.host;
            self.remarks.push(remark("imap.no_login", host, format!("{host} offers no way to log in, not even under TLS")));
        }
    }

    /// A command with a tag of its own, and all lines up to the one that ends its answer.
    async fn ask_imap(&mut self, command: &str) -> Result<(imap::Ended, String, Vec<String>), End> {
        self.asked += 1;
        let tag = format!("a{}", self.asked);
        self.say(&format!("{tag} {command}"), command).await?;
        let mut untagged = Vec::new();
        for _ in 0..MOST_LINES {
            let line = self.line(command).await?;
            match imap::read(&line, &tag) {
                imap::Line::Ended(ended, text) => return Ok((ended, shown(text, SHOWN), untagged)),
                imap::Line::Untagged(word, text) if word.eq_ignore_ascii_case("BYE") => {
                    let reason = format!("after {command}: the server ends the conversation: {}", shown(text, SHOWN));
                    return Err(self.broke(&reason));
                }
                imap::Line::Untagged(..) => untagged.push(line),
                imap::Line::Other => {
                    let reason = format!("after {command}: the answer is not IMAP: {}", shown(&line, SHOWN));
                    return Err(self.broke(&reason));
                }
            }
        }
        Err(self.broke(&format!("after {command}: the answer does not end")))
    }

    async fn ask_pop(&mut self, command: &str) -> Result<String, End> {
        self.say(command, command).await?;
        let line = self.line(command).await?;
        if pop::read(&line) == pop::Answer::Other {
            return Err(self.broke(&format!("after {command}: the answer is not POP3: {}", shown(&line, SHOWN))));
        }
        Ok(line)
    }

    async fn say(&mut self, text: &str, command: &str) -> Result<(), End> {
        let said = self.wire.say(text).await;
        said.map_err(|error| self.broke(&format!("after {command}: {error}")))
    }

    async fn line(&mut self, command: &str) -> Result<String, End> {
        let line = self.wire.line().await;
        let line = line.map_err(|error| self.broke(&format!("after {command}: {error}")))?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn leave(&mut self) {
        self.asked += 1;
        match self.protocol {
            // Its BYE, and the end of the answer.
            Protocol::Imap => self.wire.leave(&format!("a{} LOGOUT", self.asked), 2).await,
            Protocol::Pop => self.wire.leave("QUIT", 1).await,
        }
    }

    /// The conversation broke off; nothing more is said.
    fn broke(&mut self, reason: &str) -> End {
        self.in_step = false;
        self.refused(reason.to_owned())
    }

    fn refused(&self, reason: String) -> End {
        let Server { host, port } = self.server;
        let summary = format!("{host} holds no {} conversation on port {port}: {reason}", self.protocol.word());
        End { verdict: Verdict::Down, reason, remark: Some(Box::new(remark(&self.protocol.rule("no_conversation"), host, summary))) }
    }
}

/// For the fuzzer: lines of mailbox servers.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_line(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let imap::Line::Untagged(word, text) = imap::read(&line, "a1") {
            assert!(line.len() >= word.len() + text.len());
        }
        if let pop::Answer::Refused { text, .. } | pop::Answer::Ok(text) = pop::read(&line) {
            assert!(line.ends_with(text));
        }
        let words: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
        std::hint::black_box((imap::takes_plain_login(&words), imap::takes_login(&words), pop::takes_plain_login(&words)));
    }
}
