//! The pages, and the transport by which they call the API: a service call on the same router, with the visitor's own cookie and address.
//! No socket, no second way to be authorised.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{MatchedPath, Request},
    http::{Error, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use serde_json::Value;
use tower::ServiceExt;
use tracing::Instrument;
use waypost_web::{
    TransportFactory, Visitor, WebConfig,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport, TransportError},
};

use crate::{
    app::{REQUEST_ID, RequestId},
    http::{client::ClientAddress, session},
    state::AppState,
};

/// Answers of the API are at most a page of a list.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Marks a request as one that a page makes: its origin was checked and it was measured at the door, with the visitor's own request.
#[derive(Debug, Clone, Copy)]
pub struct Internal(());

/// The pages' router.
pub fn router(state: &AppState, api: &Router) -> Router {
    let config = WebConfig {
        assets_dir: assets_dir(),
        dev_mailbox: state.settings.development,
        base_url: state.settings.base_url.clone(),
        session_cookie: session::COOKIE.to_owned(),
    };
    waypost_web::router(config, Arc::new(InProcess::new(api.clone())))
}

/// What browsers load, as `infra/web-build` packs it: the folder that the operator names, or that of a checkout.
fn assets_dir() -> PathBuf {
    std::env::var_os("WAYPOST_ASSETS_DIR").filter(|name| !name.is_empty()).map_or_else(|| PathBuf::from("web/dist"), PathBuf::from)
}

struct InProcess {
    api: Router,
}

impl InProcess {
    fn new(api: Router) -> Self {
        Self { api: api.layer(middleware::from_fn(trace)) }
    }
}

/// A page's call is logged like a request of its own, under the id of the request that the page answers.
async fn trace(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0)).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!("call", %id, method = %request.method());
    let started = std::time::Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let _entered = span.enter();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    tracing::debug!(status = response.status().as_u16(), seconds = started.elapsed().as_secs_f64(), route, "answered a page");
    response
}

impl TransportFactory for InProcess {
    fn for_visitor(&self, visitor: Visitor) -> Arc<dyn ApiTransport> {
        Arc::new(OfVisitor { api: self.api.clone(), visitor })
    }
}

struct OfVisitor {
    api: Router,
    visitor: Visitor,
}

impl ApiTransport for OfVisitor {
    fn call(&self, request: ApiRequest) -> ApiFuture {
        let made = self.make(request);
        let api = self.api.clone();
        Box::pin(async move {
            let failed = |error: &dyn std::fmt::Display| TransportError(error.to_string());
            let response = api.oneshot(made.map_err(|error| failed(&error))?).await.map_err(|error| failed(&error))?;
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, MAX_ANSWER).await.map_err(|error| failed(&error))?;
            let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).map_err(|error| failed(&error))? };
            let set_cookie = parts.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
            let retry_after = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(ApiResponse { status: parts.status.as_u16(), body, set_cookie, retry_after })
        })
    }
}

impl OfVisitor {
    fn make(&self, request: ApiRequest) -> Result<Request<Body>, Error> {
        let mut builder = Request::builder().method(request.method.as_str()).uri(request.path).header(header::ACCEPT, "application/json");
        if let Some(cookie) = self.visitor.cookie.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            builder = builder.header(header::COOKIE, cookie);
        }
        if let Some(agent) = self.visitor.user_agent.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            builder = builder.header(header::USER_AGENT, agent);
        }
        if let Some(version) = request.if_match {
            builder = builder.header(header::IF_MATCH, format!("\"{version}\""));
        }
        let body = match request.body {
            Some(value) => {
                builder = builder.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        let address = self.visitor.address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        builder = builder.extension(ClientAddress(address)).extension(Internal(()));
        if let Some(id) = &self.visitor.request_id {
            builder = builder.header(REQUEST_ID, id.as_str()).extension(RequestId(id.as_str().into()));
        }
        builder.body(body)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Mutex, PoisonError},
    };

    use axum::{http::HeaderMap, routing::get};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    async fn echoed(headers: HeaderMap) -> String {
        tracing::info!("in the handler");
        serde_json::json!(headers.get(REQUEST_ID).and_then(|value| value.to_str().ok())).to_string()
    }

    #[tokio::test]
    async fn a_call_carries_the_id_of_the_request_that_its_page_answers() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(log.clone()).finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let api = InProcess::new(Router::new().route("/api/v1/orgs/{org}/overview", get(echoed)));
        let visitor = Visitor { request_id: Some("0190a0b0c0d0".to_owned()), ..Visitor::default() };
        let request = ApiRequest { method: waypost_web::api::Method::Get, path: "/api/v1/orgs/acme/overview".to_owned(), body: None, if_match: None };
        let answer = api.for_visitor(visitor).call(request).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, Value::String("0190a0b0c0d0".to_owned())));
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for line in ["in the handler", "answered a page"] {
            let line = log.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("“{line}” is not in {log}"));
            assert!(line.contains("call{id=0190a0b0c0d0 method=GET}"), "{line}");
        }
        assert!(log.contains("/api/v1/orgs/{org}/overview") && !log.contains("acme"), "the pattern, not what a person put in it: {log}");
    }
}
