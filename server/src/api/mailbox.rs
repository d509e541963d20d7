//! `GET dev/mailbox`: what would have been mailed. In development only, and for visitors of this machine only.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use waypost_types::page::List;

use crate::{
    http::{client::ClientAddress, problem::ApiError},
    state::AppState,
};

const SHOWN: i64 = 100;

/// A mail that was captured instead of sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Captured {
    /// Its id.
    pub id: String,
    /// To whom.
    pub recipient: String,
    /// About what.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The newest captured mails.
#[utoipa::path(get, path = "/v1/dev/mailbox", tag = "development", responses((status = 200, body = List<Captured>)))]
pub async fn mailbox(State(state): State<AppState>, client: ClientAddress) -> Result<Json<List<Captured>>, ApiError> {
    if !client.is_loopback() {
        return Err(ApiError::NotFound);
    }
    let items = state.store.captured_mails(SHOWN).await?.into_iter().map(|mail| Captured {
        id: mail.id.simple().to_string(),
        recipient: mail.recipient,
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        at: mail.at,
    });
    Ok(Json(List { items: items.collect(), next: None }))
}
