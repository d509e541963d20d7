//! Many addresses against many lists: one row per address, one column per list that has something to say, and the others summed up.

use std::collections::BTreeMap;

use leptos::prelude::*;
use waypost_types::{
    Cidr, Severity,
    outcome::{BlacklistReport, ListEntry, ListState, ScannedList, Status},
};

use super::{guide, icon, status};
use crate::text;

/// Addresses under one heading.
const BLOCK: usize = 32;

/// Which addresses have a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Those that are on a list.
    Listed,
    /// All of the network.
    All,
}

impl Show {
    /// The choice of a query; listed addresses when it makes none.
    pub(crate) fn of(word: Option<&str>) -> Self {
        if word == Some("all") { Self::All } else { Self::Listed }
    }
}

type Cells<'a> = BTreeMap<(&'a str, &'a str), &'a ListEntry>;

/// The grid of a network's scan, with the choice of rows and the lists that have nothing to say. `page` is the address of this page.
pub(crate) fn grid(report: &BlacklistReport, cidr: &Cidr, show: Show, page: &str) -> AnyView {
    let cells: Cells<'_> = report
        .entries
        .iter()
        .filter(|entry| entry.state == ListState::Listed)
        .map(|entry| ((entry.subject.as_str(), entry.zone.as_str()), entry))
        .collect();
    let mut columns: Vec<&ScannedList> = report.lists.iter().filter(|row| row.listed > 0).collect();
    columns.sort_by_key(|row| (!row.list_type.accuses(), std::cmp::Reverse(row.severity), row.list.clone()));
    let addresses: Vec<String> = cidr.addresses().iter().map(ToString::to_string).collect();
    let listed: Vec<&String> = addresses.iter().filter(|address| is_listed(report, &cells, address)).collect();
    let choice = |to: Show, word: &'static str, query: &'static str, many: usize| {
        let current = (to == show).then_some("true");
        view! { <a href=format!("{page}?show={query}#h-lists") aria-current=current>{word}" "<span class="num">{many}</span></a> }
    };
    let body = match (show, listed.is_empty()) {
        (Show::Listed, true) => view! { <div class="empty">{icon("ok")}<h3>"No address is listed"</h3><p>{told(report)}</p></div> }.into_any(),
        (Show::Listed, false) => {
            let rows = listed.iter().map(|address| row(report, &cells, &columns, address)).collect_view();
            table(&columns, view! { <tbody>{rows}</tbody> }.into_any(), "Listed addresses and lists")
        }
        (Show::All, _) => {
            let blocks = addresses.chunks(BLOCK).map(|block| self::block(report, &cells, &columns, block)).collect_view();
            table(&columns, blocks.into_any(), "All addresses and lists")
        }
    };
    view! {
        <div class="filters">
            <nav class="seg" aria-label="Addresses shown">
                {choice(Show::Listed, "Listed", "listed", listed.len())}
                {choice(Show::All, "All", "all", addresses.len())}
            </nav>
        </div>
        {body}
        {sums(report)}
    }
    .into_any()
}

/// On a list where that is a problem.
fn is_listed(report: &BlacklistReport, cells: &Cells<'_>, address: &str) -> bool {
    cells.range((address, "")..).take_while(|((subject, _), _)| *subject == address).any(|((_, zone), _)| guide::accuses(report, zone))
}

fn told(report: &BlacklistReport) -> String {
    match report.lists_told() {
        (0, _) => "No list could tell, which is no all-clear.".to_owned(),
        (told, 0) => format!("All {told} lists answered."),
        (told, silent) => format!("{told} lists answered, {silent} could not tell."),
    }
}

fn table(columns: &[&ScannedList], body: AnyView, caption: &'static str) -> AnyView {
    let heads = columns
        .iter()
        .map(|column| {
            let to = column.list_type.accuses().then(|| format!("#{}", guide::anchor(&column.zone)));
            let name = match to {
                Some(to) => view! { <a href=to>{column.list.clone()}</a> }.into_any(),
                None => column.list.clone().into_any(),
            };
            view! { <th scope="col">{name}<span class="sub">{format!("{} of {}", column.listed, column.asked)}</span></th> }
        })
        .collect_view();
    view! {
        <div class="table-wrap tall" tabindex="0" role="region" aria-label=format!("{caption}, table")>
            <table class="table dense matrix">
                <caption class="vh">{caption}</caption>
                <thead><tr><th scope="col">"Address"</th><th scope="col">"All lists"</th>{heads}</tr></thead>
                {body}
            </table>
        </div>
    }
    .into_any()
}

fn block(report: &BlacklistReport, cells: &Cells<'_>, columns: &[&ScannedList], addresses: &[String]) -> AnyView {
    let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else { return ().into_any() };
    let listed = addresses.iter().filter(|address| is_listed(report, cells, address)).count();
    let word = if listed == 0 { "none listed".to_owned() } else { format!("{listed} listed") };
    let span = (columns.len() + 1).to_string();
    let rows = addresses.iter().map(|address| row(report, cells, columns, address)).collect_view();
    view! {
        <tbody>
            <tr class="group"><th scope="rowgroup"><span class="mono">{first.clone()}" – "{last.clone()}</span></th><td colspan=span class="muted">{word}</td></tr>
            {rows}
        </tbody>
    }
    .into_any()
}

fn row(report: &BlacklistReport, cells: &Cells<'_>, columns: &[&ScannedList], address: &str) -> AnyView {
    let of_address =
        || cells.range((address, "")..).take_while(move |((subject, _), _)| *subject == address).map(|((_, zone), entry)| (*zone, *entry));
    let problems: Vec<Severity> = of_address().filter(|(zone, _)| guide::accuses(report, zone)).map(|(_, entry)| entry.severity).collect();
    let whole = match problems.iter().max() {
        Some(worst) => status((*worst).into(), &text::counted(u32::try_from(problems.len()).unwrap_or(u32::MAX), "listing", "listings")),
        None if report.lists.iter().any(|list| report.state_of(address, &list.zone) != ListState::Unknown) => status(Status::Ok, "Clean"),
        None => status(Status::None, "No answer"),
    };
    let states = columns
        .iter()
        .map(|column| {
            let cell = match cells.get(&(address, column.zone.as_str())) {
                Some(entry) if column.list_type.accuses() => {
                    view! { {status(entry.severity.into(), "Listed")}<span class="sub mono">{entry.codes.join(" ")}</span> }.into_any()
                }
                Some(_) => status(Status::Info, "No problem"),
                None if report.state_of(address, &column.zone) == ListState::Clean => status(Status::Ok, "Clean"),
                None => status(Status::None, "No answer"),
            };
            view! { <td>{cell}</td> }
        })
        .collect_view();
    view! { <tr><th scope="row" class="mono">{address.to_owned()}</th><td>{whole}</td>{states}</tr> }.into_any()
}

/// The lists without a column: clean for all, partly silent, silent.
fn sums(report: &BlacklistReport) -> AnyView {
    let quiet = || report.lists.iter().filter(|row| row.listed == 0 && row.asked > 0);
    let clean = quiet().filter(|row| row.unknown == 0).count();
    let silent: Vec<&ScannedList> = report.lists.iter().filter(|row| row.unknown > 0 && row.asked > 0).collect();
    let lists = |many: usize| text::counted(u32::try_from(many).unwrap_or(u32::MAX), "list", "lists");
    let clean = (clean > 0).then(|| {
        let all = report.subjects.max(1);
        view! { <p class="card-body sm">{status(Status::Ok, &format!("{} clean for all {}", lists(clean), text::counted(all, "address", "addresses")))}</p> }
    });
    let silent = (!silent.is_empty()).then(|| {
        let rows = silent
            .iter()
            .map(|row| {
                let about = if row.unknown >= row.asked { "All".to_owned() } else { format!("{} of {}", row.unknown, row.asked) };
                let which = (!row.untold.is_empty()).then(|| view! { <span class="sub mono wrap-any">{row.untold.join(", ")}</span> });
                view! {
                    <tr>
                        <th scope="row"><span>{row.list.clone()}<span class="sub mono">{row.zone.clone()}</span></span></th>
                        <td class="num" data-label="Addresses">{about}</td>
                        <td data-label="Why"><span>{text::sentence(&row.reason)}{which}</span></td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <details id="lists-silent" class="more">
                <summary>{lists(silent.len())}" could not tell about some or all, which is no listing and no all-clear"</summary>
                <div class="table-wrap" tabindex="0" role="region" aria-label="Lists that could not tell, table">
                    <table class="table fold">
                        <caption class="vh">"Lists that could not tell"</caption>
                        <thead><tr><th scope="col">"List"</th><th scope="col" class="num">"Addresses"</th><th scope="col">"Why"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
        }
    });
    view! { <div class="sums">{clean}{silent}</div> }.into_any()
}
