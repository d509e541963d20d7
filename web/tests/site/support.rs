//! A browser without a network: requests go to the router, its calls to a script.

use std::sync::{Arc, Mutex};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use waypost_web::{
    TransportFactory, Visitor, WebConfig,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport},
    router,
};

type Script = dyn Fn(&ApiRequest) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
struct Fake {
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<ApiRequest>>>,
}

impl ApiTransport for Fake {
    fn call(&self, request: ApiRequest) -> ApiFuture {
        let (status, body) = (self.script)(&request);
        self.calls.lock().unwrap().push(request);
        Box::pin(async move {
            Ok(ApiResponse { status, body, set_cookie: vec!["sid=1; HttpOnly".to_owned()], retry_after: (status == 429).then_some(7) })
        })
    }
}

impl TransportFactory for Fake {
    fn for_visitor(&self, _: Visitor) -> Arc<dyn ApiTransport> {
        Arc::new(self.clone())
    }
}

/// Without a built folder and without a mailbox.
pub fn config() -> WebConfig {
    WebConfig { assets_dir: "no-such-folder".into(), dev_mailbox: false, base_url: "http://localhost".to_owned(), session_cookie: "sid".to_owned() }
}

/// The answer, its text, and the calls that were made for it.
pub async fn ask(
    script: impl Fn(&ApiRequest) -> (u16, Value) + Send + Sync + 'static,
    request: Request<Body>,
) -> (Response<()>, String, Vec<ApiRequest>) {
    let fake = Fake { script: Arc::new(script), calls: Arc::default() };
    let (response, text) = read(router(config(), Arc::new(fake.clone())).oneshot(request).await.unwrap()).await;
    let calls = fake.calls.lock().unwrap().clone();
    (response, text, calls)
}

/// The answer of an installation whose API knows nothing.
pub async fn ask_with(config: WebConfig, request: Request<Body>) -> (Response<()>, String) {
    let fake = Fake { script: Arc::new(|_| problem(404, "", &[])), calls: Arc::default() };
    read(router(config, Arc::new(fake)).oneshot(request).await.unwrap()).await
}

async fn read(response: Response<Body>) -> (Response<()>, String) {
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 4_000_000).await.unwrap().to_vec()).unwrap();
    (Response::from_parts(parts, ()), text)
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub fn post(path: &str, form: &str) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form.to_owned())).unwrap()
}

/// A refusal of the API with its fields at fault.
pub fn problem(status: u16, detail: &str, errors: &[(&str, &str)]) -> (u16, Value) {
    let errors: Vec<Value> = errors.iter().map(|(field, message)| json!({ "field": field, "message": message })).collect();
    (status, json!({ "type": "/problems/x", "title": "No", "status": status, "detail": detail, "errors": errors }))
}

/// Every start tag of this name.
pub fn tags<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("<{name}");
    html.match_indices(&start)
        .filter(|(at, _)| html[at + start.len()..].starts_with([' ', '>', '/']))
        .filter_map(|(at, _)| html[at..].split_inclusive('>').next())
        .collect()
}

/// The values of an attribute, wherever it stands.
pub fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.split(&format!(" {attribute}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// What a person reads of a piece of a page: tags and comments are left out.
pub fn text(html: &str) -> String {
    let mut plain = String::new();
    for piece in html.split('<') {
        plain.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    plain
}

/// The piece of a page between two strings.
pub fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    html.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map_or_else(|| panic!("nothing from {from} to {to}"), |(piece, _)| piece)
}
