//! The line a lab prints when it is ready: all that a product or test needs to use it.

use serde::{Deserialize, Serialize};

use crate::demo::Demo;
use crate::layout::{BACKEND_NAME, Layout};
use crate::postfix::{PASSWORD, USER};
use crate::workspace;

/// Where everything is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
    /// The second octet of all addresses.
    pub slot: u8,
    /// The control interface.
    pub control: String,
    /// The resolver, for `WAYPOST_RESOLVER`.
    pub resolver: String,
    /// The PEM file of the lab's authority, for `WAYPOST_CA_FILE`.
    pub ca_file: String,
    /// Where the product's own mail goes, for `WAYPOST_SMTP_URL`.
    pub smtp_url: String,
    /// The addresses the product may connect to, for `WAYPOST_EGRESS_ALLOW`.
    pub egress_allow: String,
    /// Postfix itself, without switches.
    pub postfix: String,
    /// The name Postfix gives itself.
    pub postfix_name: String,
    /// The mailbox that may submit mail.
    pub submission_user: String,
    /// Its password.
    pub submission_password: String,
    /// The Slack stand-in: any path below it takes a post.
    pub slack_url: String,
    /// The Web API of the workspace, for `WAYPOST_SLACK_API_URL`.
    pub slack_api_url: String,
    /// The app there, for `WAYPOST_SLACK_CLIENT_ID`.
    pub slack_client_id: String,
    /// For `WAYPOST_SLACK_CLIENT_SECRET`.
    pub slack_client_secret: String,
    /// For `WAYPOST_SLACK_SIGNING_SECRET`.
    pub slack_signing_secret: String,
    /// What the demo organisation watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demo: Option<Demo>,
    /// The lab's directory, with its logs.
    pub dir: String,
}

impl Ready {
    pub(crate) fn new(layout: &Layout, demo: Option<Demo>) -> Self {
        let control = format!("http://{}", layout.control());
        Self {
            ready: true,
            slot: layout.slot,
            slack_url: format!("{control}/slack/services/lab"),
            slack_api_url: format!("https://{}/api", workspace::host()),
            slack_client_id: workspace::CLIENT_ID.to_owned(),
            slack_client_secret: workspace::CLIENT_SECRET.to_owned(),
            slack_signing_secret: workspace::SIGNING_SECRET.to_owned(),
            control,
            resolver: layout.resolver().to_string(),
            ca_file: layout.text("ca.pem"),
            smtp_url: format!("smtp://{}", layout.sink()),
            egress_allow: format!("127.{}.0.0/16", layout.slot),
            postfix: layout.postfix().to_string(),
            postfix_name: BACKEND_NAME.to_owned(),
            submission_user: USER.to_owned(),
            submission_password: PASSWORD.to_owned(),
            demo,
            dir: layout.dir.display().to_string(),
        }
    }
}
