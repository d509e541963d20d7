//! The outbox against a tiny mail server: once per recipient, never again, backoff on refusal, and what the timeline says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use chrono::{SubsecRound as _, TimeDelta, Utc};
use scene::{Scene, eventually};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use waypost_store::{incidents::IncidentChange, monitors::Added, outbox::MailBody};
use waypost_types::{
    IncidentId,
    incident::{IncidentSeverity, IncidentStatus},
    monitor::MonitorKind,
    route::{NewRoute, Receivers},
};
use waypost_worker::{WorkerConfig, checker::StubChecker, notifier::Notifier};

/// Takes mail, or answers RCPT with the code it is told to.
struct Sink {
    port: u16,
    received: Arc<Mutex<Vec<String>>>,
    refuse: Arc<AtomicU32>,
}

impl Sink {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { port: listener.local_addr().unwrap().port(), received: Arc::default(), refuse: Arc::default() };
        let (received, refuse) = (sink.received.clone(), sink.refuse.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, received.clone(), refuse.clone()));
            }
        });
        sink
    }

    fn mails(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, received: Arc<Mutex<Vec<String>>>, refuse: Arc<AtomicU32>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let answer = match line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250 sink".to_owned(),
            "RCPT" => match refuse.load(Ordering::SeqCst) {
                0 => "250 fine".to_owned(),
                code => format!("{code} no thanks"),
            },
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut mail).await.unwrap();
                }
                received.lock().unwrap().push(mail);
                "250 queued as 7".to_owned()
            }
            "QUIT" => return,
            _ => "250 fine".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

/// A scene with an open incident and one mail about it per recipient.
async fn scene_with_mail(recipients: &[&str]) -> Scene {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let opening = waypost_store::transitions::Opening {
        condition: "",
        monitor,
        kind: MonitorKind::Smtp,
        target: "mx.example:25",
        title: "Port 25 of mx.example does not answer",
        summary: "",
        severity: IncidentSeverity::Critical,
        at: Utc::now(),
        evidence: serde_json::json!({}),
    };
    let incident = tx.open_incident(&opening).await.unwrap();
    let recipients: Vec<String> = recipients.iter().map(|recipient| (*recipient).to_owned()).collect();
    let body = MailBody { subject: "Grüße".to_owned(), text: "text".to_owned(), html: "<p>text</p>".to_owned() };
    let key = format!("incident:{incident}:opened");
    let first = tx.enqueue_mails((Some(incident), &[]), &key, "waypost.example", &recipients, &body).await.unwrap();
    let again = tx.enqueue_mails((Some(incident), &[]), &key, "waypost.example", &recipients, &body).await.unwrap();
    assert_eq!((first, again), (recipients.len() as u64, 0), "an event makes one row per recipient");
    tx.commit().await.unwrap();
    scene
}

fn config(scene: &Scene, sink: &Sink) -> WorkerConfig {
    WorkerConfig { smtp_url: Some(format!("smtp://127.0.0.1:{}", sink.port).into()), ..scene.config("local") }
}

async fn story(scene: &Scene) -> String {
    scene.value("SELECT coalesce(string_agg(event || ': ' || text, '; ' ORDER BY text), '') FROM incident_timeline WHERE event LIKE 'notif%'").await
}

#[tokio::test]
async fn a_mail_is_sent_once_and_the_timeline_tells() {
    let sink = Sink::start().await;
    let scene = scene_with_mail(&["a@example.com", "b@example.com"]).await;
    let notifier = Notifier::new(&config(&scene, &sink), scene.db.store.clone(), CancellationToken::new()).unwrap();
    // Two notifiers at once share the work.
    let (one, two) = tokio::join!(notifier.send_due(Utc::now()), notifier.send_due(Utc::now()));
    assert_eq!(one.unwrap() + two.unwrap(), 2);
    assert_eq!(notifier.send_due(Utc::now() + TimeDelta::days(1)).await.unwrap(), 0, "a sent row is never sent again");
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    let message_id: String = scene.value("SELECT message_id FROM outbox WHERE recipient = 'a@example.com'").await;
    assert_eq!(mails.iter().filter(|mail| mail.contains(&message_id)).count(), 1);
    assert!(mails.iter().all(|mail| mail.contains("Auto-Submitted: auto-generated") && mail.contains("multipart/alternative")));
    assert_eq!(story(&scene).await, "notified: Mailed a@example.com: 250 queued as 7; notified: Mailed b@example.com: 250 queued as 7");
}

#[tokio::test]
async fn a_refusal_for_now_waits_longer_each_time_and_a_final_one_is_final() {
    let sink = Sink::start().await;
    let scene = scene_with_mail(&["a@example.com"]).await;
    let notifier = Notifier::new(&config(&scene, &sink), scene.db.store.clone(), CancellationToken::new()).unwrap();
    sink.refuse.store(451, Ordering::SeqCst);
    let mut due = Utc::now();
    for seconds in [30, 60, 120] {
        let delay = TimeDelta::seconds(seconds);
        let before = Utc::now().trunc_subsecs(6);
        assert_eq!(notifier.send_due(due).await.unwrap(), 1);
        let after = Utc::now();
        // The next attempt is reckoned from the answer, which came between the two: true however long it took.
        due = scene.value("SELECT next_attempt_at FROM outbox").await;
        assert!((before + delay..=after + delay).contains(&due), "{due} for {seconds} s after {before}");
        assert_eq!(notifier.send_due(due - TimeDelta::microseconds(1)).await.unwrap(), 0, "not before its time");
    }
    let answer: String = scene.value("SELECT last_answer FROM outbox").await;
    assert!(answer.contains("451") || answer.contains("no thanks"), "{answer}");
    assert_eq!(story(&scene).await, "");

    sink.refuse.store(550, Ordering::SeqCst);
    scene.run_sql("UPDATE outbox SET next_attempt_at = now()").await;
    notifier.send_due(Utc::now()).await.unwrap();
    let state: String = scene.value("SELECT state || ' ' || attempts FROM outbox").await;
    assert_eq!(state, "failed 4");
    assert!(story(&scene).await.starts_with("notify_failed: Could not mail a@example.com: "));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_mail_is_tried_for_five_days_and_one_of_a_killed_notifier_comes_back() {
    let sink = Sink::start().await;
    let scene = scene_with_mail(&["a@example.com"]).await;
    let claimed = scene.db.store.claim_outbox(Utc::now(), 10, 300).await.unwrap();
    assert_eq!(claimed.len(), 1);
    // Killed here, before anything was sent: nothing is lost, and the message keeps its id.
    let again = scene.db.store.claim_outbox(Utc::now() + TimeDelta::seconds(301), 10, 300).await.unwrap();
    assert_eq!((again.len(), &again[0].message_id, again[0].attempts), (1, &claimed[0].message_id, 2));

    let notifier = Notifier::new(&config(&scene, &sink), scene.db.store.clone(), CancellationToken::new()).unwrap();
    sink.refuse.store(451, Ordering::SeqCst);
    // However often it was tried, and whatever its age when it is first tried again after we were away ourselves.
    for (attempts, hours, wanted) in [(500, 119, "pending"), (1, 500, "pending"), (5, 120, "failed")] {
        let waited = format!("UPDATE outbox SET next_attempt_at = now(), attempts = {attempts}, created_at = now() - interval '{hours} hours'");
        scene.run_sql(&waited).await;
        notifier.send_due(Utc::now()).await.unwrap();
        let state: String = scene.value("SELECT state FROM outbox").await;
        assert_eq!(state, wanted, "after {attempts} attempts in {hours} hours");
    }
    let told = story(&scene).await;
    assert!(told.starts_with("notify_failed: Could not mail a@example.com: ") && told.ends_with(" (given up after 5 days)"), "{told}");
}

#[tokio::test]
async fn of_an_incident_each_recipient_is_mailed_one_thing_after_the_other() {
    let sink = Sink::start().await;
    let scene = scene_with_mail(&["a@example.com"]).await;
    let notifier = Notifier::new(&config(&scene, &sink), scene.db.store.clone(), CancellationToken::new()).unwrap();
    sink.refuse.store(451, Ordering::SeqCst);
    assert_eq!(notifier.send_due(Utc::now()).await.unwrap(), 1);
    // It ends meanwhile; what is about nothing, or about nobody's incident, waits for nothing.
    let incident: Uuid = scene.value("SELECT id FROM incidents").await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let body = |subject: &str| MailBody { subject: subject.to_owned(), text: "text".to_owned(), html: "<p>text</p>".to_owned() };
    let to = |recipient: &str| [recipient.to_owned()];
    tx.enqueue_mails((Some(IncidentId(incident)), &[]), "incident:x:resolved", "waypost.example", &to("a@example.com"), &body("Ended"))
        .await
        .unwrap();
    tx.enqueue_mails((Some(IncidentId(incident)), &[]), "incident:x:resolved", "waypost.example", &to("b@example.com"), &body("Late")).await.unwrap();
    tx.enqueue_mails((None, &[]), "digest:1", "waypost.example", &to("a@example.com"), &body("Digest")).await.unwrap();
    tx.commit().await.unwrap();
    sink.refuse.store(0, Ordering::SeqCst);
    assert_eq!(notifier.send_due(Utc::now()).await.unwrap(), 2, "the end waits for the beginning, whose next attempt is later");
    let later = Utc::now() + TimeDelta::seconds(31);
    assert_eq!(notifier.send_due(later).await.unwrap(), 1);
    assert_eq!(notifier.send_due(later).await.unwrap(), 1);
    let order: String = scene
        .value(
            "SELECT string_agg(message->>'subject', ' ' ORDER BY sent_at) FROM outbox WHERE recipient = 'a@example.com' AND incident_id IS NOT NULL",
        )
        .await;
    assert_eq!(order, "Grüße Ended");
}

#[tokio::test]
async fn what_a_person_opens_or_ends_is_mailed_to_the_others_as_the_routes_say() {
    let sink = Sink::start().await;
    let scene = Scene::new().await;
    scene.member("bob@example.com", false).await;
    scene.verify("bob@example.com").await;
    let notifier = Notifier::new(&config(&scene, &sink), scene.db.store.clone(), CancellationToken::new()).unwrap();
    let opened = async |target: &str| {
        let monitor = scene.monitor(MonitorKind::Smtp, target, 300).await;
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        let added =
            tx.add_incident(monitor, "Queue grows", "Nothing goes out.", IncidentSeverity::Critical, "owner@example.com", Utc::now()).await.unwrap();
        let Added::New(incident) = added else { panic!("it is the first") };
        tx.commit().await.unwrap();
        incident.id
    };
    let ended = async |incident: IncidentId| {
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        let done = IncidentChange {
            status: Some(IncidentStatus::Resolved),
            root_cause: Some("A full disk."),
            actor: "bob@example.com",
            ..IncidentChange::default()
        };
        tx.update_incident(incident, None, done, Utc::now()).await.unwrap();
        tx.commit().await.unwrap();
    };
    let incident = opened("mx.example:25").await;
    assert_eq!(notifier.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1, "whoever opened it knows");
    ended(incident).await;
    assert_eq!(notifier.send_due(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1, "whoever ended it knows");
    let mails = sink.mails();
    let page = format!("https://waypost.example/o/example/incidents/{incident}");
    for (mail, to, said) in [
        (&mails[0], "bob@example.com", ["Subject: [Critical] Queue grows", "Nothing goes out.", "Open the incident"]),
        (&mails[1], "owner@example.com", ["Subject: [Resolved] Queue grows", "Resolved by hand: bob@example.com.", "A full disk."]),
    ] {
        let plain = mail.replace("=\r\n", "").replace("=3D", "=");
        for part in said.into_iter().chain([&*format!("To: {to}"), &page, "@waypost.example>\r\n"]) {
            assert!(plain.contains(part), "{part} in {mail}");
        }
    }
    assert_eq!(story(&scene).await.matches("notified: Mailed ").count(), 2);
    // Where a route tells channels alone, nobody is mailed, of the end neither.
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.add_route(&NewRoute { tells: Receivers::default(), ..NewRoute::of_everybody() }).await.unwrap();
    tx.commit().await.unwrap();
    ended(opened("mx.example:465").await).await;
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM outbox WHERE state = 'pending'").await, 0);
}

#[tokio::test]
async fn the_account_mail_is_emptied_once_sent_and_development_captures() {
    let scene = Scene::new().await;
    let body = r#"{"subject": "Confirm", "text": "https://waypost.example/verify?token=secret", "html": ""}"#;
    let insert = format!(
        "INSERT INTO account_mail (id, recipient, message, message_id) VALUES ('{}', 'new@example.com', '{body}', '<x@waypost.example>')",
        Uuid::now_v7()
    );
    scene.run_sql(&insert).await;
    let shutdown = CancellationToken::new();
    let worker =
        tokio::spawn(waypost_worker::run_with(scene.config("local"), scene.db.store.clone(), Arc::new(StubChecker::default()), shutdown.clone()));
    eventually("the mail is captured", async || scene.value::<i64>("SELECT count(*) FROM account_mail WHERE state = 'sent'").await == 1).await;
    shutdown.cancel();
    worker.await.unwrap().unwrap();
    let captured: String = scene.value("SELECT recipient || ' ' || subject || ' ' || body_text FROM captured_mail").await;
    assert_eq!(captured, "new@example.com Confirm https://waypost.example/verify?token=secret");
    let kept: String = scene.value("SELECT message::text FROM account_mail").await;
    assert_eq!(kept, "{}");
}
