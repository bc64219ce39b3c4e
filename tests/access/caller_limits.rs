//! How often one principal may ask: counted for each kind of request, over both APIs together.

use crate::kit::{ADMIN, Server, policy};
use certmint::proto::v1::{CreateCertificateRequest, GetPendingRequest};
use certmint::service::CallerLimits;
use std::num::NonZeroU32;
use tonic::Code;
use tonic_types::StatusExt;

const GRANTS: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["shop-*"]
"#;

/// One, and the next one after a minute, which no test waits for.
async fn limited() -> Server {
    let per_caller = CallerLimits { creations: NonZeroU32::new(1), ..CallerLimits::default() };
    Server::with_limits_of_callers(GRANTS, per_caller).await
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_and_nobody_else_is_held_up() {
    let server = limited().await;
    let create = |caller: &'static str, name: &str| {
        let request = format!("POST /certificates/{name}/create");
        let server = &server;
        async move { server.respond("localhost:8443", caller, &request, &policy("Unknown")).await }
    };
    // What no grant allows does not count.
    for _ in 0..10 {
        assert_eq!(create("shop", "other").await.status(), 403);
    }
    assert_eq!(create("shop", "shop-a").await.status(), 202);
    let refused = create("shop", "shop-b").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let body = server.send("shop", "POST /certificates/shop-b/create", &policy("Unknown")).await;
    assert_eq!(body.json()["error"]["code"], "Throttled", "{}", body.body);
    assert!(body.body.contains("at most 1 creations of a caller in a minute"), "{}", body.body);
    // The other API has the same limit.
    let request = CreateCertificateRequest { certificate_name: "shop-b".into(), ..Default::default() };
    let status = server.client("shop").create_certificate(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.unwrap().as_secs() >= 1, "{details:?}");
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "creations");
    // Other kinds, and other callers.
    for _ in 0..20 {
        let pending = GetPendingRequest { certificate_name: "shop-a".into(), ..Default::default() };
        server.client("shop").get_pending(pending).await.unwrap();
    }
    assert_eq!(create(ADMIN, "else").await.status(), 202);
    let limited = server.service.access().limited();
    assert_eq!(limited[0], ("creations", 3));
}
