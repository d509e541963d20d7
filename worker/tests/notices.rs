//! Operators are told of block lists that are set aside: once, when it lasts, and never of what belongs to somebody alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use chrono::{DateTime, TimeDelta, Utc};
use scene::Scene;
use waypost_types::lists::{ListKind, ZoneHealth};
use waypost_worker::{WorkerConfig, notices};

fn zone(name: &str, ok: bool, since: DateTime<Utc>) -> ZoneHealth {
    ZoneHealth {
        id: name.to_owned(),
        zone: format!("{name}.example"),
        kind: ListKind::Ip4,
        ok,
        reason: if ok { String::new() } else { "it refuses us".to_owned() },
        since,
        keyed: false,
        private: false,
    }
}

#[tokio::test]
async fn a_list_that_stays_aside_is_told_once() {
    let scene = Scene::new().await;
    let config = WorkerConfig { operators: vec!["op@example.com".to_owned(), "second@example.com".to_owned()], ..scene.config("local") };
    let now = Utc::now();
    let told = async || scene.value::<i64>("SELECT count(*) FROM account_mail").await;
    let tell = async |health: &[ZoneHealth], at: DateTime<Utc>| notices::tell(&config, &scene.db.store, health, at).await.unwrap();
    let private = ZoneHealth { private: true, ..zone("private", false, now) };
    let keyed = ZoneHealth { keyed: true, ..zone("keyed", false, now) };
    let aside = [zone("bad", false, now), zone("good", true, now), private, keyed];
    tell(&aside, now).await;
    assert_eq!(told().await, 0, "it may be back in a moment");
    let later = now + TimeDelta::minutes(16);
    tell(&aside, later).await;
    tell(&aside, later + TimeDelta::minutes(1)).await;
    assert_eq!(told().await, 2, "each operator once");
    let text: String = scene.value("SELECT message->>'text' FROM account_mail LIMIT 1").await;
    assert!(text.contains("bad.example: it refuses us") && !text.contains("private") && !text.contains("keyed"), "{text}");
    let aside_now = scene.db.store.lists_set_aside(later).await.unwrap();
    assert_eq!(aside_now.iter().map(|list| list.zone.as_str()).collect::<Vec<_>>(), ["bad.example"]);
    // Back, and set aside again the same day: not told again. The next day it is.
    tell(&[zone("bad", true, later)], later).await;
    assert!(scene.db.store.lists_set_aside(later).await.unwrap().is_empty());
    let evening = later + TimeDelta::hours(6);
    tell(&[zone("bad", false, evening)], evening + TimeDelta::hours(1)).await;
    assert_eq!(told().await, 2);
    tell(&[zone("bad", false, evening)], evening + TimeDelta::hours(30)).await;
    assert_eq!(told().await, 4);
}
