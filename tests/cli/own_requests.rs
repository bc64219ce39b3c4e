//! `create --csr`: what is sent, what is printed, and an old server that makes a key of its own.

use crate::fake::Fake;
use base64::{Engine, engine::general_purpose::STANDARD};

fn pem(csr: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE REQUEST-----\r\n{}\r\n-----END CERTIFICATE REQUEST-----\r\n", STANDARD.encode(csr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_sent_as_it_is_and_the_answer_compared_with_it() {
    let fake = Fake::start().await;
    for content in [fake.csr.clone(), pem(&fake.csr).into_bytes()] {
        let file = fake.folder.path().join("web.csr");
        std::fs::write(&file, &content).unwrap();
        let ended = fake.run(&["create", "web", "--csr", file.to_str().unwrap(), "--issuer", "corp"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let sent = fake.part().created.pop().unwrap();
        assert_eq!(sent.csr.unwrap(), content);
        let policy = sent.policy.unwrap();
        assert_eq!((policy.issuer.unwrap().name.as_str(), policy.x509_properties), ("corp", None));
        assert!(ended.out.starts_with("certificate  web\n"), "{}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_made_a_key_of_its_own_is_found_out() {
    let fake = Fake::start().await;
    let file = fake.folder.path().join("web.csr");
    let mut other = fake.csr.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&file, pem(&other)).unwrap();
    for wait in [&[][..], &["--wait"]] {
        let arguments = ["create", "web", "--csr", file.to_str().unwrap()];
        let ended = fake.run(&[&arguments[..], wait].concat()).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("did not take the signing request"), "{}", ended.err);
        assert!(ended.err.contains("certmint pending delete web"), "{}", ended.err);
        assert_eq!(ended.out, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_needs_no_server() {
    let fake = Fake::start().await;
    let ended = fake.run(&["create", "web", "--csr", "none.csr"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("none.csr"), "{}", ended.err);
    assert!(fake.part().created.is_empty());
}
