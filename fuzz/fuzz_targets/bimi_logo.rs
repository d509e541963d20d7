//! BIMI logos (SVG Tiny PS), packed or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::bimi_logo(bytes));
