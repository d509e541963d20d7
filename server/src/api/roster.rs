//! `export` and `import`: all that is watched as a table, out and in.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use waypost_store::{OrgTx, monitors::Added, new_monitors::MonitorDraft};
use waypost_types::{
    asset::{AddressPatch, DomainPatch, ServerPatch},
    event::LiveEvent,
    fleet::Standing,
    monitor::{MonitorKind, MonitorPatch},
    problem::Problem,
    roster::{Import, Imported, ImportedLine, LineOutcome},
};

use crate::{
    api::{fleet::Wanted, pools, targets},
    http::{
        body::Body,
        org::{Member, Read, Write},
        page::Params,
        problem::ApiError,
    },
    roster::{self, Line, Thing},
    state::AppState,
};

/// What is watched as CSV (RFC 4180): domains, mail servers, addresses and services, each by its name, in the form that `import` takes. Monitors that
/// a program made beside these are not in it. A filter is that of the list of monitors: each thing that has one of them. A cell that a spreadsheet would
/// compute begins with an apostrophe.
#[utoipa::path(get, path = "/v1/orgs/{org}/export", tag = "monitors",
    params(("org" = String, Path), ("q" = Option<String>, Query), ("kind" = Option<MonitorKind>, Query), ("state" = Option<Standing>, Query),
        ("tag" = Option<String>, Query), ("services" = Option<bool>, Query)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn export(member: Member<Read>, Params(wanted): Params<Wanted>) -> Result<Response, ApiError> {
    let filter = wanted.filter()?;
    let mut tx = member.tx().await?;
    let rows = tx.roster(&filter).await?;
    tx.commit().await?;
    let name = format!("attachment; filename=\"waypost-{}.csv\"", member.org.slug);
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, roster::write(rows)?).into_response())
}

/// Watches what a table names, and changes what is watched already: all of it, or nothing. Nothing is ever removed, no port and no tag
/// either. What is new is first checked within five minutes.
#[utoipa::path(post, path = "/v1/orgs/{org}/import", tag = "monitors", params(("org" = String, Path)), request_body = Import,
    responses((status = 200, body = Imported), (status = 403, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn import(State(state): State<AppState>, member: Member<Write>, Body(import): Body<Import>) -> Result<Json<Imported>, ApiError> {
    let lines = roster::read(&import.csv, &state.settings.egress)?;
    member.take_check()?;
    let mut tx = member.tx().await?;
    let targets: Vec<String> = lines.iter().map(|line| line.thing.target()).collect();
    if lines.iter().any(|line| matches!(line.thing, Thing::Address { pool: Some(_), .. })) {
        tx.lock_pools().await?;
    }
    tx.lock_named(&targets).await?;
    let mut done = Vec::with_capacity(lines.len());
    for line in &lines {
        let outcome = carry_out(&mut tx, line).await.map_err(|error| roster::at_line(line.number, error))?;
        done.push(ImportedLine { line: line.number, kind: line.thing.kind().to_owned(), target: line.thing.target(), outcome });
    }
    let imported = Imported { lines: done, dry_run: import.dry_run };
    // What is only tried is done as far as here, so that limits are met as they would be, and then dropped with the transaction.
    if !import.dry_run {
        tx.spread_new_monitors().await?;
        tx.notify(&LiveEvent::Resync).await?;
        member.ended(tx).await?;
    }
    Ok(Json(imported))
}

async fn carry_out(tx: &mut OrgTx, line: &Line) -> Result<LineOutcome, ApiError> {
    match &line.thing {
        Thing::Domain(name) => {
            let (domain, new) = match tx.add_domain(name).await? {
                Added::New(domain) => (domain, true),
                Added::Exists(id) => (tx.domain(id).await?, false),
            };
            let audits = || domain.monitors.iter().filter(|monitor| monitor.kind == MonitorKind::Audit);
            let patch = DomainPatch {
                interval_s: line.interval_s.filter(|seconds| audits().any(|monitor| monitor.interval_s != *seconds)),
                paused: line.paused.filter(|paused| audits().any(|monitor| monitor.paused != *paused)),
                tags: more_tags(line.tags.as_ref(), &domain.tags)?,
                ..DomainPatch::default()
            };
            let other = patch != DomainPatch::default();
            if other {
                tx.update_domain(domain.id, None, &patch).await?;
            }
            Ok(outcome(new, other))
        }
        Thing::Server { host, ports, role } => {
            let (server, new) = match tx.add_server(host, ports.as_deref().unwrap_or(&targets::DEFAULT_PORTS), None).await? {
                Added::New(server) => (server, true),
                Added::Exists(id) => (tx.server(id).await?, false),
            };
            // Ports that the line does not name stay: an import takes nothing away.
            let mut all = server.ports.clone();
            all.extend(ports.iter().flatten().filter(|port| !server.ports.contains(port)));
            let more = all.len() > server.ports.len();
            // A port that is new has to be told, too, what the others are already.
            let patch = ServerPatch {
                ports: Some(all).filter(|_| more),
                interval_s: line.interval_s.filter(|seconds| more || server.monitors.iter().any(|monitor| monitor.interval_s != *seconds)),
                paused: line.paused.filter(|paused| more || server.monitors.iter().any(|monitor| monitor.paused != *paused)),
                tags: more_tags(line.tags.as_ref(), &server.tags)?,
                role: role.filter(|role| server.role != Some(*role)).map(Some),
                ..ServerPatch::default()
            };
            let other = patch != ServerPatch::default();
            if other {
                tx.update_server(server.id, None, &patch).await?;
            }
            Ok(outcome(new, other))
        }
        Thing::Address { cidr, pool } => {
            let (address, new) = match tx.add_address(*cidr).await? {
                Added::New(address) => (address, true),
                Added::Exists(id) => (tx.address(id).await?, false),
            };
            let pool = match pool.as_ref().filter(|name| address.pool.as_ref().is_none_or(|pool| pool.name != **name)) {
                Some(name) => Some(pools::named(tx, name).await?),
                None => None,
            };
            let patch = AddressPatch {
                pool: pool.map(Some),
                interval_s: line.interval_s.filter(|seconds| address.monitors.iter().any(|monitor| monitor.interval_s != *seconds)),
                paused: line.paused.filter(|paused| address.monitors.iter().any(|monitor| monitor.paused != *paused)),
                tags: more_tags(line.tags.as_ref(), &address.tags)?,
                ..AddressPatch::default()
            };
            let other = patch != AddressPatch::default();
            if other {
                tx.update_address(address.id, None, &patch).await?;
            }
            Ok(outcome(new, other))
        }
        Thing::Service { kind, target, settings } => {
            let regions = tx.default_regions().await?;
            let interval_s = line.interval_s.unwrap_or_else(|| kind.default_interval());
            let draft = MonitorDraft { kind: *kind, target: &target.written, interval_s, regions: &regions, owner: None };
            let (id, new) = match tx.add_monitor_row(draft).await? {
                Added::New(id) => {
                    let expected = settings.clone().unwrap_or_default();
                    targets::settings(*kind, &target.written, &expected)?;
                    tx.reserve_monitors(0).await?;
                    (id, true)
                }
                Added::Exists(id) => (id, false),
            };
            let service = tx.monitor(id).await?;
            let patch = MonitorPatch {
                interval_s: line.interval_s.filter(|seconds| service.interval_s != *seconds),
                paused: line.paused.filter(|paused| service.paused != *paused),
                settings: settings.clone().filter(|settings| *settings != service.settings),
                tags: more_tags(line.tags.as_ref(), &service.tags)?,
                ..MonitorPatch::default()
            };
            let other = patch != MonitorPatch::default();
            if other {
                tx.update_monitor(id, None, &patch).await?;
            }
            Ok(outcome(new, other))
        }
    }
}

/// The tags of a thing with those of its line, where these are more: an import takes none away.
fn more_tags(given: Option<&Vec<String>>, now: &[String]) -> Result<Option<Vec<String>>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let all: Vec<String> = now.iter().chain(given).cloned().collect();
    Ok(targets::tags(Some(all))?.filter(|all| all != now))
}

const fn outcome(new: bool, other: bool) -> LineOutcome {
    match (new, other) {
        (true, _) => LineOutcome::Added,
        (false, true) => LineOutcome::Changed,
        (false, false) => LineOutcome::Same,
    }
}
