//! The choice of what something is about, everything or chosen things, in the forms of windows and rules: what can be chosen, the fields, and
//! the part of the body that they make.

use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    asset::{Address, Domain, Server},
    maintenance::Covers,
    monitor::Monitor,
    page::List,
};

use crate::{
    api::ApiFailure,
    ssr::{Fields, Visit, org_path},
    ui::{self, Form},
};

/// Names of the boxes of things begin with this.
const THING: &str = "c-";

/// What can be chosen: an id and a name.
pub(super) struct Choices {
    groups: [(&'static str, Vec<(String, String)>); 4],
}

impl Choices {
    pub(super) async fn load(visit: &Visit, org: &str) -> Result<Self, ApiFailure> {
        let path = |many: &str| org_path(org, &format!("{many}?limit=200"));
        let (domains, servers, addresses, services) =
            (path("domains"), path("servers"), path("addresses"), format!("{}&services=true", path("monitors")));
        let (domains, servers, addresses, services) = tokio::try_join!(
            visit.api.get::<List<Domain>>(&domains),
            visit.api.get::<List<Server>>(&servers),
            visit.api.get::<List<Address>>(&addresses),
            visit.api.get::<List<Monitor>>(&services)
        )?;
        let domains = domains.items.into_iter().map(|domain| (domain.id.to_string(), domain.display)).collect();
        let with_ports = |server: Server| {
            let ports =
                server.monitors.iter().map(|monitor| (monitor.id.to_string(), format!("{}, this port alone", monitor.target))).collect::<Vec<_>>();
            std::iter::once((server.id.to_string(), server.display)).chain(ports)
        };
        let servers = servers.items.into_iter().flat_map(with_ports).collect();
        let addresses = addresses.items.into_iter().map(|address| (address.id.to_string(), address.cidr.to_string())).collect();
        let services = services.items.into_iter().map(|service| (service.id.to_string(), service.target)).collect();
        Ok(Self { groups: [("Domains", domains), ("Mail servers", servers), ("Addresses", addresses), ("Services", services)] })
    }
}

/// The ids that are named.
fn ids(covers: &Covers) -> Vec<String> {
    let Covers { domains, servers, addresses, monitors, .. } = covers;
    let domains = domains.iter().map(ToString::to_string);
    let (servers, addresses) = (servers.iter().map(ToString::to_string), addresses.iter().map(ToString::to_string));
    domains.chain(servers).chain(addresses).chain(monitors.iter().map(ToString::to_string)).collect()
}

pub(super) fn radio(group: &'static str, value: &'static str, on: &str, word: &'static str) -> AnyView {
    let id = format!("f-{group}-{value}");
    view! { <label class="check" for=id><input type="radio" id=id.clone() name=group value=value checked=on == value/>{word}</label> }.into_any()
}

/// The choice of what something is about, in a form of the class `plan-form`: what was `sent`, or else what it is now.
pub(super) fn covers_field(form: &Form<'_>, fields: &Fields, sent: bool, choices: &Choices, now: Option<&Covers>) -> AnyView {
    let scope = match (sent, now) {
        (true, _) => fields.text("scope").to_owned(),
        (false, Some(covers)) if !covers.everything => "chosen".to_owned(),
        (false, _) => "everything".to_owned(),
    };
    let chosen: Vec<String> = if sent { fields.names_after(THING).map(str::to_owned).collect() } else { now.map(ids).unwrap_or_default() };
    let usual_tags = now.map(|covers| covers.tags.join(", ")).unwrap_or_default();
    view! {
        <div class="field" role="group" aria-labelledby="g-covers"><span class="label" id="g-covers">"Covers"</span>
            {radio("scope", "everything", &scope, "Everything that is watched")}
            {radio("scope", "chosen", &scope, "Chosen things")}
            <div class="plan-chosen">{form.typed("tags", "Whatever has one of these tags", "text", &usual_tags, "With commas between.")}</div>
            {things(choices, &chosen)}
            <p class="hint sm soft plan-chosen">"A domain stands for its own checks. Its mail servers are checked by themselves: choose them, too."</p>
        </div>
    }
    .into_any()
}

/// What was chosen, as the API takes it.
pub(super) fn covers_of(fields: &Fields) -> Value {
    let mut covers = json!({ "everything": fields.text("scope") != "chosen" });
    for (many, prefix) in [("domains", "dom_"), ("servers", "srv_"), ("addresses", "adr_"), ("monitors", "mon_")] {
        let chosen = fields.names_after(THING).filter(|id| id.starts_with(prefix) && fields.text("scope") == "chosen");
        covers[many] = chosen.collect();
    }
    covers["tags"] = json!(if fields.text("scope") == "chosen" { ui::tag_parts(fields.raw("tags")) } else { Vec::new() });
    covers
}

fn things(choices: &Choices, chosen: &[String]) -> AnyView {
    let groups = choices
        .groups
        .iter()
        .filter(|(_, things)| !things.is_empty())
        .map(|(word, things)| {
            let group = format!("g-{}", word.to_lowercase().replace(' ', "-"));
            let boxes = things
                .iter()
                .map(|(id, name)| {
                    let (name_of, own) = (format!("{THING}{id}"), format!("f-{THING}{id}"));
                    view! { <label class="check wrap-any" for=own><input type="checkbox" id=own.clone() name=name_of value="1" checked=chosen.contains(id)/><span>{name.clone()}</span></label> }
                })
                .collect_view();
            view! { <div class="field" role="group" aria-labelledby=group><span class="sm soft" id=group.clone()>{*word}</span>{boxes}</div> }
        })
        .collect_view();
    // What is beyond the lists shown here stays chosen.
    let shown = |id: &&String| choices.groups.iter().any(|(_, things)| things.iter().any(|(known, _)| known == *id));
    let hidden =
        chosen.iter().filter(|id| !shown(id)).map(|id| view! { <input type="hidden" name=format!("{THING}{id}") value="1"/> }).collect_view();
    view! { <div class="stack plan-chosen">{groups}{hidden}</div> }.into_any()
}
