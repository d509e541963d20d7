//! Token buckets by visitor, in memory: each process counts for itself, which bounds the whole within the number of processes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::http::problem::ApiError;

/// Keys remembered at most; beyond it those that are full again are forgotten, and then the rest.
const MAX_KEYS: usize = 50_000;

/// A limit of `burst` at once, refilled by `per_minute`.
#[derive(Debug)]
pub struct RateLimit {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl RateLimit {
    /// At most `burst` at once and `per_minute` in the long run.
    pub fn new(burst: u32, per_minute: f64) -> Self {
        Self { burst: f64::from(burst), per_second: per_minute / 60.0, buckets: Mutex::default() }
    }

    /// Takes one, or says how long to wait.
    pub fn take(&self, key: &str) -> Result<(), ApiError> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: &str, now: Instant) -> Result<(), ApiError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(key) {
            let full_after = Duration::from_secs_f64(self.burst / self.per_second);
            buckets.retain(|_, (_, at)| now.saturating_duration_since(*at) < full_after);
            if buckets.len() >= MAX_KEYS {
                buckets.clear();
            }
        }
        let (tokens, at) = buckets.entry(key.to_owned()).or_insert((self.burst, now));
        *tokens = (*tokens + now.saturating_duration_since(*at).as_secs_f64() * self.per_second).min(self.burst);
        *at = now;
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64(((1.0 - *tokens) / self.per_second).clamp(1.0, 86_400.0));
        Err(ApiError::TooMany { seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_for_its_key_alone() {
        let limit = RateLimit::new(2, 60.0);
        let start = Instant::now();
        assert!(limit.take_at("a", start).is_ok());
        assert!(limit.take_at("a", start).is_ok());
        assert!(matches!(limit.take_at("a", start), Err(ApiError::TooMany { seconds: 1 })));
        assert!(limit.take_at("b", start).is_ok());
        assert!(limit.take_at("a", start + Duration::from_secs(1)).is_ok());
    }
}
