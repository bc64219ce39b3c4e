//! Bytes for `certmint::fuzzing::protobuf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    certmint::fuzzing::protobuf(bytes);
});
