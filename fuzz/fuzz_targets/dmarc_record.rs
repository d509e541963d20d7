//! DMARC records (RFC 9989 4.7).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::dmarc_record(bytes));
