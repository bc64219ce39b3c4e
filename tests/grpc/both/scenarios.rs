//! The scenarios of the documents, step by step. The REST answers are held to the letter in
//! `tests/azure`; here the gRPC face has to say the same.

use super::compared::compare;
use super::face::{Face, Said, csr, request_id, version};
use super::policies::Wanted;
use crate::ca::{Ca, pem};
use crate::requests::OTHER_ID;
use crate::server::Server;

const NAME: &str = "mycert1";

async fn alike(scenario: impl AsyncFn(&mut Face<'_>) -> Vec<Said>) {
    compare(&Server::start().await, scenario).await;
}

#[tokio::test]
async fn scenario_1_a_create_with_an_issuer() {
    alike(async |face| {
        face.test_issuer("mydigicert", "hold").await;
        let created = face.create(NAME, "mydigicert", Wanted::Full).await;
        assert_eq!(created.as_ref().unwrap()["status"], "inProgress");
        vec![created, face.certificate(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_2_the_pending_request_in_progress() {
    alike(async |face| {
        let created = face.create(NAME, "Unknown", Wanted::Ec).await;
        let id = request_id(&created);
        let by_id = face.pending(NAME, &id).await;
        vec![face.pending(NAME, "").await, by_id, face.pending(NAME, OTHER_ID).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_3_the_pending_request_completed() {
    alike(async |face| {
        face.test_issuer("mydigicert", "complete").await;
        face.create(NAME, "mydigicert", Wanted::Ec).await.unwrap();
        let ended = face.ended(NAME).await;
        assert_eq!(ended.as_ref().unwrap()["status"], "completed");
        let whole = face.certificate(NAME, "").await;
        let version = version(&whole);
        vec![ended, whole, face.certificate(NAME, &version).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_4_the_pending_request_cancelled_or_failed() {
    for (account_id, status) in [("hold", "cancelled"), ("fail", "failed"), ("reject", "failed")] {
        alike(async |face| {
            face.test_issuer("mydigicert", account_id).await;
            face.create(NAME, "mydigicert", Wanted::Ec).await.unwrap();
            if account_id == "hold" {
                face.cancel(NAME, "").await.unwrap();
            }
            let ended = face.ended(NAME).await;
            assert_eq!(ended.as_ref().unwrap()["status"], status);
            vec![ended, face.certificate(NAME, "").await]
        })
        .await;
    }
}

#[tokio::test]
async fn scenario_5_the_pending_request_deleted_or_overwritten() {
    alike(async |face| {
        let first = request_id(&face.create(NAME, "Self", Wanted::Ec).await);
        face.ended(NAME).await.unwrap();
        face.create(NAME, "Unknown", Wanted::Ec).await.unwrap();
        let overwritten = face.pending(NAME, &first).await;
        face.delete(NAME, "").await.unwrap();
        let deleted = face.pending(NAME, "").await;
        vec![
            overwritten,
            deleted,
            face.cancel(NAME, "").await,
            face.delete(NAME, "").await,
            face.merge(NAME, &[b"x"]).await,
            face.certificate(NAME, "").await,
            face.certificate("never-made", "").await,
            face.certificate(NAME, OTHER_ID).await,
        ]
    })
    .await;
}

#[tokio::test]
async fn scenario_6_a_create_while_one_is_in_progress() {
    alike(async |face| {
        face.create(NAME, "Unknown", Wanted::Ec).await.unwrap();
        let refused = face.create("MyCert1", "Self", Wanted::Ec).await;
        assert_eq!(refused.as_ref().unwrap_err().http, 409);
        let deleted = face.delete(NAME, "").await;
        vec![refused, deleted, face.create(NAME, "Unknown", Wanted::Ec).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_7_a_merge_while_an_issuer_is_at_work() {
    let ca = Ca::new();
    alike(async |face| {
        face.test_issuer("mydigicert", "hold").await;
        let created = face.create(NAME, "mydigicert", Wanted::Ec).await;
        let leaf = ca.sign(&csr(&created), 30);
        let refused = face.merge(NAME, &[&leaf]).await;
        assert_eq!(refused.as_ref().unwrap_err().http, 403);
        face.cancel(NAME, "").await.unwrap();
        let cancelled = face.ended(NAME).await;
        let merged = face.merge(NAME, &[&leaf]).await;
        vec![refused, cancelled, merged, face.pending(NAME, "").await, face.merge(NAME, &[&leaf]).await]
    })
    .await;
}

#[tokio::test]
async fn scenario_8_a_cancellation() {
    alike(async |face| {
        // A request without an issuer holds still until the worker has seen the flag.
        let created = face.create(NAME, "Unknown", Wanted::Ec).await;
        let other = face.cancel(NAME, OTHER_ID).await;
        let asked = face.cancel(NAME, &request_id(&created)).await;
        assert_eq!(asked.as_ref().unwrap()["cancellation_requested"], true);
        let ended = face.ended(NAME).await;
        vec![other, asked, ended, face.cancel(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_9_a_deletion() {
    alike(async |face| {
        let created = face.create(NAME, "Unknown", Wanted::Ec).await;
        let other = face.delete(NAME, OTHER_ID).await;
        let deleted = face.delete(NAME, &request_id(&created)).await;
        assert_eq!(deleted, created);
        vec![other, deleted, face.delete(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn scenario_10_a_create_without_an_issuer() {
    alike(async |face| {
        let mut said = Vec::new();
        for issuer in ["Unknown", "", "UNKNOWN"] {
            said.push(face.create(NAME, issuer, Wanted::Rsa).await);
            face.delete(NAME, "").await.unwrap();
        }
        said
    })
    .await;
}

#[tokio::test]
async fn scenario_11_a_merge() {
    let ca = Ca::new();
    let authority = ca.certificate();
    alike(async |face| {
        let created = face.create(NAME, "Unknown", Wanted::Rsa).await;
        let leaf = ca.sign(&csr(&created), 30);
        let merged = face.merge(NAME, &[&leaf, &authority]).await;
        assert_eq!(merged.as_ref().unwrap()["attributes"]["enabled"], true);
        vec![merged, face.pending(NAME, "").await, face.certificate(NAME, "").await]
    })
    .await;
}

#[tokio::test]
async fn what_people_send_in_the_place_of_a_chain_is_taken_by_both() {
    let ca = Ca::new();
    let authority = ca.certificate();
    alike(async |face| {
        let mut said = Vec::new();
        for form in ["der", "pem", "pkcs7", "pkcs12", "backwards"] {
            let created = face.create(NAME, "Unknown", Wanted::Ec).await;
            let leaf = ca.sign(&csr(&created), 30);
            let text = pem(&leaf) + &pem(&authority);
            let merged = match form {
                "der" => face.merge(NAME, &[&leaf]).await,
                "pem" => face.merge(NAME, &[text.as_bytes()]).await,
                "pkcs7" => face.merge(NAME, &[&ca.pkcs7(&leaf)]).await,
                "pkcs12" => face.merge(NAME, &[&ca.pkcs12(&leaf)]).await,
                _ => face.merge(NAME, &[&authority, &leaf]).await,
            };
            assert!(merged.is_ok(), "{form}: {merged:?}");
            said.push(merged);
        }
        said
    })
    .await;
}
