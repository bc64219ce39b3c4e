//! Renewals that callers ask for.

use super::{request, start};
use crate::management::harness::{create, named, vault};
use crate::permit::ask;
use certmint::domain::{PolicyInput, Reason, RenewalTrigger, RequestId, Status};
use certmint::service::{CreateRequest, RenewRequest, UpdateRequest};

pub(super) fn wanted(name: &str) -> RenewRequest {
    RenewRequest { vault: vault(), name: named(name), request_id: None, client_request_id: None, batch: String::new() }
}

#[tokio::test]
async fn a_caller_renews_whenever_he_likes() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let first = harness.certificate("web").await;
    let batch = RenewRequest { batch: "all of ca 2026-12-01".into(), ..wanted("web") };
    let created = ask!(harness.service, renewals.renew(batch)).unwrap();
    let renews = created.operation.renews.clone().unwrap();
    assert_eq!((renews.trigger, renews.replaces), (RenewalTrigger::Manual, first.version));
    assert_eq!(renews.batch, "all of ca 2026-12-01");
    let conflict = ask!(harness.service, renewals.renew(wanted("web"))).unwrap_err();
    assert_eq!(conflict.reason, Reason::PendingInProgress);
    harness.work().await;
    let second = harness.certificate("web").await;
    assert_ne!(first.version, second.version);
    assert_eq!(second.issued.unwrap().tags, first.issued.unwrap().tags);
    assert_eq!(harness.pending("web").await.status(), Status::Completed);
}

#[tokio::test]
async fn a_repeat_with_the_same_id_is_the_same_renewal_and_no_creation() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let id = RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap();
    let with_id = RenewRequest { request_id: Some(id), ..wanted("web") };
    let first = ask!(harness.service, renewals.renew(with_id.clone())).unwrap();
    harness.work().await;
    let again = ask!(harness.service, renewals.renew(with_id.clone())).unwrap();
    assert_eq!(first.operation.version, again.operation.version);
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
    let mut creation = create("web", "Self");
    (creation.policy, creation.request_id) = (None, Some(id));
    let refused = ask!(harness.service, creations.create(creation)).unwrap_err();
    assert_eq!(refused.reason, Reason::RequestIdReused);
    let other = RenewRequest { batch: "other".into(), ..with_id };
    assert_eq!(ask!(harness.service, renewals.renew(other)).unwrap_err().reason, Reason::RequestIdReused);
}

#[tokio::test]
async fn what_cannot_be_renewed_is_refused() {
    let harness = start().await;
    let missing = ask!(harness.service, renewals.renew(wanted("web"))).unwrap_err();
    assert_eq!(missing.reason, Reason::CertificateNotFound);
    ask!(harness.service, creations.create(create("open", "Unknown"))).unwrap();
    let open = ask!(harness.service, renewals.renew(wanted("open"))).unwrap_err();
    assert_eq!(open.reason, Reason::CertificateNotFound, "no version was completed");
    harness.issued(request("gone", "Self")).await;
    harness.delete("gone").await;
    assert_eq!(ask!(harness.service, renewals.renew(wanted("gone"))).unwrap_err().reason, Reason::CertificateNotFound);
    harness.issued(request("web", "Self")).await;
    for batch in ["x".repeat(65), "a\u{7}".to_owned()] {
        let refused = ask!(harness.service, renewals.renew(RenewRequest { batch, ..wanted("web") })).unwrap_err();
        assert_eq!(refused.reason, Reason::BadParameter);
    }
    harness.local_ca().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let mut own = create("own", "ca");
    own.csr = Some(params.serialize_request(&key).unwrap().der().to_vec());
    own.policy = Some(PolicyInput { issuer_name: Some("ca".into()), ..PolicyInput::default() });
    harness.issued(own).await;
    let refused = ask!(harness.service, renewals.renew(wanted("own"))).unwrap_err();
    assert_eq!(refused.reason, Reason::BadParameter);
    assert!(refused.message.contains("signing request"), "{}", refused.message);
}

/// Whoever renews all of an issuer switches nothing on that others switched off.
#[tokio::test]
async fn a_new_version_is_enabled_only_where_the_one_before_is_and_keeps_the_order_of_its_chain() {
    let harness = start().await;
    harness.issued(CreateRequest { preserve_cert_order: Some(true), ..request("web", "Self") }).await;
    let enable = |enabled| UpdateRequest {
        vault: vault(),
        name: named("web"),
        version: None,
        policy: None,
        enabled: Some(enabled),
        tags: None,
    };
    for (enabled, versions) in [(false, 2), (true, 3)] {
        ask!(harness.service, certificates.update_certificate(enable(enabled))).unwrap();
        ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
        harness.work().await;
        let issued = harness.certificate("web").await.issued.unwrap();
        assert_eq!((issued.enabled, harness.versions("web").await), (enabled, versions));
        assert_eq!(issued.preserve_cert_order, Some(true));
    }
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 4);
    assert_eq!(harness.certificate("web").await.issued.unwrap().preserve_cert_order, Some(true));
}

#[tokio::test]
async fn what_was_renewed_by_a_caller_is_not_renewed_again_by_itself() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.later(280).await;
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    harness.later(20).await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_pause_needs_a_readable_reason_and_a_certificate() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    for reason in ["a\u{7}", &"x".repeat(201)] {
        let refused = ask!(harness.service, renewals.pause((vault(), named("web")), reason)).unwrap_err();
        assert_eq!(refused.reason, Reason::BadParameter);
    }
    let missing = ask!(harness.service, renewals.pause((vault(), named("none")), "")).unwrap_err();
    assert_eq!(missing.reason, Reason::CertificateNotFound);
    // A caller still renews it, and the pause stays.
    ask!(harness.service, renewals.pause((vault(), named("web")), "")).unwrap();
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!((harness.versions("web").await, harness.due("web").await), (2, None));
}
