//! BIMI mark certificates, as PEM.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::bimi_mark(bytes));
