//! From the answers of a zone to a verdict. An error code, a foreign address or an odd answer is never a listing.

use std::net::Ipv4Addr;

use waypost_types::{finding::Severity, outcome::ListState};

use super::catalog::{ListType, Zone};

/// What answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Listed or unknown; clean only where the table says that the answer is harmless.
    pub state: ListState,
    /// What the listing says.
    pub meaning: String,
    /// Why it is unknown.
    pub reason: String,
    /// How bad it is.
    pub severity: Severity,
}

enum Answer<'a> {
    Listing(Vec<&'a str>),
    Harmless(&'a str),
    Undocumented,
    Error(String),
    Nothing,
}

/// Reads the A records of a zone.
pub(super) fn decode(zone: &Zone, answers: &[Ipv4Addr]) -> Decoded {
    let unknown = |reason: String| Decoded { state: ListState::Unknown, meaning: String::new(), reason, severity: zone.severity };
    if let Some(foreign) = answers.iter().find(|answer| answer.octets()[0] != 127) {
        return unknown(format!(
            "the answer {foreign} is outside 127.0.0.0/8: the zone is parked or hijacked, or the resolver rewrites answers; nothing is listed"
        ));
    }
    let mut meanings: Vec<String> = Vec::new();
    let mut documented = false;
    let mut listed = false;
    let mut nothing = false;
    let mut harmless: Vec<&str> = Vec::new();
    for answer in answers {
        match read(zone, *answer) {
            Answer::Listing(words) => {
                (listed, documented) = (true, true);
                meanings.extend(words.into_iter().map(str::to_owned));
            }
            Answer::Undocumented if zone.strict => {
                return unknown(format!("{answer}: the operator documents no such code and answers so to resolvers it refuses; nothing is listed"));
            }
            Answer::Undocumented if zone.codes.is_empty() && zone.bitmask.is_empty() => {
                (listed, documented) = (true, true);
                meanings.push(format!("listed (the list answers {answer})"));
            }
            Answer::Undocumented => {
                listed = true;
                meanings.push(format!("listed, class unknown (the operator documents no code {answer})"));
            }
            Answer::Harmless(words) => harmless.push(words),
            // An error beside a listing makes neither believable.
            Answer::Error(text) => return unknown(text),
            Answer::Nothing => nothing = true,
        }
    }
    if !listed && !nothing && !harmless.is_empty() {
        return Decoded { state: ListState::Clean, meaning: harmless.join("; "), reason: String::new(), severity: Severity::Info };
    }
    if !listed {
        let reason = if nothing {
            "the answer 127.0.0.1 is not a listing (RFC 5782 5); the list or the resolver is at fault"
        } else {
            "the list answered without an address"
        };
        return unknown(reason.to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    meanings.retain(|meaning| seen.insert(meaning.clone()));
    let no_problem = matches!(zone.list_type, ListType::Allow | ListType::Reputation);
    let severity = if no_problem {
        Severity::Info
    } else if documented {
        zone.severity
    } else {
        zone.severity.min(Severity::Low)
    };
    Decoded { state: ListState::Listed, meaning: meanings.join("; "), reason: String::new(), severity }
}

fn read(zone: &Zone, answer: Ipv4Addr) -> Answer<'_> {
    if let Some(text) = zone.error_codes.get(&answer.to_string()) {
        return Answer::Error(format!("{answer}: {text}"));
    }
    if answer.octets()[..3] == [127, 255, 255] {
        let text = "the operator refuses the query (public resolver, too many queries or a wrong zone name); use a resolver of your own";
        return Answer::Error(format!("{answer}: {text}; nothing is listed"));
    }
    if let Some(meaning) = zone.codes.get(&answer.to_string()) {
        // Zones that mix colours have codes that are praise or a remark.
        return if zone.harmless.contains(&answer.to_string()) { Answer::Harmless(meaning) } else { Answer::Listing(vec![meaning]) };
    }
    let last = answer.octets()[3];
    if !zone.bitmask.is_empty() && answer.octets()[..3] == [127, 0, 0] {
        let words: Vec<&str> =
            zone.bitmask.iter().filter(|(bit, _)| bit.parse::<u8>().is_ok_and(|bit| last & bit != 0)).map(|(_, word)| word.as_str()).collect();
        if !words.is_empty() {
            return Answer::Listing(words);
        }
    }
    if let Some((_, meaning)) = zone.codes.iter().find(|(code, _)| matches_wildcard(code, answer)) {
        return Answer::Listing(vec![meaning]);
    }
    if answer == Ipv4Addr::LOCALHOST { Answer::Nothing } else { Answer::Undocumented }
}

/// `127.0.x.3`: an `x` stands for any octet.
fn matches_wildcard(code: &str, answer: Ipv4Addr) -> bool {
    let octets: Vec<&str> = code.split('.').collect();
    octets.len() == 4 && octets.iter().zip(answer.octets()).all(|(want, have)| *want == "x" || want.parse() == Ok(have))
}

/// A hint for look-ups that failed: operators refuse public resolvers, some by silence.
pub(super) const RESOLVER_HINT: &str =
    "operators of block lists refuse public and shared resolvers; a recursive resolver of your own (WAYPOST_RESOLVER) helps";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::blacklist::catalog::{find, foreign, zones};

    fn state(zone: &str, answers: &[&str]) -> (ListState, Severity) {
        let zone = find(zone).cloned().unwrap_or_else(|| foreign(zone));
        let answers: Vec<Ipv4Addr> = answers.iter().map(|a| a.parse().unwrap()).collect();
        let decoded = decode(&zone, &answers);
        assert_eq!(decoded.reason.is_empty(), decoded.state != ListState::Unknown);
        assert_eq!(decoded.meaning.is_empty(), decoded.state == ListState::Unknown);
        (decoded.state, decoded.severity)
    }

    #[test]
    fn answers_are_read_by_the_table_of_their_zone() {
        use ListState::{Clean, Listed, Unknown};
        for (zone, answers, expected, severity) in [
            ("spamhaus-zen", &["127.0.0.2"][..], Listed, Severity::Critical),
            ("spamhaus-zen", &["127.0.0.2", "127.0.0.9"], Listed, Severity::Critical),
            ("spamhaus-zen", &["127.0.0.77"], Listed, Severity::Low),
            ("spamhaus-zen", &["127.255.255.254"], Unknown, Severity::Critical),
            ("spamhaus-zen", &["127.0.0.1"], Unknown, Severity::Critical),
            ("spamcop", &["127.255.255.1"], Unknown, Severity::High),
            ("spamcop", &["127.0.0.1"], Unknown, Severity::High),
            ("spamcop", &["203.0.113.9"], Unknown, Severity::High),
            ("spamcop", &["127.0.0.2", "203.0.113.9"], Unknown, Severity::High),
            ("surbl-multi", &["127.0.0.24"], Listed, Severity::High),
            ("surbl-multi", &["127.0.0.1"], Unknown, Severity::High),
            ("uribl-multi", &["127.0.0.255"], Unknown, Severity::High),
            ("dnswl", &["127.0.10.3"], Listed, Severity::Info),
            ("dnswl", &["127.0.0.255"], Unknown, Severity::Info),
            ("mailspike-rep", &["127.0.0.10"], Listed, Severity::Info),
            ("spamhaus-zen", &["127.0.0.2", "127.255.255.254"], Unknown, Severity::Critical),
            ("spamhaus-zen", &["127.0.0.10", "127.0.0.4", "127.0.0.10"], Listed, Severity::Critical),
            ("spamhaus-dbl", &["127.0.1.255"], Unknown, Severity::Critical),
            ("spamhaus-dbl", &["127.0.1.104"], Listed, Severity::Critical),
            ("spamrats-all", &["127.0.0.36"], Listed, Severity::Medium),
            ("spamrats-all", &["127.0.0.77"], Unknown, Severity::Medium),
            ("hostkarma", &["127.0.0.2"], Listed, Severity::Low),
            ("hostkarma", &["127.0.0.2", "127.0.0.1"], Listed, Severity::Low),
            ("hostkarma", &["127.0.0.3"], Clean, Severity::Info),
            ("hostkarma", &["127.0.0.1"], Clean, Severity::Info),
            ("bl.lab.test", &["127.0.0.2"], Listed, Severity::Low),
            ("bl.lab.test", &[], Unknown, Severity::Low),
        ] {
            assert_eq!(state(zone, answers), (expected, severity), "{zone} {answers:?}");
        }
        assert!(matches_wildcard("127.0.x.3", Ipv4Addr::new(127, 0, 9, 3)) && !matches_wildcard("127.0.x.3", Ipv4Addr::new(127, 0, 9, 4)));
    }

    proptest! {
        #[test]
        fn only_answers_of_127_list(zone in 0..zones().len(), answers in prop::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 0..4)) {
            let decoded = decode(&zones()[zone], &answers);
            if answers.iter().any(|a| a.octets()[0] != 127) {
                prop_assert_eq!(decoded.state, ListState::Unknown);
            }
        }

        #[test]
        fn errors_never_list_and_praise_never_hurts(
            zone in 0..zones().len(),
            listings in prop::collection::vec(any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)), 0..3),
            error: u8,
        ) {
            let zone = &zones()[zone];
            let decoded = decode(zone, &listings);
            if !zone.list_type.accuses() && decoded.state == ListState::Listed {
                prop_assert_eq!(decoded.severity, Severity::Info);
            }
            let answers: Vec<Ipv4Addr> = listings.into_iter().chain([Ipv4Addr::new(127, 255, 255, error)]).collect();
            prop_assert_eq!(decode(zone, &answers).state, ListState::Unknown);
        }
    }
}
