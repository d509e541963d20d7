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
        (ticked.as_str(), json!({ "of": { "monitors": ids }, "expected": null, "paused": true, "interval_s": null, "add_tags": ["a", "b"], "remove_tags": [] })),
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
