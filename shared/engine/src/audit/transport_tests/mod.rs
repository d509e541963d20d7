//! DANE, MTA-STS, TLS-RPT and DNSSEC against servers on loopback: what each rule fires on, and what it lets be.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use hickory_proto::op::ResponseCode;
use waypost_types::Finding;

mod dane;
mod dnssec;
mod mta_sts;
mod mx;

use super::{
    dane_match::record_for,
    dnssec_records::tests::{key_and_ds, rrsig},
    *,
};
use crate::net::{
    RecordType,
    authority::{Authority, Issued, http_answer, smtp},
    tests::{Say, Server},
};

async fn look(net: &Net, smtp: Option<SocketAddr>, options: &AuditOptions, families: &[Family]) -> AuditReport {
    let times = Times::of(options);
    let chains =
        Chains::new(net, options.look_at_certificates, times.looks).with_port25(&options.port25).at_port(smtp.map_or(9, |address| address.port()));
    look_at(net, &"e.example".parse().unwrap(), options, families, (times, confirm::PORT), &chains).await
}

fn looking() -> AuditOptions {
    AuditOptions { look_at_certificates: true, ..AuditOptions::default() }
}

fn rules(report: &AuditReport) -> Vec<&str> {
    // A fix that still has a placeholder tells nobody what to do.
    assert!(report.findings.iter().all(|finding| !finding.fix.is_empty() && !finding.fix.contains('{')), "{:#?}", report.findings);
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

fn found<'a>(report: &'a AuditReport, rule: &str) -> &'a Finding {
    report.findings.iter().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("{rule}: {report:#?}"))
}

fn old(params: &mut rcgen::CertificateParams) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
}

fn record(issued: &Issued, at: usize, usage: u8) -> String {
    record_for(&issued.chain[at], usage).unwrap()
}
