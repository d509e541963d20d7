//! The worker: schedules, runs, judges, records and notifies. It joins the engine, which knows mail, and the store, which knows tenants.
//!
//! [`run`] runs everything for one region until shutdown, in the program `waypost-worker` or inside the server. All truth is in PostgreSQL;
//! any number of workers may run, die and return.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod backoff;
pub mod batch;
mod carry;
pub mod channels;
pub mod checker;
mod clock;
mod close_looks;
pub mod conditions;
pub mod config;
mod cut_off;
mod database;
mod elsewhere;
mod engine_checker;
mod error;
pub mod flapping;
pub mod follow_ups;
pub mod health;
mod history;
mod incidents;
pub mod judge;
mod listener;
mod logins;
mod maintenance;
pub mod notices;
pub mod notifier;
mod opened;
mod port25;
mod queue;
pub mod recorder;
mod refusal;
pub mod region_health;
mod rule_words;
pub mod rules;
pub mod runner;
pub mod scheduler;
pub mod seal;
mod server_history;
pub mod shared_checks;
pub mod slack;
mod stays;
mod steps;
pub mod telemetry;
pub mod thresholds;
mod traces;
mod unheard;
mod untold;
pub mod wording;

use std::sync::Arc;

use chrono::Utc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waypost_engine::net::Net;
use waypost_store::Store;

pub use config::{Config, ConfigError, Environment, SignupPolicy, SlackApp, WorkerConfig};
pub use database::prepare_database;
pub use engine_checker::EngineChecker;
pub use error::WorkerError;
pub use maintenance::maintain;
pub use queue::{migrate_queue, queue_is_ready};

use crate::{
    channels::sender::ChannelSender,
    checker::Checker,
    follow_ups::FollowUps,
    listener::Bells,
    notifier::{Notifier, keep_sending},
    recorder::Recorder,
    rules::Rules,
    runner::Runner,
    shared_checks::SharedChecks,
};

/// Runs all loops of a region by the engine on `net`; see [`run_with`].
pub async fn run(config: WorkerConfig, store: Store, net: Net, shutdown: CancellationToken) -> Result<(), WorkerError> {
    // Before anything looks for regions that have no worker.
    store.region_seen(&config.region, Utc::now()).await?;
    let regions = store.regions().await?;
    let reached = regions.iter().find(|region| region.name == config.region).and_then(|region| region.port25_reached_at);
    let checker = Arc::new(EngineChecker::new(&net, reached));
    run_loops(config, store, checker, Some(net), shutdown).await
}

/// Runs all loops of a region with `checker` until `shutdown`; then work that is under way is finished or given back. Survives a database
/// that goes away and returns. Fails at once when the configuration can not be used, or when a loop breaks, which is a bug. Channels are told
/// nothing: there is no network to do it over.
pub async fn run_with(config: WorkerConfig, store: Store, checker: Arc<dyn Checker>, shutdown: CancellationToken) -> Result<(), WorkerError> {
    run_loops(config, store, checker, None, shutdown).await
}

async fn run_loops(
    config: WorkerConfig,
    store: Store,
    checker: Arc<dyn Checker>,
    net: Option<Net>,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let notifier = Notifier::new(&config, store.clone(), shutdown.clone())?;
    let checks = Arc::new(SharedChecks::new(checker, store.clone(), &config.region, config.concurrent_probes, config.concurrent_audits));
    let recorder = Recorder::new(store.clone(), &config.base_url, config.mail_from.email.domain());
    let runner = Arc::new(Runner::new(&config.region, store.clone(), Arc::clone(&checks), recorder, config.seal.clone(), shutdown.clone()));
    let bells = Arc::new(Bells::default());
    let config = Arc::new(config);
    tracing::info!(region = %config.region, "worker started");
    let mut loops = JoinSet::new();
    {
        let (config, store, bells, shutdown) = (config.clone(), store.clone(), bells.clone(), shutdown.clone());
        loops.spawn(async move { scheduler::run(&config, &store, &bells.due, &shutdown).await });
    }
    {
        let (config, store, shutdown) = (config.clone(), store.clone(), shutdown.clone());
        loops.spawn(async move {
            queue::run(&config, &store, &runner, &shutdown).await;
            runner.finish().await;
        });
    }
    {
        let (bells, shutdown) = (bells.clone(), shutdown.clone());
        loops.spawn(async move { keep_sending("notifier", &shutdown, &bells.mail, || notifier.send_due(Utc::now())).await });
    }
    if let Some(net) = net {
        let sender =
            ChannelSender::new(store.clone(), net, config.seal.clone(), &config.base_url, shutdown.clone()).with_slack(&config.slack_api_url);
        let bells = bells.clone();
        loops.spawn(async move { sender.run(&bells.channels).await });
    }
    {
        let teller = FollowUps::new(store.clone(), &config.base_url, config.mail_from.email.domain());
        let shutdown = shutdown.clone();
        loops.spawn(async move { teller.run(&shutdown).await });
    }
    {
        let rules = Rules::new(store.clone(), &config.base_url, config.mail_from.email.domain());
        let shutdown = shutdown.clone();
        loops.spawn(async move { rules.run(&shutdown).await });
    }
    {
        let (store, shutdown) = (store.clone(), shutdown.clone());
        loops.spawn(async move { listener::run(&store, &bells, &shutdown).await });
    }
    {
        let (config, store, shutdown) = (config.clone(), store.clone(), shutdown.clone());
        loops.spawn(async move { maintenance::run(&config, &store, &shutdown).await });
    }
    {
        let (config, shutdown) = (config.clone(), shutdown.clone());
        loops.spawn(async move { maintenance::heartbeat(&config, &store, &checks, &shutdown).await });
    }
    // A loop ends by shutdown or by a panic; after a panic the others stop too, and whoever started us decides.
    let mut broken = None;
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            shutdown.cancel();
            broken = Some(error);
        }
    }
    tracing::info!(region = %config.region, "worker stopped");
    broken.map_or(Ok(()), |error| Err(error.into()))
}
