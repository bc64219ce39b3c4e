//! Bytes for `certmint::fuzzing::backup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::backup(bytes);
});
