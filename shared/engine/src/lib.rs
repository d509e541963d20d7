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
pub mod spf;

/// Text from the network made safe for a terminal: control characters escaped.
pub fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
