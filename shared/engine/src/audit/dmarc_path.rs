//! The way to a DMARC policy that protects: watch, quarantine, reject, each first in test mode, with the record to publish at every step.

use waypost_types::{audit::DmarcStep, finding::SuggestedRecord};

use super::{
    dmarc_record::{Draft, Policy, Record},
    repair::txt,
};

/// Where the way begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    /// The name that publishes the record, or should.
    pub(super) owner: &'a str,
    /// The record as it is.
    pub(super) record: Option<&'a Record>,
    /// The same with its mistakes put right: what the steps are written from.
    pub(super) better: Option<&'a Record>,
    /// A mailbox for reports where the record has none.
    pub(super) mailbox: Option<&'a str>,
    /// The hosts of all its report addresses, where none of these gets any: they take no mail, or have not agreed to take reports.
    pub(super) lost: Option<&'a str>,
    /// It is the record of an organisation, so that its policies for names below count.
    pub(super) organisation: bool,
    /// Somebody else's record, inherited.
    pub(super) inherited: bool,
    /// Neither takes mail nor is known to send any.
    pub(super) parked: bool,
}

const TIME: &str = "It is time when two weeks of reports have come in which every source you know passes.";

/// The steps, done ones without a record: publishing it again would be a step back.
pub(super) fn steps(start: Start<'_>) -> Vec<DmarcStep> {
    let now = Now::of(start.record);
    if start.parked {
        return vec![parked(start, now)];
    }
    let mut steps = vec![watch(start, now)];
    let mut add = |title: &str, text: String, done: bool, p: Policy, testing: bool| {
        let draft = Draft { p, testing, share: None, ..now.draft };
        steps.push(DmarcStep { title: title.to_owned(), text, done, record: start.publish(draft).filter(|_| !done) });
    };
    add(
        "Try quarantine",
        format!(
            "{TIME} With t=y receivers of the present standard still deliver mail that fails and report what they would have done; those of the \
             older one already put it into the spam folder. Look in the reports for sources of yours that fail."
        ),
        now.draft.p >= Policy::Quarantine,
        Policy::Quarantine,
        true,
    );
    add(
        "Quarantine",
        format!("{TIME} Without t=y mail that fails goes into the spam folder everywhere. Ask colleagues whether mail of yours is missed."),
        now.draft.p == Policy::Reject || (now.draft.p == Policy::Quarantine && now.full),
        Policy::Quarantine,
        false,
    );
    add(
        "Try reject",
        format!("{TIME} With t=y receivers of the present standard go on with the spam folder; those of the older one refuse mail that fails."),
        now.draft.p == Policy::Reject,
        Policy::Reject,
        true,
    );
    add(
        "Reject",
        format!("{TIME} Without t=y mail that fails is refused everywhere: nobody can use the name in forged mail."),
        now.draft.p == Policy::Reject && now.full,
        Policy::Reject,
        false,
    );
    if start.organisation {
        let done = start.record.is_some_and(|record| {
            record.own() == Policy::Reject && record.subdomains() == Policy::Reject && record.nonexistent() == Policy::Reject && now.full
        });
        let draft = Draft { p: Policy::Reject, sp: Some(Policy::Reject), np: Some(Policy::Reject), testing: false, share: None };
        steps.push(DmarcStep {
            title: "Close the names below".to_owned(),
            text: "It is time when the reports show no mail of yours from a subdomain that fails. sp= is for subdomains, np= for names that do not \
                   exist: forgers take those when the domain itself is closed."
                .to_owned(),
            done,
            record: start.publish(draft).filter(|_| !done),
        });
    }
    if start.inherited {
        let owner = start.owner;
        for step in steps.iter_mut().filter(|step| !step.done) {
            step.text = format!("The record is that of {owner}, whoever runs {owner} publishes it. {}", step.text);
        }
    }
    steps
}

/// What the record says now.
#[derive(Debug, Clone, Copy)]
struct Now {
    draft: Draft,
    /// Neither a test nor for a share of the mail only.
    full: bool,
}

impl Now {
    fn of(record: Option<&Record>) -> Self {
        let Some(record) = record else {
            return Self { draft: Draft { p: Policy::None, sp: None, np: None, testing: false, share: None }, full: true };
        };
        let p = record.own();
        let draft = Draft { p, testing: record.testing && p != Policy::None, ..record.draft() };
        Self { draft, full: !record.testing && record.share().is_none() }
    }
}

impl Start<'_> {
    /// The record with other policies; none where it would ask for no reports and no mailbox is known that could take them.
    fn publish(&self, draft: Draft) -> Option<SuggestedRecord> {
        let draft = Draft { np: draft.np.or(self.better.and_then(|record| record.np.value())), ..draft };
        // A name that takes no mail has no mailbox for reports.
        let mailbox = self.mailbox.filter(|_| !self.parked);
        let record = self.better.or(self.record);
        let has_none = mailbox.is_none() && record.is_none_or(|record| record.rua.is_empty());
        if has_none && draft.p != Policy::Reject {
            return None;
        }
        let value = record.map_or_else(|| draft.first(mailbox), |record| record.with(draft, mailbox));
        Some(txt(&format!("_dmarc.{}", self.owner), &value))
    }
}

fn watch(start: Start<'_>, now: Now) -> DmarcStep {
    let reports = start.record.is_some_and(|record| !record.rua.is_empty()) && start.lost.is_none();
    let (title, mut text) = if now.draft.p == Policy::None {
        (
            "Watch",
            "Begin at once: p=none changes nothing for your mail. Receivers send a report a day to the mailbox in rua=, which has to exist: from it you \
             learn who sends in your name; for every source of yours put SPF and DKIM right until it passes."
                .to_owned(),
        )
    } else {
        (
            "Collect reports",
            "Receivers send a report a day to the mailbox in rua=, which has to exist: from it you learn who sends in your name and what fails."
                .to_owned(),
        )
    };
    if let Some(hosts) = start.lost {
        text = format!(
            "No report arrives as it is: {hosts} takes no mail or has not agreed to take reports; mend that first, or name another mailbox. {text}"
        );
    } else if start.mailbox.is_none() && !reports {
        text = format!("The name takes no mail itself: give rua= a mailbox elsewhere, at a host that agrees to take reports about it. {text}");
    }
    // A policy that is there already is not taken back for the sake of reports.
    let done = reports && start.record.is_some_and(|record| record.p.value().is_some());
    DmarcStep { title: title.to_owned(), text, done, record: start.publish(now.draft).filter(|_| !done) }
}

fn parked(start: Start<'_>, now: Now) -> DmarcStep {
    let done = start.record.is_some_and(|record| record.own() == Policy::Reject && now.full);
    let closed = |said: Option<Policy>| said.map(|_| Policy::Reject);
    let draft = Draft { p: Policy::Reject, sp: closed(now.draft.sp), np: closed(now.draft.np), testing: false, share: None };
    DmarcStep {
        title: "Reject".to_owned(),
        text: "The domain takes no mail and none is known to come from it: nothing can be lost, so have all mail in its name refused at once."
            .to_owned(),
        done,
        record: start.publish(draft).filter(|_| !done),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn begin(record: Option<&Record>) -> Start<'_> {
        let mailbox = Some("dmarc@e.example");
        Start { owner: "e.example", record, better: None, mailbox, lost: None, organisation: true, inherited: false, parked: false }
    }

    fn way(record: Option<&str>, change: impl Fn(&mut Start<'_>)) -> Vec<(String, Option<String>)> {
        let record = record.map(|text| Record::parse(text).unwrap());
        let mut start = begin(record.as_ref());
        change(&mut start);
        let steps = steps(start);
        assert!(steps.iter().all(|step| step.done == step.record.is_none() && !step.text.is_empty()));
        assert!(steps.iter().filter_map(|step| step.record.as_ref()).all(|record| record.name == "_dmarc.e.example" && record.kind == "TXT"));
        assert!(steps.iter().filter_map(|step| step.record.as_ref()).all(|record| Record::parse(&record.value).unwrap().faults.is_empty()));
        steps.into_iter().map(|step| (step.title, step.record.map(|record| record.value))).collect()
    }

    #[test]
    fn every_step_has_its_record_until_it_is_done() {
        let at = |steps: &[(String, Option<String>)], title: &str| steps.iter().find(|(name, _)| name == title).unwrap().1.clone();
        let none = way(None, |_| {});
        assert_eq!(
            none.iter().map(|(title, _)| title.as_str()).collect::<Vec<_>>(),
            ["Watch", "Try quarantine", "Quarantine", "Try reject", "Reject", "Close the names below"]
        );
        assert_eq!(
            none.iter().map(|(_, record)| record.as_deref().unwrap()).collect::<Vec<_>>(),
            [
                "v=DMARC1; p=none; rua=mailto:dmarc@e.example",
                "v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc@e.example",
                "v=DMARC1; p=quarantine; rua=mailto:dmarc@e.example",
                "v=DMARC1; p=reject; t=y; rua=mailto:dmarc@e.example",
                "v=DMARC1; p=reject; rua=mailto:dmarc@e.example",
                "v=DMARC1; p=reject; sp=reject; np=reject; rua=mailto:dmarc@e.example",
            ]
        );
        let watching =
            way(Some("v=DMARC1;p=none;sp=none;pct=20;rf=afrf;ri=60;adkim=s;aspf=s;fo=1;ruf=mailto:f@e.example;rua=mailto:d@e.example!10m"), |_| {});
        assert_eq!(at(&watching, "Watch"), None);
        let kept = "adkim=s; aspf=s; rua=mailto:d@e.example; ruf=mailto:f@e.example; fo=1";
        assert_eq!(at(&watching, "Try quarantine").unwrap(), format!("v=DMARC1; p=quarantine; sp=none; t=y; {kept}"));
        assert_eq!(at(&watching, "Close the names below").unwrap(), format!("v=DMARC1; p=reject; sp=reject; np=reject; {kept}"));
    }

    #[test]
    fn what_is_done_is_seen_from_the_record() {
        for (record, done) in [
            ("p=none", 0b00_0000),
            ("p=none; rua=mailto:d@e.example", 0b00_0001),
            ("rua=mailto:d@e.example", 0b00_0000),
            ("p=quarantine; t=y; rua=mailto:d@e.example", 0b00_0011),
            ("p=quarantine; pct=50; rua=mailto:d@e.example", 0b00_0011),
            ("p=quarantine; rua=mailto:d@e.example", 0b00_0111),
            ("p=reject; t=y; rua=mailto:d@e.example", 0b00_1111),
            ("p=reject; sp=none; rua=mailto:d@e.example", 0b01_1111),
            ("p=reject; np=quarantine; rua=mailto:d@e.example", 0b01_1111),
            ("p=reject; rua=mailto:d@e.example", 0b11_1111),
            ("p=reject", 0b11_1110),
        ] {
            let steps = way(Some(&format!("v=DMARC1; {record}")), |_| {});
            let bits = steps.iter().enumerate().filter(|(_, (_, record))| record.is_none()).map(|(at, _)| 1 << at).sum::<u8>();
            assert_eq!(bits, done, "{record}: {steps:?}");
        }
        // Reports are added without taking the policy back.
        let steps = way(Some("v=DMARC1; p=reject"), |_| {});
        assert_eq!(steps[0], ("Collect reports".to_owned(), Some("v=DMARC1; p=reject; rua=mailto:dmarc@e.example".to_owned())));
    }

    #[test]
    fn parked_inherited_and_lower_names_have_a_way_of_their_own() {
        let parked = way(None, |start| start.parked = true);
        assert_eq!(parked, [("Reject".to_owned(), Some("v=DMARC1; p=reject".to_owned()))]);
        assert_eq!(way(Some("v=DMARC1; p=reject"), |start| start.parked = true), [("Reject".to_owned(), None)]);
        assert_eq!(way(None, |start| start.organisation = false).len(), 5);
        let start = Start { inherited: true, ..begin(None) };
        assert!(steps(start).iter().all(|step| step.text.contains("whoever runs e.example publishes it")));
    }
}
