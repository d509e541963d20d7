//! A host that stands in a watched network: the network's scan tells of its neighbours, too, and they are not the domain's.

use std::net::IpAddr;

use futures::future::join_all;
use waypost_types::{
    asset::Address,
    finding::Severity,
    judge::MonitorState,
    outcome::{AuditReport, BlacklistReport},
};

use crate::{
    ssr::{Visit, org_path},
    text,
};

/// Networks whose scans are loaded for one page.
const MOST_NETWORKS: usize = 4;

/// Takes from networks that list something what is not about the domain's hosts. Where the scan can not be loaded the network counts as a whole.
pub(super) async fn left_out(visit: &Visit, org: &str, audit: Option<&AuditReport>, addresses: &mut [Address]) {
    let hosts: Vec<IpAddr> = audit.into_iter().flat_map(|audit| &audit.mx_hosts).flat_map(|host| host.addresses.iter().copied()).collect();
    let is_network = |address: &Address| address.cidr.net().prefix_len() < address.cidr.net().max_prefix_len();
    let matters = |address: &&mut Address| address.listed > 0 && is_network(address) && hosts.iter().any(|host| address.cidr.net().contains(host));
    let networks = addresses.iter_mut().filter(matters).take(MOST_NETWORKS);
    let loads = networks.map(|network| async {
        let path = org_path(org, &format!("addresses/{}", text::encoded(&network.id.to_string())));
        if let Some(report) = visit.api.get::<Address>(&path).await.ok().and_then(|full| full.report) {
            (network.listed, network.state) = of_hosts(&report, &hosts, network.state);
        }
    });
    join_all(loads).await;
}

/// The listings of these hosts in a scan, and the state that they make.
fn of_hosts(report: &BlacklistReport, hosts: &[IpAddr], state: MonitorState) -> (u32, MonitorState) {
    let own = report.listings().filter(|(entry, _)| entry.subject.parse().is_ok_and(|subject| hosts.contains(&subject)));
    let (listed, worst) = own.fold((0_u32, None), |(listed, worst), (entry, _)| (listed.saturating_add(1), worst.max(Some(entry.severity))));
    let state = match (worst, state) {
        (Some(Severity::Critical | Severity::High), _) => MonitorState::Down,
        (Some(_), _) => MonitorState::Degraded,
        (None, MonitorState::Down | MonitorState::Degraded) => MonitorState::Up,
        (None, state) => state,
    };
    (listed, state)
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::{ListEntry, ListState};

    use super::*;

    #[test]
    fn neighbours_listings_are_not_the_domains() {
        let entry = |subject: &str, severity| ListEntry {
            subject: subject.to_owned(),
            list: "l".to_owned(),
            zone: "z".to_owned(),
            state: ListState::Listed,
            codes: Vec::new(),
            meaning: String::new(),
            reason: String::new(),
            severity,
            delist_url: None,
        };
        let entries = vec![entry("192.0.2.7", Severity::Critical), entry("192.0.2.8", Severity::Medium), entry("192.0.2.8", Severity::Medium)];
        let report = BlacklistReport { entries, ..BlacklistReport::empty("192.0.2.0/24") };
        let of = |host: &str| of_hosts(&report, &[host.parse().unwrap()], MonitorState::Down);
        assert_eq!(of("192.0.2.7"), (1, MonitorState::Down));
        assert_eq!(of("192.0.2.8"), (2, MonitorState::Degraded));
        assert_eq!(of("192.0.2.9"), (0, MonitorState::Up));
        assert_eq!(of_hosts(&report, &[], MonitorState::Pending), (0, MonitorState::Pending));
    }
}
