//! What is wrong with a message, as findings of the rules `message.*`, `arc.*` and those of `dkim.*` that are about signatures.

use chrono::{DateTime, Duration, Utc};
use waypost_types::{
    finding::{Finding, Severity},
    headers::{ArcState, HeaderReport, SignatureReport, Verified},
};

use super::{alignment::spf_passes, fields::Parts, freemail};
use crate::audit::rules::{Remark, remark};

/// RFC 5322 2.1.1, without the line end.
const MAX_LINE: usize = 998;
/// RFC 5322 3.6: at most one of each.
const SINGULAR: [&str; 10] = ["From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"];
/// Less time than this between `t=` and `x=` does not outlast a queue.
const SHORT: Duration = Duration::days(1);

/// What the rules need beside the report.
pub(super) struct Look<'a> {
    pub(super) parts: &'a Parts<'a>,
    /// The key of a signature forbids subdomains in `i=`, by position.
    pub(super) strict_keys: Vec<bool>,
}

/// Whether the message looks like bulk mail.
pub(super) fn is_bulk(parts: &Parts<'_>) -> bool {
    ["List-Id", "List-Unsubscribe", "Feedback-ID"].into_iter().any(|name| parts.has(name)) || says_bulk(parts)
}

fn says_bulk(parts: &Parts<'_>) -> bool {
    parts.first("Precedence").is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "bulk" | "list"))
}

/// All findings, worst first.
pub(super) fn all(report: &HeaderReport, look: &Look<'_>) -> Vec<Finding> {
    let mut out: Vec<Remark> = Vec::new();
    form(report, look, &mut out);
    bulk(report, look.parts, &mut out);
    signatures(report, look, &mut out);
    identity(report, look.parts, &mut out);
    if report.arc.state == ArcState::Fail {
        let subject = report.arc.sets.iter().rev().find_map(|set| set.domain.clone()).unwrap_or_else(|| subject(report));
        out.push(remark("arc.broken_chain", &subject, format!("The ARC chain is broken: {}", report.arc.reason)));
    }
    let mut findings: Vec<Finding> = out.into_iter().map(Remark::done).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.rule.cmp(&b.rule)));
    findings
}

fn subject(report: &HeaderReport) -> String {
    report.from_domain.clone().unwrap_or_else(|| "message".to_owned())
}

/// The form of the message (RFC 5322).
fn form(report: &HeaderReport, look: &Look<'_>, out: &mut Vec<Remark>) {
    let about = subject(report);
    let parts = look.parts;
    for name in SINGULAR {
        let count = parts.all(name).count();
        if count > 1 {
            out.push(remark("message.header_singular", &about, format!("The message has {count} {name} fields, one is allowed")).with("field", name));
        }
    }
    // A part of a header that was copied lacks much; only what looks whole can miss something.
    let whole = report.body_present || ["From", "Date", "Subject", "To", "Message-ID"].into_iter().filter(|name| parts.has(name)).count() >= 3;
    if whole {
        for name in ["From", "Date"].into_iter().filter(|name| !parts.has(name)) {
            let fix = format!("Let the program that makes the message write one {name} field.");
            out.push(remark("message.header_singular", &about, format!("The message has no {name} field, one must be there")).fix(fix));
        }
        match &report.message_id {
            None => out.push(remark("message.message_id", &about, "The message has no Message-ID")),
            Some(id) if !is_message_id(id) => {
                out.push(remark("message.message_id", &about, format!("The Message-ID “{}” is not of the form <unique@domain>", cut(id))));
            }
            Some(_) => {}
        }
    }
    // Receivers add long fields of their own: only the body and what the sender writes are looked at.
    if report.body_present {
        let own = parts.fields.iter().filter(|field| SINGULAR.iter().any(|name| field.is(name)));
        let lines = own.flat_map(|field| field.value.split(is_end)).chain(parts.body.split(is_end));
        let long = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len()).max().unwrap_or(0);
        if long > MAX_LINE {
            out.push(remark("message.line_too_long", &about, format!("The longest line has {long} octets, {MAX_LINE} are allowed")));
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as split() wants it
fn is_end(byte: &u8) -> bool {
    *byte == b'\n'
}

/// `<left@right>` without blanks (RFC 5322 3.6.4), read kindly.
fn is_message_id(id: &str) -> bool {
    id.strip_prefix('<')
        .and_then(|id| id.strip_suffix('>'))
        .and_then(|id| id.split_once('@'))
        .is_some_and(|(left, right)| !left.is_empty() && !right.is_empty() && !id.contains(char::is_whitespace))
}

fn cut(text: &str) -> String {
    crate::text::shown(text, 80)
}

/// One-click unsubscription of bulk mail (RFC 8058).
fn bulk(report: &HeaderReport, parts: &Parts<'_>, out: &mut Vec<Remark>) {
    // Discussion lists (List-Post) and automatic answers are no marketing, whatever else they say of themselves.
    let automatic = parts.first("Auto-Submitted").is_some_and(|value| !value.to_ascii_lowercase().starts_with("no"));
    if !report.bulk || parts.has("List-Post") || (automatic && !parts.has("List-Unsubscribe")) {
        return;
    }
    let unsubscribe = parts.first("List-Unsubscribe").unwrap_or_default().to_ascii_lowercase();
    let post = parts.first("List-Unsubscribe-Post").is_some_and(|value| value.trim().eq_ignore_ascii_case("List-Unsubscribe=One-Click"));
    let seen = match (unsubscribe.is_empty(), unsubscribe.contains("<https://"), post) {
        (_, true, true) => return,
        (true, ..) => "The message looks like bulk mail and has no List-Unsubscribe",
        (_, false, _) => "List-Unsubscribe has no https address, so one-click does not work",
        (_, true, false) => "List-Unsubscribe has an https address, but List-Unsubscribe-Post: List-Unsubscribe=One-Click is missing",
    };
    let made = remark("message.list_unsubscribe_missing", &subject(report), seen);
    // Sending services add Feedback-ID to order confirmations too: alone it is a hint, no proof.
    let only_a_hint = !parts.has("List-Id") && unsubscribe.is_empty() && !says_bulk(parts);
    out.push(if only_a_hint { made.severity(Severity::Info) } else { made });
}

/// What the signatures themselves do wrong. Those of others (a list, a gateway) are not the sender's to repair: only aligned ones count where one exists.
fn signatures(report: &HeaderReport, look: &Look<'_>, out: &mut Vec<Remark>) {
    let any_ours = report.signatures.iter().any(|signature| signature.aligned == Some(true));
    let ours: Vec<(usize, &SignatureReport)> =
        report.signatures.iter().enumerate().filter(|(_, signature)| signature.aligned == Some(true) || !any_ours).collect();
    // It was not delivered before it was written.
    let seen = report.hops.iter().rev().find_map(|hop| hop.time);
    let delivered = seen.map(|seen| (seen, "the message was delivered")).or(report.date.map(|date| (date, "the Date of the message")));
    for (at, signature) in &ours {
        let name = format!("{}._domainkey.{}", signature.selector, signature.domain);
        if signature.algorithm == "rsa-sha1" {
            out.push(remark(
                "dkim.sha1",
                &name,
                format!("The signature with selector {} uses SHA-1 (a=rsa-sha1), which receivers must not accept", signature.selector),
            ));
        }
        if let Some(length) = signature.body_length {
            out.push(remark("dkim.body_length", &name, format!("The signature covers only the first {length} octets of the body (l={length})")));
        }
        if let Some((rule, seen)) = expiry(signature, delivered) {
            out.push(remark(rule, &name, seen));
        }
        let times = signature.signed_fields.iter().filter(|field| *field == "from").count();
        let present = look.parts.all("From").count();
        // That From is not signed at all is why it does not verify.
        if signature.aligned == Some(true) && (1..=present).contains(&times) {
            let seen =
                format!("The signature lists From {times} times for {present} From fields; once more would keep another From from being added");
            out.push(remark("dkim.from_not_oversigned", &name, seen.replace("1 times", "once").replace("1 From fields", "1 From field")));
        }
        if look.strict_keys.get(*at).copied().unwrap_or(false)
            && let Some((_, identity)) = signature.identity.as_deref().and_then(|identity| identity.rsplit_once('@'))
            && !identity.eq_ignore_ascii_case(&signature.domain)
            && identity.to_ascii_lowercase().ends_with(&format!(".{}", signature.domain))
        {
            let seen = format!("The signature names {identity} in i=, but the key of {} allows no subdomain (t=s)", signature.domain);
            out.push(remark("dkim.strict_subdomain", &name, seen));
        }
    }
    if !report.signatures.is_empty() && report.signatures.iter().all(|signature| signature.algorithm == "ed25519-sha256") {
        out.push(remark("dkim.ed25519_alone", &subject(report), "The message is signed with Ed25519 only, which many receivers can not verify"));
    }
    unsubscribe_signed(report, look.parts, out);
}

/// That it had expired, or that it soon does: the rule, and what is seen.
fn expiry(signature: &SignatureReport, delivered: Option<(DateTime<Utc>, &str)>) -> Option<(&'static str, String)> {
    let expires = signature.expires?;
    if let Some(signed) = signature.signed_at.filter(|signed| expires <= *signed) {
        let (expires, signed) = (expires.format("%Y-%m-%d %H:%M UTC"), signed.format("%Y-%m-%d %H:%M UTC"));
        return Some(("dkim.expired", format!("The signature expires at {expires}, before it was made at {signed} (x= before t=)")));
    }
    if let Some((_, before)) = delivered.filter(|(delivered, _)| expires < *delivered) {
        let seen = format!("The signature expired at {}, before {before}", expires.format("%Y-%m-%d %H:%M UTC"));
        return Some(("dkim.expired", seen));
    }
    let signed = signature.signed_at?;
    let lasts = expires - signed;
    (lasts < SHORT).then(|| ("dkim.expiry_short", format!("The signature lasts {} minutes only (x= after t=)", lasts.num_minutes())))
}

/// RFC 8058 4: a signature that passes covers both fields.
fn unsubscribe_signed(report: &HeaderReport, parts: &Parts<'_>, out: &mut Vec<Remark>) {
    if report.signatures.is_empty() || !parts.has("List-Unsubscribe") || !parts.has("List-Unsubscribe-Post") {
        return;
    }
    let covers = |signature: &SignatureReport| {
        ["list-unsubscribe", "list-unsubscribe-post"].into_iter().all(|name| signature.signed_fields.iter().any(|field| field == name))
    };
    if !report.signatures.iter().any(|signature| signature.verified != Verified::Broken && covers(signature)) {
        let seen = if report.signatures.iter().any(covers) {
            "The signature that covers List-Unsubscribe and List-Unsubscribe-Post does not verify"
        } else {
            "No signature covers both List-Unsubscribe and List-Unsubscribe-Post (h=)"
        };
        out.push(remark("dkim.unsubscribe_unsigned", &subject(report), seen));
    }
}

/// From against who really sends.
fn identity(report: &HeaderReport, parts: &Parts<'_>, out: &mut Vec<Remark>) {
    let Some(from) = report.from_domain.as_deref() else { return };
    if report.alignment.dkim_aligned != Some(false) || report.signatures.is_empty() {
        return;
    }
    let passing: Vec<&str> =
        report.signatures.iter().filter(|signature| signature.verified == Verified::Valid).map(|signature| signature.domain.as_str()).collect();
    let list = parts.has("List-Post") || parts.has("List-Id");
    if let Some(provider) = freemail::provider(from)
        && !list
        && !spf_passes(&report.alignment)
        && report.signatures.iter().all(|signature| signature.aligned == Some(false))
        && report.alignment.spf_aligned == Some(false)
    {
        out.push(remark(
            "message.from_gmail",
            from,
            format!("From is an address at {provider} ({from}), but the message was sent by {}", sender(report)),
        ));
        return;
    }
    let seen = if report.signatures.iter().any(|signature| signature.aligned == Some(true)) {
        format!("The signature of {from} does not verify, and no other is aligned with From")
    } else {
        let domains: Vec<&str> = report.signatures.iter().map(|signature| signature.domain.as_str()).collect();
        let domains = if passing.is_empty() { domains } else { passing };
        format!("The message is signed by {}, which is not aligned with {from} in From", listed(domains))
    };
    let mut made = remark("dkim.not_aligned", from, seen).with("from_domain", from);
    // Where the domain signs already, what broke the signature is to be mended, not the set-up.
    let broken = report.signatures.iter().find(|signature| signature.aligned == Some(true)).and_then(|signature| signature.advice.as_ref());
    if let Some(advice) = broken {
        made = made.fix(advice);
    }
    // DMARC passes by SPF here: it breaks only when the message is forwarded.
    if spf_passes(&report.alignment) {
        made = made.severity(Severity::Medium);
    }
    out.push(made);
}

fn listed(mut domains: Vec<&str>) -> String {
    domains.sort_unstable();
    domains.dedup();
    domains.truncate(5);
    domains.join(", ")
}

fn sender(report: &HeaderReport) -> String {
    report.alignment.envelope_domain.clone().unwrap_or_else(|| listed(report.signatures.iter().map(|signature| signature.domain.as_str()).collect()))
}
