//! TLS-RPT records (RFC 8460 3).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::tls_rpt_record(bytes));
