//! What protects mail on its way and what it is shown with: the MTA-STS policy, TLSA records, certificates of MX hosts, and the logo.

use leptos::prelude::*;
use waypost_types::{
    audit::{AuditDetail, BimiDetail, MtaStsDetail, MxCertificate, TlsaDetail},
    outcome::Status,
};

use super::{copied, parts::day, status};
use crate::text;

/// A row of facts.
pub(super) fn fact(name: &'static str, value: AnyView) -> AnyView {
    view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any()
}

/// The card about policies and certificates; nothing where there are none.
pub(crate) fn transport(detail: &AuditDetail) -> Option<AnyView> {
    if detail.mta_sts.is_none() && detail.dane.is_empty() && detail.certificates.is_empty() && detail.bimi.is_none() {
        return None;
    }
    Some(
        view! {
            <section class="card" id="transport" aria-labelledby="h-tr" data-live="transport">
                <div class="card-head"><h2 id="h-tr">"Encryption and logo"</h2></div>
                {detail.mta_sts.as_ref().map(mta_sts)}
                {tlsa(&detail.dane)}
                {certificates(&detail.certificates)}
                {detail.bimi.as_ref().map(bimi)}
            </section>
        }
        .into_any(),
    )
}

fn mta_sts(policy: &MtaStsDetail) -> AnyView {
    let mode = match policy.mode.as_str() {
        "enforce" => status(Status::Ok, "enforce: no encryption, no delivery"),
        "testing" => status(Status::Warn, "testing: failures are only reported"),
        "none" => status(Status::None, "none: the policy is switched off"),
        other => status(Status::Warn, other),
    };
    let seconds = i64::try_from(policy.max_age).unwrap_or(i64::MAX);
    view! {
        <div class="sev-head"><h3>"MTA-STS policy"</h3></div>
        <div class="card-body pt4 stack">
            <dl class="kv">
                {fact("Mode", mode)}
                {fact("Kept for", text::duration(seconds).into_any())}
                {fact("Mail servers", policy.mx.join(", ").into_any())}
                {fact("Policy id", policy.id.clone().into_any())}
            </dl>
            <div class="record">
                <div class="record-head"><span class="strong">"Policy as served"</span>{copied("sts-text".to_owned(), "MTA-STS policy".to_owned())}</div>
                <pre id="sts-text" tabindex="0">{policy.text.trim_end().to_owned()}</pre>
            </div>
        </div>
    }
    .into_any()
}

fn tlsa(records: &[TlsaDetail]) -> Option<AnyView> {
    let rows = records
        .iter()
        .map(|one| {
            let state = match one.matches {
                Some(true) => status(Status::Ok, "Matches"),
                Some(false) => status(Status::Bad, "Does not match"),
                None => status(Status::None, "Not known"),
            };
            let note = one.note.as_deref().map(text::sentence);
            view! {
                <tr>
                    <th scope="row" class="wrap-any">{one.host.clone()}</th>
                    <td data-label="Record"><code class="wrap-any">{one.record.clone()}</code></td>
                    <td data-label="Certificate">{state}</td>
                    <td data-label="Note">{note}</td>
                </tr>
            }
        })
        .collect::<Vec<_>>();
    table("DANE: TLSA records", ["Host", "Record", "Certificate", "Note"], rows)
}

fn certificates(all: &[MxCertificate]) -> Option<AnyView> {
    let rows = all
        .iter()
        .map(|one| {
            let state = match one {
                MxCertificate { trusted: true, name_matches: true, .. } => status(Status::Ok, "Trusted"),
                MxCertificate { trusted: true, .. } => status(Status::Warn, "Other name"),
                _ => status(Status::Warn, "Not trusted"),
            };
            let expires = one.expires.map(day);
            let problem = one.problem.as_deref().map(text::sentence);
            view! {
                <tr>
                    <th scope="row" class="wrap-any">{one.host.clone()}</th>
                    <td data-label="Certificate">{state}</td>
                    <td data-label="Valid until">{expires}</td>
                    <td data-label="Note">{problem}</td>
                </tr>
            }
        })
        .collect::<Vec<_>>();
    table("Certificates of the mail servers", ["Host", "Certificate", "Valid until", "Note"], rows)
}

fn table(title: &'static str, heads: [&'static str; 4], rows: Vec<impl IntoView + 'static>) -> Option<AnyView> {
    if rows.is_empty() {
        return None;
    }
    let heads = heads.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view();
    Some(
        view! {
            <div class="sev-head"><h3>{title}</h3></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{title}, table")>
                <table class="table fold"><caption class="vh">{title}</caption><thead><tr>{heads}</tr></thead><tbody>{rows.collect_view()}</tbody></table>
            </div>
        }
        .into_any(),
    )
}

fn bimi(logo: &BimiDetail) -> AnyView {
    let kind = logo.certificate_kind.as_deref().unwrap_or("Certificate").to_owned();
    let certificate = match (&logo.certificate, &logo.issuer) {
        (None, _) => status(Status::None, "None: few mailbox providers show the logo without one"),
        (Some(_), Some(issuer)) => format!("{kind} by {issuer}").into_any(),
        (Some(_), None) => kind.into_any(),
    };
    let until = logo.expires.map(|at| fact("Valid until", day(at)));
    view! {
        <div class="sev-head"><h3>"BIMI logo"</h3></div>
        <div class="card-body pt4">
            <dl class="kv">
                {fact("Logo", view! { <span class="mono xs wrap-any">{logo.logo.clone()}</span> }.into_any())}
                {fact("Certificate", certificate)}
                {until}
            </dl>
        </div>
    }
    .into_any()
}
