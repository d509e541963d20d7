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
mod trial;

pub use catalog::{catalog_info, lasting_zone};
pub use lists::{Lists, check_choice, check_key};
pub use pace::Pacing;
pub use plan::Subject;
pub use scan::Scanner;

/// For the fuzzer: an answer outside 127.0.0.0/8 never lists.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_answer(bytes: &[u8]) {
    let Some((zone, rest)) = bytes.split_first() else { return };
    let zone = &catalog::zones()[usize::from(*zone) % catalog::zones().len()];
    let answers: Vec<std::net::Ipv4Addr> = rest.as_chunks::<4>().0.iter().map(|octets| (*octets).into()).collect();
    let decoded = decode::decode(zone, &answers);
    assert!(decoded.state != waypost_types::outcome::ListState::Listed || answers.iter().all(|answer| answer.octets()[0] == 127));
}
