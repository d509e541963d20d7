//! A server on a database of its own, and a client that keeps its cookie.

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use ipnet::IpNet;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;
use waypost_engine::net::{Egress, Net, NetConfig};
use waypost_server::{
    app,
    passwords::Cost,
    state::{AppState, Settings},
};
use waypost_store::testing::TestDatabase;
use waypost_worker::{SignupPolicy, SlackApp, seal::Seal};

pub const PASSWORD: &str = "correct horse battery";
/// What Slack signs with.
pub const SIGNING: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const BASE: &str = "http://waypost.test";

pub struct Server {
    pub state: AppState,
    pub router: Router,
    pub document: OpenApi,
    pub database: TestDatabase,
}

pub async fn server() -> Server {
    server_where(|_| {}).await
}

/// One of an operator who decided otherwise.
pub async fn server_where(decided: impl FnOnce(&mut Settings)) -> Server {
    // Tests that start together would else each make a TLS provider of their own.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let database = TestDatabase::new().await;
    let allow: Vec<IpNet> = vec!["127.40.0.0/16".parse().unwrap()];
    let egress = Egress::Guarded { allow };
    // Nothing listens there: what asks the DNS in a test is told so at once.
    let net = Net::new(NetConfig { resolvers: vec!["127.0.0.1:9".parse().unwrap()], egress: egress.clone(), ..NetConfig::default() }).unwrap();
    let mut settings = Settings {
        base_url: BASE.to_owned(),
        development: true,
        trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
        egress,
        mail_domain: "waypost.test".to_owned(),
        signup: SignupPolicy::Open,
        password_cost: Cost { memory_kib: 64, passes: 1 },
        metrics_token: None,
        seal: Some(Seal::new(&"k".repeat(32).into()).unwrap()),
        slack: Some(SlackApp { client_id: "1.2".to_owned(), client_secret: "shh".to_owned().into(), signing_secret: SIGNING.to_owned().into() }),
        slack_api_url: "https://slack.test/api".to_owned(),
    };
    decided(&mut settings);
    let state = AppState::new(database.store.clone(), settings, net);
    let (api, document) = app::api(&state);
    let router = app::router(&state, api, None, None);
    Server { state, router, document, database }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn field(&self) -> &str {
        self.body["errors"][0]["field"].as_str().unwrap_or_default()
    }
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }
}

pub struct Client<'a> {
    server: &'a Server,
    pub address: &'static str,
    pub cookie: Option<String>,
}

impl Server {
    pub fn client(&self) -> Client<'_> {
        Client { server: self, address: "127.0.0.1", cookie: None }
    }

    /// Somebody with an organisation of their own; its slug.
    pub async fn member(&self, name: &str) -> (Client<'_>, String) {
        let mut client = self.client();
        let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD, "organisation": name });
        let answer = client.post("/api/v1/auth/signup", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let slug = answer.body["org"]["slug"].as_str().unwrap().to_owned();
        (client, slug)
    }

    /// Something done behind the API's back, as the superuser.
    pub async fn sql(&self, text: String) {
        let mut owner = PgConnection::connect(&self.database.owner_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut owner).await.unwrap();
    }

    pub async fn text(&self, query: &'static str) -> String {
        let mut owner = PgConnection::connect(&self.database.owner_url).await.unwrap();
        sqlx::query_scalar(query).fetch_one(&mut owner).await.unwrap()
    }
}

impl Client<'_> {
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            builder = builder.header(header::COOKIE, cookie);
        }
        let mut request = builder.body(body).unwrap();
        let peer: SocketAddr = format!("{}:4000", self.address).parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.server.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            self.cookie = Some(set.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, &[], body).await
    }

    pub async fn json(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, Body::from(body.to_string())).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }
}
