//! Private block lists: those of an organisation's own, or that it subscribes to.

use leptos::prelude::*;
use waypost_types::{Severity, list_settings::ListSettings, lists::ListKind};

use super::{KINDS, Refused, SEVERITIES, kinds_words};
use crate::{
    api::ApiFailure,
    ssr::Fields,
    ui::{self, Button, Form, Gate},
};

/// The card with the private lists and the form that adds one.
pub(super) fn card(gate: &Gate, settings: &ListSettings, base: &str, refused: Option<Refused<'_>>) -> AnyView {
    let version = || settings.version.to_string();
    let rows = settings
        .choice
        .custom
        .iter()
        .map(|list| {
            let word = list.severity.word();
            let title = list.title().to_owned();
            let fields =
                view! { <input type="hidden" name="version" value=version()/><input type="hidden" name="zone" value=list.zone.to_string()/> };
            let word_remove = view! { "Remove"<span class="vh">{format!(" {title}")}</span> };
            view! {
                <tr>
                    <th scope="row"><span>{title.clone()}<span class="sub mono">{list.zone.to_string()}</span></span></th>
                    <td data-label="Takes">{kinds_words(&list.kinds)}</td>
                    <td data-label="A listing is">{ui::status(list.severity.into(), word)}</td>
                    <td class="num" data-label="">{gate.form("", format!("{base}/remove"), fields, Button::new("btn btn-sm", word_remove))}</td>
                </tr>
            }
        })
        .collect_view();
    let table = if settings.choice.custom.is_empty() {
        view! { <p class="card-body sm soft">"None yet. A private list is a DNS zone of yours, or one that you subscribe to, that answers as RFC 5782 says."</p> }.into_any()
    } else {
        view! {
            <div class="table-wrap" tabindex="0" role="region" aria-label="Private lists, table">
                <table class="table fold">
                    <caption class="vh">"Private lists"</caption>
                    <thead><tr><th scope="col">"List"</th><th scope="col">"Takes"</th><th scope="col">"A listing is"</th><th scope="col"><span class="vh">"Remove"</span></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    let empty = Fields::empty();
    let sent = refused.filter(|refused| refused.form == "custom");
    let fields = sent.map_or(&empty, |sent| sent.fields);
    // The API speaks of all private lists; here the one that is added is at fault.
    let failure = sent.map(|sent| sent.failure).filter(|failure| failure.status != 412).map(|failure| {
        let said = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
        ApiFailure::field("zone", said)
    });
    let form = Form::new(fields, failure.as_ref(), &["zone", "name"]);
    let checks = KINDS
        .into_iter()
        .map(|(kind, field, word)| {
            let on = if sent.is_some() { !fields.text(field).is_empty() } else { kind == ListKind::Ip4 };
            let named = if kind == ListKind::Domain { "Domains".to_owned() } else { format!("{word} addresses") };
            let (id, label) = (format!("f-{field}"), format!("f-{field}"));
            view! { <label class="check" for=label><input type="checkbox" id=id name=field value="1" checked=on/>{named}</label> }
        })
        .collect_view();
    let chosen = if sent.is_some() { fields.text("severity").to_owned() } else { Severity::Medium.as_str().to_owned() };
    let options = SEVERITIES
        .into_iter()
        .map(|severity| {
            let (word, meaning) = (severity.word(), severity.meaning());
            view! { <option value=severity.as_str() selected=severity.as_str() == chosen>{format!("{word}: {meaning}")}</option> }
        })
        .collect_view();
    let inputs = view! {
        <input type="hidden" name="version" value=version()/>
        {form.input("zone", "DNS zone", "text", "off", "For example bl.example.net. Without dots at its ends.")}
        {form.optional("name", "Name", "", "What pages and mails call it; the zone when empty.")}
        <div class="field" role="group" aria-labelledby="l-kinds"><span class="label" id="l-kinds">"May be asked about"</span>{checks}</div>
        <div class="field"><label for="f-severity">"A listing is"</label><select class="select" id="f-severity" name="severity">{options}</select></div>
    };
    view! {
        <section class="card" id="private" aria-labelledby="h-private">
            <div class="card-head"><h2 id="h-private">"Private lists"</h2></div>
            {table}
            <details class="more" open=sent.is_some()>
                <summary>"Add a private list"</summary>
                {gate.form("card-body stack narrow-form", format!("{base}/custom"), inputs, Button::new("btn", "Add the list"))}
            </details>
        </section>
    }
    .into_any()
}
