//! Waiting between attempts: doubling, with jitter, up to a limit, and never past a shutdown.

use std::{future::Future, time::Duration};

use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use crate::error::chain;

/// Delays that double from `first` to `limit`.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// The next delay: between half and all of the doubled one, so that processes do not return in step.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let full = self.first.saturating_mul(2_u32.saturating_pow(self.failures.min(16))).min(self.limit);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Runs `step` again and again until shutdown. What fails is logged and waits longer each time; the loop itself never ends by a failure.
/// `step` answers how long to wait before the next run.
pub(crate) async fn forever<E, F>(name: &'static str, shutdown: &CancellationToken, mut step: impl FnMut() -> F)
where
    E: std::error::Error,
    F: Future<Output = Result<Duration, E>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
    while !shutdown.is_cancelled() {
        let pause = match step().await {
            Ok(pause) => {
                backoff.reset();
                pause
            }
            Err(error) => {
                let pause = backoff.next_delay();
                metrics::counter!("waypost_worker_failures_total", "part" => name).increment(1);
                tracing::warn!(
                    part = name,
                    error = chain(&error),
                    retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    "failed; trying again"
                );
                pause
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for full in [1, 2, 4, 8, 10, 10] {
            let delay = backoff.next_delay();
            assert!(delay <= Duration::from_secs(full) && delay >= Duration::from_secs(full) / 2, "{delay:?} of {full}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
