//! Renderings of Waypost: types in, bytes out, no I/O.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cut;
pub mod mail;
pub mod markdown;
pub mod preview;

pub use cut::cut;
