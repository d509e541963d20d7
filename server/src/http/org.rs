//! The door to an organisation: who asks, whether they belong, what they may do, and the row they name. Everything here happens before the
//! body is read.

use std::{fmt::Display, future::Future, marker::PhantomData, str::FromStr, sync::Arc};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, RawPathParams},
    http::{StatusCode, request::Parts},
};
use serde::Serialize;
use waypost_store::{OrgTx, Store, StoreError};
use waypost_types::{
    account::{Org, User},
    permission::Action,
};

use crate::{
    http::{condition::Versioned, problem::ApiError, session::SignedIn},
    overview::Overviews,
    state::{AppState, Limits},
};

/// What an endpoint does, and so the role it takes.
pub trait Need: Send + Sync + 'static {
    /// What the table of permissions calls it.
    const ACTION: Action;
}

/// Looks only.
#[derive(Debug, Clone, Copy)]
pub struct Read;
impl Need for Read {
    const ACTION: Action = Action::See;
}

/// Adds, changes or removes what is watched.
#[derive(Debug, Clone, Copy)]
pub struct Write;
impl Need for Write {
    const ACTION: Action = Action::Watch;
}

/// Decides who is told of what happens.
#[derive(Debug, Clone, Copy)]
pub struct Manage;
impl Need for Manage {
    const ACTION: Action = Action::Tell;
}

/// Handles incidents.
#[derive(Debug, Clone, Copy)]
pub struct Handle;
impl Need for Handle {
    const ACTION: Action = Action::Handle;
}

/// Invites and removes people.
#[derive(Debug, Clone, Copy)]
pub struct People;
impl Need for People {
    const ACTION: Action = Action::People;
}

/// What changes something.
pub trait Change: Need {}
impl Change for Handle {}
impl Change for People {}
impl Change for Write {}
impl Change for Manage {}

/// A member of the organisation in the path, with the role that `N` needs.
#[derive(Debug, Clone)]
pub struct Member<N> {
    /// Who.
    pub user: User,
    /// Where, and as what.
    pub org: Org,
    store: Store,
    overviews: Overviews,
    limits: Arc<Limits>,
    need: PhantomData<N>,
}

impl<N: Need> Member<N> {
    /// The organisation's transaction: of the places that may open one, this is the API's. What Slack asks for has its own
    /// ([`crate::http::slack::OurMessage::tx`]).
    pub async fn tx(&self) -> Result<OrgTx, ApiError> {
        Ok(self.store.org_tx(self.org.id).await?)
    }
}

impl<N: Change> Member<N> {
    /// Takes one of the organisation's checks out of turn: asked for, new, or resumed. Fails when there were too many.
    pub fn take_check(&self) -> Result<(), ApiError> {
        self.limits.check.take(&self.org.id.to_string())
    }

    /// Ends a change that made `row`.
    pub async fn created<T: TenantRow>(&self, tx: OrgTx, row: T) -> Result<Versioned<T>, ApiError> {
        self.ended(tx).await?;
        let location = format!("/api/v1/orgs/{}/{}/{}", self.org.slug, T::NAME, row.id());
        Ok(Versioned::created(row, location))
    }

    /// Ends a change that left `row` as it is now.
    pub async fn changed<T: TenantRow>(&self, tx: OrgTx, row: T) -> Result<Versioned<T>, ApiError> {
        self.ended(tx).await?;
        Ok(Versioned::ok(row))
    }

    /// Ends a change that removed a row.
    pub async fn deleted(&self, tx: OrgTx) -> Result<StatusCode, ApiError> {
        self.ended(tx).await?;
        Ok(StatusCode::NO_CONTENT)
    }

    /// Ends a change of many things. What was remembered of the organisation is true no more.
    pub async fn ended(&self, tx: OrgTx) -> Result<(), ApiError> {
        tx.commit().await?;
        self.overviews.changed(self.org.id);
        Ok(())
    }
}

impl<N: Need> FromRequestParts<AppState> for Member<N> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let SignedIn(id) = SignedIn::from_request_parts(parts, state).await?;
        let name = path_param(parts, "org").await?;
        // A session whose person is gone is nobody's.
        let (user, org) = state.store.user_in_org(id, &name).await?.ok_or(ApiError::Unauthenticated)?;
        let org = org.ok_or(ApiError::NotFound)?;
        if !org.role.may(N::ACTION) {
            return Err(ApiError::Forbidden { have: org.role.as_str(), need: N::ACTION.least().as_str() });
        }
        Ok(Self { user, org, store: state.store.clone(), overviews: state.overviews.clone(), limits: Arc::clone(&state.limits), need: PhantomData })
    }
}

/// A part of the path by its name.
pub(crate) async fn path_param(parts: &mut Parts, name: &str) -> Result<String, ApiError> {
    let params = parts.extract::<RawPathParams>().await.map_err(|_| ApiError::NotFound)?;
    params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).ok_or(ApiError::NotFound)
}

/// `{list}` of the path, as it is.
#[derive(Debug, Clone)]
pub struct Named(pub String);

impl FromRequestParts<AppState> for Named {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        path_param(parts, "list").await.map(Self)
    }
}

/// A row of an organisation that a path can name: one of its resources.
pub trait TenantRow: Serialize + Sized + Send {
    /// The resource's name in paths.
    const NAME: &'static str;
    /// What names a row.
    type Id: FromStr + Display + Send;
    /// Its id.
    fn id(&self) -> Self::Id;
    /// Rises with each change.
    fn version(&self) -> i64;
    /// Loads it; `NotFound` covers other tenants' rows too.
    fn load(tx: &mut OrgTx, id: Self::Id) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

/// `tenant_row!("things": Thing, ThingId, thing)`: a row with `id` and `version` that `OrgTx::thing` loads.
macro_rules! tenant_row {
    ($name:literal: $row:ty, $id:ty, $load:ident) => {
        impl $crate::http::org::TenantRow for $row {
            const NAME: &'static str = $name;
            type Id = $id;
            fn id(&self) -> $id {
                self.id
            }
            fn version(&self) -> i64 {
                self.version
            }
            async fn load(tx: &mut waypost_store::OrgTx, id: $id) -> Result<Self, waypost_store::StoreError> {
                tx.$load(id).await
            }
        }
    };
}
pub(crate) use tenant_row;

/// A member together with the row that `{id}` names. Someone else's id is 404.
#[derive(Debug, Clone)]
pub struct Of<N, T> {
    /// Who asks.
    pub member: Member<N>,
    /// What they name.
    pub row: T,
}

impl<N: Need, T: TenantRow> FromRequestParts<AppState> for Of<N, T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let member = Member::<N>::from_request_parts(parts, state).await?;
        let id = path_param(parts, "id").await?.parse().map_err(|_| ApiError::NotFound)?;
        // A transaction of its own: none may be open while a slow body arrives.
        let mut tx = member.tx().await?;
        let row = T::load(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Self { member, row })
    }
}
