//! What receivers wrote of a message: Authentication-Results, the same of forwarders, and Received-SPF.

use serde::{Deserialize, Serialize};

/// An Authentication-Results field (RFC 8601).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthResults {
    /// Who says so; absent where the field has none, as Microsoft 365 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authserv_id: Option<String>,
    /// The version after it; 1 when absent.
    pub version: u32,
    /// The ARC instance for an ARC-Authentication-Results field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// It can be believed: the host that took the message last wrote it.
    pub believable: bool,
    /// The results.
    pub results: Vec<AuthMethod>,
    /// What is malformed.
    pub remarks: Vec<String>,
    /// The field as it stands, unfolded.
    pub raw: String,
}

/// One method's result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthMethod {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`, …, in lower case.
    pub method: String,
    /// The method's version, where written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// `pass`, `fail`, `none`, …, in lower case.
    pub result: String,
    /// `reason=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `smtp.mailfrom`, `header.d`, `policy.…` and others, in their order.
    pub properties: Vec<AuthProperty>,
    /// Comments without their parentheses.
    pub comments: Vec<String>,
}

impl AuthMethod {
    /// The first property of a name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|property| property.name == name).map(|property| property.value.as_str())
    }
}

/// A named value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthProperty {
    /// The name in lower case.
    pub name: String,
    /// The value without quotes.
    pub value: String,
}

/// A Received-SPF field (RFC 7208 9.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceivedSpf {
    /// `pass`, `fail`, `softfail`, …, in lower case.
    pub result: String,
    /// The comment without its parentheses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `client-ip`, `envelope-from`, `helo`, `receiver`, … in their order.
    pub properties: Vec<AuthProperty>,
    /// The field as it stands, unfolded.
    pub raw: String,
}
