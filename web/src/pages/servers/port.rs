//! One port of a mail server: its tile, and what the latest conversation showed.

use leptos::prelude::*;
use waypost_types::{
    judge::MonitorState,
    monitor::{CheckResult, Monitor},
    outcome::{Outcome, ProbeReport, extension_words},
};

use super::Port;
use crate::{text, ui};

fn number(monitor: &Monitor) -> String {
    monitor.target.rsplit(':').next().unwrap_or_default().to_owned()
}

fn probes(port: Option<&Port>) -> &[ProbeReport] {
    match port.and_then(|port| port.outcome.as_ref()) {
        Some(Outcome::Smtp(report)) => &report.probes,
        _ => &[],
    }
}

fn row(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <div><dt>{name}</dt><dd>{value.into_any()}</dd></div> }.into_any()
}

pub(super) fn tile(monitor: &Monitor, port: Option<&Port>, root: &str) -> AnyView {
    let number = number(monitor);
    let speaks = match number.as_str() {
        "25" => "SMTP, STARTTLS",
        "465" => "Submission, TLS",
        "587" => "Submission, STARTTLS",
        _ => "SMTP",
    };
    let first = probes(port).first();
    let since = monitor.state_since.filter(|_| monitor.state != MonitorState::Pending).map(|at| row("Since", view! { {ui::time(at)} }));
    let summary = monitor.summary.clone().unwrap_or_else(|| "The first probe is on its way.".to_owned());
    let strip = port.map(|port| ui::uptime(&port.days, &format!("Port {number}")));
    view! {
        <div class="card c4">
            <div class="tile-head"><h3 class="port"><span class="vh">"Port "</span>{number.clone()}</h3><span class="muted sm">{speaks}</span>{ui::monitor_badge(monitor)}</div>
            <div class="card-body stack pt4">
                <p class="sm soft">{text::sentence(&summary)}</p>
                {ui::open_incidents(std::slice::from_ref(monitor), root)}
                {strip}
                <dl class="kv">
                    {first.map(|probe| row("Connect", text::millis(probe.stage_ms.connect)))}
                    {first.map(|probe| row("Banner", text::millis(probe.stage_ms.banner)))}
                    {first.map(|probe| row("TLS", ui::tls_status(probe)))}
                    {since}
                    {row("Last probe", ui::when(monitor.last_checked_at))}
                    {(!monitor.paused).then(|| row("Next probe", ui::when(monitor.next_check_at)))}
                </dl>
            </div>
        </div>
    }
    .into_any()
}

/// `root` is the organisation's pages, `page` the server's and the period that its charts show.
pub(super) fn detail(monitor: &Monitor, port: Option<&Port>, root: &str, page: (&str, ui::Period)) -> Option<AnyView> {
    let port = port?;
    let number = number(monitor);
    let conversations = probes(Some(port)).iter().enumerate().map(|(index, probe)| conversation(probe, &format!("{number}-{index}"))).collect_view();
    let looks = match port.outcome.as_ref() {
        Some(Outcome::Smtp(report)) => report.close_looks.as_slice(),
        _ => &[],
    };
    let close_looks = looks.iter().enumerate().map(|(index, look)| ui::close_look(look, &format!("{number}-close{index}"))).collect_view();
    let login = match port.outcome.as_ref() {
        Some(Outcome::Smtp(report)) => report.login.as_ref().map(|look| ui::login_look(look, &format!("{number}-login"))),
        _ => None,
    };
    let timing = port.timings.as_ref().map(|timings| {
        view! {
            <div class="card-body stack">{ui::timing(timings, &number, root, page)}</div>
            {(timings.regions.len() > 1).then(|| view! { <div class="ruled">{ui::regions(&timings.regions, &number)}</div> })}
        }
    });
    Some(
        view! {
            <section class="card" aria-labelledby=format!("h-{number}") data-live=format!("port-{number}")>
                <div class="card-head"><h2 id=format!("h-{number}")>{format!("Port {number}")}</h2><span class="meta">"every "{text::duration(monitor.interval_s.into())}</span></div>
                {timing}
                {conversations}
                {login}
                {close_looks}
                <details id=format!("results-{number}") class="more">
                    <summary>"Latest results"</summary>
                    {results(&port.results)}
                </details>
            </section>
        }
        .into_any(),
    )
}

fn conversation(probe: &ProbeReport, id: &str) -> AnyView {
    let address = probe.address.map_or_else(|| probe.host.clone(), |address| address.to_string());
    let findings = (!probe.findings.is_empty()).then(|| ui::findings(&probe.findings, &format!("p{id}")));
    let extensions = (!probe.extensions.is_empty())
        .then(|| view! { <p class="row mt2">{probe.extensions.iter().map(|extension| view! { <span class="tag mono">{extension_words(extension)}</span> }).collect_view()}</p> });
    let transcript = ui::transcript(&probe.transcript, id, true);
    // Beside each other where both are there and the page is wide.
    let seen = (probe.tls.is_some() || extensions.is_some())
        .then(|| view! { <div class="stack c5">{probe.tls.as_ref().map(|tls| ui::session(tls, ui::takes_from_servers(probe)))}{extensions}</div> });
    let said = transcript.map(|transcript| view! { <div class=if seen.is_some() { "c7" } else { "" }>{transcript}</div> });
    view! {
        <div class="card-body stack">
            <h3 class="mono">{address}</h3>
            <p class="sm">{ui::status(probe.verdict.into(), &probe.reason)}</p>
            {probe.trace.as_ref().map(|trace| ui::trace(trace, id))}
            <div class="grid">{seen}{said}</div>
        </div>
        {findings}
        {ui::unknown_parts(&probe.unknown)}
    }
    .into_any()
}

/// The latest results of a monitor.
pub(in crate::pages) fn results(results: &[CheckResult]) -> AnyView {
    if results.is_empty() {
        return view! { <p class="card-body sm muted">"No results yet."</p> }.into_any();
    }
    let rows = results
        .iter()
        .map(|result| {
            view! {
                <tr>
                    <th scope="row">{ui::time(result.at)}</th>
                    <td data-label="Result">{ui::verdict(result.verdict)}{result.maintenance.then_some(view! { <span class="sub">"in maintenance"</span> })}</td>
                    <td data-label="What was seen">{text::sentence(&result.summary)}</td>
                    <td class="num" data-label="Took">{text::millis(result.latency_ms)}</td>
                    <td data-label="From">{result.region.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Latest results, table">
            <table class="table fold">
                <caption class="vh">"Latest results"</caption>
                <thead><tr><th scope="col">"When"</th><th scope="col">"Result"</th><th scope="col">"What was seen"</th><th scope="col" class="num">"Took"</th><th scope="col">"From"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
