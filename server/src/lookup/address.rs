//! The lookup of an address: its reverse names, whether they lead back to it (RFC 8601 2.7.3), and block lists.

use std::{net::IpAddr, time::Instant};

use chrono::Utc;
use waypost_engine::{
    audit,
    blacklist::{Lists, Scanner, Subject},
    net::Net,
};
use waypost_types::{lookup::AddressLookup, outcome::BlacklistReport};

use super::{LISTS_TIME, REVERSE_TIME, guides, is_late, millis, scan};

pub(super) async fn look(net: &Net, scanner: &Scanner, address: IpAddr) -> AddressLookup {
    let started = Instant::now();
    let (subjects, lists) = ([Subject::from(address)], Lists::default());
    let (found, report) = tokio::join!(audit::reverse(net, address, REVERSE_TIME), scan(scanner, &subjects, &lists, LISTS_TIME));
    let took = started.elapsed();
    let complete = found.complete && report.as_ref().is_some_and(|report| !is_late(took, &report.entries));
    let blacklists = report.unwrap_or_else(|| BlacklistReport::empty(address.to_string()));
    AddressLookup {
        address: address.to_string(),
        names: found.names,
        reverse: found.reverse,
        reverse_reason: found.reason,
        findings: found.findings,
        guides: guides(&blacklists),
        blacklists,
        complete,
        checked_at: Utc::now(),
        took_ms: millis(took),
    }
}
