//! One request for a page: the installation, the visitor's API, and the form that was sent.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Multipart, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use waypost_types::{
    account::{Me, Org},
    maintenance::MaintenanceWindow,
    overview::Overview,
    page::List,
    problem::{FieldError, Problem},
};

use super::{ClientAddress, TransportFactory, Visitor, WebConfig, answer, assets::Assets};
use crate::{
    api::{Api, ApiFailure},
    text,
};

/// The installation.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) config: Arc<WebConfig>,
    pub(crate) assets: Assets,
    factory: Arc<dyn TransportFactory>,
}

impl Site {
    pub(crate) fn new(config: WebConfig, factory: Arc<dyn TransportFactory>) -> Self {
        let assets = Assets::load(&config.assets_dir);
        Self { config: Arc::new(config), assets, factory }
    }
}

/// One request.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) site: Site,
    pub(crate) api: Api,
    /// Path and query.
    pub(crate) here: String,
    /// Whether the browser has a session. It may be over: only the API knows.
    pub(crate) has_session: bool,
    /// A form was sent: what is drawn says what came of it.
    pub(crate) is_answer: bool,
}

/// What every page of an organisation shows around its content.
pub(crate) struct Frame {
    pub(crate) me: Me,
    pub(crate) org: Org,
    pub(crate) overview: Option<Overview>,
    /// Maintenance windows that are on.
    pub(crate) windows: Vec<MaintenanceWindow>,
    /// The page answers a form: nothing may take its place unasked.
    pub(crate) is_answer: bool,
}

impl Visit {
    /// The visitor and the organisation of this address; 404 when it is not one of theirs.
    pub(crate) async fn frame(&self, slug: &str) -> Result<Frame, ApiFailure> {
        let (path, windows) = (org_path(slug, "overview"), org_path(slug, "maintenance"));
        let (me, overview, windows) =
            tokio::join!(self.api.get::<Me>("me"), self.api.get::<Overview>(&path), self.api.get::<List<MaintenanceWindow>>(&windows));
        let me = me?;
        let org = me.orgs.iter().find(|org| org.slug == slug).cloned().ok_or_else(ApiFailure::not_found)?;
        let windows = windows.map(|list| list.items).unwrap_or_default().into_iter().filter(|window| window.active.is_some()).collect();
        Ok(Frame { me, org, overview: overview.ok(), windows, is_answer: self.is_answer })
    }

    /// The page that this address acts on: an action's last part taken away.
    pub(crate) fn page_acted_on(&self) -> &str {
        let path = self.here.split('?').next().unwrap_or_default();
        match path.rsplit_once('/') {
            Some((
                page,
                "check" | "settings" | "delete" | "acknowledge" | "comment" | "resolve" | "custom" | "remove" | "key" | "forget" | "selectors"
                | "test" | "end" | "role" | "resend" | "withdraw" | "cause" | "mute" | "reset" | "move" | "try" | "suggested",
            )) => page,
            _ => path,
        }
    }

    /// The query of this address.
    pub(crate) fn query(&self) -> HashMap<String, String> {
        let Some((_, query)) = self.here.split_once('?') else { return HashMap::new() };
        let request = axum::http::Uri::builder().path_and_query(format!("/?{query}")).build().unwrap_or_default();
        axum::extract::Query::try_from_uri(&request).map(|axum::extract::Query(fields)| fields).unwrap_or_default()
    }
}

/// `orgs/{slug}/{rest}` below the API's root.
pub(crate) fn org_path(slug: &str, rest: &str) -> String {
    format!("orgs/{}/{rest}", text::encoded(slug))
}

impl ApiFailure {
    /// What was typed into a field can not be sent.
    pub(crate) fn field(field: &str, message: String) -> Self {
        let problem = Problem {
            kind: "/problems/invalid".to_owned(),
            title: "Invalid values".to_owned(),
            status: 422,
            detail: message.clone(),
            errors: vec![FieldError { field: field.to_owned(), message }],
            existing: None,
        };
        Self { status: 422, problem: Box::new(problem) }
    }

    /// There is no such page.
    pub(crate) fn not_found() -> Self {
        let problem = Problem {
            kind: "/problems/not-found".to_owned(),
            title: "Not found".to_owned(),
            status: 404,
            detail: String::new(),
            errors: Vec::new(),
            existing: None,
        };
        Self { status: 404, problem: Box::new(problem) }
    }
}

impl IntoResponse for ApiFailure {
    /// Leaves the failure to the layer around, which draws the page.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiFailure::not_found)
    }
}

/// A form that was sent. Unreadable bodies count as empty: the fields then say what is missing.
pub(crate) struct Fields {
    pairs: HashMap<String, String>,
    too_large: bool,
    not_text: bool,
}

impl Fields {
    /// Nothing was sent yet.
    pub(crate) fn empty() -> Self {
        Self::with(HashMap::new())
    }

    const fn with(pairs: HashMap<String, String>) -> Self {
        Self { pairs, too_large: false, not_text: false }
    }

    /// The same without these fields.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let kept = self.pairs.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        Self::with(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// More was sent than any form of ours holds, so that nothing of it was read.
    pub(crate) const fn too_large(&self) -> bool {
        self.too_large
    }

    /// A file was sent that is no UTF-8 text, and left out.
    pub(crate) const fn not_text(&self) -> bool {
        self.not_text
    }

    /// With these values.
    pub(crate) fn of<const N: usize>(pairs: [(&str, String); N]) -> Self {
        Self::with(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A field, without spaces around; empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.pairs.get(name).map_or("", |value| value.trim())
    }

    /// A field as it was typed; `None` where the form had none.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// What stands behind `prefix` in the names of fields, in the order of the alphabet.
    pub(crate) fn names_after<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let mut names: Vec<&str> = self.pairs.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// A field as it was typed.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.pairs.get(name).map_or("", String::as_str)
    }

    /// The version a change is based on; 0, which is never current, when absent.
    pub(crate) fn version(&self) -> i64 {
        self.text("version").parse().unwrap_or(0)
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("multipart/form-data") {
            return Ok(parts(request, state).await);
        }
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        Ok(match form {
            Ok(Form(pairs)) => Self::with(pairs.into_iter().collect()),
            Err(refused) => Self { too_large: refused.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE, ..Self::empty() },
        })
    }
}

/// The fields of a form with files. A file is the text in it.
async fn parts<S: Send + Sync>(request: Request, state: &S) -> Fields {
    let Ok(mut form) = Multipart::from_request(request, state).await else { return Fields::empty() };
    let mut fields = Fields::empty();
    loop {
        let read = match form.next_field().await {
            Ok(None) => return fields,
            Ok(Some(field)) => {
                let name = field.name().unwrap_or_default().to_owned();
                field.bytes().await.map(|bytes| (name, bytes))
            }
            Err(error) => Err(error),
        };
        match read {
            Ok((name, bytes)) => match String::from_utf8(bytes.into()) {
                Ok(text) => drop(fields.pairs.insert(name, text)),
                Err(_) => fields.not_text = true,
            },
            Err(refused) => return Fields { too_large: refused.status() == StatusCode::PAYLOAD_TOO_LARGE, ..Fields::empty() },
        }
    }
}

fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Around every page: makes the visitor's API, draws failures, hands on cookies, and sets the headers of a page.
pub(crate) async fn around(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let visitor = Visitor {
        cookie: header_text(headers, header::COOKIE),
        address: request.extensions().get::<ClientAddress>().map(|address| address.0),
        request_id: header_text(headers, "x-request-id"),
        user_agent: header_text(headers, header::USER_AGENT),
    };
    let names = visitor.cookie.as_deref().unwrap_or_default().split(';').filter_map(|cookie| cookie.split_once('=')).map(|(name, _)| name.trim());
    let has_session = names.into_iter().any(|name| name == site.config.session_cookie);
    let here = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let is_answer = request.method() == Method::POST;
    let visit = Visit { api: Api::new(site.factory.for_visitor(visitor)), site, here, has_session, is_answer };
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions_mut().remove::<ApiFailure>() {
        response = answer::render_error(&visit, &failure);
    }
    for cookie in visit.api.take_cookies() {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    // A page that says "too many" says to programs, too, when to come back.
    let refused = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(seconds) = visit.api.retry_after().filter(|_| refused) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer::add_headers(&mut response, visit.has_session);
    response
}
