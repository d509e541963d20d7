//! The SPF record as an administrator should see it: syntax, and what it lets through (RFC 7208). What it costs is `spf_cost`; evaluating one
//! address is `crate::spf`.

use std::collections::BTreeSet;

use waypost_types::{Severity, outcome::Status};

use super::{AuditOptions, Facts, Part, rules::remark, spf_cost::Cost, spf_networks};
use crate::{
    net::Net,
    spf::{FetchError, MAX_LOOKUPS, MAX_NAMES, MAX_VOID_LOOKUPS, Mechanism, Qualifier, Record, fetch, parse},
};

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let bytes = match fetch(net.dns(), domain).await {
        Ok(Some(txt)) => txt,
        Ok(None) => {
            missing(facts, &mut part);
            return part;
        }
        Err(FetchError::Dns(failure)) => {
            part.unknown("spf", failure);
            part.word(Status::None, "No answer");
            return part;
        }
        Err(FetchError::Multiple) => {
            let records: Vec<String> = net
                .dns()
                .txt(domain)
                .await
                .found()
                .into_iter()
                .filter(|txt| crate::spf::is_spf(txt))
                .map(|txt| String::from_utf8_lossy(&txt).into_owned())
                .collect();
            part.find(
                remark("spf.multiple_records", domain, format!("{domain} has {} SPF records; receivers take that as an error", records.len()))
                    .record("TXT", domain, merged(&records)),
            );
            part.records = records;
            part.word(Status::Bad, "Error");
            return part;
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    part.records.push(text.clone());
    match parse(&bytes) {
        Err(error) => {
            part.find(
                remark("spf.syntax", domain, format!("SPF record can not be read: {error}"))
                    .with("term", &error.term)
                    .fix(format!("Correct the term “{}” at character {}: {}.", error.term, error.position, error.reason)),
            );
            part.word(Status::Bad, "Error");
        }
        Ok(record) => judge(net, facts, &text, &record, &mut part).await,
    }
    part
}

fn missing(facts: &Facts, part: &mut Part) {
    let domain = facts.domain.as_str();
    let value = if facts.receives { "v=spf1 mx -all" } else { "v=spf1 -all" };
    part.find(
        remark("spf.missing", domain, format!("{domain} has no SPF record"))
            .fix(if facts.receives {
                "Publish one that names every host that sends for the domain; this one allows its MX hosts only."
            } else {
                "Publish one that says that nobody sends for the domain."
            })
            .record("TXT", domain, value),
    );
    part.word(Status::Bad, "Missing");
}

/// One record with every mechanism of several, ending in the strictest `all` among them.
fn merged(records: &[String]) -> String {
    let mut seen = BTreeSet::new();
    let mut terms: Vec<&str> = records
        .iter()
        .flat_map(|record| record.split(' ').skip(1))
        .filter(|term| !term.is_empty() && !term.to_ascii_lowercase().ends_with("all") && seen.insert(term.to_ascii_lowercase()))
        .collect();
    let all = if records.iter().any(|record| record.to_ascii_lowercase().contains("-all")) { "-all" } else { "~all" };
    terms.insert(0, "v=spf1");
    terms.push(all);
    terms.join(" ")
}

async fn judge(net: &Net, facts: &Facts, text: &str, record: &Record, part: &mut Part) {
    let domain = facts.domain.as_str();
    endings(facts, text, record, part);
    let cost = Cost::of(net, domain.to_owned(), record.clone()).await;
    if cost.lookups > MAX_LOOKUPS {
        part.find(
            remark("spf.too_many_lookups", domain, format!("SPF needs {} DNS lookups, {MAX_LOOKUPS} are allowed", cost.lookups))
                .with("count", cost.lookups.to_string()),
        );
    } else if cost.lookups >= 8 {
        part.find(
            remark("spf.lookups_near_limit", domain, format!("SPF needs {} of {MAX_LOOKUPS} DNS lookups", cost.lookups))
                .with("count", cost.lookups.to_string()),
        );
    }
    if cost.voids.len() > MAX_VOID_LOOKUPS as usize {
        let names = cost.voids.join(", ");
        part.find(
            remark(
                "spf.void_lookups",
                domain,
                format!("{} lookups of the SPF record find nothing, {MAX_VOID_LOOKUPS} are allowed", cost.voids.len()),
            )
            .with("names", names),
        );
    }
    for target in &cost.without_record {
        part.find(
            remark("spf.include_no_record", target, format!("SPF includes {target}, which has no SPF record of its own"))
                .with("target", target)
                .fix(format!("Take {target} out of the record, or correct its name.")),
        );
    }
    for (target, error) in &cost.broken {
        part.find(
            remark("spf.syntax", target, format!("SPF includes {target}, whose record can not be read: {error}"))
                .fix(format!("Tell the operator of {target}; until it is mended take it out of the record.")),
        );
    }
    if let Some(target) = &cost.looped {
        part.find(remark("spf.include_loop", target, format!("SPF comes back to {target}: the record includes itself")));
    }
    for (name, failure) in &cost.failed {
        part.unknown("spf", format!("{name}: {failure}"));
    }
    for (name, count) in &cost.wide_mx {
        part.find(remark("spf.mx_too_many", name, format!("“mx” of {name} names {count} hosts, {MAX_NAMES} are allowed")));
    }
    spf_networks::judge(facts, &cost.networks, part);
    if cost.uses_ptr {
        part.find(remark("spf.ptr_used", domain, "SPF uses “ptr”, which is slow and which the standard says not to use"));
    }
    part.word_by_findings(Status::Ok, if part.findings.iter().any(|f| f.severity >= Severity::High) { "Error" } else { "Pass" });
}

/// What stands at the end of the record, and what is superfluous in it.
fn endings(facts: &Facts, text: &str, record: &Record, part: &mut Part) {
    let domain = facts.domain.as_str();
    let strict = |all: &str| {
        let mut terms: Vec<String> = text.split(' ').filter(|term| !term.is_empty()).map(str::to_owned).collect();
        if let Some(term) = terms.iter_mut().find(|term| matches!(term.to_ascii_lowercase().as_str(), "all" | "+all" | "?all" | "~all")) {
            all.clone_into(term);
        } else {
            terms.push(all.to_owned());
        }
        terms.join(" ")
    };
    let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
    match all.map(|at| record.directives[at].qualifier) {
        Some(Qualifier::Pass) => {
            part.find(remark("spf.plus_all", domain, "SPF ends in “+all”: every host on the internet may send as the domain").record(
                "TXT",
                domain,
                strict("~all"),
            ));
        }
        Some(Qualifier::Neutral) => part.find(remark("spf.neutral_all", domain, "SPF ends in “?all”, which says nothing about other hosts").record(
            "TXT",
            domain,
            strict("~all"),
        )),
        None if record.redirect.is_none() => part.find(
            remark("spf.no_all", domain, "SPF has no “all” at its end: hosts that it does not name are neither allowed nor refused").record(
                "TXT",
                domain,
                strict("~all"),
            ),
        ),
        Some(Qualifier::SoftFail | Qualifier::Fail) | None => {}
    }
    if let Some(at) = all {
        if at + 1 < record.directives.len() {
            part.find(remark("spf.terms_after_all", domain, format!("“{}” stands after “all” and is never read", record.directives[at + 1].text)));
        }
        if record.redirect.is_some() {
            part.find(remark("spf.redirect_with_all", domain, "“redirect” stands beside “all” and is never followed"));
        }
    }
    if facts.null_mx && !text.trim_end().eq_ignore_ascii_case("v=spf1 -all") {
        part.find(remark("spf.non_sending_open", domain, "The domain takes no mail (null MX), yet SPF lets hosts send for it").record(
            "TXT",
            domain,
            "v=spf1 -all",
        ));
    }
    if text.len() > 450 {
        part.find(remark(
            "spf.record_too_big",
            domain,
            format!("The SPF record has {} characters; large answers are lost on some paths", text.len()),
        ));
    }
}
