//! What can go wrong in the worker.

use waypost_store::StoreError;

/// A failure of the worker. While it runs it carries on after each of these; at start it stops.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The store failed.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Migrations wait, and the role may not run them.
    #[error("migrations are waiting and this role may not run them; set WAYPOST_MIGRATE_DATABASE_URL to the owner of the database: {0}")]
    NotOwner(#[source] StoreError),
    /// The queue failed.
    #[error("the queue: {0}")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The mail server's URL can not be used.
    #[error("WAYPOST_SMTP_URL can not be used: {0}")]
    SmtpUrl(#[source] lettre::transport::smtp::Error),
    /// A task that should run for ever ended.
    #[error("a part of the worker broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl From<sqlx::Error> for WorkerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The error and what caused it, for logs.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
