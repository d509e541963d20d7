//! Routes against the database: who is told when, what is held until when, what follows, and that kills and second workers repeat nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use scene::Scene;
use waypost_store::{
    OrgTx,
    channel_messages::News,
    channels::{AddChannel, SealedChannel, new_channel_id},
    incidents::IncidentChange,
};
use waypost_types::{
    ChannelId, IncidentId, MonitorId, RouteId,
    channel::{ChannelKind, EventKind},
    incident::{IncidentSeverity, IncidentStatus, MuteFor},
    monitor::MonitorKind,
    outcome::Verdict,
    route::{Hold, NewRoute, Receivers, Step, Times},
    week::{Day, Hours},
};
use waypost_worker::{
    checker::stub_outcome,
    follow_ups::FollowUps,
    recorder::{Recorder, Run},
};

fn follow_ups(scene: &Scene) -> FollowUps {
    FollowUps::new(scene.db.store.clone(), "https://waypost.example", "waypost.example")
}

async fn channel(scene: &Scene, name: &str, kind: ChannelKind) -> ChannelId {
    let id = new_channel_id();
    let secret = SealedChannel { sealed: vec![1], shown: "https://e.example/…".to_owned() };
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let min_severity = IncidentSeverity::Info;
    tx.add_channel(&AddChannel { id, name, kind, secret: &secret, slack_channel: None, min_severity, enabled: true }).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn to(channels: &[ChannelId]) -> Receivers {
    Receivers { channels: channels.to_vec(), ..Receivers::default() }
}

fn members() -> Receivers {
    Receivers { members: true, ..Receivers::default() }
}

fn telling(tells: Receivers) -> NewRoute {
    NewRoute { tells, ..NewRoute::of_everybody() }
}

async fn route(scene: &Scene, new: &NewRoute) -> RouteId {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let route = tx.add_route(new).await.unwrap();
    tx.commit().await.unwrap();
    route.id
}

/// Quiet hours that are on now and end in about three hours, or that are not on.
fn quiet(on: bool) -> Hold {
    let hour = |ahead: i64| (Utc::now() + TimeDelta::hours(ahead)).format("%H:00").to_string().parse().unwrap();
    let (from, to) = if on { (hour(-2), hour(3)) } else { (hour(3), hour(5)) };
    Hold::QuietHours(Hours { days: Day::ALL.to_vec(), from, to })
}

/// Outcomes until the number of incidents that are not over is as wanted.
async fn until(scene: &Scene, monitor: MonitorId, verdict: Verdict, open: i64) {
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    for _ in 0..10 {
        let claimed = scene.claim_when_due().await;
        let runs: Vec<Run> = claimed
            .iter()
            .map(|unit| {
                let verdict = if unit.monitor == monitor { verdict } else { Verdict::Up };
                Run {
                    monitor: unit.monitor,
                    claim: unit.claim,
                    at: Utc::now(),
                    outcome: Arc::new(stub_outcome("mx.example", 25, verdict)),
                    requested: false,
                }
            })
            .collect();
        recorder.record(scene.org, "local", &runs, Utc::now()).await.unwrap();
        if scene.value::<i64>("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await == open {
            return;
        }
    }
    panic!("the judge did not come to {open}");
}

/// A monitor that was up.
async fn watched(scene: &Scene) -> MonitorId {
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    until(scene, monitor, Verdict::Up, 0).await;
    monitor
}

/// All messages so far, in order: to whom, and the kind or the mark of the subject.
async fn told(scene: &Scene) -> String {
    scene
        .value(
            "SELECT coalesce(string_agg(coalesce((SELECT c.name FROM channels c WHERE c.id = o.channel_id), 'members') || ' ' ||
                    coalesce(o.message->>'kind', substring(o.message->>'subject' from '\\[(.*?)\\]')), ', ' ORDER BY o.id), '') FROM outbox o",
        )
        .await
}

async fn story(scene: &Scene, event: &str) -> String {
    scene.value(&format!("SELECT coalesce(string_agg(text, '; ' ORDER BY at, id), '') FROM incident_timeline WHERE event = '{event}'")).await
}

async fn incident(scene: &Scene) -> IncidentId {
    IncidentId(scene.value("SELECT id FROM incidents ORDER BY opened_at DESC LIMIT 1").await)
}

async fn change(scene: &Scene, change: IncidentChange<'_>) {
    let id = incident(scene).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.update_incident(id, None, IncidentChange { actor: "ann@example.com", ..change }, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
}

fn in_minutes(minutes: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(minutes)
}

async fn make_info(scene: &Scene) {
    scene.run_sql("UPDATE incidents SET severity = 'warning'").await;
}

#[tokio::test]
async fn routes_decide_who_is_told_and_who_heard_hears_of_the_end() {
    let scene = Scene::new().await;
    let (chat, pager) = (channel(&scene, "chat", ChannelKind::Slack).await, channel(&scene, "pager", ChannelKind::Pagerduty).await);
    let monitor = watched(&scene).await;
    // Without routes everybody is told.
    until(&scene, monitor, Verdict::Down, 1).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    scene.long_after().await;
    assert_eq!(told(&scene).await.matches("opened").count(), 2);
    assert!(told(&scene).await.contains("members Critical") && told(&scene).await.contains("members Recovered"), "{}", told(&scene).await);
    scene.run_sql("DELETE FROM outbox").await;
    // Twice the same channel: one message. The other route is for something else.
    route(&scene, &telling(to(&[chat]))).await;
    route(&scene, &NewRoute { min_severity: IncidentSeverity::Critical, ..telling(to(&[chat])) }).await;
    let tagged = NewRoute { tags: vec!["web".to_owned()], ..telling(Receivers { members: true, ..to(&[pager]) }) };
    let tagged = route(&scene, &tagged).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    assert_eq!(told(&scene).await, "chat opened");
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.remove_route(tagged, None).await.unwrap();
    tx.commit().await.unwrap();
    // The end goes to whoever heard, though by now the routes would say otherwise.
    scene.run_sql("UPDATE routes SET tags = '{elsewhere}'").await;
    until(&scene, monitor, Verdict::Up, 0).await;
    scene.long_after().await;
    assert_eq!(told(&scene).await, "chat opened, chat resolved");
    until(&scene, monitor, Verdict::Down, 1).await;
    assert_eq!(told(&scene).await, "chat opened, chat resolved");
    assert_eq!(story(&scene, "held").await, "No route matches: nobody is told.");
    // What stands by itself has tags of its own.
    until(&scene, monitor, Verdict::Up, 0).await;
    scene.long_after().await;
    scene.run_sql("UPDATE monitors SET tags = '{elsewhere}'").await;
    until(&scene, monitor, Verdict::Down, 1).await;
    assert_eq!(told(&scene).await, "chat opened, chat resolved, chat opened");
}

#[tokio::test]
async fn a_step_tells_once_however_many_workers_there_are_and_the_timeline_says_it() {
    let scene = Scene::new().await;
    let (chat, pager) = (channel(&scene, "chat", ChannelKind::Slack).await, channel(&scene, "pager", ChannelKind::Pagerduty).await);
    let steps = vec![
        Step { after_minutes: 15, tells: Receivers { members: true, ..to(&[pager]) } },
        Step { after_minutes: 60, tells: Receivers::everybody() },
    ];
    route(&scene, &NewRoute { name: "On call".to_owned(), steps, ..telling(to(&[chat])) }).await;
    let monitor = watched(&scene).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    let teller = follow_ups(&scene);
    assert_eq!(teller.tell_due(in_minutes(14)).await.unwrap(), 0, "it is not due");
    let (one, two) = tokio::join!(teller.tell_due(in_minutes(16)), teller.tell_due(in_minutes(16)));
    assert_eq!(one.unwrap() + two.unwrap(), 1, "one of two workers claims it");
    assert_eq!(told(&scene).await, "chat opened, members Escalated, pager escalated");
    assert_eq!(story(&scene, "escalated").await, "Nobody acknowledged it: step 1 of the route “On call”.");
    assert_eq!(teller.tell_due(in_minutes(30)).await.unwrap(), 0, "what is done is never done again");
    // Who takes the incident keeps the rest from coming.
    change(&scene, IncidentChange { status: Some(IncidentStatus::Acknowledged), ..IncidentChange::default() }).await;
    assert_eq!(teller.tell_due(in_minutes(90)).await.unwrap(), 0);
    until(&scene, monitor, Verdict::Up, 0).await;
    let end = told(&scene).await;
    for receiver in ["chat resolved", "pager resolved", "members Recovered"] {
        assert!(end.contains(receiver), "whoever was told hears of the end: {end}");
    }
}

#[tokio::test]
async fn a_worker_that_dies_leaves_the_step_to_the_next_and_repeats_nothing() {
    let scene = Scene::new().await;
    let pager = channel(&scene, "pager", ChannelKind::Pagerduty).await;
    let steps = vec![Step { after_minutes: 15, tells: to(&[pager]) }];
    route(&scene, &NewRoute { steps, ..telling(members()) }).await;
    let monitor = watched(&scene).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    let (store, teller) = (&scene.db.store, follow_ups(&scene));
    // Killed after the claim, and once more after all is written but not committed.
    let claimed = store.claim_follow_ups(in_minutes(16), 10, 60).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(teller.tell_due(in_minutes(16)).await.unwrap(), 0, "the lease is another's");
    let mut tx = store.org_tx(scene.org).await.unwrap();
    let due = tx.take_follow_up(&claimed[0], in_minutes(16)).await.unwrap().unwrap();
    assert_eq!(due.channels, [pager]);
    drop(tx);
    assert_eq!(told(&scene).await, "members Critical");
    assert_eq!(teller.tell_due(in_minutes(18)).await.unwrap(), 1, "the lease is over");
    // The first comes back to life with its claim in hand.
    let mut tx = store.org_tx(scene.org).await.unwrap();
    assert!(tx.take_follow_up(&claimed[0], in_minutes(19)).await.unwrap().is_none());
    tx.commit().await.unwrap();
    assert_eq!(told(&scene).await, "members Critical, pager escalated");
}

#[tokio::test]
async fn a_muted_incident_is_followed_up_when_the_mute_is_over_and_a_changed_route_counts() {
    let scene = Scene::new().await;
    let pager = channel(&scene, "pager", ChannelKind::Pagerduty).await;
    let steps = vec![Step { after_minutes: 15, tells: to(&[pager]) }];
    let of = route(&scene, &NewRoute { steps, ..telling(members()) }).await;
    let monitor = watched(&scene).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    scene.run_sql("UPDATE outbox SET state = 'sent', attempts = 1").await;
    change(&scene, IncidentChange { mute: Some(MuteFor::Hour), ..IncidentChange::default() }).await;
    let teller = follow_ups(&scene);
    teller.tell_due(in_minutes(16)).await.unwrap();
    assert_eq!(told(&scene).await, "members Critical");
    teller.tell_due(in_minutes(62)).await.unwrap();
    assert_eq!(told(&scene).await, "members Critical, pager escalated");
    // Another incident; meanwhile the route is switched off.
    until(&scene, monitor, Verdict::Up, 0).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    let before = told(&scene).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let now = tx.route(of).await.unwrap();
    let off = waypost_types::route::RoutePatch { enabled: Some(false), ..Default::default() }.onto(now);
    tx.update_route(of, None, &off).await.unwrap();
    tx.commit().await.unwrap();
    teller.tell_due(in_minutes(16)).await.unwrap();
    assert_eq!(told(&scene).await, before);
}

/// As the judge tells of what it opens and ends.
async fn tell(tx: &mut OrgTx, id: IncidentId, kind: EventKind, summary: &str, at: DateTime<Utc>) {
    let routed = tx.ask_routes(id, kind, at).await.unwrap();
    tx.tell_channels_of(&routed, id, &News { kind, summary, now: None, at }).await.unwrap();
}

#[tokio::test]
async fn what_is_held_is_told_as_one_message_with_what_is_over_by_then() {
    let scene = Scene::new().await;
    let (chat, hook) = (channel(&scene, "chat", ChannelKind::Slack).await, channel(&scene, "hook", ChannelKind::Webhook).await);
    let tells = Receivers { members: true, ..to(&[chat, hook]) };
    route(&scene, &NewRoute { hold: quiet(true), ..telling(tells) }).await;
    let scene_incident = async |title: &str, severity: &str| {
        let monitor = scene.monitor(MonitorKind::Smtp, &format!("{title}.example:25"), 300).await;
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        let severity = severity.parse().unwrap();
        let opening = waypost_store::transitions::Opening {
            monitor,
            condition: "",
            kind: MonitorKind::Smtp,
            target: title,
            title,
            summary: "It is slow.",
            severity,
            at: Utc::now(),
            evidence: serde_json::Value::Null,
        };
        let id = tx.open_incident(&opening).await.unwrap();
        tell(&mut tx, id, EventKind::Opened, "It is slow.", Utc::now()).await;
        tx.commit().await.unwrap();
        id
    };
    scene_incident("first", "warning").await;
    let second = scene_incident("second", "info").await;
    assert_eq!(told(&scene).await, "");
    assert!(story(&scene, "held").await.starts_with("It is told with what else waits until "), "{}", story(&scene, "held").await);
    // It ends unheard: no message of its own.
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.end_incident(second, Utc::now(), "x").await.unwrap();
    tell(&mut tx, second, EventKind::Resolved, "x", Utc::now()).await;
    tx.commit().await.unwrap();
    assert_eq!(told(&scene).await, "");
    // What is critical does not wait.
    scene_incident("third", "critical").await;
    assert_eq!(told(&scene).await, "chat opened, hook opened");
    scene.run_sql("DELETE FROM outbox").await;
    let (teller, store) = (follow_ups(&scene), &scene.db.store);
    let morning = in_minutes(4 * 60);
    // A worker that takes them and dies before its commit loses nothing.
    assert_eq!(store.claim_held_notices(morning, 50, 60).await.unwrap().len(), 3);
    let mut tx = store.org_tx(scene.org).await.unwrap();
    assert_eq!(tx.take_held_notices(Some(chat), morning).await.unwrap().unwrap().incidents.len(), 2);
    drop(tx);
    let later = morning + TimeDelta::minutes(2);
    let (one, two) = tokio::join!(teller.tell_due(later), teller.tell_due(later));
    assert!(one.unwrap() + two.unwrap() >= 3);
    assert_eq!(teller.tell_due(later + TimeDelta::hours(1)).await.unwrap(), 0);
    let mut all: Vec<String> = told(&scene).await.split(", ").map(str::to_owned).collect();
    all.sort();
    assert_eq!(all, ["chat digest", "hook opened", "members Digest"]);
    let said: String = scene.value("SELECT message->>'summary' FROM outbox WHERE message->>'kind' = 'digest'").await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("Warning: first.") && lines[1].starts_with("Over: second."), "{said}");
    // Who read of it in the digest hears of its end.
    let mut tx = store.org_tx(scene.org).await.unwrap();
    let first = IncidentId(scene.value("SELECT id FROM incidents WHERE title = 'first'").await);
    tx.end_incident(first, later, "x").await.unwrap();
    let quiet_is_over = in_minutes(5 * 60);
    tell(&mut tx, first, EventKind::Resolved, "x", quiet_is_over).await;
    tx.commit().await.unwrap();
    assert!(told(&scene).await.contains("chat resolved") && told(&scene).await.contains("hook resolved"), "{}", told(&scene).await);
}

#[tokio::test]
async fn a_reminder_comes_as_often_as_the_route_says_and_not_to_whoever_was_told_lately() {
    let scene = Scene::new().await;
    let chat = channel(&scene, "chat", ChannelKind::Slack).await;
    let tells = || Receivers { members: true, ..to(&[chat]) };
    route(&scene, &NewRoute { remind_minutes: Some(30), ..telling(tells()) }).await;
    route(&scene, &NewRoute { remind_minutes: Some(45), ..telling(to(&[chat])) }).await;
    let monitor = watched(&scene).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    scene.run_sql("UPDATE outbox SET created_at = created_at - interval '31 minutes'").await;
    let teller = follow_ups(&scene);
    teller.tell_due(in_minutes(29)).await.unwrap();
    assert!(!told(&scene).await.contains("remind"));
    // Times of the outbox are the database's: the clock is moved by moving what was told back.
    teller.tell_due(in_minutes(31)).await.unwrap();
    assert_eq!(told(&scene).await, "members Critical, chat opened, members Still open, chat reminded");
    // The other route's comes a quarter of an hour later: the chat heard of it just now.
    scene.run_sql("UPDATE outbox SET created_at = now() + interval '31 minutes' WHERE event_key LIKE '%reminded%'").await;
    teller.tell_due(in_minutes(46)).await.unwrap();
    assert_eq!(told(&scene).await.matches("chat reminded").count(), 1);
    teller.tell_due(in_minutes(60)).await.unwrap();
    assert_eq!(told(&scene).await.matches("chat reminded").count(), 1, "never more often");
    teller.tell_due(in_minutes(62)).await.unwrap();
    assert_eq!(told(&scene).await.matches("chat reminded").count(), 2);
    until(&scene, monitor, Verdict::Up, 0).await;
    assert_eq!(teller.tell_due(in_minutes(600)).await.unwrap(), 0, "what is over is not reminded of");
}

#[tokio::test]
async fn in_quiet_hours_steps_wait_until_they_end() {
    let scene = Scene::new().await;
    let pager = channel(&scene, "pager", ChannelKind::Pagerduty).await;
    let steps = vec![Step { after_minutes: 15, tells: to(&[pager]) }];
    let of = route(&scene, &NewRoute { hold: quiet(false), steps, times: Times::Always, ..telling(members()) }).await;
    let monitor = watched(&scene).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    make_info(&scene).await;
    // Now they are on.
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let now = tx.route(of).await.unwrap();
    let patch = waypost_types::route::RoutePatch { hold: Some(quiet(true)), ..Default::default() };
    tx.update_route(of, None, &patch.onto(now)).await.unwrap();
    tx.commit().await.unwrap();
    let teller = follow_ups(&scene);
    assert_eq!(teller.tell_due(in_minutes(16)).await.unwrap(), 1);
    assert_eq!(told(&scene).await, "members Critical");
    teller.tell_due(in_minutes(4 * 60)).await.unwrap();
    assert_eq!(told(&scene).await, "members Critical, pager escalated");
}
