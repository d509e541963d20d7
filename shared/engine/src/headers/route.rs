//! The hops in the order of time: delays between them, and clocks that contradict each other.

use chrono::{DateTime, Utc};
use waypost_types::headers::Hop;

use super::{fields::Parts, received};

/// Seconds by which a sender's clock may be ahead before it is worth a word.
const MOST_AHEAD: u64 = 120;
/// No more Received fields than this are read; RFC 5321 6.3 takes 100 for a loop.
pub(super) const MAX_HOPS: usize = 200;

/// The way of a message.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The sender's hop first.
    pub(super) hops: Vec<Hop>,
    /// Seconds from the first time to the last.
    pub(super) total: Option<u64>,
    /// Received fields that were left out.
    pub(super) left_out: usize,
}

/// Reads the Received fields. The topmost were added last: when there are too many, those nearest to the recipient are kept.
pub(super) fn read(parts: &Parts<'_>) -> Route {
    let count = parts.all("Received").count();
    let mut hops: Vec<Hop> = parts.all("Received").take(MAX_HOPS).map(|field| received::parse(&field.text())).collect();
    hops.reverse();
    let mut last = None;
    for hop in &mut hops {
        let Some(time) = hop.time else { continue };
        if let Some(before) = last.replace(time) {
            let seconds = (time - before).num_seconds();
            if seconds < 0 {
                hop.skew_seconds = Some(seconds.unsigned_abs());
                hop.remarks.push(format!(
                    "This host took the message {} before the host before it passed it on: one of the two clocks is wrong",
                    span(seconds.unsigned_abs())
                ));
            } else {
                hop.delay_seconds = Some(seconds.unsigned_abs());
            }
        }
    }
    let first = hops.iter().find_map(|hop| hop.time);
    let total = first.zip(last).and_then(|(first, last)| u64::try_from((last - first).num_seconds()).ok());
    Route { hops, total, left_out: count.saturating_sub(MAX_HOPS) }
}

/// A remark on the sender's clock, where Date and the first hop's time contradict each other. A message may wait before it is sent.
pub(super) fn date_skew(date: DateTime<Utc>, hops: &[Hop]) -> Option<String> {
    let first = hops.iter().find_map(|hop| hop.time)?;
    let ahead = u64::try_from((date - first).num_seconds()).ok().filter(|seconds| *seconds > MOST_AHEAD)?;
    Some(format!("Date lies {} after the first host took the message: the sender's clock, or its time zone, is wrong", span(ahead)))
}

/// A span of time in its two largest units.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two((seconds / 60, "min"), (seconds % 60, "s")),
        3600..86_400 => two((seconds / 3600, "h"), (seconds % 3600 / 60, "min")),
        _ => two((seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")),
    }
}

fn two(large: (u64, &str), small: (u64, &str)) -> String {
    if small.0 == 0 { format!("{} {}", large.0, large.1) } else { format!("{} {} {} {}", large.0, large.1, small.0, small.1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::fields;

    fn route(times: &[&str]) -> Route {
        let text =
            times.iter().rev().map(|time| format!("Received: from a by b with SMTP id 1; 31 Jan 2024 {time}\r\n")).collect::<Vec<_>>().concat();
        read(&fields::split(text.as_bytes()))
    }

    #[test]
    fn delays_skew_and_total() {
        let steps = |route: &Route| route.hops.iter().map(|hop| (hop.delay_seconds, hop.skew_seconds)).collect::<Vec<_>>();
        let plain = route(&["10:00:00 +0000", "11:00:05 +0100", "10:02:05 +0000"]);
        assert_eq!((steps(&plain), plain.total), (vec![(None, None), (Some(5), None), (Some(120), None)], Some(125)));
        let skewed = route(&["10:00:00 +0000", "09:59:50 +0000", "10:00:10 +0000"]);
        assert_eq!((steps(&skewed), skewed.total), (vec![(None, None), (None, Some(10)), (Some(20), None)], Some(10)));
        assert!(skewed.hops[1].remarks[0].contains("10 s before"));
        let gap = route(&["10:00:00 +0000", "some day", "10:00:10 +0000"]);
        assert_eq!((steps(&gap), gap.total), (vec![(None, None), (None, None), (Some(10), None)], Some(10)));
        assert_eq!(route(&["10:00:00 +0000", "09:00:00 +0000"]).total, None);
        assert_eq!(route(&[]).total, None);
    }

    #[test]
    fn hops_have_a_bound_and_the_last_ones_are_kept() {
        let long = route(&["10:00:00 +0000"; 1000]);
        assert_eq!((long.hops.len(), long.left_out), (MAX_HOPS, 800));
    }

    #[test]
    fn spans_are_short() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90_000, "1 d 1 h")] {
            assert_eq!(span(seconds), words);
        }
    }
}
