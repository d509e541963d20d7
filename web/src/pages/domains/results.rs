//! What is known of a domain: the grade, what to mend, and all that its records say.

use std::net::IpAddr;

use leptos::prelude::*;
use waypost_types::{
    Severity,
    asset::{Address, Server},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{AuditReport, CheckSummary, Status},
    score::Held,
};

use super::one::Loaded;
use crate::{
    pages::settings,
    text,
    ui::{self, icon},
};

/// What block lists say of the domain itself and of its MX hosts' addresses, as far as they are watched.
fn listings(loaded: &Loaded, audit: &AuditReport) -> CheckSummary {
    let of_hosts = |address: &&Address| audit.mx_hosts.iter().flat_map(|host| &host.addresses).any(|mx| address.cidr.net().contains(mx));
    ui::of_domain(&loaded.domain.listings, loaded.addresses.items.iter().filter(of_hosts)).unwrap_or_else(|| {
        let untold = audit.mx_hosts.is_empty() && audit.unknown.iter().any(|part| part.subject == "mx");
        let word = if untold || loaded.addresses.next.is_some() { "Not known" } else { "Not watched" };
        CheckSummary { status: Status::None, word: word.to_owned() }
    })
}

pub(super) fn results(loaded: &Loaded, root: &str, base: &str) -> AnyView {
    let domain = &loaded.domain;
    let Some(audit) = &domain.audit else {
        return view! {
            <section class="card" data-live="audit" aria-busy="true">
                <div class="empty">{icon("clock")}<h2>"The first audit is on its way"</h2><p>"It takes up to a minute and appears here by itself."</p></div>
            </section>
        }
        .into_any();
    };
    let paused = settings::main_monitor(&domain.monitors, MonitorKind::Audit).is_some_and(|monitor| monitor.paused);
    // A grade is there, so nothing is pending: until a second audit confirms a bad one, the grade speaks for itself.
    let badge = (paused || domain.state != MonitorState::Pending).then(|| ui::state_badge(domain.state, true, paused));
    // A good grade beside a bad state looks like a contradiction until it is said what each is about.
    let of = |severity: Severity| {
        format!(
            "{}: at least one finding is {}. The grade weighs all findings together.",
            ui::state_word(domain.state, true, false),
            in_words(severity)
        )
    };
    let about = match domain.state {
        _ if paused => None,
        MonitorState::Degraded => Some(of(Severity::Medium)),
        MonitorState::Down => Some(of(Severity::Critical)),
        _ => None,
    };
    let held = audit.held.as_ref().map(|held| held_by(held, domain.listings.len()));
    let about = [held, about].into_iter().flatten().map(|said| view! { <p class="xs muted mt2">{said}</p> }).collect_view();
    let seen = (!audit.records.is_empty()).then(|| {
        view! {
            <section class="card" id="records" aria-labelledby="h-rec" data-live="records">
                <div class="card-head"><h2 id="h-rec">"Records as seen"</h2></div>
                {ui::records(audit)}
            </section>
        }
    });
    let clean = audit
        .findings
        .is_empty()
        .then(|| view! { <div class="empty">{icon("ok")}<h3>"No findings"</h3><p>"Everything that could be checked is as it should be."</p></div> });
    let history = ui::HistoryShown { events: loaded.history.as_ref(), older: loaded.older, since: domain.created_at, base };
    view! {
        {parts(loaded, audit)}
        <div class="grid" data-live="audit">
            <section class="card c4" aria-labelledby="h-g">
                <div class="card-head"><h2 id="h-g">"Grade"</h2>{badge}</div>
                <div class="card-body"><div class="row nowrap">{ui::grade(audit.grade.as_deref(), true)}<div><p class="num">{ui::score_sentence(audit)}</p><p class="xs mt1"><a href="/score">"How it is counted"</a></p></div></div>{about}</div>
            </section>
            <section class="card c8" aria-labelledby="h-k">
                <div class="card-head"><h2 id="h-k">"Checks"</h2></div>
                {ui::checks_strip(audit, &listings(loaded, audit))}
                {ui::as_of(audit)}
            </section>
        </div>
        {ui::lost_points(audit, "f", lists_at(loaded))}
        <section class="card" id="findings" aria-labelledby="h-f" data-live="findings">
            <div class="card-head"><h2 id="h-f">"Findings"</h2><span class="meta num">{audit.findings.len().to_string()}</span></div>
            {clean}{ui::findings_of_watched(&audit.findings, &audit.gone, "f")}{ui::unknown_parts(&audit.unknown)}
        </section>
        {hosts(loaded, audit, root)}
        {ui::details(audit)}
        {own_lists(loaded)}
        {ui::history(&history)}
        {seen}
    }
    .into_any()
}

/// What holds the score down, and why others of all the listings that the page counts do not.
fn held_by(held: &Held, all: usize) -> String {
    let others = u32::try_from(all).unwrap_or(u32::MAX).saturating_sub(held.count);
    let others = match others {
        0 => String::new(),
        1 => " 1 more listing does not count: it is on a list that matters little for mail.".to_owned(),
        others => format!(" {others} more listings do not count: they are on lists that matter little for mail."),
    };
    format!("No more than {} while {}.{others}", held.most, stand(held.count))
}

fn stand(listings: u32) -> String {
    if listings == 1 { "1 listing stands".to_owned() } else { format!("{listings} listings stand") }
}

/// The word of a severity within a sentence.
fn in_words(severity: Severity) -> String {
    let word = severity.word().to_lowercase();
    if severity == Severity::Medium { format!("a {word}") } else { word }
}

/// Where to read on about listings: the domain's own lists, or the servers whose addresses are listed.
fn lists_at(loaded: &Loaded) -> &'static str {
    let own = loaded.domain.listings.iter().any(|listing| listing.subject == loaded.domain.name.as_str());
    if own && has_lists(loaded) { "#lists" } else { "#mx" }
}

/// Links to the parts that are there, in their order.
fn parts(loaded: &Loaded, audit: &AuditReport) -> AnyView {
    let mut before = vec![("findings", "Findings")];
    if !audit.mx_hosts.is_empty() {
        before.push(("mx", "Mail servers"));
    }
    let mut after = Vec::new();
    if has_lists(loaded) {
        after.push(("lists", "Block lists"));
    }
    after.push(("history", "History"));
    if !audit.records.is_empty() {
        after.push(("records", "Records"));
    }
    after.push(("settings", "Settings"));
    ui::on_this_page(audit, &before, &after)
}

/// An address of an MX host, with its page where it is watched and with the listings that weigh on the grade.
fn of_host(loaded: &Loaded, ip: IpAddr, root: &str) -> AnyView {
    let text = ip.to_string();
    let watched =
        loaded.addresses.items.iter().filter(|address| address.cidr.net().contains(&ip)).max_by_key(|address| address.cidr.net().prefix_len());
    let listed: Vec<_> = loaded.domain.listings.iter().filter(|listing| listing.subject == text).collect();
    let badge = listed.iter().map(|listing| listing.severity).max().map(|worst| {
        view! { " "{ui::status(worst.into(), &text::counted(u32::try_from(listed.len()).unwrap_or(u32::MAX), "listing", "listings"))} }
    });
    let name = match watched {
        Some(address) => view! { <a href=format!("{root}/addresses/{}", address.id)>{text.clone()}</a> }.into_any(),
        None => text.clone().into_any(),
    };
    view! { <span class="sub">{name}{badge}</span> }.into_any()
}

fn hosts(loaded: &Loaded, audit: &AuditReport, root: &str) -> Option<AnyView> {
    let servers: &[Server] = &loaded.servers;
    if audit.mx_hosts.is_empty() {
        return None;
    }
    let rows = audit
        .mx_hosts
        .iter()
        .map(|host| {
            let server = servers.iter().find(|server| server.host == host.host);
            let name = match server {
                Some(server) => view! { <a class="plain" href=format!("{root}/servers/{}", server.id)>{ui::breakable(&host.host)}</a> }.into_any(),
                None => ui::breakable(&host.host),
            };
            let addresses = host.addresses.iter().map(|address| of_host(loaded, *address, root)).collect_view();
            view! {
                <tr>
                    <th scope="row">{name}{host.provider.clone().map(|provider| view! { <span class="sub">{provider}</span> })}</th>
                    <td class="num" data-label="Preference">{host.preference.to_string()}</td>
                    <td data-label="Addresses"><span class="mono xs">{addresses}</span></td>
                    <td data-label="State">{server.map_or_else(|| "Not watched".into_any(), |server| ui::state_status(server.state, server.last_checked_at.is_some()))}</td>
                </tr>
            }
        })
        .collect_view();
    Some(
        view! {
            <section class="card" id="mx" aria-labelledby="h-mx" data-live="mx">
                <div class="card-head"><h2 id="h-mx">"Mail servers"</h2></div>
                <div class="table-wrap" tabindex="0" role="region" aria-label="MX hosts, table">
                    <table class="table fold">
                        <caption class="vh">"MX hosts"</caption>
                        <thead><tr><th scope="col">"Host"</th><th scope="col" class="num">"Preference"</th><th scope="col">"Addresses"</th><th scope="col">"State"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </section>
        }
        .into_any(),
    )
}

/// The domain is looked for on lists itself, or was.
fn has_lists(loaded: &Loaded) -> bool {
    settings::main_monitor(&loaded.domain.monitors, MonitorKind::Blacklist).is_some() || loaded.stays.as_ref().is_some_and(|stays| !stays.is_empty())
}

/// Block lists of domains: the latest scan and the stays before.
fn own_lists(loaded: &Loaded) -> Option<AnyView> {
    if !has_lists(loaded) {
        return None;
    }
    let (body, standing) = match &loaded.scan {
        Some(scan) => (view! { {ui::list_entries(scan)}{ui::guides(scan, &[])} }.into_any(), Some(ui::scanned(scan))),
        None => (
            view! { <div class="empty">{icon("clock")}<h3>"No scan to show yet"</h3><p>"The next one appears here by itself."</p></div> }.into_any(),
            None,
        ),
    };
    let meta = loaded.scan.as_ref().map(|scan| {
        let (told, untold) = scan.lists_told();
        view! { <span class="meta num">{format!("{told} of {} answered", told + untold)}</span> }
    });
    let lost = loaded.stays.is_none().then(|| view! { <p class="card-body sm muted">"Earlier stays can not be shown right now."</p> });
    Some(
        view! {
            <section class="card" id="lists" aria-labelledby="h-lists" data-live="lists">
                <div class="card-head"><h2 id="h-lists">"Block lists of the domain"</h2>{standing.map(|standing| ui::status(standing.status, &standing.word))}{meta}</div>
                {loaded.stays.as_deref().and_then(|stays| ui::stood_before(stays, "domain"))}
                {body}
                {loaded.stays.as_deref().filter(|stays| !stays.is_empty()).map(|stays| view! { <div class="sev-head"><h3>"Stays on lists"</h3><span class="meta num">{stays.len().to_string()}</span></div>{ui::stays(stays, false)} })}
                {lost}
            </section>
        }
        .into_any(),
    )
}
