//! The judge: from a monitor's state and the latest outcome of each of its regions to its new state. Pure; called under a row lock on the
//! monitor, once per new outcome. DESIGN section 2 gives the rules, the table in the tests gives the cases.

use std::time::Duration;

use chrono::{DateTime, Utc};
use waypost_types::{
    finding::Severity,
    incident::IncidentSeverity,
    judge::{Candidate, CutOff, JudgeState, MonitorState, Policy, RegionOutcome, Steadiness, Transition},
    monitor::MonitorKind,
    outcome::Verdict,
};

use crate::flapping::{self, FlapNews, MANY};

/// What the judge is told beside state and outcomes.
#[derive(Debug, Clone, Copy)]
pub struct JudgeContext<'a> {
    /// The time of judging.
    pub now: DateTime<Utc>,
    /// How this monitor is judged.
    pub policy: Policy,
    /// Time between its checks: what is older than two of them does not vote.
    pub interval: Duration,
    /// What it runs.
    pub kind: MonitorKind,
    /// How many regions check it.
    pub regions: usize,
    /// It is in a maintenance window: nothing bad becomes news, and after the window what was seen in it does not vote.
    pub maintenance: bool,
    /// When regions could not reach anything: what they saw then has no vote, and while it lasts they do not count.
    pub cut_offs: &'a [CutOff],
}

/// What the judge decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// To be remembered.
    pub state: JudgeState,
    /// Confirmed changes: none or one.
    pub transitions: Vec<Transition>,
    /// Check again that soon, because a change waits for its confirmation.
    pub recheck: Option<Duration>,
    /// What its flapping tells beside that.
    pub flapping: Option<FlapNews>,
    /// Something counted: the state is no older than what it was judged by.
    pub heard: bool,
}

/// Judges the latest outcome of each region.
pub fn judge(state: &JudgeState, latest: &[RegionOutcome], ctx: &JudgeContext<'_>) -> Judgement {
    let mut judgement = match count(latest, state.quiet_at, ctx) {
        Some(vote) => heard(state, &vote, ctx),
        // Nothing recent to judge by.
        None => Judgement { state: state.clone(), transitions: Vec::new(), recheck: None, flapping: None, heard: false },
    };
    if ctx.maintenance {
        judgement.state.quiet_at = latest.iter().map(|outcome| outcome.at).max().max(state.quiet_at);
    }
    judgement
}

/// Weighs a vote, and tells its change beside where it is flapping.
fn heard(state: &JudgeState, vote: &Vote<'_>, ctx: &JudgeContext<'_>) -> Judgement {
    let mut steadiness = state.steadiness.clone();
    // What is as urgent as down counts as that: what turns serious and back keeps people busy like what goes down and comes back.
    let says = if vote.grave { MonitorState::Down } else { vote.state };
    let changed = flapping::hear(&mut steadiness, says, ctx.now, ctx.interval, ctx.maintenance);
    let mut judgement = weigh(&JudgeState { steadiness, ..state.clone() }, vote, ctx);
    let flaps = state.steadiness.flapping_since.is_some() && judgement.state.steadiness.flapping_since.is_some();
    if changed && flaps && judgement.transitions.is_empty() && flapping::is_told(&mut judgement.state.steadiness) {
        judgement.flapping = Some(FlapNews::Changed(vote.state));
    }
    judgement
}

fn weigh(state: &JudgeState, vote: &Vote<'_>, ctx: &JudgeContext<'_>) -> Judgement {
    let stays = |candidate| {
        let state = JudgeState { candidate, ..state.clone() };
        Judgement { state, transitions: Vec::new(), recheck: None, flapping: None, heard: true }
    };
    if vote.state == state.state && (vote.grave == state.grave || vote.state == MonitorState::Unknown) {
        let mut judgement = stays(None);
        // Bad without a change for long: that is an outage like any other, and no flapping.
        let flaps = state.steadiness.flapping_since.is_some();
        if flaps && vote.state != MonitorState::Unknown && flapping::is_calm(&state.steadiness, ctx.now, ctx.interval) {
            flapping::settle(&mut judgement.state.steadiness);
            judgement.flapping = Some(FlapNews::Steady(flapping::calm(ctx.interval, state.steadiness.relapses)));
        }
        return judgement;
    }
    // Nothing gets worse in a window, nor somewhat better, which would be told too: it is judged anew when the window is over. Of audits and
    // scans nothing is told from here, so that their pages may show what is.
    if ctx.maintenance && ctx.kind.is_judged_whole() && news(known(state), vote.level()).is_some() {
        return stays(None);
    }
    let candidate = advance(state.candidate, vote);
    let vote = &Vote { state: vote.state, grave: candidate.grave, supporters: vote.supporters.clone(), needed: vote.needed };
    if let Some(held) = hold(state, vote, candidate, ctx) {
        return held;
    }
    if candidate.rounds < rounds_needed(level(state), vote.level(), ctx.policy) {
        return Judgement { recheck: Some(recheck_delay(ctx.interval)), ..stays(Some(candidate)) };
    }
    confirm(state, vote, ctx)
}

/// What is flapping gets no better until it is calm. It is looked at as often as ever meanwhile: there is time.
fn hold(state: &JudgeState, vote: &Vote<'_>, candidate: Candidate, ctx: &JudgeContext<'_>) -> Option<Judgement> {
    let better = vote.state != MonitorState::Unknown && rank(vote.level()) < rank(known(state));
    if !better || !ctx.kind.is_judged_whole() {
        return None;
    }
    let flaps = state.steadiness.flapping_since.is_some();
    if !(flaps || state.steadiness.changes.len() >= MANY) || flapping::is_calm(&state.steadiness, ctx.now, ctx.interval) {
        return None;
    }
    let mut state = JudgeState { candidate: Some(candidate), ..state.clone() };
    state.steadiness.flapping_since.get_or_insert(ctx.now);
    let news = (!flaps).then(|| FlapNews::Began(flapping::calm(ctx.interval, state.steadiness.relapses)));
    Some(Judgement { state, transitions: Vec::new(), recheck: None, flapping: news, heard: true })
}

/// What is remembered of a monitor that nobody can check any more: it can not be told, and behind that stands what was last known.
pub fn unheard(state: &JudgeState, now: DateTime<Utc>) -> JudgeState {
    JudgeState { state: MonitorState::Unknown, since: Some(now), candidate: None, before_unknown: Some(known(state).state), ..state.clone() }
}

/// How long to wait before looking again at something that seems to have changed.
pub fn recheck_delay(interval: Duration) -> Duration {
    (interval / 4).min(Duration::from_secs(30))
}

/// What the regions say together.
struct Vote<'a> {
    state: MonitorState,
    /// What degrades it is of high severity.
    grave: bool,
    /// The outcomes that say so, or worse.
    supporters: Vec<&'a RegionOutcome>,
    needed: usize,
}

impl Vote<'_> {
    fn level(&self) -> Level {
        Level { state: self.state, grave: self.grave }
    }
}

/// A state as incidents weigh it: what is degraded by something of high severity is as urgent as what is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    state: MonitorState,
    grave: bool,
}

/// `quiet_at`: what was seen up to then was seen in a maintenance window and has no vote outside of one.
fn count<'a>(latest: &'a [RegionOutcome], quiet_at: Option<DateTime<Utc>>, ctx: &JudgeContext<'_>) -> Option<Vote<'a>> {
    let oldest = ctx.now - chrono::Duration::from_std(ctx.interval * 2).unwrap_or(chrono::Duration::MAX);
    let votes = |outcome: &RegionOutcome| {
        (ctx.maintenance || quiet_at.is_none_or(|quiet| outcome.at > quiet)) && !ctx.cut_offs.iter().any(|cut_off| cut_off.covers(outcome))
    };
    let recent: Vec<&RegionOutcome> = latest.iter().filter(|outcome| outcome.at >= oldest && votes(outcome)).collect();
    let telling: Vec<&RegionOutcome> = recent.iter().copied().filter(|outcome| outcome.verdict != Verdict::Unknown).collect();
    if telling.is_empty() {
        let needed = recent.len();
        return (needed > 0).then_some(Vote { state: MonitorState::Unknown, grave: false, supporters: recent, needed });
    }
    // A region that is silent or blind must not keep the others from deciding, so the majority is one of those that can tell.
    let needed = match ctx.policy.quorum as usize {
        0 => telling.len() / 2 + 1,
        // Of the regions that can reach anything, so that those that can not do not keep an outage from being one.
        quorum => quorum.min(ctx.regions.saturating_sub(ctx.cut_offs.iter().filter(|cut_off| cut_off.until.is_none()).count()).max(1)),
    };
    for (verdict, state) in [(Verdict::Down, MonitorState::Down), (Verdict::Degraded, MonitorState::Degraded)] {
        let supporters: Vec<&RegionOutcome> = telling.iter().copied().filter(|outcome| badness(outcome.verdict) >= badness(verdict)).collect();
        if supporters.len() >= needed {
            let grave = |outcome: &&&RegionOutcome| outcome.verdict == Verdict::Down || outcome.worst >= Some(Severity::High);
            let grave = state == MonitorState::Degraded && supporters.iter().filter(grave).count() >= needed;
            return Some(Vote { state, grave, supporters, needed });
        }
    }
    let supporters: Vec<&RegionOutcome> = telling.into_iter().filter(|outcome| outcome.verdict == Verdict::Up).collect();
    // Too few failures for a quorum: what the majority sees stands, but at least one outcome must speak for it.
    if supporters.is_empty() {
        return None;
    }
    Some(Vote { state: MonitorState::Up, grave: false, needed: needed.min(supporters.len()), supporters })
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Up | Verdict::Unknown => 0,
        Verdict::Degraded => 1,
        Verdict::Down => 2,
    }
}

fn rank(level: Level) -> u8 {
    match level.state {
        MonitorState::Pending | MonitorState::Unknown | MonitorState::Up => 0,
        MonitorState::Degraded => 1 + u8::from(level.grave),
        MonitorState::Down => 3,
    }
}

/// One more round, if a quorum of the outcomes is newer than the last round counted.
fn advance(before: Option<Candidate>, vote: &Vote<'_>) -> Candidate {
    let newest = vote.supporters.iter().map(|outcome| outcome.at).max();
    match before.filter(|candidate| candidate.state == vote.state) {
        None => Candidate { state: vote.state, grave: vote.grave, rounds: 1, counted_at: newest },
        Some(candidate) => {
            let newer = vote.supporters.iter().filter(|outcome| candidate.counted_at.is_none_or(|counted| outcome.at > counted)).count();
            if newer >= vote.needed {
                // Serious in one round and not in the next is a problem, and no serious one.
                Candidate { grave: candidate.grave && vote.grave, rounds: candidate.rounds.saturating_add(1), counted_at: newest, ..candidate }
            } else {
                candidate
            }
        }
    }
}

fn rounds_needed(from: Level, to: Level, policy: Policy) -> u32 {
    let rounds = match (from.state, to.state) {
        // Not being able to tell is confirmed like a failure, so that one lost packet does not grey a page.
        (_, MonitorState::Unknown) => policy.fail_after,
        // The first outcome that is no failure is taken as it is: it is the baseline.
        (MonitorState::Pending, MonitorState::Up | MonitorState::Degraded) if !to.grave => 1,
        _ if rank(to) > rank(from) => policy.fail_after,
        _ => policy.recover_after,
    };
    rounds.max(1)
}

/// Behind an unknown state stands what was last known: coming back to it is no news.
fn known(state: &JudgeState) -> Level {
    let known = if state.state == MonitorState::Unknown { state.before_unknown.unwrap_or_default() } else { state.state };
    Level { state: known, grave: state.grave }
}

fn level(state: &JudgeState) -> Level {
    Level { state: state.state, grave: state.grave && state.state != MonitorState::Unknown }
}

/// The severity that an incident about a change has; `None` where there is none to tell. What is wrong in a small way when it is first seen is the
/// baseline.
fn news(before: Level, after: Level) -> Option<IncidentSeverity> {
    if before == after {
        return None;
    }
    match (before.state, after.state) {
        (_, MonitorState::Down) => Some(IncidentSeverity::Critical),
        (_, MonitorState::Degraded) if after.grave => Some(IncidentSeverity::Critical),
        (MonitorState::Pending, MonitorState::Degraded) => None,
        (_, MonitorState::Degraded) => Some(IncidentSeverity::Warning),
        _ => None,
    }
}

fn confirm(state: &JudgeState, vote: &Vote<'_>, ctx: &JudgeContext<'_>) -> Judgement {
    let (known, now) = (known(state), ctx.now);
    let severity = news(known, vote.level());
    let worst = vote.supporters.iter().max_by_key(|outcome| (badness(outcome.verdict), outcome.worst, outcome.at));
    let summary = worst.map(|outcome| outcome.summary.clone()).unwrap_or_default();
    let mut steadiness = state.steadiness.clone();
    let recovered_at = follow(&mut steadiness, (known, vote.level()), ctx);
    let transition = Transition {
        from: known.state,
        to: vote.state,
        at: now,
        summary,
        better: vote.state != MonitorState::Unknown && rank(vote.level()) < rank(known),
        severity,
        recovered_at,
        flapping: steadiness.flapping_since.map(|_| flapping::calm(ctx.interval, steadiness.relapses)),
    };
    let before_unknown = (vote.state == MonitorState::Unknown).then_some(known.state);
    let grave = if vote.state == MonitorState::Unknown { known.grave } else { vote.grave };
    Judgement {
        state: JudgeState { state: vote.state, grave, since: Some(now), candidate: None, before_unknown, quiet_at: state.quiet_at, steadiness },
        transitions: vec![transition],
        recheck: None,
        flapping: None,
        heard: true,
    }
}

/// What a confirmed change makes of its steadiness. Answers when it had been confirmed to work again, where it failed again soon after.
fn follow(steadiness: &mut Steadiness, (known, to): (Level, Level), ctx: &JudgeContext<'_>) -> Option<DateTime<Utc>> {
    if to.state == MonitorState::Unknown || !ctx.kind.is_judged_whole() {
        return None;
    }
    if rank(to) < rank(known) {
        // It was calm, or never flapped.
        if steadiness.flapping_since.is_some() {
            flapping::settle(steadiness);
        }
        if to.state == MonitorState::Up {
            steadiness.recovered_at = Some(ctx.now);
        }
        return None;
    }
    if rank(to) == rank(known) {
        return None;
    }
    let recovered_at = flapping::relapsed(steadiness, ctx.now, ctx.interval).filter(|_| known.state == MonitorState::Up);
    if known.state == MonitorState::Up {
        steadiness.relapses = if recovered_at.is_some() { steadiness.relapses.saturating_add(1) } else { 0 };
    }
    if recovered_at.is_some() || steadiness.changes.len() >= MANY {
        steadiness.flapping_since.get_or_insert(ctx.now);
    }
    recovered_at
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
