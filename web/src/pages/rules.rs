//! Rules of an organisation: the list, what is suggested, and a form for another one.

mod form;
pub(crate) mod rule;

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::{
    outcome::Status,
    page::List,
    rule::{Rule, RuleValues, SUGGESTED, suggestion},
};

use super::{covers::Choices, maintenance::covers_words, settings};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

/// What the page says beside the list.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    failure: Option<&'a ApiFailure>,
    /// What the rule in the form would say.
    tried: Option<&'a RuleValues>,
}

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), Said::default()).await
}

/// Adds a rule.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let made = match form::body_of(&fields, None) {
        Ok(new) => visit.api.post::<Rule>(&org_path(&org, "rules"), &new).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) => refused(&visit, &org, &fields, failure).await,
    }
}

/// Shows what a rule would say, and keeps nothing.
pub(crate) async fn attempt(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let tried = match form::body_of(&fields, None) {
        Ok(new) => visit.api.post::<RuleValues>(&org_path(&org, "rules/try"), &new).await,
        Err(failure) => Err(failure),
    };
    match tried {
        Ok(values) => draw(&visit, &org, &fields, Said { tried: Some(&values), failure: None }).await,
        Err(failure) => refused(&visit, &org, &fields, failure).await,
    }
}

/// Adds a rule that is suggested.
pub(crate) async fn suggested(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let Some(new) = suggestion(fields.text("name")) else { return Ok(redirect(&home(&org))) };
    match visit.api.post::<Rule>(&org_path(&org, "rules"), &serde_json::json!(new)).await {
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) => refused(&visit, &org, &Fields::empty(), failure).await,
    }
}

async fn refused(visit: &Visit, org: &str, fields: &Fields, failure: ApiFailure) -> Answer {
    if failure.is_input() { draw(visit, org, fields, Said { failure: Some(&failure), tried: None }).await } else { Err(failure) }
}

fn home(org: &str) -> String {
    format!("/o/{}/rules", text::encoded(org))
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, said: Said<'_>) -> Answer {
    let path = org_path(org, "rules");
    let (frame, rules, choices) = tokio::try_join!(visit.frame(org), visit.api.get::<List<Rule>>(&path), Choices::load(visit, org))?;
    Ok(page(visit, settings::status(said.failure), "Rules", || {
        let base = home(org);
        let gate = Gate::change(&frame, "rules");
        let sub = "State changes open incidents by themselves. A rule opens one for numbers: when a value is beyond its limit for long enough.";
        let attempt = format!("{base}/try");
        let inputs = view! {
            {said.tried.map(|values| view! { <div id="tried">{tried(values)}{rule::remarks(values)}{rule::values_table(values, form::series_of(fields), org)}</div> })}
            {form::inputs(fields, said.failure, &choices, None)}
            <div><button class="btn" type="submit" formaction=attempt>"Try it: how many would be beyond it now?"</button></div>
        };
        let content = view! {
            {notice(visit, said.failure)}
            {ui::head("Rules", None, sub, ())}
            {gate.hint()}
            {table(&rules.items, &base)}
            {suggestions(&gate, &rules.items, &base)}
            <section class="card" aria-labelledby="h-add">
                <div class="card-head"><h2 id="h-add">"Add a rule"</h2></div>
                {gate.form("card-body stack plan-form", base.clone(), inputs, Button::new("btn btn-primary", "Add the rule"))}
            </section>
        };
        ui::shell(&frame, Place::Rules, vec![(None, "Rules".to_owned())], content)
    }))
}

fn tried(values: &RuleValues) -> AnyView {
    let said = format!(
        "{} would be beyond the limit now, of {} with a value; the rule would be about {}.",
        text::counted(values.over, "monitor", "monitors"),
        text::count(values.valued.into()),
        text::counted(values.monitors, "monitor", "monitors")
    );
    view! { <div class="banner" role="status" data-status="info">{icon("info")}<div>{said}</div></div> }.into_any()
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let words = match visit.query().get("saved").map(String::as_str) {
        // The form says it beside its fields.
        _ if failure.is_some() => return None,
        Some("added") => "The rule is added. It is judged within a few seconds.",
        Some("removed") => "The rule is removed. What was open of it is let go.",
        _ => return None,
    };
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{words}</div></div> }.into_any())
}

/// How a rule stands, in a word.
fn state(rule: &Rule) -> (Status, String) {
    match (rule.settings.enabled, rule.firing, rule.waiting) {
        (false, ..) => (Status::None, "Off".to_owned()),
        (true, 0, 0) if rule.judged_at.is_none() => (Status::None, "Not judged yet".to_owned()),
        (true, 0, 0) => (Status::Ok, "Within the limit".to_owned()),
        (true, 0, waiting) => (Status::Info, format!("{} beyond it, not yet for long enough", text::count(waiting.into()))),
        (true, firing, _) => (rule.settings.severity.into(), format!("{} firing", text::count(firing.into()))),
    }
}

fn table(rules: &[Rule], base: &str) -> AnyView {
    if rules.is_empty() {
        return view! { <section class="card" aria-labelledby="h-rules"><div class="empty">{icon("chart")}<h2 id="h-rules">"No rules yet"</h2><p>"Add one that is suggested below, or one of your own."</p></div></section> }.into_any();
    }
    let rows = rules
        .iter()
        .map(|rule| {
            let (status, word) = state(rule);
            view! {
                <tr>
                    <th scope="row"><a class="plain wrap-any" href=format!("{base}/{}", rule.id)>{rule.settings.name.clone()}</a><span class="sub">{rule.settings.sentence()}</span></th>
                    <td data-label="Covers">{covers_words(&rule.settings.scope)}</td>
                    <td data-label="State">{ui::status(status, &word)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="h-rules" data-live="rules">
            <div class="card-head"><h2 id="h-rules">"Rules"</h2></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Rules, table">
                <table class="table fold">
                    <caption class="vh">"Rules"</caption>
                    <thead><tr><th scope="col">"Rule"</th><th scope="col">"Covers"</th><th scope="col">"State"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// Rules that are ready to be added: those of series that have none yet.
fn suggestions(gate: &Gate, rules: &[Rule], base: &str) -> Option<AnyView> {
    let missing = SUGGESTED.into_iter().filter(|(_, series)| !rules.iter().any(|rule| rule.settings.series == *series));
    let ready: Vec<AnyView> = missing
        .filter_map(|(name, _)| {
            let settings = suggestion(name)?.checked().ok()?;
            let field = view! { <input type="hidden" name="name" value=name/> };
            let button = view! { "Add"<span class="vh">{format!(" the rule {}", settings.name)}</span> };
            Some(
                view! {
                    <tr>
                        <th scope="row">{settings.name.clone()}<span class="sub">{settings.sentence()}</span></th>
                        <td class="num">{gate.form("", format!("{base}/suggested"), field, Button::new("btn btn-sm", button))}</td>
                    </tr>
                }
                .into_any(),
            )
        })
        .collect();
    (!ready.is_empty()).then(|| {
        view! {
            <section class="card" aria-labelledby="h-ready">
                <div class="card-head"><h2 id="h-ready">"Suggested"</h2></div>
                <div class="table-wrap" tabindex="0" role="region" aria-label="Suggested rules, table">
                    <table class="table fold">
                        <caption class="vh">"Suggested rules"</caption>
                        <thead><tr><th scope="col">"Rule"</th><th scope="col"><span class="vh">"Actions"</span></th></tr></thead>
                        <tbody>{ready}</tbody>
                    </table>
                </div>
            </section>
        }
        .into_any()
    })
}
