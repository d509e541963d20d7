//! Slack as an app: adding it to a workspace, the way back from there, choosing a channel, and forgetting it.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{
    channel::{ChannelKind, MadeChannel},
    outcome::Status,
    page::List,
    permission::Action,
    slack::{SlackAuthorize, SlackChannel, SlackInstall, SlackState},
};

use super::{Said, home, severity_field};
use crate::{
    api::ApiFailure,
    pages::settings,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

/// The names of what an operator sets.
const VARIABLES: [&str; 3] = ["WAYPOST_SLACK_CLIENT_ID", "WAYPOST_SLACK_CLIENT_SECRET", "WAYPOST_SLACK_SIGNING_SECRET"];

/// Leads to Slack's page that asks. A link and no form: `form-action` of our policy would hold for every site that Slack leads on to.
pub(crate) async fn add(visit: Visit, Path(org): Path<String>) -> Answer {
    match visit.api.post::<SlackAuthorize>(&org_path(&org, "slack/authorize"), &json!({})).await {
        Ok(SlackAuthorize { url }) => Ok(redirect(&url)),
        Err(failure) if failure.is_input() || failure.status == 429 => {
            super::draw(&visit, &org, Said { failure: Some(&failure), ..Said::default() }).await
        }
        Err(failure) => Err(failure),
    }
}

/// Where Slack sends a visitor back to. Which organisation began is the end of what it left with, which only its own session can use.
pub(crate) async fn back(visit: Visit) -> Answer {
    let mut query = visit.query();
    let state = query.remove("state").unwrap_or_default();
    let Some((_, org)) = state.split_once('.').filter(|(_, org)| !org.is_empty()) else { return Err(ApiFailure::not_found()) };
    let Some(code) = query.remove("code") else { return Ok(redirect(&format!("{}?saved=not-added", home(org)))) };
    match visit.api.post::<SlackInstall>(&org_path(org, "slack/install"), &json!({ "code": code, "state": state })).await {
        Ok(_) => Ok(redirect(&format!("{}/slack?said=installed", home(org)))),
        Err(failure) if failure.is_input() || failure.status == 429 => {
            super::draw(&visit, org, Said { failure: Some(&failure), ..Said::default() }).await
        }
        Err(failure) => Err(failure),
    }
}

/// Forgets the workspace.
pub(crate) async fn remove(visit: Visit, Path(org): Path<String>) -> Answer {
    match visit.api.forget(&org_path(&org, "slack")).await {
        Ok(()) => Ok(redirect(&format!("{}?saved=forgotten", home(&org)))),
        // Somebody else was quicker.
        Err(failure) if failure.status == 404 => Ok(redirect(&home(&org))),
        Err(failure) => Err(failure),
    }
}

/// The choice of a channel.
pub(crate) async fn choose(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, None).await
}

/// Adds the channel that was chosen.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let new = json!({
        "name": fields.text("name"),
        "kind": ChannelKind::SlackApp,
        "slack_channel": fields.text("slack_channel"),
        "min_severity": fields.text("min_severity"),
    });
    match visit.api.post::<MadeChannel>(&org_path(&org, "channels"), &new).await {
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) if failure.is_input() || failure.status == 429 => draw(&visit, &org, Some((&fields, &failure))).await,
        Err(failure) => Err(failure),
    }
}

async fn draw(visit: &Visit, org: &str, refused: Option<(&Fields, &ApiFailure)>) -> Answer {
    let mut query = visit.query();
    // A form that was refused says what was searched for by itself.
    let mut asked =
        |name: &str| refused.map(|(fields, _)| fields.text(&format!("search_{name}")).to_owned()).or_else(|| query.remove(name)).unwrap_or_default();
    let (name, cursor) = (asked("name"), asked("cursor"));
    let path = org_path(org, &format!("slack/channels?name={}&cursor={}", text::encoded(&name), text::encoded(&cursor)));
    let frame = visit.frame(org).await?;
    let nothing = || List { items: Vec::new(), next: None };
    let may = frame.org.role.may(Action::Tell);
    let (list, failed) = match if may { visit.api.get::<List<SlackChannel>>(&path).await } else { Ok(nothing()) } {
        Ok(list) => (list, None),
        Err(failure) if failure.is_input() || failure.status == 429 => (nothing(), Some(failure)),
        Err(failure) => return Err(failure),
    };
    let failure = refused.map(|(_, failure)| failure).or(failed.as_ref());
    let status = refused.map_or(StatusCode::OK, |_| settings::status(failure));
    Ok(page(visit, status, "Choose a Slack channel", || {
        let base = home(org);
        let gate = Gate::manage(&frame, "slack");
        let installed = (visit.query().get("said").map(String::as_str) == Some("installed") && refused.is_none())
            .then(|| view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>"The app is added. Choose a channel that is told of incidents."</div></div> });
        let sub = "Public channels of the workspace, and private ones that the app was invited to.";
        let content = view! {
            {installed}
            {ui::head("Choose a Slack channel", None, sub, ())}
            {gate.hint()}
            {search(&base, &name)}
            {picker((&gate, may), &base, &list, (&name, &cursor), (refused.map(|(fields, _)| fields), failure))}
        };
        ui::shell(&frame, Place::Channels, vec![(Some(base), "Channels".to_owned()), (None, "Slack".to_owned())], content)
    }))
}

fn search(base: &str, name: &str) -> AnyView {
    view! {
        <section class="card" aria-labelledby="h-search">
            <div class="card-head"><h2 id="h-search">"Search"</h2></div>
            <form class="card-body inline-form" method="get" action=format!("{base}/slack")>
                <div class="field"><label for="f-search">"A part of the channel’s name"</label><input class="input" id="f-search" type="search" name="name" value=name.to_owned() autocomplete="off" spellcheck="false"/></div>
                <div><button class="btn" type="submit">{icon("search")}"Search"</button></div>
            </form>
        </section>
    }
    .into_any()
}

fn picker(
    (gate, may): (&Gate, bool),
    base: &str,
    list: &List<SlackChannel>,
    (name, cursor): (&str, &str),
    (fields, failure): (Option<&Fields>, Option<&ApiFailure>),
) -> AnyView {
    let empty = Fields::empty();
    let fields = fields.unwrap_or(&empty);
    let form = Form::new(fields, failure, &["name", "slack_channel"]);
    let more = list
        .next
        .as_ref()
        .map(|next| view! { <p><a href=format!("{base}/slack?name={}&cursor={}", text::encoded(name), text::encoded(next))>"More channels"</a></p> });
    // Who may not choose is shown what choosing is, and no names of other people's channels.
    let body = if list.items.is_empty() && may {
        let words = match (failure.is_some(), list.next.is_some()) {
            (true, _) => None,
            (false, true) => Some("None of the channels that were looked at has that in its name. There are more."),
            (false, false) => Some("No channel has that in its name. The app sees a private channel once somebody there writes /invite @Waypost."),
        };
        view! { <div class="card-body stack">{form.said()}{words.map(|words| view! { <p>{words}</p> })}{more}</div> }.into_any()
    } else {
        let chosen = fields.text("slack_channel").to_owned();
        let options = list
            .items
            .iter()
            .map(|channel| {
                let word = format!("#{}{}", channel.name, if channel.private { " (private)" } else { "" });
                view! { <option value=channel.id.clone() selected=channel.id == chosen>{word}</option> }
            })
            .collect_view();
        let severity = Some(fields.text("min_severity")).filter(|text| !text.is_empty()).unwrap_or("warning").to_owned();
        let wrong =
            failure.and_then(|failure| failure.fields().iter().find(|error| error.field == "slack_channel")).map(|error| error.message.clone());
        let described = wrong.is_some().then_some("slack_channel-below");
        let wrong = wrong.map(|words| view! { <span class="error" id="slack_channel-below">{icon("bad")}{words}</span> });
        let inputs = view! {
            {form.said()}
            <input type="hidden" name="search_name" value=name.to_owned()/>
            <input type="hidden" name="search_cursor" value=cursor.to_owned()/>
            <div class="field">
                <label for="f-slack_channel">"Channel"</label>
                <select class="select" id="f-slack_channel" name="slack_channel" aria-describedby=described>{options}</select>
                {wrong}
            </div>
            {form.optional("name", "Name", "", "What pages and timelines call it. The channel’s own name when empty.")}
            {severity_field(&severity)}
        };
        view! { {gate.form("card-body stack narrow-form", format!("{base}/slack"), inputs, Button::new("btn btn-primary", "Add the channel"))}<div class="card-body">{more}</div> }
            .into_any()
    };
    view! {
        <section class="card" aria-labelledby="h-choose">
            <div class="card-head"><h2 id="h-choose">"Add a channel"</h2><span class="meta">{found(list)}</span></div>
            {body}
        </section>
    }
    .into_any()
}

fn found(list: &List<SlackChannel>) -> String {
    match (list.items.len(), list.next.is_some()) {
        (0, _) => String::new(),
        (count, more) => format!("{count}{}", if more { ", and there are more" } else { "" }),
    }
}

/// What the page of channels says of the app.
pub(super) fn card(gate: &Gate, state: &SlackState, base: &str) -> AnyView {
    let add = |word: &'static str| gate.link("btn", format!("{base}/slack/add"), view! { {icon("plus")}{word} });
    let body = match (&state.install, state.available) {
        (None, true) => view! {
            <p>"Messages show how an incident stands, are brought up to date, and have buttons to acknowledge, resolve and mute it. You choose the channels afterwards."</p>
            <div>{add("Add to Slack")}</div>
        }
        .into_any(),
        (None, false) => {
            let names = VARIABLES.map(|name| view! { <li><code class="mono wrap-any">{name}</code></li> }).collect_view();
            view! {
                <p>"This installation has no Slack app. Whoever runs it can make one from the manifest in the documentation, and set:"</p>
                <ul class="plain-list">{names}</ul>
                <p>"A Slack incoming webhook works without, but shows no buttons and is not brought up to date."</p>
            }
            .into_any()
        }
        (Some(install), available) => installed(gate, install, base, if available { Some(add("Add to Slack again")) } else { None }),
    };
    let badge = state.install.as_ref().map(|install| match &install.gone_at {
        None => ui::badge(Status::Ok, "Added"),
        Some(_) => ui::badge(Status::Bad, "Not let in"),
    });
    view! {
        <section class="card" aria-labelledby="h-slack">
            <div class="card-head"><h2 id="h-slack">"Slack"</h2>{badge}</div>
            <div class="card-body stack">{body}</div>
        </section>
    }
    .into_any()
}

fn installed(gate: &Gate, install: &SlackInstall, base: &str, again: Option<AnyView>) -> AnyView {
    let added = format!("In the workspace {}, added by {} on {}.", install.team_name, install.installed_by, text::minute(install.installed_at));
    let state = match (install.gone_at, &install.gone_why) {
        (Some(at), why) => view! {
            <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{lost(why.as_deref().unwrap_or_default(), &text::minute(at))}</div></div>
            <div>{again}</div>
        }
        .into_any(),
        (None, _) => view! { <div>{gate.link("btn btn-primary", format!("{base}/slack"), view! { {icon("hash")}"Choose a channel" })}</div> }.into_any(),
    };
    let remove = view! { <p class="sm">"Waypost forgets the workspace and its token, and tells its channels nothing more. The app itself is removed in Slack, under Apps."</p> };
    view! {
        <p>{added}</p>
        {state}
        <details id="remove-slack">
            <summary>"Disconnect Slack"</summary>
            {gate.form("stack mt2", format!("{base}/slack/remove"), remove, Button::new("btn btn-danger", "Disconnect Slack"))}
        </details>
    }
    .into_any()
}

fn lost(why: &str, since: &str) -> String {
    let what = match why {
        "app_uninstalled" => "somebody removed the app in Slack",
        "token_revoked" | "account_inactive" => "somebody took its access away in Slack",
        _ => "Slack takes its access no more",
    };
    format!("Nothing reaches the workspace since {since}: {what} ({why}). What happens meanwhile waits for a while. Add the app to Slack again.")
}

/// Why nothing reaches a channel, in Slack's word or ours.
pub(super) fn broken(why: &str) -> String {
    match why {
        "not_installed" => "Nothing reaches it: the app is in no workspace. Add it to Slack.".to_owned(),
        word => format!("Nothing reaches it: the workspace lets the app in no more ({word}). Add it to Slack again."),
    }
}
