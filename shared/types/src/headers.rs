//! What a message's header tells: the way it went, what receivers found, its signatures, and what is wrong with it.
//! `waypost headers --json` prints one [`HeaderReport`] per message. Fields are added, never renamed.

mod results;

pub use results::{AuthMethod, AuthProperty, AuthResults, ReceivedSpf};

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{audit::DmarcDetail, finding::Finding, finding::UnknownPart};

/// A message, read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeaderReport {
    /// The subject, decoded (RFC 2047).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Addresses of From, in lower case.
    pub from: Vec<String>,
    /// The domain of the first of them: the one DMARC looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_domain: Option<String>,
    /// Date as the sender wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<DateTime<Utc>>,
    /// Message-ID with its angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The envelope sender as Return-Path has it; empty for the null sender `<>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_path: Option<String>,
    /// It looks like bulk mail: List-Id, List-Unsubscribe, Precedence or Feedback-ID say so.
    pub bulk: bool,
    /// The body is there, so that signatures can be verified.
    pub body_present: bool,
    /// The hops in the order of time, the sender's first.
    pub hops: Vec<Hop>,
    /// Seconds from the first hop with a time to the last one; absent when clocks contradict each other or times are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_seconds: Option<u64>,
    /// Authentication-Results and ARC-Authentication-Results (RFC 8601, RFC 8617), topmost first.
    pub authentication: Vec<AuthResults>,
    /// Which Authentication-Results can be believed, in words.
    pub belief: String,
    /// Received-SPF (RFC 7208 9.1), topmost first.
    pub received_spf: Vec<ReceivedSpf>,
    /// DKIM signatures, topmost first.
    pub signatures: Vec<SignatureReport>,
    /// The ARC chain.
    pub arc: ArcReport,
    /// Whether From agrees with what was authenticated.
    pub alignment: Alignment,
    /// The DMARC policy of the From domain as published now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<DmarcDetail>,
    /// Its record as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc_record: Option<String>,
    /// Selectors that signatures name, each once: worth an audit of the domain's keys.
    pub selectors: Vec<SeenSelector>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What could not be told. The subject `body` means only that the body is not there.
    pub unknown: Vec<UnknownPart>,
    /// What was odd about the text itself: malformed lines, parts left out because there were too many.
    pub remarks: Vec<String>,
}

impl HeaderReport {
    /// Nothing in the text looks like a message: it has none of the fields that any message has.
    pub const fn is_no_message(&self) -> bool {
        self.hops.is_empty()
            && self.from.is_empty()
            && self.subject.is_none()
            && self.message_id.is_none()
            && self.date.is_none()
            && self.return_path.is_none()
            && self.authentication.is_empty()
            && self.received_spf.is_empty()
            && self.signatures.is_empty()
            && self.arc.sets.is_empty()
    }
}

/// What to say of a text that is no message.
pub const NO_MESSAGE: &str = "This is no message: it has no header field such as “From:”, “Date:” or “Received:”. Paste the source of the message, from its \
                              first line on: in Gmail “Show original”, in Outlook “View message source”, in Thunderbird and Apple Mail “Message source”, “Raw source”.";

/// `POST messages`: a message as pasted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PastedMessage {
    /// The whole message, or its header alone.
    pub message: String,
}

impl std::fmt::Debug for PastedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PastedMessage").finish_non_exhaustive()
    }
}

/// One Received field (RFC 5321 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hop {
    /// The name the client gave in HELO or EHLO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helo: Option<String>,
    /// The name that its address resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// The address is not one of the public internet: a hop within an organisation.
    pub private: bool,
    /// The host that wrote the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Its software, where the field names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// `via`: a link that is not TCP, or a role (`Frontend Transport`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// `with`: `ESMTP`, `ESMTPS`, `LMTP`, `HTTP`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Whether the link was encrypted; absent when the field does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// `TLSv1.3` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// The cipher suite as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// The queue id at this host: what to look for in its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The envelope sender, where the field names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_from: Option<String>,
    /// When the host took the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
    /// Seconds since the hop before it that has a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<u64>,
    /// Seconds by which its time lies before that of the hop before it: one of the clocks is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_seconds: Option<u64>,
    /// What is to say of it.
    pub remarks: Vec<String>,
    /// The field as it stands, unfolded.
    pub raw: String,
}

/// What verifying a signature gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// It verifies with the key published now.
    Valid,
    /// It does not: the message was changed, or the signature is wrong.
    Broken,
    /// No usable key is published (any more): nobody can verify it.
    NoKey,
    /// Could not be told.
    #[default]
    Unknown,
}

impl Verified {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Broken => "broken",
            Self::NoKey => "no key",
            Self::Unknown => "unknown",
        }
    }
}

/// A DKIM signature (RFC 6376 3.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureReport {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `a=`.
    pub algorithm: String,
    /// `c=`, header and body; `simple/simple` when absent.
    pub canonicalization: String,
    /// `i=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// `h=`, in lower case.
    pub signed_fields: Vec<String>,
    /// `t=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<DateTime<Utc>>,
    /// `x=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    /// `l=`: octets of the body that are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_length: Option<u64>,
    /// What verifying it gave.
    pub verified: Verified,
    /// Why, in a sentence.
    pub reason: String,
    /// What usually breaks a signature in this way, and what to do; absent where nothing is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// `d=` is aligned with From, as the DMARC policy wants it (RFC 9989 4.10); absent when it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned: Option<bool>,
    /// The field as it stands, unfolded.
    pub raw: String,
}

/// The chain as a whole (RFC 8617 5.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArcState {
    /// No ARC fields.
    #[default]
    None,
    /// Every seal and the newest message signature verify.
    Pass,
    /// It is broken.
    Fail,
    /// Could not be told.
    Unknown,
}

impl ArcState {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// The ARC chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArcReport {
    /// The whole.
    pub state: ArcState,
    /// Why, in a sentence.
    pub reason: String,
    /// The instance at which it fails; absent where it does not, or where the fault is no one instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_instance: Option<u32>,
    /// What the host that took the message last made of the chain, in a sentence; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// The sets by instance, the first forwarder's first.
    pub sets: Vec<ArcSet>,
}

/// One ARC set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArcSet {
    /// `i=`.
    pub instance: u32,
    /// `d=` of the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `s=` of the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// `cv=`: how the forwarder found the chain before it: `none`, `pass` or `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cv: Option<String>,
    /// When it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<DateTime<Utc>>,
    /// What the forwarder vouched for, in a sentence: its ARC-Authentication-Results, and how it found the chain before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vouched: String,
    /// ARC-Seal.
    pub seal: Verified,
    /// Why, in a sentence.
    pub seal_reason: String,
    /// ARC-Message-Signature. Only the newest must verify: later forwarders may change the message.
    pub message_signature: Verified,
    /// Why, in a sentence.
    pub message_signature_reason: String,
    /// Fields of the set that are missing or there twice.
    pub remarks: Vec<String>,
}

/// From against what was authenticated, by the relaxed rules of RFC 9989.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alignment {
    /// The domain SPF speaks for: that of the envelope sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_domain: Option<String>,
    /// SPF's result by the field that can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf_result: Option<String>,
    /// The envelope domain is aligned with From; absent when either is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf_aligned: Option<bool>,
    /// A DKIM signature is aligned with From and verifies, here or by the field that can be believed; absent when it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim_aligned: Option<bool>,
    /// DMARC's result by the field that can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc_result: Option<String>,
    /// All of it in words.
    pub words: String,
}

/// A selector and the domain it signs for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeenSelector {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
}
