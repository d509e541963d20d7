//! `invitations`: who is asked to join an organisation, and how they do.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use tower_sessions::Session;
use waypost_render::mail::{Mail, invitation as letter};
use waypost_store::{
    OrgTx, StoreError,
    monitors::Added,
    outbox::MailBody,
    people::{InvitationDraft, Invited, Joining},
};
use waypost_types::{
    EmailAddress, InvitationId,
    account::{Role, SignedIn},
    page::List,
    people::{AcceptInvitation, INVITATION_DAYS, Invitation, InvitationLink, InvitationSeen, NewInvitation},
    problem::Problem,
};

use crate::{
    api::{members::refused, verification::token_hash},
    http::{
        body::Body,
        client::ClientAddress,
        condition::{IfMatch, Versioned},
        org::{Member, Of, People, Read, tenant_row},
        problem::ApiError,
        session::{MaybeSignedIn, sign_in},
    },
    passwords::Passwords,
    state::AppState,
};

tenant_row!("invitations": Invitation, InvitationId, invitation);

/// Why somebody may not invite.
const UNPROVEN: &str = "Confirm your own email address first: invitations are sent in your name.";

/// Who is invited and has not come yet, the newest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/invitations", tag = "people", params(("org" = String, Path)),
    responses((status = 200, body = List<Invitation>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Invitation>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.invitations().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Invites somebody by mail. The link works once, for a week, and only for that address.
#[utoipa::path(post, path = "/v1/orgs/{org}/invitations", tag = "people", params(("org" = String, Path)), request_body = NewInvitation,
    responses((status = 201, body = Invitation), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(
    State(state): State<AppState>,
    member: Member<People>,
    Body(new): Body<NewInvitation>,
) -> Result<Versioned<Invitation>, ApiError> {
    let email: EmailAddress = new.email.parse().map_err(|error: waypost_types::NameError| ApiError::field("email", error.to_string()))?;
    let link = Link::make(&state, &member, &email.key(), new.role)?;
    let mut tx = member.tx().await?;
    let draft = InvitationDraft {
        email: &email,
        role: new.role,
        by: (member.user.id, &member.user.email),
        token_hash: &token_hash(&link.token),
        expires_at: link.expires_at,
    };
    let invitation = match tx.add_invitation(draft).await {
        Ok(Added::New(invitation)) => invitation,
        Ok(Added::Exists(id)) => {
            return Err(ApiError::Conflict {
                field: "email",
                message: "They are invited already: send that invitation again, or take it back first.".to_owned(),
                existing: Some(id.to_string()),
            });
        }
        Err(StoreError::Conflict("email")) => {
            return Err(ApiError::Conflict { field: "email", message: "They are a member already.".to_owned(), existing: None });
        }
        Err(error) => return Err(error.into()),
    };
    link.send(&state, &mut tx, &member, &invitation).await?;
    member.created(tx, invitation).await
}

/// An invitation.
#[utoipa::path(get, path = "/v1/orgs/{org}/invitations/{id}", tag = "people", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Invitation), (status = 404, body = Problem)))]
pub async fn get(invitation: Of<Read, Invitation>) -> Versioned<Invitation> {
    Versioned::ok(invitation.row)
}

/// Mails another link for another week; the one before works no more.
#[utoipa::path(post, path = "/v1/orgs/{org}/invitations/{id}/resend", tag = "people", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Invitation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub async fn resend(State(state): State<AppState>, invitation: Of<People, Invitation>) -> Result<Versioned<Invitation>, ApiError> {
    let Of { member, row } = invitation;
    let link = Link::make(&state, &member, &row.email.to_lowercase(), row.role)?;
    let mut tx = member.tx().await?;
    let renewed = tx.renew_invitation(row.id, ((member.user.id, &member.user.email), &token_hash(&link.token), link.expires_at)).await?;
    link.send(&state, &mut tx, &member, &renewed).await?;
    member.changed(tx, renewed).await
}

/// Takes an invitation back: its link works no more.
#[utoipa::path(delete, path = "/v1/orgs/{org}/invitations/{id}", tag = "people",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(invitation: Of<People, Invitation>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let Of { member, row } = invitation;
    member.org.role.may_change(Some(row.role), None).map_err(|error| refused(&member, error))?;
    let mut tx = member.tx().await?;
    tx.remove_invitation(row.id, expected).await?;
    member.deleted(tx).await
}

/// What the link of an invitation leads to.
#[utoipa::path(post, path = "/v1/invitations/look", tag = "people", request_body = InvitationLink,
    responses((status = 200, body = InvitationSeen), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn look(
    State(state): State<AppState>,
    client: ClientAddress,
    MaybeSignedIn(who): MaybeSignedIn,
    Body(link): Body<InvitationLink>,
) -> Result<Json<InvitationSeen>, ApiError> {
    let invited = behind(&state, client, &link.token).await?;
    Ok(Json(InvitationSeen {
        has_account: invited.account.is_some(),
        signed_in: who.is_some() && who == invited.account,
        organisation: invited.org_name,
        email: invited.email,
        role: invited.role,
        invited_by: invited.invited_by,
        expires_at: invited.expires_at,
    }))
}

/// Joins: as who is signed in, or with a new account whose address the link has proven. Sign-up need not be open for that.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "people", request_body = AcceptInvitation,
    responses((status = 200, body = SignedIn), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn accept(
    State(state): State<AppState>,
    client: ClientAddress,
    session: Session,
    MaybeSignedIn(who): MaybeSignedIn,
    Body(given): Body<AcceptInvitation>,
) -> Result<Response, ApiError> {
    let invited = behind(&state, client, &given.token).await?;
    let hash = token_hash(&given.token);
    let joined = match (invited.account, given.password) {
        (Some(account), _) if who == Some(account) => state.store.accept_invitation(&hash, Joining::With(account)).await,
        (Some(_), _) => return Err(another(&invited)),
        (None, Some(password)) => {
            // A password that is refused must not use up the link.
            Passwords::judge(&password, Some(&invited.email))?;
            let password_hash = state.passwords.hash(password).await?;
            state.store.accept_invitation(&hash, Joining::New { password_hash: &password_hash }).await
        }
        (None, None) => return Err(ApiError::field("password", "Choose a password: there is no account with this address yet.")),
    };
    let (user, org) = match joined {
        Ok(joined) => joined,
        Err(StoreError::NotFound) => return Err(gone()),
        Err(StoreError::Conflict("email")) => return Err(another(&invited)),
        Err(error) => return Err(error.into()),
    };
    tracing::info!(user = %user.id, org = %org.id, "joined by invitation");
    state.overviews.changed(org.id);
    if who != Some(user.id) {
        sign_in(&session, user.id).await?;
    }
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(SignedIn { user, org: Some(org) })).into_response())
}

async fn behind(state: &AppState, client: ClientAddress, token: &str) -> Result<Invited, ApiError> {
    state.limits.links.take(&client.key())?;
    state.store.invited(&token_hash(token)).await?.ok_or_else(gone)
}

fn gone() -> ApiError {
    ApiError::field("token", "This invitation was used, taken back or is too old. Ask who invited you for another.")
}

fn another(invited: &Invited) -> ApiError {
    ApiError::Conflict {
        field: "token",
        message: format!("This invitation is for {}, which has an account: log in with it and open the link again.", invited.email),
        existing: None,
    }
}

/// A link that is about to be mailed.
struct Link {
    token: String,
    expires_at: chrono::DateTime<Utc>,
}

impl Link {
    /// Whether `member` may invite somebody to that role now, before anything is written.
    fn make(state: &AppState, member: &Member<People>, to: &str, role: Role) -> Result<Self, ApiError> {
        member.org.role.may_change(None, Some(role)).map_err(|error| refused(member, error))?;
        if !member.user.email_verified {
            return Err(ApiError::Refused(UNPROVEN));
        }
        // By who invites, however many organisations they make, and by who is invited, whoever invites them.
        state.limits.invitation.take(&member.user.id.to_string())?;
        state.limits.invited.take(to)?;
        Ok(Self { token: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()), expires_at: Utc::now() + Duration::days(INVITATION_DAYS) })
    }

    /// With the invitation, or not at all.
    async fn send(&self, state: &AppState, tx: &mut OrgTx, member: &Member<People>, invitation: &Invitation) -> Result<(), ApiError> {
        let url = format!("{}/invitation?token={}", state.settings.base_url, self.token);
        // It goes to strangers: a name that their mail program would make a link of is no name there.
        let name = if reads_as_an_address(&member.org.name) { &member.org.slug } else { &member.org.name };
        let Mail { subject, text, html } = letter(name, &member.user.email, invitation.role.word(), &url);
        tx.enqueue_account_mail(&invitation.email, &MailBody { subject, text, html }, &state.settings.mail_domain).await?;
        Ok(())
    }
}

/// Whether a program that shows it would make a link of a part of it.
fn reads_as_an_address(name: &str) -> bool {
    name.contains(['/', '@', ':']) || name.split_whitespace().any(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_become_links_are_known() {
        for name in
            ["Your parcel: https://evil.example/x", "www.evil.example", "Booking.com", "evil.example.", "(evil.example)", "a@b", "evil．example/"]
        {
            assert!(reads_as_an_address(name), "{name}");
        }
        for name in ["Northwind Demo", "Müller & Söhne GmbH", "Example Inc.", "J. Doe", "St. Gallen (IT)"] {
            assert!(!reads_as_an_address(name), "{name}");
        }
    }
}
