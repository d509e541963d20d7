//! Block lists: the scan of an address and of a network, what to do, the history, the choice of lists, and the look-up of an address.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::Method;

use crate::{
    organisation::{ADDRESS, NETWORK, member},
    support::{ask, between, get, post, problem, tags, text, values},
};

async fn page(path: &str) -> String {
    let (response, html, _) = ask(member("owner"), get(path)).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}: {html}");
    html
}

#[tokio::test]
async fn a_listing_says_in_one_click_what_to_do_about_it() {
    let html = page(&format!("/o/acme/addresses/{ADDRESS}")).await;
    let guide = between(&html, "id=\"h-guide\"", "</section>");
    let said = text(guide);
    for part in [
        "192.0.2.25 is listed on Example List",
        "Senders of spam. Run by Example Operator.",
        "The address sent spam 127.0.0.2",
        "“seen on 17 Nov”",
        "Many receivers refuse on it.",
        "Ask at the form.",
        "After 7 days.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(guide.contains("href=\"https://example.org/remove\" rel=\"noopener noreferrer\""), "{guide}");
    assert!(!html.contains("http://insecure.example"), "only https is linked");
    let to = values(&html, "href").into_iter().find(|to| to.starts_with("#guide-")).unwrap();
    assert!(values(guide, "id").contains(&to.trim_start_matches('#')), "the link of the table leads into the guide: {to}");
}

#[tokio::test]
async fn a_network_shows_its_listed_addresses_against_the_lists_that_have_something_to_say() {
    let html = page(&format!("/o/acme/addresses/{NETWORK}")).await;
    let grid = between(&html, "<table class=\"table dense matrix\">", "</table>");
    assert_eq!(tags(grid, "tr").len(), 1 + 3, "a head and the three listed addresses: {grid}");
    let said = text(grid);
    assert!(said.contains("Example List3 of 256") && said.contains("Partly Silent1 of 256"), "{said}");
    assert!(!said.contains("Quiet List") && !said.contains("Dead List"), "{said}");
    assert!(said.contains("198.51.100.7") && said.contains("198.51.100.200"), "{said}");
    let row = grid.split("<tr>").find(|row| row.contains(">198.51.100.200<")).unwrap();
    assert!(text(row).contains("No answer"), "untold is no all-clear: {row}");
    let row = grid.split("<tr>").find(|row| row.contains(">198.51.100.9<")).unwrap();
    assert!(text(row).contains("Clean"), "{row}");
    let all = text(&html);
    assert!(all.contains("1\u{a0}list clean for all 256\u{a0}addresses"), "{all}");
    assert!(all.contains("Dead List") && all.contains("198.51.100.128-198.51.100.255"), "{all}");
}

#[tokio::test]
async fn all_addresses_of_a_network_are_shown_in_blocks() {
    let html = page(&format!("/o/acme/addresses/{NETWORK}?show=all")).await;
    let grid = between(&html, "<table class=\"table dense matrix\">", "</table>");
    assert_eq!((tags(grid, "tbody").len(), tags(grid, "tr").len()), (8, 1 + 8 + 256));
    assert!(text(grid).contains("198.51.100.0 – 198.51.100.312 listed"), "{}", text(grid));
    let chosen = tags(&html, "a").into_iter().find(|link| link.contains("?show=all")).unwrap();
    assert!(chosen.contains("aria-current=\"true\""), "{chosen}");
}

#[tokio::test]
async fn the_history_tells_from_when_to_when_and_what_is_still_there() {
    let html = page(&format!("/o/acme/addresses/{ADDRESS}")).await;
    let past = between(&html, "id=\"h-past\"", "</section>");
    assert_eq!(tags(past, "tr").len(), 3);
    let said = text(past);
    assert!(said.contains("Still listed") && said.contains("127.0.0.2") && said.contains("“see &lt;b&gt;”"), "{said}");
    assert_eq!(tags(past, "time").len(), 3, "two beginnings and one end");
}

#[tokio::test]
async fn what_stood_before_the_address_was_added_is_said_not_to_have_been_told() {
    let html = page(&format!("/o/acme/addresses/{ADDRESS}")).await;
    assert!(!html.contains("stood already") && !html.contains("Stood at the first look"));
    let script = |request: &waypost_web::api::ApiRequest| {
        let (status, mut body) = member("owner")(request);
        if request.path.ends_with("/listings") {
            for listing in body["items"].as_array_mut().unwrap() {
                listing["stood_before"] = json!(true);
            }
        }
        (status, body)
    };
    let (_, html, _) = ask(script, get(&format!("/o/acme/addresses/{ADDRESS}"))).await;
    let lists = text(between(&html, "id=\"h-lists\"", "</section>"));
    // One of the two stays is over.
    assert!(lists.contains("1 listing stood already when the address was added. Since when is not known, and no incident was opened"), "{lists}");
    let past = text(between(&html, "id=\"h-past\"", "</section>"));
    assert_eq!(past.matches("Before 1 Nov 2026, 13:00 UTC").count(), 2, "{past}");
    assert_eq!(past.matches("Stood at the first look: not told").count(), 1, "what is over is in nobody's baseline any more: {past}");
    assert!(past.contains("Over 2\u{a0}d"), "{past}");
}

#[tokio::test]
async fn where_an_address_comes_from_is_said_in_words() {
    for (source, words, again) in [
        ("manual", "Added by hand", false),
        ("mx", "Found by the MX records", true),
        ("web", "Found as a web address", true),
        ("server", "Belongs to a mail server", false),
    ] {
        let script = move |request: &_| {
            let (status, mut body) = member("owner")(request);
            if let Some(field) = body.get_mut("source") {
                *field = json!(source);
            }
            (status, body)
        };
        let (_, html, _) = ask(script, get(&format!("/o/acme/addresses/{ADDRESS}"))).await;
        let html = text(&html);
        assert!(html.contains(words), "{source}");
        assert_eq!(html.contains("the next audit brings it back"), again, "{source}");
    }
}

#[tokio::test]
async fn the_page_of_an_address_stands_without_catalog_and_history() {
    let script = |request: &waypost_web::api::ApiRequest| {
        if request.path.ends_with("/lists") || request.path.ends_with("/listings") { problem(500, "Broken.", &[]) } else { member("owner")(request) }
    };
    let (response, html, _) = ask(script, get(&format!("/o/acme/addresses/{ADDRESS}"))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(html.contains("The history could not be loaded") && html.contains("is listed on Example List"));
}

#[tokio::test]
async fn a_choice_is_put_with_its_version_and_keeps_private_lists() {
    let (response, _, calls) = ask(member("owner"), post("/o/acme/lists", "version=4&before=example&ask-keyed=1")).await;
    assert_eq!((response.status(), &response.headers()[header::LOCATION]), (StatusCode::SEE_OTHER, &"/o/acme/lists?saved=lists".parse().unwrap()));
    let put = calls.iter().find(|call| call.method == Method::Put).unwrap();
    assert_eq!((put.path.as_str(), put.if_match), ("/api/v1/orgs/acme/lists", Some(4)));
    let body = put.body.as_ref().unwrap();
    assert_eq!((&body["on"], &body["off"]), (&json!(["gone", "keyed"]), &json!(["example"])), "ids that this page does not know stay");
    assert_eq!(body["custom"][0]["zone"], "bl.acme.example");
}

#[tokio::test]
async fn the_lists_page_shows_what_is_asked_and_never_a_key() {
    let html = page("/o/acme/lists").await;
    let input = |id: &str| tags(&html, "input").into_iter().find(|input| input.contains(&format!(" id=\"{id}\""))).unwrap().to_owned();
    assert!(input("ask-example").contains("checked") && !input("ask-keyed").contains("checked"));
    assert!(input("ask-hashes").contains("disabled"), "what can not be asked can not be switched on");
    let key = input("key-keyed");
    assert!(key.contains("type=\"password\"") && !key.contains(" value="), "{key}");
    assert!(text(&html).contains("A change counts from the next scan on."));
    assert!(text(between(&html, "id=\"h-private\"", "</section>")).contains("Ours"));
    assert!(page("/o/acme/addresses").await.contains("href=\"/o/acme/lists\""));
}

#[tokio::test]
async fn a_refused_private_list_comes_back_with_its_words_and_the_reason_at_the_field() {
    let script = |request: &waypost_web::api::ApiRequest| match request.method {
        Method::Put => problem(422, "", &[("custom", "zen.spamhaus.org belongs to Spamhaus ZEN, which is in the catalog: switch it on there.")]),
        _ => member("owner")(request),
    };
    let (response, html, calls) =
        ask(script, post("/o/acme/lists/custom", "version=4&zone=zen.spamhaus.org&name=Mine+%3Cb%3E&ip6=1&severity=high")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let input = tags(&html, "input").into_iter().find(|input| input.contains("id=\"f-zone\"")).unwrap();
    assert!(input.contains("value=\"zen.spamhaus.org\"") && input.contains("aria-invalid=\"true\""), "{input}");
    assert!(text(&html).contains("which is in the catalog"));
    assert!(html.contains("value=\"Mine &lt;b&gt;\""), "the words are kept");
    let sent = calls.iter().find(|call| call.method == Method::Put).and_then(|call| call.body.clone()).unwrap();
    assert_eq!(sent["custom"][1], json!({ "zone": "zen.spamhaus.org", "name": "Mine <b>", "kinds": ["ip6"], "severity": "high" }));
    let (response, html, calls) = ask(member("owner"), post("/o/acme/lists/custom", "version=4&zone=a+b")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("id=\"zone-below\"") && calls.iter().all(|call| call.method == Method::Get));
}

#[tokio::test]
async fn a_key_goes_to_its_list_and_never_comes_back() {
    let (response, _, calls) = ask(
        |request: &waypost_web::api::ApiRequest| if request.method == Method::Put { (204, Value::Null) } else { member("owner")(request) },
        post("/o/acme/lists/key", "list=keyed&key=secret-key"),
    )
    .await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/lists?saved=key");
    assert_eq!((calls[0].path.as_str(), calls[0].body.clone()), ("/api/v1/orgs/acme/lists/keys/keyed", Some(json!({ "key": "secret-key" }))));
    let script = |request: &waypost_web::api::ApiRequest| {
        if request.method == Method::Put { problem(422, "", &[("key", "A key has 4 to 63 letters.")]) } else { member("owner")(request) }
    };
    let (response, html, _) = ask(script, post("/o/acme/lists/key", "list=keyed&key=hunter2")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("A key has 4 to 63 letters.") && !html.contains("hunter2"));
    assert!(html.contains("id=\"key-keyed-below\""));
}

#[tokio::test]
async fn somebody_elses_change_of_the_lists_is_said() {
    let script =
        |request: &waypost_web::api::ApiRequest| if request.method == Method::Put { problem(412, "", &[]) } else { member("owner")(request) };
    for (path, form) in [("/o/acme/lists", "version=3&ask-example=1"), ("/o/acme/lists/custom", "version=3&zone=bl.example.net&ip4=1")] {
        let (response, html, _) = ask(script, post(path, form)).await;
        assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED, "{path}");
        assert!(html.contains("Somebody else changed the lists"), "{path}");
    }
    // What was entered is there again, and based on what is there now.
    let (_, html, _) = ask(script, post("/o/acme/lists/custom", "version=3&zone=bl.example.net&ip6=1&severity=low&name=Mine")).await;
    let form = between(&html, "action=\"/o/acme/lists/custom\"", "</form>");
    for part in ["value=\"bl.example.net\"", "value=\"Mine\"", "name=\"version\" value=\"4\""] {
        assert!(form.contains(part), "{part}: {form}");
    }
    let on = |html: &str, list: &str| {
        tags(html, "input").into_iter().find(|input| input.contains(&format!("name=\"ask-{list}\""))).unwrap().contains("checked")
    };
    // “example” was switched off here; “keyed” was left off, whoever switches it on meanwhile.
    let (_, html, _) = ask(script, post("/o/acme/lists", "version=3&before=example")).await;
    assert!(!on(&html, "example"));
    let (_, html, _) = ask(script, post("/o/acme/lists", "version=3&before=keyed&ask-keyed=1")).await;
    assert!(on(&html, "example"), "not touched, so as it is now");
    assert!(!on(&html, "keyed"), "not touched, so as it is now");
    let (_, html, _) = ask(script, post("/o/acme/lists", "version=3&before=example&ask-example=1&ask-keyed=1")).await;
    assert!(on(&html, "keyed"), "switched on here");
}

#[tokio::test]
async fn a_choice_leaves_alone_what_it_did_not_touch() {
    let script = |request: &waypost_web::api::ApiRequest| if request.method == Method::Put { (200, json!({})) } else { member("owner")(request) };
    let (_, _, calls) = ask(script, post("/o/acme/lists", "version=4&before=&ask-keyed=1")).await;
    let sent = calls.iter().find(|call| call.method == Method::Put).unwrap().body.clone().unwrap();
    assert_eq!((&sent["off"], &sent["on"]), (&json!([]), &json!(["gone", "keyed"])));
}

#[tokio::test]
async fn an_address_is_looked_up_where_a_domain_is() {
    for (typed, to) in [
        ("192.0.2.25", "/lookup/192.0.2.25"),
        ("%5B2001%3Adb8%3A%3A25%5D", "/lookup/2001%3Adb8%3A%3A25"),
        ("%3A%3Affff%3A192.0.2.25", "/lookup/192.0.2.25"),
    ] {
        let (response, ..) = ask(member("owner"), get(&format!("/lookup?domain={typed}"))).await;
        assert_eq!(response.headers()[header::LOCATION], to);
    }
    let (response, html, calls) = ask(member("owner"), get("/lookup/192.0.2.25")).await;
    assert_eq!((response.status(), calls[0].path.as_str()), (StatusCode::OK, "/api/v1/lookup/address/192.0.2.25"));
    let said = text(&html);
    for part in ["1\u{a0}listing on block lists.", "does not lead back to 192.0.2.25", "mail.example.com", "192.0.2.25 is listed on Example List"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let script =
        |_: &_| problem(422, "", &[("address", "10.0.0.1 is a private address: it is not on the public internet, so no block list knows it.")]);
    let (response, html, _) = ask(script, get("/lookup/10.0.0.1")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("is a private address") && html.contains("value=\"10.0.0.1\""));
}

#[tokio::test]
async fn what_many_subjects_have_in_common_is_told_by_list() {
    let script = |request: &waypost_web::api::ApiRequest| {
        let (status, mut body) = member("owner")(request);
        if request.path.ends_with("lookup/example.com") {
            let entry = |subject: &str, list: &str, state: &str| {
                json!({ "subject": subject, "list": list, "zone": format!("{list}.example.org"), "state": state, "codes": [],
                "meaning": "", "reason": "", "severity": "high" })
            };
            let subjects = ["example.com", "192.0.2.25", "192.0.2.26", "2001:db8::25"];
            let all = subjects.iter().flat_map(|subject| [entry(subject, "quiet", "clean"), entry(subject, "dead", "unknown")]);
            body["blacklists"] = all.chain([entry("example.com", "loud", "listed"), entry("192.0.2.25", "loud", "listed")]).collect();
        }
        (status, body)
    };
    let (_, html, _) = ask(script, get("/lookup/example.com")).await;
    let lists = between(&html, "id=\"h-lists\"", "</section>");
    assert_eq!(tags(lists, "tr").len(), 3 + 2 + 2, "three heads, two listings, and one row for each other list: {lists}");
    let said = text(lists);
    for part in ["2\u{a0}listings, 2 of 3 answered", "Clean answers of 1 list", "4 of them", "1 list could not tell"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(text(&html).contains("2 names and addresses are listed on loud"));
    // A good score beside it must not hide them.
    assert!(html.contains("to mend. 2\u{a0}listings on block lists."));
}

#[tokio::test]
async fn lookups_say_to_other_sites_what_they_show() {
    for (path, own, said) in [
        ("/lookup/example.com", "http://localhost/lookup/xn--mnchen-3ya.example", "Grade C, 61 of 100. SPF needs 12 DNS lookups"),
        ("/lookup/192.0.2.25", "http://localhost/lookup/192.0.2.25", "1\u{a0}listing on block lists."),
    ] {
        let html = page(path).await;
        let meta = |name: &str| {
            let tag =
                tags(&html, "meta").into_iter().find(|tag| tag.contains(&format!("=\"{name}\""))).unwrap_or_else(|| panic!("{path}: no {name}"));
            values(tag, "content")[0].to_owned()
        };
        assert_eq!(meta("og:url"), own);
        assert_eq!(meta("og:image"), format!("{own}/preview.png"));
        assert_eq!(meta("twitter:card"), "summary_large_image");
        assert!(meta("og:description").starts_with(said), "{}", meta("og:description"));
        assert!(!meta("og:title").is_empty());
    }
    let (_, html, _) = ask(member("owner"), get("/login")).await;
    assert!(!html.contains("og:"), "other pages have nothing to share");
}
