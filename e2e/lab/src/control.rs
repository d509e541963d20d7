//! The control interface: every switch of the lab as an HTTP call. `GET /` lists them with the state.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::dnssec::Signing;
use crate::error::LabError;
use crate::faults::FaultSetting;
use crate::hooks::{HookAnswer, SlackPost};
use crate::layout::domain;
use crate::leases::{Lease, LeaseRequest};
use crate::policy::Policy;
use crate::rbl::{self, Rbl};
use crate::sink::{Mail, SinkFault};
use crate::workspace;
use crate::world::World;
use crate::zone::{Change, ZoneFault};

const CALLS: [&str; 30] = [
    "GET /",
    "POST /leases {\"name\":\"label\"} or {\"domain\":\"b\u{fc}cher.example\"}, with \"dkim_bits\", \"dnssec\":\"valid|bogus|expired\", \"apart\":true",
    "GET /leases",
    "DELETE /leases/{domain}",
    "PUT /hosts/{address}/ports/{25|465|587} {\"fault\":\"none|refuse|silent|garbage|drip|long_line|close_mid_tls|no_starttls|greet_4xx|greet_5xx|expired_cert|self_signed|wrong_name|ssl3_only|old_tls|rsa_only|bare_lf|late_refusal|tarpit|reset|auth_refused|greylist|other_banner\",\"delay_ms\":5000}",
    "GET /dns/{zone}",
    "PUT /dns/{zone} {\"records\":[\"@ 1 IN MX 10 mx\"]}",
    "DELETE /dns/{zone}",
    "POST /dns/{zone}/records {\"record\":\"@ 1 IN TXT \\\"text\\\"\"}",
    "DELETE /dns/{zone}/records {\"name\":\"@\",\"type\":\"TXT\",\"contains\":\"v=spf1\"}",
    "PUT /dns/{zone}/fault {\"fault\":\"none|servfail|timeout|refused\"}",
    "PUT /dns/{zone}/signing {\"signing\":\"valid|bogus|expired\"}",
    "POST /resolver {\"fault\":\"none|dead\"}",
    "PUT /rbl/{zone}/{ip or domain} or {\"answer\":\"127.0.0.4\"}",
    "DELETE /rbl/{zone}/{ip or domain}",
    "PUT /mta-sts/{domain} {\"body\":\"version: STSv1\u{2026}\",\"status\":200}",
    "DELETE /mta-sts/{domain}",
    "GET /sink/messages?to=address, DELETE /sink/messages?to=address",
    "PUT /sink/fault {\"fault\":\"none|refuse_4xx|refuse_5xx|drop|slow|late_answer|stopped\"}",
    "POST /slack/{anything}, and over HTTPS to the policy host of any domain",
    "GET /slack/messages, DELETE /slack/messages",
    "PUT /slack/answers/{anything} {\"status\":429,\"retry_after\":30,\"delay_ms\":5000,\"times\":1}; status 0 takes it and hangs up",
    "GET /mail-log?contains=authentication failed",
    "GET /workspace, GET /workspace/messages, DELETE /workspace/messages {\"channel\",\"ts\"}",
    "PUT /workspace/manifest {the app's manifest}",
    "POST /workspace/consent {\"url\":\"https://slack.lab.test/oauth/v2/authorize?\u{2026}\",\"allow\":true}",
    "PUT /workspace/fault {\"fault\":\"none|stopped|busy|refuse|slow|lose_answer\",\"times\":1,\"method\":\"chat.update\",\"retry_after\":30,\"error\":\"not_in_channel\",\"delay_ms\":5000}",
    "POST /workspace/press {\"channel\",\"ts\",\"action\":\"acknowledge\",\"user\":\"ada\",\"how\":\"fair|stale|early|forged|changed|unsigned\",\"late\":false}",
    "POST /workspace/replay",
    "POST /workspace/revoke, POST /workspace/uninstall",
];

type Shared = State<Arc<World>>;
type Answer<T = Value> = Result<Json<T>, LabError>;

impl IntoResponse for LabError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

/// Serves until the runtime ends.
pub fn serve(listener: TcpListener, world: &Arc<World>) {
    let router = Router::new()
        .route("/", get(overview))
        .route("/leases", get(leases).post(take_lease))
        .route("/leases/{domain}", delete(give_back))
        .route("/hosts/{address}/ports/{port}", put(set_port))
        .route("/dns/{zone}", get(read_zone).put(replace_zone).delete(drop_zone))
        .route("/dns/{zone}/records", post(add_record).delete(remove_records))
        .route("/dns/{zone}/fault", put(zone_fault))
        .route("/dns/{zone}/signing", put(sign_zone))
        .route("/resolver", post(resolver))
        .route("/rbl/{zone}/{entry}", put(list).delete(unlist))
        .route("/mta-sts/{domain}", put(set_policy).delete(remove_policy))
        .route("/sink/messages", get(messages).delete(clear_messages))
        .route("/sink/fault", put(sink_fault))
        .route("/mail-log", get(mail_log))
        .route("/slack/messages", get(slack_messages).delete(clear_slack))
        .route("/slack/answers/{*path}", put(slack_answer))
        .route("/slack/{*path}", post(slack_post))
        .with_state(Arc::clone(world))
        .merge(workspace::routes(Arc::clone(&world.workspace)));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the control interface ended");
        }
    });
}

#[allow(clippy::unnecessary_wraps, reason = "the last word of handlers that can fail")]
fn done() -> Answer {
    Ok(Json(json!({ "done": true })))
}

async fn overview(State(world): Shared) -> Answer {
    let (zones, resolver_dead) = world.dns.snapshot().await;
    let zones: Vec<Value> =
        zones.iter().map(|(name, zone)| json!({ "zone": name, "records": zone.records.len(), "serial": zone.serial, "fault": zone.fault, "signing": zone.signing })).collect();
    Ok(Json(json!({
        "slot": world.layout.slot,
        "calls": CALLS,
        "leases": world.leases.snapshot().await,
        "hosts": world.hosts.snapshot().await,
        "zones": zones,
        "resolver": if resolver_dead { "dead" } else { "none" },
        "rbl": { "listed": world.rbl.snapshot().await, "always_broken": rbl::BROKEN, "refuses": rbl::REFUSING, "silent": rbl::SILENT },
        "mta_sts": world.policies.snapshot(),
        "sink": { "messages": world.sink.messages(None).len(), "fault": world.sink.fault() },
        "slack": world.hooks.posts().len(),
    })))
}

async fn leases(State(world): Shared) -> Json<Vec<Lease>> {
    Json(world.leases.snapshot().await)
}

async fn take_lease(State(world): Shared, Json(request): Json<LeaseRequest>) -> Answer<Lease> {
    world.leases.take(&world, &request).await.map(Json)
}

async fn give_back(State(world): Shared, Path(name): Path<String>) -> Answer {
    world.leases.give_back(&world, &domain(&name)?).await?;
    done()
}

async fn set_port(State(world): Shared, Path((address, port)): Path<(Ipv4Addr, u16)>, Json(setting): Json<FaultSetting>) -> Answer {
    world.hosts.set(address, port, setting).await?;
    done()
}

fn zone_name(name: &str) -> Result<String, LabError> {
    if name == "." || name == "root" { Ok(".".to_owned()) } else { domain(name) }
}

async fn read_zone(State(world): Shared, Path(zone): Path<String>) -> Answer {
    let name = zone_name(&zone)?;
    let (zones, _) = world.dns.snapshot().await;
    let zone = zones.get(&name).ok_or_else(|| LabError::NotFound(format!("zone {name}")))?;
    Ok(Json(json!({ "zone": name, "records": zone.records, "serial": zone.serial, "fault": zone.fault, "signing": zone.signing })))
}

async fn commit(world: &World, zone: &str, change: Change) -> Answer {
    let touched = world.dns.commit(&[(zone_name(zone)?, change)]).await?;
    Ok(Json(json!({ "touched": touched })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Records {
    records: Vec<String>,
}

async fn replace_zone(State(world): Shared, Path(zone): Path<String>, Json(body): Json<Records>) -> Answer {
    commit(&world, &zone, Change::Replace(body.records)).await
}

async fn drop_zone(State(world): Shared, Path(zone): Path<String>) -> Answer {
    commit(&world, &zone, Change::Drop).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRecord {
    record: String,
}

async fn add_record(State(world): Shared, Path(zone): Path<String>, Json(body): Json<NewRecord>) -> Answer {
    commit(&world, &zone, Change::Add(vec![body.record])).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    name: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    contains: Option<String>,
}

async fn remove_records(State(world): Shared, Path(zone): Path<String>, Json(body): Json<Removal>) -> Answer {
    commit(&world, &zone, Change::Remove { name: body.name, kind: body.kind, contains: body.contains }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch<T> {
    fault: T,
}

async fn zone_fault(State(world): Shared, Path(zone): Path<String>, Json(body): Json<Switch<ZoneFault>>) -> Answer {
    world.dns.fault(&zone_name(&zone)?, body.fault).await?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSigning {
    signing: Signing,
}

async fn sign_zone(State(world): Shared, Path(zone): Path<String>, Json(body): Json<NewSigning>) -> Answer {
    commit(&world, &zone, Change::Sign(body.signing)).await
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResolverFault {
    None,
    Dead,
}

async fn resolver(State(world): Shared, Json(body): Json<Switch<ResolverFault>>) -> Answer {
    world.dns.resolver(matches!(body.fault, ResolverFault::Dead)).await?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    answer: Ipv4Addr,
}

async fn list(State(world): Shared, Path((zone, entry)): Path<(String, String)>, body: Option<Json<Listing>>) -> Answer {
    let answer = body.map_or_else(Rbl::default_answer, |Json(listing)| listing.answer);
    world.rbl.set(&world.dns, &domain(&zone)?, entry.parse()?, Some(answer)).await?;
    done()
}

async fn unlist(State(world): Shared, Path((zone, entry)): Path<(String, String)>) -> Answer {
    world.rbl.set(&world.dns, &domain(&zone)?, entry.parse()?, None).await?;
    done()
}

async fn set_policy(State(world): Shared, Path(name): Path<String>, Json(policy): Json<Policy>) -> Answer {
    world.policies.set(&domain(&name)?, policy);
    done()
}

async fn remove_policy(State(world): Shared, Path(name): Path<String>) -> Answer {
    world.policies.remove(&domain(&name)?);
    done()
}

#[derive(Deserialize)]
struct Recipient {
    to: Option<String>,
}

async fn messages(State(world): Shared, Query(query): Query<Recipient>) -> Json<Vec<Mail>> {
    Json(world.sink.messages(query.to.as_deref()))
}

async fn clear_messages(State(world): Shared, Query(query): Query<Recipient>) -> Answer {
    world.sink.clear(query.to.as_deref());
    done()
}

async fn sink_fault(State(world): Shared, Json(body): Json<Switch<SinkFault>>) -> Answer {
    world.sink.set_fault(body.fault).await?;
    done()
}

async fn slack_post(State(world): Shared, Path(path): Path<String>, headers: HeaderMap, text: String) -> Response {
    let headers: BTreeMap<String, String> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect();
    let answer = world.hooks.take(&path, headers, text);
    tokio::time::sleep(answer.delay()).await;
    (StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY), "ok").into_response()
}

async fn slack_answer(State(world): Shared, Path(path): Path<String>, Json(answer): Json<HookAnswer>) -> Answer {
    world.hooks.answer(path, answer);
    done()
}

async fn slack_messages(State(world): Shared) -> Json<Vec<SlackPost>> {
    Json(world.hooks.posts())
}

async fn clear_slack(State(world): Shared) -> Answer {
    world.hooks.clear();
    done()
}

#[derive(Deserialize)]
struct Words {
    contains: String,
}

/// What Postfix says of what it sees, by the words in it.
async fn mail_log(State(world): Shared, Query(words): Query<Words>) -> Answer<Vec<String>> {
    let path = world.layout.path("mail.log");
    let text = tokio::fs::read(&path).await.map_err(LabError::io("mail.log"))?;
    Ok(Json(String::from_utf8_lossy(&text).lines().filter(|line| line.contains(&words.contains)).map(str::to_owned).collect()))
}
