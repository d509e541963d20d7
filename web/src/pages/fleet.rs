//! All monitors of an organisation as one list: searched, sorted, and changed many at a time.

mod change;

use std::collections::HashMap;

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::{
    fleet::{Order, Standing, StandingCounts},
    maintenance::Watched,
    monitor::{Monitor, MonitorKind},
    page::List,
    tag::TagUse,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Gate, Place, icon},
};

/// What the list is asked for; empty parts do not narrow.
struct Asked {
    q: String,
    kind: Option<MonitorKind>,
    state: Option<Standing>,
    tag: String,
    sort: Order,
}

impl Asked {
    fn by(query: &HashMap<String, String>) -> Self {
        let part = |name: &str| query.get(name).map(|text| text.trim()).unwrap_or_default();
        Self {
            q: part("q").to_owned(),
            kind: part("kind").parse().ok(),
            state: part("state").parse().ok(),
            tag: part("tag").to_lowercase(),
            // Whoever opens the list wants to know what fails.
            sort: part("sort").parse().unwrap_or(Order::Worst),
        }
    }

    /// As fields: names and values of what is asked for.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = Vec::new();
        let mut put = |name, value: &str| {
            if !value.is_empty() {
                parts.push((name, value.to_owned()));
            }
        };
        put("q", &self.q);
        put("kind", self.kind.map_or("", MonitorKind::as_str));
        put("state", self.state.map_or("", Standing::as_str));
        put("tag", &self.tag);
        put("sort", self.sort.as_str());
        parts
    }

    /// As a query, without the parts named.
    fn query(&self, without: &[&str]) -> String {
        let parts = self.parts().into_iter().filter(|(name, _)| !without.contains(name));
        parts.map(|(name, value)| format!("{name}={}", text::encoded(&value))).collect::<Vec<_>>().join("&")
    }

    fn narrows(&self) -> bool {
        !self.query(&["sort"]).is_empty()
    }
}

fn home(org: &str) -> String {
    format!("/o/{}/all", text::encoded(org))
}

/// The part of a query that goes on from where a page ended.
fn cursor_of(query: &HashMap<String, String>) -> String {
    query.get("cursor").map(|cursor| format!("&cursor={}", text::encoded(cursor))).unwrap_or_default()
}

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

pub(crate) async fn change(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let asked = Asked::by(&visit.query());
    let result = match change::patch(&fields, &asked) {
        Ok(patch) => visit.api.patch_many(&org_path(&org, "monitors"), &patch).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(done) => Ok(redirect(&format!("{}?{}{}&{}", home(&org), asked.query(&[]), cursor_of(&visit.query()), change::done_query(done)))),
        Err(failure) if failure.is_input() || failure.status == 412 => draw(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let query = visit.query();
    let asked = Asked::by(&query);
    let cursor = cursor_of(&query);
    let path = org_path(org, &format!("monitors?limit=50&{}{cursor}", asked.query(&[])));
    let (counts, tags) = (org_path(org, &format!("monitors/counts?{}", asked.query(&["state", "sort"]))), org_path(org, "tags"));
    // A list without its choice of tags is a list still.
    let (needed, tags) = tokio::join!(
        async { tokio::try_join!(visit.frame(org), visit.api.get::<List<Monitor>>(&path), visit.api.get::<StandingCounts>(&counts)) },
        visit.api.get::<List<TagUse>>(&tags)
    );
    let ((frame, monitors, counts), tags) = (needed?, tags.map(|list| list.items).unwrap_or_default());
    Ok(page(visit, settings::status(failure), "All monitors", || {
        let base = home(org);
        let matching = asked.state.map_or_else(|| counts.total(), |state| counts.of(state));
        let none = asked.narrows() || !cursor.is_empty();
        let body = match (monitors.items.is_empty(), none) {
            (true, false) => nothing_yet(&frame),
            (true, true) => {
                view! { <div class="empty">{icon("search")}<h2>"No monitor matches"</h2><p><a href=base.clone()>"Show all"</a></p></div> }.into_any()
            }
            (false, _) => table(&frame, &monitors.items, fields, &base),
        };
        let more = monitors.next.as_ref().map(|next| {
            let to = format!("{base}?{}&cursor={}", asked.query(&[]), text::encoded(next));
            view! { <p><a class="btn" href=to>"More monitors"</a></p> }
        });
        let form = (!monitors.items.is_empty())
            .then(|| change::card(&frame, &asked, (fields, failure), matching, &format!("{base}?{}{cursor}", asked.query(&[]))));
        let content = view! {
            {change::done(&query, failure)}
            {ui::head("All monitors", None, "Every check of this organisation: what fails comes first.", tables(&frame, &asked))}
            {states(&asked, counts, &base)}
            <section class="card" aria-label="Monitors">
                {search(&asked, &tags, &base)}
                <div data-live="fleet">{body}</div>
            </section>
            {more}
            {form}
        };
        ui::shell(&frame, Place::Fleet, vec![(None, "All monitors".to_owned())], content)
    }))
}

fn nothing_yet(frame: &Frame) -> AnyView {
    let gate = Gate::change(frame, "first");
    let add = format!("/o/{}/add", text::encoded(&frame.org.slug));
    view! {
        <div class="empty">
            {icon("server")}<h2>"Nothing is watched yet"</h2><p>"Add a domain: its mail servers and addresses are found by themselves."</p>
            {gate.link("btn btn-primary", add, "Add a monitor")}{gate.hint()}
        </div>
    }
    .into_any()
}

/// The table of what is watched, out and in.
fn tables(frame: &Frame, asked: &Asked) -> AnyView {
    let slug = text::encoded(&frame.org.slug);
    let out = format!("/api/v1/orgs/{slug}/export?{}", asked.query(&["sort"]));
    let word = if asked.narrows() { "Export these as CSV" } else { "Export CSV" };
    let gate = Gate::change(frame, "import");
    view! { <a class="btn" href=out download="">{icon("download")}{word}</a>{gate.link("btn", format!("/o/{slug}/import"), "Import CSV")} }.into_any()
}

/// What a standing is called, in the words of the states.
const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Down => "Failing",
        Standing::Degraded => "Degraded",
        Standing::Unknown => "Unknown",
        Standing::Pending => "Pending",
        Standing::Up => "Up",
        Standing::Paused => "Paused",
    }
}

/// The states as links, each with how many there are.
fn states(asked: &Asked, counts: StandingCounts, base: &str) -> AnyView {
    let rest = asked.query(&["state"]);
    let all = view! { <a href=format!("{base}?{rest}") aria-current=asked.state.is_none().then_some("true")>{format!("All {}", text::count(counts.total().into()))}</a> };
    let links = Standing::ALL
        .into_iter()
        .filter(|standing| counts.of(*standing) > 0 || asked.state == Some(*standing))
        .map(|standing| {
            let to = format!("{base}?{rest}&state={}", standing.as_str());
            let here = (asked.state == Some(standing)).then_some("true");
            view! { <a href=to aria-current=here>{format!("{} {}", word(standing), text::count(counts.of(standing).into()))}</a> }
        })
        .collect_view();
    view! { <nav class="seg seg-wrap" aria-label="States" data-live="standings">{all}{links}</nav> }.into_any()
}

fn search(asked: &Asked, tags: &[TagUse], base: &str) -> AnyView {
    let kinds = MonitorKind::ALL
        .into_iter()
        .map(|kind| view! { <option value=kind.as_str() selected=asked.kind == Some(kind)>{kind.word()}</option> })
        .collect_view();
    let unused = (!asked.tag.is_empty() && !tags.iter().any(|tag| tag.tag == asked.tag))
        .then(|| view! { <option value=asked.tag.clone() selected=true>{asked.tag.clone()}</option> });
    let tags = tags.iter().map(|tag| view! { <option value=tag.tag.clone() selected=tag.tag == asked.tag>{tag.tag.clone()}</option> }).collect_view();
    let orders = Order::ALL
        .into_iter()
        .map(|order| {
            let word = match order {
                Order::Worst => "What fails first",
                Order::Target => "By name",
                Order::Slowest => "Slowest first",
                Order::Checked => "Longest unchecked first",
                Order::Added => "Oldest first",
            };
            view! { <option value=order.as_str() selected=asked.sort == order>{word}</option> }
        })
        .collect_view();
    let state = asked.state.map(|state| view! { <input type="hidden" name="state" value=state.as_str()/> });
    let all = asked.narrows().then(|| view! { <a class="btn btn-quiet" href=base.to_owned()>"Show all"</a> });
    view! {
        <form class="filters" method="get" action=base.to_owned() role="search" aria-label="Monitors">
            {state}
            <div class="field"><label for="f-q">"Name or address"</label><input class="input" id="f-q" type="search" name="q" value=asked.q.clone() autocomplete="off" spellcheck="false" maxlength="253"/></div>
            <div class="field"><label for="f-kind">"Check"</label><select class="select" id="f-kind" name="kind"><option value="">"All"</option>{kinds}</select></div>
            <div class="field"><label for="f-tag">"Tag"</label><select class="select" id="f-tag" name="tag"><option value="">"All"</option>{unused}{tags}</select></div>
            <div class="field"><label for="f-sort">"Order"</label><select class="select" id="f-sort" name="sort">{orders}</select></div>
            <button class="btn" type="submit">"Show"</button>
            {all}
        </form>
    }
    .into_any()
}

/// Where something that is watched has its page.
fn page_of(monitor: &Monitor, root: &str) -> Option<String> {
    let of = [
        monitor.domain_id.map(|id| format!("domains/{id}")),
        monitor.server_id.map(|id| format!("servers/{id}")),
        monitor.address_id.map(|id| format!("addresses/{id}")),
        monitor.kind.is_service().then(|| format!("monitors/{}", monitor.id)),
    ];
    of.into_iter().flatten().next().map(|rest| format!("{root}/{rest}"))
}

fn table(frame: &Frame, monitors: &[Monitor], fields: &Fields, base: &str) -> AnyView {
    let closed = !Gate::change(frame, "many").is_open();
    let root = format!("/o/{}", text::encoded(&frame.org.slug));
    let rows = monitors
        .iter()
        .map(|monitor| {
            let name = ui::breakable(&monitor.target);
            let name = match page_of(monitor, &root) {
                Some(to) => view! { <a class="plain wrap-any" href=to>{name}</a> }.into_any(),
                None => view! { <span class="wrap-any">{name}</span> }.into_any(),
            };
            let watched = Watched {
                monitor: Some(monitor.id),
                domain: monitor.domain_id,
                server: monitor.server_id,
                address: monitor.address_id,
                tags: &monitor.tags,
            };
            let state = ui::monitor_status(monitor);
            let box_name = format!("{}{}", change::TICK, monitor.id);
            let ticked = fields.given(&box_name).is_some();
            let called = format!("Choose {}, {}", monitor.target, monitor.kind.word());
            view! {
                <tr>
                    <td class="pick"><input type="checkbox" id=box_name.clone() form=change::FORM name=box_name.clone() value="1" checked=ticked disabled=closed aria-describedby=closed.then_some("gate-many")/><label class="vh" for=box_name>{called}</label></td>
                    <th scope="row">{name}<span class="sub">{monitor.kind.word()}</span>{ui::tags(&monitor.tags, base)}</th>
                    <td data-label="State">{state}{ui::open_incidents(std::slice::from_ref(monitor), &root)}{ui::maintenance_mark(frame, watched)}</td>
                    <td data-label="What was seen">{text::sentence(monitor.summary.as_deref().unwrap_or("Not checked yet"))}</td>
                    <td class="num" data-label="Took">{text::millis(monitor.latency_ms)}</td>
                    <td class="num" data-label="Every">{text::duration(monitor.interval_s.into())}</td>
                    <td class="num" data-label="Last check">{ui::when(monitor.last_checked_at)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Monitors, table">
            <table class="table fold">
                <caption class="vh">"Monitors"</caption>
                <thead><tr><th scope="col"><span class="vh">"Choose"</span></th><th scope="col">"Monitor"</th><th scope="col">"State"</th><th scope="col">"What was seen"</th><th scope="col" class="num">"Took"</th><th scope="col" class="num">"Every"</th><th scope="col" class="num">"Last check"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
