//! The pages, and the transport by which they call the API: a service call on the same router, with the visitor's own cookie and address.
//! No socket, no second way to be authorised.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Error, HeaderValue, Request, header},
};
use serde_json::Value;
use tower::ServiceExt;
use waypost_web::{
    TransportFactory, Visitor, WebConfig,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport, TransportError},
};

use crate::{
    app::{REQUEST_ID, RequestId},
    http::client::ClientAddress,
    state::AppState,
};

/// Answers of the API are at most a page of a list.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Marks a request as one that a page makes: its origin was checked and it was measured at the door, with the visitor's own request.
#[derive(Debug, Clone, Copy)]
pub struct Internal(());

/// The pages' router.
pub fn router(state: &AppState, api: &Router) -> Router {
    let config = WebConfig { assets_dir: assets_dir(), dev_mailbox: state.settings.development, base_url: state.settings.base_url.clone() };
    waypost_web::router(config, Arc::new(InProcess { api: api.clone() }))
}

/// What browsers load, as `infra/web-build` packs it: the folder that the operator names, or that of a checkout.
fn assets_dir() -> PathBuf {
    std::env::var_os("WAYPOST_ASSETS_DIR").filter(|name| !name.is_empty()).map_or_else(|| PathBuf::from("web/dist"), PathBuf::from)
}

struct InProcess {
    api: Router,
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
            Ok(ApiResponse { status: parts.status.as_u16(), body, set_cookie })
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
