//! The time zone of an organisation, and what a local time means in it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, Offset, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time zone by its IANA name, such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

/// There is no such time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone of that name")]
pub struct NoSuchZone;

impl FromStr for Zone {
    type Err = NoSuchZone;
    fn from_str(text: &str) -> Result<Self, NoSuchZone> {
        let name = text.trim();
        let insensitive = || chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied();
        name.parse().ok().or_else(insensitive).map(Self).ok_or(NoSuchZone)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Zone {
    /// Names of all zones, in the order of the alphabet.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The local date and time of an instant.
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// An instant in words of its zone: `Sun 29 Mar 2026, 03:30 CEST`.
    pub fn words(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%a %-d %b %Y, %H:%M %Z").to_string()
    }

    /// The instant of a local time, as RFC 5545 section 3.3.5 takes it: a time that exists twice is the first of the two, and one that the
    /// clock jumps over is reckoned with the offset from before the jump (02:30 becomes 03:30 where an hour is left out).
    pub fn instant(self, local: NaiveDateTime) -> DateTime<Utc> {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
            MappedLocalTime::None => {
                // A day that is left out as a whole (Samoa, 2011) has no time before it on the same day either.
                let before = local.checked_sub_days(Days::new(1)).unwrap_or(local);
                let offset = self
                    .0
                    .offset_from_local_datetime(&before)
                    .earliest()
                    .or_else(|| self.0.offset_from_local_datetime(&(before - Days::new(1))).earliest());
                let seconds = offset.map_or(0, |offset| offset.fix().local_minus_utc());
                (local - chrono::TimeDelta::seconds(seconds.into())).and_utc()
            }
        }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Zone {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).examples(["Europe/Berlin"]).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Zone {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_that_is_jumped_over_or_exists_twice_is_one_instant() {
        for (zone, local, utc) in [
            ("Europe/Berlin", "2026-01-10T02:30:00", "2026-01-10T01:30:00Z"),
            ("Europe/Berlin", "2026-07-10T02:30:00", "2026-07-10T00:30:00Z"),
            // 02:00 to 03:00 does not exist.
            ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
            // 02:00 to 03:00 exists twice.
            ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("America/New_York", "2026-03-08T02:15:00", "2026-03-08T07:15:00Z"),
            // A whole day does not exist.
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z"),
            ("UTC", "2026-03-29T02:30:00", "2026-03-29T02:30:00Z"),
        ] {
            let at = zone.parse::<Zone>().unwrap().instant(local.parse().unwrap());
            assert_eq!(at, utc.parse::<DateTime<Utc>>().unwrap(), "{zone} {local}");
        }
        let berlin: Zone = "europe/berlin".parse().unwrap();
        assert_eq!(
            (berlin.to_string().as_str(), berlin.words("2026-03-29T01:30:00Z".parse().unwrap()).as_str()),
            ("Europe/Berlin", "Sun 29 Mar 2026, 03:30 CEST")
        );
        assert!("Europe/Atlantis".parse::<Zone>().is_err());
        assert!(Zone::names().any(|name| name == "Europe/Berlin"));
    }
}
