//! The people of an organisation, and the link of an invitation.

use axum::http::StatusCode;
use serde_json::json;
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::member,
    support::{ask, between, get, post, problem, text},
};

async fn team(role: &'static str) -> String {
    let (response, html, _) = ask(member(role), get("/o/acme/team")).await;
    assert_eq!(response.status(), StatusCode::OK, "{html}");
    html
}

/// The row of somebody.
fn row<'a>(html: &'a str, email: &str) -> &'a str {
    between(html, "id=\"h-members\"", "</section>").split("<tr>").find(|row| row.contains(email)).unwrap_or_else(|| panic!("{email}: {html}"))
}

#[tokio::test]
async fn each_role_is_offered_what_it_may_do() {
    let of = |role: &'static str| async move { team(role).await };
    let owner = of("owner").await;
    assert!(row(&owner, "ed@example.com").contains("<option value=\"owner\"") && row(&owner, "owner+").contains("/team/remove"), "{owner}");
    assert!(owner.contains("owner+&lt;b&gt;@example.com") && !owner.contains("<b>@example.com"));
    let admin = of("admin").await;
    let row_of = row(&admin, "ed@example.com");
    assert!(
        row_of.contains("<option value=\"admin\"") && !row_of.contains("<option value=\"owner\"") && row_of.contains("Remove ed@example.com"),
        "{row_of}"
    );
    assert!(!row(&admin, "owner+").contains("<form"), "an admin does nothing to an owner");
    assert!(!between(&admin, "id=\"f-role\"", "</select>").contains("owner"), "nor invites one");
    for role in ["viewer", "editor"] {
        let html = of(role).await;
        assert!(!row(&html, "ed@example.com").contains("<form") && !row(&html, "owner+").contains("<form"), "{role}: {html}");
        assert!(row(&html, "ops@example.com").contains("Leave the organisation"), "everybody may leave");
        assert!(!html.contains("action=\"/o/acme/team\"") && !html.contains("action=\"/o/acme/team/withdraw\""), "{role}: {html}");
        assert!(text(&html).contains("Needs the role Admin"), "{role}");
    }
    let waiting = text(between(&owner, "id=\"h-invited\"", "</section>"));
    assert!(waiting.contains("1 waiting, 1 expired") && waiting.contains("Expired 1 Jan 2020"), "{waiting}");
    let matrix = between(&owner, "id=\"h-roles\"", "</section>");
    assert_eq!((matrix.matches(">Yes").count(), matrix.matches(">No").count()), (15, 9), "{matrix}");
}

#[tokio::test]
async fn what_was_typed_wrong_is_said_at_the_field() {
    let owner = member("owner");
    let script = move |request: &ApiRequest| {
        if request.method == Method::Post && request.path.ends_with("/invitations") {
            return problem(409, "They are a member already.", &[("email", "They are a member already.")]);
        }
        owner(request)
    };
    let (response, html, _) = ask(script, post("/o/acme/team", "email=ed%40example.com&role=admin")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{html}");
    let form = between(&html, "action=\"/o/acme/team\"", "</form>");
    assert!(
        form.contains("value=\"ed@example.com\"") && text(form).contains("They are a member already.") && form.contains("value=\"admin\" selected"),
        "{form}"
    );
}

/// The API as somebody with this invitation meets it.
fn invited(has_account: bool, signed_in: bool) -> impl Fn(&ApiRequest) -> (u16, serde_json::Value) + Send + Sync + 'static {
    move |request| {
        assert!(request.path.ends_with("/invitations/look"), "{}", request.path);
        (
            200,
            json!({ "organisation": "Acme <i>", "email": "new@example.com", "role": "editor", "invited_by": "ops@example.com", "expires_at": "2999-01-01T00:00:00Z",
            "has_account": has_account, "signed_in": signed_in }),
        )
    }
}

#[tokio::test]
async fn a_link_leads_to_joining_in_the_way_that_fits() {
    let show = |has_account, signed_in| async move { ask(invited(has_account, signed_in), get("/invitation?token=a%2Bb")).await.1 };
    let new = show(false, false).await;
    assert!(new.contains("Join Acme &lt;i&gt;") && new.contains("autocomplete=\"new-password\"") && new.contains("value=\"a+b\""), "{new}");
    let known = show(true, false).await;
    assert!(known.contains("href=\"/login?next=%2Finvitation%3Ftoken%3Da%252Bb\"") && !known.contains("type=\"password\""), "{known}");
    let ready = show(true, true).await;
    assert!(ready.contains("action=\"/invitation\"") && !ready.contains("type=\"password\""), "{ready}");
    let gone = |_: &ApiRequest| problem(422, "", &[("token", "This invitation was used.")]);
    let (response, html, _) = ask(gone, get("/invitation?token=x")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("This invitation was used."), "{html}");
}
