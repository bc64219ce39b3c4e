//! One API of the server, as a caller uses it: the same interface for both. All responses are recorded, so that the
//! APIs can be compared.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use super::heard::{Calls, HeardChannel, HeardRest};
use super::policies::{Wanted, grpc_policy, rest_policy};
use super::translated::Translation;
use crate::refusal;
use crate::requests;
use crate::rest::Reply;
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::key_service_client::KeyServiceClient;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::proto::v1::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::{Response, Status};

/// What an API said: the members of the object in REST's words, or why not.
pub(super) type Said = Result<Value, Refused>;

/// What a refusal is on either API.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) http: u16,
    pub(super) azure: String,
    pub(super) message: String,
}

/// An answer, and the method of the contract that gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) method: String,
    pub(super) said: Said,
}

pub(super) struct Api<'a> {
    pub(super) side: Side<'a>,
    calls: Calls,
    pub(super) transcript: Vec<Step>,
}

pub(super) enum Side<'a> {
    Rest(HeardRest<'a>),
    Grpc(Box<Grpc>),
}

pub(super) struct Grpc {
    pub(super) certificates: CertificateServiceClient<HeardChannel>,
    pub(super) admin: CertificateAdminServiceClient<HeardChannel>,
    pub(super) secrets: SecretServiceClient<HeardChannel>,
    pub(super) keys: KeyServiceClient<HeardChannel>,
    pub(super) translation: Translation,
}

impl<'a> Api<'a> {
    /// The two APIs, each in a vault of its own.
    pub(super) async fn both(server: &'a Server) -> [Self; 2] {
        let calls = Calls::default();
        let rest = HeardRest { rest: server.rest("rest.localhost"), calls: calls.clone() };
        let rest = Self { side: Side::Rest(rest), calls, transcript: Vec::new() };
        let calls = Calls::default();
        let channel = HeardChannel { channel: server.channel_to("grpc.localhost").await, calls: calls.clone() };
        let grpc = Grpc {
            certificates: CertificateServiceClient::new(channel.clone()),
            admin: CertificateAdminServiceClient::new(channel.clone()),
            secrets: SecretServiceClient::new(channel.clone()),
            keys: KeyServiceClient::new(channel),
            translation: Translation::default(),
        };
        [rest, Self { side: Side::Grpc(Box::new(grpc)), calls, transcript: Vec::new() }]
    }

    /// Writes down what was said to the last call.
    pub(super) fn note(&mut self, said: Said) -> Said {
        self.note_as(said.clone());
        said
    }

    /// Like [`Api::note`], of an answer in which something differs each time.
    pub(super) fn note_as(&mut self, said: Said) {
        self.transcript.push(Step { method: self.calls.last(), said });
    }

    pub(super) async fn test_issuer(&mut self, name: &str, account_id: &str) {
        match &mut self.side {
            Side::Rest(rest) => {
                let body = json!({"provider": "Test", "credentials": {"account_id": account_id}});
                rest.rest.must(&format!("PUT /certificates/issuers/{name}"), &body.to_string()).await;
            }
            Side::Grpc(grpc) => {
                grpc.admin.set_issuer(requests::test_issuer(name, account_id)).await.unwrap();
            }
        }
    }

    /// Without an issuer where the name is empty.
    pub(super) async fn create(&mut self, name: &str, issuer: &str, expected: Wanted) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let body = json!({"policy": rest_policy(issuer, expected), "tags": {"team": "a"}});
                said(&rest.send(&format!("POST /certificates/{name}/create"), &body).await)
            }
            Side::Grpc(grpc) => {
                let request = CreateCertificateRequest {
                    certificate_name: name.into(),
                    policy: Some(grpc_policy(issuer, expected)),
                    tags: [("team".to_owned(), "a".to_owned())].into(),
                    ..CreateCertificateRequest::default()
                };
                let answer = grpc.certificates.create_certificate(request).await;
                grpc.told(answer, |words, answer| words.operation(answer.operation.unwrap()))
            }
        };
        self.note(said)
    }

    /// A new version by the policy that is there.
    pub(super) async fn create_again(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("POST /certificates/{name}/create"), &json!({})).await),
            Side::Grpc(grpc) => {
                let request = CreateCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.create_certificate(request).await;
                grpc.told(answer, |words, answer| words.operation(answer.operation.unwrap()))
            }
        };
        self.note(said)
    }

    /// With an empty request_id whichever operation there is.
    pub(super) async fn pending(&mut self, name: &str, request_id: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET {}", pending_uri(name, request_id)), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = GetPendingRequest { request_id: request_id.into(), ..requests::get(name) };
                let answer = grpc.certificates.get_pending(request).await;
                grpc.told(answer, |words, answer| words.operation(answer.operation.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn cancel(&mut self, name: &str, request_id: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let body = json!({"cancellation_requested": true});
                said(&rest.send(&format!("PATCH {}", pending_uri(name, request_id)), &body).await)
            }
            Side::Grpc(grpc) => {
                let request = CancelPendingRequest { request_id: request_id.into(), ..requests::cancel(name) };
                let answer = grpc.certificates.cancel_pending(request).await;
                grpc.told(answer, |words, answer| words.operation(answer.operation.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn delete(&mut self, name: &str, request_id: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                said(&rest.send(&format!("DELETE {}", pending_uri(name, request_id)), &Value::Null).await)
            }
            Side::Grpc(grpc) => {
                let request = DeletePendingRequest { request_id: request_id.into(), ..requests::delete(name) };
                let answer = grpc.certificates.delete_pending(request).await;
                grpc.told(answer, |words, answer| words.operation(answer.operation.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn merge(&mut self, name: &str, chain: &[&[u8]]) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let body = serde_json::from_str(&crate::ca::x5c(chain)).unwrap();
                said(&rest.send(&format!("POST /certificates/{name}/pending/merge"), &body).await)
            }
            Side::Grpc(grpc) => {
                let answer = grpc.certificates.merge_certificate(requests::merge(name, chain)).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    /// With an empty version the newest.
    pub(super) async fn certificate(&mut self, name: &str, version: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET /certificates/{name}/{version}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request =
                    GetCertificateRequest { certificate_version: version.into(), ..requests::certificate(name) };
                let answer = grpc.certificates.get_certificate(request).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    /// Reads the operation until it has ended.
    pub(super) async fn ended(&mut self, name: &str) -> Said {
        self.pending_that(name, |operation| operation["status"] != "inProgress").await
    }

    /// The operation as soon as it is so. What was seen before is not compared: how often one has to look is nobody's
    /// promise.
    pub(super) async fn pending_that(&mut self, name: &str, is_so: impl Fn(&Value) -> bool) -> Said {
        let patience = Instant::now() + Duration::from_secs(120);
        loop {
            let said = self.pending(name, "").await;
            if said.as_ref().is_ok_and(&is_so) {
                return said;
            }
            self.transcript.pop();
            assert!(Instant::now() < patience, "still {said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Grpc {
    /// An answer in the words of REST.
    pub(super) fn told<T>(
        &mut self,
        answer: Result<Response<T>, Status>,
        tell: impl FnOnce(&mut Translation, T) -> Value,
    ) -> Said {
        match answer {
            Ok(answer) => Ok(tell(&mut self.translation, answer.into_inner())),
            Err(status) => Err(refused(&status)),
        }
    }
}

pub(super) fn refused(status: &Status) -> Refused {
    let (_, http, azure) = refusal::common(status);
    Refused { http, azure, message: status.message().to_owned() }
}

pub(super) fn said(reply: &Reply) -> Said {
    match reply.status {
        204 => Ok(Value::Null),
        200..300 => Ok(reply.json()),
        http => {
            let (azure, message) = reply.error();
            Err(Refused { http, azure, message })
        }
    }
}

fn pending_uri(name: &str, request_id: &str) -> String {
    let query = if request_id.is_empty() { String::new() } else { format!("?request_id={request_id}") };
    format!("/certificates/{name}/pending{query}")
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

/// The version in the identifier of a certificate.
pub(super) fn version(said: &Said) -> String {
    said.as_ref().unwrap()["id"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
}
