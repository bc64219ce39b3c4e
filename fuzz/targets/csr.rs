//! Bytes for `certmint::fuzzing::csr`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::csr(bytes);
});
