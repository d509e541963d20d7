//! What the operators of this installation are told: block lists that are set aside, because they refuse us, list the whole world or answer
//! nothing. Kept for `/readyz`, logged, and mailed once when it lasts.

use chrono::{DateTime, TimeDelta, Utc};
use waypost_render::mail::lists_set_aside;
use waypost_store::{Store, list_health::SetAside, outbox::MailBody};
use waypost_types::lists::ZoneHealth;

use crate::{WorkerConfig, WorkerError};

/// A list that is back within this time is no news.
const SETTLED: TimeDelta = TimeDelta::minutes(15);
/// A list that comes and goes is told of once in this time.
const AGAIN: TimeDelta = TimeDelta::days(1);

/// Keeps what is known of the lists, and tells the operators what is new.
pub async fn tell(config: &WorkerConfig, store: &Store, health: &[ZoneHealth], now: DateTime<Utc>) -> Result<(), WorkerError> {
    // What is wrong with a private list or with somebody's key is told to whom it belongs.
    let public: Vec<&ZoneHealth> = health.iter().filter(|zone| !zone.private && !zone.keyed).collect();
    let aside = public.iter().filter(|zone| !zone.ok).count();
    metrics::gauge!("waypost_lists_set_aside").set(u32::try_from(aside).unwrap_or(u32::MAX));
    if public.is_empty() {
        return Ok(());
    }
    store.list_health_seen(&config.region, &public, now).await?;
    let mail = |untold: &[SetAside]| {
        let lines: Vec<(String, String)> = untold.iter().map(|list| (list.zone.clone(), list.reason.clone())).collect();
        let mail = lists_set_aside(&config.region, &config.base_url, &lines);
        MailBody { subject: mail.subject, text: mail.text, html: mail.html }
    };
    let times = (now, now - SETTLED, now - AGAIN);
    for list in store.tell_of_lists(&config.region, times, &config.operators, config.mail_from.email.domain(), mail).await? {
        tracing::warn!(region = %list.region, list = %list.list, zone = %list.zone, reason = %list.reason, "a block list is set aside");
    }
    Ok(())
}
