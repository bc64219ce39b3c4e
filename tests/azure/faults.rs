//! What a client sees when the server itself is in trouble.

use crate::client::Client;
use crate::support::service;
use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::keys::MasterKeys;
use certmint::service::Limits;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;
use std::sync::Arc;
use tokio::sync::watch;

/// A store in which reading a certificate is a defect, and writing does not work.
struct Troubled(Sqlite);

#[async_trait]
impl Store for Troubled {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        assert!(!key.contains("/panic"), "a defect");
        self.0.get(key).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.list(prefix, after, limit).await
    }

    async fn commit(&self, _: Batch) -> Result<Revision, StoreError> {
        Err(StoreError::Unavailable("/secret/path: no space left on device".into()))
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.claim(now, until, limit).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.0.events(after, limit).await
    }

    async fn trim(&self, before: Timestamp, keep: u64, limit: usize) -> Result<u64, StoreError> {
        self.0.trim(before, keep, limit).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.0.epoch().await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.0.head()
    }
}

async fn client() -> Client {
    let store = Arc::new(Troubled(Sqlite::open_in_memory().unwrap()));
    let service = service::start_on(store, MasterKeys::random(), Limits::default()).await;
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
        {"error":{"code":"ServiceUnavailable","message":"The store is not available at the moment. Repeat the request."}}
    "#);
}
