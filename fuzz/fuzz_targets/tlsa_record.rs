//! TLSA records (RFC 6698 2.1) as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::tlsa_record(bytes));
