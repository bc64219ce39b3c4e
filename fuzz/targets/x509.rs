//! Bytes for `certmint::fuzzing::x509`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::x509(bytes);
});
