//! A small, real mail world on loopback: name servers, block lists, Postfix, Dovecot, a sink, and a switch for every way in which they can fail.
//!
//! `Lab::start` runs one inside a test; `LabClient` works its switches, also those of a lab that the program `waypost-lab` runs. It opens
//! ports below 1024, so it needs root. See `README.md` for the parts and calls.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(clippy::format_push_string, clippy::format_collect, reason = "configuration files are written once and read by people")]

mod certs;
mod client;
mod control;
mod demo;
mod dns;
mod dns_config;
mod dnssec;
mod dovecot;
mod error;
mod faults;
mod greylist;
mod hooks;
mod hosts;
mod layout;
mod leases;
mod mime;
mod policy;
mod postfix;
mod process;
mod rbl;
mod ready;
mod relay;
mod sink;
mod smtp;
mod wire;
mod workspace;
mod world;
mod zone;

use std::path::PathBuf;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use client::LabClient;
pub use demo::Demo;
pub use dnssec::Signing;
pub use error::LabError;
pub use faults::{Fault, FaultSetting};
pub use hooks::{HookAnswer, SlackPost};
pub use leases::{Lease, LeaseRequest};
pub use ready::Ready;
pub use sink::{Mail, SinkFault};
pub use workspace::{Failing, Posted, WorkspaceFault};
pub use zone::ZoneFault;

use layout::Layout;
use process::Children;

/// How to start a lab.
#[derive(Debug, Clone, Default)]
pub struct LabConfig {
    /// The second octet of its addresses, 10 to 250; the first free one when absent.
    pub slot: Option<u8>,
    /// Its directory, made at the start and removed at the end; `waypost-lab-<slot>` among the temporary files when absent.
    /// The user `postfix` must be able to enter what is above it.
    pub dir: Option<PathBuf>,
    /// Make the domains of the demo organisation.
    pub demo: bool,
}

/// A running lab. All of it ends when this is dropped.
///
/// It lives on a thread and runtime of its own, so that tests with a runtime each can share it.
#[derive(Debug)]
pub struct Lab {
    /// Where everything is.
    pub ready: Ready,
    client: LabClient,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Starts a lab and returns when all of it answers.
    pub async fn start(config: LabConfig) -> Result<Self, LabError> {
        let (ready_in, ready_out) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("waypost-lab".to_owned())
            .spawn(move || live(&config, ready_in, stopped))
            .map_err(LabError::io("starting the lab's thread"))?;
        let ready = ready_out.await.map_err(|_| LabError::Control("the lab ended while it started".to_owned()))??;
        Ok(Self { client: LabClient::new(&ready.control)?, ready, stop: Some(stop), thread: Some(thread) })
    }

    /// The switches.
    pub const fn client(&self) -> &LabClient {
        &self.client
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the lab's thread panicked");
        }
    }
}

/// The life of a lab, on its own thread. The thread that starts the programs must live as long as they do: see `Children::start`.
fn live(config: &LabConfig, ready: oneshot::Sender<Result<Ready, LabError>>, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            tell(ready, Err(LabError::Io { what: "starting the lab's runtime".to_owned(), source }));
            return;
        }
    };
    let mut children = Children::default();
    let layout = runtime.block_on(async {
        match begin(config, &mut children).await {
            Ok((layout, state)) => {
                if tell(ready, Ok(state)) {
                    // Ends when the sender is dropped too.
                    stopped.await.unwrap_or_default();
                }
                Some(layout)
            }
            Err((layout, error)) => {
                tell(ready, Err(error));
                layout
            }
        }
    });
    drop(children);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if let Some(Err(error)) = layout.map(|layout| layout.remove()) {
        tracing::warn!(%error, "the lab's directory stays");
    }
}

fn tell(ready: oneshot::Sender<Result<Ready, LabError>>, state: Result<Ready, LabError>) -> bool {
    ready.send(state).is_ok()
}

/// On failure, returns the layout too once there is a directory to remove.
async fn begin(config: &LabConfig, children: &mut Children) -> Result<(Layout, Ready), (Option<Layout>, LabError)> {
    if !is_root() {
        return Err((None, LabError::NotRoot));
    }
    let (slot, control) = world::claim(config.slot).await.map_err(|error| (None, error))?;
    let dir = config.dir.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("waypost-lab-{slot}")));
    let dir = std::path::absolute(&dir).map_err(|source| (None, LabError::Io { what: dir.display().to_string(), source }))?;
    let layout = Layout { slot, dir };
    layout.create().map_err(|error| (None, error))?;
    match world::start(&layout, control, config.demo, children).await {
        Ok(ready) => Ok((layout, ready)),
        Err(error) => {
            // The logs go with the directory.
            let error = LabError::Start { tails: process::log_tails(&layout), error: Box::new(error) };
            Err((Some(layout), error))
        }
    }
}

/// Whether the effective user is root, as the kernel says.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
