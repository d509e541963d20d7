//! waypost-web: the interface of Waypost. Pages render on the server from what the public API answers; islands run in the browser.
//!
//! The feature `ssr` builds the router that the server mounts, `hydrate` the browser's part. Without either only the shared types remain.
// Views are nested types: the depth of the markup is the depth of the type.
#![recursion_limit = "512"]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// The `view!` and `#[component]` macros write code that these lints would have us shape differently.
#![allow(clippy::must_use_candidate, clippy::needless_pass_by_value)]

pub mod api;
pub mod live;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
mod ssr;
pub mod text;
#[cfg(feature = "ssr")]
mod ui;

#[cfg(feature = "ssr")]
pub use ssr::{ClientAddress, TransportFactory, Visitor, WebConfig, router};

/// Starts the browser's part: the islands of the page wake up one by one after this.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    live::keep();
    leptos::mount::hydrate_islands();
}
