//! The series that a rule can watch: each with its unit, the side of the limit that is bad, the kinds of monitor that have it, and its words.

use serde::{Deserialize, Serialize};

use crate::monitor::MonitorKind;

/// Checks that a value over a window needs: of fewer it says nothing, and there is none.
pub const LEAST_CHECKS: u32 = 3;

/// A series of numbers about a monitor. The written form is part of the contract with programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Median of what checks took in all, milliseconds.
    ResponseTimeP50,
    /// 95th percentile of what checks took in all, milliseconds.
    ResponseTimeP95,
    /// Share of the checks that could tell which failed, percent.
    FailureRate,
    /// Share of the checks that could not tell, percent.
    UnknownRate,
    /// Days until the first of the certificates shown last expires.
    CertificateDays,
    /// Listings on block lists that stand.
    Listings,
    /// Score of a domain, points of 100.
    Score,
}

/// On which side of its limit a series is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Side {
    /// What people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether a value is on this side of a limit. The limit itself is not.
    pub fn is_beyond(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::Below => value < limit,
        }
    }
}

impl Series {
    /// All, in the order of a form.
    pub const ALL: [Self; 7] =
        [Self::ResponseTimeP95, Self::ResponseTimeP50, Self::FailureRate, Self::UnknownRate, Self::CertificateDays, Self::Listings, Self::Score];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResponseTimeP50 => "response_time_p50",
            Self::ResponseTimeP95 => "response_time_p95",
            Self::FailureRate => "failure_rate",
            Self::UnknownRate => "unknown_rate",
            Self::CertificateDays => "certificate_days",
            Self::Listings => "listings",
            Self::Score => "score",
        }
    }

    /// What people read, at the start of a line.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ResponseTimeP50 => "Response time, p50",
            Self::ResponseTimeP95 => "Response time, p95",
            Self::FailureRate => "Failed checks",
            Self::UnknownRate => "Checks that could not tell",
            Self::CertificateDays => "Days left on the certificate",
            Self::Listings => "Block-list listings",
            Self::Score => "Score of a domain",
        }
    }

    /// The same within a sentence: `the p95 response time`.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::ResponseTimeP50 => "the p50 response time",
            Self::ResponseTimeP95 => "the p95 response time",
            Self::FailureRate => "the share of failed checks",
            Self::UnknownRate => "the share of checks that could not tell",
            Self::CertificateDays => "the time left on the certificate",
            Self::Listings => "the number of block-list listings",
            Self::Score => "the score",
        }
    }

    /// The unit of its numbers, as a form names it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::ResponseTimeP50 | Self::ResponseTimeP95 => "ms",
            Self::FailureRate | Self::UnknownRate => "%",
            Self::CertificateDays => "days",
            Self::Listings => "listings",
            Self::Score => "points",
        }
    }

    /// On which side of the limit it is bad.
    pub const fn side(self) -> Side {
        match self {
            Self::CertificateDays | Self::Score => Side::Below,
            _ => Side::Above,
        }
    }

    /// Least and most that a limit may be.
    pub const fn bounds(self) -> (f64, f64) {
        match self {
            Self::ResponseTimeP50 | Self::ResponseTimeP95 => (1.0, 600_000.0),
            // A rate is never above 100.
            Self::FailureRate | Self::UnknownRate => (0.0, 99.0),
            Self::CertificateDays => (0.0, 1000.0),
            Self::Listings => (0.0, 10_000.0),
            Self::Score => (1.0, 100.0),
        }
    }

    /// Whether its limits are whole numbers.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::CertificateDays | Self::Listings | Self::Score)
    }

    /// Taken over the checks of a window; the others are what was seen last.
    pub const fn has_window(self) -> bool {
        matches!(self, Self::ResponseTimeP50 | Self::ResponseTimeP95 | Self::FailureRate | Self::UnknownRate)
    }

    /// The only kind of monitor that has it, where there is only one.
    pub const fn only(self) -> Option<MonitorKind> {
        match self {
            Self::Listings => Some(MonitorKind::Blacklist),
            Self::Score => Some(MonitorKind::Audit),
            _ => None,
        }
    }

    /// Kinds of monitor that do not have it. Of audits and block lists a check that finds something has not failed.
    pub const fn never(self) -> &'static [MonitorKind] {
        match self {
            Self::ResponseTimeP50 | Self::ResponseTimeP95 | Self::FailureRate | Self::CertificateDays => {
                &[MonitorKind::Audit, MonitorKind::Blacklist]
            }
            Self::UnknownRate | Self::Listings | Self::Score => &[],
        }
    }

    /// What it is about, for a form.
    pub const fn of_what(self) -> &'static str {
        match self {
            Self::ResponseTimeP50 | Self::ResponseTimeP95 => "checks of servers that worked",
            Self::FailureRate => "checks of servers; those that could not tell do not count",
            Self::UnknownRate => "all checks",
            Self::CertificateDays => "servers that show a certificate",
            Self::Listings => "addresses, networks and domains that are looked up on block lists",
            Self::Score => "domains",
        }
    }

    /// Seconds between two judgements. A value over a long window moves slowly, and costs the more to reckon; a 60th of the window is enough.
    /// What is seen last changes with checks, which are minutes apart.
    pub const fn judged_every(self, over_minutes: Option<u32>) -> u32 {
        match over_minutes {
            Some(minutes) if minutes > 60 => minutes,
            Some(_) => 60,
            None => 120,
        }
    }

    /// A value with its unit: `1,840 ms`, `33.3 %`, `9 days`.
    pub fn words(self, value: f64) -> String {
        // What is left of a day is no day.
        let value = if self == Self::CertificateDays { value.floor() } else { value };
        let number = match self {
            Self::FailureRate | Self::UnknownRate => number(value, 1),
            _ => number(value, 0),
        };
        let one = number == "1";
        match self {
            Self::ResponseTimeP50 | Self::ResponseTimeP95 => format!("{number} ms"),
            Self::FailureRate | Self::UnknownRate => format!("{number} %"),
            Self::CertificateDays => format!("{number} {}", if one { "day" } else { "days" }),
            Self::Listings => format!("{number} {}", if one { "listing" } else { "listings" }),
            Self::Score => format!("{number} {}", if one { "point" } else { "points" }),
        }
    }
}

impl std::str::FromStr for Series {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|series| series.as_str() == text).ok_or(())
    }
}

/// With separators of thousands, and decimals only where they say something.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let mut out = String::with_capacity(text.len() + 4);
    if value < 0.0 && text.bytes().any(|digit| matches!(digit, b'1'..=b'9')) {
        out.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// Minutes as people say them: `90 min`, `2 h`, `1 day`.
pub fn minutes(minutes: u32) -> String {
    match minutes {
        1440 => "1 day".to_owned(),
        minutes if minutes >= 60 && minutes.is_multiple_of(60) => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_with_their_unit() {
        for (series, value, words) in [
            (Series::ResponseTimeP95, 1_839.6, "1,840 ms"),
            (Series::FailureRate, 33.333, "33.3 %"),
            (Series::FailureRate, 20.0, "20 %"),
            (Series::CertificateDays, 9.98, "9 days"),
            (Series::CertificateDays, 1.2, "1 day"),
            (Series::CertificateDays, -0.5, "-1 days"),
            (Series::Listings, 1.0, "1 listing"),
            (Series::Listings, 12_000.0, "12,000 listings"),
            (Series::Score, 72.0, "72 points"),
        ] {
            assert_eq!(series.words(value), words);
        }
        assert_eq!([minutes(15), minutes(90), minutes(120), minutes(1440)], ["15 min", "90 min", "2 h", "1 day"]);
    }

    #[test]
    fn every_series_reads_back_and_is_bad_on_one_side_of_its_limit_alone() {
        for series in Series::ALL {
            assert_eq!(series.as_str().parse(), Ok(series));
            assert_eq!(serde_json::to_value(series).unwrap(), series.as_str());
            let (least, most) = series.bounds();
            assert!(!series.side().is_beyond(least, least) && series.side().is_beyond(least, most) != series.side().is_beyond(most, least));
        }
    }
}
