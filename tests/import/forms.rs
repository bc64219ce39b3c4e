//! Every form in which OpenSSL and Java write a certificate with its key.

use crate::import::tools::{Folder, KINDS, P256, import, is_the_leaf, now};
use aws_lc_rs::{hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::domain::policy::{ContentType, KeyUsage};
use certmint::keys::ImportLimits;
use certmint::keys::import::read;
use std::num::NonZeroU32;
use std::process::Command;

const PASSWORDS: [&str; 4] = ["", "secret", "pässwörd €", "a b\"c'd"];

#[test]
fn every_encryption_of_openssl_opens_with_every_password() {
    let folder = Folder::with_chain(P256);
    for options in [
        "",
        "-legacy",
        "-macalg sha1",
        "-macalg sha384",
        "-macalg sha512",
        "-keypbe AES-128-CBC -certpbe AES-192-CBC",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES -legacy",
        "-keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40 -legacy",
        "-keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC",
        "-keypbe NONE -certpbe NONE",
        "-nomac",
        "-nomaciter -noiter",
        "-iter 20000",
    ] {
        for password in PASSWORDS {
            let imported = import(&folder.pfx(password, options), password);
            let imported = imported.unwrap_or_else(|error| panic!("{options} {password}: {error}"));
            is_the_leaf(&folder, &imported, &format!("{options} {password}"));
            assert_eq!(imported.form, ContentType::Pkcs12);
        }
    }
}

#[test]
fn keys_of_every_kind_come_in() {
    for (key_type, kind) in KINDS {
        let folder = Folder::with_chain(kind);
        let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
        assert_eq!(imported.facts.key_type, key_type);
        is_the_leaf(&folder, &imported, kind);
    }
}

#[test]
fn what_keytool_writes_opens() {
    if Command::new("keytool").arg("-help").output().is_err() {
        eprintln!("skipped: keytool is not installed");
        return;
    }
    let folder = Folder::with_chain(P256);
    for options in ["", "-J-Dkeystore.pkcs12.legacy"] {
        let line = format!(
            "-genkeypair -alias web -keyalg RSA -keysize 2048 -dname CN=web -validity 90 -storetype PKCS12 -keystore {}.p12 -storepass secret1 {options}",
            options.len()
        );
        folder.run("keytool", &line.split_whitespace().collect::<Vec<_>>()).unwrap();
        let imported = import(&folder.read(&format!("{}.p12", options.len())), "secret1").unwrap();
        assert_eq!((imported.facts.subject.as_str(), imported.chain.rest.len()), ("CN=web", 0), "{options}");
    }
}

/// OpenSSL before 3.4 cannot write it, so the MAC is made here over a file without one.
#[test]
fn a_file_with_pbmac1_opens_with_its_password_alone() {
    let folder = Folder::with_chain(P256);
    let file = folder.pfx("secret", "-nomac");
    // PFX { version, ContentInfo { data, [0] OCTET STRING content } }
    let (head, tail) = (&file[4..7], &file[7..]);
    let content = {
        let explicit = &tail[4 + 11..];
        let octets = &explicit[4..];
        &octets[4..]
    };
    let salt = [7; 16];
    for (hash, oid, kdf) in
        [(hmac::HMAC_SHA256, 9_u8, pbkdf2::PBKDF2_HMAC_SHA256), (hmac::HMAC_SHA512, 11, pbkdf2::PBKDF2_HMAC_SHA512)]
    {
        let mut key = [0; 32];
        pbkdf2::derive(kdf, NonZeroU32::new(2048).unwrap(), &salt, b"secret", &mut key);
        let tag = hmac::sign(&hmac::Key::new(hash, &key), content);
        let scheme = [&[0x30, 12, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 2, oid][..], &[5, 0]].concat();
        let inputs = seq(&[&[4, 16][..], &salt, &[2, 2, 8, 0], &[2, 1, 32], &scheme].concat());
        let derivation = seq(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 5, 12][..], &inputs].concat());
        let parameters = seq(&[derivation, scheme].concat());
        let algorithm = seq(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 5, 14][..], &parameters].concat());
        let tag = [&[4, u8::try_from(tag.as_ref().len()).unwrap()], tag.as_ref()].concat();
        let info = seq(&[algorithm, tag].concat());
        let mac = seq(&[&info[..], &[4, 1, 0], &[2, 1, 1]].concat());
        let file = seq(&[head, tail, &mac].concat());
        is_the_leaf(&folder, &import(&file, "secret").unwrap(), "PBMAC1");
        assert!(import(&file, "other").unwrap_err().message.contains("The password is wrong"));
        let mut damaged = file.clone();
        *damaged.last_mut().unwrap() ^= 1;
        *damaged.iter_mut().rev().nth(12).unwrap() ^= 1;
        assert!(import(&damaged, "secret").is_err());
    }
}

fn seq(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    match length {
        0..=0x7f => [&[0x30, length.to_be_bytes()[1]], content].concat(),
        _ => [&[0x30, 0x82], &length.to_be_bytes()[..], content].concat(),
    }
}

#[test]
fn pem_is_taken_with_every_form_of_key_and_in_any_order() {
    for (_, kind) in KINDS {
        let folder = Folder::with_chain(kind);
        let rsa = kind.starts_with("RSA");
        folder.openssl(if rsa { "rsa -in leaf.key -traditional -out old.key" } else { "ec -in leaf.key -out old.key" });
        let (leaf, above) = (folder.text("leaf.pem"), folder.text("above.pem"));
        for key in ["leaf.key", "old.key"].map(|name| folder.text(name)) {
            for text in [
                format!("{key}{leaf}{above}"),
                format!("{leaf}{above}{key}"),
                format!("{above}{key}{leaf}"),
                format!("Bag Attributes\n  friendlyName: web\n{key}\n\nsubject=CN = x\n{leaf}{above}"),
                format!("\u{feff}{key}{leaf}{above}").replace('\n', "\r\n"),
            ] {
                for value in [text.clone(), STANDARD.encode(&text), wrapped(&STANDARD.encode(&text))] {
                    let imported = import(value.as_bytes(), "").unwrap_or_else(|error| panic!("{text}\n{error}"));
                    is_the_leaf(&folder, &imported, &text);
                    assert_eq!(imported.form, ContentType::Pem);
                }
            }
        }
    }
}

fn wrapped(base64: &str) -> String {
    base64.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\r\n")
}

#[test]
fn encrypted_keys_open_with_their_password() {
    let folder = Folder::with_chain(P256);
    for options in [
        "-v2 aes256",
        "-v2 aes128 -v2prf hmacWithSHA1",
        "-v2 aes-192-cbc -v2prf hmacWithSHA512",
        "-v2 des3",
        "-v1 PBE-SHA1-3DES",
        "-v1 PBE-SHA1-RC2-40 -provider legacy -provider default",
    ] {
        folder.openssl(&format!("pkcs8 -topk8 -in leaf.key -passout pass:secret -out locked.key {options}"));
        let text = folder.text("locked.key") + &folder.text("leaf.pem") + &folder.text("above.pem");
        is_the_leaf(&folder, &import(text.as_bytes(), "secret").unwrap(), options);
        for wrong in ["", "other"] {
            let error = import(text.as_bytes(), wrong).unwrap_err();
            assert!(error.message.contains("The password is wrong"), "{options}: {error}");
        }
    }
}

#[test]
fn a_pfx_that_openssl_turned_into_pem_is_taken_as_it_is() {
    let folder = Folder::with_chain(P256);
    folder.pfx("secret", "");
    folder.openssl("pkcs12 -in leaf.p12 -passin pass:secret -nodes -out all.pem");
    is_the_leaf(&folder, &import(&folder.read("all.pem"), "").unwrap(), "all.pem");
}

#[test]
fn the_order_above_the_leaf_is_kept_where_that_is_asked_for() {
    let folder = Folder::with_chain(P256);
    let text = ["root.pem", "middle.pem", "leaf.pem", "leaf.key"].map(|name| folder.text(name)).concat();
    let ordered = |preserve| read(text.as_bytes(), "", preserve, now(), ImportLimits::default()).unwrap().chain;
    assert_eq!(ordered(false).rest, [folder.der("middle"), folder.der("root")]);
    assert_eq!(ordered(true).rest, [folder.der("root"), folder.der("middle")]);
    assert_eq!(ordered(true).leaf, folder.der("leaf"));
}

#[test]
fn certificates_of_another_chain_come_last_and_are_kept() {
    let folder = Folder::with_chain(P256);
    folder.openssl("req -x509 -new -key leaf.key -subj /CN=Other -days 5 -out other.pem");
    let other = Folder::with_chain(P256);
    let text = other.text("root.pem") + &folder.text("leaf.key") + &folder.text("leaf.pem") + &folder.text("above.pem");
    let chain = import(text.as_bytes(), "").unwrap().chain;
    assert_eq!(chain.rest, [folder.der("middle"), folder.der("root"), other.der("root")]);
}

#[test]
fn the_facts_are_those_of_the_certificate() {
    let folder = Folder::with_chain(P256);
    let facts = import(&folder.pfx("", ""), "").unwrap().facts;
    assert_eq!(facts.subject, "CN=leaf, O=Contoso, C=US");
    assert_eq!(facts.sans.unwrap().dns_names, ["leaf.example"]);
    assert_eq!(facts.ekus, ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(facts.key_usage, [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]);
    assert!(!facts.ca);
    // A root by itself: no usages named, and a CA.
    folder.write("root.txt", (folder.text("root.key") + &folder.text("root.pem")).as_bytes());
    let facts = import(&folder.read("root.txt"), "").unwrap().facts;
    assert_eq!((facts.key_usage.len(), facts.ekus.len(), facts.ca, facts.sans), (0, 0, true, None));
}
