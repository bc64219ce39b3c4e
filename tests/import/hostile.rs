//! Hostile files: no panic, bounded time, bounded memory. Changes to good files are in `tests/parsers`.

use crate::import::tools::import;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// No input takes longer, in a build without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_any_kind_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(import(&bytes, "").is_err());
    }

    #[test]
    fn text_of_any_kind_is_refused(text in "(-----BEGIN [A-Z ]{1,12}-----|[A-Za-z0-9+/=\n]{0,40}|-----END [A-Z ]{1,12}-----){1,6}") {
        prop_assert!(import(text.as_bytes(), "").is_err());
    }
}

/// DER with its length in four bytes.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x84][..], &u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn oid(last: &[u8]) -> Vec<u8> {
    tlv(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 13][..], last].concat())
}

/// A PFX around the encoded parts of its AuthenticatedSafe.
fn pfx(safes: &[u8], mac: &[u8]) -> Vec<u8> {
    let content = tlv(4, &tlv(0x30, safes));
    let info = tlv(0x30, &[oid(&[1, 7, 1]), tlv(0xa0, &content)].concat());
    tlv(0x30, &[&tlv(2, &[3])[..], &info, mac].concat())
}

fn pbkdf2(rounds: &[u8], salt: &[u8]) -> Vec<u8> {
    let inputs = tlv(0x30, &[tlv(4, salt), tlv(2, rounds)].concat());
    tlv(0x30, &[oid(&[1, 5, 12]), inputs].concat())
}

fn encrypted(rounds: &[u8]) -> Vec<u8> {
    let aes = tlv(0x30, &[tlv(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]), tlv(4, &[0; 16])].concat());
    let parameters = tlv(0x30, &[pbkdf2(rounds, &[1; 8]), aes].concat());
    let algorithm = tlv(0x30, &[oid(&[1, 5, 13]), parameters].concat());
    let info = tlv(0x30, &[oid(&[1, 7, 1]), algorithm, tlv(0x80, &[7; 32])].concat());
    let data = tlv(0x30, &[tlv(2, &[0]), info].concat());
    tlv(0x30, &[oid(&[1, 7, 6]), tlv(0xa0, &data)].concat())
}

#[track_caller]
fn refused_soon(file: &[u8], within: Duration, words: &str) {
    let begun = Instant::now();
    let error = import(file, "secret").unwrap_err();
    assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    assert!(error.message.contains(words), "{error}");
}

/// Nothing was derived: what these files ask for would take hours.
const AT_ONCE: Duration = Duration::from_secs(60);

#[test]
fn rounds_beyond_the_budget_are_refused_before_they_begin() {
    refused_soon(&pfx(&encrypted(&[0x7f, 0xff, 0xff, 0xff]), &[]), AT_ONCE, "too many rounds");
    refused_soon(&pfx(&encrypted(&[0]), &[]), AT_ONCE, "It is damaged");
    refused_soon(&pfx(&encrypted(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff]), &[]), AT_ONCE, "It is damaged");
}

#[test]
fn many_parts_share_one_budget() {
    // A wrong password ends at the first part: the key bags that follow are never reached.
    let safes = encrypted(&[7, 0xa1, 0x20]).repeat(2000);
    refused_soon(&pfx(&safes, &[]), PATIENCE, "password is wrong");
}

#[test]
fn a_mac_may_not_ask_for_everything_either() {
    let mac = |rounds: &[u8], salt: &[u8]| {
        let info = tlv(0x30, &[tlv(0x30, &tlv(6, &[0x2b, 14, 3, 2, 26])), tlv(4, &[0; 20])].concat());
        tlv(0x30, &[info, tlv(4, salt), tlv(2, rounds)].concat())
    };
    refused_soon(&pfx(&[], &mac(&[0x7f, 0xff, 0xff, 0xff], &[1; 8])), AT_ONCE, "too many rounds");
    refused_soon(&pfx(&[], &mac(&[1], &[1; 5000])), AT_ONCE, "It is damaged");
    // PBMAC1 with a key of 2^31 bytes.
    let scheme = tlv(0x30, &oid(&[2, 9]));
    let inputs =
        tlv(0x30, &[tlv(4, &[1; 8]), tlv(2, &[1]), tlv(2, &[0x7f, 0xff, 0xff, 0xff]), scheme.clone()].concat());
    let derivation = tlv(0x30, &[oid(&[1, 5, 12]), inputs].concat());
    let algorithm = tlv(0x30, &[oid(&[1, 5, 14]), tlv(0x30, &[derivation, scheme].concat())].concat());
    let info = tlv(0x30, &[algorithm, tlv(4, &[0; 32])].concat());
    let mac = tlv(0x30, &[info, tlv(4, &[0]), tlv(2, &[1])].concat());
    refused_soon(&pfx(&[], &mac), AT_ONCE, "It is damaged");
}

#[test]
fn bags_inside_of_bags_end_somewhere() {
    let mut bags = tlv(0x30, &[]);
    for _ in 0..50 {
        let bag = tlv(0x30, &[oid(&[1, 12, 10, 1, 6]), tlv(0xa0, &bags)].concat());
        bags = tlv(0x30, &bag);
    }
    let safe = tlv(0x30, &[oid(&[1, 7, 1]), tlv(0xa0, &tlv(4, &bags))].concat());
    refused_soon(&pfx(&safe, &[]), AT_ONCE, "It is damaged");
    let mut nested = [0x30, 0x80].repeat(200_000);
    nested.extend([0, 0].repeat(200_000));
    refused_soon(&nested, AT_ONCE, "can not be read");
}

#[test]
fn a_megabyte_of_nothing_is_refused_soon() {
    let empty = tlv(0x30, &[5, 0].repeat(400_000));
    refused_soon(&pfx(&empty, &[]), PATIENCE, "can not be read");
    refused_soon(&[0x24, 0x80].repeat(400_000), PATIENCE, "can not be read");
    refused_soon("-----BEGIN ".repeat(90_000).as_bytes(), PATIENCE, "PEM");
    refused_soon(&vec![b'A'; 1 << 20], PATIENCE, "can not be read");
}
