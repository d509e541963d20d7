//! MTA-STS policies (RFC 8461 3.2).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::mta_sts_policy(bytes));
