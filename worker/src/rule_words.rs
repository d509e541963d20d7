//! What rules say: title and summary of the incidents that they open, and the news of their end.

use chrono::{DateTime, Utc};
use waypost_render::cut;
use waypost_types::{
    rule::{RuleSettings, Series},
    unicode::in_text,
};

/// Longest title in characters.
const TITLE_CHARS: usize = 160;

/// A monitor is beyond the limit of a rule, since when.
pub(crate) fn stands(rule: &RuleSettings, target: &str, value: f64, since: DateTime<Utc>) -> (String, String) {
    let (number, limit, over) = (rule.series.words(value), rule.series.words(rule.threshold), rule.over_words());
    let title = match rule.series {
        Series::ResponseTimeP50 => format!("{target} answers slowly: p50 {number}{over} (limit {limit})"),
        Series::ResponseTimeP95 => format!("{target} answers slowly: p95 {number}{over} (limit {limit})"),
        Series::FailureRate => format!("{target}: {number} of checks fail{over} (limit {limit})"),
        Series::UnknownRate => format!("{target}: {number} of checks could not tell{over} (limit {limit})"),
        Series::CertificateDays if value < 0.0 => format!("{target}: the certificate has expired (limit {limit})"),
        Series::CertificateDays => format!("{target}: the certificate expires in {number} (limit {limit})"),
        Series::Listings => format!("{target}: {number} on block lists (limit {limit})"),
        Series::Score => format!("{target}: the score is {number} (limit {limit})"),
    };
    let summary = format!(
        "{} of {target}{over} is {}: {} the limit of {limit} since {}, by the rule “{}”. Next step: {}",
        sentence(rule.series.phrase()),
        in_words(rule.series, value),
        rule.series.side().word(),
        time(since),
        rule.name,
        look_at(rule.series)
    );
    (title_of(&title), in_text(&summary))
}

/// It is within it again.
pub(crate) fn ended(rule: &RuleSettings, target: &str, value: f64, since: DateTime<Utc>) -> (String, String) {
    let (number, limit, over) = (in_words(rule.series, value), rule.series.words(rule.threshold), rule.over_words());
    let title = match rule.series {
        Series::ResponseTimeP50 => format!("{target} answers in time again: p50 {number}{over}"),
        Series::ResponseTimeP95 => format!("{target} answers in time again: p95 {number}{over}"),
        Series::FailureRate => format!("{target}: {number} of checks fail{over}, which is within the limit again"),
        Series::UnknownRate => format!("{target}: checks can tell again"),
        Series::CertificateDays => format!("{target}: the certificate has {number} left"),
        Series::Listings => format!("{target}: {number} on block lists, which is within the limit again"),
        Series::Score => format!("{target}: the score is {number} again"),
    };
    let summary = format!(
        "{} of {target}{over} is {number}. It was {} the limit of {limit} since {}.",
        sentence(rule.series.phrase()),
        rule.series.side().word(),
        time(since)
    );
    (title_of(&title), in_text(&summary))
}

/// A rule does not ask any more.
pub(crate) fn let_go(rule: &RuleSettings) -> String {
    in_text(&format!(
        "The rule “{}” does not watch this any more: it was changed, switched off or removed. It is not known whether it is over.",
        rule.name
    ))
}

fn in_words(series: Series, value: f64) -> String {
    if series == Series::CertificateDays && value < 0.0 { "over".to_owned() } else { series.words(value) }
}

const fn look_at(series: Series) -> &'static str {
    match series {
        Series::ResponseTimeP50 | Series::ResponseTimeP95 => {
            "look at the chart on its page: what is slow since when, and from which regions. A slow banner or login is the server's, a slow DNS or connect the network's."
        }
        Series::FailureRate => "look at the failed checks on its page: what they say tells where they break off, and from which regions.",
        Series::UnknownRate => {
            "look at what the checks say: a resolver that does not answer, or a network that lets us not out, tells nothing of the server."
        }
        Series::CertificateDays => "renew the certificate, and reload the server so that it shows the new one.",
        Series::Listings => "look at each listing: what the list says of the reason comes before asking for removal.",
        Series::Score => "look at the findings on the domain's page: they stand in the order of what they cost.",
    }
}

fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%-d %B %H:%M UTC").to_string()
}

fn title_of(said: &str) -> String {
    cut(&in_text(said), TITLE_CHARS)
}

#[cfg(test)]
mod tests {
    use waypost_types::rule::suggestion;

    use super::*;

    #[test]
    fn each_rule_says_what_it_saw_since_when_and_what_to_look_at() {
        let rule = |name: &str| suggestion(name).unwrap().checked().unwrap();
        let since = DateTime::parse_from_rfc3339("2026-11-18T13:05:00Z").unwrap().to_utc();
        let (title, summary) = stands(&rule("slow"), "mail.example.com:25", 2_840.4, since);
        assert_eq!(title, "mail.example.com:25 answers slowly: p95 2,840 ms over 30 min (limit 2,000 ms)");
        assert!(
            summary.starts_with(
                "The p95 response time of mail.example.com:25 over 30 min is 2,840 ms: above the limit of 2,000 ms since 18 November 13:05 UTC, by the rule “Slow answers”. Next step: look at the chart"
            ),
            "{summary}"
        );
        assert_eq!(ended(&rule("slow"), "mail.example.com:25", 640.0, since).0, "mail.example.com:25 answers in time again: p95 640 ms over 30 min");
        assert_eq!(stands(&rule("certificate"), "mx.example:25", 9.4, since).0, "mx.example:25: the certificate expires in 9 days (limit 14 days)");
        assert_eq!(stands(&rule("certificate"), "mx.example:25", -2.0, since).0, "mx.example:25: the certificate has expired (limit 14 days)");
        assert_eq!(stands(&rule("failing"), "mx.example:25", 33.33, since).0, "mx.example:25: 33.3 % of checks fail over 1 h (limit 20 %)");
        assert_eq!(stands(&rule("score"), "example.com", 72.0, since).0, "example.com: the score is 72 points (limit 80 points)");
    }
}
