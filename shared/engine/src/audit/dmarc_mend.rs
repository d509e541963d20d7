//! The one DMARC record to paste: built from what is published, judged by the same rules, and shown with every finding that it ends. How strong
//! a policy is remains its owner's to decide; a record for that is shown only when nothing else is left to mend.

use waypost_types::{audit::DmarcStep, finding::Finding};

use super::{
    Facts, Part,
    dmarc_policy::{self, Seen},
    dmarc_record::{Draft, Policy, Record, Standing},
    dmarc_repair::{Known, better, repaired},
    dmarc_reports::{self, Hosts},
    dmarc_walk::{Published, Walk},
    repair,
};
use crate::net::Net;

/// Rules about how strong a policy is, the first to decide first.
pub(super) const DECISIONS: [&str; 5] = ["dmarc.pct_used", "dmarc.p_none", "dmarc.test_mode", "dmarc.sp_weaker", "dmarc.np_missing"];

/// What a record becomes when all is mended that is nobody's to decide.
#[derive(Debug)]
pub(super) struct Mended {
    /// The record put right, or as it is where that would bring something new.
    pub(super) record: Record,
    /// A mailbox of the domain's own that can take reports.
    pub(super) mailbox: Option<String>,
    /// The hosts of its report addresses, where none of them gets any report.
    pub(super) lost: Option<String>,
    /// It is shown with a finding.
    shown: bool,
}

/// Judges the domain's own record, and shows the one that mends it.
pub(super) async fn own(net: &Net, seen: &Seen<'_>, part: &mut Part) -> Mended {
    let (published, facts) = (seen.published, seen.facts);
    let owner = format!("_dmarc.{}", published.at);
    let mut said = rules(seen, published);
    let mut asked = Part::default();
    let meant = repaired(&published.text).map(|record| record.rua).unwrap_or_default();
    let hosts = dmarc_reports::check(net, published, seen.walk.organisation.as_deref(), &meant, &mut asked).await;
    let mailbox = mailbox(facts);
    let lost = lost(&published.record, &hosts);
    let record = better(&published.text, &published.record, &known(facts, seen.parked, mailbox.as_deref(), &hosts));
    let value = record.mended(None);
    let after = rules(seen, &Published { at: published.at.clone(), text: value.clone(), record: record.clone() });
    // A record without a policy that holds was not judged by it: what that brings is no new mistake.
    let excused = match published.record.standing() {
        // What its record says of the names below is told beside a stricter policy of the domain itself.
        Standing::Full if seen.parked => &["dmarc.sp_weaker"][..],
        Standing::Full => &[][..],
        _ => &DECISIONS[..],
    };
    let mut mended = Mended { record: published.record.clone(), mailbox, lost, shown: false };
    // Which policy was meant by a word that is none is its owner's to say.
    let clear = seen.parked || dmarc_policy::wrong_policies(&published.record).is_empty() || repaired(&published.text).is_some();
    if clear && repair::is_no_worse(&said.findings, &after.findings, excused) {
        mended.shown = repair::show(&mut said.findings, &after.findings, &owner, &value);
        if !hosts_of(&record).any(|host| hosts.dead.iter().any(|dead| dead.as_str() == host)) {
            for finding in asked.findings.iter_mut().filter(|finding| finding.rule == "dmarc.rua_no_mx") {
                finding.record = Some(repair::txt(&owner, &value));
                mended.shown = true;
            }
        }
        if seen.parked && is_open(&published.record) {
            said.findings.iter_mut().chain(&mut asked.findings).for_each(|finding| closes(finding, facts.domain.as_str(), &record));
        }
        mended.record = record;
    }
    for more in [said, asked] {
        part.findings.extend(more.findings);
        part.unknown.extend(more.unknown);
    }
    mended
}

/// Shows the record of the next decision, when nothing is left to mend before it.
pub(super) fn decide(seen: &Seen<'_>, mended: &Mended, path: &[DmarcStep], part: &mut Part) {
    let record = &mended.record;
    if mended.shown || record.standing() != Standing::Full {
        return;
    }
    let draft = record.draft();
    let with = |draft: Draft| Some(record.with(draft, None));
    // Before reports arrive nobody can tell when it is time.
    let watched = path.first().is_some_and(|step| step.done);
    let next = || path.iter().find(|step| !step.done).and_then(|step| Some(step.record.as_ref()?.value.clone())).filter(|_| watched);
    let found = |rule: &&str| part.findings.iter().any(|finding| finding.rule == **rule);
    let value = |rule: &'static str| match rule {
        // pct=0 is t=y (RFC 9989 A.6); of what lies between, t=y is the nearest that does not reach more mail by the present standard.
        "dmarc.pct_used" => with(Draft { testing: true, share: None, ..draft }),
        "dmarc.p_none" => next(),
        "dmarc.test_mode" => with(Draft { testing: false, ..draft }),
        "dmarc.sp_weaker" => with(Draft { sp: Some(record.own()), ..draft }),
        _ => with(Draft { np: Some(Policy::Reject), ..draft }),
    };
    let Some((rule, value)) = DECISIONS.into_iter().filter(found).find_map(|rule| Some((rule, value(rule)?))) else { return };
    let Ok(stronger) = Record::parse(&value) else { return };
    let after = rules(seen, &Published { at: seen.published.at.clone(), text: value.clone(), record: stronger });
    if !after.findings.iter().any(|finding| finding.rule == rule) {
        let owner = format!("_dmarc.{}", seen.published.at);
        for finding in part.findings.iter_mut().filter(|finding| finding.rule == rule) {
            finding.record = Some(repair::txt(&owner, &value));
        }
    }
}

/// A record that has all mail refused is more than what it is shown for asks: the finding says so, unless its own words do.
fn closes(finding: &mut Finding, domain: &str, record: &Record) {
    if finding.record.is_some() && !DECISIONS.contains(&finding.rule.as_str()) {
        let below = if record.sp.value().is_none() { " and of the names below it" } else { "" };
        let words = format!(
            " The record also has all mail in the name of {domain}{below} refused, since nothing is known to be sent or received with it: keep your \
             own policy if you do send."
        );
        finding.fix.push_str(&words);
    }
}

/// Not all mail in the name itself is to be refused.
fn is_open(record: &Record) -> bool {
    record.own() < Policy::Reject || record.testing || record.share().is_some()
}

/// Shows the record that a text was meant to be, where that is clear, with all put right.
pub(super) async fn show_meant(net: &Net, facts: &Facts, parked: bool, walk: &Walk, text: &str, found: &mut Finding) {
    let Some(record) = Record::parse(text).ok().or_else(|| repaired(text)) else { return };
    let raised = parked && is_open(&record);
    let published = Published { at: facts.domain.as_str().to_owned(), text: text.to_owned(), record };
    let meant = repaired(text).map(|record| record.rua).unwrap_or_default();
    let hosts = dmarc_reports::check(net, &published, walk.organisation.as_deref(), &meant, &mut Part::default()).await;
    let mailbox = mailbox(facts);
    let better = better(text, &published.record, &known(facts, parked, mailbox.as_deref(), &hosts));
    found.record = Some(repair::txt(&format!("_dmarc.{}", facts.domain), &better.mended(None)));
    if raised {
        closes(found, facts.domain.as_str(), &better);
    }
}

/// All that a record itself gives reason to say.
fn rules(seen: &Seen<'_>, published: &Published) -> Part {
    let mut part = Part::default();
    dmarc_policy::own(&Seen { published, ..*seen }, &mut part);
    dmarc_reports::written(seen.facts, &published.record, &format!("_dmarc.{}", published.at), &mut part);
    part
}

/// The mailbox of the domain's own for reports, where it takes mail. That it exists nobody can ask: whoever proposes it says that it has to.
pub(super) fn mailbox(facts: &Facts) -> Option<String> {
    facts.takes_mail().then(|| mailbox_at(facts.domain.as_str()))
}

/// The mailbox for reports at a domain.
pub(super) fn mailbox_at(domain: &str) -> String {
    format!("dmarc@{domain}")
}

fn known<'a>(facts: &Facts, parked: bool, mailbox: Option<&'a str>, hosts: &Hosts) -> Known<'a> {
    let name = facts.domain.as_str();
    Known { mailbox, registry: psl::suffix_str(name) == Some(name), parked, dead: hosts.dead.clone(), unauthorised: hosts.unauthorised.clone() }
}

fn hosts_of(record: &Record) -> impl Iterator<Item = &str> {
    record.rua.iter().chain(&record.ruf).map(|address| address.host.as_str())
}

/// The hosts of `rua=`, where none of them gets any report.
fn lost(record: &Record, hosts: &Hosts) -> Option<String> {
    let gets = |host: &waypost_types::DomainName| !hosts.dead.contains(host) && !hosts.unauthorised.contains(host);
    if record.rua.is_empty() || record.rua.iter().any(|address| gets(&address.host)) {
        return None;
    }
    let names: std::collections::BTreeSet<&str> = record.rua.iter().map(|address| address.host.as_str()).collect();
    Some(names.into_iter().collect::<Vec<_>>().join(" and "))
}
