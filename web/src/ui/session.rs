//! A TLS session and its certificate.

use chrono::Utc;
use leptos::prelude::*;
use waypost_types::outcome::{CertificateReport, Status, TlsReport};

use super::{status, time};
use crate::text;

fn row(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <div><dt>{name}</dt><dd>{value.into_any()}</dd></div> }.into_any()
}

fn days_left(tls: &TlsReport) -> Option<i64> {
    tls.expires.map(|expires| (expires - Utc::now()).num_days())
}

/// The session in one word.
pub(crate) fn tls_status(tls: &TlsReport) -> AnyView {
    match days_left(tls) {
        Some(days) if days < 0 => status(Status::Bad, "Expired"),
        _ if !tls.name_matches => status(Status::Bad, "Wrong name"),
        _ if !tls.trusted => status(Status::Warn, "Not trusted"),
        Some(days) if days < 14 => status(Status::Warn, &format!("{}, {days} days left", tls.version)),
        Some(days) => status(Status::Ok, &format!("{}, {days} days left", tls.version)),
        None => status(Status::Ok, &tls.version),
    }
}

/// The session and what its certificate says.
pub(crate) fn session(tls: &TlsReport) -> AnyView {
    let expires =
        tls.expires.map(|at| row("Valid until", view! { <span class="strong">{text::minute(at)}</span>" "<span class="muted">{time(at)}</span> }));
    let names = if tls.names.is_empty() { tls.subject.clone() } else { tls.names.join(", ") };
    let problem = tls.trust_problem.clone().map(|problem| row("Trust", status(Status::Warn, &problem)));
    view! {
        <dl class="kv">
            {row("Session", format!("{}, {}", tls.version, tls.cipher))}
            {(!tls.key_exchange.is_empty()).then(|| row("Key exchange", tls.key_exchange.clone()))}
            {row("Certificate", tls_status(tls))}
            {expires}
            {row("Issued for", names)}
            {(!tls.key.is_empty()).then(|| row("Key", format!("{}, signed by {}", tls.key, tls.signature)))}
            {row("Issuer", tls.issuer.clone())}
            {(!tls.chain.is_empty()).then(|| row("Chain sent", tls.chain.iter().map(sent).collect_view()))}
            {problem}
            {row("Fingerprint", view! { <span class="mono xs">{tls.fingerprint.clone()}</span> })}
        </dl>
    }
    .into_any()
}

/// One certificate of the chain.
fn sent(certificate: &CertificateReport) -> impl IntoView + use<> {
    let until = certificate.expires.map(|at| format!(", until {}", at.format("%Y-%m-%d"))).unwrap_or_default();
    view! { <div>{certificate.subject.clone()}<span class="muted">{format!(" ({}{until})", certificate.key)}</span></div> }
}
