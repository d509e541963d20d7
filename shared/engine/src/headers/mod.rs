//! A pasted message or its header, read: hops, what receivers found, signatures, ARC, alignment, and what is wrong. Asks only DNS.

#[cfg(test)]
mod advice_tests;
mod alignment;
mod arc;
mod auth_results;
mod belief;
mod date;
mod fields;
mod freemail;
#[cfg(test)]
mod hostile_tests;
mod keys;
mod received;
#[cfg(test)]
mod received_tests;
mod remarks;
mod route;
mod signatures;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;
#[cfg(test)]
mod verify_tests;

pub use route::span;

use std::{collections::BTreeSet, time::Duration};

use mail_auth::AuthenticatedMessage;
use mail_parser::{Address, HeaderValue, parsers::MessageStream};
use waypost_types::{
    DomainName,
    audit::DmarcDetail,
    finding::UnknownPart,
    headers::{ArcState, HeaderReport, NO_MESSAGE, ReceivedSpf, SeenSelector, Verified},
};

use crate::{
    audit::{Alignments, AuditOptions, Family, audit_families},
    net::Net,
};
use fields::{Field, Parts};
use keys::Keys;
use verify::Message;

/// Octets of a message that are read; the rest is cut off and the report says so.
pub const MAX_MESSAGE: usize = 10 * 1024 * 1024;
/// From addresses that are shown.
const MAX_FROM: usize = 20;
/// Received-SPF fields that are read.
const MAX_RECEIVED_SPF: usize = 50;
/// Domains that a remark names.
const MAX_NAMED: usize = 3;
/// Longest wait for the DMARC policy.
const DMARC_LIMIT: Duration = Duration::from_secs(9);

/// Reads a message, whole or only its header. Never fails: what could not be told is in `unknown`, what was odd in `remarks`.
pub async fn analyse(net: &Net, raw: &[u8]) -> HeaderReport {
    let message = fields::normalised(raw.get(..MAX_MESSAGE).unwrap_or(raw));
    let parts = fields::split(&message);
    let mut report = told(&parts);
    if raw.len() > MAX_MESSAGE {
        report.remarks.push(format!("Only the first {} MB are read", MAX_MESSAGE / 1024 / 1024));
        // A body that was cut would look changed.
        report.body_present = false;
    }
    let mut strict_keys = Vec::new();
    let domains = alignment::Facts::of(&report, &Alignments::default()).domains();
    let from_domain = report.from_domain.clone();
    let dmarc = async {
        let from = from_domain.as_deref();
        tokio::join!(policy(net, from), Alignments::ask(net, from.unwrap_or_default(), &domains))
    };
    let signed = !report.signatures.is_empty() || arc::fields(&parts) > 0;
    let parsed = if signed { signatures::too_much(&parts, &message).map_or_else(|| Ok(signatures::prepared(&message)), Err) } else { Ok(None) };
    let (dmarc, alignments) = match &parsed {
        Ok(Some(parsed)) => {
            let (keys, dmarc) = tokio::join!(Keys::ask(net, signatures::key_names(parsed)), dmarc);
            verify(&mut report, &parts, parsed, &keys);
            strict_keys = report.signatures.iter().map(|signature| signatures::key_is_strict(&keys, signature)).collect();
            dmarc
        }
        Ok(None) => dmarc.await,
        Err(reason) => {
            report.unknown.push(UnknownPart::new("signatures", reason));
            for signature in &mut report.signatures {
                signature.reason.clone_from(reason);
            }
            if arc::fields(&parts) > 0 {
                report.arc.state = ArcState::Unknown;
                report.arc.reason.clone_from(reason);
            }
            dmarc.await
        }
    };
    if report.arc.reason.is_empty() {
        "There is no ARC chain: no forwarder has sealed the message".clone_into(&mut report.arc.reason);
    }
    align(&mut report, &alignments);
    let seen = report.hops.iter().rev().find_map(|hop| hop.time).unwrap_or_else(|| net.now());
    report.remarks.extend(report.signatures.iter().filter_map(|signature| signatures::made_later(signature, seen)));
    match dmarc {
        Ok(policy) => {
            report.alignment.words.push_str(policy.strictness());
            (report.dmarc, report.dmarc_record) = (policy.detail, policy.record);
        }
        Err(reason) => report.unknown.push(UnknownPart::new("dmarc", reason)),
    }
    report.findings = remarks::all(&report, &remarks::Look { parts: &parts, strict_keys });
    report
}

/// For the fuzzer: all that is done before DNS is asked.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_message(bytes: &[u8]) {
    let message = fields::normalised(bytes);
    let parts = fields::split(&message);
    let report = told(&parts);
    std::hint::black_box(remarks::all(&report, &remarks::Look { parts: &parts, strict_keys: Vec::new() }));
    if signatures::too_much(&parts, &message).is_none() {
        std::hint::black_box(signatures::prepared(&message).map(|parsed| signatures::key_names(&parsed)));
    }
}

/// Everything the text tells without asking anybody.
fn told(parts: &Parts<'_>) -> HeaderReport {
    let route = route::read(parts);
    let (authentication, belief) = belief::read(parts);
    let from = addresses(parts);
    let from_domain = from.first().filter(|address| address.contains('@')).and_then(|address| alignment::domain_of(address));
    let signatures = signatures::all(parts);
    let selectors: BTreeSet<SeenSelector> = signatures
        .iter()
        .filter(|signature| !signature.domain.is_empty() && !signature.selector.is_empty())
        .map(|signature| SeenSelector { domain: signature.domain.clone(), selector: signature.selector.clone() })
        .collect();
    let mut remarks = Vec::new();
    if parts.fields.is_empty() {
        remarks.push(NO_MESSAGE.to_owned());
    }
    if parts.odd_lines > 0 {
        remarks.push(format!("{} lines of the header are no header fields; they were skipped", parts.odd_lines));
    }
    if parts.cut {
        remarks.push(format!("Only the first {} header fields are read", fields::MAX_FIELDS));
    }
    if route.left_out > 0 {
        remarks.push(format!("Only the last {} hops are shown, {} earlier ones are left out", route::MAX_HOPS, route.left_out));
    }
    if parts.all("DKIM-Signature").count() > signatures.len() {
        remarks.push(format!("Only the first {} DKIM signatures are read", signatures.len()));
    }
    let domains: BTreeSet<String> = from.iter().filter(|address| address.contains('@')).filter_map(|address| alignment::domain_of(address)).collect();
    if domains.len() > 1 {
        let named = domains.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        remarks.push(format!(
            "From has addresses of several domains ({named}): receivers that check DMARC may refuse such a message; only the first is looked at"
        ));
    }
    let date = parts.first("Date").and_then(|text| date::parse(text.split('(').next().unwrap_or_default()));
    remarks.extend(date.and_then(|date| route::date_skew(date, &route.hops)));
    HeaderReport {
        subject: parts.all("Subject").next().and_then(decoded),
        from_domain,
        from,
        date,
        message_id: parts.first("Message-ID").filter(|id| !id.is_empty()),
        return_path: parts.first("Return-Path").map(|path| path.trim().trim_matches(['<', '>']).to_owned()),
        bulk: remarks::is_bulk(parts),
        body_present: !parts.body.trim_ascii().is_empty(),
        hops: route.hops,
        total_seconds: route.total,
        authentication,
        belief,
        received_spf: received_spf(parts),
        signatures,
        selectors: selectors.into_iter().collect(),
        remarks,
        ..HeaderReport::default()
    }
}

fn received_spf(parts: &Parts<'_>) -> Vec<ReceivedSpf> {
    parts.all("Received-SPF").take(MAX_RECEIVED_SPF).map(|field| auth_results::received_spf(&field.text())).collect()
}

/// Verifies signatures and seals, and says what could not be.
fn verify(report: &mut HeaderReport, parts: &Parts<'_>, parsed: &AuthenticatedMessage<'_>, keys: &Keys) {
    let mut message = Message::new(parts, parsed, keys, report.body_present);
    signatures::verify(&mut report.signatures, parts, &mut message);
    report.arc = arc::verify(parts, &mut message);
    forgive_changed_copy(report);
    arc::tie(&mut report.arc, &report.authentication);
    for signature in &mut report.signatures {
        signature.advice = signatures::advice(signature, parts);
    }
    let mut without_body = false;
    for signature in report.signatures.iter().filter(|signature| signature.verified == Verified::Unknown) {
        if signature.reason == signatures::NO_BODY {
            without_body = true;
        } else {
            let subject = format!("{}._domainkey.{}", signature.selector, signature.domain);
            report.unknown.push(UnknownPart::new(subject, &signature.reason));
        }
    }
    if report.arc.state == ArcState::Unknown {
        if report.body_present {
            report.unknown.push(UnknownPart::new("arc", &report.arc.reason));
        } else {
            without_body = true;
        }
    }
    if without_body {
        report.unknown.push(UnknownPart::new("body", signatures::NO_BODY));
    }
}

/// What a copy whose body was changed or cut is told with.
const BODY: [&str; 2] = [signatures::BODY_CHANGED, signatures::BODY_CUT];

fn is_body(reason: &str) -> bool {
    BODY.contains(&reason)
}

/// Where the receiver verified what does not verify here, the copy was changed after delivery: nothing is wrong with the message that was sent.
fn forgive_changed_copy(report: &mut HeaderReport) {
    let mut changed = false;
    for signature in report.signatures.iter_mut().filter(|signature| is_body(&signature.reason)) {
        if alignment::receiver_verified(&report.authentication, &signature.domain) {
            signature.verified = Verified::Unknown;
            signatures::COPY_CHANGED.clone_into(&mut signature.reason);
            changed = true;
        }
    }
    let newest = report.arc.sets.last_mut().filter(|set| is_body(&set.message_signature_reason));
    if let Some(set) =
        newest.filter(|_| changed && report.arc.state == ArcState::Fail && BODY.iter().any(|reason| report.arc.reason.ends_with(reason)))
    {
        set.message_signature = Verified::Unknown;
        (report.arc.state, report.arc.failed_instance) = (ArcState::Unknown, None);
        "The body of this copy was changed after delivery, so the newest message signature can not be checked".clone_into(&mut report.arc.reason);
    }
}

/// Says of each signature and of the whole how it stands to From.
fn align(report: &mut HeaderReport, alignments: &Alignments) {
    for signature in &mut report.signatures {
        signature.aligned = report.from_domain.as_ref().map_or(Some(false), |_| alignments.dkim(&signature.domain));
    }
    let facts = alignment::Facts::of(report, alignments);
    let mut judged = alignment::judge(&facts);
    judged.words.push_str(&alignment::failure_report(&facts, &judged));
    report.alignment = judged;
    let open = report.alignment.envelope_domain.is_some() && report.alignment.spf_aligned.is_none();
    if report.from_domain.is_some() && (open || report.signatures.iter().any(|signature| signature.aligned.is_none())) {
        let reason = alignments.unknown.clone().unwrap_or_else(|| "The message names too many domains of one organisation".to_owned());
        report.unknown.push(UnknownPart::new("alignment", reason));
    }
}

/// The DMARC policy of a domain as published now; empty where it has none.
#[derive(Debug, Default)]
struct Policy {
    detail: Option<DmarcDetail>,
    record: Option<String>,
}

impl Policy {
    /// What a strict policy asks for, as the end of a sentence.
    fn strictness(&self) -> &'static str {
        let strict = |mode: &str| mode == "strict";
        match self.detail.as_ref().map(|detail| (strict(&detail.dkim_alignment), strict(&detail.spf_alignment))) {
            Some((true, true)) => "; the DMARC policy wants the very same name for both (adkim=s, aspf=s), not only the same organisation",
            Some((true, false)) => "; the DMARC policy wants the very same name in the signature (adkim=s), not only the same organisation",
            Some((false, true)) => "; the DMARC policy wants the very same name in the envelope (aspf=s), not only the same organisation",
            Some((false, false)) | None => "",
        }
    }
}

async fn policy(net: &Net, domain: Option<&str>) -> Result<Policy, String> {
    let Some(domain) = domain.and_then(|domain| domain.parse::<DomainName>().ok()) else { return Ok(Policy::default()) };
    let options = AuditOptions { deadline: DMARC_LIMIT, ..AuditOptions::default() };
    let mut report = audit_families(net, &domain, &options, &[Family::Dmarc]).await;
    let record = report.records.remove(Family::Dmarc.key()).and_then(|records| records.into_iter().next());
    match report.unknown.into_iter().next() {
        // With the record at hand, something else about it could not be told: that is the audit's matter.
        Some(part) if record.is_none() => Err(part.reason),
        // Without a record the audit shows the way to one; that is no policy.
        _ => Ok(Policy { detail: report.detail.dmarc.filter(|detail| !detail.policy.is_empty()), record }),
    }
}

/// Addresses of all From fields, in lower case.
fn addresses(parts: &Parts<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for field in parts.all("From").take(MAX_FROM) {
        let HeaderValue::Address(value) = MessageStream::new(field.start()).parse_address() else { continue };
        let take = |list: Vec<mail_parser::Addr<'_>>, out: &mut Vec<String>| {
            out.extend(list.into_iter().filter_map(|one| one.address.map(|address| address.to_lowercase())));
        };
        match value {
            Address::List(list) => take(list, &mut out),
            Address::Group(groups) => groups.into_iter().for_each(|group| take(group.addresses, &mut out)),
        }
    }
    out.truncate(MAX_FROM);
    out
}

/// Text with its encoded words decoded (RFC 2047).
fn decoded(field: &Field<'_>) -> Option<String> {
    match MessageStream::new(field.start()).parse_unstructured() {
        HeaderValue::Text(text) => Some(text.chars().take(1_000).collect()),
        _ => None,
    }
}
