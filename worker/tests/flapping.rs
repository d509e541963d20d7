//! What fails and works in turn, against the database: one incident, told once when it opens, once that it flaps and once when it is over, each
//! change in its story, and a worker that is killed anywhere forgets nothing of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use scene::Scene;
use waypost_store::{
    channels::{AddChannel, SealedChannel, new_channel_id},
    incident_list::IncidentFilter,
    incidents::IncidentChange,
};
use waypost_types::{
    MonitorId,
    channel::ChannelKind,
    incident::{Incident, IncidentSeverity, IncidentStatus, TimelineEvent},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::Verdict,
    route::{NewRoute, Receivers, Step},
};
use waypost_worker::{
    checker::stub_outcome,
    follow_ups::FollowUps,
    recorder::{Recorder, Run},
};

/// A server that is looked at, from six hours ago on.
struct Story {
    scene: Scene,
    monitor: MonitorId,
    at: DateTime<Utc>,
}

impl Story {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
        Self { scene, monitor, at: Utc::now() - TimeDelta::hours(6) }
    }

    /// Looks each `minutes`, by a worker that knows nothing but the database: `u` up, `d` down.
    async fn sees(&mut self, minutes: i64, looks: &str) {
        for look in looks.chars() {
            self.at += TimeDelta::minutes(minutes);
            let claimed = self.scene.claim_when_due().await;
            let verdict = if look == 'u' { Verdict::Up } else { Verdict::Down };
            let outcome = Arc::new(stub_outcome("mx.example", 25, verdict));
            let run = Run { monitor: self.monitor, claim: claimed[0].claim, at: self.at, outcome, requested: false };
            let recorder = Recorder::new(self.scene.db.store.clone(), "https://waypost.example", "waypost.example");
            recorder.record(self.scene.org, "local", &[run], self.at).await.unwrap();
        }
    }

    async fn incidents(&self) -> Vec<Incident> {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        let mut incidents = Vec::new();
        for incident in tx.incidents(&IncidentFilter::default(), None, 10).await.unwrap() {
            incidents.push(tx.incident(incident.id).await.unwrap());
        }
        incidents
    }

    /// Subjects of mails, in the order of the outbox.
    async fn mails(&self) -> Vec<String> {
        let all: Option<String> =
            self.scene.value("SELECT string_agg(message ->> 'subject', '|' ORDER BY id) FROM outbox WHERE channel = 'email'").await;
        all.unwrap_or_default().split('|').map(|subject| subject.split(']').next().unwrap().trim_start_matches('[').to_owned()).collect()
    }

    /// What the channel is told.
    async fn told(&self) -> Vec<String> {
        let all: Option<String> =
            self.scene.value("SELECT string_agg(message ->> 'kind', '|' ORDER BY id) FROM outbox WHERE channel = 'channel'").await;
        all.unwrap_or_default().split('|').map(ToOwned::to_owned).collect()
    }

    async fn channel(&self, kind: ChannelKind) -> waypost_types::ChannelId {
        let id = new_channel_id();
        let secret = SealedChannel { sealed: vec![1], shown: "https://e.example/…".to_owned() };
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        tx.add_channel(&AddChannel {
            id,
            name: "Pager",
            kind,
            secret: &secret,
            min_severity: IncidentSeverity::Info,
            enabled: true,
            slack_channel: None,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }
}

fn events(incident: &Incident) -> Vec<TimelineEvent> {
    incident.timeline.iter().map(|line| line.event).collect()
}

#[tokio::test]
async fn short_failures_that_go_on_are_one_incident_told_when_it_opens_and_when_it_is_over() {
    let mut story = Story::new().await;
    story.channel(ChannelKind::Pagerduty).await;
    story.sees(1, "ududuudddudduuduu").await;
    let incidents = story.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!((incidents[0].status, story.scene.state(story.monitor).await), (IncidentStatus::Open, MonitorState::Down));
    assert!(incidents[0].flapping_since.is_some());
    // Calm for half a window: a dozen checks of five minutes.
    story.sees(10, "uuu").await;
    let incidents = story.incidents().await;
    assert_eq!((incidents.len(), incidents[0].status, incidents[0].flapping_since), (1, IncidentStatus::Resolved, None));
    assert_eq!((incidents[0].reopened, story.scene.state(story.monitor).await), (0, MonitorState::Up));
    assert_eq!(story.mails().await, ["Critical", "Recovered"]);
    assert_eq!(story.told().await, ["opened", "resolved"]);
    let told = events(&incidents[0]);
    assert_eq!(told.iter().filter(|event| **event == TimelineEvent::Flapping).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|event| **event == TimelineEvent::Changed).count(), 5, "each change is in the story: {told:?}");
}

#[tokio::test]
async fn a_recovery_among_many_changes_is_told_as_flapping_instead() {
    let mut story = Story::new().await;
    story.sees(1, "dududd").await;
    assert_eq!(story.mails().await, ["Critical"]);
    story.sees(1, "ududu").await;
    assert_eq!(story.mails().await, ["Critical", "Flapping"]);
    let text: String = story.scene.value("SELECT message ->> 'text' FROM outbox WHERE message ->> 'subject' LIKE '[Flapping]%'").await;
    assert!(text.contains("works just now") && text.contains("30 minutes"), "{text}");
    story.sees(15, "uu").await;
    assert_eq!(story.mails().await, ["Critical", "Flapping", "Recovered"]);
    assert_eq!(story.incidents().await.len(), 1);
}

#[tokio::test]
async fn what_fails_again_soon_after_it_recovered_opens_its_incident_again() {
    let mut story = Story::new().await;
    let pager = story.channel(ChannelKind::Pagerduty).await;
    story.sees(1, "uddu").await;
    let before = story.incidents().await;
    assert_eq!((before.len(), before[0].status), (1, IncidentStatus::Resolved));
    let acted = IncidentChange { root_cause: Some("The disk was full."), actor: "owner@example.com", ..IncidentChange::default() };
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    tx.update_incident(before[0].id, None, acted, story.at).await.unwrap();
    tx.commit().await.unwrap();
    story.scene.run_sql("UPDATE outbox SET attempts = 1").await;
    story.sees(5, "dd").await;
    let after = story.incidents().await;
    assert_eq!((after.len(), after[0].id, after[0].status, after[0].reopened), (1, before[0].id, IncidentStatus::Open, 1));
    assert_eq!((after[0].opened_at, after[0].resolved_at), (before[0].opened_at, None));
    assert_eq!(after[0].root_cause.as_deref(), Some("The disk was full."));
    assert!(after[0].flapping_since.is_some());
    assert_eq!(story.told().await, ["opened", "resolved", "flapping"], "{pager}");
    // It goes on, and nobody is told of it, until it is calm.
    story.sees(5, "ududdudu").await;
    assert_eq!(story.told().await, ["opened", "resolved", "flapping"]);
    // It had failed again within an hour, so that it takes an hour.
    story.sees(10, "uuu").await;
    assert_eq!(story.told().await, ["opened", "resolved", "flapping"]);
    story.sees(10, "uuu").await;
    assert_eq!(story.told().await, ["opened", "resolved", "flapping", "resolved"]);
    assert_eq!(story.mails().await, ["Critical", "Recovered", "Flapping", "Recovered"]);
    let end = &story.incidents().await[0];
    let told: Vec<TimelineEvent> =
        events(end).into_iter().filter(|event| *event != TimelineEvent::Changed && *event != TimelineEvent::RootCause).collect();
    let wanted = [TimelineEvent::Opened, TimelineEvent::Resolved, TimelineEvent::Reopened, TimelineEvent::Flapping, TimelineEvent::Resolved];
    assert_eq!(told, wanted);
    assert!(
        end.timeline.iter().any(|line| line.event == TimelineEvent::Reopened && line.text.starts_with("It failed again 10 minutes after")),
        "{:#?}",
        end.timeline
    );
}

#[tokio::test]
async fn news_of_an_end_that_was_none_is_taken_back_and_what_was_tried_is_not() {
    let mut story = Story::new().await;
    story.sees(1, "uddudd").await;
    assert_eq!(story.mails().await, ["Critical", "Flapping"], "nobody had tried to send that it had recovered");
    let mut story = Story::new().await;
    story.sees(1, "uddu").await;
    story.scene.run_sql("UPDATE outbox SET attempts = 1").await;
    story.sees(1, "dd").await;
    assert_eq!(story.mails().await, ["Critical", "Recovered", "Flapping"]);
}

#[tokio::test]
async fn a_person_who_ends_it_or_a_long_time_makes_it_another_incident() {
    let mut story = Story::new().await;
    story.sees(1, "udd").await;
    let id = story.incidents().await[0].id;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let done = IncidentChange { status: Some(IncidentStatus::Resolved), actor: "owner@example.com", ..IncidentChange::default() };
    tx.update_incident(id, None, done, story.at).await.unwrap();
    tx.commit().await.unwrap();
    story.sees(1, "dd").await;
    assert_eq!(story.incidents().await.len(), 2, "what was ended by hand stays ended");
    story.sees(1, "u").await;
    story.sees(70, "udd").await;
    assert_eq!(story.incidents().await.len(), 3);
    assert!(story.incidents().await.iter().all(|incident| incident.reopened == 0));
}

#[tokio::test]
async fn an_incident_that_opens_again_is_escalated_anew_and_once() {
    let mut story = Story::new().await;
    let (first, second) = (story.channel(ChannelKind::Slack).await, story.channel(ChannelKind::Pagerduty).await);
    let to = |channel| Receivers { channels: vec![channel], ..Receivers::default() };
    let steps = vec![Step { after_minutes: 5, tells: to(second) }];
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    tx.add_route(&NewRoute { tells: to(first), steps, ..NewRoute::of_everybody() }).await.unwrap();
    tx.commit().await.unwrap();
    let follow_ups = FollowUps::new(story.scene.db.store.clone(), "https://waypost.example", "waypost.example");
    story.sees(1, "udd").await;
    follow_ups.tell_due(story.at + TimeDelta::minutes(6)).await.unwrap();
    assert_eq!(story.told().await, ["opened", "escalated"]);
    story.sees(1, "u").await;
    story.scene.run_sql("UPDATE outbox SET attempts = 1").await;
    story.sees(5, "dd").await;
    follow_ups.tell_due(story.at + TimeDelta::minutes(6)).await.unwrap();
    story.sees(5, "udud").await;
    follow_ups.tell_due(story.at + TimeDelta::minutes(60)).await.unwrap();
    let told = story.told().await;
    let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
    assert_eq!((count("opened"), count("escalated"), count("resolved")), (1, 2, 2), "{told:?}");
    assert_eq!(count("flapping"), 2, "both who heard of it hear once that it flaps: {told:?}");
}
