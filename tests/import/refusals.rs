//! Refusals and their messages.

use crate::import::tools::{Folder, P256, import, now};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::domain::{Detail, Reason, Timestamp};
use certmint::keys::ImportLimits;
use certmint::keys::chain::parse;
use certmint::keys::import::read;

const NOT_PFX: &str = "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format.";
const NOT_PEM: &str = "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format.";

#[track_caller]
fn refused(value: &[u8], password: &str, sentence: &str, words: &str) {
    let error = import(value, password).expect_err(words);
    assert_eq!(error.reason, Reason::BadParameter);
    assert!(error.message.starts_with(sentence) && error.message.contains(words), "{error}");
    assert!(matches!(&error.details[..], [Detail::Field { .. }] | []), "{error:?}");
}

#[test]
fn a_wrong_password_is_said_to_be_wrong() {
    let folder = Folder::with_chain(P256);
    for options in ["", "-legacy", "-nomac", "-legacy -nomac"] {
        let file = folder.pfx("secret", options);
        for wrong in ["", "Secret", "secret "] {
            refused(&file, wrong, NOT_PFX, "The password is wrong, or the file is damaged.");
        }
        refused(&folder.pfx("", options), "secret", NOT_PFX, "The password is wrong");
    }
}

#[test]
fn what_is_no_certificate_is_refused_in_the_words_of_the_service() {
    refused(b"", "", "It is required", "PKCS#12 file in base64");
    refused(b"  \n", "", "It is required", "");
    refused(
        b"no base64!",
        "",
        "The specified Base64-encoded PKCS#12 X.509 certificate content can not be read.",
        "correctly Base64 encoded",
    );
    refused(b"dGVzdA==", "", NOT_PFX, "neither PKCS#12 nor PEM");
    refused(STANDARD.encode("dGVzdA==").as_bytes(), "", NOT_PFX, "neither PKCS#12 nor PEM");
    refused(&[0x30, 0x03, 2, 1, 3], "", NOT_PFX, "It is damaged.");
    refused(b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----", "", NOT_PEM, "not base64");
    refused(b"-----BEGIN CERTIFICATE-----\nAAAA", "", NOT_PEM, "no line -----END CERTIFICATE-----");
    refused(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", "", NOT_PEM, "neither a private key nor");
    refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "", NOT_PEM, "cannot be read as X.509");
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let folder = Folder::with_chain(P256);
    let file = folder.pfx("secret", "");
    for length in (0..file.len()).step_by(97) {
        assert!(import(&file[..length], "secret").is_err(), "{length}");
        assert!(import(STANDARD.encode(&file[..length]).as_bytes(), "secret").is_err(), "{length}");
    }
}

#[test]
fn a_key_without_a_certificate_and_the_other_way_round() {
    let folder = Folder::with_chain(P256);
    refused(&folder.read("leaf.key"), "", NOT_PEM, "It holds no certificate");
    refused(&folder.read("leaf.pem"), "", NOT_PEM, "It holds no private key");
    folder.openssl("pkcs12 -export -nokeys -in leaf.pem -passout pass: -out certificates.p12");
    refused(&folder.read("certificates.p12"), "", NOT_PFX, "It holds no private key");
    folder.openssl("pkcs12 -export -nocerts -inkey leaf.key -passout pass: -out key.p12");
    refused(&folder.read("key.p12"), "", NOT_PFX, "It holds no certificate");
    refused(&folder.der("leaf"), "", NOT_PFX, "It holds no private key");
}

#[test]
fn two_keys_are_refused_and_the_same_key_twice_is_not() {
    let folder = Folder::with_chain(P256);
    let all = folder.text("leaf.key") + &folder.text("leaf.pem");
    refused((all.clone() + &folder.text("root.key")).as_bytes(), "", NOT_PEM, "It holds several private keys");
    import((all + &folder.text("leaf.key")).as_bytes(), "").unwrap();
}

#[test]
fn a_certificate_of_another_key_is_a_mismatch() {
    let folder = Folder::with_chain(P256);
    let text = folder.text("leaf.key") + &folder.text("above.pem");
    let error = import(text.as_bytes(), "").unwrap_err();
    assert_eq!(error.reason, Reason::MergeKeyMismatch);
    assert!(error.message.starts_with("The public key of the end-entity certificate in the specified X.509"));
    assert!(matches!(&error.details[..], [Detail::Field { path, .. }] if path == "value"));
}

#[test]
fn an_expired_certificate_is_refused() {
    let folder = Folder::with_chain(P256);
    let later = Timestamp(now().0 + 366 * 86_400_000);
    let error = read(&folder.pfx("", ""), "", false, later, ImportLimits::default()).unwrap_err();
    assert!(
        error.message.starts_with("The specified X.509 certificate content is invalid. Error: One or more"),
        "{error}"
    );
    assert!(error.message.contains("expired on"), "{error}");
}

#[test]
fn keys_that_are_not_supported_are_named_so() {
    for kind in [
        "RSA -pkeyopt rsa_keygen_bits:1024",
        "ED25519",
        "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
        "RSA-PSS -pkeyopt rsa_keygen_bits:2048",
    ] {
        let folder = Folder::with_chain(kind);
        for value in [folder.pfx("", ""), (folder.text("leaf.key") + &folder.text("leaf.pem")).into_bytes()] {
            refused(&value, "", "The private key cannot be used.", "RSA of 2048, 3072 or 4096 bits, or EC on P-256");
        }
    }
}

#[test]
fn keys_in_the_old_encryption_of_openssl_are_refused_with_the_cure() {
    let folder = Folder::with_chain("RSA -pkeyopt rsa_keygen_bits:2048");
    folder.openssl("rsa -in leaf.key -traditional -aes128 -passout pass:secret -out locked.key");
    let text = folder.text("locked.key") + &folder.text("leaf.pem");
    refused(text.as_bytes(), "secret", NOT_PEM, "openssl pkcs8 -topk8");
}

#[test]
fn limits_are_said() {
    let folder = Folder::with_chain(P256);
    refused(&folder.pfx("", ""), &"p".repeat(201), "The password is longer than 200 characters.", "");
    refused(&vec![b'A'; (1 << 20) + 1], "", "The certificate has more than 1 MiB (limits.import_bytes).", "");
    let many = folder.text("leaf.key") + &folder.text("leaf.pem") + &folder.text("root.pem").repeat(40);
    refused(many.as_bytes(), "", NOT_PEM, "more than 32 certificates (limits.import_certificates)");
}

#[test]
fn each_limit_is_a_setting_that_the_refusal_names() {
    let folder = Folder::with_chain(P256);
    let usual = ImportLimits::default();
    let (pem, pfx) = (folder.both(), folder.pfx("secret", "-iter 20000"));
    let chain = [&pem[..], &folder.read("above.pem")].concat();
    let entries = [folder.read("leaf.pem"), folder.read("above.pem")];
    let size: usize = entries.iter().map(Vec::len).sum();
    let imported = |value: &[u8], limits| read(value, "secret", false, now(), limits).map(|_| ());
    let merged = |entries: &[Vec<u8>], limits| parse(entries, limits).map(|_| ());

    let refusals = [
        (imported(&pem, ImportLimits { bytes: pem.len() - 1, ..usual }), "bytes (limits.import_bytes)"),
        (imported(&chain, ImportLimits { certificates: 2, ..usual }), "more than 2 certificates (limits.import_cert"),
        (imported(&pfx, ImportLimits { rounds: 19_999, ..usual }), "more than 19999 in all (limits.import_rounds)"),
        (merged(&entries, ImportLimits { bytes: size - 1, ..usual }), "bytes in all (limits.import_bytes)"),
        (merged(&entries, ImportLimits { certificates: 2, ..usual }), "more than 2 certificates (limits.import_cert"),
        (
            merged(&[folder.pfx("", "-iter 20000")], ImportLimits { rounds: 100, ..usual }),
            "more than 100 in all (limits.import_rounds)",
        ),
    ];
    for (refusal, words) in refusals {
        let message = refusal.expect_err(words).message;
        assert!(message.contains(words), "{message}");
    }
    imported(&pem, ImportLimits { bytes: pem.len(), ..usual }).unwrap();
    imported(&chain, ImportLimits { certificates: 3, ..usual }).unwrap();
    merged(&entries, ImportLimits { bytes: size, certificates: 3, ..usual }).unwrap();
}

#[test]
fn no_error_quotes_what_was_sent() {
    let folder = Folder::with_chain(P256);
    let key = folder.text("leaf.key");
    let secret = key.lines().nth(1).unwrap();
    for value in [key.clone(), key.replace("PRIVATE", "PRIVATES"), key.replace("END", "EN"), format!("{key}!{secret}")]
    {
        let error = import(value.as_bytes(), "hunter2hunter2").unwrap_err();
        let text = format!("{error:?}");
        assert!(!text.contains(&secret[..16]) && !text.contains("hunter2"), "{text}");
    }
}
