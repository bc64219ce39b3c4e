//! Lists, page by page, over either API.

use super::api::{Api, Said, Side, said};
use super::translated::Translation;
use certmint::proto::v1::*;
use serde_json::{Value, json};

/// Which list.
#[derive(Clone, Copy)]
pub(super) enum List<'a> {
    Certificates { include_pending: bool },
    Versions(&'a str),
    Deleted,
    Secrets,
    SecretVersions(&'a str),
    Keys,
    KeyVersions(&'a str),
    Issuers,
}

impl List<'_> {
    fn path(self) -> String {
        match self {
            Self::Certificates { .. } => "/certificates".to_owned(),
            Self::Versions(name) => format!("/certificates/{name}/versions"),
            Self::Deleted => "/deletedcertificates".to_owned(),
            Self::Secrets => "/secrets".to_owned(),
            Self::SecretVersions(name) => format!("/secrets/{name}/versions"),
            Self::Keys => "/keys".to_owned(),
            Self::KeyVersions(name) => format!("/keys/{name}/versions"),
            Self::Issuers => "/certificates/issuers".to_owned(),
        }
    }

    /// The order of versions is that of their random identifiers.
    fn is_unordered(self) -> bool {
        matches!(self, Self::Versions(_) | Self::SecretVersions(_) | Self::KeyVersions(_))
    }
}

impl Api<'_> {
    /// All pages of a list; each is an answer of its own. Of versions, which have no order, all are one answer, in the
    /// order in which they were made.
    pub(super) async fn list(&mut self, list: List<'_>, size: usize) -> Said {
        let (mut token, mut all, mut pages) = (String::new(), Vec::new(), Vec::new());
        loop {
            let said = self.page(list, size, &token).await;
            let (items, next) = match said {
                Ok(page) => page,
                Err(refused) => return self.note(Err(refused)),
            };
            pages.push(items.len());
            if !list.is_unordered() {
                self.note_as(Ok(json!({"value": items, "more": !next.is_empty()})));
            }
            all.extend(items);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        if list.is_unordered() {
            let told: Vec<String> = self.transcript.iter().map(|step| format!("{:?}", step.said)).collect();
            // A version was reported when it was created.
            all.sort_by_key(|item| {
                let id = item["id"].as_str().or(item["kid"].as_str()).unwrap().rsplit('/').next().unwrap();
                told.iter().position(|said| said.contains(id))
            });
            self.note_as(Ok(json!({"value": all, "pages": pages})));
        }
        Ok(all.into())
    }

    /// The items of a page, and the token of the next.
    async fn page(
        &mut self,
        list: List<'_>,
        size: usize,
        token: &str,
    ) -> Result<(Vec<Value>, String), super::api::Refused> {
        match &mut self.side {
            Side::Rest(rest) => {
                let mut uri = format!("GET {}?maxresults={size}", list.path());
                if let List::Certificates { include_pending: true } = list {
                    uri += "&includePending=true";
                }
                if !token.is_empty() {
                    uri += &format!("&$skiptoken={token}");
                }
                let mut page = said(&rest.send(&uri, &Value::Null).await)?;
                assert_eq!(page.as_object().unwrap().len(), 2, "{page}");
                let next = page["nextLink"].as_str().unwrap_or_default();
                let next = next.split_once("$skiptoken=").map_or("", |(_, token)| token.split('&').next().unwrap());
                let next = percent_encoding::percent_decode_str(next).decode_utf8().unwrap().into_owned();
                let Value::Array(items) = page["value"].take() else { panic!("no list: {page}") };
                Ok((items, next))
            }
            Side::Grpc(grpc) => {
                let size = i32::try_from(size).unwrap();
                let said = match list {
                    List::Certificates { include_pending } => {
                        let request = ListCertificatesRequest {
                            page_size: size,
                            page_token: token.into(),
                            include_pending,
                            ..Default::default()
                        };
                        let answer = grpc.certificates.list_certificates(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.certificates, Translation::item, answer.next_page_token)
                        })
                    }
                    List::Versions(name) => {
                        let request = ListCertificateVersionsRequest {
                            certificate_name: name.into(),
                            page_size: size,
                            page_token: token.into(),
                            ..Default::default()
                        };
                        let answer = grpc.certificates.list_certificate_versions(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.certificates, Translation::item, answer.next_page_token)
                        })
                    }
                    List::Deleted => {
                        let request = ListDeletedCertificatesRequest {
                            page_size: size,
                            page_token: token.into(),
                            ..Default::default()
                        };
                        let answer = grpc.certificates.list_deleted_certificates(request).await;
                        grpc.told(answer, |words, answer| {
                            let items = answer.deleted_certificates;
                            page(words, items, Translation::deleted_item, answer.next_page_token)
                        })
                    }
                    List::Secrets => {
                        let request =
                            ListSecretsRequest { page_size: size, page_token: token.into(), ..Default::default() };
                        let answer = grpc.secrets.list_secrets(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.secrets, Translation::secret_item, answer.next_page_token)
                        })
                    }
                    List::SecretVersions(name) => {
                        let request = ListSecretVersionsRequest {
                            secret_name: name.into(),
                            page_size: size,
                            page_token: token.into(),
                            ..Default::default()
                        };
                        let answer = grpc.secrets.list_secret_versions(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.secrets, Translation::secret_item, answer.next_page_token)
                        })
                    }
                    List::Keys => {
                        let request =
                            ListKeysRequest { page_size: size, page_token: token.into(), ..Default::default() };
                        let answer = grpc.keys.list_keys(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.keys, Translation::key_item, answer.next_page_token)
                        })
                    }
                    List::KeyVersions(name) => {
                        let request = ListKeyVersionsRequest {
                            key_name: name.into(),
                            page_size: size,
                            page_token: token.into(),
                            ..Default::default()
                        };
                        let answer = grpc.keys.list_key_versions(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.keys, Translation::key_item, answer.next_page_token)
                        })
                    }
                    List::Issuers => {
                        let request =
                            ListIssuersRequest { page_size: size, page_token: token.into(), ..Default::default() };
                        let answer = grpc.admin.list_issuers(request).await;
                        grpc.told(answer, |words, answer| {
                            page(words, answer.issuers, Translation::issuer_item, answer.next_page_token)
                        })
                    }
                }?;
                let Value::Array(items) = said["value"].clone() else { panic!("no list: {said}") };
                Ok((items, said["next"].as_str().unwrap().to_owned()))
            }
        }
    }
}

fn page<T>(
    words: &mut Translation,
    items: Vec<T>,
    tell: fn(&mut Translation, T) -> Value,
    next_page_token: String,
) -> Value {
    let items: Vec<Value> = items.into_iter().map(|item| tell(words, item)).collect();
    json!({"value": items, "next": next_page_token})
}
