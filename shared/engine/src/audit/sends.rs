//! Whether anybody sends for the domain, as far as is known: the one answer that all families build on.

use super::{AuditOptions, Facts};

/// What speaks for mail in the domain's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sends {
    /// Mail was seen, or somebody said where it comes from.
    Surely(String),
    /// It may send, or did so once: nobody is told that it does, and nobody that it does not.
    Perhaps(String),
}

impl Sends {
    /// Somebody does send.
    pub(super) const fn is_sure(&self) -> bool {
        matches!(self, Self::Surely(_))
    }

    /// How that is known, as a clause.
    pub(super) fn how(&self) -> &str {
        let (Self::Surely(how) | Self::Perhaps(how)) = self;
        how
    }
}

/// The strongest evidence; none where nobody is known to send. MX records that were lost speak for mail, but not beside a null MX, by which
/// their owner says that they are not missed.
pub(super) fn sends(facts: &Facts, options: &AuditOptions) -> Option<Sends> {
    if let Some(selector) = options.seen_selectors.first() {
        return Some(Sends::Surely(format!("mail is signed with its selector {selector}")));
    }
    if let Some((address, _)) = options.senders.first() {
        return Some(Sends::Surely(format!("{} sends for it", address.to_canonical())));
    }
    let lost = if facts.null_mx || !facts.hosts.is_empty() { Vec::new() } else { options.known.mx_hosts() };
    let perhaps = if let Some(selector) = options.selectors.first() {
        format!("somebody named the selector {selector} of its signatures")
    } else if let Some(selector) = options.found_selectors.first() {
        format!("a DKIM key stood at its selector {selector}")
    } else {
        format!("mail to it went to {} before", lost.first()?)
    };
    Some(Sends::Perhaps(perhaps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Known;

    #[test]
    fn all_that_speaks_for_mail_counts_and_a_null_mx_explains_lost_mx_records() {
        let own = || vec!["s1".to_owned()];
        let lost = Known { lost_mx: vec!["10 mx.e.example".to_owned()], ..Known::default() };
        let stranger = AuditOptions::default;
        for (options, null_mx, sure) in [
            (stranger(), false, None),
            (AuditOptions { seen_selectors: own(), selectors: own(), ..stranger() }, true, Some(true)),
            (AuditOptions { senders: vec![("203.0.113.5".parse().unwrap(), "watched".to_owned())], ..stranger() }, true, Some(true)),
            (AuditOptions { selectors: own(), ..stranger() }, true, Some(false)),
            (AuditOptions { found_selectors: own(), ..stranger() }, true, Some(false)),
            (AuditOptions { known: lost.clone(), ..stranger() }, false, Some(false)),
            (AuditOptions { known: lost, ..stranger() }, true, None),
            (AuditOptions { known: Known { lost_mx: vec!["0 .".to_owned()], ..Known::default() }, ..stranger() }, false, None),
        ] {
            let facts = Facts { null_mx, receives: false, ..Facts::of(&"e.example".parse().unwrap()) };
            assert_eq!(sends(&facts, &options).map(|sends| sends.is_sure()), sure, "{options:?}");
        }
    }
}
