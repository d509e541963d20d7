//! The command `waypost`: the engine without an account, for terminals, scripts and cron.
//!
//! It acts with its caller's rights: any address, any port. Exit codes: 0 fine, 1 findings at or above `--fail-on`, 2 usage, 3 could not tell.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli::run(args)),
        Err(error) => {
            eprintln!("waypost: the runtime can not start: {error}");
            ExitCode::from(3)
        }
    }
}
