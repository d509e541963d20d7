//! Lines of mailbox servers (RFC 9051, RFC 1939).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::mailbox_line(bytes));
