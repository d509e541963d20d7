//! The API against a real PostgreSQL, as `waypost_app`, by service calls on the very router that is served.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod channels;
mod denial;
mod fleet;
mod lists;
mod live;
mod lookup;
mod maintenance;
mod people;
mod plain;
mod policy;
mod pools;
mod requests;
mod resources;
mod roster;
mod routes;
mod rules;
mod story;
mod support;
mod tags;
