//! Reverse names of an address of which nothing else is known: there is one, it leads back (RFC 8601 2.7.3), and somebody chose it.

use std::{net::IpAddr, time::Duration};

use futures::future::join_all;
use hickory_proto::rr::Name;
use waypost_types::{
    Severity,
    finding::Finding,
    lookup::{ReverseName, ReverseReport},
    outcome::{CheckSummary, Status},
};

use super::{
    helo::is_full,
    ptr_names::{Generic, generic},
    rules::{self, Remark, remark},
};
use crate::net::{Lookup, Net, not_public, plain};

/// Reverse names that are resolved back and shown.
pub(super) const MOST_NAMES: usize = 10;

/// What the reverse zone says.
pub(super) enum Names {
    /// The first of them, each with whether it leads back, and how many there are.
    Some(Vec<ReverseName>, usize),
    Missing,
    Unknown(String),
}

/// Asks for the names, and for the addresses of each.
pub(super) async fn names(net: &Net, address: IpAddr) -> Names {
    // Reverse zones of private networks are nobody's business but theirs, and what the public DNS says of them means nothing.
    let elsewhere = |reason: &str| Names::Unknown(format!("it is {reason}; its reverse name can be told in its own network only"));
    if let Some(reason) = not_public(address).filter(|_| net.egress_check(address).is_err()) {
        return elsewhere(reason);
    }
    let all = match net.dns().ptr(address).await {
        Lookup::Found(names) => names,
        // The command line may stand in that network, or not.
        Lookup::Missing(_) => return net.hidden(address).map_or(Names::Missing, elsewhere),
        Lookup::Failed(failure) => return Names::Unknown(failure.to_string()),
    };
    let count = all.len();
    let looks = all.into_iter().take(MOST_NAMES).map(|name| async move {
        let leads_back = match net.dns().addresses_like(&name, address).await {
            Lookup::Found(addresses) => Some(addresses.iter().any(|found| found.to_canonical() == address)),
            Lookup::Missing(_) => Some(false),
            Lookup::Failed(_) => None,
        };
        ReverseName { name, leads_back }
    });
    Names::Some(join_all(looks).await, count)
}

/// What a name says of an address.
pub(super) enum Back<'a> {
    /// This one leads back, which is enough.
    Match(&'a str),
    /// None does.
    Mismatch,
    /// None does, but of this one it could not be told.
    Unknown(&'a str),
    /// None of the first ones does, and the others were not asked.
    TooMany,
}

/// One name that leads back is enough; without one, a name that could not be resolved may be it.
pub(super) fn back(names: &[ReverseName], count: usize) -> Back<'_> {
    let first = |wanted: Option<bool>| names.iter().find(|name| name.leads_back == wanted).map(|name| name.name.as_str());
    match (first(Some(true)), first(None)) {
        (Some(name), _) => Back::Match(name),
        (None, Some(name)) => Back::Unknown(name),
        (None, None) if count > names.len() => Back::TooMany,
        (None, None) => Back::Mismatch,
    }
}

/// The finding about an address without a name, with the record that would give it one.
pub(super) fn missing(address: IpAddr, shown: &str, wanted: &str) -> Remark {
    named(remark("ptr.missing", &address.to_string(), format!("{shown} has no reverse name")).with("helo", wanted), address, wanted)
}

/// The finding about names that do not lead back, with the record that would make one do so.
pub(super) fn mismatch(address: IpAddr, names: &[&str], wanted: &str) -> Remark {
    let subject = address.to_string();
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    let shown: Vec<&str> = names.iter().map(|name| if name.is_empty() { "“.”" } else { name }).collect();
    let seen = format!("The reverse name of {address}, {}, does not resolve back to it", shown.join(", "));
    let found = remark("ptr.fcrdns_mismatch", &subject, seen);
    match names.iter().find(|name| is_full(name)) {
        Some(name) => found.with("name", name).with("ip", &subject).record(kind, *name, &subject),
        // “localhost”, an address or nothing at all: nobody can give such a name the address.
        None => named(found.fix(rules::rule("ptr.missing").map_or_else(String::new, |rule| rule.fix.replace("{helo}", wanted))), address, wanted),
    }
}

/// The finding about names that nobody chose; nothing where one was chosen. Names under one of the `own` domains were.
pub(super) fn unchosen(address: IpAddr, names: &[&str], own: &[&str], wanted: &str) -> Option<Remark> {
    let kinds: Vec<Generic> = names.iter().map(|name| generic(name, address, own)).collect::<Option<_>>()?;
    let (how, severity) = if kinds.contains(&Generic::Line) {
        ("looks like that of a dial-up line", Severity::High)
    } else {
        ("is one that its hoster made of the address", Severity::Medium)
    };
    let seen = format!("The reverse name of {address}, {}, {how}", names.join(", "));
    Some(named(remark("ptr.generic", &address.to_string(), seen).severity(severity).with("name", wanted), address, wanted))
}

fn named(found: Remark, address: IpAddr, wanted: &str) -> Remark {
    found.record("PTR", plain(&Name::from(address)), format!("{wanted}."))
}

/// Looks at the reverse names of an address. It is judged as one that sends mail: for another, its reverse name hardly matters.
pub async fn reverse(net: &Net, address: IpAddr, limit: Duration) -> ReverseReport {
    let late = |_| Names::Unknown("the answers did not come in time".to_owned());
    report(address, tokio::time::timeout(limit, names(net, address)).await.unwrap_or_else(late))
}

fn report(address: IpAddr, names: Names) -> ReverseReport {
    // Nobody knows what the host is called; the reader does.
    const WANTED: &str = "mail.example.com";
    let said = |names, status, word: &str, reason: String, findings: Vec<Finding>, complete| ReverseReport {
        address: address.to_string(),
        names,
        reverse: CheckSummary { status, word: word.to_owned() },
        reason,
        findings,
        complete,
    };
    let (names, count) = match names {
        Names::Some(names, count) => (names, count),
        Names::Missing => {
            let reason = format!("{address} has no reverse name. Many receivers refuse mail from such an address.");
            let found = missing(address, &address.to_string(), WANTED).done();
            return said(Vec::new(), Status::Warn, "Missing", reason, vec![found], true);
        }
        Names::Unknown(reason) => {
            return said(Vec::new(), Status::None, "No answer", format!("The reverse name could not be told: {reason}."), Vec::new(), false);
        }
    };
    let complete = names.iter().all(|name| name.leads_back.is_some());
    let texts: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    let (status, word, reason, findings) = match back(&names, count) {
        Back::Match(name) => match unchosen(address, &texts, &[], WANTED).map(Remark::done) {
            Some(found) => (Status::Warn, "Generic", format!("{}. Receivers take such an address for a line at home.", found.summary), vec![found]),
            None => (Status::Ok, "Match", format!("The reverse name {name} leads back to {address}."), Vec::new()),
        },
        Back::Unknown(name) => {
            (Status::None, "No answer", format!("Whether the reverse name {name} leads back to {address} could not be told."), Vec::new())
        }
        Back::TooMany => {
            let reason =
                format!("{address} has {count} reverse names, and the first {MOST_NAMES} do not lead back to it; the others were not asked.");
            (Status::None, "No answer", reason, Vec::new())
        }
        Back::Mismatch => {
            let name = texts.first().copied().unwrap_or_default();
            let reason = format!("The reverse name {name} does not lead back to {address}. Receivers do not believe such a name.");
            (Status::Warn, "Mismatch", reason, vec![mismatch(address, &texts, WANTED).done()])
        }
    };
    said(names, status, word, reason, findings, complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_that_leads_back_is_enough_and_unknown_is_no_mismatch() {
        let name = |name: &str, leads_back| ReverseName { name: name.to_owned(), leads_back };
        let mail = |leads_back| name("mail.example.com", leads_back);
        let address: IpAddr = "192.0.2.25".parse().unwrap();
        for (names, word, rule, complete) in [
            (Names::Some(vec![mail(Some(false)), mail(Some(true))], 2), "Match", None, true),
            (Names::Some(vec![mail(None), mail(Some(true))], 2), "Match", None, false),
            (Names::Some(vec![mail(Some(false)), mail(None)], 2), "No answer", None, false),
            (Names::Some(vec![mail(Some(false))], 11), "No answer", None, true),
            (Names::Some(vec![mail(Some(false))], 1), "Mismatch", Some("ptr.fcrdns_mismatch"), true),
            (Names::Some(vec![name("192-0-2-25.dyn.isp.example", Some(true))], 1), "Generic", Some("ptr.generic"), true),
            (Names::Some(vec![name("192-0-2-25.dyn.isp.example", Some(true)), mail(Some(true))], 2), "Match", None, true),
            (Names::Missing, "Missing", Some("ptr.missing"), true),
            (Names::Unknown("no answer".to_owned()), "No answer", None, false),
        ] {
            let found = report(address, names);
            assert_eq!((found.reverse.word.as_str(), found.complete), (word, complete), "{}", found.reason);
            assert_eq!(found.findings.iter().map(|finding| finding.rule.as_str()).next(), rule, "{}", found.reason);
        }
    }
}
