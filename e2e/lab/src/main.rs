//! `waypost-lab`: runs a lab in the foreground until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use waypost_lab::{Lab, LabConfig};

/// A small real mail world on 127.N.0.0/16. Prints one JSON line when it is ready; stops at SIGTERM or SIGINT. Needs root.
#[derive(Parser)]
#[command(name = "waypost-lab", version)]
struct Options {
    /// The N of 127.N.0.0/16, 10 to 250. The first free one when absent.
    #[arg(long)]
    slot: Option<u8>,
    /// Where its files go while it runs.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Make the domains of the demo organisation.
    #[arg(long)]
    demo: bool,
    /// Stop when standard input closes, too.
    #[arg(long)]
    stdin_guard: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waypost-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let config = LabConfig { slot: options.slot, dir: options.dir, demo: options.demo };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stdin_closed(), if options.stdin_guard => {}
        }
    };
    tokio::pin!(stop);
    let lab = tokio::select! {
        lab = Lab::start(config) => lab?,
        () = &mut stop => return Ok(()),
    };
    println!("{}", serde_json::to_string(&lab.ready)?);
    stop.await;
    drop(lab);
    Ok(())
}

/// Reads on a thread of its own: a read through the runtime would keep the program from ending.
async fn stdin_closed() {
    let (closed, seen) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::debug!(?copied, "standard input closed");
        closed.send(()).is_ok()
    });
    seen.await.unwrap_or_default();
}
