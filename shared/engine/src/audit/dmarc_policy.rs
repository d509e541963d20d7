//! What a DMARC record asks for (RFC 9989 4.7), judged: its policies, its tags, and mistakes in how it is written.

use chrono::{DateTime, TimeDelta, Utc};
use waypost_types::Severity;

use super::{
    Facts, Part,
    dmarc_record::{Policy, Psd, Record, Said, Standing},
    dmarc_repair::meant,
    dmarc_tags::{REMOVED, TAGS, quoted},
    dmarc_walk::{Published, Walk},
    rules::{Remark, remark},
};

/// So many days of watching are enough to go on.
const WATCHING: i64 = 90;
const FIRST_STEP: &str = "Collecting reports is the right first step: they show who sends in your name before anything is refused. Until then \
                          forged mail is delivered.";
/// Mistakes told in one finding.
const MOST_FAULTS: usize = 5;
/// Unknown tags told.
const MOST_UNKNOWN: usize = 5;

/// A record in force and what is known about it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) facts: &'a Facts,
    pub(super) walk: &'a Walk,
    pub(super) published: &'a Published,
    /// Since when it stands as it is, when earlier audits tell.
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
    /// The domain neither takes mail nor is known to send any.
    pub(super) parked: bool,
}

/// The domain's own record.
pub(super) fn own(seen: &Seen<'_>, part: &mut Part) {
    let record = &seen.published.record;
    let owner = format!("_dmarc.{}", seen.published.at);
    written(seen, &owner, part);
    if matches!(record.p, Said::Nothing) {
        let ignored = record.standing() == Standing::Ignored;
        let words = format!("The DMARC record has no p= tag: receivers {}", consequence(record.standing()));
        part.find(remark("dmarc.p_missing", &owner, words).severity(if ignored { Severity::High } else { Severity::Medium }));
    } else if record.standing() == Standing::Full {
        policies(seen, &owner, part);
    }
    tags(seen, &owner, part);
    if record.psd == Psd::Yes && psl::suffix_str(&seen.published.at) != Some(seen.published.at.as_str()) {
        let words = format!("psd=y says that {} is a registry under which others register; it is no public suffix", seen.published.at);
        part.find(remark("dmarc.psd_tag", &owner, words).with("name", &seen.published.at));
    }
    // Where no mail is sent nothing can fail to align.
    if seen.facts.receives && (record.strict_dkim || record.strict_spf) {
        let which: Vec<&str> =
            [(record.strict_dkim, "adkim=s"), (record.strict_spf, "aspf=s")].iter().filter(|(on, _)| *on).map(|(_, t)| *t).collect();
        let words = format!("Alignment is strict ({}): only the very name {} counts, not its subdomains", which.join(", "), seen.published.at);
        part.find(remark("dmarc.strict_alignment", &owner, words).with("tags", which.join(" and ")));
    }
}

/// A parent's record, as far as it bears on this domain: what else is to mend there is the parent's audit.
pub(super) fn inherited(seen: &Seen<'_>, part: &mut Part) {
    let (record, domain) = (&seen.published.record, seen.facts.domain.as_str());
    let at = &seen.published.at;
    let whose = format!("The policy that {domain} inherits from _dmarc.{at}");
    let policy = seen.walk.applies(true).unwrap_or(Policy::None);
    let standing = record.standing();
    if standing != Standing::Full {
        let id = if matches!(record.p, Said::Nothing) { "dmarc.p_missing" } else { "dmarc.syntax" };
        let problem = wrong_policies(record).first().cloned().unwrap_or_else(|| "there is no p= tag".to_owned());
        let words = format!("{whose} is none: {problem}; receivers {}", consequence(standing));
        part.find(remark(id, domain, words).with("problem", &problem).severity(Severity::Medium));
    } else if policy == Policy::None {
        let tag = if record.sp.value().is_some() { "sp=none" } else { "p=none" };
        watching(seen, domain, &format!("{whose} only watches ({tag}): forged mail is delivered"), true, part);
    } else if record.testing {
        let words = format!("{whose} ({}) is in test (t=y): receivers apply {}", policy.as_str(), policy.weakened().as_str());
        part.find(remark("dmarc.test_mode", domain, words));
    }
}

/// What receivers do with a record without a valid policy, after "receivers".
const fn consequence(standing: Standing) -> &'static str {
    match standing {
        Standing::Full => "apply it",
        Standing::OnlyWatches => "take it as p=none and only send reports",
        Standing::Ignored => "ignore the record, since it asks for no reports either",
    }
}

/// Policies that are none of the three.
pub(super) fn wrong_policies(record: &Record) -> Vec<String> {
    [("p", &record.p), ("sp", &record.sp), ("np", &record.np)]
        .into_iter()
        .filter_map(|(name, said)| match said {
            Said::Wrong(value) => Some(format!("{name}={} is no policy, it is none, quarantine or reject", quoted(value))),
            Said::Nothing | Said::Value(_) => None,
        })
        .collect()
}

/// Mistakes in how the record is written, all in one finding.
fn written(seen: &Seen<'_>, owner: &str, part: &mut Part) {
    let record = &seen.published.record;
    let wrong = wrong_policies(record);
    let faults: Vec<String> = record.faults.iter().map(ToString::to_string).chain(wrong.iter().cloned()).take(MOST_FAULTS).collect();
    if faults.is_empty() {
        return;
    }
    let (severity, words) = if wrong.is_empty() {
        (Severity::Medium, format!("A part of the DMARC record can not be read: {}", faults.join("; ")))
    } else {
        let words = format!("The DMARC record has no valid policy: {}; receivers {}", faults.join("; "), consequence(record.standing()));
        (Severity::Critical, words)
    };
    part.find(remark("dmarc.syntax", owner, words).severity(severity).with("problem", &faults[0]));
}

/// A record whose policies hold: how strong they are.
fn policies(seen: &Seen<'_>, owner: &str, part: &mut Part) {
    let record = &seen.published.record;
    let (own, subdomains) = (record.own(), record.subdomains());
    if own == Policy::None {
        watching(seen, owner, "DMARC only watches (p=none): forged mail is delivered", false, part);
    } else if record.testing {
        let words = format!("p={} is in test (t=y): receivers apply {} instead", own.as_str(), own.weakened().as_str());
        part.find(remark("dmarc.test_mode", owner, words));
    }
    // sp and np are read at the organisation's name only.
    if seen.walk.organisation.is_none() || !seen.walk.is_organisation() {
        return;
    }
    if subdomains < own {
        let words = format!("Subdomains are weaker protected (sp={}) than the domain (p={})", subdomains.as_str(), own.as_str());
        part.find(remark("dmarc.sp_weaker", owner, words).with("p", own.as_str()));
    }
    if record.np.value().is_none() && record.nonexistent() < Policy::Reject {
        let from = if record.sp.value().is_some() { "sp" } else { "p" };
        let words = format!("Names below {} that do not exist are held to {from}={} only: np= is not set", seen.published.at, subdomains.as_str());
        part.find(remark("dmarc.np_missing", owner, words));
    }
}

/// A policy of none: the right beginning, and no protection for good.
fn watching(seen: &Seen<'_>, subject: &str, words: &str, inherited: bool, part: &mut Part) {
    let long = seen.since.map(|since| (since, seen.now - since > TimeDelta::days(WATCHING)));
    let found = match long {
        Some((since, true)) => remark("dmarc.p_none", subject, format!("{words}, since {}", since.format("%Y-%m-%d"))),
        Some((since, false)) => remark("dmarc.p_none", subject, format!("{words}, since {}", since.format("%Y-%m-%d"))).why(FIRST_STEP),
        None => remark("dmarc.p_none", subject, words),
    };
    part.find(if inherited {
        found.fix(format!("Have the record of {} raised, or publish one for {} itself.", seen.published.at, seen.facts.domain))
    } else if seen.parked {
        found.fix("The domain takes no mail and none is known to come from it: have mail in its name refused (p=reject).")
    } else {
        found
    });
}

/// `pct=`, which the present standard no longer has.
fn share_of_mail(seen: &Seen<'_>, owner: &str, value: &str) -> Remark {
    let Some(share) = seen.published.record.held_back() else {
        let words = format!("pct={} is gone from DMARC since RFC 9989, and receivers of today ignore it", quoted(value));
        return remark("dmarc.pct_used", owner, words).severity(Severity::Low);
    };
    let words = format!("pct={share} is gone from DMARC: some receivers apply the policy to {share} % of the mail, those of RFC 9989 to all of it");
    let found = remark("dmarc.pct_used", owner, words).severity(Severity::Medium);
    if seen.parked {
        return found.fix("The domain takes no mail and none is known to come from it: without pct= all mail in its name is refused.");
    }
    found.fix(format!(
        "Write t=y in place of pct={share}, and take t=y out when the reports are clean. With t=y receivers of RFC 9989 apply one step less than the \
         policy, as pct=0 meant it. Those of the older standard do not know t=y: they apply the policy to all mail then, no longer to {share} % of it, \
         so look into the reports first."
    ))
}

/// Tags that the present standard no longer has, or never had.
fn tags(seen: &Seen<'_>, owner: &str, part: &mut Part) {
    let record = &seen.published.record;
    if let Some(pct) = record.tag("pct") {
        part.find(share_of_mail(seen, owner, &pct.value));
    }
    let removed: Vec<String> = ["rf", "ri"].iter().filter(|name| record.tag(name).is_some()).map(|name| format!("{name}=")).collect();
    if !removed.is_empty() {
        let verb = if removed.len() == 1 { "is" } else { "are" };
        let words = format!("{} {verb} gone from DMARC since RFC 9989", removed.join(" and "));
        part.find(remark("dmarc.removed_tags", owner, words));
    }
    let unknown = record.tags.iter().filter(|tag| !TAGS.contains(&tag.name.as_str()) && !REMOVED.contains(&tag.name.as_str()));
    for tag in unknown.take(MOST_UNKNOWN) {
        let name = quoted(&tag.name);
        let found = match meant(&tag.name, &tag.value, record) {
            Some(right) => remark("dmarc.unknown_tag", owner, format!("{name}= is no tag of DMARC, it may be meant as {right}="))
                .fix(format!("Write {right}= instead of {name}=.")),
            None => remark("dmarc.unknown_tag", owner, format!("{name}= is no tag of DMARC, receivers skip it")).with("tag", &name),
        };
        part.find(found);
    }
}
