//! Addresses of pages and what answers them.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State},
    http::HeaderMap,
    middleware,
    response::Response,
    routing::{get, post},
};

use super::{Site, visit};
use crate::{
    api::ApiFailure,
    pages::{account, add, addresses, domains, incidents, landing, mailbox, overview, servers},
};

/// More than any form of ours holds.
const FORM_BYTES: usize = 64 * 1024;

pub(super) fn router(site: Site) -> Router {
    let pages = Router::new()
        .route("/", get(landing::landing))
        .route("/lookup", get(landing::search_for))
        .route("/lookup/{domain}", get(landing::lookup))
        .route("/signup", get(account::show_signup).post(account::signup))
        .route("/login", get(account::show_login).post(account::login))
        .route("/logout", post(account::logout))
        .route("/app", get(account::app))
        .route("/forgot", get(account::show_forgot).post(account::forgot))
        .route("/reset", get(account::show_reset).post(account::reset))
        .route("/verify", get(account::show_verify).post(account::verify))
        .route("/verify/resend", post(account::resend))
        .route("/dev/mailbox", get(mailbox::show))
        .route("/o/{org}", get(overview::overview))
        .route("/o/{org}/add", get(add::show))
        .route("/o/{org}/domains", get(domains::list).post(domains::create))
        .route("/o/{org}/domains/{id}", get(domains::show))
        .route("/o/{org}/domains/{id}/check", post(domains::check))
        .route("/o/{org}/domains/{id}/settings", post(domains::change))
        .route("/o/{org}/domains/{id}/delete", post(domains::remove))
        .route("/o/{org}/servers", get(servers::list).post(servers::create))
        .route("/o/{org}/servers/{id}", get(servers::show))
        .route("/o/{org}/servers/{id}/check", post(servers::check))
        .route("/o/{org}/servers/{id}/settings", post(servers::change))
        .route("/o/{org}/servers/{id}/delete", post(servers::remove))
        .route("/o/{org}/addresses", get(addresses::list).post(addresses::create))
        .route("/o/{org}/addresses/{id}", get(addresses::show))
        .route("/o/{org}/addresses/{id}/check", post(addresses::check))
        .route("/o/{org}/addresses/{id}/settings", post(addresses::change))
        .route("/o/{org}/addresses/{id}/delete", post(addresses::remove))
        .route("/o/{org}/incidents", get(incidents::list))
        .route("/o/{org}/incidents/{id}", get(incidents::show))
        .route("/o/{org}/incidents/{id}/acknowledge", post(incidents::acknowledge))
        .route("/o/{org}/incidents/{id}/comment", post(incidents::comment))
        .route("/o/{org}/incidents/{id}/resolve", post(incidents::resolve))
        .fallback(async || ApiFailure::not_found())
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn_with_state(site.clone(), visit::around));
    Router::new().route("/assets/{name}", get(asset)).with_state(site).merge(pages)
}

async fn asset(State(site): State<Site>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    site.assets.serve(&name, &headers)
}
