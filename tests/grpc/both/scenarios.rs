//! The scenarios of the documents, step by step. The REST responses are compared exactly in `tests/azure`; here the
//! gRPC API must match.

use super::api::{Api, Said, csr, request_id, version};
use super::compared::compare;
use super::policies::Wanted;
use crate::ca::{Ca, pem};
use crate::requests::OTHER_ID;
use crate::server::Server;
use serde_json::Value;

const NAME: &str = "mycert1";

async fn alike(scenario: impl AsyncFn(&mut Api<'_>) -> Vec<Said>) {
    compare(&Server::start().await, scenario).await;
}

#[tokio::test]
async fn scenario_1_a_create_with_an_issuer() {
    alike(async |api| {
        api.test_issuer("mydigicert", "hold").await;
        let created = api.create(NAME, "mydigicert", Wanted::Full).await;
        assert_eq!(created.as_ref().unwrap()["status"], "inProgress");
        vec![created, api.certificate(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_2_the_pending_request_in_progress() {
    alike(async |api| {
        let created = api.create(NAME, "Unknown", Wanted::Ec).await;
        let id = request_id(&created);
        let by_id = api.pending(NAME, &id).await;
        vec![api.pending(NAME, "").await, by_id, api.pending(NAME, OTHER_ID).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_3_the_pending_request_completed() {
    alike(async |api| {
        api.test_issuer("mydigicert", "complete").await;
        api.create(NAME, "mydigicert", Wanted::Ec).await.unwrap();
        let ended = api.ended(NAME).await;
        assert_eq!(ended.as_ref().unwrap()["status"], "completed");
        let whole = api.certificate(NAME, "").await;
        let version = version(&whole);
        vec![ended, whole, api.certificate(NAME, &version).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_4_the_pending_request_cancelled_or_failed() {
    for (account_id, status) in [("hold", "cancelled"), ("fail", "failed"), ("reject", "failed")] {
        alike(async |api| {
            api.test_issuer("mydigicert", account_id).await;
            api.create(NAME, "mydigicert", Wanted::Ec).await.unwrap();
            if account_id == "hold" {
                // The issuer was asked, and said so.
                let held = |operation: &Value| operation["status_details"].as_str().unwrap().contains("holds");
                api.pending_that(NAME, held).await.unwrap();
                api.cancel(NAME, "").await.unwrap();
            }
            let ended = api.ended(NAME).await;
            assert_eq!(ended.as_ref().unwrap()["status"], status);
            vec![ended, api.certificate(NAME, "").await]
        })
        .await;
    }
}

#[tokio::test]
async fn scenario_5_the_pending_request_deleted_or_overwritten() {
    alike(async |api| {
        let first = request_id(&api.create(NAME, "Self", Wanted::Ec).await);
        api.ended(NAME).await.unwrap();
        api.create(NAME, "Unknown", Wanted::Ec).await.unwrap();
        let overwritten = api.pending(NAME, &first).await;
        api.delete(NAME, "").await.unwrap();
        let deleted = api.pending(NAME, "").await;
        vec![
            overwritten,
            deleted,
            api.cancel(NAME, "").await,
            api.delete(NAME, "").await,
            api.merge(NAME, &[b"x"]).await,
            api.certificate(NAME, "").await,
            api.certificate("never-made", "").await,
            api.certificate(NAME, OTHER_ID).await,
        ]
    })
    .await;
}

#[tokio::test]
async fn scenario_6_a_create_while_one_is_in_progress() {
    alike(async |api| {
        api.create(NAME, "Unknown", Wanted::Ec).await.unwrap();
        let refused = api.create("MyCert1", "Self", Wanted::Ec).await;
        assert_eq!(refused.as_ref().unwrap_err().http, 409);
        let deleted = api.delete(NAME, "").await;
        vec![refused, deleted, api.create(NAME, "Unknown", Wanted::Ec).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_7_a_merge_while_an_issuer_is_at_work() {
    let ca = Ca::new();
    alike(async |api| {
        api.test_issuer("mydigicert", "hold").await;
        let created = api.create(NAME, "mydigicert", Wanted::Ec).await;
        let leaf = ca.sign(&csr(&created), 30);
        let refused = api.merge(NAME, &[&leaf]).await;
        assert_eq!(refused.as_ref().unwrap_err().http, 403);
        // The issuer was asked, and said so, before it is cancelled: what it said stays.
        let held = |operation: &Value| operation["status_details"].as_str().unwrap().contains("holds");
        api.pending_that(NAME, held).await.unwrap();
        api.cancel(NAME, "").await.unwrap();
        let cancelled = api.ended(NAME).await;
        let merged = api.merge(NAME, &[&leaf]).await;
        vec![refused, cancelled, merged, api.pending(NAME, "").await, api.merge(NAME, &[&leaf]).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_8_a_cancellation() {
    alike(async |api| {
        // A request without an issuer holds still until the worker has seen the flag.
        let created = api.create(NAME, "Unknown", Wanted::Ec).await;
        let other = api.cancel(NAME, OTHER_ID).await;
        let asked = api.cancel(NAME, &request_id(&created)).await;
        assert_eq!(asked.as_ref().unwrap()["cancellation_requested"], true);
        let ended = api.ended(NAME).await;
        vec![other, asked, ended, api.cancel(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_9_a_deletion() {
    alike(async |api| {
        let created = api.create(NAME, "Unknown", Wanted::Ec).await;
        let other = api.delete(NAME, OTHER_ID).await;
        let deleted = api.delete(NAME, &request_id(&created)).await;
        assert_eq!(deleted, created);
        vec![other, deleted, api.delete(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_10_a_create_without_an_issuer() {
    alike(async |api| {
        let mut said = Vec::new();
        for issuer in ["Unknown", "", "UNKNOWN"] {
            said.push(api.create(NAME, issuer, Wanted::Rsa).await);
            api.delete(NAME, "").await.unwrap();
        }
        said
    })
    .await;
}

#[tokio::test]
async fn scenario_11_a_merge() {
    let ca = Ca::new();
    let authority = ca.certificate();
    alike(async |api| {
        let created = api.create(NAME, "Unknown", Wanted::Rsa).await;
        let leaf = ca.sign(&csr(&created), 30);
        let merged = api.merge(NAME, &[&leaf, &authority]).await;
        assert_eq!(merged.as_ref().unwrap()["attributes"]["enabled"], true);
        vec![merged, api.pending(NAME, "").await, api.certificate(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn what_people_send_in_the_place_of_a_chain_is_taken_by_both() {
    let ca = Ca::new();
    let authority = ca.certificate();
    alike(async |api| {
        let mut said = Vec::new();
        for form in ["der", "pem", "pkcs7", "pkcs12", "backwards"] {
            let created = api.create(NAME, "Unknown", Wanted::Ec).await;
            let leaf = ca.sign(&csr(&created), 30);
            let text = pem(&leaf) + &pem(&authority);
            let merged = match form {
                "der" => api.merge(NAME, &[&leaf]).await,
                "pem" => api.merge(NAME, &[text.as_bytes()]).await,
                "pkcs7" => api.merge(NAME, &[&ca.pkcs7(&leaf)]).await,
                "pkcs12" => api.merge(NAME, &[&ca.pkcs12(&leaf)]).await,
                _ => api.merge(NAME, &[&authority, &leaf]).await,
            };
            assert!(merged.is_ok(), "{form}: {merged:?}");
            said.push(merged);
        }
        said
    })
    .await;
}
