//! The program `waypost-worker`: one worker for one region.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use waypost_worker::{Config, health, prepare_database, run, telemetry};

/// Runs scheduled checks from a region, judges them and notifies. Configured by the environment, see docs/architecture.md.
#[derive(Debug, Parser)]
#[command(name = "waypost-worker", version)]
struct Arguments {
    /// The region that this worker checks from.
    #[arg(long, env = "WAYPOST_REGION", default_value = "local", value_parser = region)]
    region: String,
    /// Serve /healthz, /readyz and /metrics on this address.
    #[arg(long, env = "WAYPOST_WORKER_LISTEN")]
    listen: Option<SocketAddr>,
}

fn region(text: &str) -> Result<String, String> {
    let fine = !text.is_empty() && text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fine { Ok(text.to_owned()) } else { Err("use 1 to 40 lower-case letters, digits and hyphens, for example frankfurt".to_owned()) }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("waypost-worker: {error}");
            return ExitCode::from(2);
        }
    };
    telemetry::init_tracing(!config.is_development());
    match work(arguments, config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the worker can not run");
            ExitCode::FAILURE
        }
    }
}

async fn work(arguments: Arguments, config: Config) -> Result<(), Box<dyn std::error::Error>> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let metrics = telemetry::install_metrics()?;
    let store = prepare_database(&config, 16).await?;
    let net = config.net()?;
    let shutdown = CancellationToken::new();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        tracing::info!("stopping: finishing or giving back what is under way");
        stop.cancel();
    });
    let health = arguments.listen.map(|listen| tokio::spawn(health::serve(listen, store.clone(), metrics, shutdown.clone())));
    run(config.worker(&arguments.region), store, net, shutdown).await?;
    if let Some(health) = health {
        health.await??;
    }
    Ok(())
}
