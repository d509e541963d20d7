//! IP pools: all of them with how their addresses stand on block lists, and one with its settings.

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    asset::Address,
    outcome::Status,
    page::List,
    pool::{Pool, PoolStanding},
};

use super::{
    addresses,
    maintenance::comes_back,
    settings::{self, Target},
};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

type Of = Path<(String, String)>;

/// Addresses of a pool that the list shows, the worst first.
const SHOWN: usize = 12;
const FIELDS: [&str; 3] = ["name", "note", "addresses"];

fn home(org: &str) -> String {
    format!("/o/{}/pools", text::encoded(org))
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "pools" }
}

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    draw_list(&visit, &org, &Fields::empty(), None).await
}

/// Makes a pool.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let new = json!({ "name": fields.text("name"), "note": fields.text("note"), "addresses": ui::tag_parts(fields.raw("addresses")) });
    match visit.api.post::<Pool>(&org_path(&org, "pools"), &new).await {
        Ok(pool) => Ok(redirect(&format!("{}/{}?saved=made", home(&org), pool.id))),
        Err(failure) if failure.is_input() => draw_list(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn draw_list(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let path = org_path(org, "pools");
    let (frame, pools) = tokio::try_join!(visit.frame(org), visit.api.get::<List<Pool>>(&path))?;
    Ok(page(visit, settings::status(failure), "IP pools", || {
        let root = format!("/o/{}", text::encoded(org));
        let gate = Gate::change(&frame, "pools");
        let all = if pools.items.is_empty() {
            view! { <section class="card" aria-label="Pools"><div class="empty">{icon("list")}<h3>"No pools yet"</h3><p>"A pool keeps together the addresses that send one kind of mail: newsletters apart from receipts, so that one reputation does not hurt the other."</p></div></section> }.into_any()
        } else {
            pools.items.iter().map(|pool| card(&frame, pool, &root)).collect_view().into_any()
        };
        let form = Form::new(fields, failure, &FIELDS);
        let inputs = view! {
            {form.said()}
            {form.input("name", "Name", "text", "off", "Such as newsletter or transactional. It stays: filters, routes and windows know the pool by it.")}
            {inputs(&form, "", "")}
        };
        let content = view! {
            {notice(visit, None)}
            {ui::head("IP pools", None, "Addresses that send one kind of mail. A pool is a tag of its addresses: lists, routes, rules and maintenance windows choose it by that.", ())}
            <div class="stack" data-live="pools">{all}</div>
            <section class="card" aria-labelledby="h-new">
                <div class="card-head"><h2 id="h-new">"New pool"</h2></div>
                <div class="card-body stack">{gate.form("stack", home(org), inputs, Button::new("btn btn-primary", "Make the pool"))}{gate.hint()}</div>
            </section>
        };
        let crumbs = vec![(Some(format!("{root}/addresses")), "Blacklists".to_owned()), (None, "IP pools".to_owned())];
        ui::shell(&frame, Place::Addresses, crumbs, content)
    }))
}

/// The fields that a new pool and one that is there have.
fn inputs(form: &Form<'_>, note: &str, addresses: &str) -> AnyView {
    view! {
        {form.maybe("note", "What it is for", note, "One line.")}
        {form.area("addresses", "Addresses", addresses, "Addresses and networks that are watched, one on each line. One of another pool leaves it.")}
    }
    .into_any()
}

fn card(frame: &Frame, pool: &Pool, root: &str) -> AnyView {
    let mut worst: Vec<Address> = pool.addresses.clone();
    worst.sort_by_key(|address| (address.listed == 0, !address.is_untold()));
    let rest = worst.len().saturating_sub(SHOWN);
    worst.truncate(SHOWN);
    let id = format!("h-{}", pool.id);
    let body = if worst.is_empty() {
        view! { <p class="card-body sm muted">"It has no addresses."</p> }.into_any()
    } else {
        addresses::table(frame, &worst, root, (&format!("Addresses of {}", pool.name), own_tags))
    };
    let to = format!("{root}/pools/{}", pool.id);
    let more = (rest > 0).then(|| view! { <div class="card-foot"><a href=to.clone()>{format!("And {}", text::counted(u32::try_from(rest).unwrap_or(u32::MAX), "more address", "more addresses"))}</a></div> });
    view! {
        <section class="card" aria-labelledby=id.clone()>
            <div class="card-head"><h2 id=id.clone()><a class="plain strong" href=to.clone()>{pool.name.clone()}</a></h2><span class="row">{standing(pool.standing)}</span><a class="meta" href=format!("{root}/all?tag={}", text::encoded(&pool.tag))>"Its monitors"</a></div>
            {(!pool.note.is_empty()).then(|| view! { <p class="card-body sm soft">{pool.note.clone()}</p> })}
            {body}
            {more}
        </section>
    }
    .into_any()
}

/// The pool's own need not be said of each.
fn own_tags(address: &Address) -> Vec<String> {
    address.tags.clone()
}

/// How many stand how; what there is none of is not said.
fn standing(standing: PoolStanding) -> AnyView {
    let said = [(standing.listed, Status::Bad, "listed now"), (standing.unknown, Status::None, "unknown"), (standing.clean, Status::Ok, "clean")];
    said.into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, status, word)| ui::badge(status, &format!("{count} {word}")))
        .collect_view()
        .into_any()
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Of) -> Answer {
    draw(&visit, &target(&org, &id), &Fields::empty(), None).await
}

/// Changes it.
pub(crate) async fn change(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let mut patch = json!({ "note": fields.text("note") });
    // What was not touched is not put back as it was when the form was shown.
    if fields.raw("addresses").trim() != fields.raw("addresses_before").trim() {
        patch["addresses"] = Value::from(ui::tag_parts(fields.raw("addresses")));
    }
    let changed = visit.api.patch(&target.api(""), fields.version(), &patch).await;
    answer(&visit, &target, changed.map(|()| format!("{}?saved=saved", target.page())), &fields).await
}

/// Removes it.
pub(crate) async fn remove(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let removed = visit.api.delete(&target.api(""), fields.version()).await;
    answer(&visit, &target, removed.map(|()| format!("{}?saved=removed", home(&org))), &Fields::empty()).await
}

async fn answer(visit: &Visit, target: &Target<'_>, done: Result<String, ApiFailure>, fields: &Fields) -> Answer {
    match settings::settled(done)? {
        Ok(response) => Ok(response),
        Err(failure) => draw(visit, target, fields, Some(&failure)).await,
    }
}

async fn draw(visit: &Visit, target: &Target<'_>, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let path = target.api("");
    let (frame, pool) = tokio::try_join!(visit.frame(target.org), visit.api.get::<Pool>(&path))?;
    Ok(page(visit, settings::status(failure), &pool.name.clone(), || {
        let root = format!("/o/{}", text::encoded(target.org));
        let base = target.page();
        let gate = Gate::change(&frame, "pool");
        let form = Form::new(fields, failure.filter(|failure| !comes_back(failure)), &FIELDS);
        let version = || view! { <input type="hidden" name="version" value=pool.version.to_string()/> };
        let written = pool.addresses.iter().map(|address| address.cidr.to_string()).collect::<Vec<_>>().join("\n");
        let before = view! { <input type="hidden" name="addresses_before" value=written.clone()/> };
        let inputs = view! { {form.said()}{version()}{before}{inputs(&form, &pool.note, &written)} };
        let remove = view! { {version()}<p class="sm">"Its addresses stay watched. Routes, rules and windows that name its tag are about nothing of it any more."</p> };
        let sub = if pool.note.is_empty() { "Addresses that send one kind of mail.".to_owned() } else { pool.note.clone() };
        let body = if pool.addresses.is_empty() {
            view! { <div class="empty">{icon("list")}<h3>"It has no addresses"</h3><p>"Add those that send for it below."</p></div> }.into_any()
        } else {
            addresses::table(&frame, &pool.addresses, &root, ("Addresses of the pool", own_tags))
        };
        let content = view! {
            {notice(visit, failure)}
            {ui::head(&pool.name, None, sub, view! { <a class="btn" href=format!("{root}/all?tag={}", text::encoded(&pool.tag))>{icon("list")}"Its monitors"</a> })}
            <section class="card" aria-labelledby="h-addresses" data-live="addresses">
                <div class="card-head"><h2 id="h-addresses">"Addresses"</h2><span class="row">{standing(pool.standing)}</span><span class="meta mono">{pool.tag.clone()}</span></div>
                {body}
            </section>
            <section class="card" id="settings" aria-labelledby="h-set">
                <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
                <div class="card-body stack">
                    {gate.hint()}
                    {gate.form("stack", format!("{base}/settings"), inputs, Button::new("btn", "Save"))}
                    <details id="remove">
                        <summary>"Remove the pool"</summary>
                        {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {}", pool.name)))}
                    </details>
                </div>
            </section>
        };
        let crumbs = vec![
            (Some(format!("{root}/addresses")), "Blacklists".to_owned()),
            (Some(home(target.org)), "IP pools".to_owned()),
            (None, pool.name.clone()),
        ];
        ui::shell(&frame, Place::Addresses, crumbs, content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match (failure, visit.query().get("saved").map(String::as_str)) {
        (Some(failure), _) if comes_back(failure) => {
            ("warn", "Somebody else changed the pool in the meantime, so nothing was done. Look at it and try again.")
        }
        (None, Some("made")) => ("ok", "The pool is made. Its tag can be chosen in filters, routes, rules and windows."),
        (None, Some("saved")) => ("ok", "The pool is saved."),
        (None, Some("removed")) => ("ok", "The pool is removed. Its addresses stay watched."),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}

/// The field of the settings form of an address.
pub(super) fn field(address: &Address, pools: &[Pool], typed: &Fields) -> Option<AnyView> {
    if pools.is_empty() && address.pool.is_none() {
        return None;
    }
    let now = address.pool.as_ref().map(|pool| pool.id.to_string()).unwrap_or_default();
    let chosen = typed.given("pool").map_or_else(|| now.clone(), str::to_owned);
    let options = pools
        .iter()
        .map(|pool| {
            let id = pool.id.to_string();
            let selected = id == chosen;
            view! { <option value=id selected=selected>{pool.name.clone()}</option> }
        })
        .collect_view();
    Some(
        view! {
            <input type="hidden" name="pool_before" value=now/>
            <div class="field"><label for="f-pool">"Pool"</label><select class="select" id="f-pool" name="pool"><option value="">"None"</option>{options}</select></div>
        }
        .into_any(),
    )
}
