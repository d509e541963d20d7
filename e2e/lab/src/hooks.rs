//! What is posted to webhooks: kept with its headers, and answered as somebody wants it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const MAX_POSTS: usize = 1_000;
const LONGEST_DELAY_MS: u64 = 300_000;

/// A post as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackPost {
    /// What followed `/slack/`.
    pub path: String,
    /// Its headers, with their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The JSON that was posted, or its text when it is none.
    pub body: Value,
    /// The status that it is answered with; 0 where it gets no answer.
    #[serde(default)]
    pub answer: u16,
}

/// How posts to a path are answered: the body of `PUT /slack/answers/{path}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookAnswer {
    /// The status; 0 takes the post and hangs up without an answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Seconds in `Retry-After`.
    #[serde(default)]
    pub retry_after: Option<u32>,
    /// Milliseconds between taking the post and answering.
    #[serde(default)]
    pub delay_ms: u64,
    /// So many posts; all from now on when absent.
    #[serde(default)]
    pub times: Option<u32>,
}

const fn ok() -> u16 {
    200
}

impl Default for HookAnswer {
    fn default() -> Self {
        Self { status: ok(), retry_after: None, delay_ms: 0, times: None }
    }
}

impl HookAnswer {
    /// How long the sender waits for it.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.min(LONGEST_DELAY_MS))
    }
}

/// All posts, and how the next ones are answered.
#[derive(Debug, Default)]
pub struct Hooks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    posts: VecDeque<SlackPost>,
    answers: BTreeMap<String, HookAnswer>,
}

impl Hooks {
    /// Keeps a post, of very many the newest, and says how it is answered.
    pub fn take(&self, path: &str, headers: BTreeMap<String, String>, text: String) -> HookAnswer {
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let mut state = self.lock();
        let answer = state.answers.get(path).cloned().unwrap_or_default();
        match state.answers.get_mut(path).map(|answer| &mut answer.times) {
            Some(Some(times)) if *times > 1 => *times -= 1,
            Some(Some(_)) => drop(state.answers.remove(path)),
            _ => {}
        }
        state.posts.push_back(SlackPost { path: path.to_owned(), headers, body, answer: answer.status });
        if state.posts.len() > MAX_POSTS {
            state.posts.pop_front();
        }
        answer
    }

    /// Posts to this path are answered so from now on.
    pub fn answer(&self, path: String, answer: HookAnswer) {
        self.lock().answers.insert(path, answer);
    }

    /// All posts in the order of arrival.
    pub fn posts(&self) -> Vec<SlackPost> {
        self.lock().posts.iter().cloned().collect()
    }

    /// Forgets all posts.
    pub fn clear(&self) {
        self.lock().posts.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_its_path_and_for_so_many_posts() {
        let hooks = Hooks::default();
        hooks.answer("a".to_owned(), HookAnswer { status: 429, retry_after: Some(9), times: Some(2), ..HookAnswer::default() });
        let status = |path: &str| hooks.take(path, BTreeMap::new(), String::new()).status;
        assert_eq!([status("a"), status("b"), status("a"), status("a")], [429, 200, 429, 200]);
        assert_eq!(hooks.posts().iter().map(|post| post.answer).collect::<Vec<_>>(), [429, 200, 429, 200]);
    }
}
