//! How findings, states, records and names read.

use waypost_web::api::ApiRequest;

use crate::{
    organisation::{ADDRESS, DOMAIN, INCIDENT, SERVER, member},
    support::{ask, between, get, tags, text},
};

async fn page(path: &str) -> String {
    ask(member("owner"), get(path)).await.1
}

#[tokio::test]
async fn the_strip_has_twelve_cells_whatever_an_audit_told() {
    // Its own listing and that of its host, and the look-up's one.
    for (path, listings) in [(format!("/o/acme/domains/{DOMAIN}"), "Blacklists2 listings"), ("/lookup/example.com".to_owned(), "Blacklists1 listing")]
    {
        let html = page(&path).await;
        let strip = between(&html, "<ul class=\"checks\">", "</ul>");
        assert_eq!(tags(strip, "li").len(), 12, "{path}");
        assert!(text(strip).contains("NSNot known"), "{path}: the audit says nothing of NS: {strip}");
        assert!(text(strip).contains(listings), "{path}: {strip}");
    }
}

#[tokio::test]
async fn a_grade_and_pending_exclude_each_other() {
    let html = page(&format!("/o/acme/domains/{DOMAIN}")).await;
    assert!(!between(&html, "id=\"h-g\"", "</section>").contains("Pending"));
    let html = page("/o/acme/domains").await;
    let (audited, fresh) = between(&html, "<tbody>", "</tbody>").split_once("</tr>").unwrap();
    assert!(audited.contains("class=\"grade\"") && !audited.contains("ending"), "{audited}");
    assert!(!fresh.contains("class=\"grade\"") && fresh.contains("Pending"), "{fresh}");
}

#[tokio::test]
async fn what_was_checked_once_and_is_not_confirmed_says_so() {
    let html = page(&format!("/o/acme/servers/{SERVER}")).await;
    let tile = between(&html, "</span>587</h3>", "</div>");
    assert!(tile.contains("Confirming") && !tile.contains("Pending"), "{tile}");
}

#[tokio::test]
async fn records_carry_their_proper_names_in_the_order_of_the_checks() {
    let html = page(&format!("/o/acme/domains/{DOMAIN}")).await;
    let heads: Vec<&str> = between(&html, "id=\"records\"", "</section>")
        .split("<div class=\"record-head\"><span class=\"strong\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(heads, ["SPF", "DMARC", "MTA-STS", "MTA-STS policy file", "MX", "NS"]);
    assert!(text(&html).contains("NSDid not answer in time"), "unknown parts too");
}

#[tokio::test]
async fn reasons_that_stand_alone_start_upper_case() {
    for path in [
        "/o/acme".to_owned(),
        "/o/acme/incidents".to_owned(),
        format!("/o/acme/servers/{SERVER}"),
        format!("/o/acme/incidents/{INCIDENT}"),
        format!("/o/acme/addresses/{ADDRESS}"),
    ] {
        let html = page(&path).await;
        for lower in [
            ">connection refused",
            ">certificate ends",
            ">two checks",
            ">accepted for",
            ">the address sent",
            ">critical<",
            ">pending",
            ">down<",
            ">smtp<",
            ". seen on",
        ] {
            assert!(!html.contains(lower), "{path}: {lower}");
        }
        assert!(text(&html).contains("restarting it") || !path.contains(INCIDENT), "what a person wrote stays as it is");
    }
}

#[tokio::test]
async fn an_international_name_is_shown_in_both_forms() {
    for path in ["/o/acme/domains".to_owned(), format!("/o/acme/domains/{DOMAIN}"), "/lookup/example.com".to_owned()] {
        let read = text(&page(&path).await);
        assert!(read.contains("münchen.example") && read.contains("xn--mnchen-3ya.example"), "{path}");
    }
}

#[tokio::test]
async fn lists_that_are_too_long_to_know_do_not_make_an_address_unwatched() {
    let script = |next: Option<&'static str>| {
        let others = member("owner");
        move |request: &ApiRequest| match request.path.as_str() {
            path if path.starts_with("/api/v1/orgs/acme/addresses?") => (200, serde_json::json!({ "items": [], "next": next })),
            path if path.ends_with("/outcome") => {
                (200, serde_json::json!({ "kind": "blacklist", "target": "xn--mnchen-3ya.example", "entries": [] }))
            }
            path if path.ends_with(DOMAIN) => {
                let (status, mut body) = others(request);
                body["listings"] = serde_json::json!([]);
                (status, body)
            }
            _ => others(request),
        }
    };
    for (next, word) in [(None, "BlacklistsNot watched"), (Some("more"), "BlacklistsNot known")] {
        let (_, html, _) = ask(script(next), get(&format!("/o/acme/domains/{DOMAIN}"))).await;
        assert!(text(between(&html, "<ul class=\"checks\">", "</ul>")).contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_overview_is_short_and_says_what_it_leaves_out() {
    let (_, html, _) = ask(member("owner"), get("/o/acme")).await;
    let tile = between(&html, "aria-labelledby=\"p25\"", "</section>");
    assert!(text(tile).contains("and 4 more") && tile.contains("href=\"/o/acme/servers\""), "{tile}");
    assert!(!text(between(&html, "aria-labelledby=\"p465\"", "</section>")).contains(" more"), "nothing is left out there");
    let incidents = between(&html, "id=\"h-inc\"", "</section>");
    assert!(incidents.contains("class=\"desc two-lines\""), "{incidents}");
    let (_, css, _) = ask(member("owner"), get("/assets/app.css")).await;
    assert!(between(&css, ".two-lines {", "}").contains("line-clamp: 2"));
}
