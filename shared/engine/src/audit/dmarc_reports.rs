//! Where DMARC reports go: addresses that can be read, that take mail, and that agreed to take reports about this domain (RFC 9990).

use std::collections::BTreeSet;

use waypost_types::DomainName;

use super::{Facts, Part, dmarc::is_dmarc, organisational, rules::remark};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Report addresses looked at.
const MOST_REPORTS: usize = 10;

/// Looks at `rua=` and `ruf=` of the record at `owner`.
pub(super) async fn check(net: &Net, facts: &Facts, tags: &[(String, String)], owner: &str, part: &mut Part) {
    let domain = facts.domain.as_str();
    let addresses: Vec<(&str, &str)> = tags
        .iter()
        .filter(|(n, _)| n == "rua" || n == "ruf")
        .flat_map(|(n, v)| v.split(',').map(move |uri| (n.as_str(), uri.trim())))
        .take(MOST_REPORTS)
        .collect();
    if !addresses.iter().any(|(name, _)| *name == "rua") {
        part.find(
            remark("dmarc.no_rua", owner, "DMARC asks for no reports (no rua=), so nobody sees who sends in the domain's name")
                .fix(format!("Add rua=mailto:dmarc@{domain} to the record, with a mailbox that exists.")),
        );
    }
    let mut asked = BTreeSet::new();
    for (name, uri) in addresses {
        let target = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")).map(|_| uri[7..].split('!').next().unwrap_or_default());
        let host = target
            .and_then(|address| address.rsplit_once('@'))
            .and_then(|(local, host)| DomainName::from_ascii(host).ok().filter(|_| !local.is_empty()));
        let Some(host) = host else {
            part.find(
                remark("dmarc.rua_syntax", owner, format!("{name}={uri} is no report address: it is written mailto:name@domain"))
                    .with("mailbox", format!("dmarc@{domain}")),
            );
            continue;
        };
        if uri.contains('!') {
            part.find(remark("dmarc.size_suffix", owner, format!("{uri}: size limits are gone from DMARC since RFC 9989")));
        }
        if !asked.insert(host.clone()) {
            continue;
        }
        match takes_mail(net, host.as_str()).await {
            Ok(true) => {}
            Ok(false) => {
                let seen = format!("{name}={uri}: {host} takes no mail (no MX, no address, or a null MX), so the reports are lost");
                part.find(remark("dmarc.rua_no_mx", owner, seen));
            }
            Err(failure) => part.unknown("dmarc", format!("{host}: {failure}")),
        }
        if organisational(host.as_str()) != organisational(domain) {
            permitted(net, domain, &host, owner, part).await;
        }
    }
}

/// A receiver outside the organisation must say that it wants these reports (RFC 9990 4).
async fn permitted(net: &Net, domain: &str, host: &DomainName, owner: &str, part: &mut Part) {
    let permit = format!("{domain}._report._dmarc.{host}");
    match super::texts(net, &permit).await {
        Lookup::Found(records) if records.iter().any(|text| is_dmarc(text)) => {}
        Lookup::Found(_) | Lookup::Missing(_) => part.find(
            remark(
                "dmarc.rua_external_unauthorised",
                owner,
                format!("{host} does not say that it takes reports about {domain}, so receivers send none there"),
            )
            .fix(format!("Ask the operator of {host} to publish this record, or use a mailbox of your own domain."))
            .record("TXT", permit, "v=DMARC1"),
        ),
        Lookup::Failed(failure) => part.unknown("dmarc", format!("{permit}: {failure}")),
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
