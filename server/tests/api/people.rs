//! Members, invitations and the roles between them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use waypost_worker::SignupPolicy;

use crate::support::{Client, PASSWORD, Server, server, server_where};

/// The link of the newest mail to that address.
async fn link(server: &Server, email: &str) -> String {
    let texts = server.text("SELECT string_agg(recipient || E'\\n' || (message->>'text'), E'\\x01' ORDER BY id) FROM account_mail WHERE message->>'text' LIKE '%/invitation?token=%'").await;
    let mine = texts.split('\u{1}').rfind(|mail| mail.starts_with(&format!("{email}\n"))).unwrap_or_else(|| panic!("no mail to {email}: {texts}"));
    mine.split("/invitation?token=").nth(1).unwrap().split(|c: char| c.is_whitespace()).next().unwrap().to_owned()
}

/// An owner whose address is proven.
async fn owner<'a>(server: &'a Server, name: &str) -> (Client<'a>, String) {
    let (client, org) = server.member(name).await;
    server.sql(format!("UPDATE users SET email_verified_at = now() WHERE email = '{name}@example.com'")).await;
    (client, org)
}

/// Somebody new who came by invitation.
async fn joined<'a>(server: &'a Server, host: &mut Client<'_>, org: &str, name: &str, role: &str) -> (Client<'a>, String) {
    let email = format!("{name}@example.com");
    let invited = host.post(&format!("/api/v1/orgs/{org}/invitations"), &json!({ "email": email, "role": role })).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let token = link(server, &email).await;
    let mut client = server.client();
    let accepted = client.post("/api/v1/invitations/accept", &json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!((accepted.status, &accepted.body["org"]["role"]), (StatusCode::OK, &json!(role)), "{accepted:?}");
    let id = accepted.body["user"]["id"].as_str().unwrap().to_owned();
    (client, id)
}

fn roles(members: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().trim_end_matches("@example.com").to_owned();
    members["items"].as_array().unwrap().iter().map(|member| (text(&member["email"]), text(&member["role"]))).collect()
}

#[tokio::test]
async fn somebody_new_joins_by_the_link_of_the_mail_once() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let invitations = format!("/api/v1/orgs/{org}/invitations");
    let made = ann.post(&invitations, &json!({ "email": "Bob@Example.com", "role": "editor" })).await;
    assert_eq!((made.status, &made.body["invited_by"], &made.body["role"]), (StatusCode::CREATED, &json!("ann@example.com"), &json!("editor")));
    let token = link(&server, "Bob@example.com").await;
    assert!(
        !made.body.to_string().contains(&token) && !ann.get(&invitations).await.body.to_string().contains(&token),
        "the link is the mail's alone"
    );

    let mut bob = server.client();
    let seen = bob.post("/api/v1/invitations/look", &json!({ "token": token })).await.body;
    assert_eq!(
        (&seen["organisation"], &seen["email"], &seen["has_account"], &seen["signed_in"]),
        (&json!("ann"), &json!("Bob@example.com"), &json!(false), &json!(false))
    );
    // What is refused does not use it up.
    for (body, field) in [
        (json!({ "token": token }), "password"),
        (json!({ "token": token, "password": "short" }), "password"),
        (json!({ "token": "x", "password": PASSWORD }), "token"),
    ] {
        let answer = bob.post("/api/v1/invitations/accept", &body).await;
        assert_eq!((answer.status, answer.field()), (StatusCode::UNPROCESSABLE_ENTITY, field), "{answer:?}");
    }
    let accepted = bob.post("/api/v1/invitations/accept", &json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!(
        (accepted.status, &accepted.body["org"]["slug"], &accepted.body["user"]["email_verified"]),
        (StatusCode::OK, &json!(org), &json!(true))
    );
    assert_eq!(
        roles(&bob.get(&format!("/api/v1/orgs/{org}/members")).await.body),
        [("ann".to_owned(), "owner".to_owned()), ("Bob".to_owned(), "editor".to_owned())]
    );
    assert_eq!(bob.get("/api/v1/me").await.body["orgs"].as_array().unwrap().len(), 1);
    assert_eq!(ann.get(&invitations).await.body["items"], json!([]));
    let again = server.client().post("/api/v1/invitations/accept", &json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!((again.status, again.field()), (StatusCode::UNPROCESSABLE_ENTITY, "token"));
    let member = ann.post(&invitations, &json!({ "email": "bob@example.com", "role": "admin" })).await;
    assert_eq!((member.status, member.field()), (StatusCode::CONFLICT, "email"), "{member:?}");
}

#[tokio::test]
async fn somebody_with_an_account_joins_as_themselves_and_nobody_else_does() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let (mut bob, own) = server.member("bob").await;
    let (mut eve, _) = server.member("eve").await;
    let invited = ann.post(&format!("/api/v1/orgs/{org}/invitations"), &json!({ "email": "bob@example.com", "role": "viewer" })).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let token = link(&server, "bob@example.com").await;
    let body = json!({ "token": token, "password": "another long password" });
    // A link is not worth an account: neither a stranger's session nor none at all joins with it.
    for client in [&mut eve, &mut server.client()] {
        let answer = client.post("/api/v1/invitations/accept", &body).await;
        assert_eq!((answer.status, answer.field()), (StatusCode::CONFLICT, "token"), "{answer:?}");
        assert_eq!(client.post("/api/v1/invitations/look", &json!({ "token": token })).await.body["signed_in"], false);
    }
    assert_eq!(bob.post("/api/v1/invitations/look", &json!({ "token": token })).await.body["signed_in"], true);
    let joined = bob.post("/api/v1/invitations/accept", &json!({ "token": token })).await;
    assert_eq!(
        (joined.status, &joined.body["org"]["role"], &joined.body["user"]["email_verified"]),
        (StatusCode::OK, &json!("viewer"), &json!(true))
    );
    let orgs: Vec<String> =
        bob.get("/api/v1/me").await.body["orgs"].as_array().unwrap().iter().map(|org| org["slug"].as_str().unwrap().to_owned()).collect();
    assert_eq!(orgs, [own, org]);
    let login = json!({ "email": "bob@example.com", "password": "another long password" });
    assert_eq!(server.client().post("/api/v1/auth/login", &login).await.status, 401, "their password is the one they had");
}

#[tokio::test]
async fn invitations_expire_are_sent_again_and_taken_back() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let invitations = format!("/api/v1/orgs/{org}/invitations");
    let made = ann.post(&invitations, &json!({ "email": "bob@example.com", "role": "editor" })).await;
    let (id, first) = (made.id().to_owned(), link(&server, "bob@example.com").await);
    let twice = ann.post(&invitations, &json!({ "email": "BOB@example.com", "role": "viewer" })).await;
    assert_eq!((twice.status, &twice.body["existing"]), (StatusCode::CONFLICT, &json!(id)), "{twice:?}");
    let look = async |token: &str| server.client().post("/api/v1/invitations/look", &json!({ "token": token })).await.status.as_u16();
    assert_eq!(look(&first).await, 200);
    server.sql("UPDATE invitations SET expires_at = now() - interval '1 minute'".to_owned()).await;
    assert_eq!(look(&first).await, 422);
    let accept = json!({ "token": first, "password": PASSWORD });
    assert_eq!(server.client().post("/api/v1/invitations/accept", &accept).await.status, 422, "too old is too old");
    let again = ann.post(&format!("{invitations}/{id}/resend"), &json!({})).await;
    assert_eq!(again.status, 200, "{again:?}");
    let second = link(&server, "bob@example.com").await;
    assert_ne!(first, second);
    assert_eq!((look(&first).await, look(&second).await), (422, 200));
    assert_eq!(ann.delete(&format!("{invitations}/{id}")).await.status, 204);
    assert_eq!(look(&second).await, 422);
}

#[tokio::test]
async fn who_invites_has_proven_their_own_address() {
    let server = server().await;
    let (mut ann, org) = server.member("ann").await;
    let invitations = format!("/api/v1/orgs/{org}/invitations");
    let new = json!({ "email": "bob@example.com", "role": "editor" });
    let refused = ann.post(&invitations, &new).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body["detail"].as_str().unwrap().starts_with("Confirm your own email address first"), "{refused:?}");
    assert_eq!(server.text("SELECT count(*)::text FROM invitations").await, "0");
    server.sql("UPDATE users SET email_verified_at = now()".to_owned()).await;
    for (email, field) in [("bob", "email"), ("bob@example.com\r\nBcc: eve@example.com", "email"), ("<bob@example.com>", "email")] {
        let answer = ann.post(&invitations, &json!({ "email": email, "role": "editor" })).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{answer:?}");
    }
    assert_eq!(ann.post(&invitations, &json!({ "email": "bob@example.com", "role": "boss" })).await.status, 422);
    assert_eq!(ann.post(&invitations, &new).await.status, 201);
}

#[tokio::test]
async fn roles_change_by_those_who_may_and_one_owner_stays() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let (mut adam, adam_id) = joined(&server, &mut ann, &org, "adam", "admin").await;
    let (mut edith, edith_id) = joined(&server, &mut ann, &org, "edith", "editor").await;
    let ann_id = ann.get("/api/v1/me").await.body["user"]["id"].as_str().unwrap().to_owned();
    let at = |id: &str| format!("/api/v1/orgs/{org}/members/{id}");
    let set =
        async |client: &mut Client<'_>, id: &str, role: &str| client.json("PATCH", &at(id), &[], &json!({ "role": role })).await.status.as_u16();

    // An admin changes who is no owner, and makes none.
    assert_eq!(set(&mut adam, &edith_id, "admin").await, 200);
    assert_eq!(set(&mut adam, &edith_id, "editor").await, 200);
    assert_eq!(set(&mut adam, &edith_id, "owner").await, 403);
    assert_eq!(set(&mut adam, &adam_id, "owner").await, 403);
    assert_eq!(set(&mut adam, &ann_id, "viewer").await, 403);
    assert_eq!(adam.delete(&at(&ann_id)).await.status, 403);
    let owners = json!({ "email": "olga@example.com", "role": "owner" });
    assert_eq!(adam.post(&format!("/api/v1/orgs/{org}/invitations"), &owners).await.status, 403);
    // An editor changes nobody.
    assert_eq!(set(&mut edith, &adam_id, "viewer").await, 403);
    assert_eq!(edith.delete(&at(&adam_id)).await.status, 403);
    // The only owner stays one, and may not leave.
    assert_eq!(set(&mut ann, &ann_id, "admin").await, 409);
    assert_eq!(ann.delete(&at(&ann_id)).await.status, 409);
    let stale = ann.json("PATCH", &at(&edith_id), &[("if-match", "\"1\"")], &json!({ "role": "viewer" })).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    // Ownership is handed over: another is made, and then the first may go.
    assert_eq!(set(&mut ann, &adam_id, "owner").await, 200);
    assert_eq!(ann.delete(&at(&ann_id)).await.status, 204);
    assert_eq!(ann.get(&format!("/api/v1/orgs/{org}/members")).await.status, 404, "who left sees nothing");
    assert_eq!(
        roles(&adam.get(&format!("/api/v1/orgs/{org}/members")).await.body),
        [("adam".to_owned(), "owner".to_owned()), ("edith".to_owned(), "editor".to_owned())]
    );
    // Removed is removed at once, whatever session is open.
    assert_eq!(edith.get(&format!("/api/v1/orgs/{org}/domains")).await.status, 200);
    assert_eq!(adam.delete(&at(&edith_id)).await.status, 204);
    assert_eq!(edith.get(&format!("/api/v1/orgs/{org}/domains")).await.status, 404);
    assert_eq!(edith.get("/api/v1/me").await.body["orgs"], json!([]));
    // Who belongs nowhere makes a place of their own.
    let made = edith.post("/api/v1/orgs", &json!({ "name": "Edith & Co" })).await;
    assert_eq!((made.status, &made.body["slug"], &made.body["role"]), (StatusCode::CREATED, &json!("edith-co"), &json!("owner")));
    assert_eq!(edith.post("/api/v1/orgs", &json!({ "name": " " })).await.field(), "name");
}

#[tokio::test]
async fn who_is_removed_leaves_no_door_open_and_gets_no_mail_that_still_waits() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let (mut bob, bob_id) = joined(&server, &mut ann, &org, "bob", "owner").await;
    let invitations = format!("/api/v1/orgs/{org}/invitations");
    for (email, role) in [("bob2@example.com", "owner"), ("colleague@example.com", "editor")] {
        assert_eq!(bob.post(&invitations, &json!({ "email": email, "role": role })).await.status, 201);
    }
    assert_eq!(ann.post(&invitations, &json!({ "email": "other@example.com", "role": "editor" })).await.status, 201);
    let second = link(&server, "bob2@example.com").await;
    let left = async |ann: &mut Client<'_>| {
        let list = ann.get(&invitations).await.body;
        list["items"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // An admin invites still, and no owners.
    let member = format!("/api/v1/orgs/{org}/members/{bob_id}");
    assert_eq!(ann.json("PATCH", &member, &[], &json!({ "role": "admin" })).await.status, 200);
    assert_eq!(left(&mut ann).await, ["other@example.com", "colleague@example.com"]);
    server
        .sql(
            "INSERT INTO outbox (org_id, id, event_key, recipient, message, message_id)
              SELECT org_id, gen_random_uuid(), u.email, u.email, '{}', u.email FROM memberships m JOIN users u ON u.id = m.user_id"
                .to_owned(),
        )
        .await;
    assert_eq!(ann.delete(&member).await.status, 204);
    assert_eq!(left(&mut ann).await, ["other@example.com"]);
    assert_eq!(server.client().post("/api/v1/invitations/look", &json!({ "token": second })).await.status, 422);
    assert_eq!(server.text("SELECT string_agg(recipient, ',') FROM outbox WHERE state = 'pending'").await, "ann@example.com");
}

#[tokio::test]
async fn where_sign_up_is_closed_people_come_by_invitation_alone_and_make_no_organisations() {
    let server = server_where(|settings| settings.signup = SignupPolicy::Closed).await;
    let signup = json!({ "email": "eve@example.com", "password": PASSWORD, "organisation": "Eve" });
    assert_eq!(server.client().post("/api/v1/auth/signup", &signup).await.status, 403);
    // Whoever runs the installation made the first one.
    server
        .sql("INSERT INTO users (id, email, email_key, password_hash) VALUES (gen_random_uuid(), 'ann@example.com', 'ann@example.com', 'x');
              INSERT INTO orgs (id, slug, name) VALUES (gen_random_uuid(), 'ann', 'Ann');
              INSERT INTO memberships (org_id, user_id, role) SELECT o.id, u.id, 'owner' FROM orgs o, users u;
              INSERT INTO invitations (org_id, id, email, email_key, role, token_hash, invited_by, expires_at)
              SELECT id, gen_random_uuid(), 'bob@example.com', 'bob@example.com', 'admin', sha256('secret'), 'ann@example.com', now() + interval '1 day' FROM orgs".to_owned())
        .await;
    let mut bob = server.client();
    let joined = bob.post("/api/v1/invitations/accept", &json!({ "token": "secret", "password": PASSWORD })).await;
    assert_eq!((joined.status, &joined.body["org"]["role"]), (StatusCode::OK, &json!("admin")), "{joined:?}");
    assert_eq!(bob.post("/api/v1/orgs", &json!({ "name": "Bob" })).await.status, 403);
}

#[tokio::test]
async fn nobody_is_flooded_with_invitations() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    let (mut eve, elsewhere) = owner(&server, "eve").await;
    let mut statuses = Vec::new();
    for turn in 0..7 {
        let (client, org) = if turn % 2 == 0 { (&mut ann, &org) } else { (&mut eve, &elsewhere) };
        let made = client.post(&format!("/api/v1/orgs/{org}/invitations"), &json!({ "email": "Victim@example.com", "role": "viewer" })).await;
        statuses.push(made.status.as_u16());
        if made.status == 201 {
            assert_eq!(client.delete(&format!("/api/v1/orgs/{org}/invitations/{}", made.id())).await.status, 204);
        }
    }
    assert_eq!(statuses, [201, 201, 201, 201, 201, 429, 429], "taken back or not, from whatever organisation");
}

#[tokio::test]
async fn two_owners_who_step_down_at_once_leave_one() {
    let server = server().await;
    for _ in 0..4 {
        server.sql("DELETE FROM orgs; DELETE FROM users".to_owned()).await;
        let (mut ann, org) = owner(&server, "ann").await;
        let (mut bob, bob_id) = joined(&server, &mut ann, &org, "bob", "owner").await;
        let ann_id = ann.get("/api/v1/me").await.body["user"]["id"].as_str().unwrap().to_owned();
        let body = json!({ "role": "viewer" });
        let (first, second) = (format!("/api/v1/orgs/{org}/members/{ann_id}"), format!("/api/v1/orgs/{org}/members/{bob_id}"));
        let (one, two) = tokio::join!(ann.json("PATCH", &first, &[], &body), bob.json("PATCH", &second, &[], &body));
        let mut answers = [one.status.as_u16(), two.status.as_u16()];
        answers.sort_unstable();
        assert_eq!(answers, [200, 409], "{one:?} {two:?}");
        assert_eq!(server.text("SELECT count(*)::text FROM memberships WHERE role = 'owner'").await, "1");
    }
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_joins() {
    let server = server().await;
    let (mut ann, org) = owner(&server, "ann").await;
    ann.post(&format!("/api/v1/orgs/{org}/invitations"), &json!({ "email": "bob@example.com", "role": "editor" })).await;
    let body = json!({ "token": link(&server, "bob@example.com").await, "password": PASSWORD });
    let (mut one, mut two) = (server.client(), server.client());
    let (one, two) = tokio::join!(one.post("/api/v1/invitations/accept", &body), two.post("/api/v1/invitations/accept", &body));
    let joined = [&one, &two].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(joined, 1, "{one:?} {two:?}");
    assert_eq!(server.text("SELECT count(*)::text FROM users WHERE email_key = 'bob@example.com'").await, "1");
}
