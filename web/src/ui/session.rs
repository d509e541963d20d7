//! A TLS session and its certificate.

use chrono::Utc;
use leptos::prelude::*;
use waypost_types::outcome::{CertificateReport, DaneReport, DaneState, ProbeReport, Status, TlsReport};

use super::{status, time};
use crate::text;

fn row(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <div><dt>{name}</dt><dd>{value.into_any()}</dd></div> }.into_any()
}

fn days_left(tls: &TlsReport) -> Option<i64> {
    tls.expires.map(|expires| (expires - Utc::now()).num_days())
}

/// The session of a conversation in one word.
pub(crate) fn tls_status(probe: &ProbeReport) -> AnyView {
    probe
        .tls
        .as_ref()
        .map_or_else(|| status(Status::None, "No session"), |tls| certificate_status(tls, takes_from_servers(probe), &format!("{}, ", tls.version)))
}

/// Whether servers deliver there; elsewhere programs log in, and look at certificates strictly.
pub(crate) const fn takes_from_servers(probe: &ProbeReport) -> bool {
    !matches!(probe.port, 465 | 587)
}

/// Where servers deliver, a TLSA record of the server's own certificate makes its dates, names and issuer no fault.
fn vouched(tls: &TlsReport, delivers: bool) -> bool {
    let own = |dane: &DaneReport| dane.state == DaneState::Matches && dane.usage() == Some(3);
    delivers && tls.dane.as_ref().is_some_and(own)
}

/// `of` is said before what is well: the session that it belongs to, where nothing else names it.
fn certificate_status(tls: &TlsReport, delivers: bool, of: &str) -> AnyView {
    match days_left(tls) {
        _ if delivers && tls.dane.as_ref().is_some_and(|dane| dane.state == DaneState::Mismatch) => status(Status::Bad, "No TLSA record matches"),
        days if vouched(tls, delivers) && (!tls.trusted || !tls.name_matches || days.is_none_or(|days| days < 14)) => {
            status(Status::Ok, &format!("{of}DANE vouches for it"))
        }
        Some(days) if days < 0 => status(Status::Bad, "Expired"),
        _ if !tls.name_matches => status(Status::Bad, "Wrong name"),
        _ if !tls.trusted => status(Status::Warn, "Not trusted"),
        Some(days) if days < 14 => status(Status::Warn, &format!("{of}{days} days left")),
        Some(days) => status(Status::Ok, &format!("{of}{days} days left")),
        None => status(Status::Ok, &format!("{of}valid")),
    }
}

/// The session and what its certificate says.
pub(crate) fn session(tls: &TlsReport, delivers: bool) -> AnyView {
    let expires =
        tls.expires.map(|at| row("Valid until", view! { <span class="strong">{text::minute(at)}</span>" "<span class="muted">{time(at)}</span> }));
    let names = if tls.names.is_empty() { tls.subject.clone() } else { tls.names.join(", ") };
    // Beside what is wrong, that nothing is.
    let trust = match &tls.trust_problem {
        Some(problem) => status(if vouched(tls, delivers) { Status::None } else { Status::Warn }, problem),
        None => status(Status::Ok, "By a public authority"),
    };
    let dane = tls.dane.as_ref().map(dane);
    view! {
        <dl class="kv">
            {row("Session", format!("{}, {}", tls.version, tls.cipher))}
            {(!tls.key_exchange.is_empty()).then(|| row("Key exchange", tls.key_exchange.clone()))}
            {row("Certificate", certificate_status(tls, delivers, ""))}
            {expires}
            {row("Issued for", names)}
            {(!tls.key.is_empty()).then(|| row("Key", format!("{}, signed by {}", tls.key, tls.signature)))}
            {row("Issuer", tls.issuer.clone())}
            {(!tls.chain.is_empty()).then(|| row("Chain sent", tls.chain.iter().map(sent).collect_view()))}
            {row("Trust", trust)}
            {dane}
            {row("Fingerprint", view! { <span class="mono xs">{tls.fingerprint.clone()}</span> })}
        </dl>
    }
    .into_any()
}

/// What the TLSA records say, and which they are.
fn dane(dane: &DaneReport) -> AnyView {
    let state = match dane.state {
        DaneState::Matches => Status::Ok,
        DaneState::Mismatch => Status::Bad,
        DaneState::Unusable | DaneState::Insecure => Status::Warn,
        DaneState::Unknown => Status::None,
    };
    let said = match &dane.matched {
        Some(record) => view! { <div class="muted xs mono wrap-any">{record.clone()}</div> }.into_any(),
        None => view! { <div class="muted xs wrap-any">{dane.reason.clone()}</div> }.into_any(),
    };
    let word = text::sentence(dane.state.word());
    row("DANE", view! { {status(state, word.trim_end_matches('.'))}{said}<div class="muted xs mono wrap-any">{dane.owner.clone()}</div> })
}

/// One certificate of the chain.
fn sent(certificate: &CertificateReport) -> impl IntoView + use<> {
    let until = certificate.expires.map(|at| format!(", until {}", at.format("%Y-%m-%d"))).unwrap_or_default();
    view! { <div>{certificate.subject.clone()}<span class="muted">{format!(" ({}{until})", certificate.key)}</span></div> }
}
