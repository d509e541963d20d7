//! Server-sent events: what one person changes, another sees.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, header},
};
use http_body_util::BodyExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::support::server;

#[tokio::test]
async fn a_change_is_heard_by_its_organisation_alone() {
    let server = server().await;
    let stop = CancellationToken::new();
    let (live, store, overviews, stopped) = (server.state.live.clone(), server.state.store.clone(), server.state.overviews.clone(), stop.clone());
    let listener = tokio::spawn(async move { live.run(&store, &overviews, &stopped).await });
    let (mut ann, org) = server.member("ann").await;
    let (mut bob, other) = server.member("bob").await;
    let mut request =
        Request::get(format!("/api/v1/orgs/{org}/events")).header(header::COOKIE, ann.cookie.clone().unwrap()).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4000))));
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    // The listener may still be on its way to the database: repeat the change until it is heard.
    let mut heard = String::new();
    let mut added = String::new();
    for n in 0..50 {
        bob.post(&format!("/api/v1/orgs/{other}/domains"), &json!({ "name": format!("b{n}.example") })).await;
        let made = ann.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": format!("a{n}.example") })).await;
        if made.status == 201 {
            made.id().clone_into(&mut added);
        }
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_millis(200), body.frame()).await {
            heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
        if heard.contains("event: assets") {
            break;
        }
    }
    assert!(heard.contains("event: assets") && heard.contains(&added), "{heard}");
    let foreign = bob.get(&format!("/api/v1/orgs/{other}/domains")).await;
    for item in foreign.body["items"].as_array().unwrap() {
        assert!(!heard.contains(item["id"].as_str().unwrap()));
    }
    stop.cancel();
    listener.await.unwrap();
}
