//! Settings of an organisation as a whole: its time zone.

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{org_settings::OrgSettings, zone::Zone};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

/// Changes the time zone.
pub(crate) async fn change(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    match visit.api.patch(&org_path(&org, "settings"), fields.version(), &json!({ "time_zone": fields.text("time_zone") })).await {
        Ok(()) => Ok(redirect(&format!("/o/{}/settings?saved=saved", text::encoded(&org)))),
        Err(failure) if failure.is_input() || failure.status == 412 => draw(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let path = org_path(org, "settings");
    let (frame, now) = tokio::try_join!(visit.frame(org), visit.api.get::<OrgSettings>(&path))?;
    Ok(page(visit, settings::status(failure), "Settings", || {
        let gate = Gate::manage(&frame, "organisation");
        let zone = now.time_zone.to_string();
        let chosen = Some(fields.text("time_zone")).filter(|text| !text.is_empty()).unwrap_or(&zone).to_owned();
        let zones = Zone::names().map(|name| view! { <option value=name selected=name == chosen>{name}</option> }).collect_view();
        let inputs = view! {
            <input type="hidden" name="version" value=now.version.to_string()/>
            <div class="field">
                <label for="f-time_zone">"Time zone"</label>
                <select class="select" id="f-time_zone" name="time_zone" aria-describedby="time_zone-below">{zones}</select>
                <span class="hint" id="time_zone-below">"Maintenance windows that recur follow the clocks of this zone, daylight saving time included."</span>
            </div>
        };
        let content = view! {
            {notice(visit, failure)}
            {ui::head("Settings", None, format!("What holds for {} as a whole.", now.name), ())}
            {gate.hint()}
            <section class="card" aria-labelledby="h-time">
                <div class="card-head"><h2 id="h-time">"Time"</h2></div>
                {gate.form("card-body stack narrow-form", format!("/o/{}/settings", text::encoded(org)), inputs, Button::new("btn btn-primary", "Save"))}
            </section>
        };
        ui::shell(&frame, Place::Settings, vec![(None, "Settings".to_owned())], content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match failure {
        Some(failure) if failure.status == 412 => {
            ("warn", "Somebody else changed the settings in the meantime, so nothing was saved. Look at them and save again.".to_owned())
        }
        Some(failure) => ("bad", failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone())),
        None if visit.query().contains_key("saved") => ("ok", "The settings are saved.".to_owned()),
        None => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}
