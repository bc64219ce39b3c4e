//! Unsupported files: the error names the format and the solution, in an import and in a merge.

use crate::import::tools::{Folder, P256, import, parse, there_is};
use base64::{Engine, engine::general_purpose::STANDARD};

#[track_caller]
fn named(value: &[u8], words: &[&str]) {
    let error = import(value, "secret").expect_err(words[0]);
    for word in words {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[track_caller]
fn named_by_both(value: &[u8], words: &[&str]) {
    named(value, words);
    named(STANDARD.encode(value).as_bytes(), words);
    let error = parse(&[value.to_vec()]).expect_err(words[0]);
    for word in words {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[test]
fn other_forms_are_named_with_their_cure() {
    for (value, words) in [
        (&b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01"[..], &["JKS", "keytool -importkeystore"][..]),
        (b"\xce\xce\xce\xce\0\0\0\x02\0\0\0\x01", &["JCEKS", "keytool -importkeystore"]),
        (b"PK\x03\x04\x14\0", &["ZIP"]),
        (b"\x1f\x8b\x08\0", &["gzip"]),
        (b"\x1e\xf1\xb5\xb0\0\0", &["PVK", "openssl rsa"]),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", &["HTML"]),
        (b"\n <html lang=en>", &["HTML"]),
        (b"<?xml version=\"1.0\"?><a/>", &["XML"]),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", &["SSH"]),
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 someone@host", &["SSH"]),
        (b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none", &["PuTTY"]),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n-----END PGP PUBLIC KEY BLOCK-----", &["OpenPGP"]),
        (br#"{"keys": []}"#, &["JSON", "value"]),
    ] {
        named_by_both(value, words);
    }
}

#[test]
fn text_in_utf_16_is_named() {
    let folder = Folder::with_chain(P256);
    let text = String::from_utf8(folder.both()).unwrap();
    for bytes in [
        text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ] {
        named_by_both(&bytes, &["UTF-16", "UTF-8"]);
    }
}

#[test]
fn keys_of_openssh_are_named() {
    if !there_is("ssh-keygen", "-?") {
        return;
    }
    let folder = Folder::with_chain(P256);
    folder.run("ssh-keygen", &["-q", "-t", "rsa", "-N", "", "-f", "ssh.key"]).unwrap();
    let text = folder.text("ssh.key") + &folder.text("leaf.pem");
    named(text.as_bytes(), &["OpenSSH", "ssh-keygen -p -m PKCS8"]);
    assert!(parse(&[text.into_bytes()]).unwrap_err().message.contains("contains a private key"));
}

#[test]
fn a_request_or_a_revocation_list_alone_is_named() {
    let folder = Folder::with_chain(P256);
    named(&folder.read("leaf.csr"), &["PKCS#10 request", "neither a private key nor a certificate"]);
    named((folder.text("leaf.key") + &folder.text("leaf.csr")).as_bytes(), &["PKCS#10 request", "no certificate"]);
    folder.openssl("req -in leaf.csr -outform DER -out request.der");
    named(&folder.read("request.der"), &["PKCS#10 request"]);
    folder.write("empty.txt", b"");
    folder.write("crl.cnf", b"[ca]\ndefault_ca=d\n[d]\ndatabase=empty.txt\ndefault_md=sha256\ndefault_crl_days=9\n");
    folder.openssl("ca -gencrl -config crl.cnf -keyfile root.key -cert root.pem -out list.pem");
    named(&folder.read("list.pem"), &["revocation list"]);
    // Beside a certificate they do not matter.
    let text = [folder.both(), folder.read("list.pem"), folder.read("leaf.csr")].concat();
    assert_eq!(import(&text, "").unwrap().chain.leaf, folder.der("leaf"));
    let text = [folder.read("leaf.pem"), folder.read("list.pem"), folder.read("leaf.csr")].concat();
    assert_eq!(parse(&[text]).unwrap(), [folder.der("leaf")]);
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    for (kind, words) in [
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "restricted to PSS"),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "RSA key of 1024 bits"),
        ("RSA -pkeyopt rsa_keygen_bits:2056", "RSA key of 2056 bits"),
        ("ED25519", "Ed25519"),
        ("ED448", "Ed448"),
        ("X25519", "cannot sign"),
        ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", "brainpoolP256r1"),
        ("EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", "named_curve"),
    ] {
        let folder = Folder::with_chain(P256);
        folder.openssl(&format!("genpkey -algorithm {kind} -out other.key"));
        let text = folder.text("other.key") + &folder.text("leaf.pem");
        named(text.as_bytes(), &["The private key cannot be used.", words, "RSA of 2048, 3072 or 4096 bits"]);
    }
    let folder = Folder::with_chain(P256);
    folder.openssl("ec -in leaf.key -param_enc explicit -out sec1.key");
    named((folder.text("sec1.key") + &folder.text("leaf.pem")).as_bytes(), &["named_curve"]);
}

#[test]
fn encryptions_that_are_not_supported_are_named() {
    let folder = Folder::with_chain(P256);
    for (options, name) in [
        ("-v2 rc2", "RC2 in PBES2"),
        ("-v2 des", "DES in PBES2"),
        ("-v2 camellia-256-cbc", "Camellia-256"),
        ("-v2 aria-128-cbc", "ARIA-128"),
        ("-scrypt", "scrypt"),
        ("-v1 PBE-MD5-DES", "DES with MD5"),
        ("-v1 PBE-SHA1-RC4-128", "RC4 of 128 bits"),
    ] {
        let providers = "-provider legacy -provider default";
        folder
            .openssl(&format!("pkcs8 -topk8 -in leaf.key -passout pass:secret -out locked.key {options} {providers}"));
        let text = folder.text("locked.key") + &folder.text("leaf.pem");
        named(text.as_bytes(), &["not supported", name, "Export it again"]);
    }
    named(&folder.pfx("secret", "-macalg sha512-256"), &["not supported", "SHA-512/256"]);
    named(&folder.pfx("secret", "-macalg sha3-256"), &["not supported", "SHA3-256"]);
    named(&folder.pfx("secret", "-certpbe CAMELLIA-128-CBC"), &["not supported", "Camellia-128"]);
}

#[test]
fn keys_in_the_old_encryption_are_named_in_every_form() {
    let folder = Folder::with_chain(P256);
    folder.openssl("ec -in leaf.key -aes256 -passout pass:secret -out locked.key");
    let text = folder.text("locked.key") + &folder.text("leaf.pem");
    named(text.as_bytes(), &["DEK-Info", "openssl pkcs8 -topk8"]);
}

#[test]
fn what_is_cut_off_says_so() {
    let folder = Folder::with_chain(P256);
    let file = folder.pfx("secret", "");
    named(&file[..file.len() - 1], &["PKCS#12", "cut off"]);
    named(STANDARD.encode(&file[..200]).as_bytes(), &["PKCS#12", "cut off"]);
}

#[test]
fn the_answers_of_services_are_taken_as_they_are() {
    let folder = Folder::with_chain(P256);
    let (pfx, pem) = (STANDARD.encode(folder.pfx("", "")), String::from_utf8(folder.both()).unwrap());
    let leaf = folder.der("leaf");
    for text in [
        serde_json::json!({"id": "https://v/secrets/a", "value": pfx, "contentType": "application/x-pkcs12"})
            .to_string(),
        serde_json::json!({"value": pem}).to_string(),
        serde_json::json!({"secret": {"pkcs12": pfx, "pem": null}}).to_string(),
        serde_json::json!(pfx).to_string(),
        serde_json::json!(pem).to_string(),
        pem.replace('\n', "\\n"),
        STANDARD.encode(&pfx),
    ] {
        assert_eq!(import(text.as_bytes(), "").unwrap_or_else(|error| panic!("{text}: {error}")).chain.leaf, leaf);
    }
    let bundle = serde_json::json!({"id": "x", "cer": STANDARD.encode(&leaf), "policy": {"value": "no"}});
    assert_eq!(parse(&[bundle.to_string().into_bytes()]).unwrap(), [leaf]);
}
