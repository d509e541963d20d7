//! The page of an incident: what it is about and what to do, apart from what the same check found beside it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    organisation::{INCIDENT, member, smtp},
    support::{ask, between, get, tags, text},
};

/// The page of an incident about this.
async fn page(kind: &'static str, condition: &'static str, evidence: Value) -> String {
    let owner = member("owner");
    let script = move |request: &waypost_web::api::ApiRequest| {
        let (status, mut body) = owner(request);
        if request.path.ends_with(INCIDENT) {
            (body["kind"], body["condition"], body["evidence"]) = (json!(kind), json!(condition), evidence.clone());
        }
        (status, body)
    };
    let (response, html, _) = ask(script, get(&format!("/o/acme/incidents/{INCIDENT}"))).await;
    assert_eq!(response.status(), StatusCode::OK, "{html}");
    html
}

#[tokio::test]
async fn an_audits_incident_says_why_how_and_with_which_record() {
    let finding = |rule: &str, severity: &str| {
        json!({ "rule": rule, "severity": severity, "subject": "e.example", "summary": format!("{rule} was found"), "why": format!("Why of {rule}."), "fix": format!("Mend {rule}."),
            "record": { "kind": "TXT", "name": "e.example", "value": format!("v=spf1 {rule} -all") }, "reference": "RFC 7208" })
    };
    let evidence = json!({ "kind": "audit", "domain": "e.example", "score": 40, "grade": "D", "checks": {}, "records": {}, "unknown": [],
        "findings": [finding("spf.missing", "high"), finding("mtasts.mode", "medium"), finding("spf.note", "low")] });
    let html = page("audit", "spf", evidence).await;
    let told = text(between(&html, "id=\"h-do\"", "</section>"));
    for part in ["Why of spf.missing.", "Mend spf.missing.", "v=spf1 spf.missing -all"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("mtasts.mode") && !told.contains("spf.note"), "{told}");
    let beside = text(between(&html, "id=\"h-ev\"", "</section>"));
    assert!(beside.contains("Mend mtasts.mode.") && !beside.contains("Mend spf.missing."), "{beside}");
}

#[tokio::test]
async fn a_listings_incident_has_the_catalogs_way_off_the_list() {
    let entry = |subject: &str| json!({ "subject": subject, "list": "Example List", "zone": "dnsbl.example.org", "state": "listed", "codes": ["127.0.0.2"], "meaning": "spam", "reason": "", "severity": "critical" });
    let evidence = json!({ "kind": "blacklist", "target": "192.0.2.0/24", "entries": [entry("192.0.2.7"), entry("192.0.2.9")] });
    let html = page("blacklist", "192.0.2.7|critical", evidence.clone()).await;
    let guide = between(&html, "id=\"h-do\"", "</section>");
    assert!(tags(guide, "details")[0].contains("open"), "it is what the page is about");
    let told = text(guide);
    for part in ["192.0.2.7 is listed on Example List", "Run by Example Operator.", "Ask at the form.", "After 7 days."] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let html = page("blacklist", "network|critical", evidence).await;
    assert!(text(between(&html, "id=\"h-do\"", "</section>")).contains("2 addresses are listed on Example List"));
}

#[tokio::test]
async fn what_a_close_look_found_is_proven_by_it_and_not_by_the_conversation_beside_it() {
    let finding = json!({ "rule": "smtp.open_relay", "severity": "critical", "subject": "mx.example", "summary": "mx.example relays for strangers",
        "why": "Spam goes through it.", "fix": "Relay for your own networks only." });
    let said = |line: &str| json!([{ "at_ms": 1, "from": "client", "line": line }]);
    let look = |of_owner: bool, findings: Value, line: &str| json!({ "address": "192.0.2.25", "at": "2026-11-18T13:00:00Z", "of_owner": of_owner, "findings": findings, "unknown": [], "transcript": said(line) });
    let mut evidence = smtp();
    evidence["close_looks"] = json!([look(false, json!([]), "STARTTLS"), look(true, json!([finding]), "RCPT TO:<a@example.net>")]);
    let html = page("smtp", "close_look", evidence.clone()).await;
    let read = text(&html);
    assert!(read.contains("relays for strangers") && read.contains("Relay for your own networks only.") && read.contains("RCPT TO:"), "{read}");
    assert!(read.contains("Once a day: again after 19 Nov 2026") && !read.contains("Close look at what any client may ask"), "{read}");
    // The incident about the conversation is proven by that.
    let read = text(&page("smtp", "", evidence).await);
    assert!(!read.contains("relays for strangers") && !read.contains("RCPT TO:"), "{read}");
}

#[tokio::test]
async fn an_incident_that_flaps_says_why_it_stays_open_while_it_works() {
    let owner = member("owner");
    let script = move |request: &waypost_web::api::ApiRequest| {
        let (status, mut body) = owner(request);
        if request.path.ends_with(INCIDENT) {
            (body["flapping_since"], body["reopened"], body["status"]) = (json!("2026-11-18T13:00:00Z"), json!(2), json!("open"));
            let line = |event: &str, text: &str| json!({ "id": "tml_00000000000000000000000000000001", "at": "2026-11-18T13:00:00Z", "event": event, "text": text, "actor": null });
            body["timeline"] =
                json!([line("reopened", "It failed again 4 minutes after it had recovered."), line("flapping", "It keeps failing and coming back.")]);
        }
        (status, body)
    };
    let (response, html, _) = ask(script, get(&format!("/o/acme/incidents/{INCIDENT}"))).await;
    assert_eq!(response.status(), StatusCode::OK, "{html}");
    assert!(text(between(&html, "data-live=\"head\"", "class=\"grid\"")).contains("Flapping"), "{html}");
    let what = text(between(&html, "id=\"h-what\"", "</section>"));
    assert!(what.contains("It ends by itself once nothing has changed for a while"), "{what}");
    let details = text(between(&html, "id=\"h-i\"", "</section>"));
    assert!(details.contains("Opened again2 times") && details.contains("Flapping since"), "{details}");
    let story = text(between(&html, "class=\"timeline", "</ol>"));
    assert!(story.contains("Opened again") && story.contains("Flapping"), "{story}");
}

#[tokio::test]
async fn the_list_shows_what_is_not_over_and_narrows() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let script = || {
        let (owner, seen) = (member("owner"), asked.clone());
        move |request: &waypost_web::api::ApiRequest| {
            seen.lock().unwrap().push(request.path.clone());
            owner(request)
        }
    };
    let (response, html, _) = ask(script(), get("/o/acme/incidents")).await;
    assert_eq!(response.status(), StatusCode::OK, "{html}");
    let stages = text(between(&html, "aria-label=\"Stages\"", "</nav>"));
    for part in ["Active 1", "Acknowledged 0", "Resolved 3", "All 4"] {
        assert!(stages.contains(part), "{part}: {stages}");
    }
    let (_, html, _) = ask(script(), get("/o/acme/incidents?status=resolved&severity=critical&q=mx%261&cursor=c")).await;
    assert!(
        html.contains("value=\"mx&amp;1\"") && html.contains("href=\"/o/acme/incidents?severity=critical&amp;q=mx%261&amp;status=all\""),
        "{html}"
    );
    let asked = asked.lock().unwrap().clone();
    for path in [
        "/incidents?limit=50&status=active",
        "/incidents?limit=50&severity=critical&q=mx%261&status=resolved&cursor=c",
        "/incidents/counts?severity=critical&q=mx%261",
    ] {
        assert!(asked.iter().any(|one| one.ends_with(path)), "{path}: {asked:?}");
    }
    let (_, html, _) = ask(member("owner"), get("/o/empty/incidents")).await;
    assert!(text(&html).contains("No incidents"), "{html}");
}
