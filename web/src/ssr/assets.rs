//! Styles, scripts and the browser's part: read once at the start and served from memory, under names that carry their content.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

/// Used when nothing was built: the interface works without the browser's part.
const PLAIN: [(&str, &str); 3] = [
    ("tokens.css", include_str!("../../assets/tokens.css")),
    ("app.css", include_str!("../../assets/app.css")),
    ("ui.js", include_str!("../../assets/ui.js")),
];
const ICON: &str = include_str!("../../assets/icon.svg");

#[derive(Debug)]
struct Asset {
    plain: Vec<u8>,
    brotli: Option<Vec<u8>>,
    gzip: Option<Vec<u8>>,
    lasting: bool,
}

/// All assets by the name they are served under.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    files: Arc<HashMap<String, Asset>>,
    names: Arc<BTreeMap<String, String>>,
}

impl Assets {
    /// Reads the built folder; without a manifest the styles compiled into the program are served.
    pub(crate) fn load(folder: &Path) -> Self {
        let mut files = HashMap::new();
        let mut names: BTreeMap<String, String> =
            fs::read(folder.join("manifest.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        names.retain(|_, served| {
            let path = folder.join(&*served);
            // A compressed form that is not there is not served; the plain one always is.
            let beside = |end: &str| fs::read(folder.join(format!("{served}.{end}"))).ok();
            match fs::read(&path) {
                Ok(plain) if !served.contains(['/', '\\']) => {
                    files.insert(served.clone(), Asset { plain, brotli: beside("br"), gzip: beside("gz"), lasting: true });
                    true
                }
                _ => {
                    tracing::warn!(file = %path.display(), "an asset of the manifest can not be read");
                    false
                }
            }
        });
        for (name, text) in PLAIN {
            if !names.contains_key(name) {
                names.insert(name.to_owned(), name.to_owned());
                files.insert(name.to_owned(), Asset { plain: text.as_bytes().to_vec(), brotli: None, gzip: None, lasting: false });
            }
        }
        if !names.contains_key("icon.svg") {
            names.insert("icon.svg".to_owned(), "icon.svg".to_owned());
            files.insert("icon.svg".to_owned(), Asset { plain: ICON.as_bytes().to_vec(), brotli: None, gzip: None, lasting: false });
        }
        Self { files: Arc::new(files), names: Arc::new(names) }
    }

    /// The address of an asset, when it was built.
    pub(crate) fn url(&self, name: &str) -> Option<String> {
        self.names.get(name).map(|served| format!("/assets/{served}"))
    }

    /// Serves one.
    pub(crate) fn serve(&self, name: &str, asked: &HeaderMap) -> Response<Body> {
        let Some(asset) = self.files.get(name) else {
            let mut response = Response::new(Body::from("No such file.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        };
        let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (bytes, encoding) = match (&asset.brotli, &asset.gzip) {
            (Some(brotli), _) if accepted.contains("br") => (brotli, Some("br")),
            (_, Some(gzip)) if accepted.contains("gzip") => (gzip, Some("gzip")),
            _ => (&asset.plain, None),
        };
        let mut response = Response::new(Body::from(bytes.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let keep = if asset.lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
