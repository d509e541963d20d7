//! When maintenance windows are: once, or again and again by the clocks of the organisation's time zone.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    week::{Day, Occurrence, TimeOfDay},
    zone::Zone,
};

/// A window lasts this long at most: 7 days.
pub const MOST_MINUTES: u32 = 7 * 24 * 60;

/// When a window is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Plan {
    /// One time.
    Once {
        /// From this instant.
        from: DateTime<Utc>,
        /// Until this one.
        to: DateTime<Utc>,
    },
    /// Every week.
    Weekly {
        /// On these days.
        days: Vec<Day>,
        /// Local time at which it begins.
        at: TimeOfDay,
        /// How long it lasts.
        minutes: u32,
    },
    /// Every month.
    Monthly {
        /// On this day, 1 to 31; the last day of shorter months.
        day: u8,
        /// Local time at which it begins.
        at: TimeOfDay,
        /// How long it lasts.
        minutes: u32,
    },
}

impl Plan {
    /// The occurrence that holds an instant: of several that overlap, the one that lasts longest. `ended_early_at` cuts what was on then.
    pub fn at(&self, zone: Zone, ended_early_at: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Option<Occurrence> {
        let cut = |occurrence: Occurrence| match ended_early_at {
            Some(end) if occurrence.contains(end) => Occurrence { to: end, ..occurrence },
            _ => occurrence,
        };
        self.around(zone, at).into_iter().map(cut).filter(|occurrence| occurrence.contains(at)).max_by_key(|occurrence| occurrence.to)
    }

    /// The first occurrence that begins after an instant.
    pub fn next(&self, zone: Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        self.around(zone, after).into_iter().filter(|occurrence| occurrence.from > after).min_by_key(|occurrence| occurrence.from)
    }

    /// All occurrences near an instant: as far back as one may last, and ahead to the next.
    fn around(&self, zone: Zone, at: DateTime<Utc>) -> Vec<Occurrence> {
        let today = zone.local(at).date();
        match self {
            Self::Once { from, to } => vec![Occurrence { from: *from, to: *to }],
            Self::Weekly { days, at, minutes } => (0..=18)
                .filter_map(|ahead| (today - Days::new(9)).checked_add_days(Days::new(ahead)))
                .filter(|date| Day::are(days, *date))
                .map(|date| occurrence(zone, at.on(date), *minutes))
                .collect(),
            Self::Monthly { day, at, minutes } => {
                let first = today.with_day(1).unwrap_or(today) - Months::new(1);
                (0..=3)
                    .filter_map(|ahead| month_day(first.checked_add_months(Months::new(ahead))?, *day))
                    .map(|date| occurrence(zone, at.on(date), *minutes))
                    .collect()
            }
        }
    }

    /// When nothing of it is left; `None` for what recurs.
    pub const fn over_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Once { to, .. } => Some(*to),
            Self::Weekly { .. } | Self::Monthly { .. } => None,
        }
    }
}

/// A duration is what passes, whatever the clocks do meanwhile.
fn occurrence(zone: Zone, local: NaiveDateTime, minutes: u32) -> Occurrence {
    let from = zone.instant(local);
    Occurrence { from, to: from + TimeDelta::minutes(minutes.into()) }
}

/// That day of the month of `first`, or the last one where there is none.
fn month_day(first: NaiveDate, day: u8) -> Option<NaiveDate> {
    first.with_day(day.into()).or_else(|| (first + Months::new(1)).pred_opt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn weekly(days: &[Day], at: &str, minutes: u32) -> Plan {
        Plan::Weekly { days: days.to_vec(), at: at.parse().unwrap(), minutes }
    }

    fn monthly(day: u8, at: &str, minutes: u32) -> Plan {
        Plan::Monthly { day, at: at.parse().unwrap(), minutes }
    }

    fn berlin() -> Zone {
        "Europe/Berlin".parse().unwrap()
    }

    #[test]
    fn the_next_occurrence_follows_the_clocks_of_the_zone() {
        let once = Plan::Once { from: utc("2026-05-01T10:00:00Z"), to: utc("2026-05-01T12:00:00Z") };
        for (plan, after, next) in [
            (&once, "2026-04-01T00:00:00Z", Some(("2026-05-01T10:00:00Z", "2026-05-01T12:00:00Z"))),
            (&once, "2026-05-01T10:00:00Z", None),
            // Winter and summer time: the same hour on the wall.
            (&weekly(&[Day::Sat], "22:00", 60), "2026-03-25T00:00:00Z", Some(("2026-03-28T21:00:00Z", "2026-03-28T22:00:00Z"))),
            (&weekly(&[Day::Sat], "22:00", 60), "2026-03-30T00:00:00Z", Some(("2026-04-04T20:00:00Z", "2026-04-04T21:00:00Z"))),
            // A start that the clock jumps over, and one that it shows twice.
            (&weekly(&[Day::Sun], "02:30", 60), "2026-03-28T00:00:00Z", Some(("2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"))),
            (&weekly(&[Day::Sun], "02:30", 60), "2026-10-24T00:00:00Z", Some(("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"))),
            // Already begun today: the next is in a week.
            (&weekly(&[Day::Sun], "02:30", 60), "2026-07-05T00:30:00Z", Some(("2026-07-12T00:30:00Z", "2026-07-12T01:30:00Z"))),
            // The last day of a short month; then the 31st again.
            (&monthly(31, "12:00", 30), "2026-02-01T00:00:00Z", Some(("2026-02-28T11:00:00Z", "2026-02-28T11:30:00Z"))),
            (&monthly(31, "12:00", 30), "2026-02-28T12:00:00Z", Some(("2026-03-31T10:00:00Z", "2026-03-31T10:30:00Z"))),
            (&monthly(1, "00:00", 30), "2026-12-31T22:59:00Z", Some(("2026-12-31T23:00:00Z", "2026-12-31T23:30:00Z"))),
        ] {
            let wanted = next.map(|(from, to)| Occurrence { from: utc(from), to: utc(to) });
            assert_eq!(plan.next(berlin(), utc(after)), wanted, "{plan:?} after {after}");
        }
    }

    #[test]
    fn what_is_on_is_told_to_the_second_and_ends_where_somebody_ended_it() {
        let nightly = weekly(&Day::ALL, "23:30", 60);
        let long = weekly(&[Day::Fri], "18:00", MOST_MINUTES);
        let month = monthly(31, "22:00", MOST_MINUTES);
        for (plan, ended, at, until) in [
            (&nightly, None, "2026-06-10T21:29:59Z", None),
            (&nightly, None, "2026-06-10T21:30:00Z", Some("2026-06-10T22:30:00Z")),
            // Over midnight.
            (&nightly, None, "2026-06-10T22:29:59Z", Some("2026-06-10T22:30:00Z")),
            (&nightly, None, "2026-06-10T22:30:00Z", None),
            (&nightly, Some("2026-06-10T21:45:00Z"), "2026-06-10T21:44:59Z", Some("2026-06-10T21:45:00Z")),
            (&nightly, Some("2026-06-10T21:45:00Z"), "2026-06-10T21:45:00Z", None),
            // The one after it is whole.
            (&nightly, Some("2026-06-10T21:45:00Z"), "2026-06-11T22:00:00Z", Some("2026-06-11T22:30:00Z")),
            // Seven days long, with the change of the clocks in it.
            (&long, None, "2026-03-27T16:59:59Z", Some("2026-03-27T17:00:00Z")),
            (&long, None, "2026-04-03T16:30:00Z", Some("2026-04-10T16:00:00Z")),
            (&month, None, "2026-03-06T12:00:00Z", Some("2026-03-07T21:00:00Z")),
            (&month, None, "2026-03-07T21:00:00Z", None),
        ] {
            let now = plan.at(berlin(), ended.map(utc), utc(at));
            assert_eq!(now.map(|now| now.to), until.map(utc), "{plan:?} at {at}");
        }
    }
}
