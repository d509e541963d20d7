//! The overview of an organisation: what is wrong now, and how everything stands.

use axum::{extract::Path, http::StatusCode};
use chrono::Utc;
use leptos::prelude::*;
use waypost_types::{
    incident::Incident,
    outcome::Status,
    overview::{Overview, PortTile},
};

use super::domains::matrix;
use crate::{
    ssr::{Answer, Frame, Visit, org_path, page},
    text,
    ui::{self, Button, Gate, Place, icon},
};

pub(crate) async fn overview(visit: Visit, Path(org): Path<String>) -> Answer {
    let frame = visit.frame(&org).await?;
    // The frame tolerates a missing overview, this page does not.
    let overview: Overview = match &frame.overview {
        Some(overview) => overview.clone(),
        None => visit.api.get(&org_path(&org, "overview")).await?,
    };
    Ok(page(&visit, StatusCode::OK, "Overview", || {
        let base = format!("/o/{}", text::encoded(&org));
        let counts = overview.counts;
        let crumbs = vec![(None, "Overview".to_owned())];
        if counts.domains == 0 && counts.servers == 0 && counts.addresses == 0 && counts.services == 0 {
            return ui::shell(&frame, Place::Overview, crumbs, newcomer(&frame, &base));
        }
        let services = if counts.services == 0 { String::new() } else { format!(", {}", text::counted(counts.services, "service", "services")) };
        let last = overview.last_checked_at.map(|at| view! { " Last check "{ui::time(at)}"." });
        let sub = view! {
            {format!("{}, {}, {}{}.", text::counted(counts.servers, "mail server", "mail servers"), text::counted(counts.domains, "domain", "domains"), text::counted(counts.addresses, "address", "addresses"), services)}
            {last}
        };
        let tiles = overview.ports.iter().map(|tile| port_tile(tile, &base)).collect_view();
        let domains = (!overview.domains.is_empty()).then(|| {
            view! {
                <section class="card" aria-labelledby="h-auth" data-live="auth">
                    <div class="card-head"><h2 id="h-auth">"DNS and authentication"</h2><a href=format!("{base}/domains")>"All domains"</a></div>
                    {matrix(&frame, &overview.domains, &base)}
                </section>
            }
        });
        let content = view! {
            {ui::head("Overview", None, sub, ())}
            <div class="grid">
                {score(&overview)}
                {incidents(&overview.incidents, counts.open_incidents, &base)}
            </div>
            <section aria-labelledby="h-ports" data-live="ports"><h2 id="h-ports" class="vh">"Ports"</h2><div class="grid">{tiles}</div></section>
            {domains}
            {blacklists(&overview, &base)}
        };
        ui::shell(&frame, Place::Overview, crumbs, content)
    }))
}

fn score(overview: &Overview) -> AnyView {
    let value = overview.score.map_or_else(|| "–".to_owned(), |score| score.to_string());
    let mut worst: Vec<_> = overview.domains.iter().filter_map(|domain| domain.score.map(|score| (score, domain))).collect();
    worst.sort_by_key(|(score, _)| *score);
    let rows = worst
        .into_iter()
        .take(4)
        .map(|(score, domain)| view! { <li><span>{domain.display.clone()}</span><strong>{score.to_string()}</strong><svg class="hbar" height="8" aria-hidden="true"><rect class="b1" width=format!("{score}%") height="8"></rect></svg></li> })
        .collect::<Vec<_>>();
    let none = overview.score.is_none().then(|| view! { <p class="sm muted">"The score appears after the first audit of a domain."</p> });
    view! {
        <section class="card c5" aria-labelledby="h-score" data-live="score">
            <div class="card-head"><h2 id="h-score">"Health score"</h2><span class="meta">"mean of all domains"</span></div>
            <div class="card-body stack">
                <p class="score-value">{value}<span class="unit">" / 100"</span></p>
                {none}
                {(!rows.is_empty()).then(|| view! { <ul class="parts" aria-label="Lowest scores, each of 100">{rows}</ul> })}
            </div>
        </section>
    }
    .into_any()
}

fn incidents(open: &[Incident], count: u32, base: &str) -> AnyView {
    let body = if open.is_empty() {
        view! { <div class="empty">{icon("ok")}<h3>"No open incidents"</h3><p>"When a check fails twice in a row, it shows here with what to do next."</p></div> }.into_any()
    } else {
        view! { <ul class="list">{open.iter().map(|incident| ui::incident_item(incident, base)).collect_view()}</ul> }.into_any()
    };
    let badge = (count > 0).then(|| view! { " " <span class="count" data-status="bad">{count.to_string()}</span> });
    view! {
        <section class="card c7" aria-labelledby="h-inc" data-live="incidents">
            <div class="card-head"><h2 id="h-inc">"Open incidents"{badge}</h2><a href=format!("{base}/incidents")>"All incidents"</a></div>
            {body}
        </section>
    }
    .into_any()
}

fn port_tile(tile: &PortTile, base: &str) -> AnyView {
    let speaks = match tile.port {
        25 => "SMTP, STARTTLS",
        465 => "Submission, TLS",
        _ => "Submission, STARTTLS",
    };
    let known = tile.up + tile.degraded + tile.down;
    let badge = match () {
        () if tile.total == 0 => ui::badge(Status::None, "Not watched"),
        () if tile.down > 0 => ui::badge(Status::Bad, &format!("{} of {} failing", tile.down, tile.total)),
        () if tile.degraded > 0 => ui::badge(Status::Warn, &format!("{} of {} degraded", tile.degraded, tile.total)),
        () if known == 0 => ui::badge(Status::None, "Not known yet"),
        () => ui::badge(Status::Ok, &format!("{} of {} up", tile.up, tile.total)),
    };
    let span = text::span_of(tile.uptime_since, Utc::now());
    let uptime = tile.uptime_30d.map_or_else(|| "no history yet".to_owned(), |share| format!("{} up, {span}", text::percent(share)));
    let rows = tile
        .hosts
        .iter()
        .map(|host| {
            let name = match host.server_id {
                Some(id) => view! { <a href=format!("{base}/servers/{id}") title=host.host.clone()>{ui::breakable(&host.host)}</a> }.into_any(),
                None => view! { <span title=host.host.clone()>{ui::breakable(&host.host)}</span> }.into_any(),
            };
            view! { <li>{name}{ui::state_status(host.state, host.latency_ms.is_some())}<span class="num muted">{text::millis(host.latency_ms)}</span></li> }
        })
        .collect_view();
    let none = tile
        .hosts
        .is_empty()
        .then(|| view! { <p class="empty sm">"No mail server is watched on this port. "<a href=format!("{base}/servers")>"Choose one"</a></p> });
    let more = tile.total.saturating_sub(u32::try_from(tile.hosts.len()).unwrap_or(u32::MAX));
    let more = (more > 0).then(|| {
        let port = tile.port;
        view! { <p class="card-foot"><a href=format!("{base}/servers")>{format!("and {more} more")}<span class="vh">{format!(" on port {port}")}</span></a></p> }
    });
    let id = format!("p{}", tile.port);
    view! {
        <section class="card tile c4" aria-labelledby=id.clone()>
            <div class="tile-head"><h3 class="port" id=id.clone()><span class="vh">"Port "</span>{tile.port.to_string()}</h3><span class="muted sm">{speaks}</span>{badge}</div>
            <p class="facts"><span class="num">{uptime}</span></p>
            {none}
            <ul class="rows">{rows}</ul>
            {more}
        </section>
    }
    .into_any()
}

fn blacklists(overview: &Overview, base: &str) -> Option<AnyView> {
    let addresses = &overview.addresses;
    if addresses.is_empty() {
        return None;
    }
    let standing = ui::listings(addresses.iter(), overview.listed);
    let badge = ui::badge(standing.status, &standing.word);
    let rows = addresses
        .iter()
        .map(|address| {
            let (hosts, title) = (address.hosts.join(", "), address.hosts.join(", "));
            view! {
                <li>
                    <span title=title><a class="mono" href=format!("{base}/addresses/{}", address.id)>{address.cidr.to_string()}</a>" "<span class="muted xs">{hosts}</span></span>
                    {ui::listing_status(address)}
                    <span class="num muted">{format!("{} of {}", address.answered, address.asked)}</span>
                </li>
            }
        })
        .collect_view();
    Some(
        view! {
            <section class="card" id="blacklists" aria-labelledby="h-bl" data-live="blacklists">
                <div class="card-head"><h2 id="h-bl">"Blacklists"</h2>{badge}<a href=format!("{base}/addresses")>"All addresses"</a></div>
                <ul class="rows">{rows}</ul>
            </section>
        }
        .into_any(),
    )
}

fn newcomer(frame: &Frame, base: &str) -> AnyView {
    let gate = Gate::change(frame, "first");
    let name = view! {
        <label class="vh" for="first-domain">"Domain"</label>
        <input class="input" id="first-domain" name="name" placeholder="example.com" autocomplete="off" autocapitalize="none" spellcheck="false" required=true/>
    };
    view! {
        <div class="page-head"><div>
            <h1>"Add a domain and see the first result in a minute"</h1>
            <p class="sub">"Nothing is monitored yet. Waypost reads public DNS and speaks SMTP from outside: there is nothing to install on your servers."</p>
        </div></div>
        <div class="grid">
            <section class="card c7" aria-label="First steps">
                <div class="card-head"><h2>"First steps"</h2></div>
                <ol class="steps">
                    <li aria-current="step"><span class="n" aria-hidden="true">"1"</span><div>
                        <h3>"Add a domain"</h3>
                        <p>"We look up its mail servers and check SPF, DKIM, DMARC, MTA-STS, TLS-RPT, BIMI, DANE and rDNS."</p>
                        {gate.form("inline-form", format!("{base}/domains"), name, Button::new("btn btn-primary", "Add domain"))}
                        {gate.hint()}
                    </div></li>
                    <li><span class="n" aria-hidden="true">"2"</span><div><h3>"See its mail servers"</h3><p>"Every MX host is watched on port 25, and its addresses on the block lists, by themselves."</p></div></li>
                    <li><span class="n" aria-hidden="true">"3"</span><div><h3>"Confirm your email address"</h3><p>{if frame.me.user.email_verified { "Done. Alerts about incidents go there." } else { "Alerts about incidents go there." }}</p></div></li>
                </ol>
            </section>
            <section class="card c5" aria-label="Health score, no data">
                <div class="card-head"><h2>"Health score"</h2></div>
                <div class="empty">{icon("chart")}<h3>"No score yet"</h3><p>"It appears once one domain was checked."</p></div>
                <div class="card-foot">{gate.link("", format!("{base}/add"), "Add a mail server or an address instead")}</div>
            </section>
        </div>
    }
    .into_any()
}
