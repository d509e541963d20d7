//! What a close look asks of a server: old TLS of any, and of one whose owner is known whether it takes mail for postmaster and abuse, relays
//! for strangers, tells who has a mailbox, obeys commands from before TLS. No message is ever sent: RCPT is followed by RSET, never by DATA.
//! Whoever calls sees to it that the owner is known (the name's TXT record) and that a server is asked at most daily.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;
use waypost_types::{
    DomainName, UnknownPart,
    finding::{Finding, Severity},
    outcome::{CloseLook, CloseLookShown, ProbeMode, ProbeReport, SmtpReport, TranscriptLine, Verdict},
};

use super::{
    ProbeTarget, Prober, codes,
    conversation::{Talk, offers},
    old_tls, remarks,
    reply::Reply,
    wire::WireError,
};
use crate::audit::rules::{Remark, remark};

/// A recipient of nobody: the domain is reserved (RFC 2606 3).
const STRANGER: &str = "waypost-relay-test@example.net";
/// Who has no mailbox anywhere, and reads in a log like what it is.
const NOBODY: &str = "waypost-nobody-has-this-name";

/// What to ask beyond the conversation.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // independent questions, no states
pub struct Asks {
    /// Whether postmaster and abuse of this domain are taken, and whether everybody is.
    pub recipients_of: Option<DomainName>,
    /// Whether mail from a stranger to a stranger is taken.
    pub relay: bool,
    /// Whether VRFY and EXPN tell who has a mailbox.
    pub users: bool,
    /// Whether a command sent ahead of TLS is obeyed under it (CVE-2011-0411): a NOOP.
    pub injection: bool,
    /// Whether versions and suites that nobody should use any more are accepted. Needs no owner: it is what any client may offer.
    pub old_tls: bool,
}

impl Asks {
    /// Everything, of a server whose owner is known; the recipients only where it takes the domain's mail.
    pub const fn of_owner(recipients_of: Option<DomainName>) -> Self {
        Self { recipients_of, relay: true, users: true, injection: true, old_tls: true }
    }

    /// Nothing is to be asked.
    pub const fn is_empty(&self) -> bool {
        let Self { recipients_of, relay, users, injection, old_tls } = self;
        recipients_of.is_none() && !(*relay || *users || *injection || *old_tls)
    }

    /// What may be asked of anybody's server.
    pub fn of_anybody() -> Self {
        Self { old_tls: true, ..Self::default() }
    }
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

impl Prober {
    /// Asks the address of a conversation that was just held, in conversations of their own. What would be an alarm is looked at twice: it is
    /// believed for a day.
    pub async fn look_closely(&self, target: &ProbeTarget, asks: &Asks, held: &ProbeReport) -> Option<CloseLook> {
        let address = held.address.filter(|_| held.stage_ms.ehlo.is_some())?;
        let mut asked = ask(self, target, asks, held, address).await;
        if asked.findings.iter().any(is_alarm) {
            let again = ask(self, target, asks, held, address).await;
            let (seen_twice, once): (Vec<Finding>, Vec<Finding>) =
                asked.findings.into_iter().partition(|finding| !is_alarm(finding) || again.findings.iter().any(|other| other.rule == finding.rule));
            asked.findings = seen_twice;
            let passing = once.iter().map(|finding| UnknownPart::new(&finding.rule, format!("seen once and not a second time: {}", finding.summary)));
            asked.unknown.extend(passing);
        }
        let Asked { findings, unknown, transcript } = asked;
        Some(CloseLook { address, at: self.net.now(), findings, unknown, transcript })
    }
}

fn is_alarm(finding: &Finding) -> bool {
    finding.severity >= Severity::Medium
}

/// Adds what a close look found, which may be hours old, to the report of a conversation with the same address.
pub fn add_close_look(report: &mut SmtpReport, look: &CloseLook) {
    let Some(probe) = report.probes.iter_mut().find(|probe| probe.address == Some(look.address) && probe.stage_ms.ehlo.is_some()) else { return };
    for finding in &look.findings {
        if !probe.findings.iter().any(|known| known.rule == finding.rule) {
            probe.findings.push(finding.clone());
        }
    }
    probe.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    probe.unknown.extend(look.unknown.iter().cloned());
    probe.close_look = Some(CloseLookShown { at: look.at, transcript: look.transcript.clone() });
    if matches!(probe.verdict, Verdict::Up | Verdict::Degraded) {
        (probe.verdict, probe.reason) = remarks::verdict(probe);
    }
    (report.verdict, report.summary) = super::worst(&report.probes);
}

async fn ask(prober: &Prober, target: &ProbeTarget, asks: &Asks, held: &ProbeReport, address: IpAddr) -> Asked {
    let mut asked = Asked::default();
    if asks.recipients_of.is_some() || asks.relay || asks.users {
        recipients(prober, target, asks, address, &mut asked).await;
        asked.findings.extend(codes::judge(&target.host, &[&asked.transcript]).map(Remark::done));
    }
    if asks.injection && target.mode == ProbeMode::Starttls && held.tls.is_some() {
        injection(prober, target, address, &mut asked).await;
    }
    if asks.old_tls && held.tls.is_some() {
        match old_tls::look(prober, target, address).await {
            Ok(remarks) => asked.findings.extend(remarks.into_iter().map(|remark| remark.with("host", &target.host).done())),
            Err(reason) => asked.untold("old_tls", reason),
        }
    }
    asked
}

/// A second conversation with the same address.
pub(super) async fn dialled<'a>(prober: &'a Prober, target: &'a ProbeTarget, address: IpAddr) -> Result<Talk<'a>, String> {
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
                // The one who has no mailbox comes last: some servers hang up after it.
                let nobody = format!("{NOBODY}@{}", domain.as_str());
                let reply = talk.wire.ask(&format!("RCPT TO:<{nobody}>")).await?;
                // 252 leaves it open (RFC 5321 3.5.3).
                if matches!(reply.code, 250 | 251) {
                    let summary = format!("{host} takes mail for {nobody}, which nobody has: {}", reply.text());
                    asked.findings.push(remark("smtp.catch_all", &host, summary).done());
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
    if asks.users {
        users(talk, &host, asked).await?;
    }
    Ok(())
}

/// VRFY tells users only where it answers differently by whether there is one; a server that says 250 to everybody tells nothing.
async fn users(talk: &mut Talk<'_>, host: &str, asked: &mut Asked) -> Result<(), WireError> {
    let known = talk.wire.ask("VRFY postmaster").await?;
    if matches!(known.code, 250 | 251) {
        let unknown = talk.wire.ask(&format!("VRFY {NOBODY}")).await?;
        if matches!(unknown.code, 550 | 551 | 553) {
            let summary = format!("{host} tells by VRFY who has a mailbox: postmaster gives “{}”, a made-up name “{}”", known.text(), unknown.text());
            asked.findings.push(remark("smtp.vrfy_enabled", host, summary).done());
        }
    }
    let members = talk.wire.ask("EXPN postmaster").await?;
    if members.code == 250 {
        let summary = format!("{host} tells by EXPN who is behind a name: {}", members.lines.first().map_or("", String::as_str));
        asked.findings.push(remark("smtp.expn_enabled", host, summary).done());
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
