//! What an audit shows beside its findings, card by card, and the way between the parts of a long page.

use leptos::prelude::*;
use waypost_types::outcome::{AuditReport, Status};

use super::{dkim::dkim, dmarc::dmarc, spf::spf, transport::transport};

/// The cards of the families that say more than a finding: SPF, DKIM, DMARC, and what protects the way.
pub(crate) fn details(audit: &AuditReport) -> AnyView {
    let detail = &audit.detail;
    view! {
        {detail.spf.as_ref().map(|found| spf(found, audit.checks.get("spf").map_or(Status::None, |check| check.status)))}
        {dkim(&detail.dkim)}
        {detail.dmarc.as_ref().map(|found| dmarc(found, &audit.domain))}
        {transport(detail)}
    }
    .into_any()
}

/// Links to the parts of this page. `more` are id and name of parts that others draw, before and after those of the audit.
pub(crate) fn on_this_page(audit: &AuditReport, before: &[(&'static str, &'static str)], after: &[(&'static str, &'static str)]) -> AnyView {
    let detail = &audit.detail;
    let families = [
        (detail.spf.is_some(), "spf", "SPF"),
        (!detail.dkim.is_empty(), "dkim", "DKIM"),
        (detail.dmarc.is_some(), "dmarc", "DMARC"),
        (transport(detail).is_some(), "transport", "Encryption"),
    ];
    let families = families.into_iter().filter(|(there, ..)| *there).map(|(_, id, name)| (id, name));
    let links = before
        .iter()
        .copied()
        .chain(families)
        .chain(after.iter().copied())
        .map(|(id, name)| view! { <a href=format!("#{id}")>{name}</a> })
        .collect_view();
    view! { <nav class="tabs" aria-label="On this page" data-live="parts">{links}</nav> }.into_any()
}
