//! A Slack workspace: what an app that people add to it meets there. It grants tokens by OAuth (`oauth.rs`), keeps what is posted (`methods.rs`),
//! refuses what Slack would refuse (`blocks.rs`), and presses buttons (`press.rs`). The plain incoming webhook is `control.rs`.

mod app;
mod blocks;
mod control;
mod door;
mod methods;
mod oauth;
mod press;
mod signing;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::certs::Authority;
use crate::error::LabError;
use crate::layout::{LAB_DOMAIN, Layout};

pub use control::routes;

/// What Slack calls the workspace.
pub const TEAM: &str = "T0LAB00001";
/// What its people call it.
pub const TEAM_NAME: &str = "Lab Post Office";
/// The id of the app that the operator made.
pub const CLIENT_ID: &str = "1000000001.2000000002";
/// Its secret.
pub const CLIENT_SECRET: &str = "lab-slack-client-secret";
/// What the workspace signs with.
pub const SIGNING_SECRET: &str = "lab-slack-signing-secret";
const BOT: &str = "U0LABBOT01";
const TEAMS_OF_MANY: usize = 430;
const MAX_KEPT: usize = 2_000;
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The host of the workspace.
pub fn host() -> String {
    format!("slack.{LAB_DOMAIN}")
}

/// A channel.
#[derive(Debug, Clone, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "Slack says them so")]
pub struct Channel {
    /// `C…`.
    pub id: String,
    /// Without `#`.
    pub name: String,
    /// Only who was invited sees it.
    pub is_private: bool,
    /// Nobody writes there any more.
    pub is_archived: bool,
    /// The app was invited.
    pub is_member: bool,
    /// Only some may write.
    #[serde(skip)]
    pub read_only: bool,
}

/// A message, as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Posted {
    /// Where.
    pub channel: String,
    /// Its id within the channel.
    pub ts: String,
    /// The message it replies to.
    pub thread_ts: Option<String>,
    /// What notifications show.
    pub text: String,
    /// Blocks of the message itself.
    pub blocks: Value,
    /// Coloured parts with blocks of their own.
    pub attachments: Value,
    /// What the app said of it.
    pub metadata: Value,
    /// How often it was changed.
    pub updates: u32,
}

impl Posted {
    /// All blocks, wherever they are.
    fn all_blocks(&self) -> Vec<&Value> {
        let own = self.blocks.as_array().map(Vec::as_slice).unwrap_or_default();
        let attached = self.attachments.as_array().map(Vec::as_slice).unwrap_or_default();
        own.iter().chain(attached.iter().flat_map(|one| one["blocks"].as_array().map(Vec::as_slice).unwrap_or_default())).collect()
    }
}

/// A call of the Web API, and what was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// `chat.postMessage`.
    pub method: String,
    /// What was given, without secrets.
    pub given: Value,
    /// `ok`, or why not.
    pub answer: String,
}

/// How the workspace fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceFault {
    /// In which way.
    #[serde(default)]
    pub fault: Failing,
    /// How often; until it is changed when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Seconds that `busy` asks for.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// What `refuse` says.
    #[serde(default)]
    pub error: Option<String>,
    /// How late `slow` is.
    #[serde(default)]
    pub delay_ms: Option<u64>,
}

/// A way to fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failing {
    /// It does not.
    #[default]
    None,
    /// Nobody listens.
    Stopped,
    /// 429 with `Retry-After`.
    Busy,
    /// `ok: false`.
    Refuse,
    /// It does what it is asked for, and answers late.
    Slow,
    /// It does what it is asked for, and the answer is lost.
    LoseAnswer,
}

#[derive(Debug, Default)]
struct State {
    manifest: Option<app::Manifest>,
    codes: HashMap<String, oauth::Code>,
    token: Option<String>,
    issued: u32,
    fault: WorkspaceFault,
    channels: Vec<Channel>,
    messages: Vec<Posted>,
    calls: VecDeque<Call>,
    /// What was said to whoever pressed a button.
    whispers: Vec<Value>,
    last: Option<press::Sent>,
    clock: u64,
}

/// The workspace.
#[derive(Debug)]
pub struct Workspace {
    layout: Layout,
    authority: Arc<Authority>,
    state: Mutex<State>,
    door: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    http: reqwest::Client,
}

impl Workspace {
    /// Opens it.
    pub async fn start(layout: &Layout, authority: &Arc<Authority>) -> Result<Arc<Self>, LabError> {
        let http = crate::client::http(CALL_LIMIT)?;
        let state = Mutex::new(State { channels: channels(), clock: 1_700_000_000, ..State::default() });
        let workspace = Arc::new(Self { layout: layout.clone(), authority: Arc::clone(authority), state, door: tokio::sync::Mutex::default(), http });
        workspace.open().await?;
        Ok(workspace)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What fails now of this method, and once less from now on.
    fn failing(&mut self, method: &str) -> WorkspaceFault {
        let fault = self.fault.clone();
        if fault.method.as_deref().is_some_and(|only| only != method) {
            return WorkspaceFault::default();
        }
        match &mut self.fault.times {
            None => fault,
            Some(0) => WorkspaceFault::default(),
            Some(times) => {
                *times -= 1;
                fault
            }
        }
    }

    fn next_ts(&mut self) -> String {
        self.clock += 1;
        format!("{}.{:06}", self.clock, self.clock % 1_000_000)
    }

    fn keep(&mut self, call: Call) {
        self.calls.push_back(call);
        if self.calls.len() > MAX_KEPT {
            self.calls.pop_front();
        }
    }
}

fn channels() -> Vec<Channel> {
    let channel = |number: usize, name: &str| Channel {
        id: format!("C0LAB{number:05}"),
        name: name.to_owned(),
        is_private: false,
        is_archived: false,
        is_member: false,
        read_only: false,
    };
    let mut all: Vec<Channel> =
        (0..TEAMS_OF_MANY).map(|number| Channel { is_archived: number % 7 == 3, ..channel(1_000 + number, &format!("team-{number:03}")) }).collect();
    // Beyond the first page of a list.
    all.extend([
        channel(1, "general"),
        channel(2, "mail-alerts"),
        channel(3, "mail-operations"),
        Channel { is_private: true, is_member: true, ..channel(4, "mail-war-room") },
        Channel { is_private: true, ..channel(5, "board") },
        Channel { is_archived: true, ..channel(6, "mail-of-old") },
        Channel { read_only: true, ..channel(7, "announcements") },
    ]);
    all
}
