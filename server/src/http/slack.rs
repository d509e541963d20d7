//! The door to an organisation that Slack comes in by. Slack's signature stands where a session stands elsewhere, and the message that a button
//! belongs to says whose incidents it may change. Everything here happens before anything is changed.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts as _, Request},
    http::HeaderMap,
};
use waypost_store::{OrgTx, Store};
use waypost_types::{ChannelId, IncidentId, OrgId};
use waypost_worker::slack::check;

use crate::{
    http::{body::read, client::ClientAddress, problem::ApiError},
    state::AppState,
};

/// A body as it came, when it is Slack's and was not seen before.
#[derive(Debug)]
pub struct Signed(pub Bytes);

impl FromRequest<AppState> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let Some(app) = &state.settings.slack else { return Err(ApiError::NotFound) };
        let (mut parts, body) = request.into_parts();
        let Ok(client) = ClientAddress::from_request_parts(&mut parts, state).await;
        state.limits.slack_requests.take(&client.key())?;
        let headers = parts.headers.clone();
        let bytes = read(Request::from_parts(parts, body)).await?;
        let (at, signature) = (text(&headers, "x-slack-request-timestamp"), text(&headers, "x-slack-signature"));
        let signature = check(&app.signing_secret, at, signature, &bytes, state.net.now()).map_err(|why| {
            tracing::info!(%why, "a request that is not Slack's was refused");
            ApiError::Unauthenticated
        })?;
        if !state.store.take_slack_signature(&signature).await? {
            tracing::info!("a request of Slack's that was seen before was refused");
            return Err(ApiError::Unauthenticated);
        }
        Ok(Self(bytes))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A message that we posted, which Slack said that somebody pressed a button of.
#[derive(Debug)]
pub struct OurMessage<'a> {
    /// Whose it is.
    pub org: OrgId,
    channel: ChannelId,
    slack_channel: &'a str,
    ts: &'a str,
    store: Store,
}

impl<'a> OurMessage<'a> {
    /// The message with that id in that channel of that workspace, if it is one of ours and the workspace lets the app in.
    pub async fn find(state: &AppState, _: &Signed, team: &str, slack_channel: &'a str, ts: &'a str) -> Result<Option<Self>, ApiError> {
        let owner = state.store.slack_message_owner(team, slack_channel, ts).await?;
        Ok(owner.map(|(org, channel)| Self { org, channel, slack_channel, ts, store: state.store.clone() }))
    }

    /// The organisation's transaction, and which of its incidents the message is about. It is the second of the API's doors, beside
    /// [`crate::http::org::Member::tx`].
    pub async fn tx(&self) -> Result<(OrgTx, Vec<IncidentId>), ApiError> {
        let mut tx = self.store.org_tx(self.org).await?;
        let about = tx.slack_message_is_about(self.channel, self.slack_channel, self.ts).await?;
        Ok((tx, about))
    }
}
