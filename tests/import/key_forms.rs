//! Keys in the unusual forms that OpenSSL writes: read, or refused by their form.

use crate::import::tools::{Folder, P256, import, parse};
use certmint::keys::chain::merge_order;

fn refused(folder: &Folder, words: &[&str]) {
    let error = import(&folder.both(), "").unwrap_err();
    assert!(words.iter().all(|word| error.message.contains(word)), "{words:?}: {error}");
    assert!(!error.message.contains("does not match"), "{error}");
}

#[test]
fn a_certificate_that_writes_its_key_in_another_form_is_told_so() {
    for (form, words) in [
        ("-conv_form compressed", "as a compressed point"),
        ("-conv_form hybrid", "as a hybrid point"),
        ("-param_enc explicit", "explicit parameters"),
        ("-conv_form compressed -param_enc explicit", "explicit parameters"),
    ] {
        for curve in ["P-256", "P-384", "P-521", "secp256k1"] {
            let folder = Folder::self_signed(&format!("EC -pkeyopt ec_paramgen_curve:{curve}"), "-subj /CN=a", "");
            folder.openssl(&format!("ec -in leaf.key {form} -out other.key"));
            folder.openssl("req -x509 -new -key other.key -config request.cnf -days 9 -subj /CN=a -out leaf.pem");
            refused(&folder, &["The certificate 1 of 1 (subject \"CN=a\") is of this key", words, "ec_conv_form"]);
            folder.openssl("req -new -key leaf.key -config request.cnf -subj /CN=a -outform DER -out request.der");
            let chain = parse(&[folder.read("leaf.pem")]).unwrap();
            let merged = merge_order(&chain, &folder.read("request.der"), false, crate::import::tools::now());
            assert!(merged.unwrap_err().message.contains(words), "{form} {curve}");
            // The cure that is named.
            folder.openssl("pkey -in other.key -ec_conv_form uncompressed -ec_param_enc named_curve -out leaf.key");
            folder.openssl("req -x509 -new -key leaf.key -config request.cnf -days 9 -subj /CN=a -out leaf.pem");
            import(&folder.both(), "").unwrap();
        }
    }
}

#[test]
fn another_key_is_a_mismatch_in_every_form() {
    for form in ["-conv_form compressed", "-conv_form hybrid", "-param_enc explicit"] {
        let folder = Folder::self_signed(P256, "-subj /CN=a", "");
        folder.openssl(&format!("genpkey -algorithm {P256} -out new.key"));
        folder.openssl(&format!("ec -in new.key {form} -out other.key"));
        folder.openssl("req -x509 -new -key other.key -config request.cnf -days 9 -subj /CN=a -out leaf.pem");
        assert!(import(&folder.both(), "").unwrap_err().message.contains("does not match"), "{form}");
    }
}

#[test]
fn rsa_keys_that_are_not_supported_are_named_by_what_they_are() {
    for (options, words) in [
        ("-pkeyopt rsa_keygen_primes:3", "with more than two primes"),
        ("-pkeyopt rsa_keygen_pubexp:34359738369", "with a public exponent of 36 bits"),
        ("-pkeyopt rsa_keygen_pubexp:17179869185", "with a public exponent of 35 bits"),
    ] {
        let kind = format!("RSA -pkeyopt rsa_keygen_bits:2048 {options}");
        let folder = Folder::self_signed(&kind, "-subj /CN=a", "");
        refused(&folder, &["It is an RSA key of 2048 bits", words]);
        folder.openssl("rsa -in leaf.key -traditional -out old.key");
        folder.write("leaf.key", &folder.read("old.key"));
        refused(&folder, &["It is an RSA key of 2048 bits", words]);
    }
}

#[test]
fn a_ca_whose_signatures_cannot_be_checked_is_named_with_what_makes_it_so() {
    for (key, form, words) in [
        ("RSA -pkeyopt rsa_keygen_bits:768", "", "RSA of 768 bits"),
        ("RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:17179869185", "", "public exponent of 35 bits"),
        (P256, "-conv_form compressed", "EC on the curve P-256 (1.2.840.10045.3.1.7), written as a compressed point"),
        (P256, "-param_enc explicit", "EC, written with the numbers of its curve (explicit parameters)"),
    ] {
        let folder = Folder::with_chain(P256);
        folder.openssl(&format!("genpkey -algorithm {key} -out ca.key"));
        if !form.is_empty() {
            folder.openssl(&format!("ec -in ca.key {form} -out ca.key"));
        }
        folder.openssl("req -x509 -new -key ca.key -subj /CN=CA -days 9 -out ca.pem");
        folder.openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out leaf.pem");
        folder.openssl("req -in leaf.csr -outform DER -out request.der");
        let chain = parse(&[folder.read("leaf.pem"), folder.read("ca.pem")]).unwrap();
        let error = merge_order(&chain, &folder.read("request.der"), false, crate::import::tools::now()).unwrap_err();
        assert!(error.message.contains(words) && error.message.contains("which is not supported"), "{error}");
    }
}
