//! The link of an invitation: what it is for, and joining, with the account that is there or a new one.

use axum::http::StatusCode;
use leptos::prelude::*;
use waypost_types::{
    account::{Me, SignedIn},
    people::{AcceptInvitation, InvitationLink, InvitationSeen},
};

use super::account::{card, first_page, status_of};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, page, redirect},
    text,
    ui::{Form, icon},
};

/// Shows the invitation. It takes nothing but looking: programs that open links in mails must not use it up.
pub(crate) async fn show(visit: Visit) -> Answer {
    let token = visit.query().remove("token").unwrap_or_default();
    draw(&visit, &Fields::of([("token", token)]), None).await
}

/// Joins: as who is signed in, or with a new account.
pub(crate) async fn accept(visit: Visit, fields: Fields) -> Answer {
    let password = Some(fields.raw("password").to_owned()).filter(|password| !password.is_empty());
    match visit.api.post::<SignedIn>("invitations/accept", &AcceptInvitation { token: fields.raw("token").to_owned(), password }).await {
        Ok(signed) => Ok(redirect(&first_page(&signed))),
        Err(failure) if failure.is_input() => draw(&visit, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn draw(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let token = fields.raw("token").to_owned();
    let seen = match visit.api.post::<InvitationSeen>("invitations/look", &InvitationLink { token: token.clone() }).await {
        Ok(seen) => seen,
        Err(failure) if failure.is_input() => return Ok(gone(visit, &failure)),
        Err(failure) => return Err(failure),
    };
    // Without it the page says less, and nothing else is missing.
    let me = if visit.has_session { visit.api.get::<Me>("me").await.ok() } else { None };
    let other = me.filter(|_| !seen.signed_in).map(|me| {
        let said = format!("You are logged in as {} here. This invitation is for {}.", me.user.email, seen.email);
        view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div>{said}</div></div> }.into_any()
    });
    let heading = format!("Join {}", seen.organisation);
    Ok(page(visit, status_of(failure), "Invitation", || {
        let form = Form::new(fields, failure, &["password"]);
        let way = if seen.has_account && !seen.signed_in {
            let next = text::encoded(&format!("/invitation?token={}", text::encoded(&token)));
            view! {
                <p class="sm">{format!("Log in as {} first; then you are led back here.", seen.email)}</p>
                <p><a class="btn btn-primary" href=format!("/login?next={next}")>"Log in"</a></p>
            }
            .into_any()
        } else {
            let password =
                (!seen.has_account).then(|| form.input("password", "Choose a password", "password", "new-password", "At least 10 characters."));
            view! {
                <form method="post" action="/invitation">
                    {form.said()}
                    <input type="hidden" name="token" value=token.clone()/>
                    <div class="field"><label for="f-for">"Your address"</label><input class="input" id="f-for" type="email" value=seen.email.clone() autocomplete="username" readonly=true/></div>
                    {password}
                    <button class="btn btn-primary" type="submit">"Join"</button>
                </form>
            }
            .into_any()
        };
        let sub = format!("{} invites you to watch its mail together, as {}.", seen.invited_by, seen.role.word());
        card(visit, heading.clone(), sub, view! { {other}{way} })
    }))
}

fn gone(visit: &Visit, failure: &ApiFailure) -> axum::response::Response {
    let said = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
    page(visit, StatusCode::UNPROCESSABLE_ENTITY, "Invitation", || {
        card(visit, "Invitation".to_owned(), "", view! { <div class="banner" role="status" data-status="bad">{icon("bad")}<div>{said}</div></div> })
    })
}
