//! What is asked of a server only where its owner wants it: whether it takes mail for postmaster and abuse, whether it relays for strangers,
//! whether it obeys commands from before TLS. No message is ever sent: RCPT is followed by RSET, never by DATA. Whoever calls sees to it that
//! the owner is known (the name's TXT record) and that a server is asked at most daily.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;
use waypost_types::{
    DomainName, UnknownPart,
    finding::Finding,
    outcome::{ProbeMode, ProbeReport, TranscriptLine, Verdict},
};

use super::{
    ProbeTarget, Prober, codes,
    conversation::{Talk, offers},
    remarks,
    reply::Reply,
    wire::WireError,
};
use crate::audit::rules::{Remark, remark};

/// A recipient of nobody: the domain is reserved (RFC 2606 3).
const STRANGER: &str = "waypost-relay-test@example.net";

/// What to ask beyond the conversation.
#[derive(Debug, Clone, Default)]
pub struct Asks {
    /// Whether postmaster and abuse of this domain are taken.
    pub recipients_of: Option<DomainName>,
    /// Whether mail from a stranger to a stranger is taken.
    pub relay: bool,
    /// Whether a command sent ahead of TLS is obeyed under it (CVE-2011-0411): a NOOP.
    pub injection: bool,
}

#[derive(Default)]
struct Asked {
    findings: Vec<Finding>,
    unknown: Vec<UnknownPart>,
    transcript: Vec<TranscriptLine>,
}

impl Asked {
    fn untold(&mut self, subject: &str, reason: impl Into<String>) {
        self.unknown.push(UnknownPart::new(subject, reason));
    }
}

/// Asks, in conversations of their own, and adds what came of it to the report of the first.
pub(super) async fn ask(prober: &Prober, target: &ProbeTarget, asks: &Asks, address: IpAddr, report: &mut ProbeReport) {
    let mut asked = Asked::default();
    if asks.recipients_of.is_some() || asks.relay {
        recipients(prober, target, asks, address, &mut asked).await;
        // One finding for both conversations.
        report.findings.retain(|finding| finding.rule != codes::RULE);
        asked.findings.extend(codes::judge(&target.host, &[&report.transcript, &asked.transcript]).map(Remark::done));
    }
    if asks.injection && target.mode == ProbeMode::Starttls && report.tls.is_some() {
        injection(prober, target, address, &mut asked).await;
    }
    report.findings.extend(asked.findings);
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.unknown.extend(asked.unknown);
    report.transcript.extend(asked.transcript);
    if matches!(report.verdict, Verdict::Up | Verdict::Degraded) {
        (report.verdict, report.reason) = remarks::verdict(report);
    }
}

/// A second conversation with the same address.
async fn dialled<'a>(prober: &'a Prober, target: &'a ProbeTarget, address: IpAddr) -> Result<Talk<'a>, String> {
    let started = Instant::now();
    match prober.net.dial(SocketAddr::new(address, target.port), prober.limits.connect).await {
        Ok(stream) => Ok(Talk::new(prober, target, address, stream, started)),
        Err(error) => Err(format!("a second connection could not be made: {error}")),
    }
}

async fn recipients(prober: &Prober, target: &ProbeTarget, asks: &Asks, address: IpAddr, asked: &mut Asked) {
    let mut talk = match dialled(prober, target, address).await {
        Ok(talk) => talk,
        Err(reason) => return asked.untold("recipients", reason),
    };
    let mut in_step = true;
    match talk.open().await {
        Ok(()) => {
            if let Err(error) = envelopes(&mut talk, asks, asked).await {
                asked.untold("recipients", format!("the conversation broke off: {error}"));
                in_step = false;
            }
        }
        Err(end) => {
            asked.untold("recipients", end.reason);
            in_step = end.in_step;
        }
    }
    talk.wire.quit(in_step).await;
    asked.transcript.append(&mut talk.wire.transcript);
}

async fn envelopes(talk: &mut Talk<'_>, asks: &Asks, asked: &mut Asked) -> Result<(), WireError> {
    let host = talk.target.host.clone();
    if let Some(domain) = &asks.recipients_of {
        let sender = talk.wire.ask("MAIL FROM:<>").await?;
        match sender.class() {
            2 => {
                for (user, rule) in [("postmaster", "smtp.postmaster_missing"), ("abuse", "smtp.abuse_missing")] {
                    let recipient = format!("{user}@{}", domain.as_str());
                    let reply = talk.wire.ask(&format!("RCPT TO:<{recipient}>")).await?;
                    judge_recipient(&host, &recipient, domain.as_str(), rule, &reply, asked);
                }
            }
            5 if !is_policy(&sender) => {
                let summary = format!("{host} refuses the empty sender, from which bounces come: {}", sender.text());
                asked.findings.push(remark("smtp.null_sender_refused", &host, summary).done());
            }
            _ => asked.untold("recipients", format!("the server does not take an envelope from us: {}", sender.text())),
        }
        talk.wire.ask("RSET").await?;
    }
    if asks.relay {
        let sender = talk.wire.ask(&format!("MAIL FROM:<postmaster@{}>", talk.prober.net.ehlo_name())).await?;
        // Asking for a login first is as good as refusing.
        if sender.class() == 2 {
            let reply = talk.wire.ask(&format!("RCPT TO:<{STRANGER}>")).await?;
            judge_relay(&host, &reply, asked);
            talk.wire.ask("RSET").await?;
        } else if sender.code != 530 {
            asked.untold("relay", format!("the server does not take an envelope from us: {}", sender.text()));
        }
    }
    Ok(())
}

fn judge_recipient(host: &str, recipient: &str, domain: &str, rule: &str, reply: &Reply, asked: &mut Asked) {
    match reply.class() {
        2 => {}
        4 => {
            // RFC 6647: whoever comes back is taken. Nothing is wrong with the recipient.
            let text = reply.text();
            if ["greylist", "graylist", "grey list", "gray list", "grey-list"].iter().any(|word| text.to_ascii_lowercase().contains(word)) {
                asked.findings.push(remark("smtp.greylisting", host, format!("{host} puts {recipient} off at first: {text}")).done());
            }
            asked.untold("recipients", format!("{recipient} is put off for now, as greylisting does: {text}"));
        }
        _ if is_policy(reply) => asked.untold("recipients", format!("{recipient} is refused for who asks, not for the name: {}", reply.text())),
        _ => asked
            .findings
            .push(remark(rule, host, format!("{host} does not take mail for {recipient}: {}", reply.text())).with("domain", domain).done()),
    }
}

fn judge_relay(host: &str, reply: &Reply, asked: &mut Asked) {
    match reply.code {
        // RFC 5321 3.5.3: taken without knowing whether it can be delivered, which RCPT should not say.
        252 => asked.untold("relay", format!("the server does not say whether it relays: {}", reply.text())),
        200..=299 => {
            let summary = format!("{host} takes mail for {STRANGER} from us, who are strangers to it: {}", reply.text());
            asked.findings.push(remark("smtp.open_relay", host, summary).done());
        }
        400..=499 => asked.untold("relay", format!("the server puts the question off: {}", reply.text())),
        _ => {}
    }
}

/// Refused for who we are or where we come from (RFC 3463: X.7), which says nothing about the recipient.
fn is_policy(reply: &Reply) -> bool {
    let enhanced = reply.lines.first().and_then(|line| line.split(' ').next()).filter(|word| word.matches('.').count() == 2);
    match enhanced {
        Some(code) => code.starts_with("5.7.") || code.starts_with("4."),
        None => !matches!(reply.code, 550 | 551 | 553),
    }
}

async fn injection(prober: &Prober, target: &ProbeTarget, address: IpAddr, asked: &mut Asked) {
    let mut talk = match dialled(prober, target, address).await {
        Ok(talk) => talk,
        Err(reason) => return asked.untold("injection", reason),
    };
    let obeyed = ahead(&mut talk).await;
    match &obeyed {
        Ok(true) => {
            let summary = format!("{} obeys, under TLS, a command that was sent before it in clear", target.host);
            asked.findings.push(remark("starttls.injection", &target.host, summary).done());
        }
        Ok(false) => {}
        Err(reason) => asked.untold("injection", reason),
    }
    talk.wire.quit(obeyed.is_ok()).await;
    asked.transcript.append(&mut talk.wire.transcript);
}

/// STARTTLS and NOOP in one packet. Whether the NOOP is answered under TLS is told by counting, not by waiting: if it is, each reply is one late.
async fn ahead(talk: &mut Talk<'_>) -> Result<bool, String> {
    talk.greeting().await.map_err(|end| end.reason)?;
    talk.ehlo().await.map_err(|end| end.reason)?;
    if !offers(&talk.report.extensions, "STARTTLS") {
        return Err("STARTTLS was not offered in the second conversation".to_owned());
    }
    // A server that refuses or hangs up because of what follows does the right thing.
    let reply = match talk.wire.ask_ahead("STARTTLS", "NOOP").await {
        Ok(reply) => reply,
        Err(WireError::Closed | WireError::Reset) => return Ok(false),
        Err(error) => return Err(format!("after STARTTLS: {error}")),
    };
    if reply.code != 220 {
        return Ok(false);
    }
    // The answer to the NOOP may come in clear before TLS, where the handshake meets it.
    if let Err(end) = talk.handshake().await {
        // Postfix hangs up on what it reads behind STARTTLS.
        if talk.handshake_cut {
            return Ok(false);
        }
        return Err(format!("TLS does not begin after a command sent ahead: {}", end.reason));
    }
    let broke = |error: WireError| format!("under TLS: {error}");
    let first = match talk.wire.ask(&format!("EHLO {}", talk.prober.net.ehlo_name())).await {
        Ok(reply) => reply,
        Err(WireError::Closed | WireError::Reset) => return Ok(false),
        Err(error) => return Err(broke(error)),
    };
    if first.lines.len() > 1 || first.class() != 2 {
        return Ok(false);
    }
    // One line: the NOOP's reply, or that of a server without extensions. The reply to RSET has one line, that to EHLO more.
    let second = talk.wire.ask("RSET").await.map_err(broke)?;
    if second.lines.len() > 1 {
        talk.wire.reply().await.map_err(broke)?;
        return Ok(true);
    }
    Ok(false)
}
