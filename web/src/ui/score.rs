//! What the score of an audit lost, and what the next fix would gain.

use leptos::prelude::*;
use waypost_types::{
    audit::LostPoints,
    outcome::{AuditReport, Status},
    score::{Held, grade},
};

use super::badge;
use crate::text;

/// The score in a sentence. What does not exist is told apart from what did not answer.
pub(crate) fn score_sentence(audit: &AuditReport) -> String {
    match audit.score {
        Some(score) => format!("{score} of 100"),
        None if audit.unknown.is_empty() => "There is nothing to grade".to_owned(),
        None => "No score: too much is unknown".to_owned(),
    }
}

/// Fixes whose gain together is said above the list.
const TOGETHER: usize = 3;
/// Subjects that a row names.
const MOST_NAMED: usize = 3;

/// A card with what holds the score down: listings first, then what each point was lost for, the most first; nothing where nothing was lost.
/// `prefix` is that of the findings; `lists` leads to what is to be done about listings.
pub(crate) fn lost_points(audit: &AuditReport, prefix: &str, lists: &'static str) -> Option<AnyView> {
    let score = audit.score?;
    if audit.lost.is_empty() && audit.held.is_none() {
        return None;
    }
    let mut lost: Vec<&LostPoints> = audit.lost.iter().collect();
    lost.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.rule.cmp(&b.rule)));
    let rows = lost.iter().enumerate().map(|(nth, lost)| row(audit, lost, nth, prefix)).collect_view();
    let plan = plan(audit, &lost).map(|said| view! { <p class="sm">{said}</p> });
    Some(
        view! {
            <section class="card" id="score" aria-labelledby="h-score" data-live="score">
                <div class="card-head"><h2 id="h-score">"What the score lost"</h2><a href="/score">"How it is counted"</a></div>
                <div class="card-body stack">{plan}<ul class="movers">{audit.held.as_ref().map(|held| listed(held, score, lists))}{rows}</ul></div>
            </section>
        }
        .into_any(),
    )
}

/// What the first few fixes gain together, which one alone may not.
fn plan(audit: &AuditReport, lost: &[&LostPoints]) -> Option<String> {
    let score = audit.score?;
    let delisted = audit.held.is_some();
    let rules = TOGETHER.saturating_sub(usize::from(delisted)).min(lost.len());
    // Where very much is lost it takes more of them until the score moves.
    let rules = (rules..=lost.len()).find(|rules| after(lost, *rules) > score).unwrap_or(lost.len());
    if usize::from(delisted) + rules < 2 {
        return None;
    }
    let points = after(lost, rules);
    let what = match (delisted, rules) {
        (true, 1) => "Off the lists and with the first finding mended".to_owned(),
        (true, rules) => format!("Off the lists and with the first {rules} findings mended"),
        (false, rules) => format!("With the first {rules} mended"),
    };
    Some(format!("{what}: {points} of 100, grade {}.", grade(points)))
}

/// The score without listings and with the first so many mended.
fn after(lost: &[&LostPoints], mended: usize) -> u8 {
    let left: u32 = lost.iter().skip(mended).map(|lost| u32::from(lost.points)).sum();
    u8::try_from(100_u32.saturating_sub(left)).unwrap_or(0)
}

/// Listings that hold the score: the first thing to mend.
fn listed(held: &Held, score: u8, lists: &'static str) -> AnyView {
    let worst = held.listings.first();
    let status = worst.map_or(Status::Bad, |listing| listing.severity.into()).as_str();
    let title = match worst {
        Some(listing) => format!("{} is listed on {}", listing.subject, listing.list),
        None => "Listed on block lists".to_owned(),
    };
    let more = held.count.saturating_sub(1);
    let more = (more > 0).then(|| view! { <span class="muted">{format!(", and {}", text::counted(more, "more listing", "more listings"))}</span> });
    let gain = match held.without.saturating_sub(score) {
        0 => format!("no more than {} while it lasts", held.most),
        _ => format!("no more than {} while it lasts: {} of 100 without", held.most, held.without),
    };
    view! {
        <li>
            <span class="points" data-status=status>{format!("≤{}", held.most)}</span>
            <span><a href=lists>{title}</a>{more}" "{badge(Status::Info, "Mend first")}</span>
            <span class="xs muted num">{gain}</span>
        </li>
    }
    .into_any()
}

fn row(audit: &AuditReport, lost: &LostPoints, nth: usize, prefix: &str) -> AnyView {
    let status = Status::from(lost.severity).as_str();
    let of_rule = || audit.findings.iter().enumerate().filter(|(_, finding)| finding.rule == lost.rule);
    let title = match of_rule().next() {
        Some((index, _)) => view! { <a href=format!("#fix-{prefix}-{index}")>{lost.title.clone()}</a> }.into_any(),
        None => lost.title.clone().into_any(),
    };
    let many = of_rule().count();
    let many = (many > 1).then(|| view! { <span class="muted">{format!(" in {many} places, counted once")}</span> });
    let about = subjects(of_rule().map(|(_, finding)| finding.subject.as_str()), &audit.domain);
    let about = about.map(|about| view! { <span class="sub mono xs wrap-any">{about}</span> });
    let gain = match lost.gain {
        0 if audit.held.is_some() => "gains once it is off the lists".to_owned(),
        0 => "gains together with others".to_owned(),
        gain => format!("mending gains {gain}: {} of 100", audit.score.unwrap_or_default().saturating_add(gain)),
    };
    let first = (nth == 0 && audit.held.is_none()).then(|| view! { " "{badge(Status::Info, "Best next fix")} });
    view! {
        <li>
            <span class="points" data-status=status>{format!("−{}", lost.points)}</span>
            <span>{title}{many}{first}{about}</span>
            <span class="xs muted num">{gain}</span>
        </li>
    }
    .into_any()
}

/// Which selectors, hosts or names a rule is about; nothing where that is the domain alone.
fn subjects<'a>(all: impl Iterator<Item = &'a str>, domain: &str) -> Option<String> {
    let mut subjects: Vec<&str> = Vec::new();
    for subject in all {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    if subjects.is_empty() || subjects == [domain] {
        return None;
    }
    let more = subjects.len().saturating_sub(MOST_NAMED);
    let named = subjects.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    Some(if more == 0 { named } else { format!("{named} and {more} more") })
}

#[cfg(test)]
mod tests {
    use waypost_types::Severity;

    use super::*;

    fn lost(points: &[u8]) -> Vec<LostPoints> {
        let one = |points: &u8| LostPoints { rule: "a.b".to_owned(), title: "T".to_owned(), severity: Severity::High, points: *points, gain: 0 };
        points.iter().map(one).collect()
    }

    fn planned(score: u8, points: &[u8], held: bool) -> Option<String> {
        let held = held.then(|| Held { most: 59, without: 92, count: 1, listings: Vec::new() });
        let audit = AuditReport { score: Some(score), held, ..AuditReport::empty("e.example") };
        plan(&audit, &lost(points).iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_the_first_fixes_gain_together_is_said_where_one_alone_gains_nothing() {
        for (score, points, held, wanted) in [
            (0, &[40_u8, 40, 40, 20][..], false, Some("With the first 3 mended: 80 of 100, grade B.")),
            (0, &[40, 40, 40, 40, 40, 40], false, Some("With the first 4 mended: 20 of 100, grade E.")),
            (52, &[40, 8], false, Some("With the first 2 mended: 100 of 100, grade A.")),
            (92, &[8], false, None),
            (59, &[8], true, Some("Off the lists and with the first finding mended: 100 of 100, grade A.")),
            (59, &[], true, None),
        ] {
            assert_eq!(planned(score, points, held).as_deref(), wanted, "{score} {points:?}");
        }
    }

    #[test]
    fn a_lost_point_names_what_it_is_about() {
        let of = |all: &[&str]| subjects(all.iter().copied(), "e.example");
        assert_eq!(of(&["e.example"]), None);
        assert_eq!(of(&["s1._domainkey.e.example", "s1._domainkey.e.example"]).as_deref(), Some("s1._domainkey.e.example"));
        assert_eq!(of(&["a", "b", "c", "d", "e"]).as_deref(), Some("a, b, c and 2 more"));
    }
}
