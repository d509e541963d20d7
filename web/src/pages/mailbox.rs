//! Mail that a development installation would have sent, for people who try things out.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use serde::Deserialize;
use waypost_types::page::List;

use crate::{
    api::ApiFailure,
    ssr::{Answer, Visit, page},
    ui,
};

#[derive(Deserialize)]
struct Captured {
    #[serde(alias = "to")]
    recipient: String,
    subject: String,
    text: String,
    at: DateTime<Utc>,
}

pub(crate) async fn show(visit: Visit) -> Answer {
    if !visit.site.config.dev_mailbox {
        return Err(ApiFailure::not_found());
    }
    let mails: List<Captured> = visit.api.get("dev/mailbox").await?;
    let own = visit.site.config.base_url.clone();
    Ok(page(&visit, StatusCode::OK, "Mailbox", || {
        let none = mails.items.is_empty().then(|| view! { <p class="muted">"No mail yet."</p> });
        let mails = mails
            .items
            .iter()
            .map(|mail| {
                let links = links(&mail.text, &own).into_iter().map(|link| view! { <li><a href=link.clone()>{link.clone()}</a></li> }).collect_view();
                view! {
                    <article class="card">
                        <div class="card-head"><h2>{mail.subject.clone()}</h2><span class="meta">{format!("to {}, ", mail.recipient)}{ui::time(mail.at)}</span></div>
                        <div class="card-body stack"><pre class="code-block" tabindex="0">{mail.text.clone()}</pre><ul>{links}</ul></div>
                    </article>
                }
            })
            .collect_view();
        ui::public(&visit, view! { <main id="content" class="site stack"><h1>"Mailbox of this development installation"</h1>{none}{mails}</main> })
    }))
}

/// Links to this installation, as paths.
fn links(text: &str, base: &str) -> Vec<String> {
    text.split_whitespace()
        .filter_map(|word| word.trim_matches(['<', '>', '(', ')']).strip_prefix(base))
        .filter(|path| crate::text::safe_next(path).is_some())
        .map(str::to_owned)
        .collect()
}
