//! One face of the server, as a caller uses it: the same words whichever it is.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use super::translated::Translation;
use crate::refusal;
use crate::requests::{self, policy};
use crate::rest::{Reply, Rest};
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use tonic::{Response, Status};

/// What a face said: the members of the object in REST's words, or why not.
pub(super) type Said = Result<Value, Refused>;

/// What a refusal is on either face.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) http: u16,
    pub(super) azure: String,
    pub(super) message: String,
}

/// Which certificate is asked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// With a P-256 key.
    Ec,
    /// With what the documents' examples have.
    Rsa,
    /// With everything that a policy can say.
    Full,
}

pub(super) enum Face<'a> {
    Rest(Rest<'a>),
    Grpc(Box<Grpc>),
}

pub(super) struct Grpc {
    certificates: CertificateServiceClient<Channel>,
    issuers: CertificateAdminServiceClient<Channel>,
    pub(super) translation: Translation,
}

impl<'a> Face<'a> {
    /// The two faces, each in a vault of its own.
    pub(super) async fn both(server: &'a Server) -> [Self; 2] {
        let channel = server.channel_to("grpc.localhost").await;
        let grpc = Grpc {
            certificates: CertificateServiceClient::new(channel.clone()),
            issuers: CertificateAdminServiceClient::new(channel),
            translation: Translation::default(),
        };
        [Self::Rest(server.rest("rest.localhost")), Self::Grpc(Box::new(grpc))]
    }

    pub(super) async fn test_issuer(&mut self, name: &str, account_id: &str) {
        match self {
            Self::Rest(rest) => {
                let body = json!({"provider": "Test", "credentials": {"account_id": account_id}});
                rest.must(&format!("PUT /certificates/issuers/{name}"), &body.to_string()).await;
            }
            Self::Grpc(grpc) => {
                grpc.issuers.set_issuer(requests::test_issuer(name, account_id)).await.unwrap();
            }
        }
    }

    /// Without an issuer where the name is empty.
    pub(super) async fn create(&mut self, name: &str, issuer: &str, wanted: Wanted) -> Said {
        match self {
            Self::Rest(rest) => {
                let body = json!({"policy": rest_policy(issuer, wanted), "tags": {"team": "a"}}).to_string();
                said(&rest.send(&format!("POST /certificates/{name}/create"), body).await)
            }
            Self::Grpc(grpc) => {
                let request = CreateCertificateRequest {
                    certificate_name: name.into(),
                    policy: Some(grpc_policy(issuer, wanted)),
                    tags: [("team".to_owned(), "a".to_owned())].into(),
                    ..CreateCertificateRequest::default()
                };
                let answer = grpc.certificates.create_certificate(request).await;
                grpc.operation(answer, |answer| answer.operation)
            }
        }
    }

    /// With an empty request_id whichever operation there is.
    pub(super) async fn pending(&mut self, name: &str, request_id: &str) -> Said {
        match self {
            Self::Rest(rest) => said(&rest.send(&format!("GET {}", pending_uri(name, request_id)), "").await),
            Self::Grpc(grpc) => {
                let request = GetPendingRequest { request_id: request_id.into(), ..requests::get(name) };
                let answer = grpc.certificates.get_pending(request).await;
                grpc.operation(answer, |answer| answer.operation)
            }
        }
    }

    pub(super) async fn cancel(&mut self, name: &str, request_id: &str) -> Said {
        match self {
            Self::Rest(rest) => {
                let body = r#"{"cancellation_requested":true}"#;
                said(&rest.send(&format!("PATCH {}", pending_uri(name, request_id)), body).await)
            }
            Self::Grpc(grpc) => {
                let request = CancelPendingRequest { request_id: request_id.into(), ..requests::cancel(name) };
                let answer = grpc.certificates.cancel_pending(request).await;
                grpc.operation(answer, |answer| answer.operation)
            }
        }
    }

    pub(super) async fn delete(&mut self, name: &str, request_id: &str) -> Said {
        match self {
            Self::Rest(rest) => said(&rest.send(&format!("DELETE {}", pending_uri(name, request_id)), "").await),
            Self::Grpc(grpc) => {
                let request = DeletePendingRequest { request_id: request_id.into(), ..requests::delete(name) };
                let answer = grpc.certificates.delete_pending(request).await;
                grpc.operation(answer, |answer| answer.operation)
            }
        }
    }

    pub(super) async fn merge(&mut self, name: &str, chain: &[&[u8]]) -> Said {
        match self {
            Self::Rest(rest) => {
                let body = crate::ca::x5c(chain);
                said(&rest.send(&format!("POST /certificates/{name}/pending/merge"), body).await)
            }
            Self::Grpc(grpc) => {
                let answer = grpc.certificates.merge_certificate(requests::merge(name, chain)).await;
                grpc.certificate(answer, |answer| answer.certificate)
            }
        }
    }

    /// With an empty version the newest.
    pub(super) async fn certificate(&mut self, name: &str, version: &str) -> Said {
        match self {
            Self::Rest(rest) => said(&rest.send(&format!("GET /certificates/{name}/{version}"), "").await),
            Self::Grpc(grpc) => {
                let request =
                    GetCertificateRequest { certificate_version: version.into(), ..requests::certificate(name) };
                let answer = grpc.certificates.get_certificate(request).await;
                grpc.certificate(answer, |answer| answer.certificate)
            }
        }
    }

    /// Reads the operation until it has ended.
    pub(super) async fn ended(&mut self, name: &str) -> Said {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let said = self.pending(name, "").await;
            if said.as_ref().is_ok_and(|operation| operation["status"] != "inProgress") {
                return said;
            }
            assert!(Instant::now() < patience, "still {said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Grpc {
    fn operation<T>(
        &mut self,
        answer: Result<Response<T>, Status>,
        of: impl FnOnce(T) -> Option<PendingOperation>,
    ) -> Said {
        match answer {
            Ok(answer) => Ok(self.translation.operation(of(answer.into_inner()).unwrap())),
            Err(status) => Err(refused(&status)),
        }
    }

    fn certificate<T>(
        &mut self,
        answer: Result<Response<T>, Status>,
        of: impl FnOnce(T) -> Option<Certificate>,
    ) -> Said {
        match answer {
            Ok(answer) => Ok(self.translation.certificate(of(answer.into_inner()).unwrap())),
            Err(status) => Err(refused(&status)),
        }
    }
}

pub(super) fn refused(status: &Status) -> Refused {
    let (_, http, azure) = refusal::common(status);
    Refused { http, azure, message: status.message().to_owned() }
}

pub(super) fn said(reply: &Reply) -> Said {
    if (200..300).contains(&reply.status) {
        return Ok(reply.json());
    }
    let (azure, message) = reply.error();
    Err(Refused { http: reply.status, azure, message })
}

fn pending_uri(name: &str, request_id: &str) -> String {
    let query = if request_id.is_empty() { String::new() } else { format!("?request_id={request_id}") };
    format!("/certificates/{name}/pending{query}")
}

fn rest_policy(issuer: &str, wanted: Wanted) -> Value {
    let mut policy = match wanted {
        Wanted::Ec => json!({"key_props": {"kty": "EC"}, "x509_props": {"subject": "CN=mycert1.example"}}),
        Wanted::Rsa => json!({
            "key_props": {"exportable": false, "kty": "RSA", "key_size": 2048, "reuse_key": false},
            "x509_props": {"subject": "CN=MyCertSubject1"},
        }),
        Wanted::Full => json!({
            "key_props": {"exportable": true, "kty": "EC", "crv": "P-384", "reuse_key": true},
            "secret_props": {"contentType": "application/x-pem-file"},
            "x509_props": {
                "subject": "CN=mycert1.example,O=Example",
                "sans": {
                    "emails": ["a@example.com"], "dns_names": ["a.example", "*.b.example"], "upns": ["u@example.com"],
                    "uris": ["https://a.example/x"], "ipAddresses": ["192.0.2.1", "2001:db8::1"],
                },
                "ekus": ["1.3.6.1.5.5.7.3.1"],
                "key_usage": ["digitalSignature", "cRLSign", "keyCertSign"],
                "validity_months": 3,
                "basic_constraints": {"ca": false},
            },
            "lifetime_actions": [
                {"trigger": {"days_before_expiry": 20}, "action": {"action_type": "AutoRenew"}},
            ],
            "attributes": {"enabled": true},
        }),
    };
    if !issuer.is_empty() {
        policy["issuer"] = json!({"name": issuer, "cty": "OV-SSL", "cert_transparency": true});
    }
    policy
}

fn grpc_policy(issuer: &str, wanted: Wanted) -> CertificatePolicy {
    let mut asked = match wanted {
        Wanted::Ec => policy(issuer),
        Wanted::Rsa => CertificatePolicy {
            key_properties: Some(KeyProperties {
                exportable: Some(false),
                key_type: KeyType::Rsa.into(),
                key_size: 2048,
                reuse_key: Some(false),
                ..KeyProperties::default()
            }),
            x509_properties: Some(X509Properties { subject: "CN=MyCertSubject1".into(), ..Default::default() }),
            ..CertificatePolicy::default()
        },
        Wanted::Full => full(),
    };
    asked.issuer = (!issuer.is_empty()).then(|| IssuerParameters {
        name: issuer.into(),
        certificate_type: "OV-SSL".into(),
        certificate_transparency: Some(true),
    });
    asked
}

fn full() -> CertificatePolicy {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    CertificatePolicy {
        id: String::new(),
        key_properties: Some(KeyProperties {
            exportable: Some(true),
            key_type: KeyType::Ec.into(),
            key_size: 0,
            reuse_key: Some(true),
            curve: KeyCurve::P384.into(),
        }),
        secret_properties: Some(SecretProperties { content_type: "application/x-pem-file".into() }),
        x509_properties: Some(X509Properties {
            subject: "CN=mycert1.example,O=Example".into(),
            ekus: texts(&["1.3.6.1.5.5.7.3.1"]),
            subject_alternative_names: Some(SubjectAlternativeNames {
                emails: texts(&["a@example.com"]),
                dns_names: texts(&["a.example", "*.b.example"]),
                upns: texts(&["u@example.com"]),
                uris: texts(&["https://a.example/x"]),
                ip_addresses: texts(&["192.0.2.1", "2001:db8::1"]),
            }),
            key_usages: vec![KeyUsage::DigitalSignature.into(), KeyUsage::CrlSign.into(), KeyUsage::KeyCertSign.into()],
            validity_months: 3,
            basic_constraints: Some(BasicConstraints { ca: Some(false) }),
        }),
        lifetime_actions: vec![LifetimeAction {
            trigger: Some(lifetime_action::Trigger::DaysBeforeExpiry(20)),
            action: LifetimeActionType::AutoRenew.into(),
        }],
        issuer: None,
        attributes: Some(CertificateAttributes { enabled: Some(true), ..CertificateAttributes::default() }),
    }
}

/// The signing request of an operation, in base64.
pub(super) fn csr(said: &Said) -> String {
    let csr = said.as_ref().unwrap()["csr"].as_str().unwrap().to_owned();
    assert!(!STANDARD.decode(&csr).unwrap().is_empty());
    csr
}

pub(super) fn request_id(said: &Said) -> String {
    said.as_ref().unwrap()["request_id"].as_str().unwrap().to_owned()
}
