//! Where DMARC reports go: addresses that can be read, that take mail, and that agreed to take reports about this domain (RFC 9990 4).

use std::collections::BTreeSet;

use futures::future::join_all;
use waypost_types::DomainName;

use super::{
    Facts, Part,
    dmarc_record::{Policy, Record},
    dmarc_tags::{is_exact, quoted},
    dmarc_walk::Published,
    organisational,
    rules::remark,
};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Hosts of report addresses that are asked.
const MOST_HOSTS: usize = 10;
/// Addresses that can not be used and are told.
const MOST_BAD: usize = 5;

/// Looks at `rua=` and `ruf=` of a record.
pub(super) async fn check(net: &Net, facts: &Facts, published: &Published, part: &mut Part) {
    let (record, owner) = (&published.record, format!("_dmarc.{}", published.at));
    written(facts, record, &owner, part);
    let mut asked = BTreeSet::new();
    let all = record.rua.iter().map(|address| ("rua", address)).chain(record.ruf.iter().map(|address| ("ruf", address)));
    let hosts: Vec<_> = all.filter(|(_, address)| asked.insert(&address.host)).take(MOST_HOSTS).collect();
    let answers = join_all(hosts.iter().map(|(_, address)| async {
        let outside = organisational(address.host.as_str()) != organisational(&published.at);
        tokio::join!(takes_mail(net, address.host.as_str()), async {
            if outside { permitted(net, &published.at, &address.host).await } else { Ok(true) }
        })
    }))
    .await;
    for ((name, address), (takes, permits)) in hosts.into_iter().zip(answers) {
        let host = &address.host;
        match takes {
            Ok(true) => {}
            Ok(false) => {
                let seen = format!("{name}={}: {host} takes no mail (no MX, no address, or a null MX), so the reports are lost", address.uri);
                part.find(remark("dmarc.rua_no_mx", &owner, seen).with("host", host.as_str()));
            }
            Err(failure) => part.unknown("dmarc", format!("{host}: {failure}")),
        }
        match permits {
            Ok(true) => {}
            Ok(false) => {
                let seen = format!("{host} does not say that it takes reports about {}, so receivers send none to {}", published.at, address.mailbox);
                part.find(remark("dmarc.rua_external_unauthorised", &owner, seen).with("host", host.as_str()).record(
                    "TXT",
                    permit(&published.at, host),
                    "v=DMARC1",
                ));
            }
            Err(failure) => part.unknown("dmarc", format!("{}: {failure}", permit(&published.at, host))),
        }
    }
}

/// What the addresses show without asking anybody.
fn written(facts: &Facts, record: &Record, owner: &str, part: &mut Part) {
    let mailbox = format!("dmarc@{}", facts.domain);
    for (name, bad) in record.bad_addresses.iter().take(MOST_BAD) {
        let seen = format!("{name}= can not be used: {} (character {}, “{}”)", bad.what, bad.at, quoted(&bad.text));
        let good = if *name == "rua" { &record.rua } else { &record.ruf };
        let mut wanted: Vec<String> = good.iter().map(|address| address.uri.clone()).collect();
        // An address that only lacks its scheme is the one to write.
        let bare = super::dmarc_address::list(&format!("mailto:{}", bad.text), bad.at, 1).0;
        wanted.extend(bare.into_iter().map(|address| address.uri));
        if wanted.is_empty() {
            wanted.push(format!("mailto:{mailbox}"));
        }
        part.find(remark("dmarc.rua_syntax", owner, seen).with("addresses", format!("{name}={}", wanted.join(","))));
    }
    let sized: Vec<&str> = record.rua.iter().chain(&record.ruf).filter(|address| address.size.is_some()).map(|a| a.mailbox.as_str()).collect();
    if !sized.is_empty() {
        let seen = format!("A size limit (“!…”) stands behind {}; such limits are gone since RFC 9989", sized.join(", "));
        part.find(remark("dmarc.size_suffix", owner, seen).record("TXT", owner, record.mended(None)));
    }
    // A name that takes no mail and has all of its mail refused has nothing to learn from reports, nor a mailbox for them.
    if record.tag("rua").is_none() && (facts.receives || record.own() != Policy::Reject) {
        let missing = remark("dmarc.no_rua", owner, "DMARC asks for no reports (no rua=), so nobody sees who sends in the domain's name");
        part.find(missing.with("mailbox", &mailbox).record("TXT", owner, record.mended(Some(&mailbox))));
    }
    if let Some(ruf) = record.tag("ruf") {
        let seen = format!("ruf={} asks for copies of single messages, which may hold personal data; few receivers send them", quoted(&ruf.value));
        part.find(remark("dmarc.ruf_privacy", owner, seen));
    }
}

/// Where a receiver of reports says that it takes those about a domain.
fn permit(about: &str, host: &DomainName) -> String {
    format!("{about}._report._dmarc.{host}")
}

/// Whether a receiver outside the organisation says that it wants these reports; a wildcard there is an answer like any other.
async fn permitted(net: &Net, about: &str, host: &DomainName) -> Result<bool, DnsFailure> {
    match super::texts(net, &permit(about, host)).await {
        Lookup::Found(records) => Ok(records.iter().any(|text| is_exact(text))),
        Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => Ok(false),
        Lookup::Failed(failure) => Err(failure),
    }
}

/// An MX that is not null (RFC 7505), or without any MX an address (RFC 5321 5.1).
pub(super) async fn takes_mail(net: &Net, host: &str) -> Result<bool, DnsFailure> {
    match net.dns().mx(host).await {
        Lookup::Found(hosts) => Ok(hosts.iter().any(|(_, name)| !name.is_empty())),
        Lookup::Missing(Absence::NxDomain) => Ok(false),
        Lookup::Missing(Absence::NoData) => match net.dns().addresses(host).await {
            Lookup::Found(_) => Ok(true),
            Lookup::Missing(_) => Ok(false),
            Lookup::Failed(failure) => Err(failure),
        },
        Lookup::Failed(failure) => Err(failure),
    }
}
