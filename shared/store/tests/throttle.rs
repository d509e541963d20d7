//! Slowing down password guessing, on a real database.
#![allow(missing_docs, clippy::unwrap_used)] // a test that can not set its scene has failed

use chrono::{SubsecRound as _, TimeDelta, Utc};
use tokio::task::JoinSet;
use waypost_store::{Store, testing::TestDatabase, throttle::ThrottleKey};

fn keys() -> Vec<ThrottleKey> {
    [("pair:a", 5), ("address:a", 50)].map(|(key, free)| ThrottleKey { key: key.to_owned(), free, longest_s: 900 }).into()
}

#[tokio::test]
async fn guesses_at_once_do_not_slip_through() {
    let db = TestDatabase::new().await;
    let store = Store::connect(&db.app_url, 16).await.unwrap();
    let now = Utc::now();
    let mut tries = JoinSet::new();
    for _ in 0..40 {
        let store = store.clone();
        tries.spawn(async move { store.take_attempt(&keys(), now).await.unwrap() });
    }
    let free = tries.join_all().await.into_iter().filter(Option::is_none).count();
    assert_eq!(free, 5, "the fifth guess makes all others wait, however they arrive");
}

#[tokio::test]
async fn a_success_takes_back_its_own_wait_and_nobody_elses() {
    let db = TestDatabase::new().await;
    let store = Store::connect(&db.app_url, 4).await.unwrap();
    let address = vec![ThrottleKey { key: "address:b".to_owned(), free: 1, longest_s: 900 }];
    let lowered = ["address:b".to_owned()];
    let own = Utc::now().trunc_subsecs(6);
    assert_eq!(store.take_attempt(&address, own).await.unwrap(), None);
    store.attempt_succeeded(&[], &lowered, own).await.unwrap();
    // A guess after it, and the success of the earlier one is told once more.
    let guess = own + TimeDelta::milliseconds(10);
    assert_eq!(store.take_attempt(&address, guess).await.unwrap(), None, "the wait went with the success");
    store.attempt_succeeded(&[], &lowered, own).await.unwrap();
    assert!(store.take_attempt(&address, guess + TimeDelta::milliseconds(1)).await.unwrap().is_some(), "the guess's wait stays");
}
