//! MTA-STS records (RFC 8461 3.1).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::mta_sts_record(bytes));
