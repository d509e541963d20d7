//! This machine's clock beside the database's: one home for how it is measured, told, and when it is too wrong to claim by.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use waypost_store::Store;

use crate::WorkerError;

/// Time between looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// From here on a difference is told.
const WARN_FROM: TimeDelta = TimeDelta::seconds(5);
/// Beyond this a worker claims nothing: it would take what is not due, or what another works on.
const CLAIM_UNTIL: TimeDelta = TimeDelta::seconds(30);

/// What is known of the clock. Nothing, until it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    good_until: Mutex<Option<Instant>>,
}

impl Clock {
    /// Whether to claim by this clock; looks at it where the last look is too old. A look that fails is no leave.
    pub(crate) async fn may_claim(&self, store: &Store) -> Result<bool, WorkerError> {
        if self.good_until().is_some_and(|until| Instant::now() < until) {
            return Ok(true);
        }
        let before = Utc::now();
        let database = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(store.pool()).await?;
        let offset = offset(before, database, Utc::now());
        tell(offset);
        let may = offset.abs() <= CLAIM_UNTIL;
        *self.good_until.lock().unwrap_or_else(PoisonError::into_inner) = may.then(|| Instant::now() + LOOK_EVERY);
        Ok(may)
    }

    fn good_until(&self) -> Option<Instant> {
        *self.good_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(offset: TimeDelta) {
    let offset_seconds = offset.as_seconds_f64();
    metrics::gauge!("waypost_clock_offset_seconds").set(offset_seconds);
    if offset.abs() > CLAIM_UNTIL {
        tracing::error!(offset_seconds, "this machine's clock is too far from the database's; claiming nothing");
    } else if offset.abs() > WARN_FROM {
        tracing::warn!(offset_seconds, "this machine's clock differs from the database's");
    }
}

/// How far we are ahead of the database; negative when behind. What the trip to the database may explain does not count.
fn offset(before: DateTime<Utc>, database: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if database < before {
        before - database
    } else if database > after {
        after - database
    } else {
        TimeDelta::zero()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use waypost_store::testing::TestDatabase;

    use super::*;

    #[test]
    fn a_slow_trip_is_no_offset() {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        assert_eq!(offset(at(10), at(30), at(50)), TimeDelta::zero());
        assert_eq!(offset(at(10), at(4), at(50)), TimeDelta::seconds(6), "ahead");
        assert_eq!(offset(at(10), at(90), at(50)), TimeDelta::seconds(-40), "behind");
    }

    #[tokio::test]
    async fn a_clock_that_is_right_may_claim_and_one_that_can_not_be_looked_at_may_not() {
        let db = TestDatabase::new().await;
        let clock = Clock::default();
        db.store.pool().close().await;
        assert!(clock.may_claim(&db.store).await.is_err());
        assert!(clock.may_claim(&db.store).await.is_err(), "a failed look gives no leave");
        let store = Store::connect(&db.app_url, 1).await.unwrap();
        assert!(clock.may_claim(&store).await.unwrap());
    }
}
