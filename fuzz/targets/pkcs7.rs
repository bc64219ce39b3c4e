//! Bytes for `certmint::fuzzing::pkcs7`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::pkcs7(bytes);
});
