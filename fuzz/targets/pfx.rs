//! Bytes for `certmint::fuzzing::pfx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::pfx(bytes);
});
