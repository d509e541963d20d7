//! `monitors` as a list: searched, sorted, counted, and changed many at a time.

use axum::Json;
use serde::Deserialize;
use waypost_store::{OrgTx, StoreError, fleet::Place};
use waypost_types::{
    event::LiveEvent,
    fleet::{Chosen, MOST_NAMED, ManyChanged, ManyPatch, MonitorFilter, Order, Standing, StandingCounts},
    monitor::{Monitor, MonitorKind},
    page::List,
    problem::Problem,
};

use crate::{
    api::targets,
    http::{
        body::Body,
        org::{Member, Read, Write},
        page::{Page, Params},
        problem::ApiError,
        search,
    },
};

/// Which monitors a list is of, and in which order. What a form leaves empty does not narrow.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Wanted {
    q: Option<String>,
    kind: Option<String>,
    state: Option<String>,
    tag: Option<String>,
    sort: Option<String>,
    #[serde(default)]
    services: bool,
}

impl Wanted {
    fn order(&self) -> Result<Order, ApiError> {
        Ok(search::one_of("sort", self.sort.as_ref(), &Order::ALL.map(Order::as_str))?.unwrap_or_default())
    }

    pub(crate) fn filter(self) -> Result<MonitorFilter, ApiError> {
        let kind = search::one_of("kind", self.kind.as_ref(), &MonitorKind::ALL.map(MonitorKind::as_str))?;
        let state = search::one_of("state", self.state.as_ref(), &Standing::ALL.map(Standing::as_str))?;
        checked(MonitorFilter { q: self.q, kind, state, tag: self.tag, services: self.services })
    }
}

fn checked(filter: MonitorFilter) -> Result<MonitorFilter, ApiError> {
    search::checked("q", filter.q.as_ref())?;
    search::checked("tag", filter.tag.as_ref())?;
    Ok(filter)
}

/// Monitors, oldest first unless `sort` says otherwise: `worst`, `target`, `slowest`, `checked` (least lately first), `added`. A list that is sorted by
/// what changes may show one twice, or leave one out, where it changed between two pages.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors", tag = "monitors",
    params(("org" = String, Path), ("q" = Option<String>, Query, description = "Characters that stand in the target"), ("kind" = Option<MonitorKind>, Query),
        ("state" = Option<Standing>, Query), ("tag" = Option<String>, Query, description = "Of a service, or of what they belong to"),
        ("services" = Option<bool>, Query, description = "Services beside SMTP alone"), ("sort" = Option<Order>, Query),
        ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = List<Monitor>), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(member: Member<Read>, Params(wanted): Params<Wanted>, page: Page) -> Result<Json<List<Monitor>>, ApiError> {
    let order = wanted.order()?;
    let filter = wanted.filter()?;
    let after = page.after::<Place>()?;
    let mut tx = member.tx().await?;
    let items = tx.fleet(&filter, order, after.as_ref(), page.rows()).await?;
    tx.commit().await?;
    let list = page.list(items, |(place, _)| place.clone())?;
    Ok(Json(List { items: list.items.into_iter().map(|(_, monitor)| monitor).collect(), next: list.next }))
}

/// How many monitors match, by how they stand: `state` itself does not narrow.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/counts", tag = "monitors",
    params(("org" = String, Path), ("q" = Option<String>, Query), ("kind" = Option<MonitorKind>, Query), ("tag" = Option<String>, Query),
        ("services" = Option<bool>, Query)),
    responses((status = 200, body = StandingCounts), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn counts(member: Member<Read>, Params(wanted): Params<Wanted>) -> Result<Json<StandingCounts>, ApiError> {
    let filter = wanted.filter()?;
    let mut tx = member.tx().await?;
    let counts = tx.fleet_counts(&filter).await?;
    tx.commit().await?;
    Ok(Json(counts))
}

/// The same change for many monitors: all of it, or nothing. What resumes is checked within its interval, not all at once. With a filter, `expected`
/// guards against changing others than were seen: 412 where the filter has another number of monitors by now.
#[utoipa::path(patch, path = "/v1/orgs/{org}/monitors", tag = "monitors", params(("org" = String, Path)), request_body = ManyPatch,
    responses((status = 200, body = ManyChanged), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn change(member: Member<Write>, Body(patch): Body<ManyPatch>) -> Result<Json<ManyChanged>, ApiError> {
    let patch = usable(patch)?;
    let tags = |field: &str, given: &[String]| waypost_types::tag::tags(given).map_err(|error| ApiError::field(field, error.to_string()));
    let (added, removed) = (tags("add_tags", &patch.add_tags)?, tags("remove_tags", &patch.remove_tags)?);
    if let Some(both) = added.iter().find(|tag| removed.contains(tag)) {
        return Err(ApiError::field("remove_tags", format!("“{both}” is to be given and taken: choose one.")));
    }
    if patch.paused == Some(false) {
        member.take_check()?;
    }
    let mut tx = member.tx().await?;
    let done = tx.change_many(&patch, (&added, &removed)).await?;
    if let Chosen::Monitors(ids) = &patch.of
        && usize::try_from(done.monitors) != Ok(ids.len())
    {
        return Err(ApiError::field("of", "Something that is named here is not watched any more. Load the list again; nothing was changed."));
    }
    tell(&mut tx).await?;
    member.ended(tx).await?;
    Ok(Json(done))
}

fn usable(patch: ManyPatch) -> Result<ManyPatch, ApiError> {
    let of = match patch.of {
        Chosen::Filter(filter) => Chosen::Filter(checked(filter)?),
        Chosen::Monitors(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                return Err(ApiError::field("of", "Choose at least one monitor."));
            }
            if ids.len() > MOST_NAMED {
                return Err(ApiError::field("of", format!("Name {MOST_NAMED} monitors at most, or give a filter instead.")));
            }
            Chosen::Monitors(ids)
        }
    };
    if patch.paused.is_none() && patch.interval_s.is_none() && patch.add_tags.is_empty() && patch.remove_tags.is_empty() {
        return Err(ApiError::field("of", "Say what to change: whether they are checked, how often, or tags."));
    }
    let allowed = |kind: MonitorKind| targets::interval(kind, patch.interval_s);
    // Some kind has to allow it; that others keep theirs is answered with the number of them.
    if let (Err(error), true) = (allowed(MonitorKind::Smtp), allowed(MonitorKind::Audit).is_err()) {
        return Err(error);
    }
    Ok(ManyPatch { of, ..patch })
}

/// Listeners fetch what they show anew: a notice has no room for thousands of ids.
async fn tell(tx: &mut OrgTx) -> Result<(), StoreError> {
    tx.notify(&LiveEvent::Resync).await
}
