//! Logs and metrics, set up the same way in every program.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Upper bounds of the buckets of every `…_seconds` histogram.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// What is never logged, whatever `RUST_LOG` says.
const QUIET: [&str; 3] = ["hickory_resolver=off", "hickory_net=off", "hickory_proto=off"];

/// Writes logs to standard error: readable in development, one JSON object per line in production. `RUST_LOG` chooses; without it our own
/// events from info and others' from warn.
pub fn init_tracing(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,waypost=info,waypost_server=info,waypost_worker=info"));
    // The resolver's own events name what was asked, and the names of keyed block lists hold keys.
    let filter = QUIET.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call (tests, or a server that runs the worker) keeps the first.
    let set = if json { logs.json().try_init() } else { logs.try_init() };
    if set.is_err() {
        tracing::debug!("logs were set up already");
    }
}

/// Collects metrics; what the handle renders is what Prometheus reads. To be called once per process.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?.install_recorder()
}
