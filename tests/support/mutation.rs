//! Changes to good inputs, at random.

use proptest::collection::vec;
use proptest::prelude::*;

/// One change to a file or a body.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// Puts a piece of a text in the place of some bytes.
    Piece(usize, usize, &'static str),
}

/// What a reader of texts may stumble over.
const PIECES: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "null",
    "1e999",
    "-1",
    "\\u0000",
    ":",
    ",",
    "{\"value\":[[[[[[[[",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
];

/// One to three changes.
pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![Just(0), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        4 => (any::<usize>(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        4 => (any::<usize>(), byte).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => (any::<usize>(), 1_usize..64).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (any::<usize>(), 1_usize..64).prop_map(|(at, length)| Change::Repeat(at, length)),
        2 => (any::<usize>(), 0_usize..40, prop::sample::select(&PIECES[..]))
            .prop_map(|(at, length, piece)| Change::Piece(at, length, piece)),
    ]
}

pub(crate) fn apply(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            return bytes;
        }
        let end = |at: usize, length: usize| (at + length).min(bytes.len());
        match *change {
            Change::Flip(at, bit) => {
                let at = at % bytes.len();
                bytes[at] ^= 1 << bit;
            }
            Change::Set(at, byte) => {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            Change::Cut(at) => bytes.truncate(at % bytes.len()),
            Change::Remove(at, length) => {
                let at = at % bytes.len();
                bytes.drain(at..end(at, length));
            }
            Change::Repeat(at, length) => {
                let at = at % bytes.len();
                let part = bytes[at..end(at, length)].to_vec();
                bytes.splice(at..at, part);
            }
            Change::Piece(at, length, piece) => {
                let at = at % bytes.len();
                bytes.splice(at..end(at, length), piece.bytes());
            }
        }
    }
    bytes
}
