//! How a page loads: what does not depend on each other is asked for at the same time, and every call carries the request's id.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{body::Body, http::Request};
use tower::ServiceExt;
use waypost_web::{
    TransportFactory, Visitor,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport},
    router,
};

use crate::{
    organisation::{SERVER, member},
    support::{config, get},
};

/// Counts how many calls about ports are under way together.
#[derive(Clone, Default)]
struct Counting {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    visitors: Arc<Mutex<Vec<Visitor>>>,
}

impl ApiTransport for Counting {
    fn call(&self, request: ApiRequest) -> ApiFuture {
        let (status, body) = member("owner")(&request);
        let (now, most) = (Arc::clone(&self.now), Arc::clone(&self.most));
        Box::pin(async move {
            if request.path.ends_with("/outcome") {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(ApiResponse { status, body, set_cookie: Vec::new(), retry_after: None })
        })
    }
}

impl TransportFactory for Counting {
    fn for_visitor(&self, visitor: Visitor) -> Arc<dyn ApiTransport> {
        self.visitors.lock().unwrap().push(visitor);
        Arc::new(self.clone())
    }
}

#[tokio::test]
async fn the_ports_of_a_server_are_loaded_together() {
    let counting = Counting::default();
    let response = router(config(), Arc::new(counting.clone())).oneshot(get(&format!("/o/acme/servers/{SERVER}"))).await.unwrap();
    assert!(response.status().is_success());
    assert_eq!(counting.most.load(Ordering::SeqCst), 3, "one of each port");
}

#[tokio::test]
async fn calls_are_made_for_the_request_that_the_page_answers() {
    let counting = Counting::default();
    let request = Request::get("/o/acme").header("x-request-id", "0190a0b0").body(Body::empty()).unwrap();
    router(config(), Arc::new(counting.clone())).oneshot(request).await.unwrap();
    let visitors = counting.visitors.lock().unwrap();
    assert_eq!(visitors.iter().map(|visitor| visitor.request_id.as_deref()).collect::<Vec<_>>(), [Some("0190a0b0")]);
}
