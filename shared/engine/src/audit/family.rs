//! The record families of an audit, by their keys and their rules.

use waypost_types::finding::family_key;

/// A record family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names of the records
pub enum Family {
    Mx,
    Spf,
    Dkim,
    Dmarc,
    MtaSts,
    TlsRpt,
    Bimi,
    Dane,
    Ptr,
    Dnssec,
    Ns,
}

impl Family {
    /// All of them, in the order pages show them.
    pub const ALL: [Self; 11] =
        [Self::Mx, Self::Spf, Self::Dkim, Self::Dmarc, Self::MtaSts, Self::TlsRpt, Self::Bimi, Self::Dane, Self::Ptr, Self::Dnssec, Self::Ns];

    /// The key in `checks` and `records`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Dmarc => "dmarc",
            Self::MtaSts => "mta_sts",
            Self::TlsRpt => "tls_rpt",
            Self::Bimi => "bimi",
            Self::Dane => "dane",
            Self::Ptr => "ptr",
            Self::Dnssec => "dnssec",
            Self::Ns => "ns",
        }
    }
}

impl Family {
    /// The family that a rule's findings belong to; none for rules that no audit has.
    pub fn of_rule(rule: &str) -> Option<Self> {
        let key = family_key(rule);
        Self::ALL.into_iter().find(|family| family.key() == key)
    }
}
