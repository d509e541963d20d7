//! A private list is tried when it is saved: what it says to the test points of RFC 5782 5, and whether it can work at all.

use std::time::Duration;

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
    plan::test_points,
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
        let points = test_points(zone, kind, None, rand::random());
        let ask = async |name: &String| self.asker().ask_ahead(zone, name, deadline).await;
        let listed = async {
            match &points.standard {
                Some(point) => Some((point, ask(point).await)),
                None => None,
            }
        };
        let (clean, listed) = tokio::join!(ask(&points.clean), listed);
        let (result, said) = judge(zone, (&points.clean, &clean), listed.as_ref().map(|(point, answer)| (*point, answer)));
        ListTrial { zone: zone.zone.clone(), kind, result, said }
    }
}

fn judge(zone: &Zone, clean: (&String, &Answer), listed: Option<(&String, &Answer)>) -> (TrialResult, String) {
    let refuses = |answer: &Answer| matches!(answer, Answer::Failed(reason) if reason.starts_with(&DnsFailure::Refused.to_string()));
    let locked_out = || {
        let said = "It refuses to be asked. Let the resolver of this installation in (its address, or its key), then save again.";
        (TrialResult::Refused, said.to_owned())
    };
    let (name, answer) = clean;
    if let Answer::Addresses(addresses, _) = answer {
        let shown = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let said = format!(
            "It answers {name}, which no list has, with {shown}: it lists everything, or the resolver invents answers. Every address would be called listed."
        );
        return (TrialResult::Refused, said);
    }
    if refuses(answer) || listed.is_some_and(|(_, answer)| refuses(answer)) {
        return locked_out();
    }
    match (answer, listed) {
        (Answer::Failed(reason) | Answer::NoTime(reason), _) | (_, Some((_, Answer::Failed(reason) | Answer::NoTime(reason)))) => {
            (TrialResult::Untold, format!("It could not be tried from here: {reason}."))
        }
        (_, Some((point, Answer::Addresses(addresses, _)))) => {
            let shown = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let decoded = decode(zone, addresses);
            if decoded.state == ListState::Unknown {
                let said = format!("It answers its test point {point} with {shown}, which is no listing: {}.", decoded.reason);
                return (TrialResult::Refused, said);
            }
            (TrialResult::Works, format!("It lists its test point {point} ({shown}) and not {name}."))
        }
        (_, Some((point, Answer::Absent | Answer::Empty))) => {
            let said = format!(
                "It does not list its test point {point}: what it lists is believed, and its silence is unknown, never clean. Check the zone's name."
            );
            (TrialResult::Silent, said)
        }
        (_, None) => (TrialResult::Silent, "There is no test point for what it takes: its silence is unknown, never clean.".to_owned()),
    }
}
