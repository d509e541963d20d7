//! The router as a browser meets it, over a transport that answers from a script.
#![cfg(feature = "ssr")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audited;
mod channels;
mod domain;
mod fleet;
mod incidents;
mod judging;
mod lists;
mod loading;
mod maintenance;
mod markup;
mod notices;
mod organisation;
mod pages;
mod policy;
mod pools;
mod roles;
mod routes;
mod rules;
mod services;
mod styles;
mod support;
mod tags;
mod team;
mod words;
