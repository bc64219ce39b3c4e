//! The way over for installations that worked without grants: nothing is refused, and it is counted what would be.

use crate::kit::{ADMIN, Server, Shared, policy};
use certmint::service::Mode;

#[tokio::test]
async fn what_would_be_refused_is_done_and_counted() {
    let server = Server::with(Mode::Report, "", Shared::default()).await;
    server.must(ADMIN, "POST /certificates/web/create", &policy("Unknown")).await;
    assert_eq!(server.service.access().denials(), (0, 0));
    server.must("nobody", "POST /certificates/api/create", &policy("Unknown")).await;
    assert_eq!(server.send("nobody", "GET /certificates?includePending=true", "").await.names(), ["api", "web"]);
    let (denied, would_deny) = server.service.access().denials();
    assert!(denied == 0 && would_deny >= 2, "{denied} {would_deny}");
}
