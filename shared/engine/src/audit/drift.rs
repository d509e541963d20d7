//! What changed between two looks at the same records, in words that name who and what: a sender is new in SPF, a key was replaced, a policy
//! became weaker. Pure: what is worth telling to whom is decided elsewhere.

use std::collections::BTreeMap;

use waypost_types::{
    UnknownPart,
    audit::AuditDetail,
    drift::{ChangeForm, ChangeKind, RecordChange},
    outcome::AuditReport,
};

use super::{Family, tags::tags};
use crate::spf;

/// Changes told of one event; more are counted.
pub(super) const MOST_CHANGES: usize = 30;
/// Characters of a value that are quoted.
const MOST_QUOTED: usize = 80;

/// The records of a family as a report has them, in an order that does not depend on the name server's. Nothing where the report could not tell.
///
/// What is looked at piece by piece (DKIM by selector, reverse names by address, TLSA by host) keeps of `before` what could not be looked at this time.
pub fn records_of(report: &AuditReport, family: Family, before: &[String]) -> Option<Vec<String>> {
    let key = family.key();
    // A family that was not part of the audit tells nothing.
    report.checks.get(key)?;
    let mut records = report.records.get(key).cloned().unwrap_or_default();
    let blind: Vec<&UnknownPart> = report.unknown.iter().filter(|part| part.subject == key && part.is_silence()).collect();
    if !blind.is_empty() {
        let seen: Vec<String> = records.iter().map(|record| piece(family, record).to_owned()).collect();
        let unseen = |record: &&String| !seen.iter().any(|name| name == piece(family, record));
        match family {
            Family::Dkim | Family::Ptr | Family::Dane | Family::MtaSts => {
                let untold = |record: &&String| blind.iter().any(|part| part.about.as_deref().is_none_or(|about| is_piece(family, about, record)));
                let asked = |record: &&String| family != Family::Dkim || !report.detail.dkim_unasked.iter().any(|name| name == piece(family, record));
                records.extend(before.iter().filter(|record| unseen(record) && untold(record) && asked(record)).cloned());
            }
            // The domain's own record may be hidden while that of its parent is seen.
            Family::Dmarc if blind.iter().any(|part| part.about.is_some()) && before.iter().any(|record| unseen(&record)) => return None,
            // One answer gives all of them: with records it was had, and something below them was not.
            _ if records.is_empty() => return None,
            _ => {}
        }
    }
    records.sort();
    records.dedup();
    Some(records)
}

/// What a record of a family that has many is about.
pub(super) fn piece(family: Family, record: &str) -> &str {
    match family {
        Family::Dkim => record.split_once(": ").map_or(record, |(selector, _)| selector),
        Family::MtaSts if record.starts_with("v=STSv1") => "txt",
        Family::MtaSts => "policy",
        // The name of a parent whose policy it is; one of the domain's own has none.
        Family::Dmarc => record.split_once(": ").map(|(name, _)| name).filter(|name| name.starts_with("_dmarc.")).unwrap_or_default(),
        _ => record.split_once(' ').map_or(record, |(name, _)| name),
    }
}

/// Whether a record is about what an unknown part names.
fn is_piece(family: Family, about: &str, record: &str) -> bool {
    let piece = piece(family, record);
    match family {
        Family::Dkim => about.strip_prefix(piece).is_some_and(|rest| rest.starts_with("._domainkey.")),
        _ => about == piece,
    }
}

/// What is different, in words. Empty when both mean the same.
pub fn changes(family: Family, before: &[String], after: &[String], detail: &AuditDetail) -> Vec<RecordChange> {
    if before == after {
        return Vec::new();
    }
    let mut found = match family {
        Family::Spf => spf_changes(before, after, detail),
        Family::Dkim => dkim_changes(before, after, &detail.dkim_unasked),
        Family::Dmarc | Family::TlsRpt | Family::Bimi => tag_changes(family, before, after),
        Family::MtaSts => mta_sts_changes(before, after),
        Family::Mx => mx_changes(before, after),
        Family::Ptr | Family::Dane => keyed_changes(before, after),
        Family::Ns => line_changes("name server ", before, after),
        Family::Dnssec => line_changes("", before, after),
    };
    if found.is_empty() {
        found.push(changed("the record is written differently and means the same"));
    }
    if found.len() > MOST_CHANGES {
        let more = found.len() - MOST_CHANGES;
        found.truncate(MOST_CHANGES);
        found.push(changed(format!("and {more} more")));
    }
    found
}

/// This is new.
pub(crate) fn added(thing: impl Into<String>) -> RecordChange {
    RecordChange { kind: ChangeKind::Added, text: thing.into(), form: ChangeForm::Thing }
}

/// This is gone.
pub(crate) fn removed(thing: impl Into<String>) -> RecordChange {
    RecordChange { kind: ChangeKind::Removed, text: thing.into(), form: ChangeForm::Thing }
}

/// Something has another value, as the words say.
pub(crate) fn changed(sentence: impl Into<String>) -> RecordChange {
    says(ChangeKind::Changed, sentence)
}

/// The words say what happened.
pub(crate) fn says(kind: ChangeKind, sentence: impl Into<String>) -> RecordChange {
    RecordChange { kind, text: sentence.into(), form: ChangeForm::Sentence }
}

pub(crate) fn quoted(text: &str) -> String {
    if text.chars().count() <= MOST_QUOTED { text.to_owned() } else { text.chars().take(MOST_QUOTED).chain(['…']).collect() }
}

/// Lines that came and went.
fn line_changes(what: &str, before: &[String], after: &[String]) -> Vec<RecordChange> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| removed(format!("{what}{}", quoted(line))));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| added(format!("{what}{}", quoted(line))));
    gone.chain(new).collect()
}

fn spf_changes(before: &[String], after: &[String], detail: &AuditDetail) -> Vec<RecordChange> {
    match (before, after) {
        ([], [only]) => return vec![added(format!("SPF record: {}", quoted(only)))],
        ([only], []) => return vec![removed(format!("SPF record: {}", quoted(only)))],
        ([_], [_]) => {}
        _ => return line_changes("SPF record: ", before, after),
    }
    let terms = |text: &str| -> Vec<String> { text.split_ascii_whitespace().skip(1).map(str::to_ascii_lowercase).collect() };
    let (old, new) = (terms(&before[0]), terms(&after[0]));
    let all = |terms: &[String]| terms.iter().find(|term| is_all(term)).cloned();
    let service = |term: &str| {
        let target = term.trim_start_matches(['+', '-', '~', '?']).strip_prefix("include:")?;
        let nodes = detail.spf.iter().flat_map(|spf| &spf.tree.terms).filter_map(|term| term.policy.as_ref());
        nodes.filter(|node| node.domain == target).find_map(|node| node.service.clone())
    };
    let named = |term: &str| service(term).map_or_else(|| quoted(term), |service| format!("{} ({service})", quoted(term)));
    let mut found: Vec<RecordChange> = Vec::new();
    for term in old.iter().filter(|term| !is_all(term) && !new.contains(term)) {
        found.push(if lets_send(term) { says(ChangeKind::Removed, format!("{} may no longer send", named(term))) } else { removed(quoted(term)) });
    }
    for term in new.iter().filter(|term| !is_all(term) && !old.contains(term)) {
        found.push(if lets_send(term) { says(ChangeKind::Added, format!("{} may send now", named(term))) } else { added(quoted(term)) });
    }
    match (all(&old), all(&new)) {
        (Some(old), Some(new)) if old != new => found.push(changed(format!("all other hosts: {old}, now {new}"))),
        (Some(old), None) => found.push(removed(format!("{old}, the rule for all other hosts"))),
        (None, Some(new)) => found.push(added(format!("{new}, the rule for all other hosts"))),
        _ => {}
    }
    if found.is_empty() && old != new {
        found.push(changed("the same terms stand in another order"));
    }
    found
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']) == "all"
}

fn lets_send(term: &str) -> bool {
    let record = format!("v=spf1 {term}");
    spf::parse(record.as_bytes()).is_ok_and(|record| record.directives.iter().any(|directive| directive.qualifier == spf::Qualifier::Pass))
}

/// Records by what they are about, the part before `separator`.
fn by_name<'a>(records: &'a [String], separator: &str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in records {
        let (name, value) = record.split_once(separator).unwrap_or((record, ""));
        map.entry(name).or_default().push(value);
    }
    map
}

fn dkim_changes(before: &[String], after: &[String], unasked: &[String]) -> Vec<RecordChange> {
    let (old, new) = (by_name(before, ": "), by_name(after, ": "));
    let key = |values: &[&str]| values.first().and_then(|text| tags(text).ok()).and_then(|tags| tags.into_iter().find(|(name, _)| name == "p"));
    let bare = |values: &[&str]| key(values).map(|(_, p)| p.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    let mut found: Vec<RecordChange> = Vec::new();
    for (selector, values) in &old {
        match new.get(selector) {
            None if unasked.iter().any(|name| name == selector) => {
                found.push(changed(format!("selector {selector} is not looked at any more: nobody names it")));
            }
            None => found.push(removed(format!("key of selector {selector}"))),
            Some(now) if now == values => {}
            Some(now) => match (bare(values), bare(now)) {
                (Some(was), Some(is)) if was == is => found.push(changed(format!("selector {selector}: the same key, with other tags"))),
                (_, Some(is)) if is.is_empty() => {
                    found.push(says(ChangeKind::Removed, format!("key of selector {selector} was revoked (empty p=)")));
                }
                _ => found.push(changed(format!("key of selector {selector} was replaced"))),
            },
        }
    }
    found.extend(new.keys().filter(|selector| !old.contains_key(**selector)).map(|selector| added(format!("key of selector {selector}"))));
    found
}

/// Records made of `name=value;` tags.
fn tag_changes(family: Family, before: &[String], after: &[String]) -> Vec<RecordChange> {
    let name = match family {
        Family::TlsRpt => "TLS-RPT record",
        Family::Bimi => "BIMI record",
        _ => "DMARC record",
    };
    let ([old], [new]) = (before, after) else { return line_changes(&format!("{name}: "), before, after) };
    let (Ok(old), Ok(new)) = (tags(old), tags(new)) else { return line_changes(&format!("{name}: "), before, after) };
    let words = |tag: &str| match (family, tag) {
        (Family::Dmarc, "p") => "policy (p)".to_owned(),
        (Family::Dmarc, "sp") => "policy for subdomains (sp)".to_owned(),
        (Family::Dmarc, "np") => "policy for names that do not exist (np)".to_owned(),
        (Family::Dmarc | Family::TlsRpt, "rua") => "report address (rua)".to_owned(),
        (Family::Bimi, "l") => "logo (l)".to_owned(),
        (Family::Bimi, "a") => "mark certificate (a)".to_owned(),
        (_, tag) => tag.to_owned(),
    };
    let mut found: Vec<RecordChange> = Vec::new();
    for (tag, value) in &old {
        match new.iter().find(|(name, _)| name == tag) {
            None => found.push(removed(format!("{}: {}", words(tag), quoted(value)))),
            Some((_, now)) if now != value => found.push(changed(format!("{}: {}, now {}", words(tag), quoted(value), quoted(now)))),
            Some(_) => {}
        }
    }
    let fresh = new.iter().filter(|(tag, _)| !old.iter().any(|(name, _)| name == tag));
    found.extend(fresh.map(|(tag, value)| added(format!("{}: {}", words(tag), quoted(value)))));
    found
}

fn mta_sts_changes(before: &[String], after: &[String]) -> Vec<RecordChange> {
    let part = |records: &[String], wanted: &str| records.iter().find(|record| piece(Family::MtaSts, record) == wanted).cloned();
    let (old_txt, new_txt) = (part(before, "txt"), part(after, "txt"));
    let mut found: Vec<RecordChange> = match (&old_txt, &new_txt) {
        (Some(old), Some(new)) if old != new => vec![changed(format!("TXT record: {}, now {}", quoted(old), quoted(new)))],
        (Some(old), None) => vec![removed(format!("TXT record: {}", quoted(old)))],
        (None, Some(new)) => vec![added(format!("TXT record: {}", quoted(new)))],
        _ => Vec::new(),
    };
    match (part(before, "policy"), part(after, "policy")) {
        (None, Some(_)) => found.push(added("policy file")),
        (Some(_), None) => found.push(removed("policy file")),
        (Some(old), Some(new)) => {
            let lines = |text: &str| -> Vec<String> { text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect() };
            found.extend(line_changes("policy: ", &lines(&old), &lines(&new)));
        }
        (None, None) => {}
    }
    found
}

fn mx_changes(before: &[String], after: &[String]) -> Vec<RecordChange> {
    let hosts = |records: &[String]| -> BTreeMap<String, String> {
        records.iter().filter_map(|record| record.split_once(' ')).map(|(preference, host)| (host.to_owned(), preference.to_owned())).collect()
    };
    let (old, new) = (hosts(before), hosts(after));
    let mut found: Vec<RecordChange> = Vec::new();
    for (host, preference) in &old {
        match new.get(host) {
            None => found.push(removed(format!("MX host {host} (preference {preference})"))),
            Some(now) if now != preference => found.push(changed(format!("MX host {host}: preference {preference}, now {now}"))),
            Some(_) => {}
        }
    }
    let fresh = new.iter().filter(|(host, _)| !old.contains_key(*host));
    found.extend(fresh.map(|(host, preference)| added(format!("MX host {host} (preference {preference})"))));
    found
}

/// `name value…` lines: reverse names by address, TLSA records by host.
fn keyed_changes(before: &[String], after: &[String]) -> Vec<RecordChange> {
    let (old, new) = (by_name(before, " "), by_name(after, " "));
    let all = |values: &[&str]| quoted(&values.join(", "));
    let mut found: Vec<RecordChange> = Vec::new();
    for (name, values) in &old {
        match new.get(name) {
            None => found.push(removed(format!("{name}: {}", all(values)))),
            Some(now) if now != values => found.push(changed(format!("{name}: {}, now {}", all(values), all(now)))),
            Some(_) => {}
        }
    }
    found.extend(new.iter().filter(|(name, _)| !old.contains_key(*name)).map(|(name, values)| added(format!("{name}: {}", all(values)))));
    found
}
