//! The deleted certificate in answers.

use super::super::answer::Links;
use super::certificate::{CertificateAnswer, Shape};
use crate::service::DeletedView;
use serde::Serialize;

/// A certificate bundle behind what is said of its deletion.
#[derive(Serialize)]
pub(crate) struct DeletedAnswer<'a> {
    #[serde(rename = "recoveryId")]
    recovery_id: String,
    #[serde(rename = "deletedDate")]
    deleted_date: i64,
    #[serde(rename = "scheduledPurgeDate")]
    scheduled_purge_date: i64,
    #[serde(flatten)]
    certificate: CertificateAnswer<'a>,
}

impl<'a> DeletedAnswer<'a> {
    pub(crate) fn new(view: &'a DeletedView, links: &Links) -> Self {
        let DeletedView { certificate, deleted, purge } = view;
        Self {
            recovery_id: links.id("deletedcertificates", &[certificate.name.as_str()]),
            deleted_date: deleted.seconds(),
            scheduled_purge_date: purge.seconds(),
            certificate: CertificateAnswer::new(certificate, Shape::Whole, links),
        }
    }
}
