//! Times as mail writes them (RFC 5322 3.3 and 4.3), and as some hosts write them instead.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, TimeZone, Utc};

/// Years that a mail can be of; anything else is a broken clock.
const YEARS: std::ops::RangeInclusive<i32> = 1982..=2100;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads a time without comments. The day of the week is not looked at: when it is wrong, the date is still the date.
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return sane(time.with_timezone(&Utc));
    }
    let mut words: Vec<&str> = text.split([' ', '\t', ',']).filter(|word| !word.is_empty()).take(12).collect();
    if words.first().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.') && month(word).is_none()) {
        words.remove(0);
    }
    let (date, rest) = match words.as_slice() {
        // 2024-01-31 10:20:30.5 +0000 UTC, as programs in Go print it.
        [day, rest @ ..] if day.len() == 10 && day.contains('-') => (NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?, rest),
        // 31-Jan-2024, as IMAP and the older form of HTTP have it.
        [day, rest @ ..] if day.matches('-').count() == 2 => {
            let mut parts = day.split('-');
            let (day, name, year) = (parts.next()?, parts.next()?, parts.next()?);
            (NaiveDate::from_ymd_opt(full_year(year)?, month(name)?, day.parse().ok()?)?, rest)
        }
        // Jan 31 10:20:30 2024, as asctime() prints it.
        [name, day, time, year, rest @ ..] if month(name).is_some() && time.contains(':') => {
            return at(NaiveDate::from_ymd_opt(full_year(year)?, month(name)?, day.parse().ok()?)?, time, rest);
        }
        [day, name, year, rest @ ..] => (NaiveDate::from_ymd_opt(full_year(year)?, month(name)?, day.parse().ok()?)?, rest),
        _ => return None,
    };
    let (time, zone) = rest.split_first()?;
    at(date, time, zone)
}

fn at(date: NaiveDate, time: &str, zone: &[&str]) -> Option<DateTime<Utc>> {
    let mut parts = time.split(':');
    let hour: u32 = parts.next()?.parse().ok()?;
    let minute: u32 = parts.next()?.parse().ok()?;
    let second: u32 = match parts.next() {
        // A leap second counts as the one before it.
        Some(second) => second.split('.').next()?.parse::<u32>().ok().map(|second| second.min(59))?,
        None => 0,
    };
    let half = zone.first().filter(|half| half.eq_ignore_ascii_case("am") || half.eq_ignore_ascii_case("pm"));
    let (hour, zone) = match half {
        Some(half) if (1..=12).contains(&hour) => (hour % 12 + if half.eq_ignore_ascii_case("pm") { 12 } else { 0 }, &zone[1..]),
        _ => (hour, zone),
    };
    let time = date.and_hms_opt(hour, minute, second)?;
    let offset = FixedOffset::east_opt(zone.first().map_or(0, |zone| offset(zone)))?;
    sane(offset.from_local_datetime(&time).single()?.with_timezone(&Utc))
}

fn sane(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    YEARS.contains(&time.year()).then_some(time)
}

fn month(name: &str) -> Option<u32> {
    let name = name.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == name).and_then(|at| u32::try_from(at + 1).ok())
}

/// Two digits and three as RFC 5322 4.3 reads them.
fn full_year(text: &str) -> Option<i32> {
    let year: i32 = text.parse().ok()?;
    Some(match text.len() {
        2 if year < 50 => year + 2000,
        2 | 3 => year + 1900,
        _ => year,
    })
}

/// Seconds east of Greenwich; unknown names count as UTC, as RFC 5322 4.3 says.
fn offset(zone: &str) -> i32 {
    let hours = |hours: i32| hours * 3600;
    if let Some((sign, digits)) = zone.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")) {
        let digits: String = digits.chars().filter(char::is_ascii_digit).take(4).collect();
        let number: i32 = digits.parse().unwrap_or(0);
        let seconds = hours(number / 100) + number % 100 * 60;
        return if sign == "-" { -seconds } else { seconds };
    }
    match zone.to_ascii_uppercase().as_str() {
        "EDT" => hours(-4),
        "EST" | "CDT" => hours(-5),
        "CST" | "MDT" => hours(-6),
        "MST" | "PDT" => hours(-7),
        "PST" => hours(-8),
        "CET" | "BST" => hours(1),
        "CEST" | "EET" => hours(2),
        "EEST" | "MSK" => hours(3),
        "JST" => hours(9),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("Wed, 31 Jan 2024 10:20:30 +0100", Some("2024-01-31T09:20:30Z")),
            ("31 Jan 2024 10:20 -0000", Some("2024-01-31T10:20:00Z")),
            ("Mon, 31 Jan 2024 10:20:30 GMT", Some("2024-01-31T10:20:30Z")),
            ("Wed,  1 Feb 24 00:00:60 EST", Some("2024-02-01T05:00:59Z")),
            ("Wed Jan 31 10:20:30 2024", Some("2024-01-31T10:20:30Z")),
            ("2024-01-31 10:20:30.123456 +0000 UTC m=+5.5", Some("2024-01-31T10:20:30Z")),
            ("2024-01-31T10:20:30+02:00", Some("2024-01-31T08:20:30Z")),
            ("Wed, 31 Jan 2024 10:20:30 -0830", Some("2024-01-31T18:50:30Z")),
            ("Wednesday, 31-Jan-24 10:20:30 GMT", Some("2024-01-31T10:20:30Z")),
            ("Wed, 31 Jan 2024 10:20:30 PM +0000", Some("2024-01-31T22:20:30Z")),
            ("Wed, 31 Jan 2024 12:20:30 am -0100", Some("2024-01-31T01:20:30Z")),
            ("31-13-2024 10:20:30", None),
            ("Wed, 31 Jan 0024 10:20:30 +0000", None),
            ("Wed, 32 Jan 2024 10:20:30 +0000", None),
            ("Wed, 31 Jan 2024 25:20:30 +0000", None),
            ("Wed, 31 Jan 2024 10:20:30 +9999", None),
            ("Jän 1 x:y", None),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(parse(text).map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()).as_deref(), expected, "{text}");
        }
    }
}
