//! Which certificate is the leaf, how the others follow, and what does not belong.

use crate::openssl::{OpenSsl, P256};
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{Detail, Policy, PolicyInput, Reason, Timestamp};
use certmint::keys::chain::{check_issued, merge_order, thumbprint};
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::SystemTime;

fn now() -> Timestamp {
    // Certificates made by OpenSSL begin now, so the tests live in the same time.
    #[expect(clippy::disallowed_methods, reason = "the other party is a program with the clock of the machine")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

fn policy(sans: SubjectAlternativeNames) -> Policy {
    PolicyInput { subject: Some("CN=leaf".into()), sans: Some(sans), ..Default::default() }
        .complete(Timestamp(0))
        .unwrap()
}

fn refusal(chain: &[Vec<u8>], csr: &[u8]) -> String {
    let error = merge_order(chain, csr, false, now()).unwrap_err();
    assert_eq!(error.reason, Reason::BadParameter);
    error.message
}

#[test]
fn any_order_becomes_leaf_to_root() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    for given in [[&leaf, &middle, &root], [&root, &middle, &leaf], [&middle, &leaf, &root], [&root, &leaf, &middle]] {
        let given = given.map(Clone::clone);
        let ordered = merge_order(&given, &openssl.csr("leaf"), false, now()).unwrap();
        assert_eq!(ordered.leaf, leaf);
        assert_eq!(ordered.rest, [middle.clone(), root.clone()]);
        assert_eq!(ordered.expires.seconds() - ordered.not_before.seconds(), 30 * 86_400);
    }
}

#[test]
fn preserving_keeps_the_given_order_above_the_leaf() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    let given = [root.clone(), leaf.clone(), middle.clone()];
    let ordered = merge_order(&given, &openssl.csr("leaf"), true, now()).unwrap();
    assert_eq!(ordered.leaf, leaf);
    assert_eq!(ordered.rest, [root, middle]);
}

#[test]
fn a_chain_may_end_anywhere_and_repeats_count_once() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    let csr = openssl.csr("leaf");
    assert!(merge_order(std::slice::from_ref(&leaf), &csr, false, now()).unwrap().rest.is_empty());
    let short = merge_order(&[middle.clone(), leaf.clone()], &csr, false, now()).unwrap();
    assert_eq!(short.rest, std::slice::from_ref(&middle));
    let given = [leaf.clone(), middle.clone(), leaf, root.clone(), middle.clone(), root.clone()];
    assert_eq!(merge_order(&given, &csr, false, now()).unwrap().rest, [middle, root]);
}

#[test]
fn a_leaf_of_another_key_is_refused_in_the_documented_words() {
    let openssl = OpenSsl::new();
    let chain = openssl.chain();
    openssl.request("other", P256);
    let another_key = "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.";
    let no_leaf = "Unable to parse X5c certificate chain and locate leaf certificate";
    for given in [&chain[..], &chain[1..], &chain[..1], &[]] {
        let error = merge_order(given, &openssl.csr("other"), false, now()).unwrap_err();
        assert_eq!(error.reason, Reason::MergeKeyMismatch);
        assert_eq!(error.message, if given.len() > 1 { no_leaf } else { another_key });
        assert!(matches!(&error.details[..], [Detail::Field { path, .. }] if path == "x5c"));
    }
}

#[test]
fn an_expired_leaf_is_refused_and_a_future_one_is_not() {
    let openssl = OpenSsl::new();
    let chain = openssl.chain();
    let csr = openssl.csr("leaf");
    let late = Timestamp::from_seconds(now().seconds() + 31 * 86_400);
    let error = merge_order(&chain, &csr, false, late).unwrap_err();
    assert_eq!(error.reason, Reason::BadParameter);
    assert!(error.message.contains("expired on") && error.message.contains("CN=leaf"), "{error}");
    let early = Timestamp::from_seconds(now().seconds() - 86_400);
    assert!(merge_order(&chain, &csr, false, early).is_ok());
}

#[test]
fn of_two_certificates_of_the_key_the_first_that_fits_is_the_leaf_whatever_lives_longer() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    let csr = openssl.csr("leaf");
    openssl.run("x509 -req -in leaf.csr -signkey leaf.key -out leaf.pem -days 4000");
    let placeholder = openssl.der("leaf");
    openssl.sign("leaf", "middle", "-days 60");
    let renewed = openssl.der("leaf");
    for other in [&placeholder, &renewed] {
        let chain = [leaf.clone(), other.clone(), middle.clone(), root.clone()];
        let ordered = merge_order(&chain, &csr, false, now()).unwrap();
        assert_eq!((ordered.leaf, ordered.rest), (leaf.clone(), vec![middle.clone(), root.clone()]));
    }
    // A placeholder by itself is a leaf; before a chain that it does not belong to it is in nobody's way.
    assert_eq!(merge_order(&[placeholder.clone(), leaf.clone()], &csr, false, now()).unwrap().leaf, placeholder);
    let ordered = merge_order(&[placeholder.clone(), leaf.clone(), middle, root], &csr, false, now()).unwrap();
    assert_eq!(ordered.leaf, leaf);
    // Nor is an old certificate before its renewal.
    let late = Timestamp::from_seconds(now().seconds() + 31 * 86_400);
    assert_eq!(merge_order(&[leaf, renewed.clone()], &csr, false, late).unwrap().leaf, renewed);
}

#[test]
fn a_certificate_that_does_not_link_is_named() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    let csr = openssl.csr("leaf");
    openssl.root("stranger", P256, "");
    let message = refusal(&[leaf.clone(), openssl.der("stranger"), middle], &csr);
    assert!(message.contains("2 of 3 (subject \"CN=stranger\") does not link: it issued none"), "{message}");
    let message = refusal(&[leaf, root], &csr);
    assert!(message.contains("2 of 2 (subject \"CN=root\") does not link"), "{message}");
}

#[test]
fn a_name_alone_is_no_link() {
    let openssl = OpenSsl::new();
    let [leaf, ..] = openssl.chain();
    let folder = OpenSsl::new();
    let [_, impostor, _] = folder.chain();
    let message = refusal(&[leaf, impostor], &openssl.csr("leaf"));
    assert!(
        message.contains("has the name of the issuer of certificate 1 of 2") && message.contains("did not sign it"),
        "{message}"
    );
}

#[test]
fn a_name_that_was_written_anew_still_links() {
    let openssl = OpenSsl::new();
    openssl.root("root", P256, "");
    openssl.run("req -x509 -new -key root.key -utf8 -subj /CN=Some~CA -days 10 -out spaced.pem");
    openssl.write("string.cnf", b"[req]\nstring_mask=utf8only\ndistinguished_name=dn\n[dn]\n");
    openssl.run("req -x509 -new -key root.key -subj /CN=some~~ca -days 10 -config string.cnf -out other.pem");
    std::fs::copy(openssl.path("root.key"), openssl.path("other.key")).unwrap();
    openssl.request("leaf", P256);
    openssl.sign("leaf", "other", "-days 5");
    let chain = [openssl.der("leaf"), openssl.der("spaced")];
    assert_eq!(merge_order(&chain, &openssl.csr("leaf"), false, now()).unwrap().rest, chain[1..]);
}

#[test]
fn every_signature_algorithm_of_the_field_is_verified() {
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    let curve = |name: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name}");
    let pss = |hash: &str| format!("-{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest");
    let mut cases = Vec::new();
    for hash in ["sha1", "sha256", "sha384", "sha512"] {
        cases.push((rsa.to_owned(), format!("-{hash}")));
    }
    for hash in ["sha256", "sha384", "sha512"] {
        cases.push((rsa.to_owned(), pss(hash)));
        for name in ["P-256", "P-384", "P-521"] {
            cases.push((curve(name), format!("-{hash}")));
        }
    }
    cases.push(("-algorithm ED25519".to_owned(), String::new()));
    let openssl = OpenSsl::new();
    openssl.request("leaf", P256);
    for (key, options) in cases {
        openssl.root("root", &key, "");
        openssl.sign("leaf", "root", &format!("-days 5 {options}"));
        let chain = [openssl.der("leaf"), openssl.der("root")];
        let ordered = merge_order(&chain, &openssl.csr("leaf"), false, now());
        assert!(ordered.is_ok_and(|ordered| ordered.rest == chain[1..]), "{key} {options}");

        let mut forged = chain[0].clone();
        *forged.last_mut().unwrap() ^= 1;
        let refused = merge_order(&[forged, chain[1].clone()], &openssl.csr("leaf"), false, now());
        assert!(refused.unwrap_err().message.contains("did not sign it"), "{key} {options}");
    }
}

/// Signatures that cannot be checked here, in the words of `genpkey` and of `x509 -req`.
const UNCHECKED: [(&str, &str, &str); 9] = [
    ("-algorithm ED448", "", "uses Ed448 (1.3.101.113) with a key of the kind Ed448"),
    (
        "-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
        "-sha256",
        "ECDSA with SHA-256 (1.2.840.10045.4.3.2) with a key of the kind EC on the curve brainpoolP256r1 (1.3.36.3.3.2.8.1.1.7)",
    ),
    ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha224", "ECDSA with SHA-224 (1.2.840.10045.4.3.1)"),
    ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha3-256", "ECDSA with SHA3-256 (2.16.840.1.101.3.4.3.10)"),
    ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", "-sha256", "1.2.840.10045.4.3.2"),
    ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-sha384", "RSA with SHA-384 (1.2.840.113549.1.1.12)"),
    ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha224", "RSA with SHA-224 (1.2.840.113549.1.1.14)"),
    (
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha512",
        "RSA-PSS with SHA-256 and MGF1 with SHA-512 (1.2.840.113549.1.1.10)",
    ),
    (
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-sha1 -sigopt rsa_padding_mode:pss",
        "RSA-PSS with SHA-1 and MGF1 with SHA-1 (1.2.840.113549.1.1.10)",
    ),
];

#[test]
fn a_signature_that_cannot_be_checked_here_is_named_and_never_called_wrong() {
    for (key, options, name) in UNCHECKED {
        let openssl = OpenSsl::new();
        openssl.root("root", key, "");
        openssl.request("leaf", P256);
        openssl.sign("leaf", "root", &format!("-days 5 {options}"));
        let chain = [openssl.der("leaf"), openssl.der("root")];
        let message = refusal(&chain, &openssl.csr("leaf"));
        assert!(message.contains(name) && message.contains("not supported"), "{key} {options}: {message}");
        assert!(message.contains("Leave out") && !message.contains("did not sign"), "{message}");
        // Nobody can leave it out of what an issuer answers: names and key identifiers have to fit.
        let policy = policy(SubjectAlternativeNames::default());
        assert_eq!(
            check_issued(&chain, &openssl.csr("leaf"), &policy, now()).unwrap().rest,
            chain[1..],
            "{key} {options}"
        );
        let stranger = OpenSsl::new();
        stranger.root("root", key, "");
        let impostor = [chain[0].clone(), stranger.der("root")];
        openssl.write("ids.ext", b"authorityKeyIdentifier=keyid:always\n");
        openssl.sign("leaf", "root", &format!("-days 5 -extfile ids.ext {options}"));
        let impostor = [openssl.der("leaf"), impostor[1].clone()];
        let problem = check_issued(&impostor, &openssl.csr("leaf"), &policy, now()).unwrap_err();
        assert!(problem.contains("key identifier"), "{problem}");
    }
}

#[test]
fn pss_is_verified_with_a_salt_of_any_length() {
    let openssl = OpenSsl::new();
    openssl.root("root", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
    openssl.request("leaf", P256);
    for hash in ["sha256", "sha384", "sha512"] {
        for salt in ["0", "1", "20", "digest", "max", "auto"] {
            let options = format!("-{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt}");
            openssl.sign("leaf", "root", &format!("-days 5 {options}"));
            let chain = [openssl.der("leaf"), openssl.der("root")];
            let ordered = merge_order(&chain, &openssl.csr("leaf"), false, now());
            assert_eq!(ordered.unwrap_or_else(|error| panic!("{options}: {error}")).rest, chain[1..]);
            let mut forged = chain.clone();
            *forged[0].last_mut().unwrap() ^= 1;
            assert!(refusal(&forged, &openssl.csr("leaf")).contains("did not sign it"), "{options}");
        }
    }
}

#[test]
fn cross_certificates_are_kept_beside_the_root() {
    let openssl = OpenSsl::new();
    let [leaf, middle, root] = openssl.chain();
    openssl.root("older", P256, "");
    openssl.run("req -new -key root.key -subj /CN=root -out root.csr");
    std::fs::copy(openssl.path("root.pem"), openssl.path("kept.pem")).unwrap();
    openssl.write("ca.ext", b"basicConstraints=critical,CA:true\n");
    openssl.sign("root", "older", "-days 100 -extfile ca.ext");
    let (cross, older) = (openssl.der("root"), openssl.der("older"));
    let given = [older.clone(), root.clone(), cross.clone(), leaf.clone(), middle.clone()];
    let ordered = merge_order(&given, &openssl.csr("leaf"), false, now()).unwrap();
    assert_eq!(ordered.rest, [middle, cross, root, older]);
}

#[test]
fn an_answer_of_an_issuer_must_cover_every_requested_name() {
    let openssl = OpenSsl::new();
    openssl.root("root", P256, "");
    openssl.request("leaf", P256);
    openssl.write(
        "san.ext",
        b"subjectAltName=DNS:A.example,DNS:*.b.example,email:a@b.example,URI:https://a.example,IP:10.0.0.1,IP:2001:db8::1,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@b.example\n",
    );
    openssl.sign("leaf", "root", "-days 5 -extfile san.ext");
    let chain = [openssl.der("root"), openssl.der("leaf")];
    let csr = openssl.csr("leaf");
    let covered = SubjectAlternativeNames {
        dns_names: vec!["a.example".into(), "*.b.example".into()],
        emails: vec!["a@b.example".into()],
        upns: vec!["u@b.example".into()],
        uris: vec!["https://a.example".into()],
        ip_addresses: vec!["10.0.0.1".into(), "2001:0db8::1".into()],
        ..SubjectAlternativeNames::default()
    };
    assert_eq!(check_issued(&chain, &csr, &policy(covered), now()).unwrap().rest, chain[..1]);
    let missing = SubjectAlternativeNames {
        dns_names: vec!["a.example".into(), "x.b.example".into()],
        emails: vec!["c@b.example".into()],
        upns: vec!["v@b.example".into()],
        uris: vec!["https://c.example/x".into()],
        ip_addresses: vec!["10.0.0.2".into(), "2001:db8::2".into()],
        ..SubjectAlternativeNames::default()
    };
    assert_eq!(
        check_issued(&chain, &csr, &policy(missing), now()).unwrap_err(),
        "The requested names c@b.example, v@b.example, x.b.example, https://c.example/x, 10.0.0.2, 2001:db8::2 are not in the certificate."
    );
}

#[test]
fn a_chain_of_an_issuer_with_another_key_or_a_broken_link_is_refused() {
    let openssl = OpenSsl::new();
    let chain = openssl.chain();
    openssl.request("other", P256);
    openssl.root("stranger", P256, "");
    let policy = policy(SubjectAlternativeNames::default());
    let problem = check_issued(&chain, &openssl.csr("other"), &policy, now()).unwrap_err();
    assert!(problem.contains("has the public key of the request"), "{problem}");
    let broken = [chain[0].clone(), openssl.der("stranger")];
    let problem = check_issued(&broken, &openssl.csr("leaf"), &policy, now()).unwrap_err();
    assert!(problem.contains("CN=stranger") && problem.contains("does not link"), "{problem}");
    let late = Timestamp::from_seconds(now().seconds() + 31 * 86_400);
    assert!(check_issued(&chain, &openssl.csr("leaf"), &policy, late).unwrap_err().contains("expired"));
}

#[test]
fn the_thumbprint_is_that_of_openssl() {
    let openssl = OpenSsl::new();
    let [leaf, ..] = openssl.chain();
    let text = openssl.run("x509 -in leaf.pem -noout -fingerprint -sha1");
    let hex: Vec<String> = thumbprint(&leaf).iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(text.trim().ends_with(&format!("={}", hex.join(":"))), "{text}");
}

/// A chain and the request of its leaf.
static SAMPLE: LazyLock<([Vec<u8>; 3], Vec<u8>)> = LazyLock::new(|| {
    let openssl = OpenSsl::new();
    (openssl.chain(), openssl.csr("leaf"))
});

proptest! {
    #[test]
    fn damaged_certificates_and_requests_get_an_answer(
        changes in proptest::collection::vec((0..4_usize, any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        preserve in any::<bool>(),
    ) {
        let (chain, csr) = &*SAMPLE;
        let mut parts = [chain[0].clone(), chain[1].clone(), chain[2].clone(), csr.clone()];
        for (part, place, value) in changes {
            let place = place.index(parts[part].len());
            parts[part][place] = value;
        }
        let [leaf, middle, root, csr] = parts;
        // An answer that is a chain holds nothing that was not given.
        let given = [leaf, middle, root];
        if let Ok(ordered) = merge_order(&given, &csr, preserve, now()) {
            prop_assert!(given.contains(&ordered.leaf) && ordered.rest.iter().all(|der| given.contains(der)));
        }
    }
}
