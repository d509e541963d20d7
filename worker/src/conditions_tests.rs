//! The judge of conditions as a table: each row is a story of looks, read from left to right.
//!
//! A look names what is seen, separated by commas; after `=` stands what must follow: `+name(elements)` opened, `^name(elements)` grew,
//! `v name(elements)` shrank, `!name` got worse or better, `-name` ended; `.` is nothing. `?part` could not be told, `/list` is not asked. A look in a
//! maintenance window begins with `*`.

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
        let (maintenance, shown) = (look.starts_with('*'), look);
        let look = look.trim_start_matches('*');
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
        let decision = decide(&state, Look { seen: &seen, untold: &untold, found: &[], standing: &standing, at, maintenance }, policy);
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
        told.push(format!("{shown}={}", if words.is_empty() { ".".to_owned() } else { words.join(";") }));
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
        // A window keeps what comes quiet, and what lasts beyond it is confirmed anew and told.
        "0=. *spf.a=. *spf.a=. spf.a=. spf.a=+spf(spf.a) 0=-spf",
        "0=. spf.a=. *spf.a=. spf.a=. spf.a=+spf(spf.a)",
        "0=. *spf.a=. *0=. 0=. 0=.",
        // What is open may end in it, and neither grows nor gets worse before it is over.
        "0=. spf.a=. spf.a=+spf(spf.a) *spf.a=. *0=-spf 0=.",
        "0=. spf.a~=. spf.a~=+spf(spf.a) *spf.a,spf.b=. *spf.a,spf.b=. spf.a,spf.b=!spf spf.a,spf.b=^spf(spf.b)",
        "0=. spf.a~=. spf.a~=+spf(spf.a) *spf.a=. *spf.a~=. spf.a~=.",
        // The baseline outlives work on it: what is taken away and put back, or is worse meanwhile, is no news.
        "spf.a~=. *0=. *spf.b=. spf.a~=. spf.a~=. 0=. spf.a~=. spf.a~=+spf(spf.a)",
        "spf.a~=. *spf.a=. spf.a~=. spf.a~=.",
        "spf.a~=. *spf.a=. spf.a=. spf.a=+spf(spf.a)",
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
    let look = |at| Look { seen: &seen, untold: &none, found: &[], standing: &|_| Standing::Told, at, maintenance: false };
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
    let look = |seen, standing, at| Look { seen, untold: &none, found: &[], standing, at, maintenance: false };
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
    let quiet = |at| Look { seen: &[], untold: &silent, found: &[], standing: &|_| Standing::Untold, at, maintenance: false };
    let loud = |at| Look { seen: &listed, untold: &none, found: &[], standing: &|_| Standing::Told, at, maintenance: false };
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

#[test]
fn an_mx_host_that_takes_no_connection_is_told_by_its_own_checks() {
    let finding = |rule: &str| Finding {
        rule: rule.to_owned(),
        severity: Severity::High,
        subject: "mx.e.example".to_owned(),
        summary: "It is so".to_owned(),
        why: String::new(),
        fix: String::new(),
        record: None,
        reference: String::new(),
    };
    let audit = AuditReport { findings: vec![finding("mx.unreachable"), finding("mx.unresolvable")], ..AuditReport::empty("e.example") };
    let told: Vec<String> = elements(&Outcome::Audit(Box::new(audit))).into_iter().map(|element| element.id).collect();
    assert_eq!(told, ["mx.unresolvable|mx.e.example"]);
}
