//! What a viewer sees: every control of an editor, disabled, with the role it needs. The API's own refusal is the server's test.

use axum::http::StatusCode;

use crate::{
    organisation::{member, pages},
    support::{ask, between, get, tags, text, values},
};

const WHY: &str = "Needs the role Editor; yours is Viewer.";
const WHY_ADMIN: &str = "Needs the role Admin; yours is Viewer.";

/// Who is told is decided by admins, and so is what logs in at a mail server; everything else by editors.
fn why(path: &str) -> &'static [&'static str] {
    if path.contains("/channels") || path.contains("/routes") || path.ends_with("/settings") {
        &[WHY_ADMIN]
    } else if path.contains("/servers/") {
        &[WHY, WHY_ADMIN]
    } else {
        &[WHY]
    }
}

async fn page(role: &'static str, path: &str) -> String {
    let (response, html, _) = ask(member(role), get(path)).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    html
}

/// What the buttons of a page say, in order.
fn words(html: &str) -> Vec<String> {
    html.split("<button").skip(1).filter_map(|rest| rest.split_once('>')?.1.split("</button>").next()).map(text).collect()
}

fn posting(html: &str) -> Vec<&str> {
    tags(html, "form").into_iter().filter(|form| form.contains("method=\"post\"")).flat_map(|form| values(form, "action")).collect()
}

#[tokio::test]
async fn a_viewer_can_send_no_form_of_the_organisation() {
    for path in pages() {
        let html = page("viewer", &path).await;
        assert_eq!(posting(&html), ["/logout"], "{path}");
        // A form that only asks is for everybody.
        let html =
            html.split_once("method=\"get\"").map_or(html.clone(), |(before, rest)| format!("{before}{}", rest.split_once("</form>").unwrap().1));
        for field in tags(&html, "input").into_iter().chain(tags(&html, "textarea")).chain(tags(&html, "select")) {
            let before = html.split(field).next().unwrap();
            assert!(
                (field.contains("type=\"checkbox\"") && field.contains(" disabled") && field.contains("aria-describedby=\"gate-"))
                    || tags(before, "fieldset").iter().filter(|set| set.contains(" disabled") && set.contains("\"gate\"")).count()
                        > before.matches("</fieldset>").count(),
                "{path}: {field}"
            );
        }
        assert!(!tags(&html, "a").iter().any(|link| link.contains("/add\"")), "{path} leads to a form");
    }
}

#[tokio::test]
async fn nothing_vanishes_and_every_disabled_control_names_the_role() {
    for path in pages() {
        let able = if why(&path) == [WHY] { "editor" } else { "admin" };
        let (viewer, editor) = (page("viewer", &path).await, page(able, &path).await);
        assert_eq!(words(&viewer), words(&editor), "{path}: the buttons are the same");
        let closed: Vec<&str> = tags(&viewer, "button").into_iter().filter(|button| button.contains("aria-disabled=\"true\"")).collect();
        let sent = posting(&editor).len() - 1;
        assert_eq!(closed.len(), sent, "{path}: each form of an editor is a disabled button");
        for button in closed {
            let said = why(&path).iter().find(|why| button.contains(**why));
            assert!(button.contains("type=\"button\"") && said.is_some(), "{path}: {button}");
            let hint = values(button, "aria-describedby")[0];
            assert!(text(between(&viewer, &format!(" id=\"{hint}\""), "</p>")).contains(said.unwrap()), "{path}: {hint} says why");
        }
        assert!(viewer.contains(WHY), "{path}");
        assert!(
            !editor.contains("aria-disabled") && !editor.contains("gate-") && !editor.contains("\"gate\""),
            "{path}: an editor is told nothing about roles"
        );
    }
}

#[tokio::test]
async fn editors_admins_and_owners_have_working_forms() {
    for role in ["editor", "admin", "owner"] {
        let html = page(role, "/o/acme/domains/dom_00000000000000000000000000000001").await;
        let base = "/o/acme/domains/dom_00000000000000000000000000000001";
        let all = ["/check", "/settings", "/settings", "/delete"].map(|rest| format!("{base}{rest}"));
        assert_eq!(posting(&html).into_iter().filter(|to| *to != "/logout").collect::<Vec<_>>(), all, "{role}");
    }
}
