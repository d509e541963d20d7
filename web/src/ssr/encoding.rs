//! Which compressed form of a file a browser takes (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, header};

/// Weights are thousandths, so that they compare exactly.
const FULL: u16 = 1000;

/// How much the browser wants this coding; 0 when it refuses it or does not name it.
fn weight(asked: &HeaderMap, coding: &str) -> u16 {
    let mut any = 0;
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for item in lists.flat_map(|list| list.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let given = quality.map_or(FULL, thousandths);
        if name.eq_ignore_ascii_case(coding) {
            return given;
        }
        if name == "*" {
            any = given;
        }
    }
    any
}

/// `0.5` is 500. What is no weight counts as a refusal: the plain form is right for everybody.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.trim().split_once('.').unwrap_or((quality.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" if fraction.bytes().all(|byte| byte == b'0') => FULL,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// The coding that the browser wants most of those that exist, best first; `None` is the plain form.
pub(super) fn choose(asked: &HeaderMap, exist: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let mut best = (0, None);
    for coding in exist {
        let weight = weight(asked, coding);
        if weight > best.0 {
            best = (weight, Some(coding));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn weights_are_respected() {
        for (accept, taken) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("br;q=0, gzip", Some("gzip")),
            ("br;q=0.0, gzip; q=0", None),
            ("br;q=0.5, gzip;q=0.501", Some("gzip")),
            ("BR", Some("br")),
            ("*", Some("br")),
            ("*;q=0.5, br;q=0", Some("gzip")),
            ("*;q=0", None),
            ("identity", None),
            ("brotli, x-gzip", None),
            ("br;q=often, gzip;q=2", None),
            ("br;q=1.5, gzip;q=1.000", Some("gzip")),
            ("", None),
        ] {
            let asked = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
            assert_eq!(choose(&asked, ["br", "gzip"]), taken, "{accept}");
        }
        assert_eq!(choose(&HeaderMap::new(), ["br", "gzip"]), None);
    }

    #[test]
    fn only_what_exists_is_chosen_and_several_headers_are_one_list() {
        let mut asked = HeaderMap::new();
        asked.append(header::ACCEPT_ENCODING, HeaderValue::from_static("br"));
        asked.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0.2"));
        assert_eq!(choose(&asked, ["br", "gzip"]), Some("br"));
        assert_eq!(choose(&asked, ["gzip"]), Some("gzip"));
        assert_eq!(choose(&asked, []), None);
    }
}
