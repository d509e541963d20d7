//! Doors for the fuzz targets of `fuzz/`: bytes from outside, to each parser. Not part of the engine's interface.
#![allow(missing_docs, clippy::missing_panics_doc, reason = "the fuzzer calls them by their names, and a panic is what it looks for")]

use std::hint::black_box;

use crate::{
    audit::fuzzing as audit,
    blacklist, headers, net, probe, service,
    spf::{self, Context, MacroString},
};

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

pub fn spf_record(bytes: &[u8]) {
    black_box(spf::is_spf(bytes));
    // Here and below: that it comes back is what is tried, not what it gives.
    let _ = black_box(spf::parse(bytes));
}

/// Both contexts; what expands must end.
pub fn spf_macro(bytes: &[u8]) {
    for context in [Context::Domain, Context::Text] {
        if let Ok(parsed) = MacroString::parse(&text(bytes), context) {
            black_box(parsed.expand(|letter| format!("{letter}.a-b+c.example")));
        }
    }
}

pub fn dkim_key(bytes: &[u8]) {
    audit::dkim_key(&text(bytes));
}

pub fn dmarc_record(bytes: &[u8]) {
    audit::dmarc_record(&text(bytes));
}

pub fn mta_sts_record(bytes: &[u8]) {
    audit::mta_sts_record(&text(bytes));
}

pub fn mta_sts_policy(bytes: &[u8]) {
    audit::mta_sts_policy(&text(bytes));
}

pub fn tls_rpt_record(bytes: &[u8]) {
    audit::tls_rpt_record(&text(bytes));
}

pub fn bimi_record(bytes: &[u8]) {
    audit::bimi_record(&text(bytes));
}

pub fn bimi_logo(bytes: &[u8]) {
    audit::bimi_logo(bytes);
}

pub fn bimi_mark(bytes: &[u8]) {
    audit::bimi_mark(bytes);
}

pub fn tlsa_record(bytes: &[u8]) {
    audit::tlsa_record(&text(bytes));
}

/// The first octet chooses the zone, each four that follow are an answer.
pub fn dnsbl_answer(bytes: &[u8]) {
    blacklist::fuzz_answer(bytes);
}

pub fn smtp_reply(bytes: &[u8]) {
    probe::fuzz_reply(bytes);
}

pub fn mailbox_line(bytes: &[u8]) {
    service::fuzz_line(bytes);
}

/// The first octet is the size of the pieces in which the answer comes.
pub fn http_answer(bytes: &[u8]) {
    net::fuzz_http(bytes);
}

pub fn message(bytes: &[u8]) {
    headers::fuzz_message(bytes);
}
