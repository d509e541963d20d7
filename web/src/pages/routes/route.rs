//! One route: what it does, changing it, moving it up in the list, removing it.

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    channel::Channel,
    org_settings::OrgSettings,
    outcome::Status,
    page::List,
    route::{Route, RoutePatch},
};

use super::{form, home, words};
use crate::{
    api::ApiFailure,
    pages::settings::{self, Target},
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    ui::{self, Button, Gate, Place, icon},
};

type Of = Path<(String, String)>;

fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "routes" }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Of) -> Answer {
    draw(&visit, &target(&org, &id), &Fields::empty(), None).await
}

/// Changes what it is, or switches it on or off.
pub(crate) async fn change(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let (patch, said) = match fields.text("enabled").parse::<bool>() {
        Ok(on) => (Ok(json!({ "enabled": on })), if on { "on" } else { "off" }),
        Err(_) => (form::body_of(&fields, true), "saved"),
    };
    let changed = match patch {
        Ok(patch) => visit.api.patch(&target.api(""), fields.version(), &patch).await,
        Err(failure) => Err(failure),
    };
    answer(&visit, &target, changed.map(|()| format!("{}?saved={said}", target.page())), &fields).await
}

/// One place up in the list.
pub(crate) async fn earlier(visit: Visit, Path((org, id)): Of) -> Answer {
    let routes = visit.api.get::<List<Route>>(&org_path(&org, "routes")).await?;
    let mut order: Vec<String> = routes.items.iter().map(|route| route.id.to_string()).collect();
    if let Some(at) = order.iter().position(|other| *other == id).filter(|at| *at > 0) {
        order.swap(at - 1, at);
        visit.api.put_read::<Value>(&org_path(&org, "routes/order"), None, &json!({ "routes": order })).await?;
    }
    Ok(redirect(&home(&org)))
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
    let (path, channels, zone) = (target.api(""), org_path(target.org, "channels"), org_path(target.org, "settings"));
    let (frame, route, channels, zone) = tokio::try_join!(
        visit.frame(target.org),
        visit.api.get::<Route>(&path),
        visit.api.get::<List<Channel>>(&channels),
        visit.api.get::<OrgSettings>(&zone)
    )?;
    Ok(page(visit, settings::status(failure), &route.name.clone(), || {
        let (base, version, name) = (target.page(), route.version, route.name.clone());
        let gate = Gate::manage(&frame, "route");
        let hidden = || view! { <input type="hidden" name="version" value=version.to_string()/> };
        let badge = if route.enabled { ui::badge(Status::Ok, "On") } else { ui::badge(Status::None, "Off") };
        let said = words::sentences(&route, &channels.items);
        let (word, value) = if route.enabled { ("Switch off", "false") } else { ("Switch on", "true") };
        let switch = view! { {hidden()}<input type="hidden" name="enabled" value=value/> };
        let switch = gate.form("", format!("{base}/settings"), switch, Button::new("btn", word));
        let at_fault = failure.filter(|failure| failure.status != 412);
        let now = RoutePatch::default().onto(route);
        let inputs = view! { {hidden()}{form::inputs(fields, at_fault, Some(&now), &channels.items, &zone.time_zone.to_string())} };
        let remove = view! { {hidden()}<p class="sm">"What it holds is still told; what follows of it is not. Without any route everybody is told of everything."</p> };
        let content = view! {
            {notice(visit, failure)}
            {ui::head(&name, Some(badge), said, switch)}
            {gate.hint()}
            <section class="card" aria-labelledby="h-set">
                <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
                {gate.form("card-body stack route-form", format!("{base}/settings"), inputs, Button::new("btn btn-primary", "Save"))}
                <div class="card-body">
                    <details id="remove">
                        <summary>"Remove the route"</summary>
                        {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {name}")))}
                    </details>
                </div>
            </section>
        };
        let crumbs = vec![(Some(home(target.org)), "Routes".to_owned()), (None, name.clone())];
        ui::shell(&frame, Place::Routes, crumbs, content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match (failure, visit.query().get("saved").map(String::as_str)) {
        (Some(failure), _) if failure.status == 412 => {
            ("warn", "Somebody else changed the route in the meantime, so nothing was done. Look at it and try again.")
        }
        (None, Some("saved")) => ("ok", "The route is saved. It counts for what happens from now on."),
        (None, Some("on")) => ("ok", "The route is on."),
        (None, Some("off")) => ("ok", "The route is off. What it holds is still told."),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}
