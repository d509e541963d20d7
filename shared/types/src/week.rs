//! Hours of a week by the clocks of a time zone: days, times of the day, and from when until when.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::zone::Zone;

/// Hours that recur on days of the week. What ends before it begins goes on over midnight and belongs to the day on which it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hours {
    /// On these days.
    pub days: Vec<Day>,
    /// From this time on.
    pub from: TimeOfDay,
    /// Until this one; the same time stands for a whole day.
    pub to: TimeOfDay,
}

impl Hours {
    /// The hours that hold an instant. Both ends are what the clocks show, so a night on which they change is shorter or longer. Hours that
    /// follow each other without a gap are one: a weekend of two whole days ends on Monday.
    pub fn at(&self, zone: Zone, at: DateTime<Utc>) -> Option<Occurrence> {
        let all = self.around(zone, at);
        let mut on = all.iter().copied().find(|hours| hours.contains(at))?;
        while let Some(next) = all.iter().find(|next| next.from <= on.to && on.to < next.to) {
            on.to = next.to;
        }
        Some(on)
    }

    /// When they begin next; nothing while they are.
    pub fn next(&self, zone: Zone, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let all = self.around(zone, at);
        if all.iter().any(|hours| hours.contains(at)) {
            return None;
        }
        all.iter().map(|hours| hours.from).filter(|from| *from > at).min()
    }

    /// They have no end: every day, all day.
    pub fn never_end(&self) -> bool {
        self.from == self.to && Day::ALL.iter().all(|day| self.days.contains(day))
    }

    /// All of them from the day before an instant until a week and a day after it.
    fn around(&self, zone: Zone, at: DateTime<Utc>) -> Vec<Occurrence> {
        let today = zone.local(at).date();
        (0..=9)
            .filter_map(|ahead| (today - Days::new(1)).checked_add_days(Days::new(ahead)))
            .filter(|date| Day::are(&self.days, *date))
            .filter_map(|date| {
                let last = if self.to <= self.from { date.checked_add_days(Days::new(1))? } else { date };
                Some(Occurrence { from: zone.instant(self.from.on(date)), to: zone.instant(self.to.on(last)) })
            })
            .collect()
    }
}

/// The first instant after `after` at which the clocks show that time, on that day of the week where one is named.
pub fn next_time(zone: Zone, day: Option<Day>, time: TimeOfDay, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = zone.local(after).date();
    (0..=8)
        .filter_map(|ahead| today.checked_add_days(Days::new(ahead)))
        .filter(|date| day.is_none_or(|day| Day::are(&[day], *date)))
        .map(|date| zone.instant(time.on(date)))
        .find(|at| *at > after)
}

/// One time that a window, or hours that recur, are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Occurrence {
    /// It begins.
    pub from: DateTime<Utc>,
    /// It is over.
    pub to: DateTime<Utc>,
}

impl Occurrence {
    /// Whether an instant is in it.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.to
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they say what they are")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// From Monday on.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    /// For people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mon => "Monday",
            Self::Tue => "Tuesday",
            Self::Wed => "Wednesday",
            Self::Thu => "Thursday",
            Self::Fri => "Friday",
            Self::Sat => "Saturday",
            Self::Sun => "Sunday",
        }
    }

    /// Whether a date is one of these days.
    pub(crate) fn are(days: &[Self], date: NaiveDate) -> bool {
        days.iter().any(|day| day.weekday() == date.weekday())
    }

    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// A time of the day, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

/// That is no time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time of the day is written as 02:30")]
pub struct NoTimeOfDay;

impl TimeOfDay {
    /// Whole minutes since midnight, where the clocks do not change.
    pub fn minute_of_day(self) -> u32 {
        self.0.hour() * 60 + self.0.minute()
    }

    /// That time on a date.
    pub(crate) fn on(self, date: NaiveDate) -> NaiveDateTime {
        date.and_time(self.0)
    }
}

impl FromStr for TimeOfDay {
    type Err = NoTimeOfDay;
    fn from_str(text: &str) -> Result<Self, NoTimeOfDay> {
        NaiveTime::parse_from_str(text.trim(), "%H:%M").map(Self).map_err(|_| NoTimeOfDay)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%H:%M").fmt(f)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for TimeOfDay {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$"))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for TimeOfDay {}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn hours(days: &[Day], from: &str, to: &str) -> Hours {
        Hours { days: days.to_vec(), from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn hours_are_those_of_the_clocks_over_midnight_and_where_they_change() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let (night, office, weekend) =
            (hours(&Day::ALL, "22:00", "07:00"), hours(&Day::ALL[..5], "09:00", "17:00"), hours(&Day::ALL[5..], "00:00", "00:00"));
        let friday = hours(&[Day::Fri], "18:00", "02:00");
        let gap = hours(&[Day::Sun], "02:30", "03:00");
        for (hours, at, until) in [
            (&night, "2026-06-10T19:59:59Z", None),
            (&night, "2026-06-10T20:00:00Z", Some("2026-06-11T05:00:00Z")),
            (&night, "2026-06-11T04:59:59Z", Some("2026-06-11T05:00:00Z")),
            (&night, "2026-06-11T05:00:00Z", None),
            // Eight hours where the clocks go forward, ten where they go back; seven o'clock it is both times.
            (&night, "2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z")),
            (&night, "2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z")),
            (&office, "2026-06-12T06:59:59Z", None),
            (&office, "2026-06-12T07:00:00Z", Some("2026-06-12T15:00:00Z")),
            (&office, "2026-06-13T08:00:00Z", None),
            // Saturday and Sunday are one.
            (&weekend, "2026-06-12T22:00:00Z", Some("2026-06-14T22:00:00Z")),
            (&weekend, "2026-06-14T21:59:59Z", Some("2026-06-14T22:00:00Z")),
            (&weekend, "2026-06-14T22:00:00Z", None),
            // The small hours of Saturday are Friday's.
            (&friday, "2026-06-12T23:30:00Z", Some("2026-06-13T00:00:00Z")),
            (&friday, "2026-06-11T23:30:00Z", None),
            // All of it is jumped over.
            (&gap, "2026-03-29T01:15:00Z", None),
        ] {
            assert_eq!(hours.at(berlin, utc(at)).map(|on| on.to), until.map(utc), "{hours:?} at {at}");
        }
        assert!(hours(&Day::ALL, "00:00", "00:00").never_end() && !weekend.never_end() && !night.never_end());
    }

    #[test]
    fn the_next_time_is_after_now_by_the_clocks() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let eight = "08:00".parse().unwrap();
        for (day, after, next) in [
            (None, "2026-06-10T05:59:59Z", "2026-06-10T06:00:00Z"),
            (None, "2026-06-10T06:00:00Z", "2026-06-11T06:00:00Z"),
            (None, "2026-10-24T07:00:00Z", "2026-10-25T07:00:00Z"),
            (Some(Day::Mon), "2026-06-10T06:00:00Z", "2026-06-15T06:00:00Z"),
            (Some(Day::Wed), "2026-06-10T06:00:00Z", "2026-06-17T06:00:00Z"),
        ] {
            assert_eq!(next_time(berlin, day, eight, utc(after)), Some(utc(next)), "{day:?} after {after}");
        }
    }
}
