//! What an audit shows beside its findings, one type per record family: the tree of SPF lookups, the keys of DKIM, the policy of DMARC, …
//! The findings say what is wrong; these say what is there. Fields are added, never renamed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::finding::{Severity, SuggestedRecord};

/// Details by record family; empty where a family has none or could not be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditDetail {
    /// The SPF policy and all it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf: Option<SpfDetail>,
    /// DKIM keys found, one per selector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim: Vec<DkimKey>,
    /// Selectors that had a key at the last audit and that nobody names any more: they were not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim_unasked: Vec<String>,
    /// The DMARC policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<DmarcDetail>,
    /// The MTA-STS policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mta_sts: Option<MtaStsDetail>,
    /// The logo and its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bimi: Option<BimiDetail>,
    /// TLSA records of the MX hosts, each with what it matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dane: Vec<TlsaDetail>,
    /// The certificates MX hosts showed after STARTTLS, where a policy made us look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<MxCertificate>,
}

impl AuditDetail {
    /// Takes in what another family tells.
    pub fn take(&mut self, other: Self) {
        let Self { spf, dkim, dkim_unasked, dmarc, mta_sts, bimi, dane, certificates } = other;
        self.spf = spf.or(self.spf.take());
        self.dkim.extend(dkim);
        self.dkim_unasked.extend(dkim_unasked);
        self.dmarc = dmarc.or(self.dmarc.take());
        self.mta_sts = mta_sts.or(self.mta_sts.take());
        self.bimi = bimi.or(self.bimi.take());
        self.dane.extend(dane);
        self.certificates.extend(certificates);
    }
}

/// SPF: what the record reaches, and whether the organisation's own addresses pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpfDetail {
    /// The policy with everything that it includes.
    pub tree: SpfNode,
    /// Addresses known to send for the domain, and what `check_host()` says of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<SpfSender>,
    /// The record with its includes replaced by addresses, and what that risks; absent where it would not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flattened: Option<SpfFlattening>,
}

/// One policy in the tree of lookups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpfNode {
    /// Whose policy it is.
    pub domain: String,
    /// The sender service that the catalog knows the domain as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The record as published; absent when there is none or it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Why the policy can not be used, or could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Terms that cost a DNS lookup, in it and below (RFC 7208 4.6.4 allows ten in all).
    pub lookups: u32,
    /// Lookups that find nothing, in it and below (two in all are allowed).
    pub void_lookups: u32,
    /// Its terms, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<SpfTerm>,
}

/// A term of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpfTerm {
    /// As it stands in the record.
    pub text: String,
    /// DNS lookups it costs, with all below it.
    pub lookups: u32,
    /// What is to say of it: what it resolves to, that it repeats another, that it finds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The policy that `include` and `redirect` lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub policy: Option<Box<SpfNode>>,
}

/// Whether an address may send for the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpfSender {
    /// The address.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: IpAddr,
    /// Why it is looked at: `MX host mx.example.com`, `watched address`, …
    pub origin: String,
    /// `pass`, `fail`, `softfail`, … (RFC 7208 2.6).
    pub result: String,
    /// The term that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
}

/// A record without includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpfFlattening {
    /// The records to publish; more than one where the first is too long by itself.
    pub records: Vec<SuggestedRecord>,
    /// Lookups the new record costs.
    pub lookups: u32,
    /// What may go wrong with it, in one sentence.
    pub risk: String,
}

/// A DKIM key in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DkimKey {
    /// The selector.
    pub selector: String,
    /// How we know of it.
    pub origin: SelectorOrigin,
    /// `rsa` or `ed25519`; as written when receivers know neither.
    pub kind: String,
    /// Bits of an RSA modulus; 256 for Ed25519; absent for keys that are revoked or can not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// `p=` is empty.
    #[serde(default)]
    pub revoked: bool,
    /// `t=y`.
    #[serde(default)]
    pub testing: bool,
    /// The name that the selector is an alias of, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The sender service that the alias or the selector belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// SHA-256 of the key's bytes, the first 16 hexadecimal digits: the same key has the same mark.
    #[serde(default)]
    pub mark: String,
    /// When we first saw this key at this selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<DateTime<Utc>>,
}

impl DkimKey {
    /// Receivers can use it: it can be read, is not revoked, and of a kind that they know.
    pub fn is_usable(&self) -> bool {
        !self.revoked && self.bits.is_some() && matches!(self.kind.as_str(), "rsa" | "ed25519")
    }
}

/// How a selector came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SelectorOrigin {
    /// Somebody named it.
    Hand,
    /// A signature or a report names it: mail is signed with it.
    Seen,
    /// Earlier audits tried it and found a key.
    Found,
    /// A usual one that was tried.
    Catalog,
}

/// A DMARC policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DmarcDetail {
    /// The name that publishes it, without `_dmarc.`; a parent where the domain has none of its own.
    pub owner: String,
    /// `none`, `quarantine` or `reject`, as it applies to this domain; empty where no record is in force.
    pub policy: String,
    /// For subdomains; absent where no record is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdomains: Option<String>,
    /// For names that do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonexistent: Option<String>,
    /// `t=y`.
    #[serde(default)]
    pub testing: bool,
    /// `relaxed` or `strict`.
    pub dkim_alignment: String,
    /// `relaxed` or `strict`.
    pub spf_alignment: String,
    /// Mailboxes of `rua=`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
    /// The way from here to `reject`, each step that is still to be done with its record. Also where no record is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<DmarcStep>,
}

/// A step on the way to a policy that protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DmarcStep {
    /// What to do.
    pub title: String,
    /// How to know that it is time, and what to look at.
    pub text: String,
    /// It is done already.
    pub done: bool,
    /// The record to publish at this step; absent when it is done, and where no mailbox is known that could take the reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<SuggestedRecord>,
}

/// An MTA-STS policy (RFC 8461 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MtaStsDetail {
    /// `id=` of the TXT record.
    pub id: String,
    /// `enforce`, `testing` or `none`.
    pub mode: String,
    /// Seconds that senders keep it.
    pub max_age: u64,
    /// Its `mx:` patterns.
    pub mx: Vec<String>,
    /// The file as served.
    pub text: String,
}

/// A BIMI logo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BimiDetail {
    /// Where the logo is.
    pub logo: String,
    /// Where the mark certificate is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Whether it is a `VMC` or a `CMC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_kind: Option<String>,
    /// What kind of mark it vouches for, in its own words: `Registered Mark`, `Prior Use Mark`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Who issued it. That it is trusted is not said: those who issue marks are no public roots of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
}

/// A TLSA record of an MX host (RFC 6698 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TlsaDetail {
    /// The MX host.
    pub host: String,
    /// The record: usage, selector, matching type and data.
    pub record: String,
    /// It matches the chain that the host showed; absent when that could not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
    /// What is to say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What an MX host showed on port 25 after STARTTLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MxCertificate {
    /// The MX host.
    pub host: String,
    /// Chains to a trusted root, within its dates.
    pub trusted: bool,
    /// Names the host.
    pub name_matches: bool,
    /// End of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    /// Why there is none, or why it is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a rule took from the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LostPoints {
    /// The rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The worst severity among its findings.
    pub severity: Severity,
    /// Points it costs.
    pub points: u8,
    /// Points the score gains when this one is mended and nothing else is: less than it costs where the score has no further to fall.
    pub gain: u8,
}
