//! Public pages: the front door with the look-up, and its result.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{
    lists::ListInfo,
    lookup::Lookup,
    outcome::{BlacklistReport, Status},
};

use super::lookup_head::{self, Head};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Shared, Visit, page, redirect, shared_page},
    text,
    ui::{self, icon, large_icon},
};

pub(super) fn search(value: String, wrong: Option<String>) -> AnyView {
    let invalid = wrong.is_some();
    view! {
        <form class="lookup" role="search" method="get" action="/lookup">
            <label class="vh" for="d">"Domain, email address or IP address"</label>
            <input class="input input-lg" id="d" name="domain" value=value placeholder="example.com or 192.0.2.25" autocomplete="off" autocapitalize="none"
                spellcheck="false" inputmode="url" required=true aria-invalid=invalid.then_some("true") aria-describedby=invalid.then_some("d-below")/>
            <button class="btn btn-primary btn-lg" type="submit">"Check"</button>
        </form>
        {wrong.map(|message| view! { <p class="error" id="d-below" role="alert">{icon("bad")}{message}</p> })}
    }
    .into_any()
}

pub(crate) async fn landing(visit: Visit) -> Answer {
    Ok(front(&visit, StatusCode::OK, String::new(), None))
}

pub(super) fn front(visit: &Visit, status: StatusCode, value: String, wrong: Option<String>) -> axum::response::Response {
    page(visit, status, "Find out why your mail does not arrive", || {
        ui::public(
            visit,
            view! {
                <main id="content" class="site">
                    <section class="hero" aria-labelledby="h-hero">
                        <h1 id="h-hero">"Find out why your mail does not arrive"</h1>
                        <p class="lead">"Enter a domain or an IP address. We read its DNS, ask the block lists and tell you what to fix first. Free, no account."</p>
                        {search(value, wrong)}
                    </section>
                    <div class="features">
                        <section>{large_icon("server")}<h2>"Probes that speak SMTP"</h2><p>"Ports 25, 465 and 587: banner, STARTTLS, ciphers, certificate, and the full transcript when it fails."</p></section>
                        <section>{large_icon("globe")}<h2>"DNS and authentication"</h2><p>"SPF, DKIM, DMARC, MTA-STS, TLS-RPT, DANE and reverse names, with the record to publish when one is wrong."</p></section>
                        <section>{large_icon("list")}<h2>"Block lists"</h2><p>"Your addresses on the lists that receivers ask. A list that does not answer is said to be unknown, never clean."</p></section>
                    </div>
                </main>
            },
        )
    })
}

/// The form's address; goes on to the address that can be shared. Of an email address the domain counts, of an address of a page its host.
pub(crate) async fn search_for(visit: Visit) -> Answer {
    let asked = visit.query().remove("domain").unwrap_or_default();
    if let Some(address) = super::lookup_address::typed(&asked) {
        return Ok(redirect(&format!("/lookup/{}", text::encoded(&address.to_string()))));
    }
    match name_in(&asked) {
        Ok(name) => Ok(redirect(&format!("/lookup/{}", text::encoded(name)))),
        Err(wrong) => Ok(front(&visit, StatusCode::UNPROCESSABLE_ENTITY, asked, Some(wrong.to_owned()))),
    }
}

/// The domain or address that somebody means who types an address of a page, an email address, or a host with its port.
fn name_in(asked: &str) -> Result<&str, &'static str> {
    let asked = asked.trim();
    let rest = asked.split_once("://").map_or(asked, |(_, rest)| rest);
    let is_address = |text: &str| super::lookup_address::typed(text).is_some();
    let (head, tail) = rest.split_once('/').unwrap_or((rest, ""));
    if is_address(head) && tail.bytes().next().is_some_and(|octet| octet.is_ascii_digit()) {
        return Err("A network has many addresses: look up one of them here. With an account all of a network is watched.");
    }
    let host = head.rsplit('@').next().unwrap_or_default();
    let host = host.split(['?', '#']).next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !is_address(rest) && port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_end_matches('.');
    if host.is_empty() {
        return Err("Enter a domain or an IP address, for example example.com.");
    }
    if host.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') && !is_address(host) {
        return Err("This is no IP address: four numbers from 0 to 255 are needed, for example 192.0.2.25.");
    }
    Ok(host)
}

pub(crate) async fn lookup(visit: Visit, Path(domain): Path<String>) -> Answer {
    if let Some(address) = super::lookup_address::typed(&domain) {
        return super::lookup_address::lookup(&visit, address).await;
    }
    match visit.api.get::<Lookup>(&format!("lookup/{}", text::encoded(&domain))).await {
        Ok(result) => Ok(result_page(&visit, result)),
        Err(failure) => refused(&visit, domain, failure),
    }
}

/// The front door again, with why that can not be looked up.
pub(super) fn refused(visit: &Visit, typed: String, failure: ApiFailure) -> Answer {
    if !failure.is_input() {
        return Err(failure);
    }
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    let said = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
    Ok(front(visit, status, typed, Some(said)))
}

/// How many listings there are, and how many lists answered.
pub(super) fn told(report: &BlacklistReport) -> String {
    let (told, silent) = report.lists_told();
    format!("{}, {told} of {} answered", text::counted(report.counts().listed, "listing", "listings"), told + silent)
}

/// The lists of a scan, with what to do about each listing.
pub(super) fn block_lists(report: &BlacklistReport, catalog: &[ListInfo]) -> AnyView {
    let guides = ui::guides(report, catalog).map(|guides| {
        view! { <section class="card" aria-labelledby="h-guide"><div class="card-head"><h2 id="h-guide">"What to do about listings"</h2></div>{guides}</section> }
    });
    view! {
        {guides}
        <section class="card" aria-labelledby="h-lists">
            <div class="card-head"><h2 id="h-lists">"Block lists"</h2><span class="meta num">{told(report)}</span></div>
            {ui::list_entries(report)}
        </section>
    }
    .into_any()
}

/// What other sites say of a link to a lookup.
fn shared(found: &Lookup) -> Shared {
    let grade =
        found.audit.grade.as_deref().zip(found.audit.score).map(|(grade, score)| format!("Grade {grade}, {score} of 100. ")).unwrap_or_default();
    let first: Vec<&str> = found
        .audit
        .findings
        .iter()
        .filter(|finding| finding.severity >= waypost_types::Severity::Medium)
        .take(3)
        .map(|finding| finding.summary.as_str())
        .collect();
    let first = if first.is_empty() { String::new() } else { format!("{}. ", first.join(". ")) };
    let description = format!("{grade}{first}Block lists: {}.", told(&found.scan()));
    Shared { description, path: format!("/lookup/{}", text::encoded(&found.domain)) }
}

fn result_page(visit: &Visit, found: Lookup) -> axum::response::Response {
    let title = format!("{}: mail check", found.display);
    let (scan, shared) = (found.scan(), shared(&found));
    shared_page(visit, &title, &shared, || {
        let audit = &found.audit;
        let worst =
            audit.findings.iter().filter(|finding| finding.severity >= waypost_types::Severity::Medium).count() + usize::from(audit.held.is_some());
        let sentence = match (audit.score, worst) {
            (None, _) => format!("{}.", ui::score_sentence(audit)),
            (Some(_), 0) => format!("{}. Nothing to mend.", ui::score_sentence(audit)),
            (Some(_), 1) => format!("{}. One thing to mend.", ui::score_sentence(audit)),
            (Some(_), many) => format!("{}. {many} things to mend.", ui::score_sentence(audit)),
        };
        let standing = ui::scanned(&scan);
        let sentence = match (standing.status, ui::rests_on(&scan)) {
            (Status::Bad | Status::Warn, _) => format!("{sentence} {} on block lists.", standing.word),
            (_, Some(said)) => format!("{sentence} {said}."),
            (_, None) => sentence,
        };
        let lists = (!found.blacklists.is_empty()).then(|| block_lists(&scan, &found.guides));
        let seen = (!audit.records.is_empty())
            .then(|| view! { <section class="card" aria-labelledby="h-rec"><div class="card-head"><h2 id="h-rec">"Records as seen"</h2></div>{ui::records(audit)}</section> });
        let clean = audit
            .findings
            .is_empty()
            .then(|| view! { <div class="empty"><h3>"No findings"</h3><p>"Everything that could be checked is as it should be."</p></div> });
        let path = format!("/lookup/{}", text::encoded(&found.domain));
        let head = Head {
            mark: ui::grade(audit.grade.as_deref(), true).into_any(),
            name: &found.display,
            also: Some(ui::ascii_form(&found.display, &found.domain).into_any()),
            sentence,
            checked_at: found.checked_at,
            took_ms: found.took_ms,
            path: &path,
            watched: &found.domain,
            why: "Records change. Waypost tells you when one breaks.",
            body: Some(view! { <h2 class="vh">"Checks"</h2>{ui::checks_strip(audit, &standing)} }.into_any()),
        };
        let head = lookup_head::card(visit, head);
        ui::public(
            visit,
            view! {
                <main id="content" class="site stack">
                    <section class="hero" aria-label="Look up another domain">{search(found.display.clone(), None)}</section>
                    {lookup_head::incomplete(found.complete)}
                    {head}
                    {ui::lost_points(audit, "f", "#h-lists")}
                    <section class="card" id="findings" aria-labelledby="h-find">
                        <div class="card-head"><h2 id="h-find">"Findings"</h2></div>
                        {clean}{ui::findings(&audit.findings, "f")}{ui::unknown_parts(&audit.unknown)}
                    </section>
                    {ui::details(audit)}
                    {lists}
                    {seen}
                </main>
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn what_people_type_is_understood() {
        for (typed, meant) in [
            ("example.com", "example.com"),
            (" HTTPS://example.com/a?b ", "example.com"),
            ("http://example.com:8080/", "example.com"),
            ("mail.example.com:25", "mail.example.com"),
            ("Anna <anna@example.com", "example.com"),
            ("example.com.", "example.com"),
            ("example.com?x", "example.com"),
            ("[2001:db8::1]:25", "[2001:db8::1]"),
            ("192.0.2.1:25", "192.0.2.1"),
        ] {
            assert_eq!(name_in(typed), Ok(meant), "{typed}");
        }
        for (typed, said) in [("192.0.2.0/24", "network"), ("2001:db8::/64", "network"), ("1.2.3", "no IP"), ("999.1.1.1", "no IP"), (" . ", "Enter")]
        {
            assert!(name_in(typed).is_err_and(|wrong| wrong.contains(said)), "{typed}");
        }
    }
}
