//! DMARC (RFC 9989, which replaced 7489 in 2026): whose record is in force, what it asks for, and the way to one that protects. The walk is
//! `dmarc_walk`, the record `dmarc_record`, its policies `dmarc_policy`, its reports `dmarc_reports`.

use futures::future::join_all;
use waypost_types::{DomainName, Severity, audit::DmarcDetail, outcome::Status};

use super::{
    AuditOptions, Facts, Family, Part,
    dmarc_mend::{self, Mended},
    dmarc_path::{Start, steps},
    dmarc_policy::{self, Seen},
    dmarc_record::{Policy, Record},
    dmarc_tags::{is_meant, quoted},
    dmarc_walk::{Origin, Published, Walk, enforced, walk},
    organisational,
    rules::{Remark, remark},
    sends::sends,
};
use crate::net::{DnsFailure, Lookup, Net};

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    if facts.nxdomain {
        // It has no record to mend; what mail in its name meets is its parents' word all the same.
        if let Ok(walk) = walk(net, &facts.domain).await
            && let Some((_, published)) = &walk.policy
        {
            part.records.push(line(&facts.domain, published));
            part.detail.dmarc = detail(facts, options, &walk, None);
        }
        part.word(Status::None, "No such domain");
        return part;
    }
    let (walked, wild) = tokio::join!(walk(net, &facts.domain), wildcard(net, facts));
    match walked {
        Err((name, failure)) => {
            part.unknown("dmarc", format!("{name}: {failure}"));
            part.word(Status::None, "No answer");
        }
        Ok(walk) => {
            let mended = judge(net, facts, options, &walk, &mut part).await;
            wild_answer(facts, wild, &mut part);
            part.detail.dmarc = detail(facts, options, &walk, mended.as_ref());
        }
    }
    part
}

/// Whether the effective policy quarantines or rejects all mail that fails: not `none`, not in a test that takes it back to none, not for a
/// share of the mail only.
pub(super) async fn enforces(net: &Net, domain: &DomainName) -> Result<bool, DnsFailure> {
    // Who asks has seen records of the domain: it exists.
    walk(net, domain).await.map(|walk| enforced(&walk, true)).map_err(|(_, failure)| failure)
}

/// A record in force as the audit's records show it: with its name when it is a parent's.
fn line(domain: &DomainName, published: &Published) -> String {
    if published.at == domain.as_str() { published.text.clone() } else { format!("_dmarc.{}: {}", published.at, published.text) }
}

async fn judge(net: &Net, facts: &Facts, options: &AuditOptions, walk: &Walk, part: &mut Part) -> Option<Mended> {
    part.records.extend(walk.own.exact.iter().chain(&walk.own.stray).cloned());
    let broken = unusable(net, facts, options, walk, part).await;
    let Some((origin, published)) = &walk.policy else {
        if !broken {
            nothing(net, facts, options, walk, part).await;
        }
        return None;
    };
    let line = line(&facts.domain, published);
    let since = options.known.since(Family::Dmarc, &line);
    let seen = Seen { facts, walk, published, since, now: net.now(), parked: is_parked(facts, options) };
    let mut mended = None;
    if *origin == Origin::Own {
        let found = dmarc_mend::own(net, &seen, part).await;
        let start = start(facts, options, walk, Some(&found));
        dmarc_mend::decide(&seen, &found, &steps(start), part);
        mended = Some(found);
    } else {
        part.records.push(line);
        if !broken {
            misplaced(net, facts, options, walk, part).await;
        }
        if of_registry(*origin, published) {
            registry(facts, published, part);
        } else {
            dmarc_policy::inherited(&seen, part);
        }
    }
    two_methods(facts, walk, part);
    let policy = walk.applies(true).map_or("none", Policy::as_str);
    if broken {
        part.word(Status::Bad, "Error");
    } else if published.record.tag("p").is_none() {
        part.word_by_findings(Status::Ok, "p missing");
    } else {
        part.word_by_findings(Status::Ok, format!("p={policy}"));
    }
    mended
}

/// Neither takes mail nor does anything speak for mail in its name.
fn is_parked(facts: &Facts, options: &AuditOptions) -> bool {
    !facts.receives && sends(facts, options).is_none()
}

/// What keeps receivers from reading the domain's own record, if anything.
async fn unusable(net: &Net, facts: &Facts, options: &AuditOptions, walk: &Walk, part: &mut Part) -> bool {
    let (domain, own) = (facts.domain.as_str(), &walk.own);
    let owner = format!("_dmarc.{domain}");
    if own.exact.len() > 1 {
        let seen = format!("{owner} has {} DMARC records; receivers ignore all of them", own.exact.len());
        // The strictest of them is nobody's to choose: it may be the one that was to be replaced.
        part.find(remark("dmarc.multiple_records", &owner, seen));
    } else if let Some(text) = own.exact.first().or(own.stray.first()) {
        let Err(fault) = Record::parse(text) else { return false };
        let mut found = remark("dmarc.syntax", &owner, format!("Receivers ignore the DMARC record: {fault}")).with("problem", &fault.what).done();
        dmarc_mend::show_meant(net, facts, is_parked(facts, options), walk, text, &mut found).await;
        part.findings.push(found);
    } else {
        return false;
    }
    part.word(Status::Bad, "Error");
    true
}

/// No record is in force, and none of the domain's own is broken.
async fn nothing(net: &Net, facts: &Facts, options: &AuditOptions, walk: &Walk, part: &mut Part) {
    let domain = facts.domain.as_str();
    if misplaced(net, facts, options, walk, part).await {
        part.word(Status::Bad, "Wrong name");
        return;
    }
    if let Some(place) = walk.void.first() {
        let at = &place.name;
        if place.exact.len() > 1 {
            let seen = format!("_dmarc.{at}, from which {domain} would inherit, has {} DMARC records; receivers ignore all", place.exact.len());
            part.find(remark("dmarc.multiple_records", domain, seen));
        } else if let Some(Err(fault)) = place.exact.first().map(|text| Record::parse(text)) {
            let seen = format!("Receivers ignore the DMARC record of {at}, from which {domain} would inherit: {fault}");
            let fix = format!("Have the record of {at} put right ({}), or publish one for {domain} itself.", fault.what);
            part.find(remark("dmarc.syntax", domain, seen).fix(fix));
        }
    }
    let missing = remark("dmarc.missing", domain, format!("{domain} has no DMARC record: anybody can send in its name"));
    let owner = format!("_dmarc.{domain}");
    let organisation = organisational(domain);
    part.find(if is_parked(facts, options) {
        missing.fix("The domain takes no mail: publish one that has mail in its name refused.").record("TXT", owner, "v=DMARC1; p=reject")
    } else {
        match dmarc_mend::mailbox(facts) {
            None => missing.fix(NO_MAILBOX),
            Some(mailbox) if organisation == domain => first(missing, domain, &mailbox),
            Some(mailbox) => first(missing, domain, &mailbox).fix(format!(
                "Publish one at _dmarc.{organisation}, which covers all names below it, or this one for {domain} alone; the mailbox {mailbox} has to \
                 exist. It changes nothing for your mail and brings reports of who sends in your name; with clean reports go on to quarantine and \
                 reject."
            )),
        }
    });
    part.word(Status::Bad, "Missing");
}

/// A first record that changes nothing for the mail and asks for reports.
fn first(missing: Remark, domain: &str, mailbox: &str) -> Remark {
    missing.with("mailbox", mailbox).record("TXT", format!("_dmarc.{domain}"), format!("v=DMARC1; p=none; rua=mailto:{mailbox}"))
}

/// Reports need a mailbox, and a name that takes no mail has none of its own.
const NO_MAILBOX: &str = "Publish v=DMARC1; p=none; rua=mailto: and a mailbox that takes mail. The domain's own takes none: choose one at a host that agrees \
                          to take reports about it, or mend its MX first.";

/// Whether the record in force is that of a name under which others register: its policy is not the domain's own.
fn of_registry(origin: Origin, published: &Published) -> bool {
    origin == Origin::Registry || (origin == Origin::Organisation && psl::suffix_str(&published.at) == Some(published.at.as_str()))
}

/// Only a registry's record covers the domain: receivers of the older standard do not look there, and reports go to the registry.
fn registry(facts: &Facts, published: &Published, part: &mut Part) {
    let domain = facts.domain.as_str();
    let seen = format!("{domain} has no DMARC record of its own, only that of its registry {} applies, and not everywhere", published.at);
    let missing = remark("dmarc.missing", domain, seen).severity(Severity::Medium);
    part.find(match dmarc_mend::mailbox(facts) {
        Some(mailbox) => first(missing, domain, &mailbox),
        None => missing.fix(NO_MAILBOX),
    });
}

/// Looks for a record where mistakes put it: at the domain, without the underscore, or with the zone's name written twice.
async fn misplaced(net: &Net, facts: &Facts, options: &AuditOptions, walk: &Walk, part: &mut Part) -> bool {
    let domain = facts.domain.as_str();
    let names = [domain.to_owned(), format!("dmarc.{domain}"), format!("_dmarc.{domain}.{domain}")];
    let answers = join_all(names.iter().map(|name| super::texts(net, name))).await;
    // A name that does not answer proves no mistake.
    let (mut stray, mut untold) = (None, None);
    for (name, answer) in names.iter().zip(answers) {
        match answer {
            Lookup::Found(texts) => stray = stray.or_else(|| Some((name, texts.into_iter().find(|text| is_meant(text))?))),
            Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => {}
            Lookup::Failed(failure) => untold = Some(format!("whether a DMARC record stands at {name} by mistake: {failure}")),
        }
    }
    let Some((name, text)) = stray else {
        if let Some(reason) = untold {
            part.untold("dmarc.wrong_location", reason);
        }
        return false;
    };
    let owner = format!("_dmarc.{domain}");
    let seen = format!("A DMARC record stands at {name}; receivers look for it at {owner} only");
    let mut found = remark("dmarc.wrong_location", domain, seen).with("found", name).done();
    dmarc_mend::show_meant(net, facts, is_parked(facts, options), walk, &text, &mut found).await;
    part.findings.push(found);
    true
}

/// Asks for the record of a name that nobody made: only a wildcard answers. It matters where it speaks for the domain's own `_dmarc` too, or
/// where it is taken for the policy of every name; a domain's own record hides it, and receivers discard other text (RFC 9989 4.10).
async fn wildcard(net: &Net, facts: &Facts) -> Result<Option<String>, (String, DnsFailure)> {
    let untold = |failure| (format!("names below {}", facts.domain), failure);
    let name = format!("_dmarc.wp{:012x}.{}", rand::random::<u64>() >> 16, facts.domain);
    let mut texts = match super::texts(net, &name).await {
        Lookup::Found(texts) => texts,
        Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => return Ok(None),
        Lookup::Failed(failure) => return Err(untold(failure)),
    };
    texts.sort();
    if let Some(policy) = texts.iter().find(|text| is_meant(text)) {
        return Ok(Some(policy.clone()));
    }
    match super::texts(net, &format!("_dmarc.{}", facts.domain)).await {
        Lookup::Found(mut own) => {
            own.sort();
            Ok(if own == texts { texts.into_iter().next() } else { None })
        }
        Lookup::Missing(_) => Ok(None),
        Lookup::Failed(failure) => Err(untold(failure)),
    }
}

fn wild_answer(facts: &Facts, wild: Result<Option<String>, (String, DnsFailure)>, part: &mut Part) {
    let domain = facts.domain.as_str();
    match wild {
        Ok(None) => {}
        Ok(Some(text)) => {
            let whom = if is_meant(&text) { "every _dmarc name under it" } else { "_dmarc, where no record of its own stands," };
            let seen = format!("A wildcard below {domain} answers for {whom} with “{}”", quoted(&text));
            part.find(remark("dmarc.cname_or_wildcard", domain, seen));
        }
        Err((name, failure)) => part.unknown("dmarc", format!("{name}: {failure}")),
    }
}

/// Receivers of the older standard find the organisation by the public suffix list, those of the present one by the walk.
fn two_methods(facts: &Facts, walk: &Walk, part: &mut Part) {
    let domain = facts.domain.as_str();
    let Some(walked) = walk.organisation.as_deref() else {
        // Whether sp= and np= of its own record are read hangs on it as well.
        for rule in ["dmarc.org_domain_differs", "dmarc.sp_weaker", "dmarc.np_missing"] {
            part.untold(rule, format!("the organisational domain of {domain}: a name above it did not answer"));
        }
        return;
    };
    let Some(listed) = psl::domain_str(domain) else { return };
    if walked == listed {
        return;
    }
    let seen = format!("The organisation of {domain} is {walked} by its DMARC records and {listed} by the public suffix list");
    part.find(remark("dmarc.org_domain_differs", domain, seen).with("walked", walked).with("listed", listed));
}

/// Where the way to a stronger policy begins, and with whose record.
fn start<'a>(facts: &'a Facts, options: &AuditOptions, walk: &'a Walk, mended: Option<&'a Mended>) -> Start<'a> {
    let domain = facts.domain.as_str();
    let own = Start {
        owner: domain,
        record: None,
        better: mended.map(|mended| &mended.record),
        mailbox: mended.and_then(|mended| mended.mailbox.as_deref()),
        lost: mended.and_then(|mended| mended.lost.as_deref()),
        organisation: walk.is_organisation(),
        inherited: false,
        parked: is_parked(facts, options),
    };
    match &walk.policy {
        Some((origin @ Origin::Organisation, published)) if !of_registry(*origin, published) => {
            Start { owner: &published.at, record: Some(&published.record), organisation: true, inherited: true, parked: false, ..own }
        }
        Some((Origin::Own, published)) => Start { record: Some(&published.record), ..own },
        // A registry's policy is not the domain's to change: it publishes its own.
        Some(_) | None => Start { organisation: organisational(domain) == domain, ..own },
    }
}

fn detail(facts: &Facts, options: &AuditOptions, walk: &Walk, mended: Option<&Mended>) -> Option<DmarcDetail> {
    let domain = facts.domain.as_str();
    let exists = !facts.nxdomain;
    // Whose mailbox takes the reports of an inherited policy is its owner's to say.
    let inherited = walk.policy.as_ref().filter(|(origin, published)| *origin == Origin::Organisation && !of_registry(*origin, published));
    let mailbox = match inherited {
        Some((_, published)) => Some(dmarc_mend::mailbox_at(&published.at)),
        None => dmarc_mend::mailbox(facts),
    };
    let start = Start { mailbox: mailbox.as_deref(), ..start(facts, options, walk, mended) };
    let path = if exists { steps(start) } else { Vec::new() };
    let Some((_, published)) = &walk.policy else {
        return exists.then(|| DmarcDetail {
            owner: domain.to_owned(),
            policy: String::new(),
            subdomains: None,
            nonexistent: None,
            testing: false,
            dkim_alignment: alignment(false),
            spf_alignment: alignment(false),
            reports: Vec::new(),
            path,
        });
    };
    let record = &published.record;
    let below = walk.below().map(|below| &below.record);
    Some(DmarcDetail {
        owner: published.at.clone(),
        policy: walk.applies(exists).map_or("none", Policy::as_str).to_owned(),
        subdomains: below.map(|record| record.subdomains().as_str().to_owned()),
        nonexistent: below.map(|record| record.nonexistent().as_str().to_owned()),
        testing: record.testing,
        dkim_alignment: alignment(record.strict_dkim),
        spf_alignment: alignment(record.strict_spf),
        reports: record.rua.iter().map(|address| address.mailbox.clone()).collect(),
        path,
    })
}

fn alignment(strict: bool) -> String {
    if strict { "strict" } else { "relaxed" }.to_owned()
}
