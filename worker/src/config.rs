//! Configuration from the environment, shared by server and worker. Every variable may be given as `NAME_FILE`, a path whose content is the value.
//! What is wrong or missing is an error at start that names the variable and says what it wants.

mod slack;
mod variables;

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};

use variables::Variables;

use crate::seal::Seal;

pub use slack::SlackApp;

/// Why the configuration can not be used. The message names the variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nothing was given where something must be.
    #[error("{variable} is not set. {wanted}")]
    Missing {
        /// The variable.
        variable: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The value is of the wrong form.
    #[error("{variable} is not valid: {reason}. {wanted}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The file that `NAME_FILE` points to can not be read.
    #[error("{variable}_FILE names {path}, which can not be read: {source}")]
    File {
        /// The variable without `_FILE`.
        variable: &'static str,
        /// The path it names.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Both forms were given.
    #[error("{variable} and {variable}_FILE are both set. Keep one of them.")]
    Twice {
        /// The variable without `_FILE`.
        variable: &'static str,
    },
}

/// Where Waypost runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Secret key and SMTP server are required.
    Production,
    /// Mail without an SMTP server is captured and shown at `/dev/mailbox`.
    Development,
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupPolicy {
    /// Anybody.
    Open,
    /// Only with an invitation.
    Invite,
    /// Nobody.
    Closed,
}

/// The configuration of all programs.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WAYPOST_ENV`: production (default) or development.
    pub env: Environment,
    /// `DATABASE_URL`.
    pub database_url: SecretString,
    /// `WAYPOST_MIGRATE_DATABASE_URL`: the owner, for migrations; `DATABASE_URL` is tried where it is absent.
    pub migrate_database_url: Option<SecretString>,
    /// `WAYPOST_DATA_DIR`, default `.waypost`.
    pub data_dir: PathBuf,
    /// `WAYPOST_LISTEN`, default `127.0.0.1:3000`.
    pub listen: SocketAddr,
    /// `WAYPOST_BASE_URL` without the final slash; default `http://` and the listening address.
    pub base_url: String,
    /// `WAYPOST_SMTP_URL`; required in production.
    pub smtp_url: Option<SecretString>,
    /// `WAYPOST_MAIL_FROM`; default `Waypost <waypost@…>` at the host of the base URL.
    pub mail_from: Mailbox,
    /// `WAYPOST_SECRET_KEY`, at least 32 characters; required in production.
    pub secret_key: Option<SecretString>,
    /// `WAYPOST_RESOLVER`: name servers to ask; empty means those of the system.
    pub resolver: Vec<SocketAddr>,
    /// `WAYPOST_RESOLVER_TRUST_AD`: whether that resolver's AD bit counts.
    pub resolver_trust_ad: bool,
    /// `WAYPOST_EGRESS_ALLOW`: ranges that checks may reach although they are private.
    pub egress_allow: Vec<IpNet>,
    /// `WAYPOST_CA_FILE`: PEM certificates added to the roots.
    pub ca_file: Option<PathBuf>,
    /// `WAYPOST_EHLO_NAME`: how probes introduce themselves; default the host of the base URL.
    pub ehlo_name: String,
    /// `WAYPOST_TRUSTED_PROXIES`: whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// `WAYPOST_SIGNUP`, default open.
    pub signup: SignupPolicy,
    /// `WAYPOST_OPERATORS`: addresses of the people who run this installation.
    pub operators: Vec<String>,
    /// `WAYPOST_SLACK_CLIENT_ID`, `_CLIENT_SECRET` and `_SIGNING_SECRET`: all or none.
    pub slack: Option<SlackApp>,
    /// `WAYPOST_SLACK_API_URL`, default Slack's.
    pub slack_api_url: String,
}

/// What the worker needs of it.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The region this worker checks from.
    pub region: String,
    /// Start of links in mails.
    pub base_url: String,
    /// Where mail goes; `None` captures it.
    pub smtp_url: Option<SecretString>,
    /// Sender of mails.
    pub mail_from: Mailbox,
    /// Batches (apalis tasks) run at once.
    pub concurrent_batches: usize,
    /// Units in one batch at most.
    pub batch_size: usize,
    /// SMTP conversations at once.
    pub concurrent_probes: usize,
    /// Audits at once, and block-list scans at once.
    pub concurrent_audits: usize,
    /// Days that raw results are kept.
    pub keep_results_days: i32,
    /// Opens the keys of block lists.
    pub seal: Option<Seal>,
    /// Who is told of lists that are set aside.
    pub operators: Vec<String>,
    /// Where Slack's API is.
    pub slack_api_url: String,
}

impl WorkerConfig {
    /// The defaults for a region, for the server's in-process worker, for tests and for the benchmark.
    pub fn new(region: &str, base_url: &str, mail_from: Mailbox, smtp_url: Option<SecretString>) -> Self {
        Self {
            region: region.to_owned(),
            base_url: base_url.trim_end_matches('/').to_owned(),
            smtp_url,
            mail_from,
            concurrent_batches: 16,
            batch_size: 250,
            concurrent_probes: 200,
            concurrent_audits: 32,
            keep_results_days: 30,
            seal: None,
            operators: Vec::new(),
            slack_api_url: crate::slack::API.to_owned(),
        }
    }
}

impl Config {
    /// Reads the environment of the process.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads from `lookup`, which gives the value of a variable.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Variables { lookup };
        let env = match vars.text("WAYPOST_ENV")?.as_deref() {
            None | Some("production") => Environment::Production,
            Some("development") => Environment::Development,
            Some(other) => return Err(invalid("WAYPOST_ENV", format!("“{other}”"), "Use production or development.")),
        };
        let database_url = vars.required("DATABASE_URL", "Give a PostgreSQL URL such as postgres://waypost@db.example.com/waypost.")?;
        postgres_url("DATABASE_URL", &database_url)?;
        let migrate_database_url = vars.text("WAYPOST_MIGRATE_DATABASE_URL")?;
        if let Some(url) = &migrate_database_url {
            postgres_url("WAYPOST_MIGRATE_DATABASE_URL", url)?;
        }
        let listen: SocketAddr =
            vars.parsed("WAYPOST_LISTEN", "Give address:port, for example 127.0.0.1:3000.")?.unwrap_or(([127, 0, 0, 1], 3000).into());
        let base_url = base_url(vars.text("WAYPOST_BASE_URL")?, listen)?;
        let host = host_of(&base_url);
        let smtp_url = vars.text("WAYPOST_SMTP_URL")?;
        match &smtp_url {
            Some(url) => check_smtp_url(url)?,
            None if env == Environment::Production => {
                return Err(ConfigError::Missing {
                    variable: "WAYPOST_SMTP_URL",
                    wanted: "Production sends mail: give smtp://user:password@host:587?tls=required (or set WAYPOST_ENV=development).",
                });
            }
            None => {}
        }
        let secret_key = vars.text("WAYPOST_SECRET_KEY")?;
        match &secret_key {
            Some(key) if key.len() < 32 => {
                return Err(invalid("WAYPOST_SECRET_KEY", "it is shorter than 32 characters".to_owned(), "Make one with: openssl rand -base64 48."));
            }
            None if env == Environment::Production => {
                return Err(ConfigError::Missing { variable: "WAYPOST_SECRET_KEY", wanted: "Make one with: openssl rand -base64 48." });
            }
            _ => {}
        }
        let mail_from = match vars.text("WAYPOST_MAIL_FROM")? {
            Some(text) => mailbox(&text)?,
            None => mailbox(&format!("Waypost <waypost@{}>", mail_domain(host)))?,
        };
        Ok(Self {
            env,
            database_url: database_url.into(),
            migrate_database_url: migrate_database_url.map(Into::into),
            data_dir: vars.text("WAYPOST_DATA_DIR")?.unwrap_or_else(|| ".waypost".to_owned()).into(),
            listen,
            ehlo_name: ehlo_name(vars.text("WAYPOST_EHLO_NAME")?, host)?,
            base_url,
            smtp_url: smtp_url.map(Into::into),
            mail_from,
            secret_key: secret_key.map(Into::into),
            resolver: vars.list("WAYPOST_RESOLVER", "Give ip:port, several separated by commas.")?,
            resolver_trust_ad: vars.flag("WAYPOST_RESOLVER_TRUST_AD")?,
            egress_allow: vars.list("WAYPOST_EGRESS_ALLOW", "Give networks such as 10.0.0.0/8, separated by commas.")?,
            ca_file: ca_file(vars.text("WAYPOST_CA_FILE")?)?,
            trusted_proxies: vars.list("WAYPOST_TRUSTED_PROXIES", "Give networks such as 10.0.0.0/8, separated by commas.")?,
            signup: match vars.text("WAYPOST_SIGNUP")?.as_deref() {
                None | Some("open") => SignupPolicy::Open,
                Some("invite") => SignupPolicy::Invite,
                Some("closed") => SignupPolicy::Closed,
                Some(other) => return Err(invalid("WAYPOST_SIGNUP", format!("“{other}”"), "Use open, invite or closed.")),
            },
            operators: vars.list("WAYPOST_OPERATORS", "Give email addresses separated by commas.")?,
            slack: slack::app(&vars)?,
            slack_api_url: slack::api_url(vars.text("WAYPOST_SLACK_API_URL")?)?,
        })
    }

    /// What the worker needs of it.
    pub fn worker(&self, region: &str) -> WorkerConfig {
        WorkerConfig {
            seal: self.seal(),
            operators: self.operators.clone(),
            slack_api_url: self.slack_api_url.clone(),
            ..WorkerConfig::new(region, &self.base_url, self.mail_from.clone(), self.smtp_url.clone())
        }
    }

    /// What seals secrets; none without `WAYPOST_SECRET_KEY`.
    pub fn seal(&self) -> Option<Seal> {
        let made = self.secret_key.as_ref().map(Seal::new).transpose();
        made.unwrap_or_else(|error| {
            tracing::error!(%error, "secrets can not be sealed");
            None
        })
    }

    /// The URL that migrations use.
    pub fn owner_url(&self) -> &str {
        self.migrate_database_url.as_ref().unwrap_or(&self.database_url).expose_secret()
    }

    /// True in development mode.
    pub fn is_development(&self) -> bool {
        self.env == Environment::Development
    }
}

fn invalid(variable: &'static str, reason: String, wanted: &'static str) -> ConfigError {
    ConfigError::Invalid { variable, reason, wanted }
}

fn postgres_url(variable: &'static str, url: &str) -> Result<(), ConfigError> {
    // The URL itself may hold a password and is not repeated.
    let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if scheme && url.parse::<sqlx::postgres::PgConnectOptions>().is_ok() {
        return Ok(());
    }
    Err(invalid(variable, "it is not a PostgreSQL URL".to_owned(), "Give postgres://user@host/database."))
}

fn base_url(given: Option<String>, listen: SocketAddr) -> Result<String, ConfigError> {
    let url = given.unwrap_or_else(|| format!("http://{listen}"));
    let url = url.trim_end_matches('/');
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
        return Err(invalid("WAYPOST_BASE_URL", format!("“{url}”"), "Give scheme and host, for example https://waypost.example.com."));
    }
    Ok(url.to_owned())
}

/// Host of an origin, without port and brackets.
fn host_of(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

fn mail_domain(host: &str) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() { "localhost".to_owned() } else { host.to_owned() }
}

fn ehlo_name(given: Option<String>, host: &str) -> Result<String, ConfigError> {
    let name = given.unwrap_or_else(|| mail_domain(host));
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)) && name.len() <= 253 {
        return Ok(name);
    }
    Err(invalid("WAYPOST_EHLO_NAME", format!("“{name}”"), "Give the host name of this machine, for example probe1.example.com."))
}

fn ca_file(given: Option<String>) -> Result<Option<PathBuf>, ConfigError> {
    let Some(path) = given else { return Ok(None) };
    match std::fs::File::open(&path) {
        Ok(_) => Ok(Some(path.into())),
        Err(error) => Err(invalid("WAYPOST_CA_FILE", format!("“{path}” can not be read: {error}"), "Give a file with PEM certificates.")),
    }
}

fn mailbox(text: &str) -> Result<Mailbox, ConfigError> {
    text.parse().map_err(|error: lettre::address::AddressError| invalid("WAYPOST_MAIL_FROM", error.to_string(), "Give Name <address@example.com>."))
}

fn check_smtp_url(url: &str) -> Result<(), ConfigError> {
    lettre::AsyncSmtpTransport::<lettre::Tokio1Executor>::from_url(url).map(|_| ()).map_err(|error| {
        invalid(
            "WAYPOST_SMTP_URL",
            error.to_string(),
            "Give smtp://host:25, smtp://user:password@host:587?tls=required or smtps://user:password@host:465.",
        )
    })
}

#[cfg(test)]
mod tests;
