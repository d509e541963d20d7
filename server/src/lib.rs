//! The server of Waypost: the API, sign-in, live events, and the pages rendered in-process. It holds no query and no mail knowledge:
//! it joins the store, the engine and the interface.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod app;
pub mod health;
pub mod http;
pub mod live;
pub mod lookup;
pub mod overview;
pub mod pages;
pub mod passwords;
pub mod preview;
pub mod roster;
pub mod serve;
pub mod state;
