//! DANE: TLSA records of the MX hosts (RFC 7672). Whether they match the certificate is seen in a probe, not here.

use futures::future::join_all;
use waypost_types::outcome::Status;

use super::{
    AuditOptions, Facts, Part,
    dnssec::{Signed, signed, vouched},
    rules::remark,
};
use crate::net::{Lookup, Net, RecordType};

/// Hosts looked at.
const MOST_HOSTS: usize = 10;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let looks = join_all(facts.hosts.iter().take(MOST_HOSTS).map(|host| async move {
        let owner = format!("_25._tcp.{}", host.host);
        let records = net.dns().tlsa(&owner).await;
        (host.host.as_str(), owner, records)
    }))
    .await;
    let (mut with, mut failed) = (0, 0);
    for (host, owner, records) in looks {
        match records {
            Lookup::Found(records) => {
                with += 1;
                records_of(&mut part, &owner, &records);
                if let Some(why) = ignored(net, host, &owner).await {
                    let seen = format!("{owner} has TLSA records, but {why}, so senders ignore them");
                    part.find(remark("dane.tlsa_without_dnssec", &owner, seen));
                }
            }
            Lookup::Missing(_) => {}
            Lookup::Failed(failure) => {
                failed += 1;
                part.unknown("dane", format!("{owner}: {failure}"));
            }
        }
    }
    match (with, failed) {
        (0, 0) => part.word(Status::None, "Not set"),
        (0, _) => part.word(Status::None, "No answer"),
        (1, _) => part.word_by_findings(Status::Ok, "1 host"),
        (with, _) => part.word_by_findings(Status::Ok, format!("{with} hosts")),
    }
    part
}

/// Why senders do not believe the records. A trusted resolver says it of these very records (RFC 7672 2.1.1); else a DS above them has to do.
async fn ignored(net: &Net, host: &str, owner: &str) -> Option<&'static str> {
    match vouched(net, owner, RecordType::TLSA).await {
        Some(authentic) => (!authentic).then_some("DNSSEC does not vouch for them"),
        None => matches!(signed(net, host).await, Signed::No).then_some("the zone is not signed"),
    }
}

fn records_of(part: &mut Part, owner: &str, records: &[String]) {
    for record in records {
        part.records.push(format!("{owner} {record}"));
        if let Some(reason) = unusable(record) {
            part.find(remark("dane.malformed", owner, format!("The TLSA record “{}” can not be used: {reason}", shortened(record))));
        } else if record.starts_with(['0', '1']) {
            let seen = format!("The TLSA record “{}” has usage 0 or 1, which SMTP does not use", shortened(record));
            part.find(remark("dane.usage_pkix", owner, seen));
        }
    }
    if records.len() == 1 {
        part.find(remark("dane.no_rollover", owner, format!("{owner} has one TLSA record only: the next key change risks a gap")));
    }
}

fn shortened(record: &str) -> String {
    record.chars().take(24).collect()
}

/// Why a record `usage selector matching hex` can not be used.
fn unusable(record: &str) -> Option<&'static str> {
    let mut fields = record.split_ascii_whitespace();
    let mut number = || fields.next().and_then(|field| field.parse::<u8>().ok());
    let (usage, selector, matching) = (number(), number(), number());
    let digest: usize = fields.map(str::len).sum();
    match (usage?, selector?, matching?) {
        (4.., ..) => Some("its usage is unknown"),
        (_, 2.., _) => Some("its selector is unknown"),
        (_, _, 3..) => Some("its matching type is unknown"),
        (_, _, 1) if digest != 64 => Some("a SHA-256 digest has 32 bytes"),
        (_, _, 2) if digest != 128 => Some("a SHA-512 digest has 64 bytes"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_their_length() {
        assert_eq!(unusable(&format!("3 1 1 {}", "ab".repeat(32))), None);
        assert_eq!(unusable(&format!("3 1 2 {}", "ab".repeat(64))), None);
        assert!(unusable(&format!("3 1 1 {}", "ab".repeat(20))).is_some());
        assert!(unusable("9 1 1 ab").is_some() && unusable("3 7 0 ab").is_some() && unusable("3 1 9 ab").is_some());
    }
}
