//! Channels: who hears what, once and in order, and how much of it is kept.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;
use waypost_store::{
    OrgTx, StoreError,
    channels::{AddChannel, ChannelChange, SealedChannel, new_channel_id, new_delivery_id},
    outbox::Attempt,
    testing::TestDatabase,
};
use waypost_types::{
    ChannelId, IncidentId, OrgId,
    channel::{ChannelEvent, ChannelKind, Delivery, DeliveryResult, EventKind},
    incident::IncidentSeverity::{self, Critical, Info, Warning},
};

struct Scene {
    db: TestDatabase,
    org: OrgId,
    incident: IncidentId,
}

impl Scene {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        let (org, incident) = (Uuid::now_v7(), Uuid::now_v7());
        let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "INSERT INTO orgs (id, slug, name) VALUES ('{org}', 'x', 'x');
             INSERT INTO incidents (org_id, id, kind, target, title, summary, severity, opened_at)
             VALUES ('{org}', '{incident}', 'smtp', 'mx.example:25', 'x', 'x', 'critical', now());"
        )))
        .execute(&mut owner)
        .await
        .unwrap();
        Self { db, org: OrgId(org), incident: IncidentId(incident) }
    }

    async fn tx(&self) -> OrgTx {
        self.db.store.org_tx(self.org).await.unwrap()
    }

    async fn channel(&self, name: &str, min_severity: IncidentSeverity) -> Result<ChannelId, StoreError> {
        let secret = SealedChannel { sealed: vec![1], shown: "https://e.example/…".to_owned() };
        let id = new_channel_id();
        let mut tx = self.tx().await;
        let made = tx.add_channel(&AddChannel { id, name, kind: ChannelKind::Slack, secret: &secret, min_severity, enabled: true }).await?;
        tx.commit().await?;
        assert_eq!((made.id, made.name.as_str(), made.version), (id, name, 1));
        Ok(id)
    }

    /// Tells the channels; how many of them.
    async fn tell(&self, key: &str, severity: IncidentSeverity) -> u64 {
        let mut tx = self.tx().await;
        let new = tx.enqueue_for_channels(self.incident, key, &event(severity)).await.unwrap();
        tx.commit().await.unwrap();
        new
    }

    async fn claim(&self, now: DateTime<Utc>) -> Vec<(Uuid, ChannelId)> {
        let claimed = self.db.store.claim_channel_messages(now, 50, 60).await.unwrap();
        claimed.into_iter().map(|message| (message.id, message.channel)).collect()
    }
}

fn event(severity: IncidentSeverity) -> ChannelEvent {
    ChannelEvent {
        kind: EventKind::Opened,
        incident: None,
        org: "x".to_owned(),
        title: "a\u{0}b".to_owned(),
        summary: String::new(),
        target: "mx.example:25".to_owned(),
        severity,
        opened_at: Utc::now(),
        at: Utc::now(),
        url: "https://waypost.example".to_owned(),
    }
}

#[tokio::test]
async fn a_channel_hears_of_its_severities_and_how_they_go_on_each_event_once() {
    let scene = Scene::new().await;
    let (all, worst) = (scene.channel("all", Info).await.unwrap(), scene.channel("worst", Critical).await.unwrap());
    let off = scene.channel("off", Info).await.unwrap();
    let mut tx = scene.tx().await;
    let change = ChannelChange { enabled: Some(false), ..ChannelChange::default() };
    assert!(!tx.update_channel(off, Some(1), &change).await.unwrap().enabled);
    assert!(matches!(tx.update_channel(off, Some(1), &change).await, Err(StoreError::Stale)));
    tx.commit().await.unwrap();
    assert_eq!(scene.tell("a", Warning).await, 1, "critical alone is not told of a warning");
    assert_eq!(scene.tell("a", Warning).await, 0, "no event makes two rows");
    assert_eq!(scene.tell("b", Critical).await, 2);
    assert_eq!(scene.tell("c", Info).await, 2, "who was told that it is bad hears that it gets better");
    // In order: of what waits the first alone, and the next once that is settled.
    let now = Utc::now() + TimeDelta::seconds(1);
    let first = scene.claim(now).await;
    assert_eq!(first.iter().map(|(_, channel)| *channel).collect::<std::collections::HashSet<_>>(), [all, worst].into());
    assert_eq!(scene.claim(now).await, []);
    let mut tx = scene.tx().await;
    for (id, _) in &first {
        assert!(tx.mark_message(*id, now, Attempt::Sent("200 ok")).await.unwrap());
        assert!(!tx.mark_message(*id, now, Attempt::Sent("200 ok")).await.unwrap());
    }
    let told: Vec<String> = tx.incident(scene.incident).await.unwrap().timeline.into_iter().map(|line| line.text).collect();
    assert_eq!(told, ["Told all: 200 ok", "Told worst: 200 ok"]);
    tx.commit().await.unwrap();
    assert_eq!(scene.claim(now).await.len(), 2);
    // Mails are claimed apart.
    assert!(scene.db.store.claim_outbox(now + TimeDelta::days(1), 50, 60).await.unwrap().is_empty());
    // What waits for a channel goes with it.
    let mut tx = scene.tx().await;
    tx.remove_channel(all, Some(1)).await.unwrap();
    assert!(matches!(tx.channel(all).await, Err(StoreError::NotFound)));
    assert!(matches!(tx.remove_channel(all, None).await, Err(StoreError::NotFound)));
    tx.commit().await.unwrap();
    assert!(scene.claim(now + TimeDelta::days(1)).await.iter().all(|(_, channel)| *channel == worst));
}

#[tokio::test]
async fn channels_and_their_attempts_have_bounds() {
    let scene = Scene::new().await;
    let (one, two) = (scene.channel("one", Info).await.unwrap(), scene.channel("two", Info).await.unwrap());
    let began = Utc::now();
    let mut tx = scene.tx().await;
    for number in 0..103_i32 {
        let delivery = Delivery {
            id: new_delivery_id(),
            at: began + TimeDelta::seconds(number.into()),
            event: EventKind::Test,
            incident_id: None,
            attempt: number,
            result: DeliveryResult::Deferred,
            status: Some(503),
            answer: "nul \u{0} here".to_owned(),
            took_ms: 7,
        };
        tx.add_delivery(one, &delivery).await.unwrap();
        if number == 0 {
            tx.add_delivery(two, &Delivery { id: new_delivery_id(), ..delivery.clone() }).await.unwrap();
            tx.add_delivery(new_channel_id(), &Delivery { id: new_delivery_id(), ..delivery }).await.unwrap();
        }
    }
    let kept = tx.deliveries(one).await.unwrap();
    assert_eq!((kept.len(), kept[0].attempt, kept[99].attempt), (100, 102, 3));
    assert_eq!((kept[0].status, kept[0].result, kept[0].took_ms), (Some(503), DeliveryResult::Deferred, 7));
    assert_eq!(tx.deliveries(two).await.unwrap().len(), 1, "each channel has its own hundred");
    tx.commit().await.unwrap();
    for number in 2..20 {
        scene.channel(&number.to_string(), Info).await.unwrap();
    }
    assert!(matches!(scene.channel("one too many", Info).await, Err(StoreError::Limit { limit: 20, .. })));
}
