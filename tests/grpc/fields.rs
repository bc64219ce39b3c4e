//! A refused name or id says in which field of the message it stands.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use crate::requests::{cancel, create, create_as, delete, get, merge, policy, test_issuer};
use crate::server::Server;
use certmint::proto::v1::*;
use tonic::{Response, Status};
use tonic_types::StatusExt;

/// The fields of the violations, of which each says what the message says.
fn fields<T>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let status = answer.err().expect("a refusal");
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    assert!(violations.iter().all(|violation| violation.description == status.message()), "{status:?}");
    violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_certificate_a_vault_or_an_operation_with_a_wrong_name() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    assert_eq!(fields(client.create_certificate(create("no good", "Self")).await), ["certificate_name"]);
    assert_eq!(fields(client.create_certificate(create("contacts", "Self")).await), ["certificate_name"]);
    assert_eq!(fields(client.create_certificate(create_as("web", "Self", "no id")).await), ["request_id"]);
    assert_eq!(fields(client.get_pending(get("no good")).await), ["certificate_name"]);
    assert_eq!(fields(client.cancel_pending(cancel("no good")).await), ["certificate_name"]);
    assert_eq!(fields(client.delete_pending(delete("no good")).await), ["certificate_name"]);
    assert_eq!(fields(client.merge_certificate(merge("no good", &[b"x"])).await), ["certificate_name"]);
    let request = GetPendingRequest { request_id: "7".into(), ..get("web") };
    assert_eq!(fields(client.get_pending(request).await), ["request_id"]);
    let request = GetPendingRequest { vault_name: "-no-".into(), ..get("web") };
    assert_eq!(fields(client.get_pending(request).await), ["vault_name"]);
    let request = GetCertificateRequest {
        certificate_name: "web".into(),
        certificate_version: "7".into(),
        ..GetCertificateRequest::default()
    };
    assert_eq!(fields(client.get_certificate(request).await), ["certificate_version"]);
    let request = UpdateCertificatePolicyRequest {
        certificate_name: "no good".into(),
        policy: Some(policy("Self")),
        ..UpdateCertificatePolicyRequest::default()
    };
    assert_eq!(fields(client.update_certificate_policy(request).await), ["certificate_name"]);
    assert_eq!(fields(server.issuers().await.set_issuer(test_issuer("no good", "hold")).await), ["issuer_name"]);
}

#[tokio::test]
async fn a_watch_of_names_of_which_one_is_wrong() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    let names = vec!["web".to_owned(), "no good".to_owned()];
    let request = WatchPendingRequest { certificate_names: names, ..WatchPendingRequest::default() };
    assert_eq!(fields(client.watch_pending(request).await), ["certificate_names[1]"]);
    let request = WatchPendingRequest { request_id: "7".into(), ..WatchPendingRequest::default() };
    assert_eq!(fields(client.watch_pending(request).await), ["request_id"]);
}

#[tokio::test]
async fn a_secret_or_a_key_with_a_wrong_name() {
    let server = Server::start().await;
    let (mut secrets, mut keys) = (server.secrets().await, server.keys().await);
    let request = GetSecretRequest { secret_name: "no good".into(), ..GetSecretRequest::default() };
    assert_eq!(fields(secrets.get_secret(request).await), ["secret_name"]);
    let request =
        GetSecretRequest { secret_name: "web".into(), secret_version: "7".into(), ..GetSecretRequest::default() };
    assert_eq!(fields(secrets.get_secret(request).await), ["secret_version"]);
    let request = ListSecretVersionsRequest { secret_name: "no good".into(), ..ListSecretVersionsRequest::default() };
    assert_eq!(fields(secrets.list_secret_versions(request).await), ["secret_name"]);
    let request = GetKeyRequest { key_name: "no good".into(), ..GetKeyRequest::default() };
    assert_eq!(fields(keys.get_key(request).await), ["key_name"]);
    let request = SignRequest { key_name: "web".into(), key_version: "7".into(), ..SignRequest::default() };
    assert_eq!(fields(keys.sign(request).await), ["key_version"]);
}
