//! The fields of a service: its target, and what is expected of it; and the body that what was sent makes.

use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    monitor::{Monitor, MonitorKind},
    service::{Comparison, IMAP_PORTS, POP_PORTS, RecordKind, ServiceSettings, TCP_PORTS},
};

use crate::{
    api::ApiFailure,
    ssr::Fields,
    ui::{self, Form},
};

/// A kind of service by its written form; a TCP port where it is none.
pub(super) fn kind_of(text: &str) -> MonitorKind {
    text.parse().ok().filter(|kind: &MonitorKind| kind.is_service()).unwrap_or(MonitorKind::Tcp)
}

/// What a kind of check does.
pub(super) const fn about(kind: MonitorKind) -> &'static str {
    match kind {
        MonitorKind::Https => "Asks for the address, follows its redirects, and looks at the certificate, the status and what the page holds.",
        MonitorKind::Dns => "Asks DNS for the records of a name and compares them with what they are to be.",
        MonitorKind::Imap | MonitorKind::Pop => {
            "Holds a conversation up to where mail programs log in: greeting, TLS and certificate, and whether passwords are taken in clear. Nobody logs in."
        }
        _ => "Connects to the port, and hears what it says first where that is asked.",
    }
}

fn ports(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The fields of a new one.
pub(super) fn inputs(kind: MonitorKind, fields: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let form = Form::new(fields, failure, &["target", "settings.begins_with", "settings.contains", "settings.statuses", "settings.values"]);
    let hidden = view! { <input type="hidden" name="kind" value=kind.as_str()/> };
    let allowed = match kind {
        MonitorKind::Imap => Some(ports(&IMAP_PORTS)),
        MonitorKind::Pop => Some(ports(&POP_PORTS)),
        MonitorKind::Tcp => Some(ports(&TCP_PORTS)),
        _ => None,
    };
    let allowed = allowed.map(|ports| view! { <p class="hint sm soft">{format!("Ports that can be checked: {ports}.")}</p> });
    let target = match kind {
        MonitorKind::Https => form.input("target", "Address", "text", "off", "For example https://webmail.example.com/. Port 443."),
        MonitorKind::Dns => {
            let chosen = fields.text("type").to_owned();
            let types = RecordKind::ALL
                .into_iter()
                .map(|kind| view! { <option value=kind.as_str() selected=chosen == kind.as_str()>{kind.as_str()}</option> })
                .collect_view();
            view! {
                {form.input("target", "Name", "text", "off", "For example example.com or _dmarc.example.com; for PTR an address does, too.")}
                <div class="field"><label for="f-type">"Type"</label><select class="select" id="f-type" name="type">{types}</select></div>
            }
            .into_any()
        }
        MonitorKind::Imap => form.input("target", "Host and port", "text", "off", "For example mail.example.com:993."),
        MonitorKind::Pop => form.input("target", "Host and port", "text", "off", "For example mail.example.com:995."),
        _ => form.input("target", "Host and port", "text", "off", "For example mail.example.com:4190."),
    };
    view! { {form.said()}{hidden}{target}{allowed}{expected(kind, &ServiceSettings::default(), fields, &form)} }.into_any()
}

/// The fields of one that is there: what is expected of it.
pub(super) fn changes(service: &Monitor, typed: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let form = Form::new(typed, failure, &["settings.begins_with", "settings.contains", "settings.statuses", "settings.values"]);
    view! { <input type="hidden" name="kind" value=service.kind.as_str()/>{expected(service.kind, &service.settings, typed, &form)} }.into_any()
}

fn expected(kind: MonitorKind, now: &ServiceSettings, fields: &Fields, form: &Form<'_>) -> AnyView {
    let contains = now.contains.as_deref().unwrap_or_default();
    match kind {
        MonitorKind::Tcp => view! {
            {form.optional("settings.begins_with", "It begins with", now.begins_with.as_deref().unwrap_or_default(), "May be left out. What the server is to say first, such as 220.")}
            {form.optional("settings.contains", "It says", contains, "May be left out. What is to be somewhere in its first words.")}
        }
        .into_any(),
        MonitorKind::Https => view! {
            {form.optional("settings.statuses", "Status", &now.statuses.join(", "), "200-399 when left out. Numbers and ranges, with commas between. A redirect that is named is not followed.")}
            {form.optional("settings.contains", "The page holds", contains, "May be left out. A text in the first 256 KiB of the page.")}
        }
        .into_any(),
        MonitorKind::Dns => {
            let now_chosen = now.comparison.unwrap_or_default().as_str();
            let chosen = fields.given("comparison").unwrap_or(now_chosen).to_owned();
            let options = Comparison::ALL
                .into_iter()
                .map(|one| view! { <option value=one.as_str() selected=chosen == one.as_str()>{comparison_word(one)}</option> })
                .collect_view();
            view! {
                <div class="field"><label for="f-comparison">"The records are"</label><select class="select" id="f-comparison" name="comparison">{options}</select></div>
                {form.area("settings.values", "Values", &now.values.join("\n"), "One a line, as a zone file has them: 10 mail.example.com for MX, the whole text for TXT. None for any record at all, or no record.")}
            }
            .into_any()
        }
        _ => ().into_any(),
    }
}

const fn comparison_word(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equals => "exactly these, in any order",
        Comparison::Contains => "these, and others beside them",
        Comparison::Exists => "any record at all",
        Comparison::Absent => "no record",
    }
}

/// The target of what was sent.
pub(super) fn target_of(kind: MonitorKind, fields: &Fields) -> String {
    match kind {
        MonitorKind::Dns => format!("{} {}", fields.text("target"), fields.text("type")),
        _ => fields.text("target").to_owned(),
    }
}

/// What is expected, of what was sent; fields of other kinds are not read.
pub(super) fn settings_of(kind: MonitorKind, fields: &Fields) -> Value {
    let mut settings = serde_json::Map::new();
    let mut text = |name: &str| {
        let given = fields.raw(&format!("settings.{name}"));
        if !given.is_empty() {
            settings.insert(name.to_owned(), json!(given));
        }
    };
    match kind {
        MonitorKind::Tcp => {
            text("begins_with");
            text("contains");
        }
        MonitorKind::Https => {
            text("contains");
            settings.insert("statuses".to_owned(), json!(ui::tag_parts(fields.raw("settings.statuses"))));
        }
        MonitorKind::Dns => {
            let values: Vec<&str> = fields.raw("settings.values").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            settings.insert("values".to_owned(), json!(values));
            settings.insert("comparison".to_owned(), json!(fields.text("comparison").parse::<Comparison>().unwrap_or_default()));
        }
        _ => {}
    }
    Value::Object(settings)
}
