//! Colours that people must be able to read, and assets before anything was built.

use std::{fs, path::Path};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use waypost_web::WebConfig;

use crate::{
    organisation::member,
    support::{ask, ask_with, config, get},
};

/// Relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The value of a token in the light and in the dark theme.
fn token<'a>(css: &'a str, name: &str) -> (&'a str, &'a str) {
    let (_, rest) = css.split_once(&format!("--{name}:")).unwrap_or_else(|| panic!("no --{name}"));
    let value = rest.split(';').next().unwrap().trim();
    match value.strip_prefix("light-dark(").and_then(|pair| pair.strip_suffix(')')).and_then(|pair| pair.split_once(',')) {
        Some((light, dark)) => (light.trim(), dark.trim()),
        None => (value, value),
    }
}

#[tokio::test]
async fn words_reach_their_contrast_in_both_themes() {
    let (_, css, _) = ask(member("owner"), get("/assets/tokens.css")).await;
    let pairs = [
        ("accent-fg", "accent-solid"),
        ("accent-fg", "accent-solid-hover"),
        ("accent", "surface"),
        ("text", "bg"),
        ("text-2", "surface-3"),
        ("text-3", "bg"),
        ("text-3", "surface"),
        ("text-3", "surface-2"),
    ];
    for (front, back) in pairs {
        let (front_of, back_of) = (token(&css, front), token(&css, back));
        for (theme, one, other) in [("light", front_of.0, back_of.0), ("dark", front_of.1, back_of.1)] {
            assert!(contrast(one, other) >= 4.5, "{front} on {back}, {theme}: {:.2}", contrast(one, other));
        }
    }
}

#[tokio::test]
async fn a_packed_asset_is_sent_only_to_who_takes_its_coding() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packed-assets");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in
        [("manifest.json", r#"{"app.css":"app.1.css"}"#), ("app.1.css", "plain"), ("app.1.css.br", "brotli"), ("app.1.css.gz", "gzip")]
    {
        fs::write(folder.join(name), bytes).unwrap();
    }
    for (accept, coding, sent) in [
        ("gzip, deflate, br", Some("br"), "brotli"),
        ("br;q=0, gzip", Some("gzip"), "gzip"),
        ("br;q=0, gzip;q=0", None, "plain"),
        ("identity", None, "plain"),
    ] {
        let request = Request::get("/assets/app.1.css").header(header::ACCEPT_ENCODING, accept).body(Body::empty()).unwrap();
        let (response, text) = ask_with(WebConfig { assets_dir: folder.clone(), ..config() }, request).await;
        assert_eq!(
            (response.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap()), text.as_str()),
            (coding, sent),
            "{accept}"
        );
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
    }
}

#[tokio::test]
async fn styles_are_served_before_anything_was_built() {
    let (response, text, _) = ask(member("owner"), get("/assets/app.css")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
    assert!(text.contains("@layer"));
    let (response, ..) = ask(member("owner"), get("/assets/..%2Fsrc%2Flib.rs")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
