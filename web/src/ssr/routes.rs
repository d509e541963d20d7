//! Addresses of pages and what answers them.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, Uri},
    middleware,
    response::Response,
    routing::{get, post},
};

use super::{Site, Visit, redirect, visit};
use crate::{
    api::ApiFailure,
    pages::{
        account, add, addresses, changes, channels, domains, fleet, import, incidents, invitation, landing, lists, mailbox, maintenance, messages,
        organisation, overview, pools, routes, rules, runbooks, score, servers, services, team,
    },
};

/// More than any form of ours holds: a pasted message of the size that the API takes, percent-encoded.
const FORM_BYTES: usize = 768 * 1024;

pub(super) fn router(site: Site) -> Router {
    let pages = public()
        .merge(watched())
        .merge(told())
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn_with_state(site.clone(), visit::around));
    Router::new().route("/assets/{name}", get(asset)).with_state(site).merge(pages)
}

/// Pages without an organisation around them.
fn public() -> Router {
    Router::new()
        .route("/", get(landing::landing))
        .route("/lookup", get(landing::search_for))
        .route("/lookup/", get(async || redirect("/")))
        .route("/lookup/{domain}", get(landing::lookup))
        .route("/score", get(score::show))
        .route("/signup", get(account::show_signup).post(account::signup))
        .route("/login", get(account::show_login).post(account::login))
        .route("/logout", post(account::logout))
        .route("/app", get(account::app).post(account::new_org))
        .route("/forgot", get(account::show_forgot).post(account::forgot))
        .route("/reset", get(account::show_reset).post(account::reset))
        .route("/verify", get(account::show_verify).post(account::verify))
        .route("/verify/resend", post(account::resend))
        .route("/dev/mailbox", get(mailbox::show))
        .route("/slack/callback", get(channels::slack::back))
        .route("/invitation", get(invitation::show).post(invitation::accept))
}

/// What an organisation watches.
fn watched() -> Router {
    Router::new()
        .route("/o/{org}", get(overview::overview))
        .route("/o/{org}/add", get(add::show))
        .route("/o/{org}/domains", get(domains::list).post(domains::create))
        .route("/o/{org}/domains/{id}", get(domains::show))
        .route("/o/{org}/domains/{id}/check", post(domains::check).get(back))
        .route("/o/{org}/domains/{id}/settings", post(domains::change).get(back))
        .route("/o/{org}/domains/{id}/delete", post(domains::remove).get(back))
        .route("/o/{org}/domains/{id}/selectors", post(domains::forget).get(back))
        .route("/o/{org}/messages", get(messages::show).post(messages::read))
        .route("/o/{org}/servers", get(servers::list).post(servers::create))
        .route("/o/{org}/servers/{id}", get(servers::show))
        .route("/o/{org}/servers/{id}/login", post(servers::login::set).get(back))
        .route("/o/{org}/servers/{id}/login/resume", post(servers::login::resume).get(back))
        .route("/o/{org}/servers/{id}/login/delete", post(servers::login::remove).get(back))
        .route("/o/{org}/servers/{id}/check", post(servers::check).get(back))
        .route("/o/{org}/servers/{id}/settings", post(servers::change).get(back))
        .route("/o/{org}/servers/{id}/delete", post(servers::remove).get(back))
        .route("/o/{org}/addresses", get(addresses::list).post(addresses::create))
        .route("/o/{org}/addresses/{id}", get(addresses::show))
        .route("/o/{org}/addresses/{id}/check", post(addresses::check).get(back))
        .route("/o/{org}/addresses/{id}/settings", post(addresses::change).get(back))
        .route("/o/{org}/addresses/{id}/delete", post(addresses::remove).get(back))
        .route("/o/{org}/pools", get(pools::list).post(pools::create))
        .route("/o/{org}/pools/{id}", get(pools::show))
        .route("/o/{org}/pools/{id}/settings", post(pools::change).get(back))
        .route("/o/{org}/pools/{id}/delete", post(pools::remove).get(back))
        .route("/o/{org}/all", get(fleet::list).post(fleet::change))
        .route("/o/{org}/import", get(import::show).post(import::import))
        .route("/o/{org}/import/check", post(import::check).get(back))
        .route("/o/{org}/monitors", get(services::list).post(services::create))
        .route("/o/{org}/monitors/new", get(services::add))
        .route("/o/{org}/monitors/{id}", get(services::show))
        .route("/o/{org}/monitors/{id}/check", post(services::check).get(back))
        .route("/o/{org}/monitors/{id}/settings", post(services::change).get(back))
        .route("/o/{org}/monitors/{id}/delete", post(services::remove).get(back))
        .route("/o/{org}/lists", get(lists::show).post(lists::choose))
        .route("/o/{org}/lists/custom", post(lists::add).get(back))
        .route("/o/{org}/lists/remove", post(lists::remove).get(back))
        .route("/o/{org}/lists/key", post(lists::set_key).get(back))
        .route("/o/{org}/lists/forget", post(lists::forget_key).get(back))
}

/// Who is told of what happens, and what holds for the organisation as a whole.
fn told() -> Router {
    Router::new()
        .route("/o/{org}/channels", get(channels::show).post(channels::create))
        .route("/o/{org}/channels/slack", get(channels::slack::choose).post(channels::slack::create))
        .route("/o/{org}/channels/slack/add", get(channels::slack::add))
        .route("/o/{org}/channels/slack/remove", post(channels::slack::remove).get(back))
        .route("/o/{org}/channels/{id}", get(channels::channel::show))
        .route("/o/{org}/channels/{id}/test", post(channels::channel::test).get(back))
        .route("/o/{org}/channels/{id}/settings", post(channels::channel::change).get(back))
        .route("/o/{org}/channels/{id}/key", post(channels::channel::renew).get(back))
        .route("/o/{org}/channels/{id}/delete", post(channels::channel::remove).get(back))
        .route("/o/{org}/routes", get(routes::show).post(routes::create))
        .route("/o/{org}/routes/custom", post(routes::everybody).get(back))
        .route("/o/{org}/routes/{id}", get(routes::route::show))
        .route("/o/{org}/routes/{id}/settings", post(routes::route::change).get(back))
        .route("/o/{org}/routes/{id}/move", post(routes::route::earlier).get(back))
        .route("/o/{org}/routes/{id}/delete", post(routes::route::remove).get(back))
        .route("/o/{org}/maintenance", get(maintenance::show).post(maintenance::create))
        .route("/o/{org}/maintenance/{id}", get(maintenance::window::show))
        .route("/o/{org}/maintenance/{id}/settings", post(maintenance::window::change).get(back))
        .route("/o/{org}/maintenance/{id}/end", post(maintenance::window::end).get(back))
        .route("/o/{org}/maintenance/{id}/delete", post(maintenance::window::remove).get(back))
        .route("/o/{org}/rules", get(rules::show).post(rules::create))
        .route("/o/{org}/rules/try", post(rules::attempt).get(back))
        .route("/o/{org}/rules/suggested", post(rules::suggested).get(back))
        .route("/o/{org}/rules/{id}", get(rules::rule::show))
        .route("/o/{org}/rules/{id}/settings", post(rules::rule::change).get(back))
        .route("/o/{org}/rules/{id}/delete", post(rules::rule::remove).get(back))
        .route("/o/{org}/team", get(team::show).post(team::invite))
        .route("/o/{org}/team/role", post(team::change).get(back))
        .route("/o/{org}/team/remove", post(team::remove).get(back))
        .route("/o/{org}/team/resend", post(team::resend).get(back))
        .route("/o/{org}/team/withdraw", post(team::withdraw).get(back))
        .route("/o/{org}/settings", get(organisation::show).post(organisation::change))
        .route("/o/{org}/changes", get(changes::show).post(changes::create))
        .route("/o/{org}/changes/{id}/delete", post(changes::remove).get(back))
        .route("/o/{org}/runbooks", get(runbooks::list))
        .route("/o/{org}/runbooks/{topic}", get(runbooks::show).post(runbooks::write))
        .route("/o/{org}/runbooks/{topic}/reset", post(runbooks::reset).get(back))
        .route("/o/{org}/incidents", get(incidents::list::show))
        .route("/o/{org}/incidents/{id}", get(incidents::show))
        .route("/o/{org}/incidents/{id}/acknowledge", post(incidents::acknowledge).get(back))
        .route("/o/{org}/incidents/{id}/comment", post(incidents::comment).get(back))
        .route("/o/{org}/incidents/{id}/cause", post(incidents::cause).get(back))
        .route("/o/{org}/incidents/{id}/mute", post(incidents::mute).get(back))
        .route("/o/{org}/incidents/{id}/resolve", post(incidents::resolve).get(back))
}

/// There is no such page; one with a slash too many is found.
async fn nowhere(uri: Uri) -> Result<Response, ApiFailure> {
    match uri.path().strip_suffix('/').filter(|path| path.starts_with("/o/") && !path.ends_with('/')) {
        Some(path) => Ok(redirect(path)),
        None => Err(ApiFailure::not_found()),
    }
}

/// Whoever opens the address of an action, by reloading what answered it, is led to the page that it acts on.
async fn back(visit: Visit) -> Response {
    redirect(visit.page_acted_on())
}

async fn asset(State(site): State<Site>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    site.assets.serve(&name, &headers)
}
