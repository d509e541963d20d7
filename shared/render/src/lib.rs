//! Renderings of Waypost: types in, bytes out, no I/O.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod mail;
pub mod preview;
