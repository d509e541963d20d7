//! TLS-RPT: where senders report TLS failures (RFC 8460 3).

use waypost_types::outcome::Status;

use super::{AuditOptions, Facts, Part, dkim::tags, rules::remark};
use crate::net::{Lookup, Net};

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let owner = format!("_smtp._tls.{domain}");
    let records: Vec<String> = match super::texts(net, &owner).await {
        Lookup::Found(records) => records.into_iter().filter(|text| text.trim_start().to_ascii_lowercase().starts_with("v=tlsrpt")).collect(),
        Lookup::Missing(_) => Vec::new(),
        Lookup::Failed(failure) => {
            part.unknown("tls_rpt", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    part.records.clone_from(&records);
    let suggestion = format!("v=TLSRPTv1; rua=mailto:tls-reports@{domain}");
    match records.as_slice() {
        [] => {
            // Without a TLS policy there is nothing to report about.
            let has_policy = super::texts(net, &format!("_mta-sts.{domain}")).await.found().iter().any(|text| text.starts_with("v=STSv1"));
            if has_policy {
                part.find(
                    remark("tlsrpt.missing", domain, "MTA-STS is set, but nobody is told when it fails (no TLS-RPT)")
                        .fix("Publish this record with a mailbox that exists.")
                        .record("TXT", &owner, &suggestion),
                );
            }
            part.word(Status::None, "Not set");
        }
        [record] => match parse(record) {
            Ok(()) => part.word(Status::Ok, "Set"),
            Err(reason) => {
                part.find(
                    remark("tlsrpt.syntax", &owner, format!("The TLS-RPT record can not be read: {reason}"))
                        .fix("Publish it again in this form.")
                        .record("TXT", &owner, &suggestion),
                );
                part.word(Status::Warn, "Error");
            }
        },
        several => {
            let seen = format!("{owner} has {} TLS-RPT records; senders ignore all of them", several.len());
            part.find(remark("tlsrpt.syntax", &owner, seen).fix("Keep one of them."));
            part.word(Status::Warn, "Error");
        }
    }
    part
}

fn parse(text: &str) -> Result<(), String> {
    let tags = tags(text)?;
    if tags[0] != ("v".to_owned(), "TLSRPTv1".to_owned()) {
        return Err("v=TLSRPTv1 must stand first".to_owned());
    }
    let rua = tags.iter().find(|(name, _)| name == "rua").map(|(_, value)| value.as_str()).ok_or("rua= is missing")?;
    for uri in rua.split(',').map(str::trim) {
        let lower = uri.to_ascii_lowercase();
        let mailbox = lower
            .strip_prefix("mailto:")
            .is_some_and(|mailbox| mailbox.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty()));
        let https = lower.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
        if !mailbox && !https {
            return Err(format!("rua={uri} is neither mailto: nor https:"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_their_scheme() {
        assert!(parse("v=TLSRPTv1; rua=mailto:a@example.com,https://r.example.com/x").is_ok());
        for broken in
            ["v=TLSRPTv1", "v=TLSRPTv1; rua=tls@example.com", "v=TLSRPTv1; rua=", "v=tlsrptv1; rua=mailto:a@b.example", "rua=mailto:a@b.example"]
        {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
