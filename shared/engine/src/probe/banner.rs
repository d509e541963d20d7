//! The name in a greeting (RFC 5321 4.3.1): whether it is a host's, and whether it is this host's.

use std::{net::IpAddr, time::Duration};

use waypost_types::{finding::Finding, outcome::ProbeReport};

use super::remarks::is_submission;
use crate::{
    audit::{helo, provider_of},
    net::{Lookup, Net},
    text::shown,
};

/// The reverse name adds to no verdict, so it is not waited for long.
const REVERSE: Duration = Duration::from_secs(2);
const TOO_LATE: &str = "DNS did not answer soon enough";

/// The first word of a greeting, where the name stands.
pub(super) fn name(banner: &str) -> &str {
    banner.split([' ', '\t']).next().unwrap_or_default()
}

/// Begins with a full host name or an address in brackets.
pub(super) fn has_host_name(banner: &str) -> bool {
    let name = name(banner);
    name.starts_with('[') || name.rsplit_once('.').is_some_and(|(_, last)| !matches!(last, "local" | "localdomain"))
}

/// The reverse names of the address when the server greets with a name that is neither the host's nor one of them. Nothing when it agrees,
/// and for mailbox providers, whose pools greet with names of their own; why, where DNS does not tell.
pub(super) async fn foreign(net: &Net, report: &ProbeReport, address: IpAddr) -> Result<Option<Vec<String>>, String> {
    let Some(name) = report.banner.as_deref().filter(|banner| has_host_name(banner)).map(name) else { return Ok(None) };
    // A server that was not asked EHLO sent a refusal, which names nobody.
    if report.stage_ms.ehlo.is_none() || name.starts_with('[') || same(name, &report.host) || provider_of(&report.host.to_ascii_lowercase()).is_some()
    {
        return Ok(None);
    }
    let untold = |why: &str| format!("the reverse name of {address} could not be looked up: {why}");
    match tokio::time::timeout(REVERSE, net.dns().ptr(address)).await {
        Ok(Lookup::Found(names)) => Ok((!names.iter().any(|reverse| same(name, reverse))).then_some(names)),
        Ok(Lookup::Missing(_)) => Ok(Some(Vec::new())),
        Ok(Lookup::Failed(failure)) => Err(untold(&failure.to_string())),
        Err(_) => Err(untold(TOO_LATE)),
    }
}

/// The name that the server gives itself, in EHLO's reply or else in its greeting, when it is not the host's. It is only a hint of the HELO
/// name the host sends with. Nothing for submission ports, which send to nobody, and for mailbox providers.
pub(super) fn own_name(report: &ProbeReport, ehlo: Option<&str>) -> Option<String> {
    if is_submission(report.port) || report.stage_ms.ehlo.is_none() || provider_of(&report.host.to_ascii_lowercase()).is_some() {
        return None;
    }
    let greeting = report.banner.as_deref().map(name);
    let own = ehlo.map(name).filter(|name| name.contains('.')).or(greeting)?;
    (!own.is_empty() && !same(own, &report.host)).then(|| own.to_owned())
}

/// What the host's name for itself would earn it as a HELO name; why, where DNS does not tell soon.
pub(super) async fn as_helo(net: &Net, name: Option<&str>, address: IpAddr) -> Result<Option<Finding>, String> {
    let Some(name) = name else { return Ok(None) };
    let judged = tokio::time::timeout(REVERSE, helo::judge(net, name, address)).await;
    judged.unwrap_or_else(|_| Err(format!("{} could not be looked up: {TOO_LATE}", shown(name.as_bytes(), 100))))
}

fn same(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_known() {
        for (banner, wanted) in [
            ("mx.example.com ESMTP", true),
            ("[192.0.2.1] ready", true),
            ("mx.example.com\tx", true),
            ("localhost ESMTP", false),
            ("localhost.localdomain", false),
            ("mail.local x", false),
            ("", false),
        ] {
            assert_eq!(has_host_name(banner), wanted, "{banner}");
        }
        assert!(same("MX.example.com.", "mx.Example.com") && !same("mx.example.com", "example.com"));
    }
}
