//! `GET /lookup/{name}/preview.png`: the picture that stands beside a shared link. It is drawn once per lookup, from the answer that is kept; where
//! none is, the lookup runs as it does for the page, under the same limits.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg,
};
use tokio::sync::Semaphore;
use waypost_render::preview::{Preview, SIZE};

use crate::{
    api::{lookup, targets},
    http::{client::ClientAddress, problem::ApiError},
    lookup::Asked,
    state::AppState,
};

/// Pictures drawn at once.
static DRAWING: Semaphore = Semaphore::const_new(2);
/// How long a visitor waits for a picture, for its turn and its drawing. Who shares a link asks again.
const WAIT: Duration = Duration::from_secs(5);
/// The fonts of this machine, read once. Without any the picture has no text, and still its grade.
static FONTS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    let has = |name: &str| fonts.faces().any(|face| face.families.iter().any(|(family, _)| family == name));
    if let Some(name) = ["Noto Sans", "DejaVu Sans", "Liberation Sans"].into_iter().find(|name| has(name)) {
        fonts.set_sans_serif_family(name);
    }
    options
});

/// The route, beside the pages.
pub fn routes() -> Router<AppState> {
    Router::new().route("/lookup/{name}/preview.png", get(picture))
}

async fn picture(State(state): State<AppState>, client: ClientAddress, path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Path(text) = path.map_err(|_| ApiError::NotFound)?;
    let asked = match lookup::bare(&text) {
        Some(address) => {
            state.lookups.check(address).map_err(|reason| ApiError::field("address", reason))?;
            Asked::Address(address)
        }
        None => Asked::Domain(targets::domain("domain", &text)?),
    };
    let (json, place) = if let Some(seen) = state.lookups.seen_lately(&asked) {
        seen
    } else {
        lookup::take(&state, client, &asked)?;
        state.lookups.with_picture(&asked).await?
    };
    let png = in_time(WAIT, place.get_or_try_init(|| drawn(&DRAWING, asked, json))).await??.clone();
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "public, max-age=300")], png).into_response())
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(limit, work).await.map_err(|_| ApiError::Busy { seconds: 10 })
}

async fn drawn(turns: &Semaphore, asked: Asked, json: Bytes) -> Result<Bytes, ApiError> {
    let _turn = turns.acquire().await.map_err(ApiError::internal)?;
    let work = tokio::task::spawn_blocking(move || {
        let preview = match asked {
            Asked::Domain(_) => serde_json::from_slice(&json).map(|found| Preview::of_domain(&found)),
            Asked::Address(_) => serde_json::from_slice(&json).map(|found| Preview::of_address(&found)),
        };
        png(&preview.map_err(|error| error.to_string())?.svg(), &FONTS)
    });
    work.await.map_err(ApiError::internal)?.map(Bytes::from).map_err(ApiError::internal)
}

fn png(svg: &str, fonts: &usvg::Options<'_>) -> Result<Vec<u8>, String> {
    let tree = usvg::Tree::from_str(svg, fonts).map_err(|error| error.to_string())?;
    let mut picture = Pixmap::new(SIZE.0, SIZE.1).ok_or("no memory for a picture")?;
    resvg::render(&tree, Transform::identity(), &mut picture.as_mut());
    picture.encode_png().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::Status;

    use super::*;

    fn preview(grade: Option<&str>) -> Preview {
        Preview {
            name: "mail.münchen.example".to_owned(),
            grade: grade.map(str::to_owned),
            status: if grade.is_some() { Status::Warn } else { Status::None },
            headline: "61 of 100, 3 things to mend".to_owned(),
            lines: vec![
                (Status::Bad, "Listed on Spamhaus ZEN and 2 more".to_owned()),
                (Status::Bad, "SPF needs 12 DNS lookups, 10 are allowed".to_owned()),
                (Status::Warn, "DMARC only watches: p=none".to_owned()),
            ],
        }
    }

    /// The width and height that the header of a PNG gives.
    fn size(png: &[u8]) -> (u32, u32) {
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[test]
    fn a_picture_has_the_size_that_pages_announce_and_is_no_blank() {
        let drawn = png(&preview(Some("C")).svg(), &FONTS).unwrap();
        assert_eq!(size(&drawn), SIZE);
        assert_ne!(drawn, png(&preview(None).svg(), &FONTS).unwrap());
        // For people to look at.
        std::fs::write(std::env::temp_dir().join("waypost-preview.png"), drawn).unwrap();
    }

    #[test]
    fn an_address_has_a_picture_too() {
        let found = serde_json::json!({
            "address": "2001:db8:85a3::8a2e:370:7334", "names": [], "reverse": { "status": "warn", "word": "Missing" }, "reverse_reason": "",
            "blacklists": { "target": "2001:db8:85a3::8a2e:370:7334", "lists": [], "subjects": 1, "entries": [{
                "subject": "2001:db8:85a3::8a2e:370:7334", "list": "Spamhaus ZEN", "zone": "zen.spamhaus.org", "state": "listed", "codes": ["127.0.0.3"],
                "meaning": "", "reason": "", "severity": "critical" }] },
            "complete": true, "checked_at": "2026-11-18T13:00:00Z", "took_ms": 2140 });
        let preview = Preview::of_address(&serde_json::from_value(found).unwrap());
        assert_eq!((preview.status, preview.headline.as_str()), (Status::Bad, "On one block list"));
        assert_eq!(preview.lines, [(Status::Bad, "Listed on Spamhaus ZEN".to_owned()), (Status::Warn, "Reverse name: Missing".to_owned())]);
        let drawn = png(&preview.svg(), &FONTS).unwrap();
        assert_eq!(size(&drawn), SIZE);
        std::fs::write(std::env::temp_dir().join("waypost-preview-address.png"), drawn).unwrap();
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_picture_is_told_when_to_come_back() {
        let (nobody_ends, asked) = (Semaphore::new(0), Asked::Address([192, 0, 2, 1].into()));
        let refused = in_time(Duration::from_millis(1), drawn(&nobody_ends, asked, Bytes::new())).await.unwrap_err().into_response();
        assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (503, &header::HeaderValue::from_static("10")));
    }

    #[test]
    fn without_fonts_the_grade_is_still_drawn() {
        let bare = usvg::Options::default();
        let (c, d) = (png(&preview(Some("C")).svg(), &bare).unwrap(), png(&preview(Some("D")).svg(), &bare).unwrap());
        assert_eq!(size(&c), SIZE);
        assert_ne!(c, d);
    }
}
