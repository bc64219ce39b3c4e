//! Bytes for `certmint::fuzzing::backup_inside`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::backup_inside(bytes);
});
