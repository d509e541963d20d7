//! Which block lists an organisation asks: the catalog with a switch each, private lists, and keys for lists that take one.

use std::collections::BTreeSet;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::Value;
use waypost_types::{
    DomainName, Severity,
    list_settings::{ListSettings, NewListKey, TrialResult},
    lists::{CustomList, ListInfo, ListKind},
    outcome::Status,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

mod private;

const SEVERITIES: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
/// What a private list may be asked, as fields of the form.
const KINDS: [(ListKind, &str, &str); 3] = [(ListKind::Ip4, "ip4", "IPv4"), (ListKind::Ip6, "ip6", "IPv6"), (ListKind::Domain, "domain", "domains")];

/// What was sent and refused.
#[derive(Clone, Copy)]
struct Refused<'a> {
    form: &'a str,
    fields: &'a Fields,
    failure: &'a ApiFailure,
}

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, None).await
}

/// Switches lists of the catalog. Private lists stay as they are.
pub(crate) async fn choose(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let now = load(&visit, &org).await?;
    let mut choice = now.choice.clone();
    let before: BTreeSet<&str> = fields.text("before").split(' ').collect();
    for list in now.catalog.iter().filter(|list| list.queryable && was_switched(list, &fields, &before)) {
        let wanted = !fields.text(&switch(list)).is_empty();
        choice.on.remove(&list.id);
        choice.off.remove(&list.id);
        match (wanted, list.default_enabled) {
            (true, false) => drop(choice.on.insert(list.id.clone())),
            (false, true) => drop(choice.off.insert(list.id.clone())),
            _ => {}
        }
    }
    let body = serde_json::to_value(&choice).unwrap_or_default();
    put(&visit, &org, "catalog", &fields, &body, "lists").await
}

/// Whether the form changes the switch of a list. What it leaves as it was shown somebody else may have changed meanwhile.
fn was_switched(list: &ListInfo, fields: &Fields, before: &BTreeSet<&str>) -> bool {
    fields.text(&switch(list)).is_empty() == before.contains(list.id.as_str())
}

/// Adds a private list.
pub(crate) async fn add(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let zone = match fields.text("zone").parse::<DomainName>() {
        Ok(zone) => zone,
        Err(error) => {
            let failure = ApiFailure::field("zone", error.to_string());
            return draw(&visit, &org, Some(Refused { form: "custom", fields: &fields, failure: &failure })).await;
        }
    };
    let kinds = KINDS.into_iter().filter(|(_, field, _)| !fields.text(field).is_empty()).map(|(kind, ..)| kind).collect();
    let severity = SEVERITIES.into_iter().find(|severity| severity.as_str() == fields.text("severity")).unwrap_or(Severity::Medium);
    let mut choice = load(&visit, &org).await?.choice;
    choice.custom.push(CustomList { zone, name: fields.text("name").to_owned(), kinds, severity });
    let body = serde_json::to_value(&choice).unwrap_or_default();
    put(&visit, &org, "custom", &fields, &body, "private").await
}

/// Removes a private list.
pub(crate) async fn remove(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let mut choice = load(&visit, &org).await?.choice;
    choice.custom.retain(|list| list.zone.as_str() != fields.text("zone"));
    let body = serde_json::to_value(&choice).unwrap_or_default();
    put(&visit, &org, "remove", &fields, &body, "private").await
}

async fn put(visit: &Visit, org: &str, form: &str, fields: &Fields, body: &Value, saved: &str) -> Answer {
    match visit.api.put_read::<ListSettings>(&org_path(org, "lists"), Some(fields.version()), body).await {
        Ok(settings) => {
            let worst = settings.trials.iter().max_by_key(|trial| (trial.result != TrialResult::Works, trial.result == TrialResult::Untold));
            let saved = match worst.map(|trial| trial.result) {
                Some(TrialResult::Works) => "works",
                Some(TrialResult::Silent) => "silent",
                Some(TrialResult::Untold) => "untold",
                Some(TrialResult::Refused) | None => saved,
            };
            Ok(redirect(&format!("{}?saved={saved}", home(org))))
        }
        Err(failure) if failure.is_input() || failure.status == 412 => draw(visit, org, Some(Refused { form, fields, failure: &failure })).await,
        Err(failure) => Err(failure),
    }
}

/// Keeps a key.
pub(crate) async fn set_key(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let path = org_path(&org, &format!("lists/keys/{}", text::encoded(fields.text("list"))));
    match visit.api.put(&path, None, &NewListKey { key: fields.text("key").to_owned() }).await {
        Ok(()) => Ok(redirect(&format!("{}?saved=key", home(&org)))),
        Err(failure) if failure.is_input() => draw(&visit, &org, Some(Refused { form: "key", fields: &fields, failure: &failure })).await,
        Err(failure) => Err(failure),
    }
}

/// Forgets a key.
pub(crate) async fn forget_key(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    visit.api.forget(&org_path(&org, &format!("lists/keys/{}", text::encoded(fields.text("list"))))).await?;
    Ok(redirect(&format!("{}?saved=forgotten", home(&org))))
}

async fn load(visit: &Visit, org: &str) -> Result<ListSettings, ApiFailure> {
    visit.api.get(&org_path(org, "lists")).await
}

fn home(org: &str) -> String {
    format!("/o/{}/lists", text::encoded(org))
}

/// The name of a list's switch in the form.
fn switch(list: &ListInfo) -> String {
    format!("ask-{}", list.id)
}

fn is_on(settings: &ListSettings, list: &ListInfo) -> bool {
    list.queryable && !settings.choice.off.contains(&list.id) && (list.default_enabled || settings.choice.on.contains(&list.id))
}

fn kinds_words(kinds: &[ListKind]) -> String {
    let words: Vec<&str> = KINDS.iter().filter(|(kind, ..)| kinds.contains(kind)).map(|(.., word)| *word).collect();
    if words.is_empty() { "Hashes only".to_owned() } else { text::sentence(&words.join(", ")) }
}

async fn draw(visit: &Visit, org: &str, refused: Option<Refused<'_>>) -> Answer {
    let (frame, settings) = tokio::join!(visit.frame(org), load(visit, org));
    let (frame, settings) = (frame?, settings?);
    let failure = refused.map(|refused| refused.failure);
    let status = failure.map_or(StatusCode::OK, |_| settings::status(failure));
    Ok(page(visit, status, "Lists to ask", || {
        let (root, base) = (format!("/o/{}", text::encoded(org)), home(org));
        let gate = Gate::change(&frame, "lists");
        let crumbs = vec![(Some(format!("{root}/addresses")), "Blacklists".to_owned()), (None, "Lists to ask".to_owned())];
        let asked = settings.catalog.iter().filter(|list| is_on(&settings, list)).count() + settings.choice.custom.len();
        let sub = format!("{asked} lists are asked about every address and domain. A change counts from the next scan on.");
        let content = view! {
            {notice(visit, refused)}
            {ui::head("Lists to ask", None, sub, ())}
            {gate.hint()}
            {catalog(&gate, &settings, &base, refused)}
            {private::card(&gate, &settings, &base, refused)}
            {keys(&gate, &settings, &base, refused, &frame)}
        };
        ui::shell(&frame, Place::Addresses, crumbs, content)
    }))
}

fn notice(visit: &Visit, refused: Option<Refused<'_>>) -> Option<AnyView> {
    let (kind, role, said) = match refused {
        // What belongs to a field stands at the field.
        Some(Refused { form: "custom" | "key", failure, .. }) if failure.status != 412 => return None,
        Some(Refused { failure, .. }) if failure.status == 412 => (
            "warn",
            "alert",
            "Somebody else changed the lists in the meantime, so nothing was saved. What you entered is still here, on top of what they saved; save again if it is still wanted.".to_owned(),
        ),
        Some(Refused { failure, .. }) => {
            ("bad", "alert", failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone()))
        }
        None => {
            let mut kind = "ok";
            let said = match visit.query().get("saved").map(String::as_str) {
                Some("lists") => "The choice is saved. It counts from the next scan on.",
                Some("private") => "The private lists are saved. They count from the next scan on.",
                Some("works") => "The private list is saved. It was tried: it lists its test point and not the other one, as it should.",
                Some("silent") => {
                    kind = "warn";
                    "The private list is saved. It was tried and does not list its test point (127.0.0.2 for addresses, RFC 5782): what it lists is believed, its silence is unknown and never clean. Check the zone's name if you expected more."
                }
                Some("untold") => {
                    kind = "warn";
                    "The private list is saved. It could not be tried from here, since it did not answer: the next scan shows whether it answers the workers."
                }
                Some("key") => "The key is kept. It is used from the next scan on.",
                Some("forgotten") => "The key is forgotten.",
                _ => return None,
            };
            (kind, "status", said.to_owned())
        }
    };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{said}</div></div> }.into_any())
}

fn catalog(gate: &Gate, settings: &ListSettings, base: &str, refused: Option<Refused<'_>>) -> AnyView {
    // After a refusal the switches stay as they were set, those that were not touched as they are now.
    let sent = refused.filter(|refused| refused.form == "catalog").map(|refused| refused.fields);
    let before: Vec<&str> = settings.catalog.iter().filter(|list| is_on(settings, list)).map(|list| list.id.as_str()).collect();
    let before = before.join(" ");
    let groups = SEVERITIES
        .into_iter()
        .filter_map(|severity| {
            let mut group: Vec<&ListInfo> = settings.catalog.iter().filter(|list| list.severity == severity).collect();
            if group.is_empty() {
                return None;
            }
            group.sort_by_key(|list| (!is_on(settings, list), list.name.to_lowercase()));
            let on = group.iter().filter(|list| is_on(settings, list)).count();
            let (word, meaning) = (severity.word(), severity.meaning());
            let many = group.len();
            let rows = group.into_iter().map(|list| row(settings, list, sent)).collect_view();
            Some(view! {
                <div class="sev-head">{ui::badge(severity.into(), word)}<h3 class="vh">{word}</h3><span class="meta num">{format!("{on} of {many} asked; a listing {}", effect(meaning, severity))}</span></div>
                <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{word}, lists")>
                    <table class="table fold">
                        <caption class="vh">{format!("{word}: lists")}</caption>
                        <thead><tr><th scope="col">"Ask"</th><th scope="col">"Gets an entry"</th><th scope="col">"Takes"</th><th scope="col">"State"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            })
        })
        .collect_view();
    let version = settings.version.to_string();
    let fields = view! { <input type="hidden" name="version" value=version/><input type="hidden" name="before" value=before/>{groups} };
    view! {
        <section class="card form-card" aria-labelledby="h-catalog">
            <div class="card-head"><h2 id="h-catalog">"Lists of the catalog"</h2><span class="meta">"Grouped by what a listing costs"</span></div>
            {gate.form("", base.to_owned(), fields, Button::new("btn btn-primary", "Save the choice"))}
        </section>
    }
    .into_any()
}

/// What a listing of a severity does, as the end of a sentence.
fn effect(meaning: &str, severity: Severity) -> &str {
    match severity {
        Severity::Info => "is no problem by itself",
        Severity::High => "has mail refused in many places",
        Severity::Low => "is worth mending",
        _ => meaning,
    }
}

fn row(settings: &ListSettings, list: &ListInfo, sent: Option<&Fields>) -> AnyView {
    let name = switch(list);
    let switched = sent.filter(|fields| was_switched(list, fields, &fields.text("before").split(' ').collect()));
    let on = switched.map_or_else(|| is_on(settings, list), |fields| !fields.text(&name).is_empty());
    let state = match () {
        () if !list.queryable => ui::status(Status::None, "By hand only"),
        () if on && list.needs_key && !settings.keys.contains(&list.id) && list.takes_key => ui::status(Status::Warn, "Needs a key"),
        () if on => ui::status(Status::Ok, "Asked"),
        () => ui::status(Status::None, "Not asked"),
    };
    let needs = match (list.needs_key, list.takes_key) {
        (true, true) => Some("needs a key"),
        (true, false) => Some("needs an account with its operator"),
        (false, true) => Some("takes a key"),
        (false, false) => None,
    };
    let tags = view! { <span class="tag">{ui::type_word(list.list_type)}</span>{needs.map(|needs| view! { " "<span class="tag">{needs}</span> })} };
    let lookup = Some(list.lookup_url.clone()).filter(|url| url.starts_with("https://"));
    let lookup = lookup.map(
        |url| view! { <p><a href=url rel="noopener noreferrer">"Its own look-up page"<span class="vh">{format!(" of {}", list.name)}</span></a></p> },
    );
    let policy = (!list.query_policy.is_empty()).then(|| view! { <p>{text::sentence(&list.query_policy)}</p> });
    let (id, label) = (name.clone(), name.clone());
    view! {
        <tr>
            <th scope="row">
                <label class="check" for=label>
                    <input type="checkbox" id=id name=name value="1" checked=on disabled=!list.queryable/>
                    <span>{list.name.clone()}<span class="sub mono wrap-any">{if list.zone.is_empty() { "no DNS zone".to_owned() } else { list.zone.clone() }}</span></span>
                </label>
            </th>
            <td data-label="Gets an entry">
                <div class="told">
                    {text::sentence(&list.lists)}
                    <details class="xs"><summary>"Who runs it and who may ask"</summary><div class="muted"><p>{format!("Run by {}.", list.operator)}</p>{policy}<p>{format!("Why this severity: {}", list.severity_reason)}</p>{lookup}</div></details>
                </div>
            </td>
            <td data-label="Takes"><span>{kinds_words(&list.kinds)}<span class="sub">{tags}</span></span></td>
            <td data-label="State">{state}</td>
        </tr>
    }
    .into_any()
}

fn keys(gate: &Gate, settings: &ListSettings, base: &str, refused: Option<Refused<'_>>, frame: &Frame) -> AnyView {
    let mut lists: Vec<&ListInfo> = settings.catalog.iter().filter(|list| list.takes_key && list.queryable).collect();
    lists.sort_by_key(|list| (!settings.keys.contains(&list.id), list.name.to_lowercase()));
    let rows = lists
        .into_iter()
        .map(|list| {
            let kept = settings.keys.contains(&list.id);
            let wrong = refused.filter(|refused| refused.form == "key" && refused.fields.text("list") == list.id).map(|refused| {
                refused.failure.fields().first().map_or_else(|| refused.failure.sentence().to_owned(), |error| error.message.clone())
            });
            let id = format!("key-{}", list.id);
            let label = id.clone();
            let below = format!("{id}-below");
            let invalid = wrong.is_some().then_some("true");
            let described = wrong.is_some().then(|| below.clone());
            let error = wrong.map(|message| view! { <span class="error" id=below>{icon("bad")}{message}</span> });
            let field = view! {
                <input type="hidden" name="list" value=list.id.clone()/>
                <div class="field">
                    <label for=label>{if kept { "New key" } else { "Key" }}<span class="vh">{format!(" of {}", list.name)}</span></label>
                    <input class="input" id=id type="password" name="key" autocomplete="off" required=true spellcheck="false" aria-invalid=invalid aria-describedby=described/>
                    {error}
                </div>
            };
            let word = view! { {if kept { "Replace" } else { "Keep" }}<span class="vh">{format!(" the key of {}", list.name)}</span> };
            let forget = kept.then(|| {
                let field = view! { <input type="hidden" name="list" value=list.id.clone()/> };
                let word = view! { "Forget"<span class="vh">{format!(" the key of {}", list.name)}</span> };
                gate.form("", format!("{base}/forget"), field, Button::new("btn", word))
            });
            let state = if kept { ui::status(Status::Ok, "Key kept") } else { ui::status(Status::None, "No key") };
            view! {
                <li class="key-row">
                    <div><span class="strong">{list.name.clone()}</span>" "{state}<p class="xs muted">{text::sentence(&list.query_policy)}</p></div>
                    <div class="row">{gate.form("inline-form", format!("{base}/key"), field, Button::new("btn", word))}{forget}</div>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="card" id="keys" aria-labelledby="h-keys">
            <div class="card-head"><h2 id="h-keys">"Keys"</h2><span class="meta">{format!("Of {} alone", frame.org.name)}</span></div>
            <p class="card-body sm soft">"A key is kept sealed and never shown again. A list that needs one is asked once it has a key and its switch is on."</p>
            <ul class="list">{rows}</ul>
        </section>
    }
    .into_any()
}
