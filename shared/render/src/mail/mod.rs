//! Mails as subject, text and HTML. What comes from outside (names, titles, answers of servers) is escaped in HTML and can not end a
//! header line; the layout survives mail clients that drop style sheets.

mod account;
mod digest;
mod incident;
mod layout;
mod operator;

pub use account::{invitation, password_reset, verification};
pub use digest::{DigestLine, digest, digest_lines, digest_title};
pub use incident::{
    CLOSED, IncidentMail, RECOVERED, accent, incident_changed, incident_escalated, incident_flapping, incident_let_go, incident_opened,
    incident_recovered, incident_reminded, incident_resolved, incident_url, incidents_opened, incidents_url, runbook_url, together_lines,
    together_title,
};
pub(crate) use layout::escape;
pub use operator::lists_set_aside;

/// A rendered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line without control characters, at most 200 characters.
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub text: String,
    /// A whole HTML document.
    pub html: String,
}
