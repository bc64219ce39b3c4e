//! The calls that manage certificates, over either API.

use super::api::{Api, Said, Side, said};
use super::policies::PolicyChange;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::*;
use serde_json::{Map, Value, json};

/// What is imported beside the bundle.
#[derive(Clone, Copy, Default)]
pub(super) struct Import<'a> {
    pub(super) password: &'a str,
    /// The content type and whether the key can be exported.
    pub(super) policy: Option<(&'a str, bool)>,
    pub(super) enabled: Option<bool>,
    pub(super) preserve_cert_order: Option<bool>,
}

/// What is changed of a certificate.
#[derive(Clone, Copy, Default)]
pub(super) struct Change<'a> {
    /// In the place of those that were there.
    pub(super) tags: Option<&'a [(&'a str, &'a str)]>,
    pub(super) enabled: Option<bool>,
    pub(super) not_before: Option<i64>,
    pub(super) policy: Option<PolicyChange<'a>>,
}

impl Api<'_> {
    /// PEM, or PKCS#12 in DER.
    pub(super) async fn import(&mut self, name: &str, bundle: &[u8], import: Import<'_>) -> Said {
        let Import { password, policy, enabled, preserve_cert_order } = import;
        let pem = std::str::from_utf8(bundle).ok();
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let value = pem.map_or_else(|| STANDARD.encode(bundle), str::to_owned);
                let mut body = json!({"value": value, "pwd": password, "tags": {"team": "a"}});
                if let Some((content_type, exportable)) = policy {
                    body["policy"] =
                        json!({"secret_props": {"contentType": content_type}, "key_props": {"exportable": exportable}});
                }
                body["attributes"] = json!({ "enabled": enabled });
                body["preserveCertOrder"] = json!(preserve_cert_order);
                said(&rest.send(&format!("POST /certificates/{name}/import"), &body).await)
            }
            Side::Grpc(grpc) => {
                let bundle = pem.map_or_else(|| Bundle::Pkcs12(bundle.to_vec().into()), |pem| Bundle::Pem(pem.into()));
                let request = ImportCertificateRequest {
                    certificate_name: name.into(),
                    bundle: Some(bundle),
                    password: password.into(),
                    policy: policy.map(|(content_type, exportable)| CertificatePolicy {
                        secret_properties: Some(SecretProperties { content_type: content_type.into() }),
                        key_properties: Some(KeyProperties { exportable: Some(exportable), ..Default::default() }),
                        ..Default::default()
                    }),
                    attributes: Some(CertificateAttributes { enabled, ..Default::default() }),
                    tags: [("team".to_owned(), "a".to_owned())].into(),
                    preserve_cert_order,
                    ..Default::default()
                };
                let answer = grpc.certificates.import_certificate(request).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    /// With an empty version the newest.
    pub(super) async fn update(&mut self, name: &str, version: &str, change: Change<'_>) -> Said {
        let Change { tags, enabled, not_before, policy } = change;
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let mut body = json!({"attributes": {"enabled": enabled, "nbf": not_before}});
                if let Some(tags) = tags {
                    let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
                    body["tags"] = tags.collect::<Map<_, _>>().into();
                }
                if let Some(policy) = policy {
                    body["policy"] = policy.rest();
                }
                said(&rest.send(&format!("PATCH /certificates/{name}/{version}"), &body).await)
            }
            Side::Grpc(grpc) => {
                let mut paths = Vec::new();
                paths.extend(tags.map(|_| "tags".to_owned()));
                paths.extend(enabled.map(|_| "attributes.enabled".to_owned()));
                paths.extend(policy.map(|_| "policy".to_owned()));
                let tags = tags.unwrap_or_default().iter().map(|(name, value)| ((*name).into(), (*value).into()));
                let not_before = not_before.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
                let request = UpdateCertificateRequest {
                    certificate_name: name.into(),
                    certificate_version: version.into(),
                    policy: policy.map(|policy| policy.grpc()),
                    attributes: Some(CertificateAttributes { enabled, not_before, ..Default::default() }),
                    tags: tags.collect(),
                    update_mask: Some(prost_types::FieldMask { paths }),
                    ..Default::default()
                };
                let answer = grpc.certificates.update_certificate(request).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn policy(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET /certificates/{name}/policy"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = GetCertificatePolicyRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.get_certificate_policy(request).await;
                grpc.told(answer, |_, answer| super::translated::policy(answer.policy.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn update_policy(&mut self, name: &str, change: PolicyChange<'_>) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("PATCH /certificates/{name}/policy"), &change.rest()).await),
            Side::Grpc(grpc) => {
                let request = UpdateCertificatePolicyRequest {
                    certificate_name: name.into(),
                    policy: Some(change.grpc()),
                    ..Default::default()
                };
                let answer = grpc.certificates.update_certificate_policy(request).await;
                grpc.told(answer, |_, answer| super::translated::policy(answer.policy.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn remove(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("DELETE /certificates/{name}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = DeleteCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.delete_certificate(request).await;
                grpc.told(answer, |words, answer| words.deleted(answer.deleted_certificate.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn deleted(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET /deletedcertificates/{name}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = GetDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.get_deleted_certificate(request).await;
                grpc.told(answer, |words, answer| words.deleted(answer.deleted_certificate.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn recover(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                said(&rest.send(&format!("POST /deletedcertificates/{name}/recover"), &Value::Null).await)
            }
            Side::Grpc(grpc) => {
                let request = RecoverDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.recover_deleted_certificate(request).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn purge(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("DELETE /deletedcertificates/{name}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = PurgeDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.purge_deleted_certificate(request).await;
                grpc.told(answer, |_, PurgeDeletedCertificateResponse {}| Value::Null)
            }
        };
        self.note(said)
    }

    /// The backup itself is sealed anew each time.
    pub(super) async fn backup(&mut self, name: &str) -> Result<Vec<u8>, super::api::Refused> {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("POST /certificates/{name}/backup"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = BackupCertificateRequest { certificate_name: name.into(), ..Default::default() };
                let answer = grpc.certificates.backup_certificate(request).await;
                grpc.told(answer, |_, BackupCertificateResponse { value }| json!({"value": base64url(&value)}))
            }
        };
        let bytes = said.clone().map(|said| from_base64url(&said["value"]));
        self.note_as(said.map(|said| with_length(said, "value")));
        bytes
    }

    pub(super) async fn restore(&mut self, backup: &[u8]) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                said(&rest.send("POST /certificates/restore", &json!({"value": base64url(backup)})).await)
            }
            Side::Grpc(grpc) => {
                let request = RestoreCertificateRequest { vault_name: String::new(), value: backup.to_vec().into() };
                let answer = grpc.certificates.restore_certificate(request).await;
                grpc.told(answer, |words, answer| words.certificate(answer.certificate.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn set_contacts(&mut self, contacts: &[[&str; 3]]) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let contact = |[email, name, phone]: &[&str; 3]| json!({"email": email, "name": filled(name), "phone": filled(phone)});
                let body = json!({"contacts": contacts.iter().map(contact).collect::<Vec<_>>()});
                said(&rest.send("PUT /certificates/contacts", &body).await)
            }
            Side::Grpc(grpc) => {
                let contact = |[email, name, phone]: &[&str; 3]| Contact {
                    email: (*email).into(),
                    name: (*name).into(),
                    phone: (*phone).into(),
                };
                let contacts = Contacts { id: String::new(), contacts: contacts.iter().map(contact).collect() };
                let request = SetContactsRequest { contacts: Some(contacts), ..Default::default() };
                let answer = grpc.admin.set_contacts(request).await;
                grpc.told(answer, |_, answer| super::translated::contacts(answer.contacts.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn contacts(&mut self) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send("GET /certificates/contacts", &Value::Null).await),
            Side::Grpc(grpc) => {
                let answer = grpc.admin.get_contacts(GetContactsRequest::default()).await;
                grpc.told(answer, |_, answer| super::translated::contacts(answer.contacts.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn delete_contacts(&mut self) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send("DELETE /certificates/contacts", &Value::Null).await),
            Side::Grpc(grpc) => {
                let answer = grpc.admin.delete_contacts(DeleteContactsRequest::default()).await;
                grpc.told(answer, |_, answer| super::translated::contacts(answer.contacts.unwrap()))
            }
        };
        self.note(said)
    }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn from_base64url(text: &Value) -> Vec<u8> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// What is random, and its length is not.
pub(super) fn with_length(mut said: Value, member: &str) -> Value {
    said[member] = format!("<{} bytes>", from_base64url(&said[member]).len()).into();
    said
}
