//! What the fuzzer may call of the records that an audit reads. What they give is thrown away: that they come back at all is what is tried.

use std::hint::black_box;

use chrono::DateTime;

use super::{bimi, bimi_mark, bimi_svg, dane_match::Tlsa, dkim_key, dmarc_record::Record, mta_sts, mta_sts_policy, tags, tls_rpt};

/// DKIM keys, and tag lists as such.
pub(crate) fn dkim_key(text: &str) {
    let _ = black_box((dkim_key::parse(text), tags::tags(text)));
}

/// DMARC records.
pub(crate) fn dmarc_record(text: &str) {
    let _ = black_box(Record::parse(text));
}

/// MTA-STS records.
pub(crate) fn mta_sts_record(text: &str) {
    let _ = black_box(mta_sts::record_is_fine(text));
}

/// MTA-STS policies, as served and as history keeps them. What is kept has no control characters, so it may read otherwise than what was served.
pub(crate) fn mta_sts_policy(text: &str) {
    let _ = black_box((mta_sts_policy::parse(text), mta_sts_policy::parse_kept(&mta_sts_policy::lines(text))));
}

/// TLS-RPT records.
pub(crate) fn tls_rpt_record(text: &str) {
    let _ = black_box(tls_rpt::parse(text));
}

/// BIMI records.
pub(crate) fn bimi_record(text: &str) {
    let _ = black_box(bimi::parse(text));
}

/// BIMI logos, packed or not.
pub(crate) fn bimi_logo(bytes: &[u8]) {
    if let Ok(logo) = bimi_svg::unpacked(bytes) {
        black_box(bimi_svg::faults(&logo));
    }
}

/// BIMI mark certificates.
pub(crate) fn bimi_mark(bytes: &[u8]) {
    if let Ok(mark) = bimi_mark::read(bytes) {
        black_box(mark.faults(&["e.example".to_owned()], None, DateTime::UNIX_EPOCH));
    }
}

/// TLSA records as text.
pub(crate) fn tlsa_record(text: &str) {
    if let Ok(tlsa) = Tlsa::parse(text) {
        black_box((tlsa.malformed(), tlsa.usable()));
    }
}
