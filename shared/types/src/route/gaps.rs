//! What no route tells: per severity, whether incidents of it are told always, at some hours or never, and for which tags that differs.

use super::{Route, Times};
use crate::{
    incident::IncidentSeverity,
    week::{Day, Hours},
};

/// Minutes of a week.
const WEEK: u32 = 7 * 24 * 60;

/// Whether incidents of a kind are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Covered {
    /// Never.
    Never,
    /// At some hours of the week.
    AtTimes,
    /// Always.
    Always,
}

/// A severity of which not everything is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Which.
    pub severity: IncidentSeverity,
    /// Incidents about what has none of the tags that routes name.
    pub untagged: Covered,
    /// Tags for which it is better, and how.
    pub tagged: Vec<(String, Covered)>,
}

/// What routes that are on and tell somebody leave out, worst first. Nothing where an incident of any kind at any hour is told by one.
pub fn gaps(routes: &[Route]) -> Vec<Gap> {
    let telling: Vec<&Route> = routes.iter().filter(|route| route.enabled && !route.tells.is_nobody()).collect();
    let mut tags: Vec<&String> = telling.iter().flat_map(|route| &route.tags).collect();
    tags.sort_unstable();
    tags.dedup();
    [IncidentSeverity::Critical, IncidentSeverity::Warning, IncidentSeverity::Info]
        .into_iter()
        .filter_map(|severity| {
            let of = |tag: Option<&String>| {
                let fits =
                    |route: &&&Route| route.min_severity <= severity && (route.tags.is_empty() || tag.is_some_and(|tag| route.tags.contains(tag)));
                covered(&telling.iter().filter(fits).map(|route| &route.times).collect::<Vec<_>>())
            };
            let untagged = of(None);
            let better = tags.iter().map(|tag| ((*tag).clone(), of(Some(tag)))).filter(|(_, covered)| *covered > untagged);
            (untagged < Covered::Always).then(|| Gap { severity, untagged, tagged: better.collect() })
        })
        .collect()
}

/// Of a week whose days have 24 hours: on the two days on which the clocks change hours overlap or a gap has its hour less or more, but whether
/// there is a gap stays the same.
fn covered(times: &[&Times]) -> Covered {
    if times.is_empty() {
        return Covered::Never;
    }
    let hours: Vec<&Hours> = times.iter().filter_map(|times| if let Times::Hours(hours) = times { Some(hours) } else { None }).collect();
    if hours.len() < times.len() {
        return Covered::Always;
    }
    // Whether a minute is told changes only where hours begin or end.
    let spans: Vec<(u32, u32)> = hours.iter().flat_map(|hours| spans(hours)).collect();
    let told = |minute: u32| spans.iter().any(|(from, lasts)| (minute + WEEK - from) % WEEK < *lasts);
    let ends = spans.iter().map(|(from, lasts)| (from + lasts) % WEEK);
    match (spans.is_empty(), ends.clone().all(told)) {
        (true, _) => Covered::Never,
        (_, true) => Covered::Always,
        (_, false) => Covered::AtTimes,
    }
}

/// The minute of the week at which hours begin, and for how many they last, for each of their days.
fn spans(hours: &Hours) -> Vec<(u32, u32)> {
    let (from, to) = (hours.from.minute_of_day(), hours.to.minute_of_day());
    let lasts = if to <= from { to + 24 * 60 - from } else { to - from };
    let day = |(number, day): (u32, &Day)| hours.days.contains(day).then_some((number * 24 * 60 + from, lasts));
    (0..).zip(Day::ALL.iter()).filter_map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Hold, Receivers};
    use IncidentSeverity::{Critical, Info, Warning};

    fn route(min_severity: IncidentSeverity, tags: &[&str], times: Times) -> Route {
        Route {
            id: crate::id::RouteId(uuid::Uuid::nil()),
            name: String::new(),
            enabled: true,
            min_severity,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            times,
            tells: Receivers::everybody(),
            hold: Hold::Nothing,
            remind_minutes: None,
            steps: Vec::new(),
            version: 1,
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    fn hours(days: &[Day], from: &str, to: &str) -> Times {
        Times::Hours(Hours { days: days.to_vec(), from: from.parse().unwrap(), to: to.parse().unwrap() })
    }

    fn gap(severity: IncidentSeverity, untagged: Covered, tagged: &[(&str, Covered)]) -> Gap {
        Gap { severity, untagged, tagged: tagged.iter().map(|(tag, covered)| ((*tag).to_owned(), *covered)).collect() }
    }

    #[test]
    fn what_nobody_is_told_is_found() {
        use Covered::{Always, AtTimes, Never};
        let all = || route(Info, &[], Times::Always);
        let never = |tagged: &[(&str, Covered)]| [Critical, Warning, Info].map(|severity| gap(severity, Never, tagged)).to_vec();
        for (routes, wanted) in [
            (vec![all()], vec![]),
            (vec![], never(&[])),
            (vec![Route { enabled: false, ..all() }], never(&[])),
            (vec![Route { tells: Receivers::default(), ..all() }], never(&[])),
            (vec![route(Warning, &[], Times::Always)], vec![gap(Info, Never, &[])]),
            (vec![route(Info, &["web"], Times::Always)], never(&[("web", Always)])),
            (
                vec![route(Critical, &[], Times::Always), route(Warning, &["web"], hours(&Day::ALL, "08:00", "18:00"))],
                vec![gap(Warning, Never, &[("web", AtTimes)]), gap(Info, Never, &[])],
            ),
            // Day and night together are always, over midnight and over the week's end; a minute less is not.
            (vec![route(Info, &[], hours(&Day::ALL, "08:00", "20:00")), route(Info, &[], hours(&Day::ALL, "20:00", "08:00"))], vec![]),
            (vec![route(Info, &[], hours(&Day::ALL, "00:00", "00:00"))], vec![]),
            (
                vec![route(Info, &[], hours(&Day::ALL, "08:00", "20:00")), route(Critical, &[], hours(&Day::ALL, "20:01", "08:00"))],
                [Critical, Warning, Info].map(|severity| gap(severity, AtTimes, &[])).to_vec(),
            ),
        ] {
            assert_eq!(gaps(&routes), wanted, "{routes:?}");
        }
    }
}
