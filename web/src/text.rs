//! Numbers, times and addresses as people read them.

use chrono::{DateTime, Utc};

const NBSP: char = '\u{a0}';

/// `1,140` for 1140.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What stands in the circle before an address: its first two letters.
pub fn initials(email: &str) -> String {
    email.chars().filter(|c| c.is_alphanumeric()).take(2).flat_map(char::to_uppercase).collect()
}

/// `4 domains`, `1 domain`.
pub fn counted(number: u32, one: &str, many: &str) -> String {
    format!("{}{NBSP}{}", count(u64::from(number)), if number == 1 { one } else { many })
}

/// `214 ms`, `1.8 s`, `–` when absent.
pub fn millis(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 10_000.0 => format!("{:.1}{NBSP}s", value / 1000.0),
        Some(value) if value < 1.0 => format!("<{NBSP}1{NBSP}ms"),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 10,000
        Some(value) => format!("{}{NBSP}ms", count(value.round() as u64)),
    }
}

/// `99.94 %`.
pub fn percent(value: f64) -> String {
    format!("{value:.2}{NBSP}%")
}

/// The two largest units: `1 d 3 h`, `47 min`, `18 s`.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3600, seconds % 3600 / 60);
    let parts = match (days, hours, minutes) {
        (0, 0, 0) => [(seconds, "s"), (0, "")],
        (0, 0, _) => [(minutes, "min"), (0, "")],
        (0, _, _) => [(hours, "h"), (minutes, "min")],
        _ => [(days, "d"), (hours, "h")],
    };
    parts
        .iter()
        .filter(|(number, _)| *number > 0 || seconds == 0)
        .filter(|(_, unit)| !unit.is_empty())
        .map(|(number, unit)| format!("{number}{NBSP}{unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `18 s ago`, `in 5 min`, `now`.
pub fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    match seconds {
        -1..=1 => "now".to_owned(),
        2.. => format!("{} ago", duration(seconds)),
        _ => format!("in {}", duration(-seconds)),
    }
}

/// `18 Nov 2026, 13:45:07 UTC`.
pub fn exact(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// `18 Nov 2026, 13:45 UTC`.
pub fn minute(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y, %H:%M UTC").to_string()
}

/// `18 Nov, 13:45`, where the page names the zone and there is little room.
pub fn axis(at: DateTime<Utc>) -> String {
    at.format("%-d %b, %H:%M").to_string()
}

/// `18 Nov`.
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %b").to_string()
}

/// The time that a month's figure is about: 30 days, or as long as there are checks.
pub fn span_of(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    match since.map(|since| (now.date_naive() - since.date_naive()).num_days()) {
        Some(0) => "today".to_owned(),
        Some(days) if days < 29 => format!("{} days", days + 1),
        _ => "30 days".to_owned(),
    }
}

/// A reason that stands alone starts upper case. Only a plain word is raised: names, addresses, records and codes keep their case.
pub fn sentence(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default().trim_end_matches([',', ';', ':', '.']);
    let mut rest = text.chars();
    match rest.next() {
        Some(first) if word.chars().all(|letter| letter.is_lowercase() || letter == '-') => first.to_uppercase().chain(rest).collect(),
        _ => text.to_owned(),
    }
}

/// Where to go after signing in: a path on this site, or nothing. Anything a browser might read as another site is refused.
pub fn safe_next(next: &str) -> Option<&str> {
    let after = next.strip_prefix('/')?;
    let bad = after.starts_with('/') || next.len() > 2000 || next.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace());
    (!bad).then_some(next)
}

/// Text that may stand in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Percent-encodes what is not plain in a part of an address.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_as_long_as_there_are_checks() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (days, said) in
            [(None, "30 days"), (Some(0), "today"), (Some(1), "2 days"), (Some(28), "29 days"), (Some(29), "30 days"), (Some(40), "30 days")]
        {
            assert_eq!(span_of(days.map(|days| now - chrono::TimeDelta::days(days)), now), said);
        }
    }

    #[test]
    fn numbers_carry_separators_and_units() {
        assert_eq!(count(184_210), "184,210");
        assert_eq!(count(7), "7");
        assert_eq!(millis(Some(1140.4)), "1,140\u{a0}ms");
        assert_eq!(millis(None), "–");
        assert_eq!(counted(1, "domain", "domains"), "1\u{a0}domain");
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        assert_eq!(duration(0), "0\u{a0}s");
        assert_eq!(duration(47 * 60 + 3), "47\u{a0}min");
        assert_eq!(duration(3600), "1\u{a0}h");
        assert_eq!(duration(86_400 + 3 * 3600 + 59), "1\u{a0}d 3\u{a0}h");
    }

    #[test]
    fn times_are_relative_to_now_in_both_directions() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        assert_eq!(relative(at(-18), now), "18\u{a0}s ago");
        assert_eq!(relative(at(300), now), "in 5\u{a0}min");
        assert_eq!(relative(at(0), now), "now");
    }

    #[test]
    fn reasons_start_upper_case_and_names_keep_their_case() {
        for (given, shown) in [
            ("connection refused", "Connection refused"),
            ("connect: connection refused", "Connect: connection refused"),
            ("öffnet nicht", "Öffnet nicht"),
            ("pending", "Pending"),
            ("self-signed certificate", "Self-signed certificate"),
            ("– 3 dB", "– 3 dB"),
            ("mail.example.com: no answer", "mail.example.com: no answer"),
            ("s1._domainkey is 1024 bit", "s1._domainkey is 1024 bit"),
            ("p=none", "p=none"),
            ("2 hosts", "2 hosts"),
            ("192.0.2.1 is listed", "192.0.2.1 is listed"),
            ("TLS fails", "TLS fails"),
            ("", ""),
        ] {
            assert_eq!(sentence(given), shown);
        }
    }

    #[test]
    fn only_local_paths_are_followed_after_signing_in() {
        assert_eq!(safe_next("/o/acme?x=1"), Some("/o/acme?x=1"));
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/\tx", "javascript:alert(1)", "o/acme", "/a b"] {
            assert_eq!(safe_next(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_plain_is_percent_encoded() {
        assert_eq!(encoded("a/b?é"), "a%2Fb%3F%C3%A9");
    }
}
