//! DKIM keys (RFC 6376 3.6.1, RFC 8463).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::dkim_key(bytes));
