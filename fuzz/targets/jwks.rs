//! Bytes for `certmint::fuzzing::jwks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::jwks(bytes);
});
