//! The lookup of an address: its reverse names, whether they lead back to it (RFC 8601 2.7.3), and block lists.

use std::{net::IpAddr, time::Instant};

use chrono::Utc;
use futures::future::join_all;
use waypost_engine::{
    blacklist::{Lists, Scanner, Subject},
    net::{Lookup, Net},
};
use waypost_types::{
    lookup::{AddressLookup, ReverseName},
    outcome::{BlacklistReport, CheckSummary, Status},
};

use super::{LISTS_TIME, REVERSE_TIME, guides, is_late, millis, scan};

/// Reverse names that are resolved back and shown.
const MOST_NAMES: usize = 10;

pub(super) async fn look(net: &Net, scanner: &Scanner, address: IpAddr) -> AddressLookup {
    let started = Instant::now();
    let (subjects, lists) = ([Subject::from(address)], Lists::default());
    let (reverse, report) = tokio::join!(tokio::time::timeout(REVERSE_TIME, reverse(net, address)), scan(scanner, &subjects, &lists, LISTS_TIME));
    let found = reverse.unwrap_or_else(|_| Reverse::untold("The name servers of its network did not answer in time."));
    let took = started.elapsed();
    let complete = found.told && report.as_ref().is_some_and(|report| !is_late(took, &report.entries));
    let blacklists = report.unwrap_or_else(|| BlacklistReport::empty(address.to_string()));
    AddressLookup {
        address: address.to_string(),
        names: found.names,
        reverse: found.word,
        reverse_reason: found.reason,
        guides: guides(&blacklists),
        blacklists,
        complete,
        checked_at: Utc::now(),
        took_ms: millis(took),
    }
}

struct Reverse {
    names: Vec<ReverseName>,
    word: CheckSummary,
    reason: String,
    /// Everything that was asked answered.
    told: bool,
}

impl Reverse {
    fn of(names: Vec<ReverseName>, status: Status, word: &str, reason: String) -> Self {
        let told = names.iter().all(|name| name.leads_back.is_some());
        Self { names, word: CheckSummary { status, word: word.to_owned() }, reason, told }
    }

    fn untold(reason: &str) -> Self {
        Self { told: false, ..Self::of(Vec::new(), Status::None, "No answer", reason.to_owned()) }
    }
}

async fn reverse(net: &Net, address: IpAddr) -> Reverse {
    let names = match net.dns().ptr(address).await {
        Lookup::Found(names) => names,
        Lookup::Missing(_) => {
            let reason = format!("{address} has no reverse name. Many receivers refuse mail from such an address.");
            return Reverse::of(Vec::new(), Status::Warn, "Missing", reason);
        }
        Lookup::Failed(failure) => return Reverse::untold(&format!("The reverse name could not be told: {failure}.")),
    };
    let looks = names.into_iter().take(MOST_NAMES).map(|name| async move {
        let leads_back = match net.dns().addresses(&name).await {
            Lookup::Found(addresses) => Some(addresses.iter().any(|found| found.to_canonical() == address)),
            Lookup::Missing(_) => Some(false),
            Lookup::Failed(_) => None,
        };
        ReverseName { name, leads_back }
    });
    judged(address, join_all(looks).await)
}

/// One name that leads back is enough; without one, a name that could not be resolved may be it.
fn judged(address: IpAddr, names: Vec<ReverseName>) -> Reverse {
    let first = |wanted: Option<bool>| names.iter().find(|name| name.leads_back == wanted).map(|name| name.name.clone());
    let (back, open) = (first(Some(true)), first(None));
    match (back, open) {
        (Some(name), _) => Reverse::of(names, Status::Ok, "Match", format!("The reverse name {name} leads back to {address}.")),
        (None, Some(name)) => {
            Reverse::of(names, Status::None, "No answer", format!("Whether the reverse name {name} leads back to {address} could not be told."))
        }
        (None, None) => {
            let name = first(Some(false)).unwrap_or_default();
            let reason = format!("The reverse name {name} does not lead back to {address}. Receivers do not believe such a name.");
            Reverse::of(names, Status::Warn, "Mismatch", reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_that_leads_back_is_enough_and_unknown_is_no_mismatch() {
        let name = |leads_back| ReverseName { name: "mail.example.com".to_owned(), leads_back };
        let address: IpAddr = "192.0.2.25".parse().unwrap();
        for (names, word, told) in [
            (vec![name(Some(false)), name(Some(true))], "Match", true),
            (vec![name(None), name(Some(true))], "Match", false),
            (vec![name(Some(false)), name(None)], "No answer", false),
            (vec![name(Some(false))], "Mismatch", true),
        ] {
            let found = judged(address, names);
            assert_eq!((found.word.word.as_str(), found.told), (word, told));
        }
    }
}
