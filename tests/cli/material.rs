//! `certmint import`, `export` and `key`.

use crate::fake::{Fake, REQUEST_ID};
use crate::fake_material::{PEM, signed};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::SignatureAlgorithm;
use certmint::proto::v1::import_certificate_request::Bundle;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn import_sends_the_file_as_it_is_with_its_password_and_options() {
    let fake = Fake::start().await;
    fs::write(fake.folder.path().join("web.pfx"), [0x30, 1, 7]).unwrap();
    fs::write(fake.folder.path().join("password"), "two words\n").unwrap();
    let line = "import web web.pfx --password-file password --not-exportable --content-type pem --issuer ca --disabled \
                --preserve-order --tag team=a --vault blue --output json";
    let ended = fake.run(&line.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["certificate"]["certificate_name"], "web");
    let sent = fake.part().imported.remove(0);
    assert_eq!((sent.vault_name.as_str(), sent.certificate_name.as_str()), ("blue", "web"));
    assert_eq!(sent.bundle, Some(Bundle::Pkcs12(vec![0x30, 1, 7].into())));
    assert_eq!((sent.password.as_str(), sent.preserve_cert_order), ("two words", Some(true)));
    let policy = sent.policy.unwrap();
    assert_eq!(policy.key_properties.unwrap().exportable, Some(false));
    assert_eq!(policy.secret_properties.unwrap().content_type, "application/x-pem-file");
    assert_eq!(policy.issuer.unwrap().name, "ca");
    assert_eq!((sent.attributes.unwrap().enabled, sent.tags["team"].as_str()), (Some(false), "a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn import_without_options_leaves_the_rest_to_the_server() {
    let fake = Fake::start().await;
    fs::write(fake.folder.path().join("web.pem"), PEM).unwrap();
    assert_eq!(fake.run(&["import", "web", "web.pem"]).await.code, 0);
    let sent = fake.part().imported.remove(0);
    assert_eq!((sent.policy, sent.attributes, sent.preserve_cert_order), (None, None, None));
    assert!(sent.password.is_empty());
    for wrong in [&["import", "web", "missing.pem"][..], &["import", "web", "-", "--password-file", "-"]] {
        assert_eq!(fake.run(wrong).await.code, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_writes_what_the_server_gives() {
    let fake = Fake::start().await;
    let ended = fake.run(&["export", "web"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, PEM));
    let pfx = fake.run(&["export", "pfx", "--output", "json"]).await.json();
    assert_eq!(pfx["secret"]["pkcs12"], STANDARD.encode([0x30, 1, 7]));
    assert_eq!(fake.run(&["export", "pfx", "--pem"]).await.out, PEM);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_file_is_its_owners_alone_and_replaces_none() {
    let fake = Fake::start().await;
    let ended = fake.run(&["export", "pfx", "--out", "web.pfx"]).await;
    assert_eq!((ended.code, ended.out.trim()), (0, "written to web.pfx"), "{ended:?}");
    let file = fake.folder.path().join("web.pfx");
    assert_eq!(fs::read(&file).unwrap(), [0x30, 1, 7]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = fake.run(&["export", "web", "--out", "web.pfx"]).await;
    assert_eq!(again.code, 2, "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), [0x30, 1, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_signed_and_verified_by_its_digest() {
    let fake = Fake::start().await;
    fs::write(fake.folder.path().join("message"), "message").unwrap();
    let ended = fake.run(&["key", "sign", "web", "message"]).await;
    let signature = STANDARD.encode(signed(SignatureAlgorithm::Es256, b"message"));
    assert_eq!((ended.code, ended.out.trim()), (0, signature.as_str()));
    let ended = fake.run(&["key", "sign", "web", "message", "--output", "json"]).await.json();
    assert_eq!((&ended["algorithm"], &ended["key_id"]), (&"ES256".into(), &format!("web/{REQUEST_ID}").into()));
    let chosen = fake.run(&["key", "sign", "web", "message", "--algorithm", "ps256"]).await;
    assert_eq!(chosen.out.trim(), STANDARD.encode(signed(SignatureAlgorithm::Ps256, b"message")));
    let verify = |signature: String| {
        let fake = &fake;
        async move { fake.run(&["key", "verify", "web", "message", "--signature", &signature]).await }
    };
    assert_eq!(verify(signature).await.code, 0);
    let other = verify(STANDARD.encode("other")).await;
    assert_eq!((other.code, other.out.trim()), (1, "the signature is not valid for this key and file"));
    assert_eq!(verify("?".to_owned()).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_key_is_shown() {
    let fake = Fake::start().await;
    let key = fake.run(&["key", "show", "web", "--output", "json"]).await.json()["key"].clone();
    assert_eq!((&key["key_type"], &key["curve"]), (&"EC".into(), &"P256".into()));
    assert_eq!(key["key_operations"], serde_json::json!(["sign", "verify"]));
    assert_eq!((&key["x"], key["n"].is_null()), (&STANDARD.encode([1; 32]).into(), true));
}
