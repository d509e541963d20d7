//! Whether a validating resolver takes a domain, or has found it bogus: told from what it says of its failures (RFC 8914), or from failing twice.

use std::time::Duration;

use tokio::time::Instant;

use super::dnssec::{NO_ERROR, NXDOMAIN, UNCHECKED, VALIDATED};
use crate::net::{Net, RecordType};

const SERVFAIL: u16 = 2;
/// RFC 8914: the resolver could not reach anybody, or blocks the name, which says nothing of signatures.
const NOT_ABOUT_SIGNATURES: [u16; 13] = [3, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
/// RFC 8914: the resolver says itself that validation failed.
const ABOUT_SIGNATURES: [u16; 9] = [6, 7, 8, 9, 10, 11, 12, 25, 27];
/// Before a resolver that failed without a word is asked again: it may answer from its cache of failures until then (RFC 9520 3.2; five
/// seconds are usual).
pub(super) const PAUSE: Duration = Duration::from_secs(6);
/// The second look takes no longer.
const SECOND: Duration = Duration::from_millis(1500);

/// What the resolver makes of the domain when it may validate.
pub(super) enum Verdict {
    /// It answers; with whether it vouches for the answer.
    Answers { authentic: bool },
    /// It refuses what it gives to who does not want it validated; what it says of the reason.
    Bogus(String),
    /// Why that could not be told.
    Unknown(String),
}

/// A resolver that fails with the question and answers it when told not to validate has found it bogus, when it says so (RFC 8914) or when
/// it does the same again after its cache of failures has forgotten: a server that failed for a moment looks alike.
pub(super) async fn verdict(net: &Net, domain: &str, pause: Duration, end: Instant) -> Verdict {
    let first = match ask_twice(net, domain).await {
        Said::Told(verdict) => return verdict,
        Said::FailsWithoutAWord => "the resolver fails with it when it validates, and does not say why",
    };
    let again_at = Instant::now() + pause;
    if again_at + SECOND > end {
        return Verdict::Unknown(format!("{first}; there was no time to ask again"));
    }
    tokio::time::sleep_until(again_at).await;
    match tokio::time::timeout(SECOND, ask_twice(net, domain)).await {
        Ok(Said::FailsWithoutAWord) => Verdict::Bogus(String::new()),
        Ok(Said::Told(Verdict::Answers { .. })) => Verdict::Unknown(format!("{first}, and answers when it is asked again")),
        Ok(Said::Told(verdict)) => verdict,
        Err(_) => Verdict::Unknown(format!("{first}, and does not answer when it is asked again")),
    }
}

/// What one question with validation and, where it fails, one without say.
enum Said {
    Told(Verdict),
    /// SERVFAIL with validation, an answer without, and no extended error that tells.
    FailsWithoutAWord,
}

async fn ask_twice(net: &Net, domain: &str) -> Said {
    let unknown = |why: String| Said::Told(Verdict::Unknown(format!("whether validating receivers see the domain: {why}")));
    let refused = match net.query(None, domain, RecordType::SOA, VALIDATED).await {
        Ok(answer) if answer.code == SERVFAIL => answer,
        Ok(answer) if matches!(answer.code, NO_ERROR | NXDOMAIN) => {
            return Said::Told(Verdict::Answers { authentic: answer.code == NO_ERROR && answer.authentic });
        }
        Ok(answer) => return unknown(format!("the resolver answers the question for the SOA of {domain} with code {}", answer.code)),
        Err(failure) => return unknown(failure.to_string()),
    };
    match net.query(None, domain, RecordType::SOA, UNCHECKED).await {
        Ok(answer) if answer.code == NO_ERROR => {}
        Ok(_) => return unknown("the resolver fails with it even when it does not validate".to_owned()),
        Err(failure) => return unknown(failure.to_string()),
    }
    let named = |codes: &[u16]| refused.extended.iter().find(|(code, _)| codes.contains(code));
    if let Some((code, text)) = named(&ABOUT_SIGNATURES) {
        Said::Told(Verdict::Bogus(extended(*code, text)))
    } else if let Some((code, _)) = named(&NOT_ABOUT_SIGNATURES) {
        unknown(format!("the resolver could not ask its name servers, or blocks it (extended error {code})"))
    } else {
        Said::FailsWithoutAWord
    }
}

/// An extended error (RFC 8914 4) in words, with the resolver's own where it has any.
fn extended(code: u16, text: &str) -> String {
    let words = match code {
        1 => "none of its key algorithms is supported",
        2 => "none of its DS digests is supported",
        5 => "it can not be told whether it is signed",
        6 => "its signatures do not hold",
        7 => "its signatures have expired",
        8 => "its signatures are not valid yet",
        9 => "it has no key that its DS names",
        10 => "its signatures are missing",
        11 => "its key is not marked as a zone key",
        12 => "the proof that a record is missing is missing itself",
        25 => "the lifetime of its signatures can not be used",
        27 => "its NSEC3 parameters are not supported",
        _ => "",
    };
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(160).collect();
    match (words, text.as_str()) {
        ("", "") => String::new(),
        (words, "") => format!(": {words}"),
        ("", text) => format!(" ({text})"),
        (words, text) => format!(": {words} (the resolver says “{text}”)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_errors_are_said_in_words() {
        assert_eq!(extended(7, ""), ": its signatures have expired");
        assert!(extended(9, "no SEP for e.example").contains("no key") && extended(9, "no SEP for e.example").contains("“no SEP"));
        assert_eq!((extended(99, ""), extended(99, "odd")), (String::new(), " (odd)".to_owned()));
    }
}
