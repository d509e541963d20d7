//! All monitors on one page: asked for as the form says, and changed many at a time.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{RECORD, SERVICE, member},
    support::{ask, between, get, post, problem, tags, text, values},
};

/// The API that takes a change of many with this answer.
fn answering((status, body): (u16, Value)) -> impl Fn(&ApiRequest) -> (u16, Value) {
    move |request: &ApiRequest| if request.method == Method::Patch { (status, body.clone()) } else { member("editor")(request) }
}

#[tokio::test]
async fn the_list_is_asked_for_as_the_form_says_and_its_links_keep_that() {
    let (_, html, calls) = ask(member("viewer"), get("/o/acme/all?q=mail.&kind=imap&state=down&tag=Web&sort=slowest&cursor=abc")).await;
    let asked: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    assert!(asked.contains(&"/api/v1/orgs/acme/monitors?limit=50&q=mail.&kind=imap&state=down&tag=web&sort=slowest&cursor=abc"), "{asked:?}");
    // The states are what is chosen from: theirs are counted without the one that is chosen.
    assert!(asked.contains(&"/api/v1/orgs/acme/monitors/counts?q=mail.&kind=imap&tag=web"), "{asked:?}");
    let states = between(&html, "aria-label=\"States\"", "</nav>");
    assert!(text(states).contains("All 2") && text(states).contains("Failing 1") && text(states).contains("Up 1"), "{}", text(states));
    assert!(!text(states).contains("Paused"), "{}", text(states));
    assert!(states.contains("q=mail.&amp;kind=imap&amp;tag=web&amp;sort=slowest&amp;state=up"), "{states}");
    let form = between(&html, "role=\"search\"", "</form>");
    assert!(form.contains("value=\"mail.\"") && form.contains("name=\"state\" value=\"down\""), "{form}");
    // What fails comes first where nobody says otherwise, and what is no choice is not asked for.
    let (_, _, calls) = ask(member("viewer"), get("/o/acme/all?kind=pigeon&sort=best")).await;
    assert!(calls.iter().any(|call| call.path == "/api/v1/orgs/acme/monitors?limit=50&sort=worst"), "{calls:?}");
}

#[tokio::test]
async fn what_is_ticked_or_all_that_match_is_changed() {
    let done = json!({ "monitors": 2, "changed": 2, "tagged": 1, "interval_kept": 1, "full": 0 });
    let ticked = format!("of=ticked&expected=2&m.{SERVICE}=1&m.{RECORD}=1&checks=pause&interval_s=&add_tags=a%2C+b&remove_tags=");
    let all = "of=all&expected=12&checks=&interval_s=600&add_tags=&remove_tags=c";
    let filter = json!({ "q": "mail.", "kind": "imap", "tag": "", "services": false });
    let mut ids = [SERVICE, RECORD];
    ids.sort_unstable();
    for (form, sent) in [
        (
            ticked.as_str(),
            json!({ "of": { "monitors": ids }, "expected": null, "paused": true, "interval_s": null, "add_tags": ["a", "b"], "remove_tags": [] }),
        ),
        (all, json!({ "of": { "filter": filter }, "expected": 12, "paused": null, "interval_s": 600, "add_tags": [], "remove_tags": ["c"] })),
    ] {
        let (response, _, calls) = ask(answering((200, done.clone())), post("/o/acme/all?q=mail.&kind=imap&sort=target", form)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "/o/acme/all?q=mail.&kind=imap&sort=target&done=2.2.1.1.0");
        let patch = calls.iter().find(|call| call.method == Method::Patch).unwrap();
        assert_eq!((patch.path.as_str(), patch.body.as_ref().unwrap()), ("/api/v1/orgs/acme/monitors", &sent));
    }
    let (_, html, _) = ask(member("editor"), get("/o/acme/all?done=2.2.1.1.0")).await;
    let said = text(between(&html, "role=\"status\"", "</main>"));
    assert!(said.replace('\u{a0}', " ").contains("2 monitors are changed, and tags on 1 thing. 1 monitor keeps its interval"), "{said}");
    for nonsense in ["done=x", "done=1.2", "done=1.2.3.4.99999999999"] {
        let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/all?{nonsense}"))).await;
        assert!(!html.contains("role=\"status\""), "{nonsense}");
    }
}

#[tokio::test]
async fn a_change_that_can_not_be_made_keeps_what_was_ticked_and_typed() {
    let form = format!("of=ticked&expected=2&m.{SERVICE}=1&checks=resume&interval_s=600&add_tags=a+b&remove_tags=x");
    let (response, html, _) = ask(answering(problem(422, "No", &[("add_tags", "That is no tag.")])), post("/o/acme/all", &form)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let ticks: Vec<&str> = tags(&html, "input").into_iter().filter(|input| input.contains("name=\"m.")).collect();
    let ticked: Vec<&&str> = ticks.iter().filter(|input| input.contains(" checked")).collect();
    assert_eq!((ticks.len(), ticked.len()), (2, 1), "{ticks:?}");
    assert!(ticked[0].contains(SERVICE), "{ticked:?}");
    assert!(ticks.iter().all(|input| values(input, "form") == ["many"]));
    assert!(html.contains("id=\"many\""));
    assert!(text(between(&html, "id=\"h-many\"", "</section>")).contains("That is no tag."));
    assert!(html.contains("value=\"a b\""));
    // Nothing ticked is said without asking the API.
    let (response, html, calls) = ask(member("editor"), post("/o/acme/all", "of=ticked&checks=pause")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!calls.iter().any(|call| call.method == Method::Patch));
    assert!(text(&html).contains("Tick at least one monitor"));
    let (_, html, _) = ask(answering(problem(412, "Changed meanwhile", &[])), post("/o/acme/all", "of=all&expected=9&checks=pause")).await;
    assert!(text(between(&html, "role=\"alert\"", "</section>")).contains("nothing was changed"));
}

const TABLE: &str = "kind,target\ndomain,example.com\n";

fn import(outcomes: &[&str], dry_run: bool) -> (u16, Value) {
    let lines: Vec<Value> = (2..)
        .zip(outcomes)
        .map(|(line, outcome)| json!({ "line": line, "kind": "domain", "target": "<b>.example.com", "outcome": outcome }))
        .collect();
    (200, json!({ "lines": lines, "dry_run": dry_run }))
}

/// The API that takes a table with this answer.
fn taking(answer: (u16, Value)) -> impl Fn(&ApiRequest) -> (u16, Value) {
    move |request: &ApiRequest| if request.method == Method::Post { answer.clone() } else { member("editor")(request) }
}

/// A form with a file, as browsers send it.
fn upload(path: &str, csv: &str, file: &[u8]) -> axum::http::Request<axum::body::Body> {
    let mut body = format!("--edge\r\nContent-Disposition: form-data; name=\"csv\"\r\n\r\n{csv}\r\n--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.csv\"\r\nContent-Type: text/csv\r\n\r\n").into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let mut request = post(path, "");
    request.headers_mut().insert(header::CONTENT_TYPE, "multipart/form-data; boundary=edge".parse().unwrap());
    *request.body_mut() = body.into();
    request
}

#[tokio::test]
async fn a_table_is_taken_as_a_file_or_as_text_tried_first_and_carried_out() {
    let sent = |calls: &[ApiRequest]| calls.iter().find(|call| call.method == Method::Post).and_then(|call| call.body.clone());
    let (response, html, calls) =
        ask(taking(import(&["added", "changed", "same"], true)), upload("/o/acme/import/check", "", TABLE.as_bytes())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(sent(&calls), Some(json!({ "csv": TABLE, "dry_run": true })));
    let tried = between(&html, "id=\"tried\"", "</section>");
    assert!(text(tried).contains("Nothing is done yet.") && tried.contains("&lt;b&gt;.") && !tried.contains("<b>."), "{tried}");
    // What was in the file is in the form, so that it can be carried out without choosing the file again.
    assert!(between(&html, "name=\"csv\"", "</textarea>").contains("domain,example.com"));
    for (pasted, file, expected) in [("x", TABLE, TABLE), (TABLE, "", TABLE)] {
        let (response, _, calls) = ask(taking(import(&["added"], false)), upload("/o/acme/import", pasted, file.as_bytes())).await;
        assert_eq!(sent(&calls), Some(json!({ "csv": expected, "dry_run": false })));
        assert_eq!(response.headers()[header::LOCATION], "/o/acme/import?done=1.0.0");
    }
    let (_, html, _) = ask(member("editor"), get("/o/acme/import?done=1.2.0")).await;
    let said = text(between(&html, "role=\"status\"", "</main>")).replace('\u{a0}', " ");
    assert!(said.contains("1 thing is added, 2 are changed, 0 are as the table says already."), "{said}");
}

#[tokio::test]
async fn a_table_that_can_not_be_taken_stays_in_the_form_with_every_fault() {
    let faults = problem(422, "No", &[("csv", "Line 2, target: <no>"), ("csv", "Line 9, kind: no")]);
    let (response, html, _) = ask(taking(faults), upload("/o/acme/import", TABLE, b"")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let said = text(between(&html, "role=\"alert\"", "</ul>"));
    assert!(said.contains("Nothing was imported.") && said.contains("Line 2, target: &lt;no&gt;") && said.contains("Line 9, kind: no"), "{said}");
    assert!(between(&html, "name=\"csv\"", "</textarea>").contains("domain,example.com"));
    for (file, said) in [(&b"kind,target\ndomain,b\xfccher.example\n"[..], "CSV UTF-8"), (b"", "Choose a file")] {
        let (response, html, calls) = ask(member("editor"), upload("/o/acme/import", "", file)).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(text(&html).contains(said) && !calls.iter().any(|call| call.method == Method::Post), "{said}");
    }
}

#[tokio::test]
async fn what_is_up_and_has_an_open_incident_says_so_where_it_is_listed() {
    let with_one = |request: &ApiRequest| {
        let (status, mut body): (u16, Value) = member("viewer")(request);
        let open = json!({ "id": "inc_01890000000070008000000000000001", "severity": "critical", "count": 1 });
        if request.path.contains("/monitors?") {
            body["items"][0]["incident"] = open;
        } else if request.path.contains("/servers") && body["items"].is_array() {
            body["items"][0]["monitors"][0]["incident"] = open;
        }
        (status, body)
    };
    for page in ["/o/acme/all", "/o/acme/servers"] {
        let (_, html, _) = ask(with_one, get(page)).await;
        assert!(html.contains("href=\"/o/acme/incidents/inc_01890000000070008000000000000001\""), "{page}");
        assert!(text(&html).contains("1 open incident"), "{page}: {}", text(&html));
    }
}
