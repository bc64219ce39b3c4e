//! Every form in which people send certificates, and every form that is refused.

use crate::openssl::OpenSsl;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::domain::Reason;
use certmint::keys::{ImportLimits, chain};
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::Instant;

struct Samples {
    chain: [Vec<u8>; 3],
    files: Vec<(&'static str, Vec<u8>)>,
    key: Vec<u8>,
    refused: Vec<(&'static str, Vec<u8>, &'static str)>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(samples);

fn samples() -> Samples {
    let openssl = OpenSsl::new();
    let chain = openssl.chain();
    let pem = ["leaf.pem", "middle.pem", "root.pem"].map(|name| openssl.read(name)).concat();
    openssl.write("all.pem", &pem);
    openssl.write("above.pem", &[openssl.read("middle.pem"), openssl.read("root.pem")].concat());
    openssl.run("crl2pkcs7 -nocrl -certfile all.pem -outform DER -out all.p7b");
    openssl.run("crl2pkcs7 -nocrl -certfile all.pem -out all.p7.pem");
    openssl.run("x509 -in leaf.pem -addtrust serverAuth -trustout -out trusted.pem");
    // A streamed CMS has indefinite lengths throughout.
    openssl.write("text", b"text");
    openssl.run("cms -sign -stream -in text -signer leaf.pem -inkey leaf.key -certfile above.pem -outform DER -nodetach -out all.ber");
    for (file, options) in [
        ("modern.p12", ""),
        ("legacy.p12", "-legacy"),
        ("plain.p12", "-keypbe NONE -certpbe NONE"),
        ("unmaced.p12", "-nomac"),
        ("nokey.p12", "-nokeys"),
        ("aes128.p12", "-certpbe AES-128-CBC"),
        ("aes192.p12", "-certpbe AES-192-CBC -iter 600000"),
        ("descert.p12", "-legacy -descert"),
    ] {
        openssl.run(&format!(
            "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile above.pem -passout pass: -out {file} {options}"
        ));
    }
    openssl.run("pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass:secret -out locked.p12");
    openssl.run("pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass:secret -legacy -out oldlocked.p12");
    // 600,000 rounds, raised by hand to eight million.
    let slow = replaced(openssl.read("aes192.p12"), &[2, 3, 0x09, 0x27, 0xc0], &[2, 3, 0x7f, 0xff, 0xff]);
    openssl.write("slow.p12", &slow);
    openssl
        .run("pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass: -certpbe CAMELLIA-256-CBC -out camellia.p12");
    openssl.run("pkey -in leaf.key -pubout -outform DER -out leaf.pub");
    openssl.run("pkey -in leaf.key -outform DER -out leaf.p8");
    openssl.run("ec -in leaf.key -outform DER -out leaf.sec1");
    openssl.run("pkcs8 -topk8 -in leaf.key -outform DER -passout pass:x -out locked.p8");
    openssl.run("genrsa -traditional -out rsa.key 2048");
    openssl.run("rsa -in rsa.key -traditional -outform DER -out rsa.pkcs1");
    let crlf = String::from_utf8(pem.clone()).unwrap().replace('\n', "\r\n").into_bytes();
    let noisy = [&b"\xef\xbb\xbfBag Attributes: none\nsubject=CN = leaf\n"[..], &pem].concat();
    let mut files = vec![
        ("PEM", pem.clone()),
        ("PEM with CRLF", crlf),
        ("PEM between other text", noisy),
        ("base64 of PEM", STANDARD.encode(&pem).into_bytes()),
        ("PKCS#7 in base64", STANDARD.encode(openssl.read("all.p7b")).into_bytes()),
    ];
    for name in [
        "all.p7b",
        "all.p7.pem",
        "all.ber",
        "modern.p12",
        "legacy.p12",
        "plain.p12",
        "unmaced.p12",
        "nokey.p12",
        "aes128.p12",
        "aes192.p12",
        "descert.p12",
    ] {
        files.push((name, openssl.read(name)));
    }
    let key = openssl.read("leaf.key");
    let mut refused = vec![
        ("nothing", Vec::new(), "It is empty."),
        ("spaces", b" \r\n ".to_vec(), "It is empty."),
        ("words", b"please sign".to_vec(), "not base64"),
        ("base64 of words", STANDARD.encode("hello, harness").into_bytes(), "not base64"),
        ("bytes", vec![0xff, 0xee, 0], "neither DER nor text"),
        ("a cut certificate", chain[0][..chain[0].len() - 1].to_vec(), "it is cut off"),
        ("a certificate and a cut one", [&chain[0][..], &chain[1][..100]].concat(), "it is cut off"),
        ("an empty sequence", vec![0x30, 0], "not an X.509 certificate"),
        ("PEM without an end", pem[..200].to_vec(), "-----END CERTIFICATE-----"),
        ("PEM of an unknown kind", b"-----BEGIN THING-----\nAAAA\n-----END THING-----".to_vec(), "not of the kind"),
        ("PEM that is not base64", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----".to_vec(), "not base64"),
    ];
    for (name, sentence) in [
        ("leaf.csr", "PKCS#10 request, not a certificate"),
        ("leaf.csr.der", "PKCS#10 request, not a certificate"),
        ("leaf.key", "contains a private key"),
        ("leaf.p8", "contains a private key"),
        ("leaf.sec1", "contains a private key"),
        ("locked.p8", "contains a private key"),
        ("rsa.key", "contains a private key"),
        ("rsa.pkcs1", "contains a private key"),
        ("leaf.pub", "public key, not a certificate"),
        ("locked.p12", "has a password"),
        ("oldlocked.p12", "has a password"),
        ("slow.p12", "too many rounds"),
        ("camellia.p12", "not supported"),
    ] {
        refused.push((name, openssl.read(name), sentence));
    }
    files.push((
        "DER one after the other, with line ends",
        chain.clone().map(|der| [&der[..], b"\r\n\0\0"].concat()).concat(),
    ));
    files.push(("trusted", [openssl.read("trusted.pem"), openssl.read("above.pem")].concat()));
    Samples { chain, files, key, refused }
}

fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn sorted(mut chain: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    chain.sort();
    chain
}

#[test]
fn der_entries_come_as_they_are() {
    assert_eq!(parse(&SAMPLES.chain).unwrap(), SAMPLES.chain);
}

#[test]
fn base64_entries_are_decoded_in_any_dress() {
    let plain = STANDARD.encode(&SAMPLES.chain[0]);
    let url = plain.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    let lines = plain.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\r\n");
    for text in [plain, url, lines] {
        assert_eq!(parse(&[text.into_bytes()]).unwrap(), SAMPLES.chain[..1]);
    }
}

#[test]
fn one_file_may_hold_the_whole_chain() {
    for (name, file) in &SAMPLES.files {
        let found = parse(std::slice::from_ref(file)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sorted(found), sorted(SAMPLES.chain.to_vec()), "{name}");
    }
}

#[test]
fn entries_may_have_different_forms() {
    let entries = [SAMPLES.chain[0].clone(), SAMPLES.files[0].1.clone()];
    assert_eq!(parse(&entries).unwrap().len(), 4);
}

#[test]
fn a_refusal_names_the_entry_and_says_what_it_is() {
    for (name, entry, sentence) in &SAMPLES.refused {
        let answer = parse(&[SAMPLES.chain[0].clone(), entry.clone()]);
        let error = answer.err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!(error.reason, Reason::BadParameter, "{name}");
        assert!(error.message.contains("x5c[1]") && error.message.contains(sentence), "{name}: {error}");
    }
}

#[test]
fn a_private_key_is_not_repeated() {
    let body = String::from_utf8(SAMPLES.key.clone()).unwrap();
    let secret = body.lines().nth(1).unwrap();
    for entry in [SAMPLES.key.clone(), [&SAMPLES.chain[0][..0], &SAMPLES.files[0].1, &SAMPLES.key].concat()] {
        let error = parse(&[entry]).unwrap_err();
        assert!(error.message.contains("contains a private key"), "{error}");
        assert!(!format!("{error:?}").contains(&secret[..16]));
    }
}

fn parse(entries: &[Vec<u8>]) -> certmint::domain::Result<Vec<Vec<u8>>> {
    chain::parse(entries, ImportLimits::default())
}

#[test]
fn an_empty_list_is_refused() {
    assert!(parse(&[]).unwrap_err().message.contains("x5c has invalid value. The list is empty."));
}

#[test]
fn the_number_and_the_size_are_limited() {
    let many = vec![SAMPLES.chain[0].clone(); ImportLimits::default().certificates + 1];
    assert!(parse(&many[1..]).is_ok());
    assert!(parse(&many).unwrap_err().message.contains("x5c[32]"));
    assert!(parse(&[vec![b'A'; (1 << 20) + 1]]).unwrap_err().message.contains("1 MiB"));
}

#[test]
fn many_costly_files_share_one_budget() {
    let openssl = OpenSsl::new();
    openssl.chain();
    let file = |name: &str| {
        let options = "-nokeys -nomac -certpbe AES-128-CBC -iter 3000000";
        openssl.run(&format!("pkcs12 -export -in leaf.pem -passout pass: -out {name} {options}"));
        openssl.read(name)
    };
    let (one, other, third) = (file("one.p12"), file("other.p12"), file("third.p12"));
    let error = parse(&[one.clone(), other, third]).unwrap_err();
    assert!(error.message.contains("x5c[2]") && error.message.contains("too many rounds"), "{error}");
    // What was derived once is not paid for again.
    assert_eq!(parse(&vec![one; 20]).unwrap().len(), 20);
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse(&[bytes]).is_err());
    }

    #[test]
    fn any_text_gets_an_answer(text in "(-----BEGIN [A-Z ]{0,12}-----)?[A-Za-z0-9+/=\\s]{0,200}(-----END CERTIFICATE-----)?") {
        prop_assert!(parse(&[text.into_bytes()]).is_err());
    }

    #[test]
    fn damaged_files_get_an_answer(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        // The file with 600,000 rounds is left out for the sake of time.
        let files: Vec<&Vec<u8>> = SAMPLES.files.iter().filter(|(name, _)| *name != "aes192.p12").map(|(_, file)| file)
            .chain(&SAMPLES.chain).chain(SAMPLES.refused.iter().map(|(_, file, _)| file)).collect();
        let mut file = which.get(&files).to_vec();
        if !file.is_empty() {
            for (place, value) in changes {
                let place = place.index(file.len());
                file[place] = value;
            }
            if cuts {
                file.truncate(cut.index(file.len()));
            }
        }
        // What comes back may be a certificate or a refusal, in good time; nothing panics.
        let start = Instant::now();
        drop(parse(&[file]));
        prop_assert!(start.elapsed().as_secs() < 120);
    }
}
