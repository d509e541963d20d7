//! Channels: who hears what, once and in order, and how much of it is kept.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;
use waypost_store::{
    OrgTx, StoreError,
    channels::{AddChannel, ChannelChange, SealedChannel, new_channel_id, new_delivery_id},
    incidents::IncidentChange,
    monitors::Added,
    outbox::{Attempt, MailBody, MailContent},
    testing::TestDatabase,
};
use waypost_types::{
    ChannelId, IncidentId, MonitorId, OrgId,
    channel::{ChannelKind, Delivery, DeliveryResult, EventKind},
    incident::{
        IncidentSeverity::{self, Critical, Info, Warning},
        IncidentStatus, MuteFor, TimelineEvent,
    },
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
        let made = tx
            .add_channel(&AddChannel { id, name, kind: ChannelKind::Slack, secret: &secret, slack_channel: None, min_severity, enabled: true })
            .await?;
        tx.commit().await?;
        assert_eq!((made.id, made.name.as_str(), made.version), (id, name, 1));
        Ok(id)
    }

    /// The incident is that bad now, and the channels are told: how many of them. Told twice, it is the same event.
    async fn tell(&self, severity: IncidentSeverity) -> (u64, u64) {
        let mut tx = self.tx().await;
        tx.change_incident(self.incident, Utc::now(), severity, "x", "x", "x").await.unwrap();
        let new = tx.tell_channels(self.incident, EventKind::Changed, "a\u{0}b", Utc::now()).await.unwrap();
        let again = tx.tell_channels(self.incident, EventKind::Changed, "a\u{0}b", Utc::now()).await.unwrap();
        tx.commit().await.unwrap();
        (new, again)
    }

    async fn claim(&self, now: DateTime<Utc>) -> Vec<(Uuid, ChannelId)> {
        let claimed = self.db.store.claim_channel_messages(now, 16, 60).await.unwrap();
        claimed.into_iter().map(|message| (message.id, message.channel)).collect()
    }

    async fn sent(&self, org: OrgId, message: Uuid) {
        let mut tx = self.db.store.org_tx(org).await.unwrap();
        assert!(tx.mark_message(message, Utc::now(), Attempt::Sent("200 ok")).await.unwrap());
        tx.commit().await.unwrap();
    }

    async fn sql(&self, sql: &str) {
        let mut owner = PgConnection::connect(&self.db.owner_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut owner).await.unwrap();
    }

    /// Another organisation with a channel and a message that waits for it.
    async fn neighbour(&self) -> OrgId {
        let org = Uuid::now_v7();
        self.sql(&format!(
            "INSERT INTO orgs (id, slug, name) VALUES ('{org}', 'y', 'y');
             INSERT INTO channels (org_id, id, name, kind, shown, sealed, min_severity) VALUES ('{org}', '{org}', 'y', 'slack', 'y', 'y', 'info');
             INSERT INTO outbox (org_id, id, event_key, channel, channel_id, recipient, message, message_id)
             SELECT '{org}', '{org}', 'y', 'channel', '{org}', 'y', (SELECT message FROM outbox WHERE channel = 'channel' LIMIT 1), 'y';"
        ))
        .await;
        OrgId(org)
    }

    /// What waits for channels, as kind and summary.
    async fn waiting(&self) -> Vec<String> {
        let mut owner = PgConnection::connect(&self.db.owner_url).await.unwrap();
        let sql = "SELECT coalesce(message->>'kind', '?') || ': ' || coalesce(message->>'summary', '?') FROM outbox
                   WHERE state = 'pending' AND channel = 'channel' ORDER BY created_at, id";
        sqlx::query_scalar(sql).fetch_all(&mut owner).await.unwrap()
    }

    /// A monitor that the incident is about.
    async fn monitor(&self) -> MonitorId {
        let monitor = Uuid::now_v7();
        self.sql(&format!(
            "INSERT INTO monitors (org_id, id, kind, target, interval_s) VALUES ('{0}', '{monitor}', 'smtp', 'mx.example:25', 300);
             UPDATE incidents SET monitor_id = '{monitor}' WHERE id = '{1}'",
            self.org.0, self.incident.0
        ))
        .await;
        MonitorId(monitor)
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
    assert_eq!(scene.tell(Warning).await, (1, 0), "critical alone is not told of a warning, and no event makes two rows");
    assert_eq!(scene.tell(Critical).await, (2, 0));
    assert_eq!(scene.tell(Info).await, (2, 0), "who was told that it is bad hears that it gets better");
    // In order: of what waits the first alone, and the next once that is settled.
    let now = Utc::now() + TimeDelta::seconds(1);
    let first = scene.claim(now).await;
    assert_eq!(first.iter().map(|(_, channel)| *channel).collect::<HashSet<_>>(), [all, worst].into());
    assert_eq!(scene.claim(now).await, []);
    let mut tx = scene.tx().await;
    for (id, _) in &first {
        assert!(tx.mark_message(*id, now, Attempt::Sent("200 ok")).await.unwrap());
        assert!(!tx.mark_message(*id, now, Attempt::Sent("200 ok")).await.unwrap());
    }
    let told: Vec<String> = tx.incident(scene.incident).await.unwrap().timeline.into_iter().map(|line| line.text).collect();
    assert!(told.ends_with(&["Told all: 200 ok".to_owned(), "Told worst: 200 ok".to_owned()]), "{told:?}");
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

#[tokio::test]
async fn messages_of_an_incident_go_in_the_order_in_which_they_were_written_whoever_began_first() {
    let scene = Scene::new().await;
    scene.channel("one", Info).await.unwrap();
    // A recorder begins, and waits for another at the monitor's row.
    let mut waits = scene.tx().await;
    let mail = |subject: &str| MailBody { subject: subject.to_owned(), text: String::new(), html: String::new() };
    let to = ["a@example.com".to_owned()];
    let mut tx = scene.tx().await;
    tx.tell_channels(scene.incident, EventKind::Opened, "it began", Utc::now()).await.unwrap();
    tx.enqueue_mails((Some(scene.incident), &[]), "opened", "x", &to, &mail("it began")).await.unwrap();
    tx.commit().await.unwrap();
    waits.tell_channels(scene.incident, EventKind::Resolved, "it is over", Utc::now()).await.unwrap();
    waits.enqueue_mails((Some(scene.incident), &[]), "resolved", "x", &to, &mail("it is over")).await.unwrap();
    waits.commit().await.unwrap();
    let now = Utc::now() + TimeDelta::seconds(1);
    let claimed = scene.db.store.claim_channel_messages(now, 16, 60).await.unwrap();
    assert_eq!(claimed.iter().map(|message| message.event.kind).collect::<Vec<_>>(), [EventKind::Opened]);
    let claimed = scene.db.store.claim_outbox(now, 16, 60).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| &claimed.content).collect::<Vec<_>>(), [&MailContent::Written(mail("it began"))]);
}

#[tokio::test]
async fn who_keeps_his_senders_waiting_leaves_room_for_others() {
    let scene = Scene::new().await;
    for number in 0..6 {
        scene.channel(&number.to_string(), Info).await.unwrap();
    }
    for severity in [Warning, Critical, Info] {
        assert_eq!(scene.tell(severity).await.0, 6);
    }
    // Messages of other incidents do not wait for these, but for their turn.
    scene.sql("UPDATE outbox SET incident_id = NULL").await;
    let neighbour = scene.neighbour().await;
    let now = Utc::now() + TimeDelta::seconds(1);
    let (one, two) = tokio::join!(scene.db.store.claim_channel_messages(now, 16, 60), scene.db.store.claim_channel_messages(now, 16, 60));
    let claimed = [one.unwrap(), two.unwrap()].concat();
    let (ours, others): (Vec<_>, Vec<_>) = claimed.iter().partition(|message| message.org == scene.org);
    let channels: HashSet<_> = ours.iter().map(|message| message.channel).collect();
    assert_eq!((ours.len(), channels.len()), (4, 4), "four of an organisation, and one of a channel");
    assert_eq!(others.len(), 1, "the neighbour, whose message is the youngest");
    assert_eq!(scene.claim(now).await, [], "as long as these are on their way");
    scene.sent(neighbour, others[0].id).await;
    assert_eq!(scene.claim(now).await, []);
    scene.sent(scene.org, ours[0].id).await;
    assert_eq!(scene.claim(now).await.len(), 1, "a place that comes free is taken");
    // What a killed sender held comes back.
    let later = now + TimeDelta::seconds(61);
    assert_eq!(scene.claim(later).await.len(), 4);
    let mut tx = scene.tx().await;
    tx.hold_channel(ours[0].channel, later + TimeDelta::hours(1)).await.unwrap();
    tx.commit().await.unwrap();
    let much_later = later + TimeDelta::seconds(61);
    assert!(scene.claim(much_later).await.iter().all(|(_, channel)| *channel != ours[0].channel), "it wants to be left alone");
}

#[tokio::test]
async fn a_message_that_can_not_be_read_waits_for_a_day_is_given_up_and_the_others_go_on() {
    let scene = Scene::new().await;
    let (_, two) = (scene.channel("one", Info).await.unwrap(), scene.channel("two", Info).await.unwrap());
    assert_eq!(scene.tell(Warning).await.0, 2);
    scene.sql("UPDATE outbox SET message = '{\"kind\": \"sung\"}' WHERE channel_id <> (SELECT id FROM channels WHERE name = 'two')").await;
    let mail = r#"{"subject": "s", "text": "t", "html": "h"}"#;
    for (number, message) in ["{}", mail].into_iter().enumerate() {
        scene
            .sql(&format!(
                "INSERT INTO outbox (org_id, id, event_key, recipient, message, message_id)
                 VALUES ('{}', '{}', '{number}', 'a@example.com', '{message}', '{number}');
                 INSERT INTO account_mail (id, recipient, message, message_id) VALUES ('{}', 'a@example.com', '{message}', '{number}')",
                scene.org.0,
                Uuid::now_v7(),
                Uuid::now_v7()
            ))
            .await;
    }
    let now = Utc::now() + TimeDelta::seconds(1);
    assert_eq!(scene.claim(now).await.iter().map(|(_, channel)| *channel).collect::<Vec<_>>(), [two]);
    assert_eq!(scene.db.store.claim_outbox(now, 50, 60).await.unwrap().len(), 1);
    assert_eq!(scene.db.store.claim_account_mail(now, 50, 60).await.unwrap().len(), 1);
    let mut owner = PgConnection::connect(&scene.db.owner_url).await.unwrap();
    let waits = "SELECT count(*) FROM outbox WHERE state = 'pending' AND last_answer LIKE 'the stored message can not be read%' AND next_attempt_at > now() + interval '50 minutes'";
    assert_eq!(sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut owner).await.unwrap(), 2, "another version may read it");
    scene.sql("UPDATE outbox SET attempts = 23, next_attempt_at = now() WHERE last_answer LIKE 'the stored%'").await;
    let later = Utc::now() + TimeDelta::seconds(1);
    assert_eq!((scene.claim(later).await.len(), scene.db.store.claim_outbox(later, 50, 60).await.unwrap().len()), (0, 0));
    for (table, count) in [("outbox", 2_i64), ("account_mail", 1)] {
        let sql = format!("SELECT count(*) FROM {table} WHERE state = 'failed' AND last_answer LIKE 'the stored message can not be read%'");
        assert_eq!(sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(&mut owner).await.unwrap(), count, "{table}");
    }
    let told = scene.tx().await.incident(scene.incident).await.unwrap().timeline.pop().unwrap().text;
    assert!(told.starts_with("Could not tell one: the stored message can not be read: unknown variant `sung`"), "{told}");
}

#[tokio::test]
async fn what_people_open_and_end_is_told_too() {
    let scene = Scene::new().await;
    scene.channel("pager", Info).await.unwrap();
    let monitor = scene.monitor().await;
    let resolve = IncidentChange { status: Some(IncidentStatus::Resolved), comment: None, actor: "ann@example.com", ..IncidentChange::default() };
    let mut tx = scene.tx().await;
    tx.update_incident(scene.incident, None, resolve, Utc::now()).await.unwrap();
    let added = tx.add_incident(monitor, "Planned", "By hand", Warning, "ann@example.com", Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(added, Added::New(_)));
    assert_eq!(scene.waiting().await, ["resolved: Resolved by hand: ann@example.com.", "opened: By hand"]);
    let mut tx = scene.tx().await;
    tx.delete_monitor(monitor, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.waiting().await.pop().unwrap(), "let_go: It is no longer watched.");
}

#[tokio::test]
async fn of_a_muted_incident_only_the_end_is_told_and_only_to_who_heard_of_it() {
    let scene = Scene::new().await;
    let pager = scene.channel("pager", Info).await.unwrap();
    assert_eq!(scene.tell(Warning).await.0, 1);
    let claimed = scene.claim(Utc::now() + TimeDelta::seconds(1)).await;
    scene.sent(scene.org, claimed[0].0).await;
    let late = scene.channel("late", Info).await.unwrap();
    // What is tried for the first time after the mute is told to nobody.
    assert_eq!(scene.tell(Critical).await.0, 2);
    let change = |mute| IncidentChange { mute: Some(mute), actor: "ann@example.com", ..IncidentChange::default() };
    let mut tx = scene.tx().await;
    let muted = tx.update_incident(scene.incident, None, change(MuteFor::Hour), Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(muted.mute.as_ref().map(|mute| mute.by.as_str()), Some("ann@example.com"));
    assert!(scene.claim(Utc::now() + TimeDelta::seconds(1)).await.is_empty());
    assert_eq!(scene.tell(Warning).await.0, 0);
    // The mute ends by itself.
    let mut tx = scene.tx().await;
    tx.change_incident(scene.incident, Utc::now(), Critical, "x", "x", "x").await.unwrap();
    assert_eq!(tx.tell_channels(scene.incident, EventKind::Changed, "x", Utc::now() + TimeDelta::minutes(61)).await.unwrap(), 2);
    drop(tx);
    let resolve = IncidentChange { status: Some(IncidentStatus::Resolved), actor: "ann@example.com", ..IncidentChange::default() };
    let mut tx = scene.tx().await;
    let over = tx.update_incident(scene.incident, None, resolve, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    let told: Vec<ChannelId> = scene.claim(Utc::now() + TimeDelta::seconds(1)).await.into_iter().map(|(_, channel)| channel).collect();
    assert_eq!(told, [pager], "and not {late}");
    assert_eq!(over.mute, None);
    let story: Vec<&str> = over.timeline.iter().filter(|line| line.event == TimelineEvent::Muted).filter_map(|line| line.actor.as_deref()).collect();
    assert_eq!(story, ["ann@example.com"]);
    let mut tx = scene.tx().await;
    let refused = tx.update_incident(scene.incident, None, change(MuteFor::Day), Utc::now()).await;
    assert!(matches!(refused, Err(StoreError::Conflict("mute"))), "{refused:?}");
}

#[tokio::test]
async fn an_incident_that_is_removed_leaves_no_alert_behind() {
    let scene = Scene::new().await;
    let pager = scene.channel("pager", Info).await.unwrap();
    assert_eq!(scene.tell(Critical).await.0, 1);
    let now = Utc::now() + TimeDelta::seconds(1);
    assert_eq!(scene.claim(now).await.len(), 1);
    scene.channel("deaf", Info).await.unwrap();
    let mut tx = scene.tx().await;
    tx.delete_incident(scene.incident, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.waiting().await, ["let_go: Somebody removed the incident."], "to the one that may have heard of it");
    assert_eq!(scene.claim(now).await, [], "after the message that is on its way");
    let claimed = scene.db.store.claim_channel_messages(now + TimeDelta::seconds(61), 16, 60).await.unwrap();
    assert_eq!((claimed[0].channel, claimed[0].incident, claimed[0].event.incident), (pager, None, Some(scene.incident)));
}

#[tokio::test]
async fn an_incident_that_nobody_heard_of_or_whose_end_was_told_is_removed_in_silence() {
    let scene = Scene::new().await;
    scene.channel("pager", Info).await.unwrap();
    assert_eq!(scene.tell(Critical).await.0, 1);
    let mut tx = scene.tx().await;
    tx.delete_incident(scene.incident, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.waiting().await, [] as [String; 0], "it was not told of");
    let scene = Scene::new().await;
    scene.channel("pager", Info).await.unwrap();
    let mut tx = scene.tx().await;
    tx.tell_channels(scene.incident, EventKind::Resolved, "x", Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    let told = scene.claim(Utc::now() + TimeDelta::seconds(1)).await;
    scene.sent(scene.org, told[0].0).await;
    let mut tx = scene.tx().await;
    tx.delete_incident(scene.incident, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.waiting().await, [] as [String; 0], "it is over there");
}

#[tokio::test]
async fn who_was_told_of_an_incident_is_known_as_long_as_it_lasts() {
    let scene = Scene::new().await;
    scene.channel("worst", Critical).await.unwrap();
    assert_eq!(scene.tell(Critical).await.0, 1);
    let told = scene.claim(Utc::now() + TimeDelta::seconds(1)).await;
    scene.sent(scene.org, told[0].0).await;
    scene.sql("UPDATE outbox SET created_at = now() - interval '100 days'").await;
    scene.db.store.drop_expired(Utc::now()).await.unwrap();
    assert_eq!(scene.tell(Info).await.0, 1, "it hears that it got better");
    scene.sql("UPDATE outbox SET created_at = now() - interval '100 days', state = 'sent'; UPDATE incidents SET status = 'resolved'").await;
    assert_eq!(scene.db.store.drop_expired(Utc::now()).await.unwrap(), 2);
}

#[tokio::test]
async fn what_waits_about_the_incidents_of_one_message_is_taken_along_and_nobody_else_gets_it() {
    let scene = Scene::new().await;
    let (channel, other, others) = (Uuid::now_v7(), Uuid::now_v7(), [Uuid::now_v7(), Uuid::now_v7()]);
    let (org, incident) = (scene.org.0, scene.incident.0);
    let of_app = |id: Uuid, name: &str| {
        format!(
            "INSERT INTO channels (org_id, id, name, kind, shown, sealed, min_severity, slack_channel) VALUES ('{org}', '{id}', '{name}', 'slack_app', 'x', 'x', 'info', 'C0LAB00002');"
        )
    };
    let one_more = |id: Uuid| {
        format!(
            "INSERT INTO incidents (org_id, id, kind, target, title, summary, severity, opened_at)
             VALUES ('{org}', '{id}', 'smtp', 'mx.example:25', 'x', 'x', 'critical', now());"
        )
    };
    let posted = |id: Uuid, ts: &str| {
        format!(
            "INSERT INTO slack_messages (org_id, channel_id, incident_id, team_id, slack_channel, ts, posted_at) VALUES ('{org}', '{channel}', '{id}', 'T1', 'C0LAB00002', '{ts}', now());"
        )
    };
    let [second, apart] = others;
    scene
        .sql(
            &[
                "INSERT INTO slack_installs (org_id, team_id, team_name, bot_user, sealed, installed_by, installed_at) VALUES ('",
                &org.to_string(),
                "', 'T1', 'x', 'U1', 'x', 'x', now());",
                &of_app(channel, "one"),
                &of_app(other, "two"),
                &one_more(second),
                &one_more(apart),
                &posted(incident, "1.1"),
                &posted(second, "1.1"),
                &posted(apart, "2.2"),
            ]
            .concat(),
        )
        .await;
    let mut tx = scene.tx().await;
    for id in [incident, second, apart] {
        tx.tell_channels(IncidentId(id), EventKind::Flapping, "x", Utc::now()).await.unwrap();
        tx.tell_channels(IncidentId(id), EventKind::Resolved, "x", Utc::now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let now = Utc::now() + TimeDelta::seconds(1);
    let claimed = scene.db.store.claim_channel_messages(now, 16, 60).await.unwrap();
    let first = claimed.iter().find(|message| message.channel.0 == channel).unwrap();
    assert_eq!(first.incident, Some(scene.incident));
    let mut tx = scene.tx().await;
    let telling = tx.slack_telling(first.channel, first.id, first.incident, now).await.unwrap();
    tx.commit().await.unwrap();
    let along: Vec<(Uuid, EventKind)> = telling.along.iter().map(|along| (along.incident.0, along.event.kind)).collect();
    assert_eq!(along, [(incident, EventKind::Resolved), (second, EventKind::Flapping), (second, EventKind::Resolved)]);
    // Until it is marked they are on their way with it; of a killed sender all come back.
    scene.sent(scene.org, first.id).await;
    for _ in 0..2 {
        let next = scene.db.store.claim_channel_messages(now, 16, 60).await.unwrap();
        assert_eq!(next.iter().map(|message| (message.channel.0, message.incident.unwrap().0)).collect::<Vec<_>>(), [(channel, apart)]);
        scene.sent(scene.org, next[0].id).await;
    }
    let later = scene.db.store.claim_channel_messages(now + TimeDelta::seconds(61), 16, 60).await.unwrap();
    let back = later.iter().find(|message| message.channel.0 == channel).unwrap();
    assert_eq!((back.attempts, back.incident), (2, Some(scene.incident)), "{later:?}");
}
