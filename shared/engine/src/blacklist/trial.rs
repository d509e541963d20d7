//! A private list is tried when it is saved: what it says to the test points of RFC 5782 5, and whether it can work at all.

use std::{net::Ipv4Addr, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use waypost_types::{
    list_settings::{ListTrial, TrialResult},
    lists::{CustomList, ListKind},
    outcome::ListState,
};

use super::{
    Scanner,
    asker::Answer,
    catalog::{self, Zone},
    decode::decode,
    plan::standard_names,
};
use crate::net::DnsFailure;

impl Scanner {
    /// Asks a private list for its test points, of each kind that it takes. What does not answer within `limit` is not known to be wrong: the
    /// list may be meant for the worker's network alone.
    pub async fn try_private(&self, list: &CustomList, limit: Duration) -> Vec<ListTrial> {
        let (zone, deadline) = (catalog::private(list), Instant::now() + limit);
        join_all(list.kinds.iter().map(|kind| self.try_kind(&zone, *kind, deadline))).await
    }

    async fn try_kind(&self, zone: &Zone, kind: ListKind, deadline: Instant) -> ListTrial {
        let (listed, clean) = standard_names(zone, kind);
        let ask = async |name: &String| self.asker().ask_ahead(zone, name, deadline).await;
        let (on_clean, on_listed) = tokio::join!(ask(&clean), ask(&listed));
        let (result, said) = judge(zone, (clean.as_str(), &on_clean), (listed.as_str(), &on_listed));
        ListTrial { zone: zone.zone.clone(), kind, result, said }
    }
}

/// The name that no list has and the one that every list has, each with its answer.
fn judge(zone: &Zone, (clean, on_clean): (&str, &Answer), (listed, on_listed): (&str, &Answer)) -> (TrialResult, String) {
    let refuses = |answer: &Answer| matches!(answer, Answer::Failed(reason) if reason.starts_with(&DnsFailure::Refused.to_string()));
    if let Answer::Addresses(addresses, _) = on_clean {
        let decoded = decode(zone, addresses);
        let said = if decoded.state == ListState::Unknown {
            format!("It answers {clean}, which no list has, with {}, which is no listing: {}.", shown(addresses), decoded.reason)
        } else {
            format!(
                "It answers {clean}, which no list has, with {}: it lists everything, or the resolver invents answers. Every address would be called \
                 listed.",
                shown(addresses)
            )
        };
        return (TrialResult::Refused, said);
    }
    if refuses(on_clean) || refuses(on_listed) {
        let said = "It refuses to be asked. Let the resolver of this installation in (its address, or its key), then save again.";
        return (TrialResult::Refused, said.to_owned());
    }
    match (on_clean, on_listed) {
        (Answer::Failed(reason) | Answer::NoTime(reason), _) | (_, Answer::Failed(reason) | Answer::NoTime(reason)) => {
            (TrialResult::Untold, format!("It could not be tried from here: {reason}."))
        }
        (_, Answer::Addresses(addresses, _)) => {
            let (shown, decoded) = (shown(addresses), decode(zone, addresses));
            if decoded.state == ListState::Unknown {
                let said = format!("It answers its test point {listed} with {shown}, which is no listing: {}.", decoded.reason);
                return (TrialResult::Refused, said);
            }
            (TrialResult::Works, format!("It lists its test point {listed} ({shown}) and not {clean}."))
        }
        (_, Answer::Absent | Answer::Empty) => {
            let said = format!(
                "It does not list its test point {listed}: what it lists is believed, and its silence is unknown, never clean. Check the zone's name."
            );
            (TrialResult::Silent, said)
        }
    }
}

fn shown(addresses: &[Ipv4Addr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
