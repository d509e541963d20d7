//! The workspace's HTTPS door, and how it fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Call, Failing, Workspace, WorkspaceFault, methods, oauth, press};
use crate::error::LabError;
use crate::hosts::{bind, close};

const HANDSHAKE: Duration = Duration::from_secs(5);

struct Door {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
                return (tls, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Workspace {
    /// Sets how it fails from now on.
    pub(super) async fn fail(self: &Arc<Self>, fault: WorkspaceFault) -> Result<(), LabError> {
        let stopped = fault.fault == Failing::Stopped;
        self.lock().fault = fault;
        let open = self.door.lock().await.is_some();
        match (stopped, open) {
            (true, true) => close(self.door.lock().await.take()).await,
            (false, false) => self.open().await?,
            _ => {}
        }
        Ok(())
    }

    pub(super) async fn open(self: &Arc<Self>) -> Result<(), LabError> {
        let listener = bind(self.layout.slack()).await?;
        let door = Door { listener, acceptor: TlsAcceptor::from(self.authority.any_name()?) };
        let router = Router::new()
            .route("/oauth/v2/authorize", get(oauth::ask).post(oauth::answer))
            .route("/api/{method}", post(methods::call).layer(middleware::from_fn_with_state(Arc::clone(self), fault)))
            .route("/actions/{press}", post(press::whisper))
            .with_state(Arc::clone(self));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(door, router).await {
                tracing::error!(%error, "the workspace ended");
            }
        });
        *self.door.lock().await = Some(task);
        Ok(())
    }
}

async fn fault(State(workspace): State<Arc<Workspace>>, Path(method): Path<String>, request: Request, next: Next) -> Response {
    let failing = workspace.lock().failing(&method);
    let refuse = |answer: &str| workspace.lock().keep(Call { method: method.clone(), given: json!(null), answer: answer.to_owned() });
    match failing.fault {
        Failing::None | Failing::Stopped => next.run(request).await,
        Failing::Busy => {
            refuse("busy");
            let wait = failing.retry_after.unwrap_or(30).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)], axum::Json(json!({ "ok": false, "error": "ratelimited" }))).into_response()
        }
        Failing::Refuse => {
            let error = failing.error.unwrap_or_else(|| "fatal_error".to_owned());
            refuse(&error);
            axum::Json(json!({ "ok": false, "error": error })).into_response()
        }
        Failing::Slow => {
            let done = next.run(request).await;
            tokio::time::sleep(Duration::from_millis(failing.delay_ms.unwrap_or(5_000))).await;
            done
        }
        Failing::LoseAnswer => {
            // It was done; who asked hears nothing that he could read.
            next.run(request).await;
            (StatusCode::BAD_GATEWAY, "").into_response()
        }
    }
}
