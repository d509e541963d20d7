//! The timers of a zone's SOA record (RFC 1035 3.3.13, RFC 1912 2.2, RFC 2308 4 and 5).

use waypost_types::Severity;

use super::rules::{Remark, remark};
use crate::net::Soa;

/// RFC 2308 5: negative answers kept for longer than this slow down every repair.
const LONG_NEGATIVE: u32 = 86_400;
/// RFC 1912 2.2 advises 20 minutes to 12 hours. What is far outside is remarked, not what is a little.
const SHORT_REFRESH: i32 = 300;
const LONG_REFRESH: i32 = 172_800;
/// Secondaries that can not reach the primary give up the zone after this; a long weekend must not be enough.
const SHORT_EXPIRE: i32 = 172_800;

/// The finding about timers that make no sense or slow down repairs; nothing when they are sane.
pub(super) fn judge(zone: &str, soa: &Soa) -> Option<Remark> {
    // Values beyond 2^31 are read as negative: they are nonsense as they stand.
    let broken = soa.refresh <= 0 || soa.retry <= 0 || soa.expire <= soa.refresh.saturating_add(soa.retry.max(0));
    let mut seen = Vec::new();
    if soa.expire <= soa.refresh.saturating_add(soa.retry.max(0)) {
        seen.push(format!(
            "secondaries drop the zone after {} s (expire), before they have asked twice (refresh {} s, retry {} s)",
            soa.expire, soa.refresh, soa.retry
        ));
    } else if soa.expire < SHORT_EXPIRE {
        seen.push(format!("secondaries drop the zone when the primary is away for {} s (expire)", soa.expire));
    }
    if soa.refresh > LONG_REFRESH {
        seen.push(format!("secondaries ask for changes only every {} s (refresh)", soa.refresh));
    } else if (1..SHORT_REFRESH).contains(&soa.refresh) {
        seen.push(format!("secondaries ask for changes every {} s (refresh)", soa.refresh));
    }
    if soa.retry > soa.refresh && soa.refresh > 0 {
        seen.push(format!("the retry of {} s is longer than the refresh of {} s", soa.retry, soa.refresh));
    }
    if soa.refresh <= 0 || soa.retry <= 0 {
        seen.push(format!("refresh {} and retry {} are no times", soa.refresh, soa.retry));
    }
    if soa.minimum > LONG_NEGATIVE {
        seen.push(format!("answers that a name is missing may be kept for {} s (minimum)", soa.minimum));
    }
    if seen.is_empty() {
        return None;
    }
    let found = remark("soa.values", zone, format!("The SOA timers of {zone} are unusual: {}", seen.join("; ")));
    Some(if broken { found.severity(Severity::Low) } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_well_known_hosters_are_sane_and_nonsense_is_not() {
        let judged = |refresh, retry, expire, minimum| {
            let (primary, mailbox) = ("ns.e.example".to_owned(), "hostmaster.e.example".to_owned());
            judge("e.example", &Soa { primary, mailbox, serial: 1, refresh, retry, expire, minimum }).map(|remark| {
                let finding = remark.done();
                (finding.severity, finding.summary)
            })
        };
        for (refresh, retry, expire, minimum) in [
            (7200, 900, 1_209_600, 86_400),
            (10_000, 2400, 604_800, 1800),
            (21_600, 3600, 259_200, 300),
            (3600, 300, 2_419_200, 300),
            (86_400, 7200, 3_600_000, 172),
            (900, 900, 1_800_000, 0),
        ] {
            assert_eq!(judged(refresh, retry, expire, minimum), None, "{refresh} {retry} {expire} {minimum}");
        }
        for ((refresh, retry, expire, minimum), severity, word) in [
            ((7200, 900, 1_209_600, 604_800), Severity::Info, "(minimum)"),
            ((3600, 900, 3600, 300), Severity::Low, "asked twice"),
            ((604_800, 900, 1_209_600, 300), Severity::Info, "(refresh)"),
            ((60, 30, 604_800, 300), Severity::Info, "every 60 s"),
            ((3600, 7200, 604_800, 300), Severity::Info, "longer than the refresh"),
            ((7200, 900, 86_400, 300), Severity::Info, "away for 86400 s"),
            ((-1, 900, 1_209_600, 300), Severity::Low, "are no times"),
        ] {
            let (found, summary) = judged(refresh, retry, expire, minimum).unwrap();
            assert!(found == severity && summary.contains(word), "{found:?} {summary}");
        }
    }
}
