//! Block lists: the zones, what is asked, what the answers mean, and scans that are bounded and polite.
//!
//! An address or domain is *listed* only when the zone proved alive and the code is none of its error codes, *clean* only after NXDOMAIN from
//! a zone that proved alive, and *unknown* in every other case.

mod asker;
pub mod catalog;
mod decode;
mod health;
mod lists;
mod pace;
mod plan;
mod scan;
#[cfg(test)]
mod tests;

pub use catalog::catalog_info;
pub use lists::{Lists, check_choice, check_key};
pub use pace::Pacing;
pub use plan::Subject;
pub use scan::Scanner;
