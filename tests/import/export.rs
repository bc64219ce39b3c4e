//! What the secret face writes, opened by others.

use crate::tools::{Folder, KINDS, P256, import, is_the_leaf};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::keys::KeyPair;
use certmint::keys::export::{Exported, as_pem, as_pkcs12};
use certmint::keys::import::Imported;
use std::process::Command;

fn pkcs12(imported: &Imported, key: Option<&KeyPair>) -> Vec<u8> {
    let key = key.map(KeyPair::to_pkcs8);
    STANDARD.decode(as_pkcs12(exported(imported), key.as_ref().map(|key| key.as_slice())).as_bytes()).unwrap()
}

fn exported(imported: &Imported) -> Exported<'_> {
    Exported { name: "web", leaf: &imported.chain.leaf, chain: &imported.chain.rest }
}

#[test]
fn openssl_opens_the_pfx_without_its_legacy_provider() {
    for (_, kind) in KINDS {
        let folder = Folder::with_chain(kind);
        let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
        folder.write("ours.p12", &pkcs12(&imported, Some(&imported.key)));
        folder.openssl("pkcs12 -in ours.p12 -passin pass: -nodes -nocerts -out ours.key");
        folder.openssl("pkey -in ours.key -pubout -outform DER -out ours.pub");
        assert_eq!(folder.read("ours.pub"), folder.public_key(), "{kind}");
        let said = folder.openssl("pkcs12 -in ours.p12 -passin pass: -nokeys -info");
        assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 3, "{said}");
        assert!(said.contains("friendlyName: web") && said.contains("MAC: sha1, Iteration 2000"), "{said}");
        is_the_leaf(&folder, &import(&pkcs12(&imported, Some(&imported.key)), "").unwrap(), kind);
    }
}

#[test]
fn a_key_that_stays_is_in_neither_form() {
    let folder = Folder::with_chain(P256);
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    folder.write("ours.p12", &pkcs12(&imported, None));
    let said = folder.openssl("pkcs12 -in ours.p12 -passin pass: -nodes");
    assert_eq!((said.matches("BEGIN CERTIFICATE").count(), said.contains("PRIVATE")), (3, false), "{said}");
    let pem = as_pem(exported(&imported), None);
    assert_eq!(pem.as_str(), certificates(&folder));
}

#[test]
fn pem_is_the_key_then_the_chain_from_the_leaf_upwards() {
    let folder = Folder::with_chain(P256);
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    let pem = as_pem(exported(&imported), Some(&imported.key.to_pkcs8()));
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with(&certificates(&folder)), "{}", *pem);
    assert!(pem.lines().all(|line| line.len() <= 64) && !pem.contains('\r'));
    is_the_leaf(&folder, &import(pem.as_bytes(), "").unwrap(), "pem");
    folder.write("ours.pem", pem.as_bytes());
    folder.openssl("pkey -in ours.pem -pubout -outform DER -out ours.pub");
    assert_eq!(folder.read("ours.pub"), folder.public_key());
}

fn certificates(folder: &Folder) -> String {
    folder.text("leaf.pem") + &folder.text("above.pem")
}

/// Opens a file as an application does, and checks the key against the certificate.
const OPEN: &str = r#"
import java.io.FileInputStream;
import java.security.*;
import java.security.cert.Certificate;

public class Open {
    public static void main(String[] args) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (FileInputStream in = new FileInputStream(args[0])) {
            store.load(in, new char[0]);
        }
        String alias = store.aliases().nextElement();
        PrivateKey key = (PrivateKey) store.getKey(alias, new char[0]);
        Certificate[] chain = store.getCertificateChain(alias);
        String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        Signature signer = Signature.getInstance(algorithm);
        signer.initSign(key);
        signer.update("message".getBytes());
        byte[] signature = signer.sign();
        signer.initVerify(chain[0]);
        signer.update("message".getBytes());
        System.out.println(alias + " " + chain.length + " " + signer.verify(signature));
    }
}
"#;

#[test]
fn java_opens_the_pfx_and_its_key_signs() {
    if Command::new("javac").arg("-version").output().is_err() {
        eprintln!("skipped: no Java development kit is installed");
        return;
    }
    // Java has no P-256K since 16.
    for (_, kind) in &KINDS[..4] {
        let folder = Folder::with_chain(kind);
        let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
        folder.write("ours.p12", &pkcs12(&imported, Some(&imported.key)));
        folder.write("Open.java", OPEN.as_bytes());
        let said = folder.run("java", &["Open.java", "ours.p12"]).unwrap();
        assert_eq!(said.trim(), "web 3 true", "{kind}");
    }
}
