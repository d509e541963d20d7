//! One rule: the values of what it watches, changing it, removing it.

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::{
    outcome::Status,
    rule::{LEAST_CHECKS, LONGEST_WINDOW, Rule, RuleStanding, RuleValue, RuleValues, Series, minutes},
    unicode::with_ascii,
};

use super::{form, home, state};
use crate::{
    api::ApiFailure,
    pages::{
        covers::Choices,
        maintenance::comes_back,
        settings::{self, Target},
    },
    ssr::{Answer, Fields, Visit, page},
    text,
    ui::{self, Button, Gate, Place, icon},
};

type Of = Path<(String, String)>;

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "rules" }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Of) -> Answer {
    draw(&visit, &target(&org, &id), &Fields::empty(), None).await
}

/// Changes it.
pub(crate) async fn change(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let now = visit.api.get::<Rule>(&target.api("")).await?;
    let changed = match form::body_of(&fields, Some(&now)) {
        Ok(patch) => visit.api.patch(&target.api(""), fields.version(), &patch).await,
        Err(failure) => Err(failure),
    };
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
    let (path, values) = (target.api(""), target.api("/values"));
    let (frame, rule, values, choices) = tokio::try_join!(
        visit.frame(target.org),
        visit.api.get::<Rule>(&path),
        visit.api.get::<RuleValues>(&values),
        Choices::load(visit, target.org)
    )?;
    Ok(page(visit, settings::status(failure), &rule.settings.name.clone(), || {
        let base = target.page();
        let gate = Gate::change(&frame, "rule");
        let version = || view! { <input type="hidden" name="version" value=rule.version.to_string()/> };
        let at_fault = failure.filter(|failure| !comes_back(failure));
        let inputs = view! { {version()}{form::inputs(fields, at_fault, &choices, Some(&rule))} };
        let (status, word) = match state(&rule) {
            // Silence is no all-clear.
            (Status::Ok, _) if values.valued == 0 => (Status::None, "No value yet".to_owned()),
            known => known,
        };
        let remove =
            view! { {version()}<p class="sm">"Incidents that it opened and that are not over are let go, and who heard of them hears that."</p> };
        let name = rule.settings.name.clone();
        let content = view! {
            {notice(visit, failure)}
            {ui::head(&name, Some(ui::badge(status, &word)), rule.settings.sentence(), ())}
            {gate.hint()}
            {current(&values, rule.settings.series, target.org)}
            <section class="card" aria-labelledby="h-set">
                <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
                {gate.form("card-body stack plan-form", format!("{base}/settings"), inputs, Button::new("btn btn-primary", "Save"))}
                <div class="card-body">
                    <details id="remove">
                        <summary>"Remove the rule"</summary>
                        {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {name}")))}
                    </details>
                </div>
            </section>
        };
        let crumbs = vec![(Some(home(target.org)), "Rules".to_owned()), (None, rule.settings.name.clone())];
        ui::shell(&frame, Place::Rules, crumbs, content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match (failure, visit.query().get("saved").map(String::as_str)) {
        (Some(failure), _) if comes_back(failure) => {
            ("warn", "Somebody else changed the rule in the meantime, so nothing was done. Look at it and try again.")
        }
        (None, Some("saved")) => ("ok", "The rule is saved. It is judged anew within a few seconds."),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}

fn current(values: &RuleValues, series: Series, org: &str) -> AnyView {
    let said = format!("{} of {} with a value", text::count(values.valued.into()), text::counted(values.monitors, "monitor", "monitors"));
    let body = if values.items.is_empty() {
        let words = format!("The rule is about {}: none of what it covers is.", series.of_what());
        view! { <div class="empty"><p>{words}</p></div> }.into_any()
    } else {
        values_table(values, series, org)
    };
    view! {
        <section class="card" aria-labelledby="h-now" data-live="values">
            <div class="card-head"><h2 id="h-now">"Now"</h2><span class="meta">{said}</span></div>
            {remarks(values).map(|remarks| view! { <div class="card-body">{remarks}</div> })}
            {body}
        </section>
    }
    .into_any()
}

/// Monitors with their values, worst first.
pub(super) fn values_table(values: &RuleValues, series: Series, org: &str) -> AnyView {
    let root = format!("/o/{}", text::encoded(org));
    let rows = values.items.iter().map(|value| row(value, series, &root)).collect_view();
    let rest = usize::try_from(values.monitors).unwrap_or(usize::MAX).saturating_sub(values.items.len());
    let more = (rest > 0).then(|| view! { <p class="card-body sm soft">{format!("The worst are shown; {rest} more are not.")}</p> });
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Values, table">
            <table class="table fold">
                <caption class="vh">"Values now, worst first"</caption>
                <thead><tr><th scope="col">"Monitor"</th><th scope="col" class="num">"Value"</th><th scope="col">"State"</th><th scope="col">"Since"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {more}
    }
    .into_any()
}

/// Why some monitors can have no value, and what helps.
pub(super) fn remarks(values: &RuleValues) -> Option<AnyView> {
    let rare = values.rarest_s.filter(|_| values.too_rare > 0).map(|seconds| {
        let window = seconds.saturating_mul(LEAST_CHECKS).div_ceil(60);
        let checked = text::counted(values.too_rare, "monitor is checked too rarely", "monitors are checked too rarely");
        let help = if window <= LONGEST_WINDOW {
            format!("look over {} at least, or check more often", minutes(window))
        } else {
            "check more often".to_owned()
        };
        format!("{checked} for this window: a value needs {LEAST_CHECKS} checks in it. To have them judged, {help}.")
    });
    let rest = values
        .left_out
        .then(|| "The rule covers more monitors than can be judged: the newest are left out. Make several rules of it, by tags.".to_owned());
    let said = [rare, rest].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then(|| view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div>{said}</div></div> }.into_any())
}

fn row(value: &RuleValue, series: Series, root: &str) -> AnyView {
    let (status, word) = match value.standing {
        RuleStanding::Firing => (Status::Bad, "Firing"),
        RuleStanding::Over => (Status::Warn, "Beyond the limit"),
        RuleStanding::Calm => (Status::Ok, "Within the limit"),
        RuleStanding::NoValue => (Status::None, "No value"),
        RuleStanding::Maintenance => (Status::None, "In maintenance"),
        RuleStanding::Paused => (Status::None, "Paused"),
    };
    let name = with_ascii(&value.target);
    let to = (value.domain_id.map(|id| format!("{root}/domains/{id}")))
        .or_else(|| value.server_id.map(|id| format!("{root}/servers/{id}")))
        .or_else(|| value.address_id.map(|id| format!("{root}/addresses/{id}")));
    let name = match to {
        Some(to) => view! { <a class="plain wrap-any" href=to>{name}</a> }.into_any(),
        None => view! { <span class="wrap-any">{name}</span> }.into_any(),
    };
    let of = value.checks.map(|checks| view! { <span class="sub">{format!("of {}", text::counted(checks, "check", "checks"))}</span> });
    let state = match value.incident_id {
        Some(id) => view! { <a href=format!("{root}/incidents/{id}")>{ui::status(status, word)}</a> }.into_any(),
        None => ui::status(status, word).into_any(),
    };
    let since = value.since.map_or_else(|| "–".into_any(), |since| ui::time(since).into_any());
    let number = value.value.map_or_else(|| "–".to_owned(), |number| series.words(number));
    view! {
        <tr>
            <th scope="row">{name}</th>
            <td class="num" data-label="Value"><span>{number}{of}</span></td>
            <td data-label="State">{state}</td>
            <td data-label="Since">{since}</td>
        </tr>
    }
    .into_any()
}
