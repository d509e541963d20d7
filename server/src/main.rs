//! The command `waypost-server`: serve, or migrate and end.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use waypost_server::serve::{self, ServeOptions};
use waypost_worker::{Config, telemetry};

/// The server of Waypost.
#[derive(Debug, Parser)]
#[command(name = "waypost-server", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages and the API (the default).
    Serve {
        /// Run a worker in this process too.
        #[arg(long, overrides_with = "no_worker")]
        worker: bool,
        /// Run no worker in this process (the default).
        #[arg(long, overrides_with = "worker")]
        no_worker: bool,
        /// The region that the worker checks from.
        #[arg(long, default_value = "local", env = "WAYPOST_REGION")]
        region: String,
    },
    /// Bring the database up to date and end.
    Migrate,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("waypost-server: {error}");
            return ExitCode::from(2);
        }
    };
    telemetry::init_tracing(!config.is_development());
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("the TLS provider was installed already");
    }
    let done = match cli.command {
        Some(Command::Migrate) => serve::migrate(&config).await,
        Some(Command::Serve { worker, region, no_worker: _ }) => serve::serve(config, ServeOptions { region: worker.then_some(region) }).await,
        None => serve::serve(config, ServeOptions::default()).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = waypost_server::http::problem::chain(&error), "stopped");
            eprintln!("waypost-server: {}", waypost_server::http::problem::chain(&error));
            ExitCode::FAILURE
        }
    }
}
