//! What a screen reader and a strict policy need of every page, whatever it shows.

use std::collections::HashSet;

use axum::http::StatusCode;

use crate::{
    organisation::{member, pages},
    support::{ask, get, tags, values},
};

async fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let public = ["/", "/login", "/signup", "/forgot", "/reset?token=x", "/verify?token=x", "/lookup/example.com", "/lookup/192.0.2.25", "/score"]
        .map(str::to_owned);
    for path in pages().into_iter().chain(public) {
        for role in ["viewer", "owner"] {
            let (response, html, _) = ask(member(role), get(&path)).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}: {html}");
            found.push((format!("{path} as {role}"), html));
        }
    }
    found
}

#[tokio::test]
async fn ids_are_unique_and_whatever_is_referred_to_exists() {
    for (page, html) in all().await {
        let ids = values(&html, "id");
        let unique: HashSet<&str> = ids.iter().copied().collect();
        let twice: Vec<&&str> = unique.iter().filter(|id| ids.iter().filter(|other| other == id).count() > 1).collect();
        assert!(twice.is_empty(), "{page}: {twice:?}");
        for attribute in ["aria-labelledby", "aria-describedby", "for", "data-copy", "popovertarget"] {
            for id in values(&html, attribute).into_iter().flat_map(str::split_whitespace) {
                assert!(unique.contains(id), "{page}: {attribute}={id}");
            }
        }
        for icon in tags(&html, "use").into_iter().flat_map(|icon| values(icon, "href")) {
            assert!(unique.contains(icon.trim_start_matches('#')), "{page}: {icon}");
        }
    }
}

#[tokio::test]
async fn every_field_has_a_label_every_table_a_caption_and_every_page_one_heading() {
    for (page, html) in all().await {
        let labelled: HashSet<&str> = values(&html, "for").into_iter().collect();
        let fields = tags(&html, "input").into_iter().chain(tags(&html, "textarea")).chain(tags(&html, "select"));
        for field in fields.filter(|field| !field.contains("type=\"hidden\"")) {
            assert!(values(field, "id").iter().all(|id| labelled.contains(id)) && field.contains(" id=\""), "{page}: {field}");
        }
        assert_eq!(tags(&html, "table").len(), tags(&html, "caption").len(), "{page}");
        assert_eq!(tags(&html, "h1").len(), 1, "{page}");
        assert_eq!(tags(&html, "main").len(), 1, "{page}");
        assert!(!html.contains(" style=\""), "{page}");
    }
}
