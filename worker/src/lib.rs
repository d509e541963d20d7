//! The worker: schedules, runs, judges, records and notifies. It joins the engine, which knows mail, and the store, which knows tenants.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod config;
pub mod judge;

pub use config::{Config, ConfigError, Environment, SignupPolicy, WorkerConfig};
