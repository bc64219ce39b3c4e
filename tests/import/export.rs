//! Files of the secret view, opened by other programs.

use crate::import::strict;
use crate::import::tools::{Folder, KINDS, P256, import, is_the_leaf, there_is};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::keys::KeyPair;
use certmint::keys::export::{Exported, as_pem, as_pkcs12};
use certmint::keys::import::Imported;

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
        let said = folder.openssl("pkcs12 -in ours.p12 -passin pass: -nodes -info");
        assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 3, "{said}");
        assert!(said.contains("friendlyName: web") && said.contains("MAC: sha1, Iteration 2000"), "{said}");
        is_the_leaf(&folder, &import(&pkcs12(&imported, Some(&imported.key)), "").unwrap(), kind);
    }
}

/// The opaque values of the recording, decoded: what strict clients do with them must work with ours.
#[test]
fn the_pfx_opens_without_a_password_and_is_built_as_the_recorded_one() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/azure/recorded-exchanges.json"));
    let recorded: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let recorded = recorded["full"][8]["response_body"]["value"].as_str().unwrap();
    let recorded = strict::open(&STANDARD.decode(recorded).unwrap()).unwrap();
    assert_eq!((recorded.keys.len(), recorded.certificates.len()), (1, 1));

    let folder = Folder::with_chain("RSA -pkeyopt rsa_keygen_bits:2048");
    folder.write("one.pem", (folder.text("leaf.key") + &folder.text("leaf.pem")).as_bytes());
    let imported = import(&folder.read("one.pem"), "").unwrap();
    let ours = strict::open(&pkcs12(&imported, Some(&imported.key))).unwrap();
    assert_eq!(ours.keys, [imported.key.to_pkcs8().to_vec()]);
    assert_eq!(ours.certificates, [folder.der("leaf")]);
    // The service of 2018 wrote RC2 and a MAC of one round, which it has not since 2021; Windows adds its own name of
    // the key's place, which says nothing elsewhere.
    let as_of_today: Vec<String> = recorded
        .structure
        .iter()
        .map(|line| {
            line.replace("mac 1.3.14.3.2.26 salt 20 rounds 1", "mac 1.3.14.3.2.26 salt 20 rounds 2000")
                .replace("1.2.840.113549.1.12.1.6", "1.2.840.113549.1.12.1.3")
                .replace(" 1.3.6.1.4.1.311.17.1", "")
        })
        .collect();
    assert_eq!(ours.structure, as_of_today);
}

#[test]
fn the_pfx_of_a_key_that_stays_opens_without_a_password_and_holds_the_certificate_alone() {
    let folder = Folder::with_chain(P256);
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    let ours = strict::open(&pkcs12(&imported, None)).unwrap();
    assert_eq!((ours.keys.len(), ours.certificates), (0, vec![folder.der("leaf")]));
}

#[test]
fn the_strict_decoder_refuses_the_other_form_of_an_empty_password() {
    let folder = Folder::with_chain(P256);
    let options = "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1";
    assert!(strict::open(&folder.pfx("", options)).unwrap_err().contains("without a password"));
}

#[test]
fn gnutls_opens_the_pfx_without_a_password() {
    if !there_is("certtool", "--version") {
        return;
    }
    let folder = Folder::with_chain(P256);
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    folder.write("ours.p12", &pkcs12(&imported, Some(&imported.key)));
    let said = folder.run("certtool", &["--p12-info", "--inder", "--null-password", "--infile", "ours.p12"]).unwrap();
    assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 3, "{said}");
    assert!(said.contains("BEGIN") && !said.contains("MAC verification failed"), "{said}");
}

#[test]
fn nss_opens_the_pfx_without_a_password() {
    if !there_is("pk12util", "-H") || !there_is("certutil", "-H") {
        return;
    }
    let folder = Folder::with_chain("RSA -pkeyopt rsa_keygen_bits:2048");
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    folder.write("ours.p12", &pkcs12(&imported, Some(&imported.key)));
    let said = folder.run("pk12util", &["-l", "ours.p12", "-W", ""]).unwrap();
    assert_eq!(said.matches("Certificate").count().min(3), 3, "{said}");
    assert!(said.contains("Friendly Name: web"), "{said}");
}

#[test]
fn a_key_that_stays_is_in_neither_form() {
    let folder = Folder::with_chain(P256);
    let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
    folder.write("ours.p12", &pkcs12(&imported, None));
    let said = folder.openssl("pkcs12 -in ours.p12 -passin pass: -nodes");
    assert_eq!((said.matches("BEGIN CERTIFICATE").count(), said.contains("PRIVATE")), (1, false), "{said}");
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
        // Java's sign for a password of no bytes; with none of its characters it tries both forms.
        char[] password = args.length > 1 ? new char[0] : new char[] {0};
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (FileInputStream in = new FileInputStream(args[0])) {
            store.load(in, password);
        }
        String alias = store.aliases().nextElement();
        PrivateKey key = (PrivateKey) store.getKey(alias, password);
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
    if !there_is("javac", "-version") {
        return;
    }
    // Java has no P-256K since 16.
    for (_, kind) in &KINDS[..4] {
        let folder = Folder::with_chain(kind);
        let imported = import(&folder.pfx("secret", ""), "secret").unwrap();
        folder.write("ours.p12", &pkcs12(&imported, Some(&imported.key)));
        folder.write("Open.java", OPEN.as_bytes());
        for arguments in [&["Open.java", "ours.p12"][..], &["Open.java", "ours.p12", "tolerant"]] {
            assert_eq!(folder.run("java", arguments).unwrap().trim(), "web 3 true", "{kind} {arguments:?}");
        }
    }
}
