//! `lists`: which block lists an organisation asks, private lists of its own, and keys for those that want one.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use secrecy::SecretString;
use waypost_engine::blacklist::{catalog_info, check_choice, check_key};
use waypost_store::OrgTx;
use waypost_types::{
    list_settings::{ListSettings, ListTrial, NewListKey, TrialResult},
    lists::{CustomList, ListChoice},
    problem::Problem,
};
use waypost_worker::seal::key_of;

use crate::{
    http::{
        body::Body,
        condition::IfMatch,
        org::{Member, Named, Read, Write},
        problem::ApiError,
    },
    state::AppState,
};

/// A private list has this long to answer its test points.
const TRIAL_TIME: Duration = Duration::from_secs(5);

/// The catalog of block lists and what the organisation chose of it.
#[utoipa::path(get, path = "/v1/orgs/{org}/lists", tag = "lists", params(("org" = String, Path)),
    responses((status = 200, body = ListSettings), (status = 404, body = Problem)))]
pub async fn get(member: Member<Read>) -> Result<Json<ListSettings>, ApiError> {
    let mut tx = member.tx().await?;
    let settings = settings(&mut tx).await?;
    tx.commit().await?;
    Ok(Json(settings))
}

async fn settings(tx: &mut OrgTx) -> Result<ListSettings, ApiError> {
    let (choice, version) = tx.list_choice().await?;
    let keys = tx.list_keys().await?.into_iter().map(|(list, _)| list).collect();
    Ok(ListSettings { catalog: catalog_info(), choice, keys, version, trials: Vec::new() })
}

/// Chooses the lists that are asked from the next scan on. `If-Match` with the version guards against overwriting somebody else's choice.
#[utoipa::path(put, path = "/v1/orgs/{org}/lists", tag = "lists", params(("org" = String, Path), ("if-match" = Option<String>, Header)), request_body = ListChoice,
    responses((status = 200, body = ListSettings), (status = 403, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn choose(
    State(state): State<AppState>,
    member: Member<Write>,
    IfMatch(expected): IfMatch,
    Body(choice): Body<ListChoice>,
) -> Result<Json<ListSettings>, ApiError> {
    check_choice(&choice).map_err(|error| ApiError::field("custom", error.to_string()))?;
    let catalog = catalog_info();
    if let Some(unknown) = choice.on.iter().chain(&choice.off).find(|id| !catalog.iter().any(|list| list.id == **id)) {
        return Err(ApiError::field("on", format!("“{unknown}” is no list of the catalog.")));
    }
    let trials = try_new(&state, &member, &choice).await?;
    let mut tx = member.tx().await?;
    tx.set_list_choice(&choice, expected).await?;
    let settings = ListSettings { trials, ..settings(&mut tx).await? };
    tx.commit().await?;
    Ok(Json(settings))
}

/// Tries the private lists that are new or asked for other things now; one that can not work is refused. No transaction is open meanwhile.
async fn try_new(state: &AppState, member: &Member<Write>, choice: &ListChoice) -> Result<Vec<ListTrial>, ApiError> {
    let mut tx = member.tx().await?;
    let (before, _) = tx.list_choice().await?;
    tx.commit().await?;
    let is_new = |list: &&CustomList| !before.custom.iter().any(|known| known.zone == list.zone && known.kinds == list.kinds);
    let tried = choice.custom.iter().filter(is_new).map(|list| state.lookups.try_private(list, TRIAL_TIME));
    let trials: Vec<ListTrial> = futures::future::join_all(tried).await.into_iter().flatten().collect();
    match trials.iter().find(|trial| trial.result == TrialResult::Refused) {
        Some(trial) => Err(ApiError::field("custom", format!("{} can not be used. {}", trial.zone, trial.said))),
        None => Ok(trials),
    }
}

/// Keeps the key of a list, sealed: it is never shown again.
#[utoipa::path(put, path = "/v1/orgs/{org}/lists/keys/{list}", tag = "lists", params(("org" = String, Path), ("list" = String, Path)), request_body = NewListKey,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn set_key(
    member: Member<Write>,
    State(state): State<AppState>,
    Named(list): Named,
    Body(new): Body<NewListKey>,
) -> Result<StatusCode, ApiError> {
    let known = catalog_info().into_iter().find(|known| known.id == list).ok_or(ApiError::NotFound)?;
    if !known.takes_key {
        return Err(ApiError::field("key", format!("{} takes no key.", known.name)));
    }
    let key: SecretString = new.key.trim().to_owned().into();
    check_key(&key).map_err(|reason| ApiError::field("key", reason))?;
    let sealed = state.seal("key")?.seal(member.org.id, &key_of(&list), &key).map_err(ApiError::internal)?;
    let mut tx = member.tx().await?;
    tx.set_list_key(&list, &sealed).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets the key of a list.
#[utoipa::path(delete, path = "/v1/orgs/{org}/lists/keys/{list}", tag = "lists", params(("org" = String, Path), ("list" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove_key(member: Member<Write>, Named(list): Named) -> Result<StatusCode, ApiError> {
    let mut tx = member.tx().await?;
    tx.remove_list_key(&list).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
