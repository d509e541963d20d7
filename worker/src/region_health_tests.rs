//! Whether a region is cut off, as a table. A story is what regions `a` (which is asked about) and others saw of hosts 1, 2, 3 …: `a1+` reached,
//! `a1-` not reached, `a1!` not reached since the own network says so, each a second after the one before; `|` lets five minutes pass.

use chrono::{DateTime, TimeDelta, Utc};
use waypost_store::region_looks::RegionLook;

use super::cut_off;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// What is decided after each look of `a`: the last word.
fn told(story: &str) -> bool {
    let (mut looks, mut was): (Vec<RegionLook>, Option<DateTime<Utc>>) = (Vec::new(), None);
    let mut now = start();
    for word in story.split_whitespace() {
        now += TimeDelta::seconds(1);
        let [region, host, how] = word.as_bytes() else {
            now += TimeDelta::minutes(5);
            continue;
        };
        let (region, subject) = (char::from(*region).to_string(), char::from(*host).to_string());
        // Hosts 8 and 9 are in one network.
        let network = matches!(*host, b'8' | b'9').then(|| "n".to_owned());
        let reached = *how == b'+';
        let before = looks.iter().position(|look| look.region == region && look.subject == subject).map(|at| looks.swap_remove(at));
        let changed_at = before.as_ref().filter(|look| look.reached == reached).map_or(now, |look| look.changed_at);
        let reached_at = if reached { Some(now) } else { before.and_then(|look| look.reached_at) };
        looks.push(RegionLook { region: region.clone(), subject, network, at: now, reached, nearby: *how == b'!', changed_at, reached_at });
        if region == "a" {
            was = cut_off("a", &looks, was, now);
        }
    }
    was.is_some()
}

#[test]
fn stories_end_as_the_table_says() {
    for (name, story, wanted) in [
        ("all is well", "a1+ b1+ a2+ b2+ a3+ b3+", false),
        ("what others reach and this region does not", "b1+ b2+ b3+ a1- a2- a3-", true),
        ("two may be their own fault", "b1+ b2+ a1- a2-", false),
        ("what nobody reaches is down", "b1- b2- b3- b4- a1- a2- a3- a4-", false),
        ("what others reached long ago may be down by now", "b1+ b2+ b3+ | a1- a2- a3-", false),
        ("several that fail among many that are reached", "b1+ b2+ b3+ a1- a4+ a2- a5+ a3- a6+", false),
        ("nearly all is enough", "b1+ b2+ b3+ b4+ a1- a2- a5+ a3- a4-", true),
        ("names of one network are one", "b1+ b2+ b8+ b9+ a1- a8- a9-", false),
        ("two of four regions are cut off, and this is one", "b1+ c1- d1+ b2+ c2- d2+ b3+ c3- d3+ a1- a2- a3-", true),
        ("two of four regions are cut off, and this is none", "b1- c1- d1+ b2- c2- d2+ b3- c3- d3+ a1+ a2+ a3+", false),
        ("it is whole again when most is reached", "b1+ b2+ b3+ a1- a2- a3- | b1+ b2+ b3+ a1+ a2+", false),
        ("one that is reached again is not most", "b1+ b2+ b3+ a1- a2- a3- | b1+ b2+ b3+ a1+", true),
        ("it stays cut off while nothing is reached", "b1+ b2+ b3+ a1- a2- a3- | b1+ b2+ b3+ a1- a2- a3- | b1+ b2+ b3+ a1- a2- a3-", true),
        ("what died while it was cut off is not held against it", "b1+ b2+ b3+ a1- a2- a3- | b1- b2+ b3+ a1- a2+ a3+", false),
        ("alone, and its own network says that there is no way", "a1+ a2+ a3+ | a1! a2! a3!", true),
        ("alone, and what fails fails elsewhere", "a1+ a2+ a3+ | a1- a2- a3-", false),
        ("alone, and something is reached or answers", "a1+ a2+ a3+ a4+ | a1! a4- a2! a3!", false),
        ("alone, and never reached anything", "a1! a2! a3!", false),
        ("alone, and back", "a1+ a2+ a3+ | a1! a2! a3! | a1+ a2+", false),
    ] {
        assert_eq!(told(story), wanted, "{name}: {story}");
    }
}
