//! Channels against a real HTTPS receiver: told once, in order, again where that helps, and what the incident's timeline says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use rcgen::{CertificateParams, KeyPair};
use scene::{Scene, eventually};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};
use tokio_util::sync::CancellationToken;
use waypost_engine::net::{Egress, Net, NetConfig};
use waypost_store::channels::{AddChannel, ChannelChange, new_channel_id};
use waypost_types::{
    ChannelId, Finding, MonitorId, Severity,
    channel::{ChannelKind, Delivery, DeliveryResult, EventKind},
    incident::IncidentSeverity,
    monitor::MonitorKind,
    outcome::{AuditReport, Outcome, Verdict},
};
use waypost_worker::{
    channels::{ChannelSecret, sender::ChannelSender},
    checker::stub_outcome,
    recorder::{Recorder, Run},
    seal::Seal,
};

/// What the receiver says next; with nothing left to say it takes all.
#[derive(Debug, Clone)]
enum Say {
    Answer(&'static str),
    Close,
    Silence,
}

struct Receiver {
    net: Net,
    got: Arc<Mutex<Vec<String>>>,
    says: Arc<Mutex<VecDeque<Say>>>,
}

impl Receiver {
    async fn start(allow: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = std::env::temp_dir().join(format!("waypost-channels-{}-{port}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        let config_of_net = NetConfig {
            resolvers: vec!["127.0.0.1:9".parse().unwrap()],
            egress: Egress::Guarded { allow: vec![allow.parse().unwrap()] },
            ca_file: Some(file.clone()),
            https_port: port,
            ..NetConfig::default()
        };
        let net = Net::new(config_of_net).unwrap();
        std::fs::remove_file(&file).unwrap();
        let receiver = Self { net, got: Arc::default(), says: Arc::default() };
        let (acceptor, got, says) = (TlsAcceptor::from(Arc::new(config)), receiver.got.clone(), receiver.says.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, got, says) = (acceptor.clone(), got.clone(), says.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = String::new();
                    while !whole(&request) {
                        let mut chunk = vec![0; 4096];
                        match stream.read(&mut chunk).await {
                            Ok(length) if length > 0 => request.push_str(std::str::from_utf8(&chunk[..length]).unwrap()),
                            _ => return,
                        }
                    }
                    let silent = request.starts_with("POST /silent ");
                    got.lock().unwrap().push(request);
                    if silent {
                        std::future::pending::<()>().await;
                    }
                    let say = says.lock().unwrap().pop_front().unwrap_or(Say::Answer("200 OK\r\n\r\nthanks"));
                    match say {
                        Say::Answer(answer) => {
                            stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
                            // The sender may have gone already.
                            if stream.shutdown().await.is_err() {}
                        }
                        Say::Close => {}
                        Say::Silence => std::future::pending().await,
                    }
                });
            }
        });
        receiver
    }

    fn will_say(&self, says: &[Say]) {
        self.says.lock().unwrap().extend(says.iter().cloned());
    }

    /// Header lines and body of each request so far.
    fn got(&self) -> Vec<(Vec<(String, String)>, Value)> {
        let requests = self.got.lock().unwrap();
        let split = |request: &String| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let headers = head.lines().skip(1).map(|line| line.split_once(": ").unwrap());
            (headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), serde_json::from_str(body).unwrap())
        };
        requests.iter().map(split).collect()
    }
}

fn whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() == length.parse::<usize>().unwrap()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    &headers.iter().find(|(header, _)| header == name).unwrap_or_else(|| panic!("{name}")).1
}

fn seal() -> Seal {
    Seal::new(&"k".repeat(32).into()).unwrap()
}

fn sender(scene: &Scene, receiver: &Receiver) -> ChannelSender {
    ChannelSender::new(scene.db.store.clone(), receiver.net.clone(), Some(seal()), "https://waypost.example/", CancellationToken::new())
}

async fn channel(scene: &Scene, kind: ChannelKind, min_severity: IncidentSeverity) -> ChannelId {
    channel_at(scene, kind, min_severity, "https://127.0.0.1/hook/very-secret-part").await
}

async fn channel_at(scene: &Scene, kind: ChannelKind, min_severity: IncidentSeverity, url: &str) -> ChannelId {
    let id = new_channel_id();
    let (url, token) = if kind == ChannelKind::Pagerduty { (None, Some("0123456789abcdef0123456789abcdef")) } else { (Some(url), None) };
    let secret = ChannelSecret::new(kind, url, token).unwrap();
    let secret = secret.seal(&seal(), scene.org, id, kind).unwrap();
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.add_channel(&AddChannel { id, name: "Tools", kind, secret: &secret, slack_channel: None, min_severity, enabled: true }).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// HMAC by RFC 2104 from the hash alone: not the library that signs.
fn hmac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::digest([pad(0x36).as_slice(), content].concat());
    Sha256::digest([pad(0x5c).as_slice(), inner.as_ref()].concat()).to_vec()
}

/// Outcomes until the monitor's incident is as wanted: how many incidents are not over.
async fn until(scene: &Scene, monitor: MonitorId, verdict: Verdict, open: i64) {
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    for _ in 0..10 {
        let claimed = scene.claim_when_due().await;
        let claim = claimed.iter().find(|unit| unit.monitor == monitor).unwrap().claim;
        let run = Run { monitor, claim, at: Utc::now(), outcome: Arc::new(stub_outcome("mx.example", 25, verdict)), requested: false };
        for _ in 0..2 {
            recorder.record(scene.org, "local", std::slice::from_ref(&run), Utc::now()).await.unwrap();
        }
        if scene.value::<i64>("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await == open {
            return;
        }
    }
    panic!("the judge did not come to {open}");
}

/// A scene with a channel and an incident that it is to be told of.
async fn broken(kind: ChannelKind) -> (Scene, MonitorId, ChannelId) {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    let channel = channel(&scene, kind, IncidentSeverity::Critical).await;
    until(&scene, monitor, Verdict::Down, 1).await;
    (scene, monitor, channel)
}

async fn story(scene: &Scene) -> String {
    let told = "SELECT coalesce(string_agg(event || ': ' || text, '; ' ORDER BY at, id), '') FROM incident_timeline WHERE event LIKE 'notif%'";
    scene.value(told).await
}

async fn deliveries(scene: &Scene, channel: ChannelId) -> Vec<Delivery> {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.deliveries(channel).await.unwrap()
}

async fn next_attempt(scene: &Scene) -> DateTime<Utc> {
    scene.value("SELECT min(next_attempt_at) FROM outbox WHERE state = 'pending' AND channel = 'channel'").await
}

#[tokio::test]
async fn an_incident_and_its_end_are_told_once_each_and_signed() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, channel) = broken(ChannelKind::Webhook).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    let sender = sender(&scene, &receiver);
    let soon = Utc::now() + TimeDelta::seconds(1);
    // Two senders at once share the work, and the end waits for the beginning.
    let (one, two) = tokio::join!(sender.send_due(soon), sender.send_due(soon));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    assert_eq!(sender.send_due(soon).await.unwrap(), 1);
    assert_eq!(sender.send_due(soon + TimeDelta::days(1)).await.unwrap(), 0, "what is told is never told again");
    let got = receiver.got();
    let types: Vec<&str> = got.iter().map(|(_, body)| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["incident.opened", "incident.resolved"]);
    assert_eq!(got[0].1["data"]["target"], "mx.example:25");
    assert!(got[0].1["data"]["url"].as_str().unwrap().starts_with("https://waypost.example/o/example/incidents/inc_"));
    assert_ne!(header(&got[0].0, "webhook-id"), header(&got[1].0, "webhook-id"));
    let sealed: Vec<u8> = scene.value("SELECT sealed FROM channels").await;
    let secret = ChannelSecret::open(&seal(), scene.org, channel, &sealed).unwrap();
    let key = STANDARD.decode(secret.token().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    for (request, (headers, _)) in receiver.got.lock().unwrap().iter().zip(&got) {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let content = format!("{}.{}.{body}", header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
        let signature = STANDARD.decode(header(headers, "webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        assert_eq!(signature, hmac(&key, content.as_bytes()));
    }
    assert_eq!(story(&scene).await, "notified: Told Tools: 200 thanks; notified: Told Tools: 200 thanks");
    let kept: Vec<_> = deliveries(&scene, channel).await.into_iter().map(|each| (each.event, each.result, each.status, each.attempt)).collect();
    let sent = |event| (event, DeliveryResult::Sent, Some(200), 1);
    assert_eq!(kept, [sent(EventKind::Resolved), sent(EventKind::Opened)]);
}

#[tokio::test]
async fn what_is_busy_or_broken_is_tried_again_under_the_same_id_and_the_end_waits() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, channel) = broken(ChannelKind::Webhook).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    let sender = sender(&scene, &receiver);
    receiver.will_say(&[
        Say::Answer("429 Too Many Requests\r\nRetry-After: 1234\r\n\r\nslow down"),
        Say::Answer("500 Oops\r\nContent-Length: 0\r\n\r\n"),
        Say::Close,
    ]);
    let mut due = Utc::now() + TimeDelta::seconds(1);
    for seconds in [1_234, 60, 120] {
        let delay = TimeDelta::seconds(seconds);
        let before = Utc::now().trunc_subsecs(6);
        assert_eq!(sender.send_due(due).await.unwrap(), 1);
        let after = Utc::now();
        assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 0, "the end waits for the beginning");
        // Of the beginning, reckoned from the answer.
        due = scene.value("SELECT next_attempt_at FROM outbox WHERE state = 'pending' AND channel = 'channel' ORDER BY created_at, id LIMIT 1").await;
        assert!((before + delay..=after + delay).contains(&due), "{due} for {seconds} s after {before}");
        // The clock that is asked for goes ahead; the time that the receiver asked for is over by then.
        let held: Option<DateTime<Utc>> = scene.value("SELECT held_until FROM channels").await;
        assert_eq!(held.is_some(), seconds == 1_234);
        scene.run_sql("UPDATE channels SET held_until = NULL").await;
    }
    assert_eq!(story(&scene).await, "");
    assert_eq!(sender.send_due(due).await.unwrap(), 1);
    let held: DateTime<Utc> = next_attempt(&scene).await;
    assert!(held > Utc::now() + TimeDelta::seconds(1_000), "who wants to be left alone is told nothing else either");
    assert_eq!(sender.send_due(held).await.unwrap(), 1);
    let got = receiver.got();
    let ids: HashSet<&str> = got[..4].iter().map(|(headers, _)| header(headers, "webhook-id")).collect();
    assert_eq!((got.len(), ids.len()), (5, 1), "four attempts of one message, then the end");
    assert_eq!(got[4].1["type"], "incident.resolved");
    let answers: Vec<_> = deliveries(&scene, channel).await.into_iter().map(|each| (each.result, each.status, each.attempt)).collect();
    let (sent, later) = (DeliveryResult::Sent, DeliveryResult::Deferred);
    assert_eq!(answers, [(sent, Some(200), 1), (sent, Some(200), 4), (later, None, 3), (later, Some(500), 2), (later, Some(429), 1)]);
}

#[tokio::test]
async fn a_renewed_key_and_the_one_before_sign_until_that_has_had_its_time() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, channel) = broken(ChannelKind::Webhook).await;
    let sealed: Vec<u8> = scene.value("SELECT sealed FROM channels").await;
    let old = ChannelSecret::open(&seal(), scene.org, channel, &sealed).unwrap();
    let key_of = |secret: &ChannelSecret| STANDARD.decode(secret.token().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    let mut keys = vec![key_of(&old)];
    let mut current = old;
    let mut signed_by = Vec::new();
    for hours in [1, -1] {
        current = current.renewed(ChannelKind::Webhook, Utc::now() + TimeDelta::hours(hours)).unwrap();
        keys.push(key_of(&current));
        let secret = current.seal(&seal(), scene.org, channel, ChannelKind::Webhook).unwrap();
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        tx.update_channel(channel, None, &ChannelChange { secret: Some(&secret), ..ChannelChange::default() }).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(sender(&scene, &receiver).send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
        let request = receiver.got.lock().unwrap().last().unwrap().clone();
        let (headers, _) = receiver.got().pop().unwrap();
        let content =
            format!("{}.{}.{}", header(&headers, "webhook-id"), header(&headers, "webhook-timestamp"), request.split_once("\r\n\r\n").unwrap().1);
        let signer = |signature: &str| {
            let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            keys.iter().position(|key| hmac(key, content.as_bytes()) == signature).unwrap()
        };
        signed_by.push(header(&headers, "webhook-signature").split(' ').map(signer).collect::<Vec<_>>());
        until(&scene, monitor, Verdict::Up, 0).await;
    }
    assert_eq!(signed_by, [vec![1, 0], vec![2]]);
    assert!(current.renewed(ChannelKind::Slack, Utc::now()).is_err());
}

#[tokio::test]
async fn a_silent_channel_holds_up_nobody_else() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, other) = broken(ChannelKind::Slack).await;
    let silent = channel_at(&scene, ChannelKind::Slack, IncidentSeverity::Critical, "https://127.0.0.1/silent").await;
    until(&scene, monitor, Verdict::Up, 0).await;
    scene.long_after().await;
    until(&scene, monitor, Verdict::Down, 1).await;
    let sender = sender(&scene, &receiver);
    tokio::spawn(async move { sender.run(&Arc::new(Notify::new())).await });
    // In one round each gets one message: the second and third of the other do not wait for the end of the round.
    eventually("three messages are sent", async || {
        scene.value::<i64>(&format!("SELECT count(*) FROM outbox WHERE state = 'sent' AND channel_id = '{}'", other.0)).await == 3
    })
    .await;
    eventually("the silent one has had its time", async || !deliveries(&scene, silent).await.is_empty()).await;
    let told: Vec<_> = deliveries(&scene, other).await.into_iter().map(|each| each.at).collect();
    let waited = deliveries(&scene, silent).await;
    assert!(waited.len() == 1 && told.len() == 3 && told.iter().all(|at| *at < waited[0].at), "{told:?} {waited:?}");
}

#[tokio::test]
async fn a_program_that_is_gone_for_good_switches_its_channel_off() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, _, _) = broken(ChannelKind::Webhook).await;
    receiver.will_say(&[Say::Answer("404 Not Found\r\n\r\nbeing deployed"), Say::Answer("410 Gone\r\n\r\nbye")]);
    let sender = sender(&scene, &receiver);
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    let due = next_attempt(&scene).await;
    assert_eq!(sender.send_due(due).await.unwrap(), 1);
    assert_eq!(story(&scene).await, "notify_failed: Could not tell Tools: 410 bye (it wants no more messages, so the channel is switched off)");
    assert!(!scene.value::<bool>("SELECT enabled FROM channels").await);
}

#[tokio::test]
async fn a_refusal_is_final_and_told_without_the_secret() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, _, channel) = broken(ChannelKind::Slack).await;
    receiver.will_say(&[Say::Answer("404 Not Found\r\n\r\n/hook/very-secret-part: no_such_hook")]);
    assert_eq!(sender(&scene, &receiver).send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert_eq!(story(&scene).await, "notify_failed: Could not tell Tools: 404 /…: no_such_hook");
    let state: String = scene.value("SELECT state || ' ' || attempts FROM outbox WHERE channel = 'channel'").await;
    assert_eq!(state, "failed 1");
    assert_eq!(deliveries(&scene, channel).await[0].result, DeliveryResult::Failed);
}

#[tokio::test]
async fn silence_has_an_end_and_is_tried_again() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, _, channel) = broken(ChannelKind::Slack).await;
    receiver.will_say(&[Say::Silence]);
    assert_eq!(sender(&scene, &receiver).send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    let kept = deliveries(&scene, channel).await;
    assert_eq!((kept[0].result, kept[0].status, kept[0].answer.as_str()), (DeliveryResult::Deferred, None, "no complete answer within 10 s"));
    assert!(next_attempt(&scene).await > Utc::now());
}

/// Lets days pass: what waits has waited since then, and the other side has been away.
async fn hours_pass(scene: &Scene, hours: i32) {
    scene
        .run_sql(&format!(
            "UPDATE outbox SET created_at = created_at - interval '{hours} hours', put_off_since = put_off_since - interval '{hours} hours', next_attempt_at = now() WHERE state = 'pending';
             UPDATE channels SET away_since = away_since - interval '{hours} hours', held_until = NULL"
        ))
        .await;
}

#[tokio::test]
async fn a_busy_receiver_is_waited_for_however_often_it_was_asked_and_one_of_a_killed_sender_comes_back() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, _) = broken(ChannelKind::Webhook).await;
    let now = Utc::now() + TimeDelta::seconds(1);
    let claimed = scene.db.store.claim_channel_messages(now, 10, 60).await.unwrap();
    let again = scene.db.store.claim_channel_messages(now + TimeDelta::seconds(61), 10, 60).await.unwrap();
    assert_eq!((claimed.len(), again.len(), &again[0].message_id, again[0].attempts), (1, 1, &claimed[0].message_id, 2));
    until(&scene, monitor, Verdict::Up, 0).await;
    scene.run_sql("UPDATE outbox SET next_attempt_at = now(), leased_until = NULL, attempts = 500 WHERE attempts > 0").await;
    let busy = Say::Answer("429 Too Many Requests\r\nRetry-After: 3600\r\n\r\n");
    let sender = sender(&scene, &receiver);
    for _ in 0..3 {
        receiver.will_say(std::slice::from_ref(&busy));
        assert_eq!(sender.send_due(now).await.unwrap(), 1);
        hours_pass(&scene, 23).await;
    }
    assert_eq!(story(&scene).await, "", "69 hours are no three days");
    for _ in 0..2 {
        assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    }
    let told: Vec<_> = receiver.got().iter().skip(3).map(|(_, body)| body["type"].clone()).collect();
    assert_eq!(told, ["incident.opened", "incident.resolved"], "who comes back in time gets all, in order");
    assert_eq!(story(&scene).await, "notified: Told Tools: 200 thanks; notified: Told Tools: 200 thanks");
    assert!(scene.value::<bool>("SELECT away_since IS NULL FROM channels").await);
}

#[tokio::test]
async fn what_has_waited_for_three_days_for_who_is_away_is_given_up_and_the_story_says_so() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, _) = broken(ChannelKind::Webhook).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    let sender = sender(&scene, &receiver);
    // What waited because we were away ourselves is not lost to the first busy answer.
    hours_pass(&scene, 200).await;
    receiver.will_say(&[Say::Answer("503 Busy\r\nRetry-After: 3600\r\n\r\n")]);
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert_eq!(story(&scene).await, "");
    hours_pass(&scene, 72).await;
    scene.long_after().await;
    until(&scene, monitor, Verdict::Down, 1).await;
    receiver.will_say(&[Say::Answer("503 Busy\r\nRetry-After: 3600\r\n\r\n")]);
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    let lost = "notify_failed: Could not tell Tools: 503 (given up after 3 days)";
    assert_eq!(story(&scene).await, format!("{lost}; {lost}"), "the end that waited behind it as well");
    let left: String =
        scene.value("SELECT string_agg(message ->> 'kind' || ' ' || state, ', ') FROM outbox WHERE channel = 'channel' AND state = 'pending'").await;
    assert_eq!(left, "opened pending", "what came meanwhile waits on");
}

#[tokio::test]
async fn a_message_that_a_receiver_never_takes_does_not_hold_up_its_incident_for_ever() {
    let receiver = Receiver::start("127.0.0.0/8").await;
    let (scene, monitor, _) = broken(ChannelKind::Webhook).await;
    until(&scene, monitor, Verdict::Up, 0).await;
    let sender = sender(&scene, &receiver);
    for _ in 0..12 {
        assert_eq!(story(&scene).await, "", "a receiver that gets mended in time gets it");
        receiver.will_say(&[Say::Answer("422 Unprocessable Content\r\n\r\n")]);
        assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
        hours_pass(&scene, 7).await;
        // Whatever else it is sent it takes.
        scene.run_sql("UPDATE channels SET away_since = NULL").await;
    }
    assert_eq!(story(&scene).await, "notify_failed: Could not tell Tools: 422 (given up after 3 days)");
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert!(story(&scene).await.ends_with("; notified: Told Tools: 200 thanks"), "what waited behind it is told: {}", story(&scene).await);
}

#[tokio::test]
async fn nothing_goes_to_addresses_that_are_not_allowed_or_to_a_channel_that_is_off() {
    let receiver = Receiver::start("127.9.0.0/16").await;
    let (scene, monitor, channel) = broken(ChannelKind::Slack).await;
    let sender = sender(&scene, &receiver);
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert!(story(&scene).await.contains("Could not tell Tools: refused: 127.0.0.1 is a loopback address"), "{}", story(&scene).await);
    until(&scene, monitor, Verdict::Up, 0).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.update_channel(channel, None, &ChannelChange { enabled: Some(false), ..ChannelChange::default() }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(sender.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert!(story(&scene).await.ends_with("Could not tell Tools: the channel is switched off"), "{}", story(&scene).await);
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn incidents_that_open_together_are_one_message_to_people_and_one_each_to_programs() {
    let scene = Scene::new().await;
    let (_, monitor) = scene.domain("e.example").await;
    let people = channel(&scene, ChannelKind::Slack, IncidentSeverity::Warning).await;
    let program = channel(&scene, ChannelKind::Pagerduty, IncidentSeverity::Warning).await;
    let only_bad = channel(&scene, ChannelKind::Discord, IncidentSeverity::Critical).await;
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    let finding = |(rule, severity): &(&str, Severity)| Finding {
        rule: (*rule).to_owned(),
        severity: *severity,
        subject: "e.example".to_owned(),
        summary: format!("{rule} is wrong"),
        why: String::new(),
        fix: String::new(),
        record: None,
        reference: String::new(),
    };
    let sees = async |found: &[(&str, Severity)]| {
        let report = AuditReport { findings: found.iter().map(finding).collect(), ..AuditReport::empty("e.example") };
        let claim = scene.claim_when_due().await[0].claim;
        let outcome = Arc::new(Outcome::Audit(Box::new(report)));
        let run = Run { monitor, claim, at: Utc::now().trunc_subsecs(6), outcome, requested: false };
        recorder.record(scene.org, "local", &[run], Utc::now()).await.unwrap();
    };
    let told = async |channel: ChannelId| -> String {
        let said = "coalesce(string_agg(message->>'kind' || ' ' || (message->>'title'), E'\\n' ORDER BY id), '')";
        scene.value(&format!("SELECT {said} FROM outbox WHERE channel_id = '{}'", channel.0)).await
    };
    sees(&[]).await;
    let much = [("dmarc.p_none", Severity::Medium), ("spf.missing", Severity::High)];
    sees(&much).await;
    sees(&much).await;
    assert_eq!(told(people).await, "opened e.example: 2 problems");
    assert_eq!(told(only_bad).await, "opened e.example: 2 problems");
    let mut each: Vec<String> = told(program).await.lines().map(str::to_owned).collect();
    each.sort();
    assert_eq!(each, ["opened e.example: dmarc.p_none is wrong", "opened e.example: spf.missing is wrong"]);
    let url: String = scene.value(&format!("SELECT message->>'url' FROM outbox WHERE channel_id = '{}'", people.0)).await;
    assert_eq!(url, "/o/example/incidents");
    // Who was told that it is bad hears of each end, whatever the severity that the channel wants.
    sees(&[("spf.missing", Severity::High)]).await;
    assert!(told(only_bad).await.ends_with("resolved e.example: dmarc.p_none is wrong"), "{}", told(only_bad).await);
    assert!(told(people).await.ends_with("resolved e.example: dmarc.p_none is wrong"));
}
