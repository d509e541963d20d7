//! The API: one file per group of endpoints. Every route is annotated, so that the OpenAPI document and the router can not differ.

pub mod addresses;
pub mod changes;
pub mod channels;
pub mod docs;
pub mod domains;
pub mod events;
pub mod fleet;
pub mod incidents;
pub mod invitations;
pub mod lists;
pub mod login;
pub mod lookup;
pub mod mailbox;
pub mod maintenance;
pub mod me;
pub mod members;
pub mod messages;
pub mod monitors;
pub mod orgs;
pub mod overview;
pub mod pools;
pub mod recovery;
pub mod regions;
pub mod results;
pub mod roster;
pub mod routes;
pub mod rules;
pub mod runbooks;
pub mod score;
pub mod server_logins;
pub mod servers;
pub mod settings;
pub mod signup;
pub mod slack;
pub mod slack_requests;
pub mod tags;
pub mod targets;
mod timings;
pub mod verification;

use axum::{Router, middleware};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{idempotency::remember_posts, problem::ApiError},
    state::AppState,
};

/// The routes below `/api`, and the document that describes them. The development mailbox is there in development only.
pub fn routes(state: &AppState) -> (Router<AppState>, OpenApi) {
    let public = OpenApiRouter::new()
        .routes(routes!(signup::signup))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(recovery::forgot))
        .routes(routes!(recovery::reset))
        .routes(routes!(verification::verify))
        .routes(routes!(verification::resend))
        .routes(routes!(invitations::look))
        .routes(routes!(invitations::accept))
        .routes(routes!(me::me))
        .routes(routes!(orgs::create))
        .routes(routes!(lookup::lookup))
        .routes(routes!(score::table))
        .routes(routes!(lookup::address))
        .routes(routes!(slack_requests::interactions))
        .routes(routes!(slack_requests::events));
    let public = if state.settings.development { public.routes(routes!(mailbox::mailbox)) } else { public };
    let org = OpenApiRouter::new()
        .routes(routes!(domains::list, domains::create))
        .routes(routes!(domains::get, domains::update, domains::delete))
        .routes(routes!(domains::check))
        .routes(routes!(domains::history))
        .routes(routes!(domains::listings))
        .routes(routes!(domains::selectors))
        .routes(routes!(domains::forget_selector))
        .routes(routes!(servers::list, servers::create))
        .routes(routes!(servers::get, servers::update, servers::delete))
        .routes(routes!(servers::check))
        .routes(routes!(servers::history))
        .routes(routes!(server_logins::get, server_logins::set, server_logins::remove))
        .routes(routes!(server_logins::resume))
        .routes(routes!(addresses::list, addresses::create))
        .routes(routes!(addresses::get, addresses::update, addresses::delete))
        .routes(routes!(addresses::check))
        .routes(routes!(addresses::listings))
        .routes(routes!(lists::get, lists::choose))
        .routes(routes!(lists::set_key, lists::remove_key))
        .routes(routes!(channels::list, channels::create))
        .routes(routes!(channels::get, channels::update, channels::delete))
        .routes(routes!(channels::test))
        .routes(routes!(channels::renew_key))
        .routes(routes!(channels::deliveries))
        .routes(routes!(slack::get, slack::delete))
        .routes(routes!(slack::authorize))
        .routes(routes!(slack::install))
        .routes(routes!(slack::channels))
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(routes::get, routes::update, routes::delete))
        .routes(routes!(routes::order))
        .routes(routes!(routes::preview))
        .routes(routes!(maintenance::list, maintenance::create))
        .routes(routes!(maintenance::get, maintenance::update, maintenance::delete))
        .routes(routes!(maintenance::end))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::attempt))
        .routes(routes!(rules::get, rules::update, rules::delete))
        .routes(routes!(rules::values))
        .routes(routes!(tags::list))
        .routes(routes!(pools::list, pools::create))
        .routes(routes!(pools::get, pools::update, pools::delete))
        .routes(routes!(settings::get, settings::update))
        .routes(routes!(members::list))
        .routes(routes!(members::get, members::update, members::delete))
        .routes(routes!(invitations::list, invitations::create))
        .routes(routes!(invitations::get, invitations::delete))
        .routes(routes!(invitations::resend))
        .routes(routes!(messages::read))
        .routes(routes!(fleet::list, monitors::create, fleet::change))
        .routes(routes!(fleet::counts))
        .routes(routes!(roster::export))
        .routes(routes!(roster::import))
        .routes(routes!(monitors::get, monitors::update, monitors::delete))
        .routes(routes!(monitors::check))
        .routes(routes!(results::list))
        .routes(routes!(results::get))
        .routes(routes!(results::rollups))
        .routes(routes!(timings::timings))
        .routes(routes!(results::outcome))
        .routes(routes!(incidents::list, incidents::create))
        .routes(routes!(incidents::get, incidents::update, incidents::delete))
        .routes(routes!(incidents::counts))
        .routes(routes!(incidents::related))
        .routes(routes!(changes::list, changes::create))
        .routes(routes!(changes::get, changes::delete))
        .routes(routes!(regions::list))
        .routes(routes!(runbooks::list))
        .routes(routes!(runbooks::get, runbooks::write, runbooks::reset))
        .routes(routes!(overview::overview))
        .routes(routes!(events::events))
        .route_layer(middleware::from_fn_with_state(state.clone(), remember_posts));
    let (router, paths) = public.merge(org).split_for_parts();
    let mut info = InfoBuilder::new().title("Waypost").version(env!("CARGO_PKG_VERSION")).build();
    info.description = Some(
        "Everything that a page of Waypost does, a program can do here. Errors are RFC 9457 problems; lists answer `items` and `next`.".to_owned(),
    );
    let document = OpenApiBuilder::new().info(info).build().nest("/api", paths);
    let router = router.merge(docs::routes(&document)).fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    (router, document)
}

async fn not_found() -> ApiError {
    ApiError::NotFound
}

async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
