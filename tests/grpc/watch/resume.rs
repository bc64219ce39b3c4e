//! Resuming with a token.

use super::stream::{Told, Watch, shorts, watched};
use crate::refusal;
use crate::requests::{cancel, create, delete, get, watch};
use crate::server::{Server, Setup};
use certmint::domain::Timestamp;
use certmint::proto::v1::*;
use certmint::service::ServiceOptions;
use certmint::service::watch::WatchLimits;
use certmint::store::Store;
use certmint::store::sqlite::Sqlite;
use std::sync::Arc;

fn from(token: &str) -> WatchPendingRequest {
    WatchPendingRequest { resume_token: token.into(), ..watch("web") }
}

/// Everything behind a token until the operation has ended, without the mark.
async fn after(server: &Server, token: &str) -> Vec<String> {
    let told = watched(server, WatchPendingRequest { until_terminal: true, ..from(token) }).await;
    shorts(&told).into_iter().filter(|line| line != "caught up").collect()
}

const STORY: [&str; 3] = [
    "created web r1: in progress",
    "updated web r2: in progress, then in progress",
    "updated web r3: in progress, then cancelled",
];

/// Plays the story on a server, and answers every message with its token.
async fn story(server: &Server) -> Vec<WatchPendingResponse> {
    let mut stream = Watch::open(server, watch("web")).await;
    let mut told = vec![stream.next().await];
    let mut client = server.certificates().await;
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    client.cancel_pending(cancel("web")).await.unwrap();
    for _ in 0..3 {
        told.push(stream.next().await);
    }
    assert_eq!(shorts(&told[1..]), STORY);
    told
}

#[tokio::test]
async fn every_token_is_followed_by_exactly_what_came_after_it() {
    let server = Server::start().await;
    let told = story(&server).await;
    for (seen, message) in told.iter().enumerate() {
        assert_eq!(after(&server, &message.resume_token).await, STORY[seen..], "after message {seen}");
    }
}

#[tokio::test]
async fn a_replay_ends_with_a_bookmark_and_continues_live() {
    let server = Server::start().await;
    let told = story(&server).await;
    let mut stream = Watch::open(&server, from(&told[2].resume_token)).await;
    assert_eq!(stream.said(2).await, [STORY[2], "caught up"]);
    server.certificates().await.delete_pending(delete("web")).await.unwrap();
    assert_eq!(stream.said(1).await, ["deleted web r4: cancelled, then cancelled"]);
}

#[tokio::test]
async fn a_token_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_file(folder.path(), ServiceOptions::default()).await;
    let told = story(&server).await;
    server.end().await;
    let server = Server::on_file(folder.path(), ServiceOptions::default()).await;
    for (seen, message) in told.iter().enumerate() {
        assert_eq!(after(&server, &message.resume_token).await, STORY[seen..], "after message {seen}");
    }
    // And what happens in the new life follows the old.
    let mut stream = Watch::open(&server, from(&told[3].resume_token)).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    server.certificates().await.delete_pending(delete("web")).await.unwrap();
    assert_eq!(stream.said(1).await, ["deleted web r4: cancelled, then cancelled"]);
}

#[tokio::test]
async fn a_ring_that_is_too_short_is_made_up_for_by_the_store() {
    let watch_limits = WatchLimits { ring: 2, page: 2, ..WatchLimits::default() };
    let options = ServiceOptions { watch: watch_limits, ..ServiceOptions::default() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let told = story(&server).await;
    let mut client = server.certificates().await;
    for number in 0..20 {
        client.create_certificate(create(&format!("other-{number}"), "Unknown")).await.unwrap();
    }
    assert_eq!(after(&server, &told[0].resume_token).await, STORY);
}

#[tokio::test]
async fn every_answer_has_a_token_for_what_comes_after_it() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    let list = ListPendingRequest::default();
    let before = client.list_pending(list.clone()).await.unwrap().into_inner().resume_token;
    let created = client.create_certificate(create("web", "Unknown")).await.unwrap().into_inner().resume_token;
    let found = client.get_pending(get("web")).await.unwrap().into_inner().resume_token;
    let listed = client.list_pending(list).await.unwrap().into_inner().resume_token;
    let asked = client.cancel_pending(cancel("web")).await.unwrap().into_inner().resume_token;
    watched(&server, WatchPendingRequest { until_terminal: true, ..watch("web") }).await;
    assert_eq!(after(&server, &before).await, STORY);
    for token in [created, found, listed] {
        assert_eq!(after(&server, &token).await, STORY[1..]);
    }
    assert_eq!(after(&server, &asked).await, STORY[2..]);
}

#[tokio::test]
async fn another_filter_may_follow_with_the_same_token() {
    let server = Server::start().await;
    let told = story(&server).await;
    let request = WatchPendingRequest {
        statuses: vec![PendingStatus::Cancelled.into()],
        until_terminal: true,
        ..from(&told[0].resume_token)
    };
    assert_eq!(shorts(&watched(&server, request).await), [STORY[2], "caught up"]);
}

const EXPIRED: &str = "OutOfRange: The resume token is older than the retained log, or belongs to another log. Start again without a token.
    reason: RESUME_TOKEN_EXPIRED of certmint.v1
    azureCode: ResumeTokenExpired
    httpStatus: 410";

async fn refused(server: &Server, token: &str, expected: &str) {
    let told: Told = match Watch::try_open(server, from(token)).await {
        Ok(stream) => stream.rest().await,
        Err(status) => (Vec::new(), Some(status)),
    };
    assert_eq!(shorts(&told.0), <[String; 0]>::default());
    refusal::is(told.1.map_or(Ok(()), Err), expected);
}

#[tokio::test]
async fn a_token_that_the_log_no_longer_reaches_is_out_of_range() {
    let store = Arc::new(Sqlite::open_in_memory().unwrap());
    let server = Server::with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let told = story(&server).await;
    assert_eq!(store.trim(Timestamp(i64::MAX), 0, 100).await.unwrap(), 3);
    refused(&server, &told[0].resume_token, EXPIRED).await;
    assert_eq!(after(&server, &told[3].resume_token).await, <[String; 0]>::default(), "this one is at its end");
}

#[tokio::test]
async fn a_token_of_another_log_is_out_of_range() {
    let other = Server::start().await;
    let told = story(&other).await;
    refused(&Server::start().await, &told[1].resume_token, EXPIRED).await;
}

/// A copy of the database is put back: what was committed since then never was.
#[tokio::test]
async fn a_token_from_before_a_restore_is_out_of_range() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Server::on_file(folder.path(), ServiceOptions::default()).await.end().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let server = Server::on_file(folder.path(), ServiceOptions::default()).await;
    let told = story(&server).await;
    server.end().await;
    let restored = Server::on_file(copy.path(), ServiceOptions::default()).await;
    refused(&restored, &told[3].resume_token, EXPIRED).await;
}

#[tokio::test]
async fn what_is_no_token_is_a_bad_parameter() {
    let server = Server::start().await;
    let long = "A".repeat(100_000);
    for token in ["nonsense", "!", "AAAA", long.as_str()] {
        refused(
            &server,
            token,
            "InvalidArgument: Property resume_token has invalid value. It is not a resume token of this service. Start without one.
             reason: BAD_PARAMETER of certmint.v1
             azureCode: BadParameter
             httpStatus: 400
             field: resume_token: It is not a resume token of this service. Start without one.",
        )
        .await;
    }
}

/// A client that lost the answer repeats the call, perhaps long after: what it has missed since the
/// creation has to follow the token that it gets.
#[tokio::test]
async fn the_token_of_a_repeated_create_lies_before_everything_that_happened_since() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    let request = crate::requests::create_as("web", "Self", crate::requests::ID);
    let first = client.create_certificate(request.clone()).await.unwrap().into_inner();
    watched(&server, WatchPendingRequest { until_terminal: true, ..watch("web") }).await;
    let again = client.create_certificate(request).await.unwrap().into_inner();
    assert_eq!(again, first, "in progress, as it was created");
    assert_eq!(after(&server, &again.resume_token).await, ["updated web r2: in progress, then completed"]);
}
