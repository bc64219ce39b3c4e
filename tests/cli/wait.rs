//! `certmint create --wait`: the exit code says how the operation ended.

use crate::fake::{Fake, REQUEST_ID, draining, event, operation, refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certmint::proto::v1::PendingEventType::{Deleted, Snapshot, Updated};
use certmint::proto::v1::PendingStatus::{Cancelled, Completed, Failed, InProgress};
use certmint::proto::v1::{OperationError, PendingOperation, PendingStatus};
use tonic::Code;

const CREATE: [&str; 3] = ["create", "web", "--wait"];

fn ends(fake: &Fake, status: PendingStatus) {
    fake.stream([event(Updated, operation("web", status, 2), "t2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_begins_where_the_create_ended_and_follows_its_operation_alone() {
    let fake = Fake::start().await;
    let other = PendingOperation { request_id: "another".into(), ..operation("web", Failed, 1) };
    let details = PendingOperation { status_details: "asking the CA".into(), ..operation("web", InProgress, 2) };
    fake.stream([event(Updated, other, "t1"), event(Updated, details, "t2"), Err(draining())]);
    fake.stream([event(Updated, operation("web", Completed, 3), "t3")]);
    let ended = fake.run(&CREATE).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("status       completed\n"), "{}", ended.out);
    let progress = "web: in progress\nweb: in progress, asking the CA\n\
                    interrupted: the server is stopping; resuming in 0.02s\nweb: completed\n";
    assert_eq!(ended.err, progress);
    let part = fake.part();
    let tokens: Vec<&str> = part.watched.iter().map(|request| request.resume_token.as_str()).collect();
    assert_eq!(tokens, ["t-create", "t2"]);
    assert_eq!((part.watched[0].request_id.as_str(), part.reads), (REQUEST_ID, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_the_last_state_and_nothing_else() {
    let fake = Fake::start().await;
    ends(&fake, Completed);
    let ended = fake.run(&["create", "web", "--wait", "--output", "json"]).await;
    let value = ended.json();
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(
        (value["operation"]["status"].as_str(), value["resume_token"].as_str()),
        (Some("COMPLETED"), Some("t2"))
    );
    // Watches do not repeat the signing request.
    assert_eq!(value["operation"]["csr"], STANDARD.encode(&fake.csr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_operation_has_its_error() {
    let fake = Fake::start().await;
    let inner = OperationError { code: "CAA".into(), message: "not allowed".into(), inner_error: None };
    let error =
        OperationError { code: "Rejected".into(), message: "refused".into(), inner_error: Some(Box::new(inner)) };
    fake.stream([event(Updated, PendingOperation { error: Some(error), ..operation("web", Failed, 2) }, "t2")]);
    let ended = fake.run(&CREATE).await;
    assert_eq!(ended.code, 5);
    assert!(ended.out.contains("status       failed\n"), "{}", ended.out);
    let message = "error: the operation of web failed: Rejected: refused (CAA: not allowed)\n";
    assert!(ended.err.contains(message), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_operation_and_one_that_was_deleted_have_codes_of_their_own() {
    let fake = Fake::start().await;
    ends(&fake, Cancelled);
    assert_eq!(fake.run(&CREATE).await.code, 6);
    fake.stream([event(Deleted, operation("web", InProgress, 1), "t2")]);
    let deleted = fake.run(&["create", "web", "--wait", "--output", "json"]).await;
    assert_eq!((deleted.code, deleted.out.as_str()), (3, ""));
    assert_eq!(deleted.error()["message"], "the operation of web was deleted before it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_with_an_expired_token_reads_the_present_state() {
    let fake = Fake::start().await;
    fake.stream([Err(refusal(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", "too old"))]);
    fake.stream([event(Snapshot, operation("web", Completed, 2), "")]);
    assert_eq!(fake.run(&CREATE).await.code, 0);
    assert_eq!(fake.part().watched[1].resume_token, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_create_waits_from_the_present_state() {
    let fake = Fake::start().await;
    ends(&fake, Completed);
    let ended = fake.run(&["create", "web", "--wait", "--request-id", REQUEST_ID]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let part = fake.part();
    assert_eq!((part.reads, part.watched[0].resume_token.as_str()), (1, "t-get"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_takes_too_long_leaves_the_operation_alone() {
    let fake = Fake::start().await;
    let ended = fake.run(&["create", "web", "--wait", "--timeout", "5s"]).await;
    assert_eq!((ended.code, ended.out.as_str(), fake.part().deletions), (7, "", 0));
    let advice = format!("certmint watch --name web --request-id {REQUEST_ID} --until-terminal");
    assert!(ended.err.contains(&advice), "{}", ended.err);
}
