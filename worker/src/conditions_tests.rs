//! The judge of conditions as a table: each row is a story of looks, read from left to right.
//!
//! A look names what is seen, separated by commas; after `=` stands what must follow: `+name(elements)` opened, `^name(elements)` grew,
//! `v name(elements)` shrank, `!name` got worse or better, `-name` ended; `.` is nothing. `?part` could not be told, `/list` is not asked.

use chrono::{DateTime, TimeDelta};
use waypost_types::{
    audit::AuditDetail,
    finding::Severity,
    outcome::{AuditReport, BlacklistReport, ListEntry, ListState},
};

use super::*;

/// `spf.missing` is critical, `spf.no_all~` a warning; `7@zen` is address 7 on a critical list, `7@cop~` on one of medium severity.
fn element(word: &str) -> Element {
    let (name, severity) = word.strip_suffix('~').map_or((word, Severity::High), |name| (name, Severity::Medium));
    let outcome = if let Some((address, list)) = name.split_once('@') {
        let entry = ListEntry {
            subject: format!("192.0.2.{address}"),
            list: list.to_owned(),
            zone: list.to_owned(),
            state: ListState::Listed,
            codes: Vec::new(),
            meaning: "spam".to_owned(),
            reason: String::new(),
            severity,
            delist_url: None,
        };
        Outcome::Blacklist(Box::new(BlacklistReport { entries: vec![entry], ..BlacklistReport::empty("192.0.2.0/24") }))
    } else {
        let finding = Finding {
            rule: name.to_owned(),
            severity,
            subject: "e.example".to_owned(),
            summary: "It is so".to_owned(),
            why: String::new(),
            fix: String::new(),
            record: None,
            reference: String::new(),
        };
        Outcome::Audit(Box::new(AuditReport { findings: vec![finding], detail: AuditDetail::default(), ..AuditReport::empty("e.example") }))
    };
    elements(&outcome).remove(0)
}

fn short(id: &str) -> String {
    match id.split_once('|') {
        Some((address, list)) if address.starts_with("192.0.2.") => format!("{}@{list}", &address[8..]),
        Some((rule, _)) => rule.to_owned(),
        None => id.to_owned(),
    }
}

/// Plays a story and writes down what followed in the same notation.
fn play(fail_after: u32, recover_after: u32, story: &str) -> String {
    let policy = Policy { fail_after, recover_after, quorum: 0 };
    let mut state = Conditions::default();
    let mut told = Vec::new();
    for (number, look) in story.split_whitespace().map(|step| step.split_once('=').unwrap().0).enumerate() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(60 * i64::try_from(number).unwrap());
        let (off, words): (Vec<&str>, Vec<&str>) = look.split(',').filter(|word| *word != "0").partition(|word| word.starts_with('/'));
        let (untold, words): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.starts_with('?'));
        let seen: Vec<Element> = words.into_iter().map(element).collect();
        let untold: BTreeSet<String> = untold
            .iter()
            .map(|part| part[1..].split_once('@').map_or_else(|| part[1..].to_owned(), |(address, list)| format!("192.0.2.{address}|{list}")))
            .collect();
        let standing = |id: &str| match off.iter().find(|list| id.ends_with(&list[1..])) {
            Some(_) => Standing::NotAsked,
            None if untold.iter().any(|part| id.starts_with(part) || id.ends_with(&format!("|{part}"))) => Standing::Untold,
            None => Standing::Told,
        };
        let decision = decide(&state, Look { seen: &seen, untold: &untold, found: &[], standing: &standing, at }, policy);
        let all = |ids: &[String]| ids.iter().map(|id| short(id)).collect::<Vec<_>>().join(",");
        let words: Vec<String> = decision
            .changes
            .iter()
            .map(|(name, change)| {
                let name = name.replace("192.0.2.", "");
                match change {
                    Change::Opened { elements, .. } => format!("+{name}({})", all(elements)),
                    Change::Grew(elements) => format!("^{name}({})", all(elements)),
                    Change::Shrank(elements) => format!("v{name}({})", all(elements)),
                    Change::Severity { .. } => format!("!{name}"),
                    Change::LetGo(gone) => format!("~{name}({})", all(&gone.iter().map(|gone| gone.id.clone()).collect::<Vec<_>>())),
                    Change::Ended(_) => format!("-{name}"),
                }
            })
            .collect();
        told.push(format!("{look}={}", if words.is_empty() { ".".to_owned() } else { words.join(";") }));
        state = decision.state;
    }
    told.join(" ")
}

#[test]
fn stories_of_audits() {
    for story in [
        // Medium at the first look is the baseline; what is worse is confirmed and told.
        "spf.no_all~=. spf.no_all~=. spf.no_all~=.",
        "spf.missing=. spf.missing=+spf(spf.missing) spf.missing=. 0=-spf",
        // What comes later is told, once, and ends.
        "0=. spf.no_all~=. spf.no_all~=+spf(spf.no_all) 0=-spf spf.no_all~=. spf.no_all~=+spf(spf.no_all)",
        // The baseline that goes and comes back is news.
        "spf.no_all~=. 0=. spf.no_all~=. spf.no_all~=+spf(spf.no_all)",
        // One look is no proof.
        "0=. spf.missing=. 0=. spf.missing=. 0=.",
        // What is carried over since it can not be told is no confirmation of itself.
        "0=. spf.a=. spf.a,?spf=. spf.a,?spf=. spf.a=+spf(spf.a) 0=-spf",
        "0=. spf.a=. spf.a,?spf=. 0=. spf.a=. 0=.",
        // A family is one condition, two families are two.
        "0=. spf.a,dmarc.b=. spf.a,dmarc.b=+dmarc(dmarc.b);+spf(spf.a) spf.a=-dmarc 0=-spf",
        // It grows, gets worse, shrinks, gets better, ends.
        "0=. spf.a~=. spf.a~=+spf(spf.a) spf.a~,spf.b=. spf.a~,spf.b=^spf(spf.b);!spf spf.a~=vspf(spf.b);!spf 0=-spf",
        // What the first look could not tell is no news when it is first told; later it is.
        "?spf=. spf.no_all~=. spf.no_all~=. 0=. spf.no_all~=. spf.no_all~=+spf(spf.no_all)",
        // Silence of a part ends nothing that is open about it, whoever looks.
        "0=. spf.a=. spf.a=+spf(spf.a) ?spf=. 0=-spf",
        "?dmarc=. spf.no_all~=. spf.no_all~=+spf(spf.no_all)",
        "?spf.no_all=. spf.no_all~=. spf.no_all~=.",
        "?spf.other=. spf.no_all~=. spf.no_all~=+spf(spf.no_all)",
        // The baseline that gets worse is news.
        "spf.a~=. spf.a=. spf.a=+spf(spf.a)",
        // The same trouble in another form is the same incident.
        "0=. spf.a=. spf.a=+spf(spf.a) spf.a,spf.b=. spf.b=vspf(spf.a);^spf(spf.b) 0=-spf",
    ] {
        let story = story.to_owned();
        let played = play(2, 1, &story);
        let sorted = |text: &str| {
            text.split(' ')
                .map(|step| {
                    let mut parts: Vec<&str> = step.split([';', '=']).collect();
                    parts[1..].sort_unstable();
                    parts.join(";")
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(sorted(&played), sorted(&story));
    }
}

#[test]
fn stories_of_lists() {
    for story in [
        // The first scan is silent, whatever it finds.
        "7@zen,7@cop~=. 7@zen,7@cop~=. 7@zen,7@cop~,8@zen=. 7@zen,7@cop~,8@zen=+8|critical(8@zen)",
        // One spam event on several lists is one incident, also where the lists weigh differently.
        "0=. 7@zen,7@bar,7@cop~=. 7@zen,7@bar,7@cop~=+7|critical(7@zen,7@bar,7@cop) 7@cop~=v7|critical(7@bar,7@zen);!7|critical 0=-7|critical",
        "0=. 7@cop~=. 7@cop~=+7|warning(7@cop) 7@cop~,7@zen=. 7@cop~,7@zen=+7|critical(7@zen) 7@zen=-7|warning 0=-7|critical",
        "0=. 7@zen=. 7@zen=+7|critical(7@zen) 7@zen,7@cop~=. 7@zen,7@cop~=^7|critical(7@cop) 0=-7|critical",
        // A list that was silent at the first scan is no news when it first tells.
        "?zen=. 7@zen=. 7@zen=. 0=. 7@zen=. 7@zen=+7|critical(7@zen)",
        // That address 8 could not be told is no baseline of address 7, nor is 7 one's that a later look did not tell.
        "?8@zen=. 7@zen=. 7@zen=+7|critical(7@zen) 7@zen,8@zen=. 7@zen,8@zen=+8|critical(8@zen)",
        "?zen=. ?8@zen=. 7@zen,?8@zen=. 7@zen,?8@zen=+7|critical(7@zen) 7@zen,8@zen=. 7@zen,8@zen=.",
        "?8@zen=. ?zen=. 7@zen,8@zen=. 7@zen,8@zen=+7|critical(7@zen)",
        // A list that is switched off and on again has the same baseline.
        "7@zen=. /zen=. 7@zen=. 7@zen=. 0=. 7@zen=. 7@zen=+7|critical(7@zen)",
        // A wave that comes scan by scan is one, too; a medium listing goes where the address is.
        "0=. 1@zen,2@zen,3@zen=. 1@zen,2@zen,3@zen,4@zen=+1|critical(1@zen);+2|critical(2@zen);+3|critical(3@zen) 1@zen,2@zen,3@zen,4@zen=+network|critical(4@zen) 1@zen,2@zen,3@zen,4@zen,4@cop~=. 1@zen,2@zen,3@zen,4@zen,4@cop~=^network|critical(4@cop)",
        // Three addresses are three incidents, four at once are the network's.
        "0=. 1@zen,2@zen,3@zen=. 1@zen,2@zen,3@zen=+1|critical(1@zen);+2|critical(2@zen);+3|critical(3@zen)",
        "0=. 1@zen,2@zen,3@zen,4@zen=. 1@zen,2@zen,3@zen,4@zen=+network|critical(1@zen,2@zen,3@zen,4@zen) 4@zen,5@zen=vnetwork|critical(1@zen,2@zen,3@zen) 4@zen,5@zen=^network|critical(5@zen) 0=-network|critical",
    ] {
        assert_eq!(play(2, 1, story), story);
    }
}

#[test]
fn recovery_takes_as_many_looks_as_the_policy_says_and_one_look_counts_once() {
    assert_eq!(play(1, 2, "0=. spf.a=+spf(spf.a) 0=. spf.a=. 0=. 0=-spf"), "0=. spf.a=+spf(spf.a) 0=. spf.a=. 0=. 0=-spf");
    // One look without the worse part changes nothing yet.
    assert_eq!(
        play(1, 2, "0=. spf.a,spf.b~=+spf(spf.a,spf.b) spf.b~=. spf.a,spf.b~=."),
        "0=. spf.a,spf.b~=+spf(spf.a,spf.b) spf.b~=. spf.a,spf.b~=."
    );
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let policy = Policy::default();
    let (seen, none) = ([element("spf.missing")], BTreeSet::new());
    let look = |at| Look { seen: &seen, untold: &none, found: &[], standing: &|_| Standing::Told, at };
    let first = decide(&Conditions::default(), look(at), policy);
    let again = decide(&first.state, look(at), policy);
    assert!(again.changes.is_empty() && again.recheck, "the same look twice confirms nothing");
    assert_eq!(decide(&again.state, look(at + TimeDelta::seconds(1)), policy).changes.len(), 1);
}

#[test]
fn what_is_low_is_no_condition_and_a_flood_is_bounded() {
    let entry = |n: usize, severity| ListEntry {
        subject: format!("s{n}.example"),
        list: "l".to_owned(),
        zone: "z".to_owned(),
        state: ListState::Listed,
        codes: Vec::new(),
        meaning: String::new(),
        reason: String::new(),
        severity,
        delist_url: None,
    };
    let report = |entries| Outcome::Blacklist(Box::new(BlacklistReport { entries, ..BlacklistReport::empty("t") }));
    assert!(elements(&report(vec![entry(1, Severity::Low), entry(2, Severity::Info)])).is_empty());
    assert_eq!(elements(&report((0..5_000).map(|n| entry(n, Severity::High)).collect())).len(), MOST_ELEMENTS);
}

#[test]
fn what_can_not_be_looked_at_is_believed_for_a_bounded_time() {
    use crate::carry::CARRIED_FOR;
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let policy = Policy { fail_after: 1, recover_after: 3, quorum: 0 };
    let (none, first) = (BTreeSet::new(), [element("1@zen")]);
    let both = [element("1@zen"), element("1@cop")];
    let look = |seen, standing, at| Look { seen, untold: &none, found: &[], standing, at };
    let told: &dyn Fn(&str) -> Standing = &|_| Standing::Told;
    let dead: &dyn Fn(&str) -> Standing = &|id| if id.ends_with("zen") { Standing::Untold } else { Standing::Told };
    let start = decide(&Conditions::default(), look(&[], told, at), policy).state;
    let listed = decide(&start, look(&both, told, at), policy).state;
    // The list dies: nothing happens until the time is over, and then only to what was on it.
    let silent = decide(&listed, look(&both, dead, at), policy);
    assert!(silent.changes.is_empty());
    assert_eq!(silent.state.unseen.into_iter().collect::<Vec<_>>(), [(first[0].id.clone(), at)]);
    let still = decide(&decide(&listed, look(&both, dead, at), policy).state, look(&both, dead, at + CARRIED_FOR / 2), policy).state;
    let over = decide(&still, look(&both[1..], dead, at + CARRIED_FOR), policy);
    let let_go = |since| LetGo { id: first[0].id.clone(), since };
    assert_eq!(over.changes, [("192.0.2.1|critical".to_owned(), Change::LetGo(vec![let_go(Some(at))]))]);
    // It is not news of another region that carries it on, and one answer of the list clears the memory.
    assert!(given_up(&over.state, &first[0].id, at + CARRIED_FOR));
    assert!(decide(&over.state, look(&both[1..], told, at + CARRIED_FOR), policy).state.unseen.is_empty());
    // Nothing else was left: the condition ends, and says of what it did not see the end.
    let alone = decide(&start, look(&first, told, at), policy).state;
    let alone = decide(&alone, look(&first, dead, at), policy).state;
    let over = decide(&alone, look(&[], dead, at + CARRIED_FOR), policy);
    assert_eq!(over.changes, [("192.0.2.1|critical".to_owned(), Change::Ended(vec![let_go(Some(at))]))]);
    assert!(over.state.open.is_empty());
    // A list that is not asked any more is let go at once.
    let off = decide(&alone, look(&[], &|_| Standing::NotAsked, at), policy);
    assert_eq!(off.changes, [("192.0.2.1|critical".to_owned(), Change::Ended(vec![let_go(None)]))]);
}

#[test]
fn a_list_that_speaks_only_when_it_lists_something_is_believed_after_a_while() {
    use crate::carry::CARRIED_FOR;
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let policy = Policy { fail_after: 1, recover_after: 1, quorum: 0 };
    let silent: BTreeSet<String> = ["zen".to_owned()].into();
    let (none, listed) = (BTreeSet::new(), [element("7@zen")]);
    let quiet = |at| Look { seen: &[], untold: &silent, found: &[], standing: &|_| Standing::Untold, at };
    let loud = |at| Look { seen: &listed, untold: &none, found: &[], standing: &|_| Standing::Told, at };
    let first = decide(&Conditions::default(), quiet(at), policy).state;
    assert!(decide(&first, loud(at + CARRIED_FOR / 2), policy).changes.is_empty());
    let later = decide(&first, quiet(at + CARRIED_FOR), policy).state;
    assert_eq!(decide(&later, loud(at + CARRIED_FOR * 2), policy).changes.len(), 1);
}

#[test]
fn what_pages_group_by_family_is_what_conditions_are_named_by() {
    for rule in ["mtasts.mx_mismatch", "tlsrpt.syntax", "helo.mismatch", "soa.values", "spf.missing", "dkim.revoked", "ptr.missing", "bimi.missing"] {
        assert_eq!(Family::of_rule(rule).map(Family::key), Some(waypost_types::finding::family_key(rule)), "{rule}");
    }
}

mod review {
    use std::sync::Arc;

    use waypost_types::{lists::ListType, outcome::ScannedList};

    use super::*;
    use crate::carry::{CARRIED_FOR, Memory, carry, found, standing, state_of};

    const ONE: Policy = Policy { fail_after: 1, recover_after: 1, quorum: 0 };

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// A scan as the engine makes it: per list its zone and the state of each subject, compacted.
    fn scan(target: &str, subjects: &[String], lists: &[(&str, &dyn Fn(usize) -> ListState)]) -> Outcome {
        let mut report = BlacklistReport { subjects: u32::try_from(subjects.len()).unwrap(), ..BlacklistReport::empty(target) };
        for (zone, state) in lists {
            let states: Vec<ListState> = (0..subjects.len()).map(state).collect();
            let count = |wanted| u32::try_from(states.iter().filter(|state| **state == wanted).count()).unwrap();
            report.lists.push(ScannedList {
                list: (*zone).to_owned(),
                zone: (*zone).to_owned(),
                id: (*zone).to_owned(),
                list_type: ListType::Block,
                severity: Severity::Critical,
                asked: report.subjects,
                listed: count(ListState::Listed),
                clean: count(ListState::Clean),
                unknown: count(ListState::Unknown),
                reason: String::new(),
                untold: Vec::new(),
                delisting: String::new(),
                effect: String::new(),
            });
            report.entries.extend(subjects.iter().zip(states).map(|(subject, state)| ListEntry {
                subject: subject.clone(),
                list: (*zone).to_owned(),
                zone: (*zone).to_owned(),
                state,
                codes: Vec::new(),
                meaning: "spam".to_owned(),
                reason: if state == ListState::Unknown { "late".to_owned() } else { String::new() },
                severity: Severity::Critical,
                delist_url: None,
            }));
        }
        Outcome::Blacklist(Box::new(report.compact()))
    }

    /// What the recorder does with a look.
    fn look(state: &Conditions, before: Option<&Outcome>, now: Outcome, at: DateTime<Utc>) -> (Decision, Outcome) {
        let now = Arc::new(now);
        let outcome = carry(before, &now, Memory { conditions: state, judges: true, at });
        let (seen, found) = (elements(&outcome), found(&outcome));
        let told = Look { seen: &seen, untold: &untold(&now), found: &found, standing: &|id| standing(id, &now), at };
        (decide(state, told, ONE), (*outcome).clone())
    }

    fn minutes(n: i64) -> DateTime<Utc> {
        start() + TimeDelta::minutes(n)
    }

    fn one() -> Vec<String> {
        vec!["192.0.2.7".to_owned()]
    }

    fn v4(n: usize) -> Vec<String> {
        (0..n).map(|n| format!("192.0.2.{n}")).collect()
    }

    const CLEAN: &dyn Fn(usize) -> ListState = &|_| ListState::Clean;
    const LISTED: &dyn Fn(usize) -> ListState = &|_| ListState::Listed;
    const UNKNOWN: &dyn Fn(usize) -> ListState = &|_| ListState::Unknown;

    #[test]
    fn r1_a_keyed_copy_that_is_refused_makes_no_answered_list_untold() {
        let lists =
            |open: &'static dyn Fn(usize) -> ListState| scan("192.0.2.7", &one(), &[("zen.spamhaus.org", open), ("zen.dq.spamhaus.net", UNKNOWN)]);
        let (first, _) = look(&Conditions::default(), None, lists(CLEAN), start());
        let (second, _) = look(&first.state, None, lists(LISTED), minutes(60));
        assert_eq!(second.changes.len(), 1, "a listing on a list that was clean before is news; untold: {:?}", second.state.untold);
    }

    #[test]
    fn r2_a_list_that_broke_off_while_it_only_listed_left_the_rest_untold() {
        let half: &dyn Fn(usize) -> ListState = &|n| if n < 5 { ListState::Listed } else { ListState::Unknown };
        let (first, _) = look(&Conditions::default(), None, scan("192.0.2.0/25", &v4(128), &[("bl.example", half)]), start());
        let (second, _) = look(&first.state, None, scan("192.0.2.0/25", &v4(128), &[("bl.example", LISTED)]), minutes(60));
        assert!(
            second.changes.is_empty(),
            "the first look could not tell of them: {} changes; untold: {:?}",
            second.changes.len(),
            first.state.untold
        );
    }

    #[test]
    fn r3_runs_of_ipv6_addresses_are_untold_too() {
        let v6: Vec<String> = (0..32).map(|n| Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0000_u128 + n).to_string()).collect();
        let half: &dyn Fn(usize) -> ListState = &|n| if n < 16 { ListState::Clean } else { ListState::Unknown };
        let listed: &dyn Fn(usize) -> ListState = &|n| if n < 16 { ListState::Clean } else { ListState::Listed };
        let (first, _) = look(&Conditions::default(), None, scan("2001:db8::/123", &v6, &[("bl.example", half)]), start());
        let (second, _) = look(&first.state, None, scan("2001:db8::/123", &v6, &[("bl.example", listed)]), minutes(60));
        assert!(second.changes.is_empty(), "{} changes; untold: {:?}", second.changes.len(), first.state.untold);
    }

    #[test]
    fn r4_more_untold_than_is_remembered_is_no_alarm() {
        let zones: Vec<String> = (0..20).map(|n| format!("bl{n:02}.example")).collect();
        let half: &dyn Fn(usize) -> ListState = &|n| if n < 100 { ListState::Clean } else { ListState::Unknown };
        let last: &dyn Fn(usize) -> ListState = &|n| if n < 250 { ListState::Clean } else { ListState::Listed };
        let cut: Vec<(&str, &dyn Fn(usize) -> ListState)> = zones.iter().map(|zone| (zone.as_str(), half)).collect();
        let full: Vec<(&str, &dyn Fn(usize) -> ListState)> = zones.iter().map(|zone| (zone.as_str(), last)).collect();
        let (first, _) = look(&Conditions::default(), None, scan("192.0.2.0/24", &v4(256), &cut), start());
        let (second, _) = look(&first.state, None, scan("192.0.2.0/24", &v4(256), &full), minutes(60));
        assert!(second.changes.is_empty(), "{} changes with {} remembered", second.changes.len(), first.state.untold.len());
    }

    #[test]
    fn r5_a_listing_is_carried_from_the_open_zone_to_the_keyed_one() {
        let (first, _) = look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", CLEAN)]), start());
        let (second, before) = look(&first.state, None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", LISTED)]), minutes(60));
        assert_eq!(second.changes.len(), 1);
        let (third, now) = look(&second.state, Some(&before), scan("192.0.2.7", &one(), &[("zen.dq.spamhaus.net", UNKNOWN)]), minutes(120));
        assert!(third.changes.is_empty());
        assert_eq!(now.findings().len(), 1, "the incident is open and the outcome shows nothing");
    }

    #[test]
    fn r5b_a_baseline_listing_is_given_up_after_the_key_came() {
        use crate::carry::{given_up, listing_id};
        let (first, before) =
            look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", LISTED), ("a.example", CLEAN)]), start());
        let keyed = || scan("192.0.2.7", &one(), &[("zen.dq.spamhaus.net", UNKNOWN), ("a.example", CLEAN)]);
        let (second, before) = look(&first.state, Some(&before), keyed(), minutes(60));
        let at = minutes(60) + CARRIED_FOR;
        let (third, _) = look(&second.state, Some(&before), keyed(), at);
        assert!(given_up(&third.state, &listing_id("192.0.2.7", "zen.spamhaus.org"), at), "its stay never ends: {:?}", third.state.unseen);
    }

    #[test]
    fn r6_what_was_remembered_by_the_keyed_zone_is_the_same() {
        let mut state = Conditions { started: true, ..Conditions::default() };
        state.baseline.insert("192.0.2.7|zen.dq.spamhaus.net".to_owned(), IncidentSeverity::Critical);
        let (after, _) = look(&state, None, scan("192.0.2.7", &one(), &[("zen.dq.spamhaus.net", LISTED)]), start());
        assert!(after.changes.is_empty(), "a baseline of before the update alarms: {:?}", after.changes);
    }

    #[test]
    fn r6b_a_stay_that_was_kept_by_the_keyed_zone_ends() {
        let Outcome::Blacklist(report) = scan("192.0.2.7", &one(), &[("zen.spamhaus.org", CLEAN)]) else { unreachable!() };
        assert_eq!(state_of(&report, "192.0.2.7", "zen.dq.spamhaus.net"), ListState::Clean);
    }

    #[test]
    fn r7_a_baseline_of_a_list_that_is_off_is_kept_for_a_bounded_time() {
        let (first, _) = look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("bl.example", LISTED), ("a.example", CLEAN)]), start());
        let off = || scan("192.0.2.7", &one(), &[("a.example", CLEAN)]);
        let (mut state, mut at) = (first.state, start());
        for _ in 0..20 {
            at += CARRIED_FOR;
            state = look(&state, None, off(), at).0.state;
        }
        assert!(state.baseline.is_empty(), "20 weeks later: {:?}", state.baseline);
    }
}
