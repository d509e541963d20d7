//! The page that adds what is to be watched: a domain, a mail server, an address or network.

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::account::Role;

use super::{lookup_address, settings};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, page},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    let mut query = visit.query();
    let (name, cidr) = (query.remove("domain").unwrap_or_default(), query.remove("address").unwrap_or_default());
    draw(&visit, &org, &Fields::of([("name", name), ("cidr", cidr)]), None, "").await
}

/// The page that adds `what`, a domain or an address that was looked up, below the organisation's page; that page itself for nothing.
pub(super) fn page_of(org_page: &str, what: &str) -> String {
    match (what, lookup_address::typed(what)) {
        ("", _) => org_page.to_owned(),
        (_, Some(address)) => format!("{org_page}/add?address={}", text::encoded(&address.to_string())),
        (domain, None) => format!("{org_page}/add?domain={}", text::encoded(domain)),
    }
}

/// The page again, with what was wrong about the form whose first field is `form`.
pub(super) async fn again(visit: &Visit, org: &str, fields: &Fields, failure: &ApiFailure, form: &'static str) -> Answer {
    draw(visit, org, fields, Some(failure), form).await
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>, at: &str) -> Answer {
    let frame = visit.frame(org).await?;
    Ok(page(visit, settings::status(failure), "Add a monitor", || {
        let base = format!("/o/{}", text::encoded(org));
        let unconfirmed = failure.filter(|failure| failure.is_unconfirmed());
        // What is said of the whole page is not said in the form again.
        let of = |form: &str| if form == at && unconfirmed.is_none() { failure } else { None };
        let domain = Form::new(fields, of("name"), &["name"]);
        let server = Form::new(fields, of("host"), &["host", "ports"]);
        let address = Form::new(fields, of("cidr"), &["cidr"]);
        let gate = Gate::change(&frame, "add");
        let card = |id: &'static str, title: &'static str, to: &str, fields: AnyView, word: &'static str| {
            // What is watched already has a page, where its ports and all else can be changed.
            let there = failure.filter(|_| of_page(at) == to).and_then(|failure| failure.problem.existing.clone());
            let there = there.map(|id| view! { <p class="card-foot"><a href=format!("{base}/{to}/{}", text::encoded(&id))>"Open its page"</a></p> });
            view! {
                <section class="card c4" aria-labelledby=id>
                    <div class="card-head"><h2 id=id>{title}</h2></div>
                    {gate.form("card-body stack", format!("{base}/{to}"), fields, Button::new("btn btn-primary", word))}
                    {there}
                </section>
            }
        };
        let name = view! {
            {domain.said()}
            {domain.input("name", "Domain", "text", "off", "For example example.com. Its mail servers and their addresses are added by themselves.")}
        };
        let host = view! {
            {server.said()}
            {server.input("host", "Host name or address", "text", "off", "For example mail.example.com.")}
            {server.optional("ports", "Ports", "25, 465, 587", "Up to eight, separated by commas.")}
        };
        let cidr = view! {
            {address.said()}
            {address.input("cidr", "Address or network", "text", "off", "For example 192.0.2.25 or 192.0.2.0/28, up to a /24.")}
        };
        let content = view! {
            {unconfirmed.map(|failure| confirm_first(&frame, failure))}
            {ui::head("Add a monitor", None, "Waypost looks from outside: there is nothing to install.", ())}
            {gate.hint()}
            <div class="grid">
                {card("h-domain", "Domain", "domains", name.into_any(), "Add domain")}
                {card("h-server", "Mail server", "servers", host.into_any(), "Add mail server")}
                {card("h-address", "Address or network", "addresses", cidr.into_any(), "Add address")}
            </div>
            <p class="sm">"Something else? "<a href=format!("{base}/monitors/new")>"Add a service"</a>": a TCP port, a web address, a DNS record, a mailbox server."</p>
        };
        ui::shell(&frame, Place::Elsewhere, vec![(None, "Add a monitor".to_owned())], content)
    }))
}

/// Below which page of the organisation stands what the form with this first field adds.
fn of_page(form: &str) -> &'static str {
    match form {
        "name" => "domains",
        "host" => "servers",
        "cidr" => "addresses",
        _ => "",
    }
}

/// Why nothing was added, and how there will be room: an owner confirms their address.
fn confirm_first(frame: &Frame, failure: &ApiFailure) -> AnyView {
    let how = if frame.org.role == Role::Owner && !frame.me.user.email_verified {
        view! {
            {format!("Follow the link that we sent to {}, or ", frame.me.user.email)}<a href="#confirm">"have it sent again"</a>
            ". Then add this once more."
        }
        .into_any()
    } else {
        "Ask an owner of the organisation to confirm theirs, then add this once more.".into_any()
    };
    let said = failure.sentence().to_owned();
    view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div><strong>"Nothing was added. "</strong>{said}" "{how}</div></div> }
        .into_any()
}
