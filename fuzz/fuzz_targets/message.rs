//! Messages: the header with its hops, results, signatures and seals.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::message(bytes));
