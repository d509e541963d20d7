//! The head of a public look-up's result: what it is about, how it stands, the link to share, and the way to have it watched.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::{
    ssr::Visit,
    text,
    ui::{self, icon},
};

/// What differs between results.
pub(super) struct Head<'a> {
    /// Grade or badge.
    pub mark: AnyView,
    /// As people write it.
    pub name: &'a str,
    /// Below the name, where there is more to say of it.
    pub also: Option<AnyView>,
    pub sentence: String,
    pub checked_at: DateTime<Utc>,
    pub took_ms: u64,
    /// Of the result, from the root.
    pub path: &'a str,
    /// What is watched when one signs up from here: the domain in ASCII, or the address.
    pub watched: &'a str,
    /// Why one would have it watched.
    pub why: &'static str,
    /// Between head and foot.
    pub body: Option<AnyView>,
}

/// Said above a result of which a part is missing.
pub(super) fn incomplete(complete: bool) -> Option<AnyView> {
    (!complete).then(|| {
        view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div><strong>"Not everything answered in time. "</strong>"What is missing is named below; look again in a minute."</div></div> }
            .into_any()
    })
}

/// The first card of a result.
pub(super) fn card(visit: &Visit, head: Head<'_>) -> AnyView {
    let link = format!("{}{}", visit.site.config.base_url, head.path);
    let watch = watch(visit, head.watched);
    let took = text::millis(u32::try_from(head.took_ms).ok().map(f64::from));
    view! {
        <section class="card" aria-labelledby="h-res">
            <div class="result-head">
                {head.mark}
                <div>
                    <h1 id="h-res" class="h2">{ui::breakable(head.name)}</h1>
                    {head.also}
                    <p class="soft mt1 num">{head.sentence}</p>
                    <p class="sm muted mt1">"Checked "{ui::time(head.checked_at)}{format!(", in {took}")}</p>
                </div>
                <div class="row">
                    <button class="btn" type="button" data-copy="link">{icon("link")}<span class="btn-word" aria-live="polite">"Copy link"</span></button>
                    <span id="link" class="vh">{link}</span>
                </div>
            </div>
            {head.body}
            <div class="card-foot result-foot"><span>{head.why}</span><a class="btn btn-primary btn-name ml" href=watch>{format!("Monitor {}", head.name)}</a></div>
        </section>
    }
    .into_any()
}

/// Where whoever wants something watched is led: to its form, over sign-up for those who are new here.
fn watch(visit: &Visit, what: &str) -> String {
    let door = if visit.has_session { "/app" } else { "/signup" };
    format!("{door}?add={}", text::encoded(what))
}
