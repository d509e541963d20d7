//! Answers: a page in its document, a redirect, or a page that says what failed.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use hydration_context::SsrSharedContext;
use leptos::prelude::*;

use super::Visit;
use crate::{api::ApiFailure, text, ui};

/// What a handler gives: a response, or the failure that the layer around draws.
pub(crate) type Answer = Result<Response, ApiFailure>;

/// Scripts, styles and connections only from here, no inline code.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'";

/// Goes on elsewhere after a form.
pub(crate) fn redirect(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// What other sites show of a link to a page (Open Graph).
pub(crate) struct Shared {
    /// One or two sentences.
    pub(crate) description: String,
    /// Path of the page on this site; its picture lies below it.
    pub(crate) path: String,
}

impl Shared {
    fn tags(&self, visit: &Visit, title: &str) -> String {
        let url = text::escaped(&format!("{}{}", visit.site.config.base_url, self.path));
        let (title, said) = (text::escaped(title), text::escaped(&self.description));
        format!(
            "<meta name=\"description\" content=\"{said}\">\n<meta property=\"og:type\" content=\"website\">\n<meta property=\"og:site_name\" content=\"Waypost\">\n\
             <meta property=\"og:title\" content=\"{title}\">\n<meta property=\"og:description\" content=\"{said}\">\n<meta property=\"og:url\" content=\"{url}\">\n\
             <meta property=\"og:image\" content=\"{url}/preview.png\">\n<meta property=\"og:image:type\" content=\"image/png\">\n\
             <meta property=\"og:image:width\" content=\"1200\">\n<meta property=\"og:image:height\" content=\"630\">\n\
             <meta property=\"og:image:alt\" content=\"{said}\">\n<meta name=\"twitter:card\" content=\"summary_large_image\">\n<link rel=\"canonical\" href=\"{url}\">\n"
        )
    }
}

/// A whole page.
pub(crate) fn page<V: IntoView + 'static>(visit: &Visit, status: StatusCode, title: &str, content: impl FnOnce() -> V) -> Response {
    whole(visit, status, title, "", content)
}

/// A page that other sites show a preview of.
pub(crate) fn shared_page<V: IntoView + 'static>(visit: &Visit, title: &str, shared: &Shared, content: impl FnOnce() -> V) -> Response {
    whole(visit, StatusCode::OK, title, &shared.tags(visit, title), content)
}

fn whole<V: IntoView + 'static>(visit: &Visit, status: StatusCode, title: &str, tags: &str, content: impl FnOnce() -> V) -> Response {
    let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
    let body = owner.with(|| content().into_view().to_html());
    owner.unset_with_forced_cleanup();
    (status, Html(document(visit, title, tags, &body))).into_response()
}

fn document(visit: &Visit, title: &str, tags: &str, body: &str) -> String {
    let assets = &visit.site.assets;
    let url = |name: &str| assets.url(name).unwrap_or_default();
    let title = text::escaped(title);
    let browser = match (assets.url("boot.js"), assets.url("waypost.js"), assets.url("waypost_bg.wasm")) {
        (Some(boot), Some(module), Some(wasm)) if body.contains("<leptos-island") => {
            format!("<script type=\"module\" src=\"{boot}\" data-module=\"{module}\" data-wasm=\"{wasm}\"></script>\n")
        }
        _ => String::new(),
    };
    let (tokens, app, script, icon, sprite) = (url("tokens.css"), url("app.css"), url("ui.js"), url("icon.svg"), ui::SPRITE);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Waypost</title>\n{tags}<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"{tokens}\">\n<link rel=\"stylesheet\" href=\"{app}\">\n<script src=\"{script}\"></script>\n{browser}</head>\n<body>\n\
         {sprite}{body}\n</body>\n</html>\n"
    )
}

/// The page for a failure. Who is not signed in is asked to sign in, and comes back here.
pub(crate) fn render_error(visit: &Visit, failure: &ApiFailure) -> Response {
    if failure.status == 401 {
        let next = if visit.is_answer { None } else { text::safe_next(&visit.here) };
        return redirect(&next.map_or_else(|| "/login".to_owned(), |next| format!("/login?next={}", text::encoded(next))));
    }
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let (title, said) = match failure.status {
        404 => (
            "Page not found".to_owned(),
            "There is nothing at this address, or it belongs to an organisation that you are not a member of.".to_owned(),
        ),
        403 => ("Not allowed".to_owned(), failure.sentence().to_owned()),
        412 => {
            ("Somebody else changed this".to_owned(), "Go back, reload the page to see the current values, and make your change again.".to_owned())
        }
        429 => ("Too many requests".to_owned(), failure.sentence().to_owned()),
        500.. => ("This page could not be made".to_owned(), failure.sentence().to_owned()),
        _ => (failure.problem.title.clone(), failure.sentence().to_owned()),
    };
    let here = visit.here.clone();
    page(visit, status, &title.clone(), move || {
        let again = !visit.is_answer && status.is_server_error();
        let back = visit.is_answer.then(|| visit.page_acted_on().to_owned());
        ui::public(
            visit,
            view! {
                <main id="content" class="auth-main">
                    <section class="card">
                        <div>
                            <p class="muted sm num">{format!("Error {}", status.as_u16())}</p>
                            <h1>{title}</h1>
                            <p class="soft mt2">{said}</p>
                        </div>
                        <p class="row">
                            {again.then(|| view! { <a class="btn btn-primary" href=here>"Try again"</a> })}
                            {back.map(|back| view! { <a class="btn btn-primary" href=back>"Back"</a> })}
                            <a class="btn" href="/app">"To the overview"</a>
                            <a class="btn btn-quiet" href="/">"Check a domain"</a>
                        </p>
                    </section>
                </main>
            },
        )
    })
}

/// The headers of a page. What the visitor sees is theirs alone and always asked for again.
pub(crate) fn add_headers(response: &mut Response, signed_in: bool) {
    let is_page = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    if is_page {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    // After signing out, "Back" must not show what was there.
    let kept = if signed_in { "no-store" } else { "private, no-cache" };
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(kept));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
