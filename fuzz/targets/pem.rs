//! Bytes for `certmint::fuzzing::pem`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::pem(bytes);
});
