//! Watched domains: the table, and adding one.

mod one;
mod ownership;
mod results;
mod selectors;
mod senders;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{asset::Domain, maintenance::Watched, outcome::Status, page::List, tag::TagUse};

pub(crate) use self::one::{change, check, forget, remove, show};
use crate::{
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Gate, Place, family, icon},
};

/// Domains against record families.
pub(super) fn matrix(frame: &Frame, domains: &[Domain], base: &str) -> AnyView {
    let heads = family::columns().map(|(_, name)| view! { <th scope="col">{name}</th> }).collect_view();
    let rows = domains
        .iter()
        .map(|domain| {
            let cells = family::columns()
                .map(|(key, _)| {
                    let check = domain.audit.as_ref().and_then(|audit| audit.checks.get(key));
                    view! { <td>{check.map_or_else(|| "–".into_any(), |check| ui::status(check.status, &check.word))}</td> }
                })
                .collect_view();
            view! {
                <tr>
                    <th scope="row"><a class="plain" href=format!("{base}/domains/{}", domain.id)>{ui::breakable(&domain.display)}</a>{ui::ascii_form(&domain.display, domain.name.as_str())}{ui::tags(&domain.tags, &format!("{base}/domains"))}{ui::maintenance_mark(frame, Watched { domain: Some(domain.id), tags: &domain.tags, ..Watched::default() })}</th>
                    <td>{graded(domain)}</td>
                    {cells}
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Authentication per domain">
            <table class="table matrix">
                <caption class="vh">"Authentication status per domain"</caption>
                <thead><tr><th scope="col">"Domain"</th><th scope="col">"Grade"</th>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The grade with the score; before there is one, a word in its place.
fn graded(domain: &Domain) -> AnyView {
    match (domain.audit.as_ref(), domain.score) {
        (_, Some(score)) => {
            view! { <span class="row nowrap">{ui::grade(domain.grade.as_deref(), false)}<span class="num muted">{score.to_string()}</span></span> }
                .into_any()
        }
        (None, None) => ui::status(Status::None, "Pending"),
        (Some(audit), None) if audit.unknown.is_empty() => ui::status(Status::None, "Nothing there"),
        (Some(_), None) => ui::status(Status::None, "Not known"),
    }
}

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let (tag, with_tag) = ui::asked_tag(&visit.query());
    let (path, used) = (org_path(&org, &format!("domains?limit=50{with_tag}{cursor}")), org_path(&org, "tags"));
    let (needed, used) =
        tokio::join!(async { tokio::try_join!(visit.frame(&org), visit.api.get::<List<Domain>>(&path)) }, visit.api.get::<List<TagUse>>(&used));
    let ((frame, domains), used) = (needed?, used.map(|list| list.items).unwrap_or_default());
    Ok(page(&visit, StatusCode::OK, "Domains", || {
        let base = format!("/o/{}", text::encoded(&org));
        let gate = Gate::change(&frame, "first");
        let list = format!("{base}/domains");
        let body = if domains.items.is_empty() && !tag.is_empty() {
            view! { <div class="empty">{icon("search")}<h3>{format!("Nothing has the tag “{tag}”")}</h3><p><a href=list.clone()>"Show all"</a></p></div> }.into_any()
        } else if domains.items.is_empty() {
            view! { <div class="empty">{icon("globe")}<h3>"No domains yet"</h3>{gate.link("btn btn-primary", format!("{base}/add"), "Add a domain")}{gate.hint()}</div> }.into_any()
        } else {
            matrix(&frame, &domains.items, &base)
        };
        let more = domains
            .next
            .as_ref()
            .map(|next| view! { <p><a class="btn" href=format!("{base}/domains?cursor={}{with_tag}", text::encoded(next))>"More domains"</a></p> });
        let content = view! {
            {ui::head("Domains", None, "Worst part of each domain in a word; the page of a domain says what to do.",
                view! { <a class="btn" href=format!("{base}/messages")>{icon("mail")}"Check a message"</a> })}
            {ui::tag_filter(&used, |used| used.domains, &tag, &list)}
            <section class="card" aria-label="Domains" data-live="domains">{body}</section>
            {more}
        };
        ui::shell(&frame, Place::Domains, vec![(None, "Domains".to_owned())], content)
    }))
}

pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let body = waypost_types::asset::NewDomain { name: fields.text("name").to_owned() };
    match visit.api.post::<Domain>(&org_path(&org, "domains"), &body).await {
        Ok(domain) => Ok(redirect(&format!("/o/{}/domains/{}", text::encoded(&org), domain.id))),
        Err(failure) if failure.is_input() => super::add::again(&visit, &org, &fields, &failure, "name").await,
        Err(failure) => Err(failure),
    }
}
