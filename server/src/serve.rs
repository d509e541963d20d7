//! Starting and stopping: the database first, then the worker where one is wanted, then the door; in the other order at the end.

use std::{future::Future, net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use waypost_engine::net::{Egress, NetError};
use waypost_store::{Store, StoreError, migrations_pending};
use waypost_worker::{Config, WorkerError, migrate_queue, queue_is_ready, telemetry};

use crate::{
    app,
    http::problem::chain,
    pages,
    passwords::Cost,
    state::{AppState, Settings},
};

const CONNECTIONS: u32 = 24;
/// Requests under way get that long to end.
const DRAIN: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const CLEANING: Duration = Duration::from_secs(600);

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can not be listened on.
    #[error("WAYPOST_LISTEN: {address} can not be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The schema is older than this program.
    #[error("the database needs migrations: run “waypost-server migrate” as its owner (WAYPOST_MIGRATE_DATABASE_URL), then start again")]
    Pending,
    /// Migrating failed.
    #[error("the database could not be migrated")]
    Migrate(#[source] WorkerError),
    /// The store.
    #[error("the database can not be used")]
    Store(#[from] StoreError),
    /// The worker.
    #[error("the worker ended")]
    Worker(#[from] WorkerError),
    /// The network of the engine.
    #[error("the network can not be set up")]
    Net(#[from] NetError),
    /// The server itself.
    #[error("serving failed")]
    Io(#[from] std::io::Error),
    /// Metrics.
    #[error("metrics can not be collected")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A task that should run as long as we do.
    #[error("a part of the server ended")]
    Task(#[from] tokio::task::JoinError),
}

/// How to serve.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Run a worker of this region in the process.
    pub region: Option<String>,
}

/// Brings the database up to date, waiting for one that still starts.
pub async fn migrate(config: &Config) -> Result<(), ServeError> {
    let shutdown = CancellationToken::new();
    until_it_answers(&shutdown, || async { waypost_store::migrate(config.owner_url()).await }).await?;
    migrate_queue(config.owner_url()).await.map_err(ServeError::Migrate)?;
    tracing::info!("the database is up to date");
    Ok(())
}

/// Serves until a signal says stop.
pub async fn serve(config: Config, options: ServeOptions) -> Result<(), ServeError> {
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(shutdown.clone()));
    let metrics = telemetry::install_metrics().map_err(|error| ServeError::Metrics(error.into()))?;
    // The door is taken first: somebody who starts a second server should hear that at once.
    let listener = TcpListener::bind(config.listen).await.map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let done = run(config, options, listener, metrics, shutdown.clone()).await;
    shutdown.cancel();
    signals.abort();
    done
}

async fn run(
    config: Config,
    options: ServeOptions,
    listener: TcpListener,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let Some(store) = database(&config, &shutdown).await? else { return Ok(()) };
    let net = config.net()?;
    let state = AppState::new(store.clone(), settings(&config), net.clone());
    let (api, _) = app::api(&state);
    let pages = pages::router(&state, &api);
    let service = app::router(&state, api, Some(pages), Some(metrics)).into_make_service_with_connect_info::<SocketAddr>();

    let mut parts = tokio::task::JoinSet::new();
    {
        let (live, store, overviews, stop) = (state.live.clone(), store.clone(), state.overviews.clone(), shutdown.clone());
        parts.spawn(async move {
            live.run(&store, &overviews, &stop).await;
            live.close();
            Ok::<(), ServeError>(())
        });
    }
    {
        let (store, stop) = (store.clone(), shutdown.clone());
        parts.spawn(async move {
            clean_up(&store, &stop).await;
            Ok(())
        });
    }
    if let Some(region) = options.region {
        let (config, stop) = (config.worker(&region), shutdown.clone());
        parts.spawn(async move { Ok(waypost_worker::run(config, store, net, stop).await?) });
    }
    tracing::info!(listen = %config.listen, base_url = %config.base_url, "serving");
    let (stop, stopped) = (shutdown.clone(), shutdown.clone());
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move { stop.cancelled().await }).into_future();
    tokio::pin!(serving);
    let mut failed = None;
    loop {
        tokio::select! {
            done = &mut serving => { failed = failed.or(done.err().map(ServeError::from)); break }
            Some(ended) = parts.join_next(), if !stopped.is_cancelled() => {
                let ended = ended.map_err(ServeError::from).and_then(|done| done);
                if let Err(error) = ended {
                    failed = Some(error);
                    stopped.cancel();
                }
            }
            // Streams of events do not end by themselves.
            () = drained(&stopped) => break,
        }
    }
    shutdown.cancel();
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended.map_err(ServeError::from).and_then(|done| done) {
            failed = failed.or(Some(error));
        }
    }
    tracing::info!("stopped");
    failed.map_or(Ok(()), Err)
}

async fn drained(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

fn settings(config: &Config) -> Settings {
    Settings {
        base_url: config.base_url.clone(),
        development: config.is_development(),
        trusted_proxies: config.trusted_proxies.clone(),
        egress: Egress::Guarded { allow: config.egress_allow.clone() },
        mail_domain: config.mail_from.email.domain().to_owned(),
        signup: config.signup,
        password_cost: Cost::default(),
        seal: config.seal(),
        slack: config.slack.clone(),
        slack_api_url: config.slack_api_url.clone(),
        metrics_token: std::env::var("WAYPOST_METRICS_TOKEN").ok().filter(|token| !token.is_empty()).map(SecretString::from),
    }
}

/// The database, reached and up to date; `None` when we are told to stop before it is. In development the server migrates by itself.
async fn database(config: &Config, shutdown: &CancellationToken) -> Result<Option<Store>, ServeError> {
    let url = config.database_url.expose_secret();
    let may_migrate = config.is_development() || config.migrate_database_url.is_some();
    let Some(connected) = stoppable(shutdown, until_it_answers(shutdown, || Store::connect(url, CONNECTIONS))).await else { return Ok(None) };
    let store = match connected {
        Ok(store) if !migrations_pending(store.pool()).await? && queue_is_ready(&store).await? => return Ok(Some(store)),
        Ok(store) => Some(store),
        // In a cluster that was never migrated the role that every connection takes does not exist yet.
        Err(error) if !may_migrate => return Err(error.into()),
        Err(error) => {
            tracing::debug!(error = chain(&error), "not connected before migrating");
            None
        }
    };
    if !may_migrate {
        return Err(ServeError::Pending);
    }
    tracing::info!("migrating the database");
    waypost_store::migrate(config.owner_url()).await?;
    migrate_queue(config.owner_url()).await.map_err(ServeError::Migrate)?;
    match store {
        Some(store) => Ok(Some(store)),
        None => Ok(Some(Store::connect(url, CONNECTIONS).await?)),
    }
}

async fn stoppable<T>(shutdown: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = shutdown.cancelled() => None,
        done = work => Some(done),
    }
}

/// Repeats what fails because the database is not there, and says so.
async fn until_it_answers<T, F>(shutdown: &CancellationToken, work: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        match work().await {
            Err(error) if is_away(&error) && !shutdown.is_cancelled() => {
                tracing::warn!(error = chain(&error), "the database does not answer; trying again in {wait:?}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
}

/// True when waiting may help: no connection, or a server that starts or stops.
fn is_away(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
        StoreError::Database(sqlx::Error::Database(db)) => {
            db.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300")
        }
        _ => false,
    }
}

/// Sessions, links and throttles that are over go away.
async fn clean_up(store: &Store, shutdown: &CancellationToken) {
    loop {
        match store.purge_expired_accounts_data(chrono::Utc::now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "expired sessions and links removed"),
            Err(error) => tracing::warn!(error = chain(&error), "expired sessions could not be removed"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(CLEANING) => {}
        }
    }
}

async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                interrupted = tokio::signal::ctrl_c() => {
                    if let Err(error) = interrupted {
                        tracing::warn!(%error, "SIGINT can not be heard");
                    }
                }
            }
            tracing::info!("stopping");
            shutdown.cancel();
        }
        Err(error) => tracing::warn!(%error, "signals can not be heard"),
    }
}
