//! Putting mail to people about their own account into the outbox of accounts, and showing what was captured. Sending is the worker's.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{OrgTx, Store, StoreError, outbox::MailBody};

/// A mail that was captured instead of sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedMail {
    /// Its id.
    pub id: Uuid,
    /// To whom.
    pub recipient: String,
    /// About what.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl OrgTx {
    /// Puts a mail to somebody in the outbox of accounts, when the transaction commits.
    pub async fn enqueue_account_mail(&mut self, recipient: &str, body: &MailBody, mail_domain: &str) -> Result<(), StoreError> {
        put_account_mail(self.connection(), recipient, body, mail_domain).await
    }
}

impl Store {
    /// Puts a mail in the outbox and wakes the notifiers.
    pub async fn enqueue_account_mail(&self, recipient: &str, body: &MailBody, mail_domain: &str) -> Result<(), StoreError> {
        let mut tx = self.pool().begin().await?;
        put_account_mail(&mut tx, recipient, body, mail_domain).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest captured mails.
    pub async fn captured_mails(&self, limit: i64) -> Result<Vec<CapturedMail>, StoreError> {
        Ok(sqlx::query_as!(
            CapturedMail,
            "SELECT id, recipient, subject, body_text AS text, body_html AS html, at FROM captured_mail ORDER BY at DESC, id DESC LIMIT $1",
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }
}

/// Puts a mail in the outbox and wakes the notifiers when the transaction commits.
pub(crate) async fn put_account_mail(connection: &mut PgConnection, recipient: &str, body: &MailBody, mail_domain: &str) -> Result<(), StoreError> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO account_mail (id, recipient, message, message_id) VALUES ($1, $2, $3, $4)",
        id,
        recipient,
        serde_json::to_value(body)?,
        format!("<{}@{mail_domain}>", id.simple())
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("SELECT pg_notify('waypost_mail', '')").execute(connection).await?;
    Ok(())
}
