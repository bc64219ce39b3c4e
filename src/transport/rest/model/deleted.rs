//! Deleted certificates in answers: one of them, and an item of a list.

use super::super::answer::Links;
use super::certificate::{CertificateAnswer, Shape};
use super::list::ItemAnswer;
use crate::domain::{CertificateName, Timestamp};
use crate::service::{DeletedItem, DeletedView};
use serde::Serialize;

/// The members of a deletion, then the deleted certificate.
#[derive(Serialize)]
pub(crate) struct DeletedAnswer<T> {
    #[serde(rename = "recoveryId")]
    recovery_id: String,
    #[serde(rename = "deletedDate")]
    deleted_date: i64,
    #[serde(rename = "scheduledPurgeDate")]
    scheduled_purge_date: i64,
    #[serde(flatten)]
    certificate: T,
}

impl<T> DeletedAnswer<T> {
    fn of(name: &CertificateName, (deleted, purge): (Timestamp, Timestamp), certificate: T, links: &Links) -> Self {
        Self {
            recovery_id: links.id("deletedcertificates", &[name.as_str()]),
            deleted_date: deleted.seconds(),
            scheduled_purge_date: purge.seconds(),
            certificate,
        }
    }
}

impl<'a> DeletedAnswer<CertificateAnswer<'a>> {
    pub(crate) fn new(view: &'a DeletedView, links: &Links) -> Self {
        let DeletedView { certificate, deleted, purge } = view;
        let whole = CertificateAnswer::new(certificate, Shape::Whole, links);
        Self::of(&certificate.name, (*deleted, *purge), whole, links)
    }
}

impl<'a> DeletedAnswer<ItemAnswer<'a>> {
    /// In a list.
    pub(crate) fn item(entry: &'a DeletedItem, links: &Links) -> Self {
        let DeletedItem { item, deleted, purge, recovery } = entry;
        Self::of(&item.name, (*deleted, *purge), ItemAnswer::deleted(item, *recovery, links), links)
    }
}
