//! Replies of SMTP servers (RFC 5321 4.2), line by line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::smtp_reply(bytes));
