//! A record that was there and is gone: before it counts as removed, the name servers of its zone are asked themselves. A resolver's cache,
//! a broken secondary or a rewriting network may hide a record that its owner never touched.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use futures::future::join_all;
use waypost_types::outcome::Status;

use super::{AuditOptions, Facts, Family, Part};
use crate::net::{Lookup, Net, QueryFlags, RecordType};

/// Servers of a zone that are asked.
const MOST_SERVERS: usize = 4;
/// Names of one family that are confirmed; DKIM has one per selector.
const MOST_NAMES: usize = 10;
/// Aliases followed from server to server.
const MOST_ALIASES: usize = 4;
/// Labels above a name where its zone is looked for.
const MOST_STEPS: usize = 8;
/// Waiting for one server.
const LIMIT: Duration = Duration::from_secs(3);

/// Where name servers listen.
pub(super) const PORT: u16 = 53;

/// Asks for whatever the last audit saw and this one did not, and turns "missing" into "could not be told" where a server still has it.
pub(super) async fn confirm(net: &Net, facts: &Facts, options: &AuditOptions, server_port: u16, parts: &mut BTreeMap<Family, Part>) {
    let looks = parts.iter().flat_map(|(family, part)| gone(*family, part, facts, options).into_iter().map(|gone| (*family, gone)));
    let looks: Vec<(Family, Gone)> = looks.collect();
    let answers = join_all(looks.iter().map(|(_, gone)| still_there(net, gone, server_port))).await;
    for ((family, gone), server) in looks.into_iter().zip(answers) {
        let (Some(server), Some(part)) = (server, parts.get_mut(&family)) else { continue };
        let about = |subject: &str| subject == gone.name || subject == facts.domain.as_str();
        part.findings.retain(|finding| {
            !(about(&finding.subject) && ["missing", "none_found", "alias_dangling"].iter().any(|gone| finding.rule.ends_with(gone)))
        });
        if part.records.is_empty() {
            part.word(Status::None, "Not confirmed");
        }
        part.unknown(
            family.key(),
            format!("the resolver says that {} has no such record, but the name server {server} still has it; it is looked at again", gone.name),
        );
    }
}

/// A record that is not seen any more.
struct Gone {
    name: String,
    kind: RecordType,
    /// How the text begins, so that other TXT records of the name do not count.
    prefix: &'static str,
}

fn gone(family: Family, part: &Part, facts: &Facts, options: &AuditOptions) -> Vec<Gone> {
    let domain = facts.domain.as_str();
    let known: Vec<&str> = options.known.last(family).collect();
    if known.is_empty() || part.unknown.iter().any(|unknown| unknown.subject == family.key() && unknown.reason != super::NO_USUAL_SELECTOR) {
        return Vec::new();
    }
    let txt = |name: String, prefix| vec![Gone { name, kind: RecordType::TXT, prefix }];
    match family {
        Family::Dkim => {
            let selector = |record: &str| record.split_once(": ").map(|(selector, _)| selector.to_owned());
            let there: Vec<String> = part.records.iter().filter_map(|record| selector(record)).collect();
            let mut missing: Vec<String> = known.iter().filter_map(|record| selector(record)).filter(|name| !there.contains(name)).collect();
            missing.dedup();
            missing
                .into_iter()
                .take(MOST_NAMES)
                .map(|selector| Gone { name: format!("{selector}._domainkey.{domain}"), kind: RecordType::TXT, prefix: "" })
                .collect()
        }
        _ if !part.records.is_empty() => Vec::new(),
        Family::Mx => vec![Gone { name: domain.to_owned(), kind: RecordType::MX, prefix: "" }],
        Family::Spf => txt(domain.to_owned(), "v=spf1"),
        Family::Dmarc => txt(format!("_dmarc.{domain}"), "v=dmarc1"),
        Family::MtaSts => txt(format!("_mta-sts.{domain}"), "v=stsv1"),
        Family::TlsRpt => txt(format!("_smtp._tls.{domain}"), "v=tlsrptv1"),
        Family::Bimi => txt(format!("default._bimi.{domain}"), "v=bimi1"),
        // What these show is judged by what resolvers answer.
        Family::Dane | Family::Ptr | Family::Dnssec | Family::Ns => Vec::new(),
    }
}

/// The name server that still has it, if any. Servers that do not answer prove nothing: then the resolver's word stands.
async fn still_there(net: &Net, gone: &Gone, port: u16) -> Option<String> {
    let mut name = gone.name.clone();
    for _ in 0..MOST_ALIASES {
        let servers = servers_of(net, &name).await;
        let answers = join_all(servers.iter().take(MOST_SERVERS).map(|server| ask(net, server, &name, gone, port))).await;
        let mut alias = None;
        for (server, answer) in servers.iter().zip(answers) {
            match answer {
                Answer::Has => return Some(server.clone()),
                Answer::Alias(target) => alias = alias.or(Some(target)),
                Answer::HasNot => {}
            }
        }
        name = alias?;
    }
    None
}

/// The servers of the zone that a name lies in.
async fn servers_of(net: &Net, name: &str) -> Vec<String> {
    let mut at = name;
    for _ in 0..MOST_STEPS {
        match net.dns().ns(at).await {
            Lookup::Found(servers) => return servers,
            Lookup::Failed(_) => return Vec::new(),
            Lookup::Missing(_) => match at.split_once('.') {
                Some((_, parent)) if parent.contains('.') => at = parent,
                _ => return Vec::new(),
            },
        }
    }
    Vec::new()
}

enum Answer {
    Has,
    Alias(String),
    HasNot,
}

async fn ask(net: &Net, server: &str, name: &str, gone: &Gone, port: u16) -> Answer {
    let Some(address) = net.dns().addresses(server).await.found().into_iter().next() else { return Answer::HasNot };
    let question = net.query(Some(SocketAddr::new(address, port)), name, gone.kind, QueryFlags::default());
    let Ok(Ok(answer)) = tokio::time::timeout(LIMIT, question).await else { return Answer::HasNot };
    let there = match gone.kind {
        RecordType::MX => answer.has(RecordType::MX),
        _ => answer.texts().iter().any(|text| text.to_ascii_lowercase().starts_with(gone.prefix)),
    };
    if there { Answer::Has } else { answer.alias().map_or(Answer::HasNot, Answer::Alias) }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use waypost_types::DomainName;

    use super::*;
    use crate::{
        audit::{Known, audit_families_at},
        net::tests::{Say, Server},
    };

    fn known(family: Family, records: &[&str]) -> Known {
        let seen: Vec<(String, DateTime<Utc>)> = records.iter().map(|record| ((*record).to_owned(), DateTime::UNIX_EPOCH)).collect();
        Known { records: [(family.key().to_owned(), seen)].into() }
    }

    /// What the audit says when the resolver knows no record and the zone's own server says `authority`.
    async fn look(family: Family, before: &[&str], authority: &[(&str, &str)], others: &[(&str, Say)]) -> (Vec<String>, Vec<String>) {
        let own = Server::start(authority, others).await;
        let resolver =
            [("e.example", "NS ns.e.example"), ("ns.e.example", "A 127.0.0.1"), ("e.example", "A 203.0.113.1"), ("p.example", "NS ns.e.example")];
        let resolver = Server::start(&resolver, &[]).await;
        let options = AuditOptions { known: known(family, before), ..AuditOptions::default() };
        let domain: DomainName = "e.example".parse().unwrap();
        let report = audit_families_at(&resolver.net(), &domain, &options, &[family], own.address.port()).await;
        let unknown = report.unknown.iter().filter(|part| part.reason.contains("still has it")).map(|part| part.subject.clone());
        (report.findings.into_iter().map(|finding| finding.rule).collect(), unknown.collect())
    }

    #[tokio::test]
    async fn what_a_server_of_the_zone_still_has_is_not_gone() {
        let spf = ("e.example", "TXT v=spf1 -all");
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[spf], &[]).await, (vec![], vec!["spf".to_owned()]));
        // The zone has it no more, or another TXT record only: it is gone.
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[], &[]).await, (vec!["spf.missing".to_owned()], vec![]));
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[("e.example", "TXT other")], &[]).await.1, Vec::<String>::new());
        // It never was there: nobody is asked.
        assert_eq!(look(Family::Spf, &[], &[spf], &[]).await, (vec!["spf.missing".to_owned()], vec![]));
        // A server that does not answer proves nothing.
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[], &[("e.example", Say::Silence)]).await.0, vec!["spf.missing".to_owned()]);
    }

    #[tokio::test]
    async fn selectors_are_confirmed_one_by_one_and_aliases_are_followed() {
        let key = ("s1._domainkey.e.example", "TXT v=DKIM1; p=");
        assert_eq!(look(Family::Dkim, &["s1: v=DKIM1; p="], &[key], &[]).await.1, ["dkim"]);
        assert_eq!(look(Family::Dkim, &["s2: v=DKIM1; p="], &[key], &[]).await.1, Vec::<String>::new());
        let alias = [("_dmarc.e.example", "CNAME d.p.example"), ("d.p.example", "TXT v=DMARC1; p=none")];
        assert_eq!(look(Family::Dmarc, &["v=DMARC1; p=none"], &alias, &[]).await, (vec![], vec!["dmarc".to_owned()]));
        assert_eq!(look(Family::Mx, &["10 mx.e.example"], &[("e.example", "MX 10 mx.e.example")], &[]).await.1, ["mx"]);
    }
}
