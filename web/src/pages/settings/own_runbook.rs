//! The fields of a runbook of one's own: part of the settings of everything watched, and of a rule.

use leptos::prelude::*;
use serde_json::{Map, Value, json};
use waypost_types::runbook::OwnRunbook;

use super::touched;
use crate::{
    api::ApiFailure,
    ssr::Fields,
    ui::{self, Form},
};

const URL: &str = "runbook.url";
const TEXT: &str = "runbook.text";
/// What the form shows itself.
pub(in crate::pages) const FIELDS: [&str; 2] = [URL, TEXT];

/// The fields, folded away where there is nothing to see of them; what was shown goes with what is sent.
pub(in crate::pages) fn fields(now: Option<&OwnRunbook>, typed: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let form = Form::new(typed, failure, &FIELDS);
    let url = now.and_then(|own| own.url.clone()).unwrap_or_default();
    let written = now.and_then(|own| own.text.clone()).unwrap_or_default();
    let open = now.is_some() || FIELDS.iter().any(|name| typed.given(name).is_some_and(|given| !given.trim().is_empty()));
    view! {
        <details class="alt" id="own-runbook" open=open>
            <summary>"Runbook of its own"</summary>
            <div class="stack mt2">
                <p class="sm">"Its incidents and messages lead to it, in the place of the runbook that fits the usual event."</p>
                <input type="hidden" name="runbook.url_before" value=url.clone()/>
                {form.maybe(URL, "Link", &url, "An address that begins with https:// or http://.")}
                <input type="hidden" name="runbook.text_before" value=written.clone()/>
                {form.area(TEXT, "Text", &written, "Markdown, at most 20,000 characters. The page of an incident shows it.")}
            </div>
        </details>
    }
    .into_any()
}

/// What the form sent: nothing where nobody touched it.
pub(in crate::pages) fn add(patch: &mut Map<String, Value>, fields: &Fields) {
    if FIELDS.iter().any(|name| touched(fields, name)) {
        patch.insert("runbook".to_owned(), sent(fields));
    }
}

/// The runbook as the form sent it; null where there is none.
fn sent(fields: &Fields) -> Value {
    let given = |name: &str| fields.given(name).map(str::trim).filter(|text| !text.is_empty());
    match (given(URL), given(TEXT)) {
        (None, None) => Value::Null,
        (url, text) => json!({ "url": url, "text": text }),
    }
}

/// The runbook of its own that an incident leads to. Where the page says already what to do, it waits folded.
pub(in crate::pages) fn of_incident(own: &OwnRunbook, folded: bool) -> AnyView {
    let link = own.url.clone().map(|url| {
        let shown = url.clone();
        view! { <p class="prose"><a class="wrap-any" href=url rel="noopener noreferrer nofollow" referrerpolicy="no-referrer">{shown}</a></p> }
    });
    let words = own.text.as_deref().map(|words| {
        view! {
            <details class="more" id="runbook-text" open=!folded>
                <summary>"Step by step"</summary>
                <div class="card-body">{ui::markdown(words)}</div>
            </details>
        }
    });
    view! {
        <section class="card" id="runbook" aria-labelledby="h-runbook">
            <div class="card-head"><h2 id="h-runbook">"Your own runbook"</h2></div>
            {link.map(|link| view! { <div class="card-body">{link}</div> })}
            {words}
        </section>
    }
    .into_any()
}
