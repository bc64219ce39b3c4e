//! Responses while the server or its store has faults.

use crate::client::Client;
use crate::support::service;
use crate::troubled::Troubled;
use certmint::keys::MasterKeys;
use certmint::service::ServiceOptions;
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;
use std::sync::Arc;

async fn client() -> Client {
    let store = Arc::new(Troubled::new());
    let service = service::start_on(store, MasterKeys::random(), ServiceOptions::default()).await;
    Client::over(service, RestOptions::new(Auth::Development))
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_works() {
    let client = client().await;
    client.send("GET /certificates/panic", "").await.is(r#"
        500
        content-type: application/json; charset=utf-8
        {"error":{"code":"InternalServerError","message":"The server failed to handle the request. The log of the server has the cause."}}
    "#);
    client.send("GET /certificates/mycert1", "").await.is_refusal(404, "CertificateNotFound", "mycert1");
}

#[tokio::test]
async fn a_store_that_is_not_available_says_when_to_come_again_and_not_why() {
    let client = client().await;
    let reply = client.send("PUT /certificates/issuers/house", r#"{"provider":"Test"}"#).await;
    reply.is(r#"
        503
        content-type: application/json; charset=utf-8
        retry-after: 2
        {"error":{"code":"ServiceUnavailable","message":"The store is temporarily unavailable. Retry the request."}}
    "#);
}
