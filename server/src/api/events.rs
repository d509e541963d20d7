//! `events`: live events of an organisation, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use waypost_types::{event::LiveEvent, problem::Problem};

use crate::{
    http::{
        org::{Member, Read},
        problem::ApiError,
    },
    state::AppState,
};

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after that; the browser comes back, and with it the question whether it still may.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// What changes, as it changes. The field `event` is the type, `data` the JSON. After `resync` fetch everything again.
#[utoipa::path(get, path = "/v1/orgs/{org}/events", tag = "events", params(("org" = String, Path)),
    responses((status = 200, body = LiveEvent, content_type = "text/event-stream"), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn events(State(state): State<AppState>, member: Member<Read>) -> Result<Response, ApiError> {
    let receiver = state.live.subscribe(member.org.id);
    // A comment at once tells the reader, and the proxies between, that the stream is open.
    let hello = stream::once(async { Ok(Event::default().comment("listening").retry(Duration::from_secs(2))) });
    let events = hello.chain(live(receiver)).take_until(tokio::time::sleep(LONGEST));
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here"));
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}

fn live(receiver: Receiver<LiveEvent>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            let event = match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => LiveEvent::Resync,
                Err(RecvError::Closed) => return None,
            };
            match Event::default().event(tag(&event)).json_data(&event) {
                Ok(event) => return Some((Ok(event), receiver)),
                Err(error) => tracing::error!(%error, "a live event could not be written"),
            }
        }
    })
}

const fn tag(event: &LiveEvent) -> &'static str {
    match event {
        LiveEvent::Checked { .. } => "checked",
        LiveEvent::Assets { .. } => "assets",
        LiveEvent::Incidents { .. } => "incidents",
        LiveEvent::Resync => "resync",
    }
}
