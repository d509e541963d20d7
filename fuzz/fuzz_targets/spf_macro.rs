//! Macro strings (RFC 7208 7), parsed and expanded, as a domain and as a text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::spf_macro(bytes));
