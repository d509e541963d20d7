//! What comes many at once is told together: a storm of incidents is a handful of messages, and other ports of a server are one more. So is what
//! happened in a mute.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use uuid::Uuid;
use waypost_store::{
    channels::{AddChannel, SealedChannel, new_channel_id},
    incidents::IncidentChange,
};
use waypost_types::{
    IncidentId, MonitorId,
    channel::ChannelKind,
    incident::{IncidentSeverity, MuteFor},
    monitor::MonitorKind,
    outcome::Verdict,
    route::{Hold, NewRoute, Receivers},
};
use waypost_worker::{
    checker::stub_outcome,
    follow_ups::FollowUps,
    recorder::{Recorder, Run},
};

/// Its owner, who is mailed, and a channel of each of these kinds.
async fn scene(kinds: &[ChannelKind]) -> Scene {
    let scene = Scene::new().await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    for kind in kinds {
        let secret = SealedChannel { sealed: vec![1], shown: "https://e.example/…".to_owned() };
        let slack_channel = (*kind == ChannelKind::SlackApp).then_some("C0123456789");
        let (id, name, min_severity) = (new_channel_id(), kind.as_str(), IncidentSeverity::Info);
        tx.add_channel(&AddChannel { id, name, kind: *kind, secret: &secret, slack_channel, min_severity, enabled: true }).await.unwrap();
    }
    tx.commit().await.unwrap();
    scene
}

/// Looks at these monitors once, all in one transaction.
async fn look(scene: &Scene, verdict: Verdict, monitors: &[MonitorId]) {
    let ids: Vec<String> = monitors.iter().map(|monitor| format!("'{}'", monitor.0)).collect();
    scene.run_sql(&format!("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE monitor_id IN ({})", ids.join(", "))).await;
    let claimed = scene.claim(Utc::now()).await;
    let run = |unit: &waypost_store::schedule::ClaimedUnit| Run {
        monitor: unit.monitor,
        claim: unit.claim,
        at: Utc::now(),
        outcome: Arc::new(stub_outcome("mx.example", 25, verdict)),
        requested: false,
    };
    let runs: Vec<Run> = claimed.iter().filter(|unit| monitors.contains(&unit.monitor)).map(run).collect();
    assert_eq!(runs.len(), monitors.len());
    Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example").record(scene.org, "local", &runs, Utc::now()).await.unwrap();
    // Others that were due all the same.
    scene.run_sql("UPDATE schedule_units SET leased = false, due_at = now() + interval '1 hour'").await;
}

/// How many messages of each kind there are, to whom.
async fn told(scene: &Scene) -> String {
    scene
        .value(
            "SELECT coalesce(string_agg(of || ' ' || n, ', ' ORDER BY of), '') FROM (
               SELECT coalesce((SELECT c.name FROM channels c WHERE c.id = o.channel_id), 'members') || ' ' ||
                      coalesce(o.message->>'kind', substring(o.message->>'subject' from '\\[(.*?)\\]')) AS of, count(*) AS n FROM outbox o GROUP BY 1) x",
        )
        .await
}

/// What waits is due.
async fn minutes_later(scene: &Scene) {
    scene.run_sql("UPDATE held_notices SET due_at = now()").await;
    FollowUps::new(scene.db.store.clone(), "https://waypost.example", "waypost.example").tell_due(Utc::now()).await.unwrap();
}

#[tokio::test]
async fn a_storm_is_a_handful_of_messages_and_one_about_the_rest() {
    let scene = scene(&[ChannelKind::Slack, ChannelKind::Webhook, ChannelKind::SlackApp]).await;
    let monitors = scene.monitors(24, 300).await;
    look(&scene, Verdict::Up, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors).await;
    }
    // What keeps a state hears of each by itself.
    assert_eq!(told(&scene).await, "members Critical 10, slack opened 10, slack_app opened 10, webhook opened 24");
    let soon: bool = scene.value("SELECT bool_and(due_at <= now() + interval '5 minutes') FROM held_notices").await;
    assert!(soon);
    minutes_later(&scene).await;
    assert_eq!(
        told(&scene).await,
        "members Critical 11, slack digest 1, slack opened 10, slack_app digest 1, slack_app opened 10, webhook opened 24"
    );
    let subject: String = scene.value("SELECT message->>'subject' FROM outbox WHERE message->>'subject' LIKE '%all open'").await;
    assert!(subject.starts_with("[Critical] ") && subject.ends_with(": 14 incidents, all open"), "{subject}");

    // It ends as it began: what was told is told to be over, once.
    look(&scene, Verdict::Up, &monitors).await;
    minutes_later(&scene).await;
    let ends: String = scene
        .value("SELECT string_agg(coalesce(message->>'title', message->>'subject'), '; ' ORDER BY id) FROM outbox WHERE coalesce(message->>'title', message->>'subject') LIKE '%over by now'")
        .await;
    assert_eq!(ends.matches("24 incidents, over by now").count(), 2, "{ends}");
    let app: i64 = scene
        .value("SELECT count(*) FROM outbox o JOIN channels c ON c.id = o.channel_id WHERE c.kind = 'slack_app' AND o.message->>'kind' = 'resolved'")
        .await;
    assert_eq!(app, 24, "its messages are brought up to date each");
    let hook: i64 = scene
        .value("SELECT count(*) FROM outbox WHERE message->>'kind' = 'resolved' AND channel_id = (SELECT id FROM channels WHERE kind = 'webhook')")
        .await;
    assert_eq!(hook, 24);
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM held_notices").await, 0);
}

#[tokio::test]
async fn other_ports_of_a_server_are_told_of_together() {
    let scene = scene(&[]).await;
    let server = Uuid::now_v7();
    scene
        .run_sql(&format!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{}', '{server}', 'mx.example', '{{25,465,587}}', 'manual')",
            scene.org.0
        ))
        .await;
    let mut ports = Vec::new();
    for port in [25, 465, 587] {
        let monitor = scene.monitor(MonitorKind::Smtp, &format!("mx.example:{port}"), 300).await;
        scene.run_sql(&format!("UPDATE monitors SET server_id = '{server}' WHERE id = '{}'", monitor.0)).await;
        ports.push(monitor);
    }
    let other = scene.monitors(1, 300).await;
    look(&scene, Verdict::Up, &[ports.clone(), other.clone()].concat()).await;
    for port in &ports {
        look(&scene, Verdict::Down, &[*port]).await;
        look(&scene, Verdict::Down, &[*port]).await;
    }
    assert_eq!(told(&scene).await, "members Critical 1");
    let held: String = scene.value("SELECT min(text) FROM incident_timeline WHERE event = 'held'").await;
    assert!(held.starts_with("It is told with what else waits until "), "{held}");
    // Another server is news of its own.
    look(&scene, Verdict::Down, &other).await;
    look(&scene, Verdict::Down, &other).await;
    assert_eq!(told(&scene).await, "members Critical 2");
    let soon: bool = scene.value("SELECT count(*) = 2 AND bool_and(due_at <= now() + interval '2 minutes') FROM held_notices").await;
    assert!(soon);
    minutes_later(&scene).await;
    let subject: String = scene.value("SELECT message->>'subject' FROM outbox ORDER BY id DESC LIMIT 1").await;
    assert!(subject.ends_with(": 2 incidents, all open"), "{subject}");
    // A first end is told at once, like a first beginning.
    look(&scene, Verdict::Up, &ports[..1]).await;
    assert_eq!(told(&scene).await, "members Critical 3, members Recovered 1");
    look(&scene, Verdict::Up, &ports[1..]).await;
    assert_eq!(told(&scene).await, "members Critical 3, members Recovered 1");
    minutes_later(&scene).await;
    let subject: String = scene.value("SELECT message->>'subject' FROM outbox ORDER BY id DESC LIMIT 1").await;
    assert!(subject.ends_with(": 2 incidents, over by now"), "{subject}");
}

async fn mute(scene: &Scene, mute: MuteFor) {
    let id = IncidentId(scene.value("SELECT id FROM incidents").await);
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let change = IncidentChange { mute: Some(mute), actor: "Ann", ..IncidentChange::default() };
    tx.update_incident(id, None, change, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_happened_in_a_mute_is_told_once_when_it_is_over() {
    let scene = scene(&[ChannelKind::Slack, ChannelKind::Webhook]).await;
    let monitors = scene.monitors(1, 300).await;
    look(&scene, Verdict::Up, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Degraded, &monitors).await;
    }
    assert_eq!(told(&scene).await, "members Warning 1, slack opened 1, webhook opened 1");
    scene.run_sql("UPDATE outbox SET state = 'sent', attempts = 1, sent_at = now()").await;
    mute(&scene, MuteFor::Hour).await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors).await;
    }
    look(&scene, Verdict::Degraded, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors).await;
    }
    assert_eq!(told(&scene).await, "members Warning 1, slack opened 1, webhook opened 1");
    let due: bool = scene.value("SELECT count(*) = 2 AND bool_and(due_at = (SELECT muted_until FROM incidents)) FROM held_notices").await;
    assert!(due, "people hear of it when the mute is over; what keeps a state has it already");
    mute(&scene, MuteFor::Off).await;
    FollowUps::new(scene.db.store.clone(), "https://waypost.example", "waypost.example").tell_due(Utc::now()).await.unwrap();
    assert_eq!(told(&scene).await, "members Critical 1, members Warning 1, slack digest 1, slack opened 1, webhook opened 1");

    // What ends in a mute is told then, and not again when the mute is over.
    mute(&scene, MuteFor::Hour).await;
    look(&scene, Verdict::Degraded, &monitors).await;
    scene.long_after().await;
    look(&scene, Verdict::Up, &monitors).await;
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM outbox WHERE event_key LIKE '%:resolved'").await, 3);
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM held_notices").await, 0);
}

#[tokio::test]
async fn what_nobody_had_tried_to_send_when_it_was_muted_is_told_when_the_mute_is_over() {
    let scene = scene(&[ChannelKind::Slack]).await;
    let monitors = scene.monitors(1, 300).await;
    look(&scene, Verdict::Up, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors).await;
    }
    mute(&scene, MuteFor::Hour).await;
    assert_eq!(told(&scene).await, "");
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM held_notices").await, 2);
    minutes_later(&scene).await;
    assert_eq!(told(&scene).await, "members Critical 1, slack digest 1");
    // Muted as long as it lasts, there is an end to hear of, and nothing else; but who thinks better of it hears what it became.
    mute(&scene, MuteFor::UntilResolved).await;
    look(&scene, Verdict::Degraded, &monitors).await;
    FollowUps::new(scene.db.store.clone(), "https://waypost.example", "waypost.example")
        .tell_due(Utc::now() + chrono::TimeDelta::days(400))
        .await
        .unwrap();
    assert_eq!(told(&scene).await, "members Critical 1, slack digest 1");
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM held_notices").await, 2);
    mute(&scene, MuteFor::Off).await;
    minutes_later(&scene).await;
    assert_eq!(told(&scene).await, "members Critical 1, members Digest 1, slack digest 2");
}

#[tokio::test]
async fn a_mute_that_is_shortened_holds_no_longer_and_what_waits_for_a_digest_goes_on_waiting() {
    let scene = scene(&[]).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let at = (Utc::now() + chrono::TimeDelta::hours(12)).format("%H:00").to_string().parse().unwrap();
    let tells = Receivers { members: true, ..Receivers::default() };
    tx.add_route(&NewRoute { tells, hold: Hold::Daily { up_to: IncidentSeverity::Warning, at }, ..NewRoute::of_everybody() }).await.unwrap();
    tx.commit().await.unwrap();
    let monitors = scene.monitors(1, 300).await;
    look(&scene, Verdict::Up, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Degraded, &monitors).await;
    }
    let waits: String = scene.value("SELECT due_at::text FROM held_notices").await;
    for how in [MuteFor::Hour, MuteFor::Off] {
        mute(&scene, how).await;
        assert_eq!(scene.value::<String>("SELECT due_at::text FROM held_notices").await, waits, "its digest is later than the mute");
    }
    mute(&scene, MuteFor::Day).await;
    assert_ne!(scene.value::<String>("SELECT due_at::text FROM held_notices").await, waits);
    mute(&scene, MuteFor::Hour).await;
    let soon: bool = scene.value("SELECT due_at <= now() + interval '1 hour' FROM held_notices").await;
    assert!(soon);
}

#[tokio::test]
async fn what_ends_before_it_was_told_is_told_as_over_and_not_before_its_beginning() {
    let scene = scene(&[]).await;
    let server = Uuid::now_v7();
    scene
        .run_sql(&format!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{}', '{server}', 'mx.example', '{{25,587}}', 'manual')",
            scene.org.0
        ))
        .await;
    let mut ports = Vec::new();
    for port in [25, 587] {
        let monitor = scene.monitor(MonitorKind::Smtp, &format!("mx.example:{port}"), 300).await;
        scene.run_sql(&format!("UPDATE monitors SET server_id = '{server}' WHERE id = '{}'", monitor.0)).await;
        ports.push(monitor);
    }
    look(&scene, Verdict::Up, &ports).await;
    for port in &ports {
        for _ in 0..2 {
            look(&scene, Verdict::Down, &[*port]).await;
        }
    }
    assert_eq!(told(&scene).await, "members Critical 1");
    look(&scene, Verdict::Up, &ports[1..]).await;
    assert_eq!(told(&scene).await, "members Critical 1", "nobody heard that it began");
    minutes_later(&scene).await;
    let subject: String = scene.value("SELECT message->>'subject' FROM outbox ORDER BY id DESC LIMIT 1").await;
    assert!(subject.ends_with(": 1 incident, over by now"), "{subject}");
}

#[tokio::test]
async fn what_was_told_long_ago_does_not_count() {
    let scene = scene(&[]).await;
    let monitors = scene.monitors(11, 300).await;
    look(&scene, Verdict::Up, &monitors).await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors[..10]).await;
    }
    assert_eq!(told(&scene).await, "members Critical 10");
    scene.run_sql("UPDATE outbox SET created_at = created_at - interval '5 minutes'").await;
    for _ in 0..2 {
        look(&scene, Verdict::Down, &monitors[10..]).await;
    }
    assert_eq!(told(&scene).await, "members Critical 11");
}
