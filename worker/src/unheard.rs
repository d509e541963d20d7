//! Monitors that nobody can check any more: their regions have no worker, or reach nothing. What was last known of them goes stale, and is said to
//! be unknown, with the reason. Nothing opens or ends by that.

use chrono::{DateTime, Utc};
use waypost_store::{Store, StoreError, unheard::Unheard};
use waypost_types::{
    MonitorId, OrgId,
    event::LiveEvent,
    region::{Region, RegionState},
};

use crate::judge;

/// Monitors in one round: the others are found by the next.
const AT_ONCE: i32 = 1000;

/// Says it of all that are unheard now.
pub(crate) async fn tell(store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
    for (org, monitors) in store.unheard_monitors(now, AT_ONCE).await? {
        tell_of(store, org, &monitors, now).await?;
    }
    Ok(())
}

async fn tell_of(store: &Store, org: OrgId, monitors: &[MonitorId], now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut tx = store.org_tx(org).await?;
    // Who checked one meanwhile has its word.
    let unheard = tx.lock_unheard(monitors, now).await?;
    let regions = tx.regions(now).await?;
    for monitor in &unheard {
        let summary = summary(monitor, &regions);
        tx.say_unheard(monitor, &judge::unheard(&monitor.judge, now), &summary, now).await?;
        tracing::warn!(%org, monitor = %monitor.id, regions = ?monitor.regions, "a monitor is not checked any more");
    }
    if !unheard.is_empty() {
        let monitors = unheard.iter().map(|monitor| monitor.id.to_string()).collect();
        tx.notify(&LiveEvent::Checked { monitors, assets: unheard.iter().flat_map(|monitor| monitor.assets.clone()).collect() }).await?;
    }
    tx.commit().await
}

/// Since when nothing counted, and why.
fn summary(monitor: &Unheard, regions: &[Region]) -> String {
    let since = monitor.heard_at.map_or_else(String::new, |at| format!(" since {} UTC", at.format("%-d %B, %H:%M")));
    let state = |name: &String| regions.iter().find(|region| region.name == *name).map_or(RegionState::Silent, |region| region.state);
    let reasons: Vec<String> = monitor
        .regions
        .iter()
        .map(|name| match state(name) {
            RegionState::CutOff => format!("region {name} can not reach anything"),
            // It came back this very moment: the next check tells.
            RegionState::Working | RegionState::Silent => format!("no worker of region {name} was heard of"),
        })
        .collect();
    format!("Not checked{since}: {}.", reasons.join(", "))
}
