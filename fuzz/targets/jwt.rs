//! Bytes for `certmint::fuzzing::jwt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::jwt(bytes);
});
