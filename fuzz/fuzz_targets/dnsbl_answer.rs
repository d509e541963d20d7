//! Answers of block lists: the first octet chooses the zone, each four that follow are an address.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waypost_engine::fuzzing::dnsbl_answer(bytes));
