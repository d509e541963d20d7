//! `rules`: limits that series of numbers are held to, and what opens when they are beyond them.

use std::collections::HashMap;

use axum::{Json, http::StatusCode};
use chrono::{DateTime, Utc};
use waypost_store::{OrgTx, maintenance::WindowsInForce, rule_states::Remembered, rule_values::RuleMonitor};
use waypost_types::{
    RuleId,
    maintenance::{Covers, MOST_CHOSEN},
    page::List,
    problem::Problem,
    rule::{MOST_VALUES, NewRule, Rule, RuleFault, RulePatch, RuleSettings, RuleStanding, RuleValue, RuleValues, Side},
};

use crate::http::{
    body::Body,
    condition::{IfMatch, Versioned},
    org::{Member, Of, Read, Write, tenant_row},
    problem::ApiError,
};

tenant_row!("rules": Rule, RuleId, rule);

/// All rules, in the order in which they were made, with how many monitors are beyond their limits.
#[utoipa::path(get, path = "/v1/orgs/{org}/rules", tag = "rules", params(("org" = String, Path)),
    responses((status = 200, body = List<Rule>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Rule>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.rules().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Makes a rule. It is judged at once, and every minute or so from then on; over windows of more than an hour more rarely.
#[utoipa::path(post, path = "/v1/orgs/{org}/rules", tag = "rules", params(("org" = String, Path)), request_body = NewRule,
    responses((status = 201, body = Rule), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(member: Member<Write>, Body(new): Body<NewRule>) -> Result<Versioned<Rule>, ApiError> {
    let settings = usable(new)?;
    let mut tx = member.tx().await?;
    known(&mut tx, &settings.scope).await?;
    let rule = tx.add_rule(&settings).await?;
    member.created(tx, rule).await
}

/// What a rule would say now: the monitors that it would be about with their values, worst first. Nothing is kept.
#[utoipa::path(post, path = "/v1/orgs/{org}/rules/try", tag = "rules", params(("org" = String, Path)), request_body = NewRule,
    responses((status = 200, body = RuleValues), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn attempt(member: Member<Write>, Body(new): Body<NewRule>) -> Result<Json<RuleValues>, ApiError> {
    let settings = usable(new)?;
    let mut tx = member.tx().await?;
    known(&mut tx, &settings.scope).await?;
    let values = looked_up(&mut tx, &settings, None).await?;
    tx.commit().await?;
    Ok(Json(values))
}

/// A rule.
#[utoipa::path(get, path = "/v1/orgs/{org}/rules/{id}", tag = "rules", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Rule), (status = 404, body = Problem)))]
pub async fn get(rule: Of<Read, Rule>) -> Versioned<Rule> {
    Versioned::ok(rule.row)
}

/// The monitors that a rule is about with their values now, worst first.
#[utoipa::path(get, path = "/v1/orgs/{org}/rules/{id}/values", tag = "rules", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = RuleValues), (status = 404, body = Problem)))]
pub async fn values(rule: Of<Read, Rule>) -> Result<Json<RuleValues>, ApiError> {
    let mut tx = rule.member.tx().await?;
    let values = looked_up(&mut tx, &rule.row.settings, Some(&rule.row)).await?;
    tx.commit().await?;
    Ok(Json(values))
}

/// Changes everything but its series. What fires and is not watched by it any more is let go with the next judgement, at once.
#[utoipa::path(patch, path = "/v1/orgs/{org}/rules/{id}", tag = "rules",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = RulePatch,
    responses((status = 200, body = Rule), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(rule: Of<Write, Rule>, IfMatch(expected): IfMatch, Body(patch): Body<RulePatch>) -> Result<Versioned<Rule>, ApiError> {
    let other_scope = patch.scope.is_some();
    let settings = tagged(rule.row.settings.clone().patched(patch).map_err(at_fault)?)?;
    let mut tx = rule.member.tx().await?;
    if other_scope {
        known(&mut tx, &settings.scope).await?;
    }
    // Without a version of the caller's, that which the patch was read over.
    let changed = tx.update_rule(rule.row.id, Some(expected.unwrap_or(rule.row.version)), &settings).await?;
    rule.member.changed(tx, changed).await
}

/// Removes a rule. What is open of it is let go with the next judgement, at once.
#[utoipa::path(delete, path = "/v1/orgs/{org}/rules/{id}", tag = "rules",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(rule: Of<Write, Rule>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = rule.member.tx().await?;
    tx.remove_rule(rule.row.id, expected).await?;
    rule.member.deleted(tx).await
}

fn usable(new: NewRule) -> Result<RuleSettings, ApiError> {
    tagged(new.checked().map_err(at_fault)?)
}

fn at_fault(fault: RuleFault) -> ApiError {
    ApiError::field(fault.field, fault.message)
}

fn tagged(settings: RuleSettings) -> Result<RuleSettings, ApiError> {
    let tags = waypost_types::tag::tags(&settings.scope.tags).map_err(|error| ApiError::field("scope", error.to_string()))?;
    Ok(RuleSettings { scope: Covers { tags, ..settings.scope }, ..settings })
}

async fn known(tx: &mut OrgTx, scope: &Covers) -> Result<(), ApiError> {
    let named = scope.named();
    if named == 0 && scope.tags.is_empty() && !scope.everything {
        return Err(ApiError::field("scope", "Choose what the rule is about: everything, a tag, or at least one thing."));
    }
    if named > MOST_CHOSEN {
        return Err(ApiError::field("scope", format!("A rule names {MOST_CHOSEN} things at most. Use a tag instead.")));
    }
    if tx.count_covered(scope).await? != named {
        return Err(ApiError::field("scope", "Something that is named here is named twice, or is not watched any more."));
    }
    Ok(())
}

/// The values of a rule; of one that is not kept nothing is remembered.
async fn looked_up(tx: &mut OrgTx, settings: &RuleSettings, rule: Option<&Rule>) -> Result<RuleValues, ApiError> {
    let now = Utc::now();
    let about = tx.rule_monitors(settings, now).await?;
    let windows = tx.windows_in_force().await?;
    let states = match rule {
        Some(rule) => tx.rule_states(rule).await?,
        None => HashMap::new(),
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let over = |monitor: &RuleMonitor| monitor.value.is_some_and(|value| settings.is_over(value));
    let mut items: Vec<RuleValue> =
        about.monitors.iter().map(|monitor| value_of(settings, monitor, states.get(&monitor.id), (&windows, now))).collect();
    let by_value = |a: &RuleValue, b: &RuleValue| match (a.value, b.value) {
        (Some(a), Some(b)) if settings.series.side() == Side::Above => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let firing = |value: &RuleValue| value.standing == RuleStanding::Firing;
    items.sort_by(|a, b| firing(b).cmp(&firing(a)).then_with(|| by_value(a, b)).then_with(|| a.target.cmp(&b.target)));
    items.truncate(MOST_VALUES);
    let rare: Vec<u32> = about.monitors.iter().filter(|monitor| monitor.is_too_rare(settings)).map(|monitor| monitor.interval_s).collect();
    Ok(RuleValues {
        monitors: count(about.monitors.len()),
        valued: count(about.monitors.iter().filter(|monitor| monitor.value.is_some()).count()),
        over: count(about.monitors.iter().filter(|monitor| over(monitor)).count()),
        too_rare: count(rare.len()),
        rarest_s: rare.into_iter().max(),
        left_out: !about.complete,
        items,
    })
}

fn value_of(
    settings: &RuleSettings,
    monitor: &RuleMonitor,
    remembered: Option<&Remembered>,
    (windows, now): (&WindowsInForce, DateTime<Utc>),
) -> RuleValue {
    let incident = remembered.and_then(|state| state.incident);
    let standing = match monitor.value {
        _ if incident.is_some() => RuleStanding::Firing,
        _ if monitor.paused => RuleStanding::Paused,
        _ if windows.cover(&monitor.watched(), now) => RuleStanding::Maintenance,
        Some(value) if settings.is_over(value) => RuleStanding::Over,
        Some(_) => RuleStanding::Calm,
        None => RuleStanding::NoValue,
    };
    RuleValue {
        monitor_id: monitor.id,
        kind: monitor.kind,
        target: monitor.target.clone(),
        domain_id: monitor.domain,
        server_id: monitor.server,
        address_id: monitor.address,
        value: monitor.value,
        checks: monitor.checks,
        standing,
        since: remembered.map(|state| state.beyond.since),
        incident_id: incident.map(|(id, _)| id),
    }
}
