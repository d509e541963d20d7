//! Name servers of one zone against each other: serials of the zone, and what they say of the domain's mail (RFC 1034 4.3.5, RFC 1996).

use std::collections::{BTreeMap, BTreeSet};

use waypost_types::Severity;

use super::{
    ns_ask::View,
    rules::{Remark, remark},
};

/// Characters of an answer that a sentence quotes.
const QUOTED: usize = 90;
/// Servers that a sentence names.
const NAMED: usize = 4;

/// Something that servers disagree in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disagreement {
    /// Servers that copy from one primary hold different versions of the zone.
    Serials { newest: u32, at: Vec<String>, behind: Vec<(String, u32)>, refresh: i32, answers: Vec<&'static str> },
    /// Servers answer differently, and no serial explains it.
    Answers { what: &'static str, said: Vec<(BTreeSet<String>, Vec<String>)>, apart: bool },
}

/// All that the servers disagree in. A zone that several operators keep apart has a primary and serials for each, which say nothing about
/// each other; their answers must agree all the same.
pub(super) fn disagreements(views: &[(String, View)]) -> Vec<Disagreement> {
    let mut found = Vec::new();
    let mut explained = Vec::new();
    for (what, said) in [("MX", groups(views, |view| view.mx.as_ref())), ("SPF", groups(views, |view| view.spf.as_ref()))] {
        if said.len() < 2 {
            continue;
        }
        let version = |server: &String| views.iter().find(|(name, _)| name == server).map(|(_, view)| (view.soa.primary.as_str(), view.soa.serial));
        let pairs = said.iter().enumerate().flat_map(|(at, (_, one))| {
            said[at + 1..].iter().flat_map(move |(_, other)| one.iter().flat_map(move |a| other.iter().map(move |b| (a, b))))
        });
        let pairs: Vec<_> = pairs.filter_map(|(a, b)| Some((version(a)?, version(b)?))).collect();
        let same_serial = pairs.iter().any(|(a, b)| a == b);
        let apart = pairs.iter().any(|(a, b)| a.0 != b.0);
        if same_serial || apart {
            found.push(Disagreement::Answers { what, said, apart: !same_serial });
        } else {
            explained.push(what);
        }
    }
    found.extend(serials(views, &explained));
    found
}

fn groups(views: &[(String, View)], of: impl Fn(&View) -> Option<&BTreeSet<String>>) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let mut groups: BTreeMap<&BTreeSet<String>, Vec<String>> = BTreeMap::new();
    for (server, view) in views {
        if let Some(said) = of(view) {
            groups.entry(said).or_default().push(server.clone());
        }
    }
    groups.into_iter().map(|(said, servers)| (said.clone(), servers)).collect()
}

fn serials(views: &[(String, View)], answers: &[&'static str]) -> Vec<Disagreement> {
    let mut primaries: BTreeMap<&str, Vec<&(String, View)>> = BTreeMap::new();
    for one in views {
        primaries.entry(one.1.soa.primary.as_str()).or_default().push(one);
    }
    let of_primary = |servers: Vec<&(String, View)>| {
        let newest = servers.iter().map(|(_, view)| view.soa.serial).reduce(|a, b| if newer(b, a) { b } else { a })?;
        let (at, behind): (Vec<_>, Vec<_>) = servers.into_iter().partition(|(_, view)| view.soa.serial == newest);
        let refresh = at.first()?.1.soa.refresh;
        (!behind.is_empty()).then(|| Disagreement::Serials {
            newest,
            at: at.into_iter().map(|(name, _)| name.clone()).collect(),
            behind: behind.into_iter().map(|(name, view)| (name.clone(), view.soa.serial)).collect(),
            refresh,
            answers: answers.to_vec(),
        })
    };
    primaries.into_values().filter_map(of_primary).collect()
}

/// RFC 1982 3.2: serials count round a circle.
fn newer(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

impl Disagreement {
    /// The finding about it.
    pub fn remark(&self, zone: &str, domain: &str) -> Remark {
        match self {
            Self::Serials { newest, at, behind, refresh, answers } => {
                let behind_words: Vec<String> = behind.iter().take(NAMED).map(|(name, serial)| format!("{name} {serial}")).collect();
                let also = if answers.is_empty() { String::new() } else { format!("; their answers for {} differ with it", answers.join(" and ")) };
                let seen = format!("The name servers hold different versions of {zone}: {} {newest}, {}{also}", names(at), behind_words.join(", "));
                let first = behind.first().map_or("the server", |(name, _)| name.as_str());
                let severity = if answers.is_empty() { Severity::Low } else { Severity::Medium };
                remark("soa.serial_mismatch", zone, seen).severity(severity).with("ns", first).with("refresh", refresh.to_string())
            }
            Self::Answers { what, said, apart } => {
                let words: Vec<String> =
                    said.iter().take(NAMED).map(|(records, servers)| format!("{}: {}", names(servers), quoted(records))).collect();
                let how = if *apart { "and are fed from different primaries" } else { "although the zone has one serial" };
                let seen = format!("The name servers give different {what} records for {domain}, {how}: {}", words.join("; "));
                let found = remark("ns.answers_differ", domain, seen).with("zone", zone);
                if *apart { found.severity(Severity::Medium) } else { found }
            }
        }
    }
}

fn names(servers: &[String]) -> String {
    let shown = servers.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if servers.len() > NAMED { format!("{shown} and {} more", servers.len() - NAMED) } else { shown }
}

fn quoted(records: &BTreeSet<String>) -> String {
    if records.is_empty() {
        return "none".to_owned();
    }
    let all = records.iter().cloned().collect::<Vec<_>>().join(", ");
    let short: String = all.chars().take(QUOTED).collect();
    if short.len() < all.len() { format!("“{short}…”") } else { format!("“{all}”") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::Soa;

    #[test]
    fn serials_go_round() {
        assert!(newer(5, 3) && !newer(3, 5) && !newer(5, 5));
        assert!(newer(2, u32::MAX - 1) && !newer(u32::MAX - 1, 2));
    }

    fn view(server: &str, serial: u32, spf: &str) -> (String, View) {
        let primary = "ns1.e.example".to_owned();
        let soa = Soa { primary, mailbox: String::new(), serial, refresh: 7200, retry: 900, expire: 1_209_600, minimum: 300 };
        let spf = Some([spf.to_owned()].into());
        (server.to_owned(), View { soa, servers: None, mx: None, spf, tcp: None })
    }

    /// A transfer that is on its way shows something else each time it is looked at.
    #[test]
    fn a_transfer_on_its_way_is_another_disagreement_at_the_second_look() {
        let look = |one: u32, other: u32| disagreements(&[view("ns1", one, "a"), view("ns2", other, "a")]);
        let before = look(7, 5);
        assert_eq!(before.len(), 1);
        assert_eq!(look(7, 5), before, "what lasts is the same");
        for (one, other) in [(7, 7), (7, 6), (8, 5), (8, 7), (5, 7)] {
            assert!(!look(one, other).contains(&before[0]), "{one} {other}");
        }
        // An answer that was not given is no other answer.
        let mut silent = view("ns2", 7, "b");
        silent.1.spf = None;
        assert_eq!(disagreements(&[view("ns1", 7, "a"), silent]), []);
        assert_eq!(disagreements(&[view("ns1", 7, "a"), view("ns2", 7, "b"), view("ns3", 7, "b")]).len(), 1);
    }

    proptest! {
        #[test]
        fn of_two_serials_at_most_one_is_newer(a: u32, b: u32) {
            prop_assert!(!(newer(a, b) && newer(b, a)));
        }
    }
}
