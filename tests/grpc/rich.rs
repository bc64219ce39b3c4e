//! Refusals in full: every detail of `google.rpc.Status`, and how large it gets.

use crate::ca::Ca;
use crate::raw::{Answer, Call};
use crate::refusal::{self, status_of};
use crate::requests::{self, ID, OTHER_ID, create, create_as, get, merge, test_issuer};
use crate::server::{Server, Setup};
use crate::troubled::Troubled;
use certmint::limits::Limits;
use certmint::proto::v1::*;
use futures_util::future::join_all;
use std::sync::Arc;
use tonic_types::StatusExt;

#[tokio::test]
async fn a_bad_field_is_named_in_the_words_of_the_contract() {
    let server = Server::start().await;
    let mut request = create("web", "Unknown");
    let policy = request.policy.as_mut().unwrap();
    policy.x509_properties = Some(X509Properties {
        subject: "CN=a".into(),
        validity_months: 1201,
        subject_alternative_names: Some(SubjectAlternativeNames {
            ip_addresses: vec!["192.0.2.1".into(), "1.2.3".into()],
            ..SubjectAlternativeNames::default()
        }),
        ..X509Properties::default()
    });
    let refused = server.certificates().await.create_certificate(request).await.unwrap_err();
    let fields: Vec<String> = refused
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    assert_eq!(
        fields,
        ["policy.x509_properties.validity_months", "policy.x509_properties.subject_alternative_names.ip_addresses[1]"]
    );
}

#[tokio::test]
async fn a_conflicting_create_names_the_operation_in_progress() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Unknown", ID)).await.unwrap();
    refusal::is(
        client.create_certificate(create("web", "Self")).await,
        "Aborted: A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.
         reason: PENDING_IN_PROGRESS of certmint.v1
         azureCode: Forbidden
         httpStatus: 409
         requestId: a76827a18b63421c917da80f28e9913d
         precondition: PENDING_IN_PROGRESS web: request_id a76827a18b63421c917da80f28e9913d is inProgress
         resource: pending web",
    );
}

#[tokio::test]
async fn a_forbidden_merge_names_the_state() {
    let server = Server::start().await;
    server.issuers().await.set_issuer(test_issuer("house", "hold")).await.unwrap();
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "house", ID)).await.unwrap();
    refusal::is(
        client.merge_certificate(merge("web", &[b"x"])).await,
        "FailedPrecondition: Merge is forbidden on pending object created with issuer : house while it is in progess.
         reason: MERGE_FORBIDDEN of certmint.v1
         azureCode: Forbidden
         httpStatus: 403
         precondition: MERGE_FORBIDDEN web: request_id a76827a18b63421c917da80f28e9913d is inProgress",
    );
}

#[tokio::test]
async fn a_cancellation_of_what_has_ended_names_the_state() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Self", ID)).await.unwrap();
    let until = WatchPendingRequest { until_terminal: true, ..requests::watch("web") };
    crate::watch::stream::watched(&server, until).await;
    refusal::is(
        client.cancel_pending(requests::cancel("web")).await,
        "FailedPrecondition: Pending status must be in progress to allow update.
         reason: PENDING_NOT_IN_PROGRESS of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         precondition: PENDING_NOT_IN_PROGRESS web: request_id a76827a18b63421c917da80f28e9913d is completed",
    );
}

#[tokio::test]
async fn another_key_is_a_bad_field() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    refusal::is(
        client.merge_certificate(merge("web", &[&Ca::new().stranger()])).await,
        "InvalidArgument: The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.
         reason: MERGE_KEY_MISMATCH of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: x509_certificates: No certificate in the list was issued for the certificate signing request of this pending certificate.",
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    refusal::is(
        client.get_certificate(requests::certificate("web")).await,
        "NotFound: A certificate with (name/id) web was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182
         reason: CERTIFICATE_NOT_FOUND of certmint.v1
         azureCode: CertificateNotFound
         httpStatus: 404
         resource: certificate web",
    );
    refusal::is(
        client.get_pending(get("web")).await,
        "NotFound: Pending certificate not found: web
         reason: PENDING_NOT_FOUND of certmint.v1
         azureCode: PendingCertificateNotFound
         httpStatus: 404
         resource: pending web",
    );
    let issuer = GetIssuerRequest { issuer_name: "house".into(), ..GetIssuerRequest::default() };
    refusal::is(
        server.issuers().await.get_issuer(issuer).await,
        "NotFound: Issuer not found
         reason: ISSUER_NOT_FOUND of certmint.v1
         azureCode: CertificateIssuerNotFound
         httpStatus: 404
         resource: issuer house",
    );
}

#[tokio::test]
async fn an_unknown_issuer_is_a_bad_field_and_named() {
    let server = Server::start().await;
    refusal::is(
        server.certificates().await.create_certificate(create("web", "house")).await,
        "InvalidArgument: Property policy.issuer.name has invalid value. There is no issuer named house in this vault: set it first (PUT /certificates/issuers/house), or use Self or Unknown.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: policy.issuer.name: There is no issuer named house in this vault: set it first (PUT /certificates/issuers/house), or use Self or Unknown.
         resource: issuer house",
    );
}

#[tokio::test]
async fn a_used_request_id_names_the_certificate_that_has_it() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Unknown", ID)).await.unwrap();
    refusal::is(
        client.create_certificate(create_as("mail", "Unknown", ID)).await,
        "AlreadyExists: The request_id a76827a18b63421c917da80f28e9913d was used for another request. Choose a new one, or repeat the same request.
         reason: REQUEST_ID_REUSED of certmint.v1
         azureCode: Conflict
         httpStatus: 409
         resource: pending web",
    );
}

#[tokio::test]
async fn a_full_queue_names_its_limit_and_when_to_come_again() {
    let server = Server::limited(Limits { key_queue: 1, ..Limits::default() }).await;
    let client = server.certificates().await;
    let creates = (0..12).map(|number| {
        let mut request = create(&format!("web-{number}"), "Unknown");
        let key = KeyProperties { key_type: KeyType::Rsa.into(), key_size: 2048, ..KeyProperties::default() };
        request.policy.as_mut().unwrap().key_properties = Some(key);
        let mut client = client.clone();
        async move { client.create_certificate(request).await }
    });
    let refused: Vec<_> = join_all(creates).await.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty(), "all of them found a place");
    for status in refused {
        assert_eq!((status.code(), refusal::reason(&status).as_str()), (tonic::Code::ResourceExhausted, "THROTTLED"));
        let quota = status.get_details_quota_failure().unwrap().violations;
        assert!(quota.len() == 1 && !quota[0].subject.is_empty() && !quota[0].description.is_empty(), "{quota:?}");
        let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().to_owned();
        assert_eq!(pushback, delay.as_millis().to_string());
    }
}

#[tokio::test]
async fn a_store_that_is_not_available_says_when_to_come_again_and_not_why() {
    let server = Server::with(Setup { store: Some(Arc::new(Troubled::new())), ..Setup::default() }).await;
    refusal::is(
        server.issuers().await.set_issuer(test_issuer("house", "hold")).await,
        "Unavailable: The store is temporarily unavailable. Retry the request.
         reason: STORE_UNAVAILABLE of certmint.v1
         azureCode: ServiceUnavailable
         httpStatus: 503
         retry after: 2000 ms
         pushback: 2000",
    );
}

#[tokio::test]
async fn a_panic_is_answered_and_the_connection_stays_open() {
    let server = Server::with(Setup { store: Some(Arc::new(Troubled::new())), ..Setup::default() }).await;
    let mut client = server.certificates().await;
    let mut watch = client.watch_pending(requests::watch("web")).await.unwrap().into_inner();
    watch.message().await.unwrap();
    for _ in 0..3 {
        refusal::is(
            client.get_certificate(requests::certificate("panic")).await,
            "Internal: The server failed to handle the request. The log of the server has the cause.
             reason: INTERNAL of certmint.v1
             azureCode: InternalServerError
             httpStatus: 500",
        );
    }
    let answer = client.get_certificate(requests::certificate("web")).await.unwrap_err();
    assert_eq!(refusal::reason(&answer), "CERTIFICATE_NOT_FOUND");
    assert_eq!(server.stats.read().accepted, 1, "one connection for all of it");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), watch.message()).await.is_err());
}

/// Whatever a caller writes into his fields: the refusal fits into the headers that clients take.
#[tokio::test]
async fn no_refusal_is_large() {
    let server = Server::start().await;
    let client = server.h2().await;
    let mut sizes = Vec::new();
    for letter in ["x", "ä", "%", "\u{1f512}", "\n"] {
        let long = letter.repeat(200_000 / letter.len());
        let many: Vec<String> = (0..300).map(|_| letter.repeat(300)).collect();
        // As many as a policy may name, each wrong.
        let wrong: Vec<String> = (0..50).map(|_| format!("{letter}..{letter}")).collect();
        let wrong = SubjectAlternativeNames { dns_names: wrong.clone(), emails: wrong, ..Default::default() };
        let names = SubjectAlternativeNames {
            emails: many.clone(),
            dns_names: many.clone(),
            upns: many.clone(),
            uris: many.clone(),
            ip_addresses: many.clone(),
        };
        let x509 = X509Properties { subject: long.clone(), ekus: many.clone(), ..X509Properties::default() };
        let policy = |x509: X509Properties, issuer: &str| CertificatePolicy {
            x509_properties: Some(x509),
            secret_properties: Some(SecretProperties { content_type: issuer.into() }),
            ..requests::policy(issuer)
        };
        let all_wrong = policy(X509Properties { subject_alternative_names: Some(names), ..x509 }, &long);
        let with = |policy: CertificatePolicy| CreateCertificateRequest { policy: Some(policy), ..create("web", "") };
        let named = X509Properties { subject: "CN=a".into(), ..X509Properties::default() };
        let service = |method: &str| Call::to(&format!("CertificateService/{method}"));
        let create_call = service("CreateCertificate");
        let issuer = |provider: &str| Issuer { provider: provider.into(), ..Issuer::default() };
        let set = |name: &str, issuer: Issuer| SetIssuerRequest {
            issuer_name: name.into(),
            issuer: Some(issuer),
            ..SetIssuerRequest::default()
        };
        let admin = |method: &str| Call::to(&format!("CertificateAdminService/{method}"));
        let answers: Vec<Answer> = vec![
            create_call.whole(&client, &with(all_wrong)).await,
            create_call.whole(&client, &with(policy(named.clone(), &long))).await,
            create_call
                .whole(
                    &client,
                    &with(policy(X509Properties { subject_alternative_names: Some(wrong), ..named }, "Self")),
                )
                .await,
            create_call.whole(&client, &create(&long, "Unknown")).await,
            create_call.whole(&client, &create_as("web", "Unknown", &long)).await,
            create_call
                .whole(&client, &CreateCertificateRequest { vault_name: long.clone(), ..create("web", "") })
                .await,
            create_call
                .whole(
                    &client,
                    &CreateCertificateRequest {
                        tags: [(long.clone(), long.clone())].into(),
                        ..create("web", "Unknown")
                    },
                )
                .await,
            service("GetPending").whole(&client, &get(&long)).await,
            service("MergeCertificate").whole(&client, &merge("web", &[long.as_bytes()])).await,
            service("ListPending")
                .whole(&client, &ListPendingRequest { page_token: long.clone(), ..ListPendingRequest::default() })
                .await,
            service("WatchPending")
                .whole(&client, &WatchPendingRequest { resume_token: long.clone(), ..WatchPendingRequest::default() })
                .await,
            service("WatchPending").whole(&client, &requests::watch(&long)).await,
            admin("SetIssuer").whole(&client, &set(&long, issuer("Test"))).await,
            admin("SetIssuer").whole(&client, &set("house", issuer(&long))).await,
            admin("UpdateIssuer")
                .whole(
                    &client,
                    &UpdateIssuerRequest {
                        issuer_name: "house".into(),
                        issuer: Some(Issuer::default()),
                        update_mask: Some(prost_types::FieldMask { paths: vec![long.clone()] }),
                        ..UpdateIssuerRequest::default()
                    },
                )
                .await,
        ];
        for (number, answer) in answers.iter().enumerate() {
            let status = status_of(answer);
            let (size, details) = (answer.status_size(), status.details().len());
            assert_eq!(answer.http, 200, "{number}");
            assert_ne!(answer.code(), 0, "{number} was accepted");
            assert!(
                status.message().len() <= 1024 && details < 4096,
                "{number} {letter:?}: {details} bytes of details"
            );
            assert!(size < 8 * 1024, "{number} {letter:?}: {size} bytes of headers");
            refusal::reason(&status);
            sizes.push(details);
        }
    }
    assert!(sizes.iter().any(|size| *size > 1000), "the test has met no large one: {sizes:?}");
}

/// A request that was sent to a method with a body like its own holds no secret in the answer.
#[tokio::test]
async fn no_refusal_holds_a_secret() {
    let server = Server::start().await;
    let secret = "correct horse battery staple";
    let mut client = server.issuers().await;
    let issuer = |provider: &str| Issuer {
        provider: provider.into(),
        credentials: Some(IssuerCredentials { account_id: "hold".into(), password: secret.into() }),
        ..Issuer::default()
    };
    let requests = ["", "Nobody", "LocalCA"].map(|provider| SetIssuerRequest {
        issuer_name: if provider == "LocalCA" { "a b".into() } else { "house".into() },
        issuer: Some(issuer(provider)),
        ..SetIssuerRequest::default()
    });
    for request in requests {
        let status = client.set_issuer(request).await.unwrap_err();
        assert!(!refusal::shown(&status).contains("horse"), "{status:?}");
    }
    let key = "-----BEGIN PRIVATE KEY-----\ncorrect horse\n-----END PRIVATE KEY-----";
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Unknown", OTHER_ID)).await.unwrap();
    let status = client.merge_certificate(merge("web", &[key.as_bytes()])).await.unwrap_err();
    assert!(!refusal::shown(&status).contains("horse"), "{status:?}");
}
