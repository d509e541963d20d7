//! The page of a domain: what the score lost, the tree of SPF, the way to reject, the history, and its own settings.

use axum::http::StatusCode;
use serde_json::{Value, json};
use waypost_web::api::ApiRequest;

use crate::{
    organisation::{DOMAIN, member},
    support::{ask, between, get, post, problem, tags, text, values},
};

fn address() -> String {
    format!("/o/acme/domains/{DOMAIN}")
}

async fn page(path: &str) -> String {
    let (response, html, _) = ask(member("owner"), get(path)).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}: {html}");
    html
}

/// The API with one answer of another kind.
fn with(path: &'static str, answer: (u16, Value)) -> impl Fn(&ApiRequest) -> (u16, Value) + Send + Sync + 'static {
    let others = member("owner");
    move |request| if request.path.split('?').next().unwrap().ends_with(path) { answer.clone() } else { others(request) }
}

/// The domain of the organisation, changed.
fn altered(change: impl Fn(&mut Value) + Send + Sync + 'static) -> impl Fn(&ApiRequest) -> (u16, Value) + Send + Sync + 'static {
    let others = member("owner");
    move |request| {
        let (status, mut body) = others(request);
        if request.path.ends_with(DOMAIN) {
            change(&mut body);
        }
        (status, body)
    }
}

fn card<'a>(html: &'a str, id: &str) -> &'a str {
    between(html, &format!("<section id=\"{id}\""), "</section>")
}

#[tokio::test]
async fn the_best_next_fix_comes_first_and_each_leads_to_its_finding() {
    for path in [address(), "/lookup/example.com".to_owned()] {
        let html = page(&path).await;
        let lost = card(&html, "score");
        let read = text(lost);
        assert!(read.contains("−40SPF needs too many lookups Best next fix") && read.contains("mending gains 39: 100 of 100"), "{path}: {read}");
        assert!(
            read.contains("With the first 3 mended: 100 of 100, grade A.")
                && read.contains("gains together with others")
                && read.matches("Best next fix").count() == 1
        );
        assert_eq!(values(lost, "href").into_iter().filter(|to| to.starts_with("#fix-")).collect::<Vec<_>>(), ["#fix-f-0", "#fix-f-1"]);
        assert!(html.contains(" id=\"fix-f-0\"") && html.contains(" id=\"fix-f-1\""));
        assert!(lost.contains("href=\"/score\""));
    }
}

#[tokio::test]
async fn a_domains_own_listings_count_beside_those_of_its_hosts() {
    let strip = between(&page(&address()).await, "id=\"h-k\"", "</section>").to_owned();
    assert!(text(&strip).contains("Blacklists2 listings"), "{}", text(&strip));
}

#[tokio::test]
async fn the_table_of_the_score_is_the_apis() {
    let html = page("/score").await;
    let read = text(&html);
    for said in ["Version 1 of the table", "−40", "−20", "−8", "−2", "90 or more", "20 or more", "Advice"] {
        assert!(read.contains(said), "{said}: {read}");
    }
    let (response, ..) = ask(|_| problem(404, "", &[]), get("/score")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "no numbers of its own");
}

#[tokio::test]
async fn the_tree_names_services_counts_and_what_is_wrong_below() {
    for path in [address(), "/lookup/example.com".to_owned()] {
        let html = page(&path).await;
        let spf = card(&html, "spf");
        let read = text(spf);
        for said in [
            "12 of 10 lookups",
            "1 of 2 void lookups",
            "Mailers4\u{a0}lookups",
            "Newsletter &lt;b&gt;",
            "NXDOMAIN",
            "Passes",
            "No answer",
            "Soft fail",
        ] {
            assert!(read.contains(said), "{path}: {said} in {read}");
        }
        assert!(tags(spf, "details").iter().all(|fold| fold.contains(" id=\"")), "what was opened stays open when the page refreshes");
        assert!(read.contains("The addresses of Mailers change without notice"), "the proposal tells its risk");
    }
}

#[tokio::test]
async fn keys_are_told_apart_by_strength_and_age() {
    let read = text(card(&page(&address()).await, "dkim"));
    for said in ["RSA, 2048 bitGoodMailers", "RSA, 1024 bitWeak", "Revoked", "alias of mailers1.domainkey", "Named by hand", "Seen in mail"] {
        assert!(read.contains(said), "{said} in {read}");
    }
}

#[tokio::test]
async fn the_way_to_reject_marks_what_is_done_and_what_comes_next() {
    let html = page(&address()).await;
    let dmarc = card(&html, "dmarc");
    let read = text(dmarc);
    assert!(read.contains("1 of 3 done") && read.contains("None: forged mail is delivered") && read.contains("the domain's own record"), "{read}");
    assert_eq!(dmarc.matches("aria-current=\"step\"").count(), 1);
    assert!(between(dmarc, "aria-current=\"step\"", "</li>").contains("p=quarantine"), "{dmarc}");
    assert!(!dmarc.contains("v=DMARC1; p=none; rua"), "a record that is there already need not be copied");
}

#[tokio::test]
async fn a_policy_file_is_shown_in_its_lines() {
    let html = page(&address()).await;
    for place in [card(&html, "transport"), card(&html, "records")] {
        assert!(place.contains("mode: testing\r\nmx: mail.example.com") || place.contains("mode: testing\nmx: mail.example.com"), "{place}");
        assert!(!place.contains(" / "), "{place}");
    }
    let read = text(card(&html, "transport"));
    for said in ["Does not match", "Not trusted", "VMC by Example CA", "Testing: failures are only reported"] {
        assert!(read.contains(said), "{said} in {read}");
    }
}

#[tokio::test]
async fn the_history_reads_in_words_and_goes_on() {
    let html = page(&address()).await;
    let history = card(&html, "history");
    let read = text(history);
    for said in [
        "SPF changedMade things worse",
        "+Addedinclude:_spf.mailers.example may send now",
        "−Removed",
        "~Changed",
        "MTA-STS changed",
        "Before: v=spf1 mx ip4",
        "After: v=spf1 mx include",
    ] {
        assert!(read.contains(said), "{said} in {read}");
    }
    assert_eq!(read.matches("Made things worse").count(), 1);
    let next = format!("{}?history=old%20er#history", address());
    assert!(history.contains(&format!("href=\"{next}\"")), "{history}");
    let (_, older, calls) = ask(member("owner"), get(next.split('#').next().unwrap())).await;
    assert!(calls.iter().any(|call| call.path.ends_with("/history?limit=20&cursor=old%20er")), "{calls:?}");
    assert!(text(card(&older, "history")).contains("Newest changes"));
}

#[tokio::test]
async fn no_change_and_no_answer_are_told_apart() {
    for (answer, said) in
        [((200, json!({ "items": [], "next": null })), "No change seen since 18 Nov 2026"), (problem(500, "", &[]), "can not be shown right now")]
    {
        let (response, html, _) = ask(with("/history", answer), get(&address())).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(text(card(&html, "history")).contains(said), "{said}");
    }
}

#[tokio::test]
async fn the_domain_itself_stands_on_lists_now_and_before() {
    let html = page(&address()).await;
    let read = text(card(&html, "lists"));
    for said in ["1\u{a0}listing", "1 of 1 answered", "Domain List", "Still listed", "2\u{a0}d 1\u{a0}h", "The domain was seen in spam"] {
        assert!(read.contains(said), "{said} in {read}");
    }
    let (_, html, _) = ask(with("/outcome", (200, Value::Null)), get(&address())).await;
    assert!(text(card(&html, "lists")).contains("No scan to show yet"));
}

#[tokio::test]
async fn links_within_the_page_lead_to_what_is_there() {
    let whole = page(&address()).await;
    let (_, bare, _) = ask(
        altered(|domain| {
            let audit = &mut domain["audit"];
            for (name, empty) in [("detail", json!({})), ("lost", json!([])), ("mx_hosts", json!([])), ("records", json!({}))] {
                audit[name] = empty;
            }
        }),
        get(&address()),
    )
    .await;
    for (html, many) in [(&whole, 10), (&bare, 4)] {
        let ids = values(html, "id");
        let links = values(between(html, "aria-label=\"On this page\"", "</nav>"), "href");
        assert_eq!(links.len(), many, "{links:?}");
        assert!(links.iter().all(|to| ids.contains(&to.trim_start_matches('#'))), "{links:?}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_no_lack_of_knowledge() {
    let unscored = |unknown: Value| {
        altered(move |domain| {
            domain["audit"]["score"] = Value::Null;
            domain["audit"]["unknown"] = unknown.clone();
        })
    };
    let (_, html, _) = ask(unscored(json!([])), get(&address())).await;
    assert!(text(&html).contains("There is nothing to grade") && !text(&html).contains("too much is unknown"));
    let (_, html, _) = ask(unscored(json!([{ "subject": "mx", "reason": "no answer" }])), get(&address())).await;
    assert!(text(&html).contains("No score: too much is unknown"));
}

#[tokio::test]
async fn selectors_and_senders_are_sent_as_lists_and_only_when_they_changed() {
    let form = |selectors: &str, senders: &str| {
        format!("version=3&interval_s=3600&selectors={selectors}&senders={senders}&selectors_before=s2024&senders_before=192.0.2.80")
    };
    for (sent, patch) in [
        (form("s2024", "192.0.2.80%0D%0A"), json!({ "interval_s": 3600 })),
        (form("s2024%2C+k1%0D%0Ak2", "192.0.2.80"), json!({ "interval_s": 3600, "selectors": ["s2024", "k1", "k2"] })),
        (form("", "2001%3Adb8%3A%3A1"), json!({ "interval_s": 3600, "selectors": [], "senders": ["2001:db8::1"] })),
    ] {
        let (response, _, calls) = ask(|_| (200, json!({})), post(&format!("{}/settings", address()), &sent)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!((calls[0].body.clone(), calls[0].if_match), (Some(patch), Some(3)), "{sent}");
    }
}

#[tokio::test]
async fn a_refused_setting_is_told_at_its_field_and_what_was_typed_stays() {
    let refused = || {
        let others = member("owner");
        move |request: &ApiRequest| match request.method.as_str() {
            "PATCH" => problem(422, "", &[("selectors", "“a b” is no selector")]),
            _ => others(request),
        }
    };
    for (field, sent, said) in [
        ("selectors", "selectors=a%21b%3C%2Ftextarea%3E&senders=192.0.2.80&senders_before=192.0.2.80", "is no selector"),
        ("senders", "selectors=s2024&selectors_before=s2024&senders=mail.example.com", "“mail.example.com” is no IP address"),
    ] {
        let request = post(&format!("{}/settings", address()), &format!("version=3&interval_s=7200&{sent}"));
        let (response, html, _) = ask(refused(), request).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let settings = card(&html, "settings");
        assert!(text(between(settings, &format!("id=\"{field}-below\""), "</span>")).contains(said), "{settings}");
        let area = tags(settings, "textarea").into_iter().find(|area| area.contains(&format!("id=\"f-{field}\""))).unwrap();
        assert!(area.contains("aria-invalid=\"true\""), "{area}");
        assert!(html.contains(&format!("href=\"#f-{field}\"")), "the top of the page leads to the field");
        assert!(settings.contains("a!b&lt;/textarea&gt;</textarea>") || settings.contains("mail.example.com</textarea>"), "{settings}");
        assert!(between(settings, "id=\"f-interval_s\"", "</select>").contains("value=\"7200\" selected"), "{settings}");
    }
}

#[tokio::test]
async fn the_interval_is_that_of_the_audit() {
    let script = altered(|domain| domain["monitors"][0]["interval_s"] = json!(86_400));
    let (_, html, _) = ask(script, get(&address())).await;
    assert!(between(&html, "id=\"f-interval_s\"", "</select>").contains("value=\"3600\" selected"));
}

#[tokio::test]
async fn a_domain_is_proven_by_a_record_and_what_is_gone_is_said() {
    let said = async |verified: bool, seen_at: Value| {
        let script = altered(move |domain| {
            domain["ownership"]["verified"] = verified.into();
            domain["ownership"]["seen_at"] = seen_at.clone();
        });
        let (response, html, _) = ask(script, get(&address())).await;
        assert_eq!(response.status(), StatusCode::OK);
        let card = card(&html, "ownership").to_owned();
        (text(&card), card)
    };
    let (open, html) = said(false, Value::Null).await;
    assert!(open.contains("Not proven") && open.contains("waypost-verify=0123456789abcdef0123456789abcdef"), "{open}");
    assert!(html.contains("_waypost-verify.xn--mnchen-3ya.example") && !html.contains("<details"), "the record is shown at once");
    let (proven, html) = said(true, json!("2026-07-27T10:00:00Z")).await;
    assert!(proven.contains("Proven") && !proven.contains("Not proven") && html.contains("<details"), "{proven}");
    let (gone, _) = said(false, json!("2026-07-01T10:00:00Z")).await;
    assert!(gone.contains("Not proven") && gone.contains("Publish it again"), "{gone}");
}

#[tokio::test]
async fn a_listing_that_the_page_counts_and_the_grade_does_not_is_said_so() {
    for (held, said) in [
        (2, "No more than 89 while 2 listings stand."),
        (1, "No more than 89 while 1 listing stands. 1 more listing does not count: it is on a list that matters little for mail."),
    ] {
        let script = altered(move |body| body["audit"]["held"] = json!({ "most": 89, "without": 95, "count": held, "listings": [] }));
        let (_, html, _) = ask(script, get(&address())).await;
        let grade = text(between(&html, "id=\"h-g\"", "</section>"));
        assert!(grade.contains(said), "{grade}");
        assert_eq!(grade.contains("does not count"), held == 1, "{grade}");
        assert!(text(&html).contains("Blacklists2 listings"), "the strip of checks counts all of them");
    }
}

#[tokio::test]
async fn a_record_that_was_lost_is_shown_to_be_pasted_again() {
    let gone = json!([{ "rule": "spf.lookups", "subject": "xn--mnchen-3ya.example", "until": "2026-11-18T12:00:00Z",
        "record": { "kind": "TXT", "name": "xn--mnchen-3ya.example", "value": "v=spf1 include:xn--was-there.example -all" } }]);
    let (_, html, _) = ask(altered(move |body| body["audit"]["gone"] = gone.clone()), get(&address())).await;
    let fix = between(&html, "id=\"fix-f-0\"", "</details>");
    let read = text(fix);
    let was = read.find("The record that was there until 18 Nov 2026, 12:00 UTC.").unwrap_or_else(|| panic!("{read}"));
    let pasted = read.find("v=spf1 include:xn--was-there.example -all").unwrap_or_else(|| panic!("{read}"));
    assert!(was < pasted && pasted < read.find("Publish the record below.").unwrap(), "it comes before what the rule proposes: {read}");
    assert!(values(fix, "data-copy").contains(&"g-f-0") && values(fix, "data-copy").contains(&"r-f-0"), "{fix}");
    assert_eq!(text(&html).matches("was there until").count(), 1, "other findings miss nothing");
}

#[tokio::test]
async fn a_listing_from_before_the_first_look_is_said_to_be_so() {
    assert!(!page(&address()).await.contains("stood already"));
    let mut stays = crate::audited::stays();
    stays[0]["stood_before"] = json!(true);
    let listings = json!({ "items": stays, "next": null });
    let (_, html, _) = ask(with("/listings", (200, listings)), get(&address())).await;
    let lists = text(card(&html, "lists"));
    assert!(lists.contains("1 listing stood already when the domain was added. Since when is not known, and no incident was opened"), "{lists}");
}
