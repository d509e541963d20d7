//! The answers of block lists as a table: listings first, and apart from the rest the lists that could not tell.

use leptos::prelude::*;
use waypost_types::outcome::{BlacklistReport, ListEntry, ListState, Status};

use super::{guide, icon, status};
use crate::text;

/// Lists that could tell, listings first; those that could not are folded away below with their reasons.
pub(crate) fn list_entries(report: &BlacklistReport) -> AnyView {
    let mut sorted: Vec<&ListEntry> = report.entries.iter().collect();
    sorted.sort_by(|a, b| {
        (a.state != ListState::Listed).cmp(&(b.state != ListState::Listed)).then_with(|| a.subject.cmp(&b.subject)).then_with(|| a.list.cmp(&b.list))
    });
    let (silent, told): (Vec<&ListEntry>, Vec<&ListEntry>) = sorted.into_iter().partition(|entry| entry.state == ListState::Unknown);
    let many = silent.len();
    let silent = (many > 0).then(|| {
        let word = if many == 1 { "1 list could not tell".to_owned() } else { format!("{many} lists could not tell") };
        view! {
            <details id="lists-silent" class="more">
                <summary>{word}", which is no listing and no all-clear"</summary>
                {list_table(report, &silent, "Lists that could not tell")}
            </details>
        }
    });
    let told = if told.is_empty() {
        view! { <div class="empty">{icon("unknown")}<h3>"No list could tell"</h3><p>"Operators of block lists refuse public resolvers; a recursive resolver of your own helps."</p></div> }.into_any()
    } else {
        list_table(report, &told, "Block lists")
    };
    view! { {told}{silent} }.into_any()
}

fn list_table(report: &BlacklistReport, entries: &[&ListEntry], caption: &'static str) -> AnyView {
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
            let says = says.then(|| view! { <span>{said.join(". ")}{codes}{guided}</span> });
            view! {
                <tr>
                    <th scope="row" class="mono">{entry.subject.clone()}</th>
                    <td data-label="List"><span>{entry.list.clone()}<span class="sub mono">{entry.zone.clone()}</span></span></td>
                    <td data-label="State">{state}</td>
                    <td data-label="What it says">{says}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{caption}, table")>
            <table class="table fold">
                <caption class="vh">{caption}</caption>
                <thead><tr><th scope="col">"Subject"</th><th scope="col">"List"</th><th scope="col">"State"</th><th scope="col">"What it says"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
