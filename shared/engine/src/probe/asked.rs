//! What a close look asks of a server: of any, old TLS and whether the ports where mail programs log in are there; of one whose owner is known,
//! whether it takes mail for postmaster and abuse, relays for strangers, tells who has a mailbox, obeys commands from before TLS, and what it does
//! with a message. No message is ever sent but the one of `data`, which no server should deliver: RCPT is followed by RSET.
//! Whoever calls sees to it that the owner is known (the name's TXT record) and that a server is asked at most daily.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;
use waypost_types::{
    DomainName, UnknownPart,
    finding::{Finding, Severity},
    outcome::{CloseLook, ProbeMode, ProbeReport, TranscriptLine},
};

use super::{ProbeTarget, Prober, codes, conversation::Talk, data, injection, old_tls, reply::Reply, submission, wire::WireError};
use crate::audit::rules::{Remark, remark};
use data::Made;

/// A recipient of nobody: the domain is reserved (RFC 2606 3).
const STRANGER: &str = "waypost-relay-test@example.net";
/// Who has no mailbox anywhere, and reads in a log like what it is.
const NOBODY: &str = "waypost-nobody-has-this-name";

/// The questions, as unknown parts name them.
const RELAY: &str = "relay";
const USERS: &str = "users";
const RECIPIENTS: &str = "recipients";
const INJECTION: &str = "injection";
const LINE_ENDS: &str = "line_ends";
const OLD_TLS: &str = "old_tls";
const SUBMISSION: &str = "submission";

/// The questions of a close look, as its unknown parts name them.
pub const QUESTIONS: [&str; 7] = [RELAY, USERS, RECIPIENTS, INJECTION, LINE_ENDS, OLD_TLS, SUBMISSION];

/// Whether only the owner of a server may have it asked that. Any client may offer old TLS, and look for the port to log in at.
pub fn is_of_owner(question: &str) -> bool {
    !matches!(question, OLD_TLS | SUBMISSION)
}

/// The question of a close look whose answer a rule speaks of, as an unknown part names it.
pub fn question_of(rule: &str) -> Option<&'static str> {
    match rule {
        "smtp.open_relay" => Some(RELAY),
        "smtp.vrfy_enabled" | "smtp.expn_enabled" => Some(USERS),
        "smtp.postmaster_missing"
        | "smtp.abuse_missing"
        | "smtp.null_sender_refused"
        | "smtp.catch_all"
        | "smtp.rejects_after_data"
        | "smtp.greylisting"
        | codes::RULE => Some(RECIPIENTS),
        "starttls.injection" => Some(INJECTION),
        "smtp.bare_lf_accepted" => Some(LINE_ENDS),
        "smtp.submission_missing" | "smtp.implicit_tls_missing" => Some(SUBMISSION),
        "tls.old_version" | "tls.weak_cipher" => Some(OLD_TLS),
        _ => None,
    }
}

/// What to ask beyond the conversation.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // independent questions, no states
pub struct Asks {
    /// Whether postmaster and abuse of this domain are taken, and whether everybody is.
    pub recipients_of: Option<DomainName>,
    /// Whether a message to them ends with a line end that is LF alone, and whether everybody is refused after it. Asked with a message that no
    /// server should deliver.
    pub data: bool,
    /// Whether mail from a stranger to a stranger is taken.
    pub relay: bool,
    /// Whether VRFY and EXPN tell who has a mailbox.
    pub users: bool,
    /// Whether a command sent ahead of TLS is obeyed under it (CVE-2011-0411): a NOOP.
    pub injection: bool,
    /// Whether versions and suites that nobody should use any more are accepted.
    pub old_tls: bool,
    /// Whether a server for users has the ports where mail programs log in.
    pub submission: bool,
}

impl Asks {
    /// What only the owner of a server may have asked: recipients where it takes the domain's mail, relaying where we are strangers to it.
    pub const fn of_owner(recipients_of: Option<DomainName>, relay: bool) -> Self {
        Self { recipients_of, data: true, relay, users: true, injection: true, old_tls: false, submission: false }
    }

    /// What may be asked of anybody's server: any client may offer old TLS, and look for the port to log in at.
    pub fn of_anybody() -> Self {
        Self { old_tls: true, submission: true, ..Self::default() }
    }

    /// Nothing is to be asked.
    pub const fn is_empty(&self) -> bool {
        !self.is_of_owner() && !self.old_tls && !self.submission
    }

    const fn is_of_owner(&self) -> bool {
        // Without a domain there is nobody to send a message to.
        let Self { recipients_of, data: _, relay, users, injection, old_tls: _, submission: _ } = self;
        recipients_of.is_some() || *relay || *users || *injection
    }
}

#[derive(Default)]
struct Asked {
    findings: Vec<Finding>,
    unknown: Vec<UnknownPart>,
    transcript: Vec<TranscriptLine>,
}

impl Asked {
    /// Each once: a server that greylists does it to every recipient.
    fn find(&mut self, remark: Remark) {
        let finding = remark.done();
        if !self.findings.iter().any(|known| known.rule == finding.rule) {
            self.findings.push(finding);
        }
    }

    fn untold(&mut self, question: &str, reason: impl Into<String>) {
        self.unknown.push(UnknownPart::new(question, reason));
    }
}

impl Prober {
    /// Asks the address of a conversation that was just held, in conversations of their own. Nothing where none was held. What would be an
    /// alarm is asked twice, since it is believed for a day: only a second answer that says otherwise takes it back.
    pub async fn look_closely(&self, target: &ProbeTarget, asks: &Asks, held: &ProbeReport) -> Option<CloseLook> {
        let address = held.address.filter(|_| held.stage_ms.ehlo.is_some())?;
        let mut asked = ask(self, target, asks, held, address).await;
        if asked.findings.iter().any(is_alarm) {
            let again = ask(self, target, asks, held, address).await;
            let untold = |finding: &Finding| again.unknown.iter().any(|part| question_of(&finding.rule) == Some(part.subject.as_str()));
            let is_so = |finding: &Finding| again.findings.iter().any(|other| other.rule == finding.rule);
            let (sure, passing): (Vec<Finding>, Vec<Finding>) =
                asked.findings.into_iter().partition(|finding| !is_alarm(finding) || is_so(finding) || untold(finding));
            asked.findings = sure;
            for finding in passing {
                let question = question_of(&finding.rule).unwrap_or(RECIPIENTS);
                asked.unknown.push(UnknownPart::new(question, format!("asked twice, the server gave two answers; the first: {}", finding.summary)));
            }
        }
        let Asked { mut findings, unknown, transcript } = asked;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Some(CloseLook { address, at: self.net.now(), of_owner: asks.is_of_owner(), findings, unknown, transcript })
    }
}

fn is_alarm(finding: &Finding) -> bool {
    finding.severity >= Severity::Medium
}

async fn ask(prober: &Prober, target: &ProbeTarget, asks: &Asks, held: &ProbeReport, address: IpAddr) -> Asked {
    let mut asked = Asked::default();
    if asks.recipients_of.is_some() || asks.relay || asks.users {
        conversation(prober, target, asks, address, &mut asked).await;
        asked.findings.extend(codes::judge(&target.host, &[&asked.transcript]).map(Remark::done));
    }
    if asks.data
        && let Some(domain) = &asks.recipients_of
    {
        line_ends(prober, target, address, domain, &mut asked).await;
    }
    if asks.injection && target.mode == ProbeMode::Starttls && held.tls.is_some() {
        ahead_of_tls(prober, target, address, &mut asked).await;
    }
    if asks.old_tls && held.tls.is_some() {
        let old_tls::Found { remarks, untold } = old_tls::look(prober, target, address).await;
        asked.findings.extend(remarks.into_iter().map(|remark| remark.with("host", &target.host).done()));
        if let Some(reason) = untold {
            asked.untold(OLD_TLS, reason);
        }
    }
    if asks.submission {
        match submission::look(prober, held).await {
            Ok(found) => found.into_iter().for_each(|remark| asked.find(remark)),
            Err(reason) => asked.untold(SUBMISSION, reason),
        }
    }
    asked
}

async fn line_ends(prober: &Prober, target: &ProbeTarget, address: IpAddr, domain: &DomainName, asked: &mut Asked) {
    let mut talk = match dialled(prober, target, address).await {
        Ok(talk) => talk,
        Err(reason) => return asked.untold(LINE_ENDS, reason),
    };
    match data::bare_lf(prober, target, &mut talk, domain).await {
        Ok(Some(reply)) => {
            let summary = format!("{} takes a line end that is LF alone for the end of a message: {reply}", target.host);
            asked.find(remark("smtp.bare_lf_accepted", &target.host, summary));
        }
        Ok(None) => {}
        Err(reason) => asked.untold(LINE_ENDS, reason),
    }
    asked.transcript.append(&mut talk.wire.transcript);
}

/// A second conversation with the same address.
pub(super) async fn dialled<'a>(prober: &'a Prober, target: &'a ProbeTarget, address: IpAddr) -> Result<Talk<'a>, String> {
    let started = Instant::now();
    match prober.net.dial(SocketAddr::new(address, target.port), prober.limits.connect).await {
        Ok(stream) => Ok(Talk::new(prober, target, address, stream, started)),
        Err(error) => Err(format!("a second connection could not be made: {error}")),
    }
}

/// The questions of one conversation, the most serious first: some servers hang up after a recipient that they do not know.
async fn conversation(prober: &Prober, target: &ProbeTarget, asks: &Asks, address: IpAddr, asked: &mut Asked) {
    let wanted = [(asks.relay, RELAY), (asks.users, USERS), (asks.recipients_of.is_some(), RECIPIENTS)];
    let mut left: Vec<&str> = wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, question)| question).collect();
    let mut talk = match dialled(prober, target, address).await {
        Ok(talk) => talk,
        Err(reason) => return left.into_iter().for_each(|question| asked.untold(question, &reason)),
    };
    let mut ended = talk.open().await.map_err(|end| (end.reason, end.in_step));
    while ended.is_ok() && !left.is_empty() {
        let answered = match left[0] {
            RELAY => relay(&mut talk, asked).await,
            USERS => users(&mut talk, asked).await,
            _ => match &asks.recipients_of {
                Some(domain) => recipients(&mut talk, (domain, asks.data), asked).await,
                None => Ok(()),
            },
        };
        match answered {
            Ok(()) => drop(left.remove(0)),
            Err(error) => ended = Err((format!("the conversation broke off: {error}"), false)),
        }
    }
    if let Err((reason, _)) = &ended {
        for question in left {
            asked.untold(question, reason);
        }
    }
    talk.wire.quit(ended.err().is_none_or(|(_, in_step)| in_step)).await;
    asked.transcript.append(&mut talk.wire.transcript);
}

async fn relay(talk: &mut Talk<'_>, asked: &mut Asked) -> Result<(), WireError> {
    let sender = talk.wire.ask(&format!("MAIL FROM:<postmaster@{}>", talk.prober.net.ehlo_name())).await?;
    // Asking for a login first is as good as refusing.
    if sender.class() == 2 {
        let reply = talk.wire.ask(&format!("RCPT TO:<{STRANGER}>")).await?;
        judge_relay(&talk.target.host, &reply, asked);
        talk.wire.ask("RSET").await?;
    } else if sender.code != 530 {
        asked.untold(RELAY, format!("the server does not take an envelope from us: {}", sender.text()));
    }
    Ok(())
}

/// VRFY tells users where it answers differently by whether there is one: Postfix says 252 to a name it knows. A server that says yes to
/// everybody tells nothing.
async fn users(talk: &mut Talk<'_>, asked: &mut Asked) -> Result<(), WireError> {
    let host = talk.target.host.clone();
    let known = talk.wire.ask("VRFY postmaster").await?;
    if known.class() == 2 {
        let unknown = talk.wire.ask(&format!("VRFY {NOBODY}")).await?;
        if matches!(unknown.code, 550 | 551 | 553) {
            let summary = format!("{host} tells by VRFY who has a mailbox: postmaster gives “{}”, a made-up name “{}”", known.text(), unknown.text());
            asked.find(remark("smtp.vrfy_enabled", &host, summary));
        }
    }
    let members = talk.wire.ask("EXPN postmaster").await?;
    if members.code == 250 {
        let summary = format!("{host} tells by EXPN who is behind a name: {}", members.lines.first().map_or("", String::as_str));
        asked.find(remark("smtp.expn_enabled", &host, summary));
    }
    Ok(())
}

async fn recipients(talk: &mut Talk<'_>, (domain, sends): (&DomainName, bool), asked: &mut Asked) -> Result<(), WireError> {
    let host = talk.target.host.clone();
    let sender = talk.wire.ask("MAIL FROM:<>").await?;
    match sender.class() {
        2 => {
            for (user, rule) in [("postmaster", "smtp.postmaster_missing"), ("abuse", "smtp.abuse_missing")] {
                let recipient = format!("{user}@{}", domain.as_str());
                let reply = talk.wire.ask(&format!("RCPT TO:<{recipient}>")).await?;
                judge_recipient(&host, &recipient, domain.as_str(), rule, &reply, asked);
            }
            let nobody = format!("{NOBODY}@{}", domain.as_str());
            let reply = talk.wire.ask(&format!("RCPT TO:<{nobody}>")).await?;
            // 252 leaves it open (RFC 5321 3.5.3).
            if matches!(reply.code, 250 | 251) {
                let made = if sends { data::late_refusal(talk, &nobody).await? } else { Made::Else };
                match made {
                    Made::Refused(late) => {
                        let summary = format!("{host} takes {nobody}, which nobody has, at RCPT TO and refuses it after DATA: {late}");
                        asked.find(remark("smtp.rejects_after_data", &host, summary));
                    }
                    Made::Else => {
                        let summary = format!("{host} takes mail for {nobody}, which nobody has: {}", reply.text());
                        asked.find(remark("smtp.catch_all", &host, summary));
                    }
                    Made::Untold(reason) => asked.untold(RECIPIENTS, reason),
                }
            }
        }
        5 if !is_policy(&sender) => {
            let summary = format!("{host} refuses the empty sender, from which bounces come: {}", sender.text());
            asked.find(remark("smtp.null_sender_refused", &host, summary));
        }
        _ => asked.untold(RECIPIENTS, format!("the server does not take an envelope from us: {}", sender.text())),
    }
    talk.wire.ask("RSET").await?;
    Ok(())
}

fn judge_recipient(host: &str, recipient: &str, domain: &str, rule: &str, reply: &Reply, asked: &mut Asked) {
    let text = reply.text();
    match reply.class() {
        2 => {}
        4 => {
            // RFC 6647: whoever comes back is taken. Nothing is wrong with the recipient.
            let lower = text.to_ascii_lowercase();
            if ["greylist", "graylist", "grey list", "gray list", "grey-list"].iter().any(|word| lower.contains(word)) {
                asked.find(remark("smtp.greylisting", host, format!("{host} puts {recipient} off at first: {text}")));
            }
            asked.untold(RECIPIENTS, format!("{recipient} is put off for now, as greylisting does: {text}"));
        }
        _ if says_no_such_user(reply) => {
            asked.find(remark(rule, host, format!("{host} does not take mail for {recipient}: {text}")).with("mail_domain", domain));
        }
        _ => asked.untold(RECIPIENTS, format!("{recipient} is refused, and not clearly for the name rather than for who asks: {text}")),
    }
}

fn judge_relay(host: &str, reply: &Reply, asked: &mut Asked) {
    match reply.code {
        // RFC 5321 3.5.3: taken without knowing whether it can be delivered, which RCPT should not say.
        252 => asked.untold(RELAY, format!("the server does not say whether it relays: {}", reply.text())),
        200..=299 => {
            let summary = format!("{host} takes mail for {STRANGER} from us, who are strangers to it: {}", reply.text());
            asked.find(remark("smtp.open_relay", host, summary));
        }
        400..=499 => asked.untold(RELAY, format!("the server puts the question off: {}", reply.text())),
        // The reserved domain takes no mail (RFC 7505 4.2), which a server may look up before it says whether it relays.
        556 => asked.untold(RELAY, format!("the server looks at the recipient's domain first: {}", reply.text())),
        _ if matches!(enhanced(reply), Some("5.1.2" | "5.1.10")) => {
            asked.untold(RELAY, format!("the server looks at the recipient's domain first: {}", reply.text()));
        }
        _ => {}
    }
}

/// RFC 3463: X.1 is about the address. A server without such codes says it in words, or leaves open whether it means the name or us.
pub(super) fn says_no_such_user(reply: &Reply) -> bool {
    const OF_USERS: [&str; 8] = ["user", "mailbox", "recipient", "unknown", "not exist", "no such", "not found", "invalid address"];
    const OF_POLICY: [&str; 9] = ["block", "spam", "relay", "denied", "listed", "policy", "reputation", "not allowed", "reject"];
    if let Some(code) = enhanced(reply) {
        return code.starts_with("5.1.") && !matches!(code, "5.1.7" | "5.1.8");
    }
    let text = reply.text().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    matches!(reply.code, 550 | 551 | 553) && says(&OF_USERS) && !says(&OF_POLICY)
}

pub(super) fn enhanced(reply: &Reply) -> Option<&str> {
    reply.lines.first().and_then(|line| line.split(' ').next()).filter(|word| word.matches('.').count() == 2)
}

/// Refused for who we are or where we come from (RFC 3463: X.7), which says nothing about the sender's address.
fn is_policy(reply: &Reply) -> bool {
    match enhanced(reply) {
        Some(code) => code.starts_with("5.7.") || code.starts_with("4."),
        None => !matches!(reply.code, 550 | 551 | 553),
    }
}

async fn ahead_of_tls(prober: &Prober, target: &ProbeTarget, address: IpAddr, asked: &mut Asked) {
    let mut talk = match dialled(prober, target, address).await {
        Ok(talk) => talk,
        Err(reason) => return asked.untold(INJECTION, reason),
    };
    let obeyed = injection::obeys(&mut talk).await;
    match &obeyed {
        Ok(true) => {
            let summary = format!("{} obeys, under TLS, a command that was sent before it in clear", target.host);
            asked.find(remark("starttls.injection", &target.host, summary));
        }
        Ok(false) => {}
        Err(reason) => asked.untold(INJECTION, reason),
    }
    talk.wire.quit(obeyed.is_ok()).await;
    asked.transcript.append(&mut talk.wire.transcript);
}
