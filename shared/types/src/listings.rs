//! Reading a block-list scan: its findings, verdict and counts, the same from a full report and from a compact one.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    Cidr,
    finding::{Finding, Severity},
    outcome::{BlacklistReport, ListEntry, ListState, ScannedList, Verdict, verdict_of_findings},
};

/// Reports about more subjects than this are worth compacting.
const MANY_SUBJECTS: u32 = 16;
/// Reasons kept per list of a compact report.
const REASONS: usize = 3;
/// Added to the reason of a listing that could not be looked at again.
const AS_LAST_SEEN: &str = "as last seen; now: ";

/// How many entries a scan has of each state; praise and scores count as clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListCounts {
    /// On a list, and that is a problem.
    pub listed: u32,
    /// Proven clean, or on a list where that is no problem.
    pub clean: u32,
    /// Could not be told.
    pub unknown: u32,
}

impl BlacklistReport {
    /// A report about nothing yet.
    pub fn empty(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// Listings as findings; reputation and allow lists never make one.
    pub fn findings(&self) -> Vec<Finding> {
        self.listings().map(|(_, finding)| finding).collect()
    }

    /// Listings that are a problem, each with what is to say of it.
    pub fn listings(&self) -> impl Iterator<Item = (&ListEntry, Finding)> {
        let listed = self.entries.iter().filter(|entry| entry.state == ListState::Listed);
        listed.map(|entry| (entry, self.row(&entry.zone))).filter(|(_, row)| accuses(*row)).map(|(entry, row)| (entry, finding(entry, row)))
    }

    /// Unknown when no list could tell.
    pub fn verdict(&self) -> Verdict {
        let asked = !self.entries.is_empty() || self.lists.iter().any(|row| row.asked > 0);
        let told = self.entries.iter().any(|entry| entry.state != ListState::Unknown) || self.lists.iter().any(|row| row.listed + row.clean > 0);
        if asked && !told { Verdict::Unknown } else { verdict_of_findings(&self.findings()) }
    }

    /// How many entries are listed, clean and unknown, over all subjects and lists.
    pub fn counts(&self) -> ListCounts {
        let mut counts = ListCounts::default();
        if self.lists.is_empty() {
            for entry in &self.entries {
                *match entry.state {
                    ListState::Listed => &mut counts.listed,
                    ListState::Clean => &mut counts.clean,
                    ListState::Unknown => &mut counts.unknown,
                } += 1;
            }
        }
        for row in &self.lists {
            let listed = if row.list_type.accuses() { row.listed } else { 0 };
            counts.listed += listed;
            counts.clean += row.clean + (row.listed - listed);
            counts.unknown += row.unknown;
        }
        counts
    }

    /// How many lists could tell about some subject, and how many about none.
    pub fn lists_told(&self) -> (usize, usize) {
        let mut told: BTreeMap<&str, bool> = self.lists.iter().map(|row| (row.zone.as_str(), row.listed + row.clean > 0)).collect();
        for entry in &self.entries {
            *told.entry(entry.zone.as_str()).or_default() |= entry.state != ListState::Unknown;
        }
        let count = told.values().filter(|told| **told).count();
        (count, told.len() - count)
    }

    /// The state of a subject on the list of a zone; unknown when it was not asked.
    pub fn state_of(&self, subject: &str, zone: &str) -> ListState {
        if let Some(entry) = self.entries.iter().find(|entry| entry.subject == subject && entry.zone == zone) {
            return entry.state;
        }
        // What a compact report leaves out: only of lists that took every subject.
        match self.row(zone) {
            Some(row)
                if row.asked == self.subjects && row.clean > 0 && self.is_about(subject) && !row.untold.iter().any(|run| within(subject, run)) =>
            {
                ListState::Clean
            }
            _ => ListState::Unknown,
        }
    }

    /// Whether this scan asked the list of a zone about a subject.
    pub fn asks(&self, subject: &str, zone: &str) -> bool {
        self.entries.iter().any(|entry| entry.subject == subject && entry.zone == zone) || (self.row(zone).is_some() && self.is_about(subject))
    }

    /// The same without what `lists` tells already: clean entries are dropped and unknown ones folded. A report about few subjects stays as it is.
    #[must_use]
    pub fn compact(mut self) -> Self {
        if self.subjects <= MANY_SUBJECTS {
            return self;
        }
        let (subjects, target_tells) = (self.subjects, self.target.parse::<Cidr>().is_ok());
        for row in self.lists.iter_mut().filter(|row| target_tells && row.asked == subjects) {
            let silent: Vec<&ListEntry> = self.entries.iter().filter(|entry| entry.zone == row.zone && entry.state == ListState::Unknown).collect();
            if !silent.is_empty() {
                row.reason = reasons(silent.iter().map(|entry| entry.reason.as_str()));
                row.untold = if row.clean + row.listed == 0 { Vec::new() } else { runs(silent.iter().map(|entry| entry.subject.as_str())) };
            }
            self.entries.retain(|entry| entry.zone != row.zone || entry.state == ListState::Listed);
        }
        self
    }

    /// Keeps what `before` saw listed where it can not be told now and `believed` still: a list that does not answer takes nobody off. `asked`
    /// is the zone that is asked now for what one of before was asked for. True when something was kept.
    pub fn keep_listings_of(&mut self, before: &Self, asked: impl Fn(&Self, &str) -> String, believed: impl Fn(&ListEntry) -> bool) -> bool {
        let mut kept = false;
        for known in before.entries.iter().filter(|entry| entry.state == ListState::Listed && believed(entry)) {
            let listed = &ListEntry { zone: asked(self, &known.zone), ..known.clone() };
            let (at, row) = (
                self.entries.iter().position(|entry| entry.subject == listed.subject && entry.zone == listed.zone),
                self.lists.iter_mut().find(|row| row.zone == listed.zone),
            );
            let reason = match (at.map(|at| &self.entries[at]), &row) {
                (Some(entry), _) if entry.state == ListState::Unknown => entry.reason.clone(),
                (None, Some(row)) if row.unknown > 0 => row.reason.clone(),
                _ => continue,
            };
            // Not in the entries: a compact report, which may have dropped it as clean, or a subject that is no longer looked for.
            if at.is_none() && (!self.is_about(&listed.subject) || self.state_of(&listed.subject, &listed.zone) != ListState::Unknown) {
                continue;
            }
            let entry = ListEntry { reason: format!("{AS_LAST_SEEN}{reason}"), ..listed.clone() };
            match at {
                Some(at) => self.entries[at] = entry,
                None => self.entries.push(entry),
            }
            if let Some(row) = self.lists.iter_mut().find(|row| row.zone == listed.zone) {
                (row.unknown, row.listed) = (row.unknown.saturating_sub(1), row.listed + 1);
                if let Some(told) = before.row(&known.zone) {
                    (row.delisting, row.effect) = (told.delisting.clone(), told.effect.clone());
                }
            }
            kept = true;
        }
        kept
    }

    fn row(&self, zone: &str) -> Option<&ScannedList> {
        self.lists.iter().find(|row| row.zone == zone)
    }

    fn is_about(&self, subject: &str) -> bool {
        match (self.target.parse::<Cidr>(), subject.parse::<IpAddr>()) {
            (Ok(network), Ok(address)) => network.net().contains(&address),
            _ => self.target == subject,
        }
    }
}

fn accuses(row: Option<&ScannedList>) -> bool {
    row.is_none_or(|row| row.list_type.accuses())
}

fn finding(entry: &ListEntry, row: Option<&ScannedList>) -> Finding {
    let said = |text: fn(&ScannedList) -> &str| row.map(text).filter(|text| !text.is_empty());
    let fix = match (said(|row| &row.delisting), &entry.delist_url) {
        (Some(how), Some(url)) => format!("Stop the cause first. {} Removal: {url}", full_stop(how)),
        (Some(how), None) => format!("Stop the cause first. {}", full_stop(how)),
        (None, Some(url)) => format!("Stop the cause first, then ask for removal at {url}."),
        (None, None) => "Stop the cause first; the entry expires by itself.".to_owned(),
    };
    let meaning = capital(&entry.meaning);
    let why = match said(|row| &row.effect) {
        Some(effect) => format!("{} {effect}", full_stop(&meaning)),
        None => meaning,
    };
    Finding {
        rule: if entry.severity == Severity::Critical { "blocklist.critical" } else { "blocklist.other" }.to_owned(),
        severity: entry.severity,
        subject: entry.subject.clone(),
        summary: format!("{} is listed on {}", entry.subject, entry.list),
        why,
        fix,
        record: None,
        reference: "RFC 5782".to_owned(),
    }
}

/// A sentence begins with a capital.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn full_stop(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// The most frequent reasons, each once.
pub fn reasons<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in all.filter(|reason| !reason.is_empty()) {
        *count.entry(reason).or_default() += 1;
    }
    let mut sorted: Vec<(&str, usize)> = count.into_iter().collect();
    sorted.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    sorted.iter().take(REASONS).map(|(reason, _)| *reason).collect::<Vec<_>>().join(" / ")
}

/// Neighbouring addresses as `first-last`, anything else by itself.
fn runs<'a>(subjects: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for subject in subjects {
        match subject.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => texts.push(subject.to_owned()),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    for run in addresses.chunk_by(|a, b| follows(*a, *b)) {
        match run {
            [one] => texts.push(one.to_string()),
            [first, .., last] => texts.push(format!("{first}-{last}")),
            [] => {}
        }
    }
    texts
}

fn follows(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u32::from(a).checked_add(1) == Some(b.into()),
        (IpAddr::V6(a), IpAddr::V6(b)) => u128::from(a).checked_add(1) == Some(b.into()),
        _ => false,
    }
}

fn within(subject: &str, run: &str) -> bool {
    let ends = run.split_once('-').and_then(|(first, last)| Some((first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?)));
    match (ends, subject.parse::<IpAddr>()) {
        (Some((first, last)), Ok(address)) => first.is_ipv4() == address.is_ipv4() && (first..=last).contains(&address),
        _ => run == subject,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lists::ListType;

    /// A list and the states of the first addresses of the network on it.
    type Row<'a> = (ListType, Severity, &'a [(ListState, &'a str)]);

    /// A full report about 198.51.100.0/24, one list per row.
    fn report(rows: &[Row<'_>]) -> BlacklistReport {
        let mut report = BlacklistReport::empty("198.51.100.0/24");
        report.subjects = u32::try_from(rows[0].2.len()).unwrap();
        for (at, (list_type, severity, states)) in rows.iter().enumerate() {
            let count = |wanted| u32::try_from(states.iter().filter(|(state, _)| *state == wanted).count()).unwrap();
            let zone = format!("bl{at}.example");
            report.lists.push(ScannedList {
                list: format!("List {at}"),
                zone: zone.clone(),
                id: format!("bl{at}"),
                list_type: *list_type,
                severity: *severity,
                asked: report.subjects,
                listed: count(ListState::Listed),
                clean: count(ListState::Clean),
                unknown: count(ListState::Unknown),
                reason: reasons(states.iter().map(|(_, reason)| *reason)),
                untold: Vec::new(),
                delisting: "Ask the operator".to_owned(),
                effect: "Mail is refused.".to_owned(),
            });
            report.entries.extend(states.iter().enumerate().map(|(n, (state, reason))| ListEntry {
                subject: format!("198.51.100.{n}"),
                list: format!("List {at}"),
                zone: zone.clone(),
                state: *state,
                codes: Vec::new(),
                meaning: "spam source".to_owned(),
                reason: (*reason).to_owned(),
                severity: *severity,
                delist_url: Some("https://example.com/out".to_owned()),
            }));
        }
        report
    }

    fn same(full: &BlacklistReport, compact: &BlacklistReport) {
        assert_eq!(full.verdict(), compact.verdict());
        assert_eq!(full.findings(), compact.findings());
        assert_eq!(full.counts(), compact.counts());
        assert_eq!(full.lists_told(), compact.lists_told());
        for entry in &full.entries {
            assert_eq!(compact.state_of(&entry.subject, &entry.zone), entry.state, "{} {}", entry.subject, entry.zone);
            assert_eq!(full.state_of(&entry.subject, &entry.zone), entry.state);
        }
    }

    #[test]
    fn a_network_on_many_lists_becomes_small_and_says_the_same() {
        use ListState::{Clean, Listed, Unknown};
        let clean = [(Clean, ""); 256];
        let silent = [(Unknown, "the resolver refused the query; a resolver of your own helps"); 256];
        let mut late = clean;
        for state in &mut late[200..] {
            *state = (Unknown, "no answer before the scan's deadline");
        }
        let mut listed = clean;
        listed[25] = (Listed, "see the page");
        let block = |states| (ListType::Block, Severity::Critical, states);
        let mut rows = vec![block(&listed[..]), block(&silent[..]), block(&late[..])];
        rows.extend([block(&clean[..]); 40]);
        let full = report(&rows);
        let compact = full.clone().compact();
        same(&full, &compact);
        assert_eq!(compact.entries.len(), 1);
        assert_eq!(compact.lists_told(), (42, 1));
        assert_eq!(compact.lists[2].untold, ["198.51.100.200-198.51.100.255"]);
        let size = serde_json::to_string(&compact).unwrap().len();
        assert!(size < 12_000 && serde_json::to_string(&full).unwrap().len() > 1_000_000, "{size}");
        assert_eq!(compact.state_of("203.0.113.1", "bl3.example"), Unknown, "not of this network");
        assert_eq!(compact.state_of("198.51.100.1", "other.example"), Unknown, "not asked");
        assert_eq!(compact.clone().compact(), compact);
        let few = report(&[block(&listed[..16])]);
        assert_eq!(few.clone().compact(), few);
        let nothing = report(&[block(&silent[..])]);
        assert_eq!(nothing.clone().compact().verdict(), Verdict::Unknown);
        same(&nothing, &nothing.clone().compact());
    }

    #[test]
    fn findings_say_how_to_get_off_and_praise_is_none() {
        let one = [(ListState::Listed, "")];
        let rows =
            [(ListType::Block, Severity::Critical, &one[..]), (ListType::Policy, Severity::Low, &one), (ListType::Allow, Severity::Info, &one)];
        let report = report(&rows);
        let findings = report.findings();
        assert_eq!(findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["blocklist.critical", "blocklist.other"]);
        assert_eq!(findings[0].fix, "Stop the cause first. Ask the operator. Removal: https://example.com/out");
        assert_eq!(findings[0].why, "Spam source. Mail is refused.");
        assert_eq!(report.counts(), ListCounts { listed: 2, clean: 1, unknown: 0 });
        assert_eq!(report.verdict(), Verdict::Down);
        // From before reports had lists.
        let old: BlacklistReport = serde_json::from_value(serde_json::json!({ "target": "198.51.100.0", "entries": report.entries })).unwrap();
        assert_eq!(old.findings().len(), 3);
        assert_eq!((old.verdict(), old.counts().listed), (Verdict::Down, 3));
    }

    #[test]
    fn a_list_that_does_not_answer_takes_nobody_off_a_compact_report_either() {
        use ListState::{Clean, Listed, Unknown};
        let (mut before, mut partly) = ([(Clean, ""); 32], [(Clean, ""); 32]);
        before[7] = (Listed, "");
        before[8] = (Listed, "");
        partly[7] = (Unknown, "late");
        let rows = |states| report(&[(ListType::Block, Severity::High, states)]);
        let before = rows(&before).compact();
        for now in [rows(&partly), rows(&partly).compact()] {
            let mut now = now;
            assert!(now.keep_listings_of(&before, same_zone, |_| true));
            assert_eq!((now.state_of("198.51.100.7", "bl0.example"), now.state_of("198.51.100.8", "bl0.example")), (Listed, Clean));
            assert_eq!(now.counts(), ListCounts { listed: 1, clean: 31, unknown: 0 });
            let kept = now.entries.iter().find(|entry| entry.state == Listed).unwrap();
            assert_eq!(kept.reason, "as last seen; now: late");
            assert!(!now.clone().keep_listings_of(&before, same_zone, |_| true), "kept once");
        }
        let mut clean = rows(&[(Clean, ""); 32]).compact();
        assert!(!clean.keep_listings_of(&before, same_zone, |_| true) && clean.verdict() == Verdict::Up);
        let mut silent = rows(&[(Unknown, "refused"); 32]).compact();
        assert!(silent.keep_listings_of(&before, same_zone, |_| true) && silent.verdict() == Verdict::Down && silent.findings().len() == 2);
        let mut elsewhere = BlacklistReport { lists: silent.lists.clone(), ..BlacklistReport::empty("203.0.113.0/24") };
        assert!(!elsewhere.keep_listings_of(&before, same_zone, |_| true), "no longer looked for");
    }

    fn same_zone(_: &BlacklistReport, zone: &str) -> String {
        zone.to_owned()
    }

    fn states() -> impl Strategy<Value = Vec<(ListState, &'static str)>> {
        let state = prop_oneof![
            8 => Just((ListState::Clean, "")),
            1 => Just((ListState::Listed, "text")),
            2 => Just((ListState::Unknown, "late")),
            1 => Just((ListState::Unknown, "refused")),
        ];
        prop::collection::vec(state, 40)
    }

    proptest! {
        #[test]
        fn full_and_compact_always_say_the_same(rows in prop::collection::vec(states(), 1..5), severity in 0..5_usize) {
            let severity = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical][severity];
            let rows: Vec<_> = rows.iter().map(|states| (ListType::Block, severity, &states[..])).collect();
            let full = report(&rows);
            let compact = full.clone().compact();
            same(&full, &compact);
            let read: BlacklistReport = serde_json::from_str(&serde_json::to_string(&compact).unwrap()).unwrap();
            prop_assert_eq!(read, compact);
        }
    }
}
