//! Secrets and keys of certificates in responses. Only one of them contains the value of a secret.

use super::super::answer::Links;
use super::certificate::AttributesAnswer;
use crate::domain::{Certificate, KeyNumbers, KeyOperation, Recovery, Tags};
use crate::service::{KeyView, SecretView};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// A secret with its value.
#[derive(Serialize)]
pub(crate) struct SecretAnswer<'a> {
    value: &'a str,
    #[serde(rename = "contentType")]
    content_type: &'static str,
    id: String,
    managed: bool,
    attributes: AttributesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    kid: String,
}

impl<'a> SecretAnswer<'a> {
    pub(crate) fn new(view: &'a SecretView, links: &Links) -> Self {
        let SecretView { certificate, form, value, recovery } = view;
        let (name, version) = (certificate.name.as_str(), certificate.version.to_string());
        Self {
            value,
            content_type: form.media_type(),
            id: links.id("secrets", &[name, &version]),
            managed: true,
            attributes: AttributesAnswer::of(certificate, *recovery),
            tags: certificate.tags.as_ref(),
            kid: links.id("keys", &[name, &version]),
        }
    }
}

/// A secret in a list.
#[derive(Serialize)]
pub(crate) struct SecretItem<'a> {
    #[serde(rename = "contentType")]
    content_type: &'static str,
    id: String,
    managed: bool,
    attributes: AttributesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
}

impl<'a> SecretItem<'a> {
    pub(crate) fn new(certificate: &'a Certificate, recovery: Recovery, with_version: bool, links: &Links) -> Self {
        Self {
            content_type: certificate.content_type.media_type(),
            id: id("secrets", certificate, with_version, links),
            managed: true,
            attributes: AttributesAnswer::of(certificate, recovery),
            tags: certificate.tags.as_ref(),
        }
    }
}

/// A key.
#[derive(Serialize)]
pub(crate) struct KeyAnswer<'a> {
    key: JwkAnswer,
    attributes: AttributesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    managed: bool,
}

/// Numbers are base64url without padding (RFC 7518 section 2).
#[derive(Serialize)]
struct JwkAnswer {
    kid: String,
    kty: &'static str,
    key_ops: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl<'a> KeyAnswer<'a> {
    pub(crate) fn new(view: &'a KeyView, links: &Links) -> Self {
        let KeyView { certificate, public, operations, recovery } = view;
        let number = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let (n, e, x, y) = match &public.numbers {
            KeyNumbers::Rsa { n, e } => (number(n), number(e), None, None),
            KeyNumbers::Ec { x, y } => (None, None, number(x), number(y)),
        };
        Self {
            key: JwkAnswer {
                kid: id("keys", certificate, true, links),
                kty: public.key_type.kty(),
                key_ops: operations.iter().copied().map(KeyOperation::name).collect(),
                n,
                e,
                crv: public.key_type.curve(),
                x,
                y,
            },
            attributes: AttributesAnswer::of(certificate, *recovery),
            tags: certificate.tags.as_ref(),
            managed: true,
        }
    }
}

/// A key in a list.
#[derive(Serialize)]
pub(crate) struct KeyItem<'a> {
    kid: String,
    attributes: AttributesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    managed: bool,
}

impl<'a> KeyItem<'a> {
    pub(crate) fn new(certificate: &'a Certificate, recovery: Recovery, with_version: bool, links: &Links) -> Self {
        Self {
            kid: id("keys", certificate, with_version, links),
            attributes: AttributesAnswer::of(certificate, recovery),
            tags: certificate.tags.as_ref(),
            managed: true,
        }
    }
}

/// What an operation gave.
#[derive(Serialize)]
pub(crate) struct KeyResultAnswer<'a> {
    pub(crate) kid: String,
    pub(crate) value: &'a str,
}

/// What a verification gave.
#[derive(Serialize)]
pub(crate) struct VerifyAnswer {
    pub(crate) value: bool,
}

fn id(collection: &str, certificate: &Certificate, with_version: bool, links: &Links) -> String {
    let (name, version) = (certificate.name.as_str(), certificate.version.to_string());
    if with_version { links.id(collection, &[name, &version]) } else { links.id(collection, &[name]) }
}
