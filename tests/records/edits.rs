//! A record that was edited where it is: rights, certificates, policies, its code, and the marks of the store.

use crate::records::place::{A, Place};

#[tokio::test]
async fn every_right_of_a_key_that_was_edited_is_refused() {
    for (from, to) in [
        (r#""exportable":false"#, r#""exportable":true"#),
        (r#""enabled":true"#, r#""enabled":false"#),
        ("application/x-pkcs12", "application/x-pem-file"),
        (r#""expires":1"#, r#""expires":9"#),
        (r#""not_before":1"#, r#""not_before":0"#),
        (r#""key_usage":["#, r#""key_usage":["KeyAgreement","#),
        (r#""tags":null"#, r#""tags":{"a":"b"}"#),
        (r#""format":1"#, r#""format":1 "#),
    ] {
        let place = Place::new();
        place.filled().await;
        let key = place.version(A, "locked");
        place.edit(&key, from, to);
        let life = place.open().await;
        for request in ["GET /secrets/locked", "GET /keys/locked", "GET /certificates/locked"] {
            life.refuses(A, request, &key).await;
        }
    }
}

#[tokio::test]
async fn a_certificate_that_was_swapped_is_refused() {
    let place = Place::new();
    place.filled().await;
    let (key, other) = (place.version(A, "web"), place.version(A, "other"));
    let (mine, theirs) = (cer(&place.body(&key)), cer(&place.body(&other)));
    place.edit(&key, &mine, &theirs);
    place.open().await.refuses(A, "GET /secrets/web", &key).await;
}

fn cer(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["value"]["cer"].as_str().unwrap().to_owned()
}

/// Before the codes there is only the key itself to hold against the certificate.
#[tokio::test]
async fn a_key_beside_the_certificate_of_another_is_not_opened_in_a_store_without_codes_either() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let digest = r#"{"alg":"ES256","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let life = place.open().await;
    life.ok(A, "POST /keys/web/sign", digest).await;
    drop(life);
    let (key, other) = (place.version(A, "web"), place.version(A, "other"));
    let (mine, theirs) = (cer(&place.body(&key)), cer(&place.body(&other)));
    place.edit(&key, &mine, &theirs);
    let life = place.open().await;
    for (request, body) in [
        ("GET /secrets/web", ""),
        ("POST /keys/web/sign", digest),
        ("POST /certificates/web/backup", ""),
        (
            "POST /certificates/web/create",
            r#"{"policy":{"key_props":{"kty":"EC","reuse_key":true},"x509_props":{"subject":"CN=a"},"issuer":{"name":"Self"}}}"#,
        ),
    ] {
        let reply = life.send(A, request, body).await;
        let refused = "does not belong to the certificate that is stored with it";
        assert!(reply.status == 500 && reply.body.contains(refused), "{request}: {} {}", reply.status, reply.body);
    }
}

#[tokio::test]
async fn a_policy_an_issuer_contacts_and_an_operation_that_were_edited_are_refused() {
    for (key, from, to, request) in [
        (
            "certificates/team-a/web",
            r#""validity_months":12"#,
            r#""validity_months":99"#,
            "GET /certificates/web/policy",
        ),
        ("certificates/team-a/gone", r#""Deleted""#, r#""deleted""#, "GET /deletedcertificates/gone"),
        ("issuers/team-a/ca", r#""enabled":true"#, r#""enabled":false"#, "GET /certificates/issuers/ca"),
        ("contacts/team-a", "admin@team-a", "admin@team-x", "GET /certificates/contacts"),
        (
            "pending/team-a/manual",
            r#""cancellation_requested":false"#,
            r#""cancellation_requested":true"#,
            "GET /certificates/manual/pending",
        ),
    ] {
        let place = Place::new();
        place.filled().await;
        place.edit(key, from, to);
        place.open().await.refuses(A, request, key).await;
    }
}

#[tokio::test]
async fn a_record_of_each_kind_without_its_code_is_refused() {
    let place = Place::new();
    place.filled().await;
    let version = place.version(A, "web");
    for (key, request) in [
        (version.as_str(), "GET /secrets/web"),
        ("certificates/team-a/other", "GET /certificates/other"),
        ("issuers/team-a/ca", "GET /certificates/issuers/ca"),
        ("contacts/team-a", "GET /certificates/contacts"),
        ("pending/team-a/manual", "GET /certificates/manual/pending"),
        ("kept/team-a/kept", "POST /deletedcertificates/kept/recover"),
    ] {
        place.strip(key);
        let life = place.open().await;
        life.service.authenticate_records(std::time::Duration::ZERO).await.unwrap();
        life.refuses(A, request, key).await;
    }
}

#[tokio::test]
async fn a_store_without_its_mark_is_no_store_of_an_earlier_version() {
    let place = Place::new();
    place.filled().await;
    place.strip("contacts/team-a");
    place.remove("meta/authenticated");
    for _ in 0..2 {
        let life = place.open().await;
        life.service.authenticate_records(std::time::Duration::ZERO).await.unwrap();
        life.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
        assert_eq!(place.keys("meta/"), [""; 0]);
    }
    place.remove("contacts/team-a");
    let life = place.open().await;
    life.service.authenticate_records(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
}

#[tokio::test]
async fn a_mark_that_was_edited_or_a_made_up_beginning_of_a_takeover_opens_nothing() {
    let place = Place::new();
    place.filled().await;
    place.strip("contacts/team-a");
    place.write("meta/authenticated", r#"{"format":1,"value":{"since":0}}"#);
    place.open().await.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
    place.remove("meta/authenticated");
    place.write("meta/sweep", r#"{"format":1,"value":{"started":0}}"#);
    let life = place.open().await;
    let _refused = life.service.authenticate_records(std::time::Duration::ZERO).await;
    life.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
}
