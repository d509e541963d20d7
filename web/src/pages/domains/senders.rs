//! The settings that only a domain has: its DKIM selectors and the addresses that send for it, as people type them.

use std::net::IpAddr;

use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::asset::Domain;

use crate::{api::ApiFailure, pages::settings, ssr::Fields, ui::Form};

/// The fields that say by themselves what is wrong with them.
const SHOWN: [&str; 2] = ["selectors", "senders"];

fn written<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Parts of a list that people write with commas, spaces or a line each.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|part| !part.is_empty())
}

/// The fields, with what was typed where it was refused.
pub(super) fn fields(domain: &Domain, typed: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let form = Form::new(typed, failure, &SHOWN);
    let (selectors, senders) = (written(&domain.selectors), written(&domain.senders));
    let overtaken = failure.is_some_and(|failure| failure.status == 412);
    let theirs = |name: &str, now: &str| {
        let differs = overtaken && typed.given(name).is_some_and(|typed| parts(typed).ne(parts(now)));
        let now = if now.is_empty() { "none".to_owned() } else { now.replace('\n', ", ") };
        differs.then(|| view! { <p class="sm" data-status="warn">"Saved by somebody else meanwhile: "<span class="mono wrap-any">{now}</span></p> })
    };
    view! {
        {form.area("selectors", "DKIM selectors", &selectors, "One per line or with commas: the value of s= in the DKIM-Signature header of a message you sent. Usual ones are tried anyway.")}
        {theirs("selectors", &selectors)}
        {form.area("senders", "Addresses that send for it", &senders, "IP addresses of servers and services that must pass SPF, one per line or with commas.")}
        {theirs("senders", &senders)}
        <input type="hidden" name="selectors_before" value=written(&domain.selectors)/>
        <input type="hidden" name="senders_before" value=written(&domain.senders)/>
    }
    .into_any()
}

/// What was typed, without the fields that were left as they were shown.
pub(super) fn touched(typed: &Fields) -> Fields {
    let same = |name: &&&str| parts(typed.raw(name)).eq(parts(typed.raw(&format!("{name}_before"))));
    typed.without(&SHOWN.iter().filter(same).copied().collect::<Vec<_>>())
}

/// Whether a failure is shown at one of the fields, and which.
pub(super) fn field_at_fault(failure: &ApiFailure) -> Option<(&'static str, String)> {
    let error = failure.fields().first()?;
    let field = SHOWN.into_iter().find(|field| *field == error.field)?;
    Some((field, error.message.clone()))
}

/// The change that a form asks for. A list that is as it was is left out, so that nothing is looked at anew for it.
pub(super) fn patch_of(fields: &Fields) -> Result<Value, ApiFailure> {
    let mut patch = settings::patch_of(fields);
    let changed = |name: &str, before: &str| {
        fields.given(name).map(|typed| parts(typed).collect::<Vec<_>>()).filter(|typed| *typed != parts(fields.raw(before)).collect::<Vec<_>>())
    };
    let Some(object) = patch.as_object_mut() else { return Ok(patch) };
    if let Some(selectors) = changed("selectors", "selectors_before") {
        object.insert("selectors".to_owned(), json!(selectors));
    }
    if let Some(senders) = changed("senders", "senders_before") {
        let address = |part: &&str| {
            part.parse::<IpAddr>().map_err(|_| ApiFailure::field("senders", format!("“{part}” is no IP address: write 192.0.2.1 or 2001:db8::1.")))
        };
        object.insert("senders".to_owned(), json!(senders.iter().map(address).collect::<Result<Vec<_>, _>>()?));
    }
    Ok(patch)
}
