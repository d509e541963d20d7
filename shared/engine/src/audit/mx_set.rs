//! The MX hosts as a set: how many, who runs them, and whether they are more than one (RFC 5321 5).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use waypost_types::outcome::MxHost;

use super::{Part, rules::remark};

/// Hosts that a sentence names.
const NAMED: usize = 4;

/// What the records show before any host is looked up.
pub(super) fn records(name: &str, records: &[(u16, String)], most: usize, part: &mut Part) {
    let mut preferences: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (preference, host) in records {
        preferences.entry(host).or_default().push(preference.to_string());
    }
    if preferences.len() > most {
        let seen = format!("{name} has {} MX hosts; only the {most} most preferred were looked at", preferences.len());
        part.find(remark("mx.too_many", name, seen));
    }
    for (host, several) in preferences.iter().filter(|(_, several)| several.len() > 1).take(NAMED) {
        let seen = format!("The MX host {host} stands in {} records, with the preferences {}", several.len(), several.join(", "));
        part.find(remark("mx.repeated", host, seen));
    }
}

/// What the hosts show together.
pub(super) fn hosts(name: &str, hosts: &[MxHost], part: &mut Part) {
    let own: Vec<&MxHost> = hosts.iter().filter(|host| host.provider.is_none()).collect();
    let addresses: BTreeSet<IpAddr> = hosts.iter().flat_map(|host| host.addresses.iter().copied()).collect();
    if hosts.len() == 1 && own.len() == 1 {
        part.find(remark("mx.single", name, "Only one MX host takes the domain's mail"));
    } else if hosts.len() > 1 && addresses.len() == 1 && !own.is_empty() && hosts.iter().all(|host| !host.addresses.is_empty()) {
        part.find(remark("mx.duplicate_target", name, "All MX hosts share one address"));
    }
    if hosts.iter().any(|host| host.host == name) {
        part.find(remark("mx.own_name", name, format!("An MX record names {name} itself, so that mail and all else at this name share one address")));
    }
    mixed(name, hosts, part);
}

/// Mail that passes by the host that should filter it.
fn mixed(name: &str, hosts: &[MxHost], part: &mut Part) {
    let Some(best) = hosts.iter().map(|host| host.preference).min() else { return };
    let Some(first) = hosts.iter().filter(|host| host.preference == best).find_map(|host| host.provider.as_deref()) else { return };
    let others: Vec<&MxHost> = hosts.iter().filter(|host| host.provider.as_deref().is_none_or(|provider| !same_house(provider, first))).collect();
    if others.is_empty() {
        return;
    }
    let named: Vec<String> = others
        .iter()
        .take(NAMED)
        .map(|host| host.provider.as_ref().map_or_else(|| host.host.clone(), |provider| format!("{} ({provider})", host.host)))
        .collect();
    let beside = if others.iter().any(|host| host.preference == best) { "beside" } else { "behind" };
    let seen = format!("{first} takes the mail of {name} first, and {beside} it stands {}", named.join(", "));
    part.find(remark("mx.mixed_providers", name, seen).with("provider", first));
}

/// Products of one company: their hosts stand beside each other on purpose.
fn same_house(one: &str, other: &str) -> bool {
    let house = |name: &str| {
        let first = name.split([' ', '.', ',']).next().unwrap_or_default().to_ascii_lowercase();
        match first.as_str() {
            "gmail" => "google".to_owned(),
            "outlook" => "microsoft".to_owned(),
            _ => first,
        }
    };
    house(one) == house(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_one_company_belong_together() {
        assert!(same_house("Gmail", "Google Workspace") && same_house("Outlook.com, Hotmail, Live, MSN", "Microsoft 365 / Exchange Online"));
        assert!(same_house("Proofpoint (enterprise)", "Proofpoint Essentials") && !same_house("Mimecast", "Google Workspace"));
    }
}
