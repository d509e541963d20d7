//! What SMTP conversations with a host showed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{PathTrace, Verdict};
use crate::finding::{Finding, UnknownPart};

/// How TLS is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProbeMode {
    /// No TLS at all.
    Plain,
    /// STARTTLS after EHLO (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

impl ProbeMode {
    /// The mode people expect on a port: 465 is implicit, everything else STARTTLS.
    pub const fn of_port(port: u16) -> Self {
        if port == 465 { Self::Implicit } else { Self::Starttls }
    }

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// All conversations of one check of one host and port: one per address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SmtpReport {
    /// Host name as watched.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How TLS is spoken.
    pub mode: ProbeMode,
    /// The worst over the addresses; unknown when the name did not resolve for a reason that is not the target's.
    pub verdict: Verdict,
    /// One sentence: what happened and what it suggests.
    pub summary: String,
    /// One per address.
    pub probes: Vec<ProbeReport>,
    /// The close looks of the last day. They are no part of the verdict: each finding of theirs has its own beginning and end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub close_looks: Vec<CloseLook>,
    /// How the login went that the organisation has stored for the server; absent where it has none for this port. No part of the verdict either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginLook>,
}

/// One SMTP conversation with one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeReport {
    /// Host name or address asked for.
    pub host: String,
    /// The address connected to; `None` when there was none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
    /// How TLS was to be spoken.
    pub mode: ProbeMode,
    /// This conversation's verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Milliseconds per stage; a stage that was not reached is absent.
    pub stage_ms: StageMs,
    /// The TLS session, when there was one.
    pub tls: Option<TlsReport>,
    /// What is offered for logging in, and how a login went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthReport>,
    /// Extensions offered in the last EHLO reply, keyword first.
    pub extensions: Vec<String>,
    /// Greeting text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// Remarks.
    pub findings: Vec<Finding>,
    /// What of it could not be told, apart from the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownPart>,
    /// Who said what, when; secrets masked.
    pub transcript: Vec<TranscriptLine>,
    /// The way to the address, where no connection was made and it was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathTrace>,
}

/// What came of questions that a server is asked once a day, beside its checks and in conversations of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CloseLook {
    /// The address that was asked: of several the lowest.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: IpAddr,
    /// When.
    pub at: DateTime<Utc>,
    /// Only its owner may have it asked this: relaying, recipients, VRFY and EXPN, commands ahead of TLS, what it does with a message. Else it is
    /// what any client may ask: old TLS, and the ports where mail programs log in.
    #[serde(default)]
    pub of_owner: bool,
    /// Remarks.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Questions that were not answered.
    #[serde(default)]
    pub unknown: Vec<UnknownPart>,
    /// Who said what; left out where there is nothing to show it for.
    #[serde(default)]
    pub transcript: Vec<TranscriptLine>,
}

impl CloseLook {
    /// Whether it has anything to tell.
    pub const fn tells(&self) -> bool {
        !(self.findings.is_empty() && self.unknown.is_empty())
    }
}

/// A try of the stored login at one port, in a conversation of its own that is shared with nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginLook {
    /// When.
    pub at: DateTime<Utc>,
    /// The address it was tried at; absent where it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// What came of it.
    pub result: LoginReport,
    /// Milliseconds that the server took to decide, with every step of the mechanism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_ms: Option<f64>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// No further attempt is made until somebody gives a new secret or resumes the login.
    #[serde(default)]
    pub paused: bool,
    /// It was not tried with this check: this is what the last attempt brought.
    #[serde(default)]
    pub as_before: bool,
    /// It was never accepted since its secret was stored, so that a refusal is no change for the worse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Who said what, secrets masked; left out where there is nothing to show it for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<TranscriptLine>,
}

impl LoginLook {
    /// No attempt was made, and why.
    pub fn untried(at: DateTime<Utc>, reason: impl Into<String>) -> Self {
        let result = LoginReport { mechanism: None, outcome: LoginOutcome::Untried, reason: reason.into() };
        Self {
            at,
            address: None,
            result,
            auth_ms: None,
            findings: Vec::new(),
            paused: false,
            as_before: false,
            unproven: false,
            transcript: Vec::new(),
        }
    }

    /// Whether it says anew how the login stands: a refusal of before is no second refusal, and what was not tried says nothing. A pause stands
    /// until it ends, and what was accepted is believed until the next attempt.
    pub const fn tells(&self) -> bool {
        match self.result.outcome {
            LoginOutcome::Accepted => true,
            LoginOutcome::Refused | LoginOutcome::Failed => self.paused || !self.as_before,
            LoginOutcome::Unknown | LoginOutcome::Untried => false,
        }
    }
}

/// Milliseconds per stage of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs)] // the names are the stages
pub struct StageMs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

/// What a TLS handshake showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TlsReport {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// The group of the key exchange, as IANA names it: `X25519`, `secp256r1`, `X25519MLKEM768`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key_exchange: String,
    /// Chains to a trusted root and is within its dates.
    pub trusted: bool,
    /// The certificate names the host.
    pub name_matches: bool,
    /// Start of validity of the leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// End of validity of the leaf.
    pub expires: Option<DateTime<Utc>>,
    /// Subject of the leaf.
    #[serde(default)]
    pub subject: String,
    /// Issuer of the leaf.
    #[serde(default)]
    pub issuer: String,
    /// DNS names of the leaf.
    #[serde(default)]
    pub names: Vec<String>,
    /// Why it is not trusted, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_problem: Option<String>,
    /// SHA-256 of the leaf, hexadecimal.
    #[serde(default)]
    pub fingerprint: String,
    /// Key of the leaf: `RSA 2048`, `EC 256`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How the leaf is signed: `ECDSA with SHA-256`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// The certificates sent behind the leaf, as they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<CertificateReport>,
    /// What the TLSA records of the host and port say of it; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dane: Option<DaneReport>,
}

/// What TLSA records say of a certificate (RFC 6698, RFC 7672).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DaneReport {
    /// Where the records are: `_25._tcp.mx.example.com`.
    pub owner: String,
    /// What they say.
    pub state: DaneState,
    /// The records as `usage selector matching hex`, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// The record that matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<String>,
    /// Why, in words, where the state does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DaneReport {
    /// The usage of the record that matches: 3 of the server's own certificate, 2 of an issuer.
    pub fn usage(&self) -> Option<u8> {
        self.matched.as_deref()?.split(' ').next()?.parse().ok()
    }
}

/// What TLSA records say of a certificate, as senders see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DaneState {
    /// One that DNSSEC vouches for matches it.
    Matches,
    /// DNSSEC vouches for them and none matches.
    Mismatch,
    /// None is of use to SMTP: usage 0 or 1, or malformed.
    Unusable,
    /// DNSSEC does not vouch for them: senders ignore them.
    Insecure,
    /// It could not be told.
    Unknown,
}

impl DaneState {
    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Matches => "a TLSA record matches",
            Self::Mismatch => "no TLSA record matches",
            Self::Unusable => "TLSA records of no use",
            Self::Insecure => "TLSA records without DNSSEC",
            Self::Unknown => "not known",
        }
    }
}

/// A certificate of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateReport {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Start of validity.
    pub not_before: Option<DateTime<Utc>>,
    /// End of validity.
    pub expires: Option<DateTime<Utc>>,
    /// Its key: `RSA 2048`, `EC 256`.
    pub key: String,
    /// How it is signed: `ECDSA with SHA-256`.
    pub signature: String,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
}

/// Logging in (RFC 4954): the mechanisms offered, and a login where one was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthReport {
    /// SASL mechanisms offered before TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_clear: Vec<String>,
    /// SASL mechanisms offered under TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub under_tls: Vec<String>,
    /// The login, when one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginReport>,
}

/// How a login went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginReport {
    /// SASL mechanism used; absent when none was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    /// What came of it.
    pub outcome: LoginOutcome,
    /// Why, in one sentence.
    pub reason: String,
}

/// What came of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LoginOutcome {
    /// The server let us in.
    Accepted,
    /// The server refuses these credentials.
    Refused,
    /// The server can not hold the login, whatever the credentials.
    Failed,
    /// The server says to try again later: the credentials were not judged.
    Unknown,
    /// Not begun: the credentials would have been shown to whoever listens.
    Untried,
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TranscriptLine {
    /// Milliseconds since the start of the conversation.
    pub at_ms: u64,
    /// Who spoke.
    pub from: Speaker,
    /// The line without its end, control characters escaped, cut at 1,000 characters.
    pub line: String,
}

/// A side of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Waypost.
    Client,
    /// The server watched.
    Server,
}
