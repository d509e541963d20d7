//! `servers/{id}/login`: the login that checks of a mail server try. Admins decide on it. What is secret is sealed here, opened by the workers
//! alone, and never given back.

use axum::{extract::State, http::StatusCode};
use secrecy::SecretString;
use waypost_store::{OrgTx, StoreError, server_logins::LoginSetting};
use waypost_types::{
    ServerId,
    asset::Server,
    problem::Problem,
    server_login::{MECHANISMS, SecretKind, ServerLogin, SetServerLogin},
};
use waypost_worker::seal::login_of;

use crate::{
    api::targets,
    http::{
        body::Body,
        condition::{IfMatch, Versioned},
        org::{Manage, Of, Read, TenantRow},
        problem::ApiError,
    },
    state::AppState,
};

const MAX_USER: usize = 320;
/// Tokens of some providers have some thousand characters.
const MAX_SECRET: usize = 8_000;
/// Where mail programs log in.
const SUBMISSION_PORTS: [u16; 3] = [465, 587, 2525];

impl TenantRow for ServerLogin {
    const NAME: &'static str = <Server as TenantRow>::NAME;
    type Id = ServerId;
    fn id(&self) -> ServerId {
        self.server_id
    }
    fn version(&self) -> i64 {
        self.version
    }
    async fn load(tx: &mut OrgTx, id: ServerId) -> Result<Self, StoreError> {
        tx.server_login(id).await
    }
}

/// The login that is stored for a server, and how it stands; its secret is never shown.
#[utoipa::path(get, path = "/v1/orgs/{org}/servers/{id}/login", tag = "servers", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ServerLogin), (status = 404, body = Problem)))]
pub async fn get(login: Of<Read, ServerLogin>) -> Versioned<ServerLogin> {
    Versioned::ok(login.row)
}

/// Stores a login. Checks of its ports try it about every five minutes, under TLS alone and only where the certificate proves the server. A new
/// secret ends a pause; without one the stored secret stays as it is, for the same user.
#[utoipa::path(put, path = "/v1/orgs/{org}/servers/{id}/login", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = SetServerLogin,
    responses((status = 200, body = ServerLogin), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn set(
    State(state): State<AppState>,
    server: Of<Manage, Server>,
    IfMatch(expected): IfMatch,
    Body(login): Body<SetServerLogin>,
) -> Result<Versioned<ServerLogin>, ApiError> {
    let Of { member, row } = server;
    let user = user_of(&login.user)?;
    let secret = secret_of(&login)?;
    let ports = ports_of(login.ports.as_deref(), &row)?;
    let mechanism = login.mechanism.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(str::to_ascii_uppercase);
    let mut tx = member.tx().await?;
    let kind = match &secret {
        Some((kind, _)) => *kind,
        None => match tx.server_login(row.id).await {
            Ok(known) if known.user == user => known.secret_kind,
            Ok(_) => return Err(ApiError::field("password", "Give the password or token of that user: the stored one is another user's.")),
            Err(StoreError::NotFound) => return Err(ApiError::field("password", "Give a password, or a token.")),
            Err(error) => return Err(error.into()),
        },
    };
    if let Some(name) = &mechanism {
        check_mechanism(name, kind)?;
    }
    let sealed = match &secret {
        Some((_, secret)) => Some(state.seal("password")?.seal(member.org.id, &login_of(row.id), secret).map_err(ApiError::internal)?),
        None => None,
    };
    let setting = LoginSetting {
        user,
        secret: sealed.as_deref().map(|sealed| (kind, sealed)),
        mechanism: mechanism.as_deref(),
        ports: &ports,
        enabled: login.enabled,
    };
    let stored = tx.set_server_login(row.id, expected, &setting).await?;
    // What is stored now is tried now.
    if login.enabled && row.monitors.iter().any(|monitor| !monitor.paused) {
        tx.request_checks_of(row.id.0).await?;
    }
    member.changed(tx, stored).await
}

/// Forgets the login. Checks go on without it.
#[utoipa::path(delete, path = "/v1/orgs/{org}/servers/{id}/login", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn remove(login: Of<Manage, ServerLogin>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = login.member.tx().await?;
    tx.remove_server_login(login.row.server_id, expected).await?;
    login.member.deleted(tx).await
}

/// Has a login tried again that was paused after two refusals, with the secret as it is: for an account that was unlocked.
#[utoipa::path(post, path = "/v1/orgs/{org}/servers/{id}/login/resume", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 200, body = ServerLogin), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn resume(login: Of<Manage, ServerLogin>, IfMatch(expected): IfMatch) -> Result<Versioned<ServerLogin>, ApiError> {
    let mut tx = login.member.tx().await?;
    let resumed = tx.resume_server_login(login.row.server_id, expected).await?;
    tx.request_checks_of(login.row.server_id.0).await?;
    login.member.changed(tx, resumed).await
}

fn user_of(text: &str) -> Result<&str, ApiError> {
    let user = text.trim();
    if user.is_empty() || user.chars().count() > MAX_USER || user.chars().any(char::is_control) {
        return Err(ApiError::field("user", format!("Give the name to log in with, of at most {MAX_USER} characters.")));
    }
    Ok(user)
}

/// The secret that was given; a password is taken as it is, a token without the space around it.
fn secret_of(login: &SetServerLogin) -> Result<Option<(SecretKind, SecretString)>, ApiError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (field, kind, secret) = match (given(&login.password), given(&login.token).map(|token| token.trim().to_owned())) {
        (Some(_), Some(_)) => return Err(ApiError::field("token", "Give a password or a token, not both.")),
        (Some(password), None) => ("password", SecretKind::Password, password),
        (None, Some(token)) => ("token", SecretKind::Token, token),
        (None, None) => return Ok(None),
    };
    if secret.len() > MAX_SECRET || secret.chars().any(char::is_control) {
        return Err(ApiError::field(field, format!("It has at most {MAX_SECRET} characters, and no line breaks.")));
    }
    Ok(Some((kind, secret.into())))
}

/// Where it is tried. Servers do not log in at port 25: it has to be named.
fn ports_of(given: Option<&[u16]>, server: &Server) -> Result<Vec<u16>, ApiError> {
    let Some(given) = given else {
        let usual: Vec<u16> = server.ports.iter().copied().filter(|port| SUBMISSION_PORTS.contains(port)).collect();
        let none = || ApiError::field("ports", "No submission port of this server is watched: add 465 or 587 to its ports, or name another one.");
        return if usual.is_empty() { Err(none()) } else { Ok(usual) };
    };
    let ports = targets::ports(given)?;
    match ports.iter().find(|port| !server.ports.contains(port)) {
        Some(port) => Err(ApiError::field("ports", format!("Port {port} of this server is not watched: add it to its ports first."))),
        None => Ok(ports),
    }
}

fn check_mechanism(name: &str, kind: SecretKind) -> Result<(), ApiError> {
    if !MECHANISMS.contains(&name) {
        return Err(ApiError::field("mechanism", format!("Give one of {}, or none to have the best taken that is offered.", MECHANISMS.join(", "))));
    }
    if !kind.fits(name) {
        return Err(ApiError::field("mechanism", format!("{name} does not go with a {}.", kind.as_str())));
    }
    Ok(())
}
