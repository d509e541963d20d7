//! One maintenance window: when it is, changing it, ending it early, removing it.

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::json;
use waypost_types::maintenance::{MaintenanceWindow, Occurrence};

use super::{comes_back, form, home, plan_words, state, zone_of};
use crate::{
    api::ApiFailure,
    pages::{
        covers::Choices,
        settings::{self, Target},
    },
    ssr::{Answer, Fields, Visit, page},
    ui::{self, Button, Gate, Place, icon},
};

type Of = Path<(String, String)>;

fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "maintenance" }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Of) -> Answer {
    draw(&visit, &target(&org, &id), &Fields::empty(), None).await
}

/// Changes its name, what it covers and when it is.
pub(crate) async fn change(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let now = visit.api.get::<MaintenanceWindow>(&target.api("")).await?;
    let changed = match form::body_of(&fields, zone_of(&visit, &org).await?, Some(&now)) {
        Ok(mut patch) => {
            // The same plan sent again would take back that it was ended early.
            let plan = patch.as_object_mut().and_then(|patch| patch.remove("plan")).filter(|plan| json!(now.plan) != *plan);
            if let Some(plan) = plan {
                patch["plan"] = plan;
            }
            visit.api.patch(&target.api(""), fields.version(), &patch).await
        }
        Err(failure) => Err(failure),
    };
    answer(&visit, &target, changed.map(|()| format!("{}?saved=saved", target.page())), &fields).await
}

/// Ends what is on of it.
pub(crate) async fn end(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let ended = visit.api.post_seen::<MaintenanceWindow>(&target.api("/end"), fields.version(), &json!({})).await;
    answer(&visit, &target, ended.map(|_| format!("{}?saved=ended", target.page())), &Fields::empty()).await
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
    let (frame, window, zone, choices) = tokio::try_join!(
        visit.frame(target.org),
        visit.api.get::<MaintenanceWindow>(&path),
        zone_of(visit, target.org),
        Choices::load(visit, target.org)
    )?;
    Ok(page(visit, settings::status(failure), &window.name.clone(), || {
        let base = target.page();
        let gate = Gate::change(&frame, "window");
        let version = || view! { <input type="hidden" name="version" value=window.version.to_string()/> };
        let at_fault = failure.filter(|failure| !comes_back(failure));
        let inputs = view! { {version()}{form::inputs(fields, at_fault, zone, &choices, Some(&window))} };
        let end = window.active.map(|Occurrence { to, .. }| {
            let words = view! { {version()}<p class="sm">{format!("It is on until {}. Ended now, what still fails is judged from now on and told.", zone.words(to))}</p> };
            view! {
                <section class="card" aria-labelledby="h-on">
                    <div class="card-head"><h2 id="h-on">"It is on"</h2></div>
                    {gate.form("card-body stack", format!("{base}/end"), words, Button::new("btn", "End it now"))}
                </section>
            }
        });
        let (status, word) = state(&window);
        let next = window.next.map(|next| format!(" Next: {}.", zone.words(next.from))).unwrap_or_default();
        let remove =
            view! { {version()}<p class="sm">"What it covers is judged as ever from then on. Results that were recorded in it stay marked."</p> };
        let name = window.name.clone();
        let content = view! {
            {notice(visit, failure)}
            {ui::head(&name, Some(ui::badge(status, word)), format!("{}.{next}", plan_words(&window.plan, zone)), ())}
            {gate.hint()}
            {end}
            <section class="card" aria-labelledby="h-set">
                <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
                {gate.form("card-body stack plan-form", format!("{base}/settings"), inputs, Button::new("btn btn-primary", "Save"))}
                <div class="card-body">
                    <details id="remove">
                        <summary>"Remove the window"</summary>
                        {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {name}")))}
                    </details>
                </div>
            </section>
        };
        let crumbs = vec![(Some(home(target.org)), "Maintenance".to_owned()), (None, window.name.clone())];
        ui::shell(&frame, Place::Maintenance, crumbs, content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match (failure, visit.query().get("saved").map(String::as_str)) {
        (Some(failure), _) if comes_back(failure) => {
            ("warn", "Somebody else changed the window in the meantime, so nothing was done. Look at it and try again.")
        }
        (None, Some("saved")) => ("ok", "The window is saved."),
        (None, Some("ended")) => ("ok", "The window is over. What still fails is judged from now on."),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}
