#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| simwright_fuzz::ask("batches", body));
