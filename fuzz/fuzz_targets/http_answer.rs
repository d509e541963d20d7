//! HTTP answers (RFC 9112): the first octet is the size of the pieces in which they come.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::http_answer(bytes));
