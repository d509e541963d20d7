//! A DMARC record (RFC 9989 4.7, 4.8) as a type: what it says, what stands wrong in it, and the same record written again with another policy.

use super::{
    dmarc_address::{self, BadAddress, ReportAddress},
    dmarc_tags::{Fault, REMOVED, TAGS, Tag, is_quote, quoted, run_together, split},
};

/// Report addresses of one tag that are read; more than anybody has, so that a proposal keeps all.
const MOST_REPORTS: usize = 50;
/// What receivers are to do with mail that fails, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Policy {
    None,
    Quarantine,
    Reject,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject].into_iter().find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// What receivers do in test mode (`t=y`).
    pub(super) const fn weakened(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// A tag that may be absent, or hold what it must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said<T> {
    Nothing,
    Wrong(String),
    Value(T),
}

impl<T: Copy> Said<T> {
    pub(super) const fn value(&self) -> Option<T> {
        match self {
            Self::Value(value) => Some(*value),
            Self::Nothing | Self::Wrong(_) => None,
        }
    }
}

/// `psd=`: whether the name is a public suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Psd {
    Yes,
    No,
    Unsaid,
}

/// What receivers make of a record (RFC 9989 4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its policies hold.
    Full,
    /// `p` is missing, or a policy is none of the three: taken as `p=none`, since there is somebody to report to.
    OnlyWatches,
    /// The same without a report address: not taken at all.
    Ignored,
}

/// A record that receivers take for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) tags: Vec<Tag>,
    pub(super) p: Said<Policy>,
    pub(super) sp: Said<Policy>,
    pub(super) np: Said<Policy>,
    pub(super) testing: bool,
    pub(super) psd: Psd,
    pub(super) strict_dkim: bool,
    pub(super) strict_spf: bool,
    pub(super) rua: Vec<ReportAddress>,
    pub(super) ruf: Vec<ReportAddress>,
    /// Addresses that can not be used, each with its tag.
    pub(super) bad_addresses: Vec<(&'static str, BadAddress)>,
    /// Mistakes that cost a tag, not the record.
    pub(super) faults: Vec<Fault>,
}

impl Record {
    /// Reads a record; fails where receivers discard all of it.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let (tags, mut faults) = split(text)?;
        let tag = |name: &str| tags.iter().find(|tag| tag.name == name);
        let policy = |name: &str| match tag(name) {
            None => Said::Nothing,
            Some(tag) => Policy::parse(&tag.value).map_or_else(|| Said::Wrong(tag.value.clone()), Said::Value),
        };
        let mut letter = |name: &str, allowed: &str, meaning: &str| {
            let tag = tag(name)?;
            let given = tag.value.to_ascii_lowercase();
            if given.len() == 1 && allowed.contains(&given) {
                return given.chars().next();
            }
            faults.push(Fault { at: tag.at, what: format!("{name}={} is not known, receivers read it as {meaning}", quoted(&tag.value)) });
            None
        };
        let testing = letter("t", "yn", "n") == Some('y');
        let psd = match letter("psd", "ynu", "u") {
            Some('y') => Psd::Yes,
            Some('n') => Psd::No,
            _ => Psd::Unsaid,
        };
        let strict_dkim = letter("adkim", "rs", "r") == Some('s');
        let strict_spf = letter("aspf", "rs", "r") == Some('s');
        // Without ruf= nobody looks at it.
        if let Some(fo) = tag("fo").filter(|fo| tag("ruf").is_some() && !fo.value.split(':').any(is_report_option)) {
            faults.push(Fault { at: fo.at, what: format!("fo={} is not known, receivers read it as 0", quoted(&fo.value)) });
        }
        let mut bad_addresses = Vec::new();
        let mut addresses = |name: &'static str| {
            let Some(tag) = tag(name) else { return Vec::new() };
            let (good, bad) = dmarc_address::list(&tag.value, tag.at, MOST_REPORTS);
            bad_addresses.extend(bad.into_iter().map(|bad| (name, bad)));
            good
        };
        let (rua, ruf) = (addresses("rua"), addresses("ruf"));
        let (p, sp, np) = (policy("p"), policy("sp"), policy("np"));
        Ok(Self { tags, p, sp, np, testing, psd, strict_dkim, strict_spf, rua, ruf, bad_addresses, faults })
    }

    /// The value of a tag as written.
    pub(super) fn tag(&self, name: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.name == name)
    }

    /// What receivers make of it.
    pub(super) fn standing(&self) -> Standing {
        let wrong = |said: &Said<Policy>| matches!(said, Said::Wrong(_));
        if self.p.value().is_some() && !wrong(&self.sp) && !wrong(&self.np) {
            Standing::Full
        } else if self.rua.is_empty() {
            Standing::Ignored
        } else {
            Standing::OnlyWatches
        }
    }

    fn held(&self, said: Option<Policy>) -> Policy {
        said.filter(|_| self.standing() == Standing::Full).unwrap_or(Policy::None)
    }

    /// For mail of the name that publishes it.
    pub(super) fn own(&self) -> Policy {
        self.held(self.p.value())
    }

    /// For names below it.
    pub(super) fn subdomains(&self) -> Policy {
        self.held(self.sp.value().or(self.p.value()))
    }

    /// For names below it that do not exist.
    pub(super) fn nonexistent(&self) -> Policy {
        self.held(self.np.value().or(self.sp.value()).or(self.p.value()))
    }

    /// The share of mail that readers of RFC 7489 apply the policy to, when it is not all.
    pub(super) fn share(&self) -> Option<u8> {
        self.tag("pct").and_then(|tag| tag.value.parse().ok()).filter(|percent| *percent < 100)
    }

    /// The same, where one of the policies keeps mail out: without it readers of RFC 7489 would do so with more mail.
    pub(super) fn held_back(&self) -> Option<u8> {
        let enforcing = [self.own(), self.subdomains(), self.nonexistent()].into_iter().any(|policy| policy > Policy::None);
        self.share().filter(|_| enforcing)
    }

    /// The policies as they are.
    pub(super) fn draft(&self) -> Draft {
        let p = self.p.value().unwrap_or(Policy::None);
        Draft { p, sp: self.sp.value(), np: self.np.value(), testing: self.testing, share: self.held_back() }
    }

    /// The record with other policies, in the usual order and without what is gone and changes nothing, with tags that others may read; asks for reports at `mailbox`
    /// where it asks for none.
    pub(super) fn with(&self, draft: Draft, mailbox: Option<&str>) -> String {
        let uris = |list: &[ReportAddress]| list.iter().map(|address| address.uri.as_str()).collect::<Vec<_>>().join(",");
        let psd = match self.psd {
            Psd::Yes => Some("y"),
            Psd::No => Some("n"),
            Psd::Unsaid => None,
        };
        let mut out = draft.head(psd);
        let mut add = |name: &str, value: &str| out.extend(["; ", name, "=", value]);
        if self.strict_dkim {
            add("adkim", "s");
        }
        if self.strict_spf {
            add("aspf", "s");
        }
        match (self.rua.is_empty(), mailbox) {
            (false, _) => add("rua", &uris(&self.rua)),
            (true, Some(mailbox)) => add("rua", &format!("mailto:{mailbox}")),
            (true, None) => {}
        }
        if !self.ruf.is_empty() {
            add("ruf", &uris(&self.ruf));
            if let Some(fo) = self.tag("fo").filter(|fo| fo.value.split(':').all(is_report_option)) {
                add("fo", &fo.value);
            }
        }
        for tag in self.tags.iter().filter(|tag| is_of_others(tag)) {
            add(&tag.name, &tag.value);
        }
        out
    }

    /// The record as it is meant: the same policies, written as it should be.
    pub(super) fn mended(&self, mailbox: Option<&str>) -> String {
        self.with(self.draft(), mailbox)
    }
}

/// When a failure report is wanted (`fo=`, RFC 9989 4.7).
fn is_report_option(option: &str) -> bool {
    matches!(option.trim(), "0" | "1" | "d" | "D" | "s" | "S")
}

/// A tag that the standard does not know and lets stand: whoever put it there may have somebody who reads it.
fn is_of_others(tag: &Tag) -> bool {
    let plain = |c: char| (' '..='~').contains(&c) && c != ';' && !is_quote(c);
    !TAGS.contains(&tag.name.as_str()) && !REMOVED.contains(&tag.name.as_str()) && tag.value.chars().all(plain) && run_together(&tag.value).is_none()
}

/// Policies of a record to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) p: Policy,
    pub(super) sp: Option<Policy>,
    pub(super) np: Option<Policy>,
    pub(super) testing: bool,
    /// `pct=`, gone since RFC 9989: stays until its owner decides, since the policy reaches more mail without it.
    pub(super) share: Option<u8>,
}

impl Draft {
    fn head(self, psd: Option<&str>) -> String {
        let mut out = format!("v=DMARC1; p={}", self.p.as_str());
        for (name, policy) in [("sp", self.sp), ("np", self.np)] {
            out.extend(policy.iter().flat_map(|policy| ["; ", name, "=", policy.as_str()]));
        }
        if self.testing {
            out.push_str("; t=y");
        }
        out.extend(self.share.map(|share| format!("; pct={share}")));
        out.extend(psd.iter().flat_map(|psd| ["; psd=", psd]));
        out
    }

    /// A record of a domain that has none yet.
    pub(super) fn first(self, mailbox: Option<&str>) -> String {
        let mut out = self.head(None);
        out.extend(mailbox.iter().flat_map(|mailbox| ["; rua=mailto:", mailbox]));
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn policies_follow_from_the_tags() {
        use Policy::{None, Quarantine, Reject};
        use Standing::{Full, Ignored, OnlyWatches};
        for (tags, standing, policies) in [
            ("p=reject", Full, [Reject; 3]),
            ("P=REJECT", Full, [Reject; 3]),
            ("p=reject; sp=none", Full, [Reject, None, None]),
            ("p=none; sp=quarantine; np=reject", Full, [None, Quarantine, Reject]),
            ("p=none; np=reject", Full, [None, None, Reject]),
            ("rua=mailto:d@e.example", OnlyWatches, [None; 3]),
            ("p=rejct; rua=mailto:d@e.example", OnlyWatches, [None; 3]),
            ("p=reject; sp=rejct; rua=mailto:d@e.example", OnlyWatches, [None; 3]),
            ("p=reject; np=; rua=mailto:d@e.example", OnlyWatches, [None; 3]),
            ("p=reject; sp=rejct", Ignored, [None; 3]),
            ("p=rejct; rua=d@e.example", Ignored, [None; 3]),
            ("sp=reject", Ignored, [None; 3]),
        ] {
            let record = Record::parse(&format!("v=DMARC1; {tags}")).unwrap();
            assert_eq!((record.standing(), [record.own(), record.subdomains(), record.nonexistent()]), (standing, policies), "{tags}");
        }
        assert!(None < Quarantine && Quarantine < Reject);
        assert_eq!([Reject.weakened(), Quarantine.weakened(), None.weakened()], [Quarantine, None, None]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, fault) in [
            ("v=DMARC1 p=none", "after v=DMARC1 a “;” is missing (character 9)"),
            ("v=DMARC1, p=none", "after v=DMARC1 a “;” is missing (character 9)"),
            ("V=DMARC1; p=none", "v=DMARC1 must be written with exactly these letters (character 1)"),
            (" v=DMARC1; p=none", "a blank stands before v=DMARC1 (character 1)"),
            ("\"v=DMARC1; p=none\"", "quotes stand before v=DMARC1 (character 1)"),
            ("p=none; v=DMARC1", "the record does not begin with v=DMARC1 (character 1)"),
            ("v=DMARC1; p=none; p=reject", "the tag p= stands twice (character 19)"),
        ] {
            assert_eq!(Record::parse(text).unwrap_err().to_string(), fault, "{text}");
        }
        for (text, faults) in [
            ("v=DMARC1; p=none;;  ", &[][..]),
            ("v=DMARC1;p=none;rua=mailto:d@e.example,mailto:p=x@e.example", &[]),
            ("v=DMARC1; p=none, rua=mailto:d@e.example", &["a “;” is missing before rua= (character 19)"]),
            ("v=DMARC1; p=none rua=mailto:d@e.example", &["a “;” is missing before rua= (character 18)"]),
            ("v=DMARC1; p=none; adkim=strict", &["adkim=strict is not known, receivers read it as r (character 25)"]),
            ("v=DMARC1; p=none; t=yes", &["t=yes is not known, receivers read it as n (character 21)"]),
            ("v=DMARC1; p=none; fo=1 : d", &[]),
            ("v=DMARC1; p=none; fo=2", &[]),
            ("v=DMARC1; p=none; fo=2; ruf=mailto:f@e.example", &["fo=2 is not known, receivers read it as 0 (character 22)"]),
            ("v=DMARC1; p=none; fo=; ruf=mailto:f@e.example", &["fo= is not known, receivers read it as 0 (character 22)"]),
            ("v=DMARC1; p=none; x-y=1", &["“x-y” is no name of a tag: names are letters only (character 19)"]),
            ("v=DMARC1; p=none; hello", &["“hello” is no tag: tags are written name=value (character 19)"]),
            ("v=DMARC1; p=\"none\"", &["quotes do not belong into p=\"none\" (character 13)"]),
            (
                "v=DMARC1; p=none; rua=mailto:a@e.example; mailto:b@e.example",
                &["“mailto:b@e.example” stands alone: report addresses are separated by commas, not by semicolons (character 43)"],
            ),
        ] {
            let record = Record::parse(text).unwrap();
            assert_eq!(record.faults.iter().map(ToString::to_string).collect::<Vec<_>>(), faults, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_we_write_can_be_read(
            text in "(v=DMARC1|V=dmarc1|\"v=DMARC1)?([;, :|]{1,2}(p|sp|np|t|psd|adkim|rua|ruf|pct|x)? ?=? ?(none|reject|y|s|mailto:a@b.c|[\\PC]{0,4})){0,7}",
            any in "\\PC{0,60}",
        ) {
            for text in [text, any] {
                if let Ok(record) = Record::parse(&text) {
                    let written = Record::parse(&record.mended(Some("d@e.example"))).unwrap();
                    prop_assert!(written.faults.is_empty() && written.standing() == Standing::Full, "{text} {written:?}");
                    prop_assert!(!written.rua.is_empty() && written.bad_addresses.is_empty());
                }
            }
        }
    }
}
