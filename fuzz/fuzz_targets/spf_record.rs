//! SPF records (RFC 7208 4.6), and the macro strings in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::spf_record(bytes));
