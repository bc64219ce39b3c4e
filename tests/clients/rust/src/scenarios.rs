//! The documented scenarios, as far as this client can express them.

use crate::authority::{Authority, parse, public_key, requested_key};
use crate::harness::*;
use crate::material::pfx;
use azure_core::http::poller::{PollerStatus, StatusMonitor};
use azure_security_keyvault_certificates::CertificateClient;
use azure_security_keyvault_certificates::models::*;
use futures::{StreamExt, TryStreamExt};
use rcgen::KeyPair;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const VAULT: &str = "rust-scenarios";

async fn client() -> CertificateClient {
    let client = certificates(VAULT);
    test_issuer(&client, "holds", "hold").await;
    client
}

async fn merge(
    client: &CertificateClient,
    name: &str,
    chain: Vec<Vec<u8>>,
) -> azure_core::Result<azure_core::http::Response<Certificate>> {
    let parameters = MergeCertificateParameters {
        x509_certificates: Some(chain),
        tags: Some(HashMap::from([("merged".into(), "yes".into())])),
        ..MergeCertificateParameters::default()
    };
    client.merge_certificate(name, parameters.try_into()?, None).await
}

#[tokio::test]
async fn a_certificate_is_requested_from_an_issuer_and_completes() {
    let client = client().await;
    let local = SetIssuerParameters {
        provider: Some("LocalCA".into()),
        organization_details: Some(OrganizationDetails {
            id: Some("Rust Root".into()),
            ..OrganizationDetails::default()
        }),
        ..SetIssuerParameters::default()
    };
    client.set_issuer("local", local.try_into().unwrap(), None).await.unwrap();

    let mut chosen = policy("local", "issued");
    chosen.issuer_parameters.as_mut().unwrap().certificate_type = Some("OV-SSL".into());
    let mut poller = begin(&client, "issued", chosen);
    let first = poller.next().await.unwrap().unwrap();
    assert_eq!(u16::from(first.status()), 202);
    let location = first.headers().get_str(&"location".into()).unwrap().to_owned();
    let begun = first.into_model().unwrap();
    let request_id = begun.request_id.unwrap();
    assert_eq!(
        location,
        format!("{}/certificates/issued/pending?api-version=2025-07-01&request_id={request_id}", address(VAULT))
    );
    assert!(request_id.len() == 32 && request_id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
    assert_eq!(begun.id.unwrap(), format!("{}/certificates/issued/pending", address(VAULT)));
    assert_eq!(begun.issuer_parameters.unwrap().name.unwrap(), "local");
    assert_eq!((begun.status.unwrap().as_str(), begun.cancellation_requested), ("inProgress", Some(false)));
    assert_eq!(
        begun.status_details.unwrap(),
        "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer \
         provider. Please check again later"
    );

    let last = poller.try_collect::<Vec<_>>().await.unwrap().pop().unwrap().into_model().unwrap();
    assert_eq!(last.status(), PollerStatus::Succeeded);
    assert_eq!(last.target.unwrap(), format!("{}/certificates/issued?api-version=2025-07-01", address(VAULT)));
    let certificate = client.get_certificate("issued", None).await.unwrap().into_model().unwrap();
    let issuer = certificate.policy.unwrap().issuer_parameters.unwrap();
    assert_eq!(issuer.certificate_type.as_deref(), Some("OV-SSL"));
    let cer = certificate.cer.unwrap();
    assert_eq!(parse(&cer).subject().to_string(), "CN=issued.example");
    assert_eq!(parse(&cer).issuer().to_string(), "CN=Rust Root");
    assert_eq!(public_key(&cer), requested_key(&begun.csr.unwrap()));
}

#[tokio::test]
async fn the_poller_waits_as_long_as_the_server_asks() {
    let client = patient(VAULT);
    let begun = Instant::now();
    let certificate = begin(&client, "patient", policy("Self", "patient")).await.unwrap().into_model().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(10));
    assert_eq!(parse(&certificate.cer.unwrap()).subject().to_string(), "CN=patient.example");
}

#[tokio::test]
async fn an_operation_of_an_issuer_is_in_progress_until_it_ends() {
    let client = client().await;
    let begun = create(&client, "held", policy("holds", "held")).await.unwrap();
    let answer = client.get_certificate_operation("held", None).await.unwrap();
    let operation = answer.into_model().unwrap();
    assert_eq!(operation.status.as_deref(), Some("inProgress"));
    assert_eq!(operation.request_id, begun.request_id);
    assert!(operation.error.is_none() && operation.target.is_none());
    let placeholder = client.get_certificate("held", None).await.unwrap().into_model().unwrap();
    assert_eq!((placeholder.attributes.unwrap().enabled, placeholder.cer), (Some(false), None));
}

#[tokio::test]
async fn a_failed_operation_says_whose_error_it_was() {
    let client = client().await;
    for (account, code) in [("fail", "Certificate issuer error"), ("reject", "Request rejected")] {
        let issuer = format!("{account}-issuer");
        test_issuer(&client, &issuer, account).await;
        let mut states = begin(&client, account, policy(&issuer, account)).try_collect::<Vec<_>>().await.unwrap();
        let operation = states.pop().unwrap().into_model().unwrap();
        assert_eq!(operation.status(), PollerStatus::Failed);
        assert_eq!((operation.status.as_deref(), operation.status_details.as_deref()), (Some("failed"), Some("")));
        let error = operation.error.unwrap();
        assert_eq!(error.code.as_deref(), Some(code));
        assert!(error.message.unwrap().starts_with("The test issuer"));
    }
    let error = begin(&client, "fail", policy("fail-issuer", "fail")).await.err().unwrap();
    assert!(error.to_string().contains("without defining a target"), "{error}");
}

#[tokio::test]
async fn a_deleted_operation_is_not_found_and_an_ended_one_is_overwritten() {
    let client = client().await;
    create(&client, "deleted", policy("Unknown", "deleted")).await.unwrap();
    client.delete_certificate_operation("deleted", None).await.unwrap();
    let error = refused(operation(&client, "deleted").await, 404, "PendingCertificateNotFound");
    assert_eq!(error.message.unwrap(), "Pending certificate not found: deleted");

    issue(&client, "overwritten").await;
    let first = ended(&client, "overwritten").await;
    issue(&client, "overwritten").await;
    assert_ne!(first.request_id, ended(&client, "overwritten").await.request_id);
}

#[tokio::test]
async fn an_operation_that_is_deleted_while_it_is_polled_is_not_found() {
    let client = client().await;
    let mut poller = begin(&client, "polled", policy("holds", "polled"));
    for _ in 0..3 {
        poller.try_next().await.unwrap().unwrap();
    }
    client.delete_certificate_operation("polled", None).await.unwrap();
    refused(poller.try_collect::<Vec<_>>().await, 404, "PendingCertificateNotFound");
}

#[tokio::test]
async fn a_second_request_while_one_is_in_progress_is_a_conflict() {
    let client = client().await;
    create(&client, "conflict", policy("Unknown", "conflict")).await.unwrap();
    let import = pfx("conflict", &KeyPair::generate().unwrap(), "secret");
    let created = refused(create(&client, "conflict", policy("Self", "conflict")).await, 409, "Forbidden");
    let imported =
        refused(client.import_certificate("conflict", import.try_into().unwrap(), None).await, 409, "Forbidden");
    for error in [created, imported] {
        assert_eq!(
            error.message.unwrap(),
            "A new key vault certificate can not be created or imported while a pending key vault certificate's status \
             is inProgress."
        );
    }
    client.delete_certificate_operation("conflict", None).await.unwrap();
    issue(&client, "conflict").await;
}

#[tokio::test]
async fn merge_is_forbidden_while_an_issuer_works_and_allowed_when_it_failed() {
    let (client, authority) = (client().await, Authority::new());
    let held = create(&client, "merge-held", policy("holds", "merge-held")).await.unwrap();
    let error = refused(merge(&client, "merge-held", authority.chain(&held.csr.unwrap())).await, 403, "Forbidden");
    assert_eq!(
        error.message.unwrap(),
        "Merge is forbidden on pending object created with issuer : holds while it is in progess."
    );
    test_issuer(&client, "fails", "fail").await;
    create(&client, "merge-failed", policy("fails", "merge-failed")).await.unwrap();
    let failed = ended(&client, "merge-failed").await;
    merge(&client, "merge-failed", authority.chain(&failed.csr.unwrap())).await.unwrap();
    assert_eq!(ended(&client, "merge-failed").await.status.as_deref(), Some("completed"));
}

#[tokio::test]
async fn a_cancellation_is_asked_for_and_granted() {
    let client = client().await;
    let mut poller = begin(&client, "cancelled", policy("holds", "cancelled"));
    poller.try_next().await.unwrap().unwrap();
    let cancel = || UpdateCertificateOperationParameter { cancellation_requested: Some(true) }.try_into().unwrap();
    let asked = client.update_certificate_operation("cancelled", cancel(), None).await.unwrap().into_model().unwrap();
    assert_eq!((asked.status.as_deref(), asked.cancellation_requested), (Some("inProgress"), Some(true)));

    let last = poller.try_collect::<Vec<_>>().await.unwrap().pop().unwrap().into_model().unwrap();
    assert_eq!(last.status(), PollerStatus::Canceled);
    assert_eq!((last.status.as_deref(), last.status_details.as_deref()), (Some("cancelled"), Some("")));
    assert!(last.error.is_none());
    let error = refused(client.update_certificate_operation("cancelled", cancel(), None).await, 400, "BadParameter");
    assert_eq!(error.message.unwrap(), "Pending status must be in progress to allow update.");
    merge(&client, "cancelled", Authority::new().chain(&last.csr.unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_deletion_answers_the_operation_as_it_stood() {
    let client = client().await;
    let begun = create(&client, "removed", policy("holds", "removed")).await.unwrap();
    let removed = client.delete_certificate_operation("removed", None).await.unwrap().into_model().unwrap();
    assert_eq!((removed.status.as_deref(), removed.request_id), (Some("inProgress"), begun.request_id));
    refused(client.delete_certificate_operation("removed", None).await, 404, "PendingCertificateNotFound");
}

#[tokio::test]
async fn a_manual_certificate_is_created_and_merged() {
    let (client, authority) = (client().await, Authority::new());
    let unnamed = CertificatePolicy { issuer_parameters: None, ..policy("", "without") };
    for (name, chosen) in [("unknown", policy("Unknown", "unknown")), ("without", unnamed)] {
        let mut poller = begin(&client, name, chosen);
        let begun = poller.try_next().await.unwrap().unwrap().into_model().unwrap();
        assert_eq!(begun.issuer_parameters.unwrap().name.as_deref(), Some("Unknown"));
        assert_eq!(
            begun.status_details.as_deref(),
            Some("Pending certificate created. Please Perform Merge to complete the request.")
        );
        let other = create(&client, &format!("{name}-other"), policy("Unknown", "other")).await.unwrap();
        refused(merge(&client, name, authority.chain(&other.csr.unwrap())).await, 400, "BadParameter");

        let chain = authority.chain(&begun.csr.unwrap());
        let waiting = tokio::spawn(async move { poller.await });
        let answer = merge(&client, name, chain.clone()).await.unwrap();
        assert_eq!(u16::from(answer.status()), 201);
        let location = answer.headers().get_str(&"location".into()).unwrap();
        assert_eq!(location, format!("{}/certificates/{name}?api-version=2025-07-01", address(VAULT)));
        let merged = answer.into_model().unwrap();
        assert_eq!(merged.cer.as_ref(), Some(&chain[0]));
        assert_eq!(merged.tags.unwrap()["merged"], "yes");
        assert_eq!(merged.attributes.unwrap().enabled, Some(true));
        parse(&chain[0]).verify_signature(Some(parse(&authority.certificate()).public_key())).unwrap();

        let waited = tokio::time::timeout(Duration::from_secs(120), waiting).await.unwrap().unwrap().unwrap();
        assert_eq!(waited.into_model().unwrap().cer.as_ref(), Some(&chain[0]));
    }
}
