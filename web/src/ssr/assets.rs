//! Styles, scripts and the browser's part: read once at the start and served from memory, under names that carry their content.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

use super::encoding;

/// Used when nothing was built: the interface works without the browser's part.
const PLAIN: [(&str, &str); 4] = [
    ("tokens.css", include_str!("../../assets/tokens.css")),
    ("app.css", include_str!("../../assets/app.css")),
    ("ui.js", include_str!("../../assets/ui.js")),
    ("icon.svg", include_str!("../../assets/icon.svg")),
];
/// Codings and how their files end.
const CODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

#[derive(Debug)]
struct Asset {
    plain: Bytes,
    /// Compressed forms by coding, the smallest first.
    packed: Vec<(&'static str, Bytes)>,
    lasting: bool,
}

impl Asset {
    /// One that was compiled in.
    const fn compiled(text: &'static str) -> Self {
        Self { plain: Bytes::from_static(text.as_bytes()), packed: Vec::new(), lasting: false }
    }
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
            let packed = |(coding, end)| fs::read(folder.join(format!("{served}.{end}"))).ok().map(|bytes| (coding, bytes.into()));
            match fs::read(&path) {
                Ok(plain) if !served.contains(['/', '\\']) => {
                    files.insert(
                        served.clone(),
                        Asset { plain: plain.into(), packed: CODINGS.into_iter().filter_map(packed).collect(), lasting: true },
                    );
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
                files.insert(name.to_owned(), Asset::compiled(text));
            }
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
        let encoding = encoding::choose(asked, asset.packed.iter().map(|(coding, _)| *coding));
        let bytes = asset.packed.iter().find(|(coding, _)| Some(*coding) == encoding).map_or(&asset.plain, |(_, bytes)| bytes);
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
