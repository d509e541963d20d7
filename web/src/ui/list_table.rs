//! The answers of block lists as tables: listings first, and apart from the rest the lists that could not tell. Where many subjects were looked
//! up, what is no listing is told by list.

use std::collections::BTreeMap;

use leptos::prelude::*;
use waypost_types::outcome::{BlacklistReport, ListEntry, ListState, Status};

use super::{guide, icon, status};
use crate::text;

/// Subjects that a row names one by one.
const NAMED: usize = 3;

/// Lists that could tell, listings first; those that could not are folded away below with their reasons.
pub(crate) fn list_entries(report: &BlacklistReport) -> AnyView {
    let mut sorted: Vec<&ListEntry> = report.entries.iter().collect();
    sorted.sort_by(|a, b| {
        (a.state != ListState::Listed).cmp(&(b.state != ListState::Listed)).then_with(|| a.subject.cmp(&b.subject)).then_with(|| a.list.cmp(&b.list))
    });
    let several = sorted.iter().any(|entry| entry.subject != sorted[0].subject);
    let (silent, told): (Vec<&ListEntry>, Vec<&ListEntry>) = sorted.into_iter().partition(|entry| entry.state == ListState::Unknown);
    let (listed, clean): (Vec<&ListEntry>, Vec<&ListEntry>) = told.iter().copied().partition(|entry| entry.state == ListState::Listed);
    let told = match () {
        () if told.is_empty() => {
            view! { <div class="empty">{icon("unknown")}<h3>"No list could tell"</h3><p>"Operators of block lists refuse public resolvers; a recursive resolver of your own helps."</p></div> }.into_any()
        }
        () if !several => table(report, &told, false, "Block lists"),
        () => {
            let listed = if listed.is_empty() {
                view! { <div class="empty">{icon("ok")}<h3>"No listing"</h3><p>"On no list that could tell."</p></div> }.into_any()
            } else {
                table(report, &listed, true, "Listings")
            };
            let clean = (!clean.is_empty()).then(|| folded("lists-clean", format!("Clean answers of {}", lists(&clean)), "", by_list(&clean, "Lists that found nothing")));
            view! { {listed}{clean} }.into_any()
        }
    };
    let silent = (!silent.is_empty()).then(|| {
        let rows = if several { by_list(&silent, "Lists that could not tell") } else { table(report, &silent, false, "Lists that could not tell") };
        folded("lists-silent", lists(&silent), " could not tell, which is no listing and no all-clear", rows)
    });
    view! { {told}{silent} }.into_any()
}

/// `3 lists`: how many the entries are of.
fn lists(entries: &[&ListEntry]) -> String {
    let zones: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry.zone.as_str()).collect();
    if zones.len() == 1 { "1 list".to_owned() } else { format!("{} lists", zones.len()) }
}

fn folded(id: &'static str, what: String, does: &'static str, rows: AnyView) -> AnyView {
    view! { <details id=id class="more"><summary>{what}{does}</summary>{rows}</details> }.into_any()
}

fn named(entry: &ListEntry) -> AnyView {
    view! { <span>{entry.list.clone()}<span class="sub mono">{entry.zone.clone()}</span></span> }.into_any()
}

fn table(report: &BlacklistReport, entries: &[&ListEntry], several: bool, caption: &'static str) -> AnyView {
    let rows = entries
        .iter()
        .map(|entry| {
            let state = match entry.state {
                ListState::Listed if guide::accuses(report, &entry.zone) => status(entry.severity.into(), "Listed"),
                ListState::Listed => status(Status::Info, "Listed, no problem"),
                ListState::Clean => status(Status::Ok, "Clean"),
                ListState::Unknown => status(Status::None, "No answer"),
            };
            let said: Vec<String> =
                [&entry.meaning, &entry.reason].into_iter().filter(|part| !part.is_empty()).map(|part| text::sentence(part)).collect();
            let codes = (!entry.codes.is_empty()).then(|| view! { <span class="mono xs muted">{format!(" {}", entry.codes.join(" "))}</span> });
            let guided = (entry.state == ListState::Listed && guide::accuses(report, &entry.zone)).then(|| {
                let to = format!("#{}", guide::anchor(&entry.zone));
                view! { " " <a href=to>"What to do"<span class="vh">{format!(" about {} on {}", entry.subject, entry.list)}</span></a> }
            });
            // An empty cell is left out where rows become cards.
            let says = !said.is_empty() || codes.is_some() || guided.is_some();
            let says = says.then(|| view! { <span class="wrap-any">{said.join(". ")}{codes}{guided}</span> });
            let first = if several {
                view! { <th scope="row" class="mono">{entry.subject.clone()}</th><td data-label="List">{named(entry)}</td> }.into_any()
            } else {
                view! { <th scope="row">{named(entry)}</th> }.into_any()
            };
            view! { <tr>{first}<td data-label="State">{state}</td><td data-label="What it says">{says}</td></tr> }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{caption}, table")>
            <table class="table fold">
                <caption class="vh">{caption}</caption>
                <thead><tr>{several.then(|| view! { <th scope="col">"Subject"</th> })}<th scope="col">"List"</th><th scope="col">"State"</th><th scope="col">"What it says"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Entries of one state, one row per list and reason.
fn by_list(entries: &[&ListEntry], caption: &'static str) -> AnyView {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&ListEntry>> = BTreeMap::new();
    for entry in entries {
        groups.entry((&entry.list, &entry.zone, &entry.reason)).or_default().push(entry);
    }
    let rows = groups
        .into_iter()
        .map(|((_, _, reason), about)| {
            let (Some(first), count) = (about.first(), about.len()) else { return ().into_any() };
            let subjects = if count > NAMED {
                format!("{count} of them")
            } else {
                about.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>().join(", ")
            };
            let state = if first.state == ListState::Clean { status(Status::Ok, "Clean") } else { status(Status::None, "No answer") };
            let said = text::sentence(reason);
            view! {
                <tr>
                    <th scope="row">{named(first)}</th>
                    <td data-label="State">{state}</td>
                    <td data-label="About">{subjects}</td>
                    <td data-label="What it says">{(!said.is_empty()).then_some(said)}</td>
                </tr>
            }
            .into_any()
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{caption}, table")>
            <table class="table fold">
                <caption class="vh">{caption}</caption>
                <thead><tr><th scope="col">"List"</th><th scope="col">"State"</th><th scope="col">"About"</th><th scope="col">"What it says"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
