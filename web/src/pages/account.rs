//! Signing up, in and out; proving an address and setting a new password.

use axum::http::StatusCode;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::account::{ForgotPassword, Login, Me, NewOrg, Org, ResetPassword, SignedIn, Signup, VerifyEmail};

use super::add;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, page, redirect},
    text,
    ui::{self, Form, icon},
};

/// A card with a form in the middle of the page.
pub(super) fn card(visit: &Visit, heading: impl Into<String>, sub: impl IntoView + 'static, content: impl IntoView + 'static) -> AnyView {
    ui::public(
        visit,
        view! {
            <main id="content" class="auth-main">
                <section class="card" aria-labelledby="h-card">
                    <div><h1 id="h-card">{heading.into()}</h1><p class="muted sm mt2">{sub.into_any()}</p></div>
                    {content.into_any()}
                </section>
            </main>
        },
    )
}

pub(super) fn status_of(failure: Option<&ApiFailure>) -> StatusCode {
    match failure.map(|failure| failure.status) {
        None => StatusCode::OK,
        Some(429) => StatusCode::TOO_MANY_REQUESTS,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

pub(super) fn first_page(signed: &SignedIn) -> String {
    signed.org.as_ref().map_or_else(|| "/app".to_owned(), |org| format!("/o/{}", text::encoded(&org.slug)))
}

pub(crate) async fn show_signup(visit: Visit) -> Answer {
    Ok(signup_page(&visit, &Fields::of([("add", visit.query().remove("add").unwrap_or_default())]), None))
}

fn signup_page(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>) -> axum::response::Response {
    page(visit, status_of(failure), "Sign up", || {
        let form = Form::new(fields, failure, &["organisation", "email", "password"]);
        let add = fields.raw("add").to_owned();
        let sub = view! { "Already here? " <a href="/login">"Log in"</a> };
        card(
            visit,
            "Create an organisation",
            sub,
            view! {
                <form method="post" action="/signup">
                    {form.said()}
                    <input type="hidden" name="add" value=add/>
                    {form.input("organisation", "Organisation", "text", "organization", "The name that your colleagues know.")}
                    {form.input("email", "Email", "email", "username", "")}
                    {form.input("password", "Password", "password", "new-password", "At least 10 characters.")}
                    <button class="btn btn-primary" type="submit">"Sign up"</button>
                </form>
            },
        )
    })
}

pub(crate) async fn signup(visit: Visit, fields: Fields) -> Answer {
    let body = Signup {
        email: fields.text("email").to_owned(),
        password: fields.raw("password").to_owned(),
        organisation: fields.text("organisation").to_owned(),
    };
    match visit.api.post::<SignedIn>("auth/signup", &body).await {
        Ok(signed) => Ok(redirect(&add::page_of(&first_page(&signed), fields.text("add")))),
        Err(failure) if failure.is_input() => Ok(signup_page(&visit, &fields, Some(&failure))),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn show_login(visit: Visit) -> Answer {
    let mut query = visit.query();
    let fields = Fields::of([("next", query.remove("next").unwrap_or_default()), ("done", query.remove("done").unwrap_or_default())]);
    Ok(login_page(&visit, &fields, None))
}

fn login_page(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>) -> axum::response::Response {
    page(visit, status_of(failure), "Log in", || {
        let form = Form::new(fields, failure, &["email", "password"]);
        let next = text::safe_next(fields.raw("next")).unwrap_or_default().to_owned();
        let done = (fields.raw("done") == "reset").then(
            || view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>"Your password is set. Log in with it."</div></div> },
        );
        let sub = view! { "New here? " <a href="/signup">"Create an organisation"</a> };
        card(
            visit,
            "Log in",
            sub,
            view! {
                <form method="post" action="/login">
                    {done}{form.said()}
                    <input type="hidden" name="next" value=next/>
                    {form.input("email", "Email", "email", "username", "")}
                    {form.input("password", "Password", "password", "current-password", "")}
                    <button class="btn btn-primary" type="submit">"Log in"</button>
                </form>
                <p class="sm"><a href="/forgot">"Forgot your password?"</a></p>
            },
        )
    })
}

pub(crate) async fn login(visit: Visit, fields: Fields) -> Answer {
    let body = Login { email: fields.text("email").to_owned(), password: fields.raw("password").to_owned() };
    match visit.api.post::<SignedIn>("auth/login", &body).await {
        Ok(signed) => Ok(redirect(&text::safe_next(fields.raw("next")).map_or_else(|| first_page(&signed), str::to_owned))),
        // 401 means here that the two do not match, not that somebody has to sign in first.
        Err(failure) if failure.is_input() || failure.status == 401 => Ok(login_page(&visit, &fields, Some(&failure))),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn logout(visit: Visit) -> Answer {
    match visit.api.act("auth/logout", &json!({})).await {
        Err(failure) if failure.status != 401 => Err(failure),
        _ => Ok(redirect("/")),
    }
}

/// The first organisation of who is signed in.
pub(crate) async fn app(visit: Visit) -> Answer {
    let me: Me = visit.api.get("me").await?;
    let Some(org) = me.orgs.first() else { return Ok(new_org_page(&visit, &Fields::empty(), None)) };
    let add = visit.query().remove("add").unwrap_or_default();
    Ok(redirect(&add::page_of(&format!("/o/{}", text::encoded(&org.slug)), &add)))
}

/// Makes another organisation.
pub(crate) async fn new_org(visit: Visit, fields: Fields) -> Answer {
    match visit.api.post::<Org>("orgs", &NewOrg { name: fields.text("name").to_owned() }).await {
        Ok(org) => Ok(redirect(&format!("/o/{}", text::encoded(&org.slug)))),
        Err(failure) if failure.is_input() => Ok(new_org_page(&visit, &fields, Some(&failure))),
        Err(failure) => Err(failure),
    }
}

/// For who belongs to no organisation any more.
fn new_org_page(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>) -> axum::response::Response {
    page(visit, status_of(failure), "Create an organisation", || {
        let form = Form::new(fields, failure, &["name"]);
        card(
            visit,
            "Create an organisation",
            "You belong to none just now. Somebody who invites you sends a link by mail.",
            view! {
                <form method="post" action="/app">
                    {form.said()}
                    {form.input("name", "Organisation", "text", "organization", "The name that your colleagues know.")}
                    <button class="btn btn-primary" type="submit">"Create"</button>
                </form>
                <form method="post" action="/logout"><button class="btn btn-quiet btn-sm" type="submit">"Log out"</button></form>
            },
        )
    })
}

pub(crate) async fn show_forgot(visit: Visit) -> Answer {
    Ok(forgot_page(&visit, &Fields::empty(), None, false))
}

fn forgot_page(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>, sent: bool) -> axum::response::Response {
    page(visit, status_of(failure), "Forgot your password", || {
        let form = Form::new(fields, failure, &["email"]);
        let sent = sent.then(|| view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>"If an account has this address, a link to set a new password is on its way. It works for an hour."</div></div> });
        card(
            visit,
            "Set a new password",
            "We send a link to your address.",
            view! {
                <form method="post" action="/forgot">
                    {sent}{form.said()}
                    {form.input("email", "Email", "email", "username", "")}
                    <button class="btn btn-primary" type="submit">"Send the link"</button>
                </form>
            },
        )
    })
}

pub(crate) async fn forgot(visit: Visit, fields: Fields) -> Answer {
    match visit.api.act("auth/forgot", &ForgotPassword { email: fields.text("email").to_owned() }).await {
        Ok(()) => Ok(forgot_page(&visit, &fields, None, true)),
        Err(failure) if failure.is_input() => Ok(forgot_page(&visit, &fields, Some(&failure), false)),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn show_reset(visit: Visit) -> Answer {
    let token = visit.query().remove("token").unwrap_or_default();
    Ok(reset_page(&visit, &Fields::of([("token", token)]), None))
}

fn reset_page(visit: &Visit, fields: &Fields, failure: Option<&ApiFailure>) -> axum::response::Response {
    page(visit, status_of(failure), "Set a new password", || {
        let form = Form::new(fields, failure, &["password"]);
        let token = fields.raw("token").to_owned();
        let sub = view! { "The link does not work any more? " <a href="/forgot">"Ask for a new one"</a> };
        card(
            visit,
            "Set a new password",
            sub,
            view! {
                <form method="post" action="/reset">
                    {form.said()}
                    <input type="hidden" name="token" value=token/>
                    {form.input("password", "New password", "password", "new-password", "At least 10 characters. You are logged out everywhere.")}
                    <button class="btn btn-primary" type="submit">"Set the password"</button>
                </form>
            },
        )
    })
}

pub(crate) async fn reset(visit: Visit, fields: Fields) -> Answer {
    let body = ResetPassword { token: fields.text("token").to_owned(), password: fields.raw("password").to_owned() };
    match visit.api.act("auth/reset", &body).await {
        Ok(()) => Ok(redirect("/login?done=reset")),
        Err(failure) if failure.is_input() || matches!(failure.status, 401 | 404 | 410) => Ok(reset_page(&visit, &fields, Some(&failure))),
        Err(failure) => Err(failure),
    }
}

/// The link of the mail. It only shows a button: programs that open links in mails must not use the token up.
pub(crate) async fn show_verify(visit: Visit) -> Answer {
    let token = visit.query().remove("token").unwrap_or_default();
    Ok(page(&visit, StatusCode::OK, "Confirm your address", || {
        card(
            &visit,
            "Confirm your address",
            "Alerts and links go there.",
            view! {
                <form method="post" action="/verify">
                    <input type="hidden" name="token" value=token/>
                    <button class="btn btn-primary" type="submit">"Confirm"</button>
                </form>
            },
        )
    }))
}

pub(crate) async fn verify(visit: Visit, fields: Fields) -> Answer {
    let result = visit.api.act("auth/verify", &VerifyEmail { token: fields.text("token").to_owned() }).await;
    let (status, kind, said) = match result {
        Ok(()) => (StatusCode::OK, "ok", "Your address is confirmed.".to_owned()),
        Err(failure) if failure.is_input() || matches!(failure.status, 404 | 410) => {
            let said = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
            (StatusCode::UNPROCESSABLE_ENTITY, "bad", said)
        }
        Err(failure) => return Err(failure),
    };
    Ok(page(&visit, status, "Confirm your address", || {
        card(
            &visit,
            "Confirm your address",
            "",
            view! {
                <div class="banner" role="status" data-status=kind>{icon(kind)}<div>{said}</div></div>
                <p><a class="btn btn-primary" href="/app">"To the overview"</a></p>
            },
        )
    }))
}

pub(crate) async fn resend(visit: Visit) -> Answer {
    visit.api.post::<Value>("auth/verify/resend", &json!({})).await?;
    Ok(page(&visit, StatusCode::OK, "Confirm your address", || {
        card(
            &visit,
            "Sent",
            "The link works for a day. Look into the spam folder too.",
            view! { <p><a class="btn btn-primary" href="/app">"To the overview"</a></p> },
        )
    }))
}
