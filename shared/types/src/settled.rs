//! A scan brought up to date: what other scans of the organisation saw of its addresses since. An address and the network that holds it are
//! scanned at different times, and must not be shown to disagree.

use chrono::{DateTime, Utc};

use crate::{
    list_history::{Listing, ListingEnd},
    outcome::{BlacklistReport, ListEntry, ListState},
};

impl BlacklistReport {
    /// Takes in `stays`, where they tell of something after this scan, which was at `at`: what was seen listed since is listed, and what was seen
    /// to be gone is clean.
    pub fn settle(&mut self, stays: &[Listing], at: DateTime<Utc>) {
        for stay in stays {
            // A list that is asked with a key has another zone and the same name.
            let same = |list: &str, zone: &str| zone == stay.zone || list == stay.list;
            let Some(row) = self.lists.iter().position(|row| same(&row.list, &row.zone)) else { continue };
            let zone = self.lists[row].zone.clone();
            let known = self.state_of(&stay.subject, &zone);
            let entry = self.entries.iter().position(|entry| entry.subject == stay.subject && entry.zone == zone);
            match (stay.ended_at, known) {
                (None, ListState::Clean | ListState::Unknown) if stay.seen_at > at && self.asks(&stay.subject, &zone) => {
                    let listed = ListEntry {
                        subject: stay.subject.clone(),
                        list: self.lists[row].list.clone(),
                        zone,
                        state: ListState::Listed,
                        codes: stay.codes.clone(),
                        meaning: stay.meaning.clone(),
                        reason: stay.reason.clone(),
                        severity: stay.severity,
                        delist_url: entry.and_then(|entry| self.entries[entry].delist_url.clone()),
                    };
                    match entry {
                        Some(entry) => self.entries[entry] = listed,
                        None => self.entries.push(listed),
                    }
                    let row = &mut self.lists[row];
                    let was = if known == ListState::Clean { &mut row.clean } else { &mut row.unknown };
                    *was = was.saturating_sub(1);
                    row.listed += 1;
                }
                (Some(ended), ListState::Listed) if stay.ending == ListingEnd::Gone && ended > at => {
                    let Some(entry) = entry else { continue };
                    let entry = &mut self.entries[entry];
                    entry.state = ListState::Clean;
                    (entry.codes, entry.meaning, entry.reason) = (Vec::new(), String::new(), String::new());
                    let row = &mut self.lists[row];
                    (row.listed, row.clean) = (row.listed.saturating_sub(1), row.clean + 1);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Severity, lists::ListType, outcome::ScannedList};

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    fn row(zone: &str, listed: u32, clean: u32) -> ScannedList {
        ScannedList {
            list: zone.to_uppercase(),
            zone: zone.to_owned(),
            id: zone.to_owned(),
            list_type: ListType::Block,
            severity: Severity::High,
            asked: listed + clean,
            listed,
            clean,
            unknown: 0,
            reason: String::new(),
            untold: Vec::new(),
            delisting: String::new(),
            effect: String::new(),
        }
    }

    fn entry(subject: &str, zone: &str) -> ListEntry {
        ListEntry {
            subject: subject.to_owned(),
            list: zone.to_uppercase(),
            zone: zone.to_owned(),
            state: ListState::Listed,
            codes: vec!["127.0.0.2".to_owned()],
            meaning: "spam".to_owned(),
            reason: String::new(),
            severity: Severity::High,
            delist_url: None,
        }
    }

    fn stay(subject: &str, zone: &str, seen: i64, ended: Option<i64>) -> Listing {
        Listing {
            stood_before: false,
            id: uuid::Uuid::nil(),
            subject: subject.to_owned(),
            list: zone.to_uppercase(),
            zone: zone.to_owned(),
            severity: Severity::High,
            codes: vec!["127.0.0.4".to_owned()],
            meaning: "a proxy".to_owned(),
            reason: String::new(),
            began_at: at(0),
            seen_at: at(seen),
            ended_at: ended.map(at),
            ending: ListingEnd::Gone,
        }
    }

    #[test]
    fn a_scan_shows_what_another_saw_of_its_addresses_since() {
        let scan = || BlacklistReport {
            entries: vec![entry("192.0.2.7", "a.example")],
            lists: vec![row("a.example", 1, 255), row("b.example", 0, 256)],
            subjects: 256,
            ..BlacklistReport::empty("192.0.2.0/24")
        };
        let told = |stays: &[Listing]| {
            let mut scan = scan();
            scan.settle(stays, at(60));
            let state = |subject: &str, zone: &str| scan.state_of(subject, zone) == ListState::Listed;
            (state("192.0.2.7", "a.example"), state("192.0.2.9", "b.example"), scan.counts().listed, scan.counts().clean)
        };
        assert_eq!(told(&[]), (true, false, 1, 511));
        assert_eq!(told(&[stay("192.0.2.9", "b.example", 61, None)]), (true, true, 2, 510), "seen since");
        assert_eq!(told(&[stay("192.0.2.9", "b.example", 59, None)]), (true, false, 1, 511), "this scan is the newer word");
        assert_eq!(told(&[stay("192.0.2.7", "a.example", 1, Some(61))]), (false, false, 0, 512), "gone since");
        assert_eq!(told(&[stay("192.0.2.7", "a.example", 1, Some(59))]), (true, false, 1, 511), "listed again");
        assert_eq!(told(&[stay("198.51.100.9", "b.example", 61, None), stay("192.0.2.9", "c.example", 61, None)]), (true, false, 1, 511));
        let untold = Listing { ending: ListingEnd::Untold, ..stay("192.0.2.7", "a.example", 1, Some(61)) };
        assert_eq!(told(&[untold]), (true, false, 1, 511), "silence takes nobody off");
    }
}
