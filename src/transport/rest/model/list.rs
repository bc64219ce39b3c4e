//! Certificates in lists.

use super::super::answer::Links;
use crate::domain::{Recovery, Tags};
use crate::service::Item;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// A page of a list.
#[derive(Serialize)]
pub(crate) struct ListAnswer<T> {
    pub(crate) value: Vec<T>,
    /// `null` on the last page, absolute before (contract rule 15).
    #[serde(rename = "nextLink")]
    pub(crate) next_link: Option<String>,
}

/// A certificate without its content (contract section 3, "list items").
#[derive(Serialize)]
pub(crate) struct ItemAnswer<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5t: Option<String>,
    attributes: ItemAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    /// Always empty; not of deleted certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'static str>,
}

#[derive(Serialize)]
struct ItemAttributes {
    enabled: bool,
    nbf: i64,
    exp: i64,
    created: i64,
    updated: i64,
    /// Of deleted certificates only.
    #[serde(flatten)]
    recovery: Option<RecoveryAnswer>,
}

#[derive(Serialize)]
struct RecoveryAnswer {
    #[serde(rename = "recoveryLevel")]
    level: &'static str,
    #[serde(rename = "recoverableDays")]
    days: u32,
}

impl<'a> ItemAnswer<'a> {
    /// Of a deleted certificate: how far that can be undone, and no subject.
    pub(crate) fn deleted(item: &'a Item, recovery: Recovery, links: &Links) -> Self {
        let Self { id, x5t, attributes, tags, subject: _ } = Self::new(item, false, links);
        let recovery = Some(RecoveryAnswer { level: recovery.level.word(), days: recovery.days });
        Self { id, x5t, attributes: ItemAttributes { recovery, ..attributes }, tags, subject: None }
    }

    /// `of_versions` puts the version into the identifier.
    pub(crate) fn new(item: &'a Item, of_versions: bool, links: &Links) -> Self {
        let Item { vault: _, name, version, thumbprint, enabled, not_before, expires, created, updated, tags } = item;
        let version = of_versions.then(|| version.to_string());
        let parts: Vec<&str> = std::iter::once(name.as_str()).chain(version.as_deref()).collect();
        Self {
            id: links.id("certificates", &parts),
            x5t: thumbprint.as_ref().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
            attributes: ItemAttributes {
                enabled: *enabled,
                nbf: not_before.seconds(),
                exp: expires.seconds(),
                created: created.seconds(),
                updated: updated.seconds(),
                recovery: None,
            },
            tags: tags.as_ref(),
            subject: Some(""),
        }
    }
}
