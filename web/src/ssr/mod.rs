//! The server side of the pages: routes, the visitor, the document around a page, and assets.

mod answer;
mod assets;
mod encoding;
mod routes;
mod visit;

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use axum::Router;

pub(crate) use answer::{Answer, Shared, page, redirect, shared_page};
pub(crate) use visit::{Fields, Frame, Site, Visit, org_path};

use crate::api::ApiTransport;

/// Who asks: what the API has to know of the browser behind a page.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// The `Cookie` header.
    pub cookie: Option<String>,
    /// Address of the browser.
    pub address: Option<IpAddr>,
    /// Id of the page request, for logs.
    pub request_id: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

/// Makes a transport per visitor, so that every call runs with the visitor's own rights.
pub trait TransportFactory: Send + Sync + 'static {
    /// The transport for this visitor.
    fn for_visitor(&self, visitor: Visitor) -> Arc<dyn ApiTransport>;
}

/// The browser's address as the server determined it; a request extension.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// What the pages need to know of the installation.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Folder with `manifest.json`, or with the plain styles when nothing was built.
    pub assets_dir: PathBuf,
    /// Whether `/dev/mailbox` exists.
    pub dev_mailbox: bool,
    /// Where people reach this, without a slash at the end.
    pub base_url: String,
    /// Name of the cookie that a session has.
    pub session_cookie: String,
}

/// Pages, form posts and assets.
pub fn router(config: WebConfig, factory: Arc<dyn TransportFactory>) -> Router {
    routes::router(Site::new(config, factory))
}
