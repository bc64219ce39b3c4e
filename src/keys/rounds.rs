//! Counts the rounds of key derivation that a file requires without decrypting it, so that its cost is known before it
//! is queued.

use super::asn1::{Element, INTEGER, OCTET_STRING, SEQUENCE};
use super::pem;
use super::reader::{MAX_WRAPS, Shape, shape, without_padding};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Structures inside of structures that are looked at; deeper ones hold no parameters.
const MAX_DEPTH: u8 = 24;
/// Values that are looked at: a file of today has some hundred.
const MAX_VALUES: u32 = 20_000;

/// The rounds that the visible parts of files ask for: PKCS #12, an encrypted PKCS #8 key, in every form in which the
/// reader takes them. An estimate: parts inside of encrypted ones are not seen, and nothing is refused here. What stands
/// there twice is derived once. Not more than `most`, since the reader stops there.
pub(crate) fn asked_for<'a>(values: impl IntoIterator<Item = &'a [u8]>, most: u64) -> u64 {
    let mut counter = Counter { left: MAX_VALUES, seen: BTreeSet::new(), rounds: 0 };
    for value in values {
        counter.value(value, MAX_WRAPS);
    }
    counter.rounds.min(most)
}

struct Counter {
    /// Values that may still be looked at.
    left: u32,
    /// Salts with their rounds.
    seen: BTreeSet<Vec<u8>>,
    rounds: u64,
}

impl Counter {
    fn value(&mut self, value: &[u8], wraps: u8) {
        match shape(value, wraps > 0) {
            Shape::Der(der) => self.der(der),
            Shape::Pem(text) => self.pem(text),
            Shape::Json(values) => {
                values.iter().for_each(|value| self.value(value.as_bytes(), wraps.saturating_sub(1)));
            }
            Shape::Base64(bytes) => self.value(&bytes, wraps.saturating_sub(1)),
            Shape::Empty | Shape::Foreign(_) | Shape::Other(_) => {}
        }
    }

    fn pem(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((place, after)) = pem::next(rest) {
            if let Ok(block) = place.block {
                self.der(&block.bytes);
            }
            rest = after;
        }
    }

    /// The first value, and what follows it.
    fn der(&mut self, der: &[u8]) {
        let mut rest = der;
        while let Some((element, after)) = Element::first(rest) {
            self.element(element, MAX_DEPTH);
            rest = without_padding(after);
            if rest.first() != Some(&SEQUENCE) {
                return;
            }
        }
    }

    fn element(&mut self, element: Element<'_>, depth: u8) {
        let (Some(deeper), Some(fewer)) = (depth.checked_sub(1), self.left.checked_sub(1)) else { return };
        self.left = fewer;
        if element.tag & 0x1f == OCTET_STRING || element.tag == 0x80 {
            // Contents travel in octet strings, whole or in pieces.
            let bytes = element.octets().map(Zeroizing::new).unwrap_or_default();
            if bytes.first() == Some(&SEQUENCE)
                && let Some(inner) = Element::parse(&bytes)
            {
                self.element(inner, deeper);
            }
            return;
        }
        let Some(children) = element.children() else { return };
        self.parameters(&children);
        children.iter().for_each(|child| self.element(*child, deeper));
    }

    /// A salt and a number of rounds: of the old schemes (RFC 7292 appendix C), of PBKDF2 (RFC 8018 appendix A.2), or
    /// of a MAC (RFC 7292 section 4). How often the rounds are run depends on the lengths of key and hash.
    fn parameters(&mut self, children: &[Element<'_>]) {
        let at = children.windows(2).position(|pair| pair[0].tag == OCTET_STRING && pair[1].tag == INTEGER);
        let Some(at) = at else { return };
        if self.seen.insert([children[at].whole, children[at + 1].whole].concat()) {
            let rounds = u64::from(children[at + 1].unsigned().unwrap_or(u32::MAX));
            let times = match (at, children.len()) {
                (0, 2) => 3,
                (0, _) => 2,
                _ => 1,
            };
            self.rounds = self.rounds.saturating_add(rounds * times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use std::process::Command;

    const MOST: u64 = 8_000_000;

    /// Files of OpenSSL with this many rounds, in all their forms.
    fn files(rounds: &str) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &str| {
            let status = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().unwrap();
            assert!(status.status.success(), "{arguments}: {status:?}");
        };
        run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=a");
        let export = "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:pw -out file.p12";
        run(&format!("{export} -iter {rounds} -nomac"));
        let pfx = std::fs::read(folder.path().join("file.p12")).unwrap();
        run(&format!("pkcs8 -topk8 -in key.pem -passout pass:pw -iter {rounds} -out key8.pem"));
        let pem = std::fs::read(folder.path().join("key8.pem")).unwrap();
        let text = STANDARD.encode(&pfx).into_bytes();
        let trailing = [&pfx[..], &[0; 8]].concat();
        let certificate = std::fs::read(folder.path().join("cert.pem")).unwrap();
        let certificate = pem::next(&certificate).unwrap().0.block.unwrap().bytes;
        let wrapped = serde_json::json!({"id": "x", "value": STANDARD.encode(&pfx)}).to_string().into_bytes();
        let broken = STANDARD.encode(&pfx).as_bytes().chunks(64).collect::<Vec<_>>().join(&b"\\n"[..]);
        vec![
            text,
            trailing,
            STANDARD.encode(&pem).into_bytes(),
            [b"0\n", &pem[..]].concat(),
            [b"\xef\xbb\xbf", &pem[..]].concat(),
            [&certificate[..], &pfx].concat(),
            URL_SAFE_NO_PAD.encode(&pfx).into_bytes(),
            URL_SAFE_NO_PAD.encode(&wrapped).into_bytes(),
            wrapped,
            broken,
            pfx,
            pem,
        ]
    }

    #[test]
    fn the_rounds_of_every_form_are_counted_before_it_is_opened() {
        for (few, many) in files("2000").into_iter().zip(files("300000")) {
            let (few, many) = (asked_for([&few[..]], MOST), asked_for([&many[..]], MOST));
            assert!((2000..20_000).contains(&few), "{few}");
            assert!((300_000..=MOST).contains(&many), "{many}");
        }
    }

    #[test]
    fn duplicates_count_once() {
        let [one, other] = ["2000", "3000"].map(|rounds| files(rounds).swap_remove(0));
        let sum = asked_for([&one[..]], MOST) + asked_for([&other[..]], MOST);
        assert_eq!(asked_for([&one[..], &other[..], &one[..], &one[..]], MOST), sum);
    }

    #[test]
    fn non_files_have_no_rounds_and_rounds_are_capped() {
        for nothing in [&b""[..], b"0", b"\x30\x80", b"-----BEGIN X-----\n!!\n-----END X-----", &[0x30; 4096]] {
            assert_eq!(asked_for([nothing], MOST), 0);
        }
        // A MAC of four billion rounds.
        let greedy = [0x30, 0x0b, 0x30, 0, 0x04, 1, 7, 0x02, 4, 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(asked_for([&greedy[..]], MOST), MOST);
    }
}
