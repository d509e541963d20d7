//! `channels`: where an organisation is told of incidents beside mail. Admins decide on them, since they hand what happens here to others;
//! addresses and keys are never given back.

use axum::{Extension, Json, extract::State, http::StatusCode};
use chrono::TimeDelta;
use waypost_store::{
    OrgTx, StoreError,
    channels::{AddChannel, ChannelChange, new_channel_id, new_delivery_id},
};
use waypost_types::{
    ChannelId, OrgId,
    channel::{Channel, ChannelEvent, ChannelKind, ChannelPatch, Delivery, DeliveryResult, EventKind, MadeChannel, NewChannel, RenewKey},
    incident::IncidentSeverity,
    page::List,
    problem::Problem,
};
use waypost_worker::{
    channels::{ChannelSecret, Fault, attempt},
    slack::tell as slack_tell,
};

use crate::{
    api::slack,
    http::{
        body::Body,
        condition::{IfMatch, Versioned},
        idempotency::KeptBody,
        org::{Manage, Member, Of, Read, TenantRow, tenant_row},
        problem::ApiError,
    },
    state::AppState,
};

const MAX_NAME: usize = 80;
const MOST_OLD_KEY_HOURS: u32 = 168;

tenant_row!("channels": Channel, ChannelId, channel);

impl TenantRow for MadeChannel {
    const NAME: &'static str = <Channel as TenantRow>::NAME;
    type Id = ChannelId;
    fn id(&self) -> ChannelId {
        self.channel.id
    }
    fn version(&self) -> i64 {
        self.channel.version
    }
    async fn load(tx: &mut OrgTx, id: ChannelId) -> Result<Self, StoreError> {
        Ok(Self { channel: tx.channel(id).await?, signing_key: None })
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::field(fault.field, fault.message)
    }
}

/// All channels, oldest first: there are 20 at most.
#[utoipa::path(get, path = "/v1/orgs/{org}/channels", tag = "channels", params(("org" = String, Path)),
    responses((status = 200, body = List<Channel>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Channel>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.channels().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Adds a channel. For a webhook the answer shows the key of its signatures, this once.
#[utoipa::path(post, path = "/v1/orgs/{org}/channels", tag = "channels", params(("org" = String, Path)), request_body = NewChannel,
    responses((status = 201, body = MadeChannel), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(state): State<AppState>,
    member: Member<Manage>,
    Body(new): Body<NewChannel>,
) -> Result<(Extension<KeptBody>, Versioned<MadeChannel>), ApiError> {
    if new.kind == ChannelKind::SlackApp {
        if new.url.is_some() || new.token.is_some() {
            return Err(ApiError::field("url", "Slack's app has no address: choose one of its channels."));
        }
        let given = Some(new.name.trim()).filter(|name| !name.is_empty()).map(named).transpose()?;
        let (chosen, shown) = slack::chosen(&state, &member, new.slack_channel.as_deref().unwrap_or_default()).await?;
        let own: String = shown.shown.chars().take(MAX_NAME).collect();
        let name = given.unwrap_or(&own);
        let mut tx = member.tx().await?;
        let (id, slack_channel) = (new_channel_id(), Some(chosen.as_str()));
        let add = AddChannel { id, name, kind: new.kind, secret: &shown, slack_channel, min_severity: new.min_severity, enabled: new.enabled };
        let channel = tx.add_channel(&add).await?;
        let kept = KeptBody(serde_json::to_vec(&channel).map_err(ApiError::internal)?.into());
        return Ok((Extension(kept), member.created(tx, MadeChannel { channel, signing_key: None }).await?));
    }
    let name = named(&new.name)?;
    if new.slack_channel.is_some() {
        return Err(ApiError::field("slack_channel", "Only Slack's app has channels to choose from."));
    }
    let secret = ChannelSecret::new(new.kind, new.url.as_deref(), new.token.as_deref())?;
    let id = new_channel_id();
    let sealed = secret.seal(state.seal("url")?, member.org.id, id, new.kind).map_err(ApiError::internal)?;
    let mut tx = member.tx().await?;
    let add = AddChannel { id, name, kind: new.kind, secret: &sealed, slack_channel: None, min_severity: new.min_severity, enabled: new.enabled };
    let channel = tx.add_channel(&add).await?;
    let kept = KeptBody(serde_json::to_vec(&channel).map_err(ApiError::internal)?.into());
    let signing_key = secret.token().filter(|_| new.kind == ChannelKind::Webhook).map(str::to_owned);
    Ok((Extension(kept), member.created(tx, MadeChannel { channel, signing_key }).await?))
}

/// A channel.
#[utoipa::path(get, path = "/v1/orgs/{org}/channels/{id}", tag = "channels", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Channel), (status = 404, body = Problem)))]
pub async fn get(channel: Of<Read, Channel>) -> Versioned<Channel> {
    Versioned::ok(channel.row)
}

/// Its name, its address, what it hears of, and whether.
#[utoipa::path(patch, path = "/v1/orgs/{org}/channels/{id}", tag = "channels",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = ChannelPatch,
    responses((status = 200, body = Channel), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(state): State<AppState>,
    channel: Of<Manage, Channel>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<ChannelPatch>,
) -> Result<Versioned<Channel>, ApiError> {
    let Of { member, row } = channel;
    let name = patch.name.as_deref().map(named).transpose()?;
    let chosen = match (&patch.slack_channel, row.kind) {
        (Some(text), ChannelKind::SlackApp) => Some(slack::chosen(&state, &member, text).await?),
        (Some(_), _) => return Err(ApiError::field("slack_channel", "Only Slack's app has channels to choose from.")),
        (None, ChannelKind::SlackApp) if patch.url.is_some() || patch.token.is_some() => {
            return Err(ApiError::field("url", "Slack's app has no address: choose one of its channels."));
        }
        (None, _) => None,
    };
    let slack_channel = chosen.as_ref().map(|(id, _)| id.as_str());
    let mut tx = member.tx().await?;
    let secret = if let Some((_, shown)) = &chosen {
        Some(shown.clone())
    } else if patch.url.is_some() || patch.token.is_some() {
        let before = opened(&state, &mut tx, member.org.id, row.id).await?;
        let secret = before.changed(row.kind, patch.url.as_deref(), patch.token.as_deref())?;
        Some(secret.seal(state.seal("url")?, member.org.id, row.id, row.kind).map_err(ApiError::internal)?)
    } else {
        None
    };
    let change = ChannelChange {
        name,
        secret: secret.as_ref(),
        slack_channel,
        min_severity: patch.min_severity,
        enabled: patch.enabled,
        ..ChannelChange::default()
    };
    let changed = tx.update_channel(row.id, expected, &change).await?;
    member.changed(tx, changed).await
}

/// Gives a webhook a new key of signatures, shown in the answer this once. Messages are signed by the key before, too, for a day or as long as
/// is asked for, so that none is lost while the receiver changes over.
#[utoipa::path(post, path = "/v1/orgs/{org}/channels/{id}/key", tag = "channels",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = RenewKey,
    responses((status = 200, body = MadeChannel), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn renew_key(
    State(state): State<AppState>,
    channel: Of<Manage, Channel>,
    IfMatch(expected): IfMatch,
    Body(asked): Body<RenewKey>,
) -> Result<(Extension<KeptBody>, Versioned<MadeChannel>), ApiError> {
    if asked.old_key_hours > MOST_OLD_KEY_HOURS {
        return Err(ApiError::field("old_key_hours", format!("The old key can stay for 0 to {MOST_OLD_KEY_HOURS} hours.")));
    }
    let Of { member, row } = channel;
    let until = state.net.now() + TimeDelta::hours(asked.old_key_hours.into());
    let mut tx = member.tx().await?;
    let secret = opened(&state, &mut tx, member.org.id, row.id).await?.renewed(row.kind, until)?;
    let sealed = secret.seal(state.seal("url")?, member.org.id, row.id, row.kind).map_err(ApiError::internal)?;
    let change = ChannelChange { secret: Some(&sealed), old_key_until: Some(until), ..ChannelChange::default() };
    let channel = tx.update_channel(row.id, expected, &change).await?;
    let kept = KeptBody(serde_json::to_vec(&channel).map_err(ApiError::internal)?.into());
    let signing_key = secret.token().map(str::to_owned);
    Ok((Extension(kept), member.changed(tx, MadeChannel { channel, signing_key }).await?))
}

/// Removes a channel. What waits for it is not sent.
#[utoipa::path(delete, path = "/v1/orgs/{org}/channels/{id}", tag = "channels",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(channel: Of<Manage, Channel>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = channel.member.tx().await?;
    tx.remove_channel(channel.row.id, expected).await?;
    channel.member.deleted(tx).await
}

/// Sends a test message now, and answers what the other side said. A pager opens an alert by it, which is resolved there.
#[utoipa::path(post, path = "/v1/orgs/{org}/channels/{id}/test", tag = "channels", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Delivery), (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub async fn test(State(state): State<AppState>, channel: Of<Manage, Channel>) -> Result<Json<Delivery>, ApiError> {
    let Of { member, row } = channel;
    member.take_check()?;
    let id = new_delivery_id();
    let now = state.net.now();
    let event = ChannelEvent {
        kind: EventKind::Test,
        incident: None,
        org: member.org.name.clone(),
        title: "Waypost reaches this channel".to_owned(),
        summary: format!("{} asked for this test. Incidents will look like it.", member.user.email),
        target: row.name.clone(),
        severity: IncidentSeverity::Info,
        opened_at: now,
        at: now,
        url: format!("{}/o/{}", state.settings.base_url, member.org.slug),
        runbook: None,
        now: None,
    };
    let message_id = format!("msg_{}", id.0.simple());
    let tried = if row.kind == ChannelKind::SlackApp {
        let (token, secret) = slack::token(&state, &member).await?;
        let mut tx = member.tx().await?;
        let chosen = tx.slack_channel_of(row.id).await?.ok_or(ApiError::NotFound)?;
        tx.commit().await?;
        let told = slack_tell::test(&slack::api(&state), &secret, &chosen, &event, &message_id).await;
        if let Some(why) = &told.gone {
            let mut tx = member.tx().await?;
            tx.slack_token_gone(&token, why).await?;
            tx.commit().await?;
        }
        told.tried
    } else {
        let mut tx = member.tx().await?;
        let secret = opened(&state, &mut tx, member.org.id, row.id).await?;
        tx.commit().await?;
        attempt(&state.net, row.kind, &secret, &event, &message_id).await
    };
    let delivery = Delivery {
        id,
        at: now,
        event: event.kind,
        incident_id: None,
        attempt: 1,
        // A test is not repeated by itself.
        result: if tried.result == DeliveryResult::Sent { DeliveryResult::Sent } else { DeliveryResult::Failed },
        status: tried.status,
        took_ms: tried.took_ms(),
        answer: tried.answer,
    };
    let mut tx = member.tx().await?;
    tx.add_delivery(row.id, &delivery).await?;
    tx.commit().await?;
    Ok(Json(delivery))
}

/// The newest hundred attempts to tell it something, newest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/channels/{id}/deliveries", tag = "channels", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = List<Delivery>), (status = 404, body = Problem)))]
pub async fn deliveries(channel: Of<Read, Channel>) -> Result<Json<List<Delivery>>, ApiError> {
    let mut tx = channel.member.tx().await?;
    let items = tx.deliveries(channel.row.id).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

async fn opened(state: &AppState, tx: &mut OrgTx, org: OrgId, channel: ChannelId) -> Result<ChannelSecret, ApiError> {
    let sealed = tx.channel_secret(channel).await?;
    ChannelSecret::open(state.seal("url")?, org, channel, &sealed)
        .map_err(|error| ApiError::field("url", format!("The channel can not be used: {error}. Remove it and add it again.")))
}

fn named(text: &str) -> Result<&str, ApiError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::field("name", format!("Give a name of 1 to {MAX_NAME} characters on one line.")));
    }
    Ok(name)
}
