//! Requests that change something must come from our own pages, or from a program. Browsers say where a request comes from
//! (`Sec-Fetch-Site`, `Origin`); programs send neither.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{http::problem::ApiError, state::AppState};

/// Refuses unsafe requests of other sites. To stand outside of everything that changes something.
pub async fn refuse_cross_site(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || is_ours(request.headers(), &state.settings.base_url) {
        return next.run(request).await;
    }
    ApiError::CrossSite.into_response()
}

fn is_ours(headers: &HeaderMap, base_url: &str) -> bool {
    let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("cross-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    match headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null")) {
        None => true,
        Some(origin) if origin.eq_ignore_ascii_case(base_url) => true,
        // The same machine under another name of it, such as localhost for 127.0.0.1.
        Some(origin) => {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            text(&header::HOST).is_some_and(|host| !host.is_empty() && host.eq_ignore_ascii_case(authority))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_pages_and_programs_may_change_something() {
        let base = "https://waypost.example";
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://waypost.example")], false),
            (&[("origin", "https://waypost.example")], true),
            (&[("origin", "https://evil.example"), ("host", "waypost.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://localhost:3000"), ("host", "localhost:3000")], true),
        ];
        for (pairs, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_ours(&headers, base), *expected, "{pairs:?}");
        }
    }
}
