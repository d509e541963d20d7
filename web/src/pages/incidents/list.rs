//! All incidents of an organisation: by where they are in their lives, how urgent they are, and by name.

use std::collections::HashMap;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{
    incident::{Incident, IncidentSeverity},
    incident_list::{IncidentCounts, Stage},
    page::List,
};

use crate::{
    ssr::{Answer, Visit, org_path, page},
    text,
    ui::{self, Place, icon},
};

/// What the list is asked for; empty parts do not narrow.
struct Asked {
    stage: Stage,
    severity: Option<IncidentSeverity>,
    q: String,
}

impl Asked {
    fn by(query: &HashMap<String, String>) -> Self {
        let part = |name: &str| query.get(name).map(|text| text.trim()).unwrap_or_default();
        Self {
            // Whoever opens the list wants to know what is broken.
            stage: part("status").parse().unwrap_or(Stage::Active),
            severity: part("severity").parse().ok(),
            q: part("q").to_owned(),
        }
    }

    /// What narrows beside the stage, as a query that others can be put behind.
    fn rest(&self) -> String {
        let severity = self.severity.map(|severity| format!("severity={}&", severity.as_str())).unwrap_or_default();
        let q = if self.q.is_empty() { String::new() } else { format!("q={}&", text::encoded(&self.q)) };
        format!("{severity}{q}")
    }

    fn query(&self) -> String {
        format!("{}status={}", self.rest(), self.stage.as_str())
    }
}

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    let asked = Asked::by(&visit.query());
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let path = org_path(&org, &format!("incidents?limit=50&{}{cursor}", asked.query()));
    let counts = org_path(&org, &format!("incidents/counts?{}", asked.rest().trim_end_matches('&')));
    let (frame, incidents, counts) =
        tokio::try_join!(visit.frame(&org), visit.api.get::<List<Incident>>(&path), visit.api.get::<IncidentCounts>(&counts))?;
    Ok(page(&visit, StatusCode::OK, "Incidents", || {
        let root = format!("/o/{}", text::encoded(&org));
        let base = format!("{root}/incidents");
        let body = if incidents.items.is_empty() {
            nothing(&asked, counts, &base)
        } else {
            view! { <ul class="list">{incidents.items.iter().map(|incident| ui::incident_item(incident, &root)).collect_view()}</ul> }.into_any()
        };
        let more = incidents.next.as_ref().map(
            |next| view! { <p><a class="btn" href=format!("{base}?{}&cursor={}", asked.query(), text::encoded(next))>"Older incidents"</a></p> },
        );
        let content = view! {
            {ui::head("Incidents", None, "What failed, since when, and who works on it.", ())}
            {stages(&asked, counts, &base)}
            <section class="card" aria-label="Incidents">
                {search(&asked, &base)}
                <div data-live="incidents">{body}</div>
            </section>
            {more}
        };
        ui::shell(&frame, Place::Incidents, vec![(None, "Incidents".to_owned())], content)
    }))
}

const fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Active => "Active",
        Stage::Open => "Nobody yet",
        Stage::Acknowledged => "Acknowledged",
        Stage::Resolved => "Resolved",
        Stage::All => "All",
    }
}

/// The stages as links, each with how many there are.
fn stages(asked: &Asked, counts: IncidentCounts, base: &str) -> AnyView {
    let links = Stage::ALL
        .into_iter()
        .map(|stage| {
            let to = format!("{base}?{}status={}", asked.rest(), stage.as_str());
            let here = (asked.stage == stage).then_some("true");
            view! { <a href=to aria-current=here>{format!("{} {}", word(stage), text::count(counts.of(stage).into()))}</a> }
        })
        .collect_view();
    view! { <nav class="seg seg-wrap" aria-label="Stages" data-live="stages">{links}</nav> }.into_any()
}

fn search(asked: &Asked, base: &str) -> AnyView {
    let severities = IncidentSeverity::ALL
        .into_iter()
        .map(|severity| view! { <option value=severity.as_str() selected=asked.severity == Some(severity)>{severity.word()}</option> })
        .collect_view();
    let all =
        (!asked.rest().is_empty()).then(|| view! { <a class="btn btn-quiet" href=format!("{base}?status={}", asked.stage.as_str())>"Show all"</a> });
    view! {
        <form class="filters" method="get" action=base.to_owned() role="search" aria-label="Incidents">
            <input type="hidden" name="status" value=asked.stage.as_str()/>
            <div class="field"><label for="f-q">"Name, address or title"</label><input class="input" id="f-q" type="search" name="q" value=asked.q.clone() autocomplete="off" spellcheck="false" maxlength="253"/></div>
            <div class="field"><label for="f-severity">"Severity"</label><select class="select" id="f-severity" name="severity"><option value="">"All"</option>{severities}</select></div>
            <button class="btn" type="submit">"Show"</button>
            {all}
        </form>
    }
    .into_any()
}

/// That there is none, and whether there is another to see.
fn nothing(asked: &Asked, counts: IncidentCounts, base: &str) -> AnyView {
    if !asked.rest().is_empty() {
        return view! { <div class="empty">{icon("search")}<h2>"No incident matches"</h2><p><a href=format!("{base}?status=all")>"Show all"</a></p></div> }.into_any();
    }
    let over = counts.resolved;
    let resolved = (over > 0 && asked.stage != Stage::Resolved).then(|| {
        let said = if over == 1 { "1 that is over".to_owned() } else { format!("{} that are over", text::count(over.into())) };
        view! { <p><a href=format!("{base}?status=resolved")>{said}</a></p> }
    });
    let head = match asked.stage {
        Stage::Active if over > 0 => "Nothing is broken",
        Stage::Acknowledged | Stage::Open if counts.of(Stage::All) > 0 => "None of these",
        _ => "No incidents",
    };
    view! { <div class="empty">{icon("ok")}<h2>{head}</h2><p>"When a check fails twice in a row, it shows here with what to do next."</p>{resolved}</div> }.into_any()
}
