//! The mail knowledge of Waypost. Pure mail: given a [`net::Net`] and a target it returns an outcome; it sees no database and no tenant.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod audit;
pub mod blacklist;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod headers;
pub mod net;
pub mod probe;
pub mod service;
mod shelf;
pub mod spf;
mod text;

pub use text::printable;
