//! Watches that are refused before they begin.

use super::stream::Watch;
use crate::refusal;
use crate::requests::{OTHER_ID, watch};
use crate::server::Server;
use certmint::proto::v1::*;

async fn refused(request: WatchPendingRequest, expected: &str) {
    let server = Server::start().await;
    refusal::is(Watch::try_open(&server, request).await.map(drop), expected);
    assert_eq!(server.service.watch().streams(), 0, "a refused watch holds no place");
}

async fn bad(request: WatchPendingRequest, field: &str, problem: &str) {
    let expected = format!(
        "InvalidArgument: Property {field} has invalid value. {problem}
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: {field}: {problem}"
    );
    refused(request, &expected).await;
}

fn any() -> WatchPendingRequest {
    WatchPendingRequest::default()
}

#[tokio::test]
async fn an_operation_that_is_not_known() {
    refused(
        WatchPendingRequest { request_id: OTHER_ID.into(), ..any() },
        "NotFound: There is no pending operation with the request_id b76827a18b63421c917da80f28e9913d.
         reason: PENDING_NOT_FOUND of certmint.v1
         azureCode: PendingCertificateNotFound
         httpStatus: 404
         resource: pending b76827a18b63421c917da80f28e9913d",
    )
    .await;
}

#[tokio::test]
async fn until_the_end_of_a_whole_vault() {
    bad(
        WatchPendingRequest { until_terminal: true, ..any() },
        "until_terminal",
        "It needs certificate_names or request_id: a whole vault never ends.",
    )
    .await;
}

#[tokio::test]
async fn an_id_in_every_vault() {
    bad(
        WatchPendingRequest { vault_name: "-".into(), request_id: OTHER_ID.into(), ..any() },
        "request_id",
        "It is unique in a vault only: name the vault.",
    )
    .await;
}

#[tokio::test]
async fn more_than_a_thousand_names() {
    let certificate_names = (0..1001).map(|number| format!("web-{number}")).collect();
    bad(
        WatchPendingRequest { certificate_names, ..any() },
        "certificate_names",
        "More than 1000 names: watch by prefix, or open another stream.",
    )
    .await;
}

#[tokio::test]
async fn numbers_that_no_enum_has() {
    bad(WatchPendingRequest { snapshot: 9, ..any() }, "snapshot", "9 is not a value of this enum.").await;
    let expected = |status: i32| WatchPendingRequest { statuses: vec![1, status], ..any() };
    bad(expected(0), "statuses", "0 is not a status that an operation can have.").await;
    bad(expected(9), "statuses", "9 is not a status that an operation can have.").await;
}

#[tokio::test]
async fn a_negative_heartbeat() {
    let heartbeat_interval = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    bad(WatchPendingRequest { heartbeat_interval, ..any() }, "heartbeat_interval", "It is negative.").await;
}

#[tokio::test]
async fn names_that_are_none() {
    refused(
        watch("my_cert"),
        "InvalidArgument: The request URI contains an invalid name: my_cert. A name has 1 to 127 of the characters 0-9, a-z, A-Z and -.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: certificate_names[0]: The request URI contains an invalid name: my_cert. A name has 1 to 127 of the characters 0-9, a-z, A-Z and -.",
    )
    .await;
}
