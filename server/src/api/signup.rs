//! `POST auth/signup`: a person and their organisation.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tower_sessions::Session;
use waypost_store::{StoreError, users::NewAccount};
use waypost_types::{
    EmailAddress,
    account::{SignedIn, Signup},
    problem::{FieldError, Problem},
};
use waypost_worker::SignupPolicy;

use crate::{
    api::verification::send_verification,
    http::{body::Body, client::ClientAddress, problem::ApiError, session::sign_in},
    passwords::Passwords,
    state::AppState,
};

/// Why nobody new can sign up.
const CLOSED: &str = "Sign-up is closed on this installation. Ask the people who run it for an invitation.";

/// Makes an account with an organisation, signs in, and mails a link that proves the address.
#[utoipa::path(post, path = "/v1/auth/signup", tag = "auth", request_body = Signup,
    responses((status = 201, body = SignedIn), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn signup(State(state): State<AppState>, client: ClientAddress, session: Session, Body(new): Body<Signup>) -> Result<Response, ApiError> {
    if state.settings.signup != SignupPolicy::Open {
        return Err(ApiError::Refused(CLOSED));
    }
    let (email, organisation) = checked(&new)?;
    state.limits.signup.take(&client.key())?;
    // A replayed sign-up ends here, before the costly hash.
    if state.store.account_by_email(&email).await?.is_some() {
        return Err(taken());
    }
    let hash = state.passwords.hash(new.password).await?;
    let account = NewAccount { email: &email, password_hash: &hash, organisation: &organisation, slug: &slug(&organisation) };
    let (user, org) = match state.store.create_account(account).await {
        Err(StoreError::Conflict("email")) => return Err(taken()),
        other => other?,
    };
    tracing::info!(user = %user.id, org = %org.id, "signed up");
    sign_in(&session, user.id).await?;
    send_verification(&state, &user).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, "/api/v1/me")], Json(SignedIn { user, org: Some(org) })).into_response())
}

fn taken() -> ApiError {
    ApiError::Conflict {
        field: "email",
        message: "There is an account with this address. Sign in, or ask for a new password.".to_owned(),
        existing: None,
    }
}

/// All fields at fault at once.
fn checked(new: &Signup) -> Result<(EmailAddress, String), ApiError> {
    let mut errors = Vec::new();
    let email = new.email.parse::<EmailAddress>();
    if let Err(error) = &email {
        errors.push(FieldError { field: "email".to_owned(), message: error.to_string() });
    }
    if let Err(ApiError::Invalid(more)) = Passwords::judge(&new.password, Some(&new.email)) {
        errors.extend(more);
    }
    let organisation = organisation_name(&new.organisation);
    if let Err(message) = &organisation {
        errors.push(FieldError { field: "organisation".to_owned(), message: (*message).to_owned() });
    }
    match (email, organisation) {
        (Ok(email), Ok(organisation)) if errors.is_empty() => Ok((email, organisation)),
        _ => Err(ApiError::Invalid(errors)),
    }
}

/// What an organisation may be called, or what to enter instead.
pub(super) fn organisation_name(given: &str) -> Result<String, &'static str> {
    let name = given.trim();
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err("Enter a name of 1 to 100 characters.")
    }
}

/// The name as part of an address: ASCII letters and digits, single hyphens, at most 40 characters.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'ä' | 'æ' => slug.push_str("ae"),
            'ö' | 'ø' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            'à' | 'á' | 'â' | 'ã' | 'å' => slug.push('a'),
            'è' | 'é' | 'ê' | 'ë' => slug.push('e'),
            'ì' | 'í' | 'î' | 'ï' => slug.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' => slug.push('o'),
            'ù' | 'ú' | 'û' => slug.push('u'),
            'ç' => slug.push('c'),
            'ñ' => slug.push('n'),
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= 40 {
            break;
        }
    }
    slug.truncate(40);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "organisation".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_an_address_takes() {
        let table = [
            ("Northwind Demo", "northwind-demo"),
            ("  Bücher & Söhne GmbH ", "buecher-soehne-gmbh"),
            ("日本", "organisation"),
            ("--a--b--", "a-b"),
            ("Org_1", "org-1"),
        ];
        for (name, expected) in table {
            assert_eq!(slug(name), expected);
        }
        assert!(slug(&"x y ".repeat(40)).len() <= 40);
    }
}
