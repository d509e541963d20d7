//! What to do about a listing: what the list is, what its answer means, what it costs, and how to get off it.

use std::{collections::BTreeMap, net::IpAddr};

use leptos::prelude::*;
use waypost_types::{
    Severity,
    lists::{ListInfo, ListType},
    outcome::{BlacklistReport, ListEntry, ScannedList, Status},
};

use super::icon;
use crate::text;

/// Addresses that a guide names one by one.
const NAMED: usize = 8;

/// False for lists that praise or score: an entry there is no problem.
pub(super) fn accuses(report: &BlacklistReport, zone: &str) -> bool {
    report.lists.iter().find(|row| row.zone == zone).is_none_or(|row| row.list_type.accuses())
}

/// Where the guide of a list stands on the page. Inside what is folded, so that a browser that is led there opens it.
pub(super) fn anchor(zone: &str) -> String {
    format!("guide-{zone}")
}

/// One guide per list with a listing, the worst first; nothing when there is none. The catalog may be empty: the scan tells the most important.
pub(crate) fn guides(report: &BlacklistReport, catalog: &[ListInfo]) -> Option<AnyView> {
    unfolded(report, catalog, false)
}

/// The same, with the worst one open: where they are what the page is about.
pub(crate) fn guides_first_open(report: &BlacklistReport, catalog: &[ListInfo]) -> Option<AnyView> {
    unfolded(report, catalog, true)
}

fn unfolded(report: &BlacklistReport, catalog: &[ListInfo], first_open: bool) -> Option<AnyView> {
    let mut by_list: BTreeMap<&str, Vec<&ListEntry>> = BTreeMap::new();
    for (entry, _) in report.listings() {
        by_list.entry(&entry.zone).or_default().push(entry);
    }
    if by_list.is_empty() {
        return None;
    }
    let mut sorted: Vec<(&str, Vec<&ListEntry>)> = by_list.into_iter().collect();
    sorted.sort_by_key(|(zone, entries)| (std::cmp::Reverse(entries.iter().map(|entry| entry.severity).max()), *zone));
    let all = sorted
        .into_iter()
        .enumerate()
        .map(|(nth, (zone, entries))| {
            let row = report.lists.iter().find(|row| row.zone == zone);
            let info = catalog.iter().find(|info| row.is_some_and(|row| row.id == info.id) || info.zone == zone);
            one(zone, &entries, row, info, first_open && nth == 0)
        })
        .collect_view();
    Some(all.into_any())
}

fn one(zone: &str, entries: &[&ListEntry], row: Option<&ScannedList>, info: Option<&ListInfo>, open: bool) -> AnyView {
    let severity = entries.iter().map(|entry| entry.severity).max().unwrap_or(Severity::Info);
    let kind = Status::from(severity);
    let glyph = match kind {
        Status::Bad => "bad",
        Status::Warn => "warn",
        _ => "info",
    };
    let name = entries.first().map(|entry| entry.list.clone()).unwrap_or_default();
    let title = match entries {
        [entry] => format!("{} is listed on {name}", entry.subject),
        many => {
            let what = if many.iter().all(|entry| entry.subject.parse::<IpAddr>().is_ok()) { "addresses" } else { "names and addresses" };
            format!("{} {what} are listed on {name}", many.len())
        }
    };
    let (word, meaning) = (severity.word(), severity.meaning());
    let fact = |name: &'static str, content: AnyView| view! { <div><dt>{name}</dt><dd>{content}</dd></div> };
    let said = |name: &'static str, told: Option<&str>| {
        let told = told.map(str::trim).filter(|told| !told.is_empty())?.to_owned();
        Some(fact(name, text::sentence(&told).into_any()))
    };
    let what = info.map(|info| format!("{}. Run by {}.", text::sentence(info.lists.trim().trim_end_matches('.')), info.operator));
    let costs = info.map(|info| info.severity_reason.as_str()).or_else(|| row.map(|row| row.effect.as_str()));
    let removal = info.map(|info| info.delisting.as_str()).or_else(|| row.map(|row| row.delisting.as_str()));
    let link = |url: Option<&str>, word: &'static str| {
        let url = url.filter(|url| url.starts_with("https://"))?.to_owned();
        Some(view! { <a class="btn" href=url rel="noopener noreferrer">{word}<span class="vh">{format!(" of {name}")}</span></a> })
    };
    let delist = info.map(|info| info.delist_url.as_str()).or_else(|| entries.iter().find_map(|entry| entry.delist_url.as_deref()));
    let links = (link(info.map(|info| info.lookup_url.as_str()), "Look it up there"), link(delist, "Ask for removal"));
    let links = (links.0.is_some() || links.1.is_some()).then(|| view! { <p class="row">{links.1}{links.0}</p> });
    view! {
        <details class="finding" data-status=kind.as_str() id=format!("{}-guide", anchor(zone)) open=open>
            <summary>
                {icon(glyph)}
                <span><span class="title">{title}</span><span class="desc">{format!("{word}: {meaning}")}</span></span>
                <span class="end"><svg class="icon chev" aria-hidden="true"><use href="#i-next"></use></svg></span>
            </summary>
            <div class="finding-body" id=anchor(zone)>
                <dl class="kv">
                    {said("What the list is", what.as_deref())}
                    {fact("What it says", answers(entries))}
                    {said("Why it matters", costs)}
                    {fact("First", "Stop the cause: an entry comes back while it lasts.".into_any())}
                    {said("How to get off", removal)}
                    {said("Goes by itself", info.map(|info| info.auto_expiry.as_str()))}
                </dl>
                {links}
            </div>
        </details>
    }
    .into_any()
}

/// Each answer of the list once, with what it means, the text that the list gives and the addresses it is about.
fn answers(entries: &[&ListEntry]) -> AnyView {
    let mut kinds: BTreeMap<(String, &str), Vec<&ListEntry>> = BTreeMap::new();
    for entry in entries {
        kinds.entry((entry.codes.join(" "), entry.meaning.as_str())).or_default().push(entry);
    }
    let several = entries.len() > 1;
    let lines = kinds
        .into_iter()
        .map(|((codes, meaning), about)| {
            let mut texts: Vec<&str> = about.iter().map(|entry| entry.reason.as_str()).filter(|reason| !reason.is_empty()).collect();
            texts.dedup();
            let quoted = texts.first().map(|reason| view! { <span class="sub">"“"{(*reason).to_owned()}"”"</span> });
            let named = several.then(|| {
                let mut names: Vec<String> = about.iter().take(NAMED).map(|entry| entry.subject.clone()).collect();
                if about.len() > NAMED {
                    names.push(format!("and {} more", about.len() - NAMED));
                }
                view! { <span class="sub mono">{names.join(", ")}</span> }
            });
            let meaning = if meaning.is_empty() { "An entry, without saying which kind".to_owned() } else { text::sentence(meaning) };
            view! { <div>{meaning}" "<span class="mono xs muted">{codes}</span>{quoted}{named}</div> }
        })
        .collect_view();
    lines.into_any()
}

/// What kind of list it is, in a word.
pub(crate) const fn type_word(kind: ListType) -> &'static str {
    match kind {
        ListType::Block => "Block list",
        ListType::Policy => "Policy list",
        ListType::Reputation => "Scores",
        ListType::Allow => "Allow list",
    }
}
