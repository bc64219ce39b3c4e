//! `certmint watch`: no event is lost or shown twice, whatever the connection does.

use crate::fake::{Fake, bookmark, draining, event, operation, refusal};
use certmint::proto::v1::BookmarkReason::{CaughtUp, Closing};
use certmint::proto::v1::PendingEventType::{Created, Deleted, Snapshot, Updated};
use certmint::proto::v1::PendingStatus::{Completed, InProgress};
use certmint::proto::v1::WatchSnapshot;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use tonic::{Code, Status};

const WATCH: [&str; 6] = ["--output", "json", "watch", "--name", "web", "--until-terminal"];

fn events(lines: &[Value]) -> Vec<(String, i64)> {
    let told = lines.iter().filter(|line| line["event"].is_object());
    told.map(|line| {
        let event = &line["event"];
        (event["type"].as_str().unwrap().to_owned(), event["operation"]["revision"].as_i64().unwrap())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_with_the_last_token_after_the_wait_that_the_server_asks_for() {
    let fake = Fake::start().await;
    fake.stream([
        event(Snapshot, operation("web", InProgress, 1), ""),
        bookmark(CaughtUp, "t1", 0),
        event(Updated, operation("web", InProgress, 2), "t2"),
        bookmark(Closing, "t3", 0),
        Err(draining()),
    ]);
    fake.stream([Err(Status::unknown("h2 protocol error: error reading a body from connection"))]);
    // The server may repeat what came with the token.
    fake.stream([
        event(Updated, operation("web", InProgress, 2), "t2"),
        event(Updated, operation("web", Completed, 3), "t4"),
    ]);
    let ended = fake.run(&WATCH).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = [("SNAPSHOT", 1), ("UPDATED", 2), ("UPDATED", 3)].map(|(kind, revision)| (kind.to_owned(), revision));
    assert_eq!(events(&ended.lines()), told);
    let tokens: Vec<String> = fake.part().watched.iter().map(|request| request.resume_token.clone()).collect();
    assert_eq!(tokens, ["", "t3", "t3"]);
    let request = fake.part().watched.pop().unwrap();
    assert_eq!((request.certificate_names, request.until_terminal), (vec!["web".to_owned()], true));
    let notes: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(notes[0]["note"], "interrupted: the server is stopping; resuming in 0.02s");
    assert_eq!(notes.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_snapshot_is_requested_again_and_shown_once() {
    let fake = Fake::start().await;
    fake.stream([event(Snapshot, operation("web", InProgress, 1), ""), Err(draining())]);
    fake.stream([
        event(Snapshot, operation("web", InProgress, 1), ""),
        bookmark(CaughtUp, "t1", 0),
        event(Updated, operation("web", Completed, 2), "t2"),
    ]);
    let ended = fake.run(&WATCH).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(events(&ended.lines()), [("SNAPSHOT".to_owned(), 1), ("UPDATED".to_owned(), 2)]);
    assert!(fake.part().watched.iter().all(|request| request.resume_token.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_reported_though_its_revision_is_that_of_the_last_state() {
    let fake = Fake::start().await;
    fake.stream([
        event(Created, operation("web", InProgress, 1), "t1"),
        event(Deleted, operation("web", InProgress, 1), "t2"),
    ]);
    let ended = fake.run(&WATCH).await;
    assert_eq!(events(&ended.lines()), [("CREATED".to_owned(), 1), ("DELETED".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_starts_the_watch_anew_and_says_so() {
    let fake = Fake::start().await;
    fake.stream([Err(refusal(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", "too old"))]);
    fake.stream([event(Snapshot, operation("web", Completed, 9), ""), bookmark(CaughtUp, "t9", 0)]);
    let ended = fake.run(&[&WATCH[..], &["--resume", "t-old"]].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(events(&ended.lines()), [("SNAPSHOT".to_owned(), 9)]);
    let tokens: Vec<String> = fake.part().watched.iter().map(|request| request.resume_token.clone()).collect();
    assert_eq!(tokens, ["t-old", ""]);
    assert!(ended.err.contains("the resume token has expired: starting again"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_out_of_range_is_an_error() {
    let fake = Fake::start().await;
    fake.stream([Err(Status::out_of_range("message too large"))]);
    let ended = fake.run(&[&WATCH[..], &["--resume", "t1"]].concat()).await;
    assert_eq!((ended.code, fake.part().watched.len()), (1, 1), "{ended:?}");
    assert_eq!(ended.error()["message"], "message too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_never_worked_gives_up() {
    let fake = Fake::start().await;
    for _ in 0..20 {
        fake.stream([Err(draining())]);
    }
    let ended = fake.run(&["watch"]).await;
    assert_eq!((ended.code, fake.part().watched.len()), (7, 5), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_not_known_ends_the_watch() {
    let fake = Fake::start().await;
    fake.stream([Err(refusal(Code::NotFound, "PENDING_NOT_FOUND", "no such operation"))]);
    let ended = fake.run(&["watch", "--request-id", "7"]).await;
    assert_eq!((ended.code, fake.part().watched.len()), (3, 1), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_one_line_for_an_event_as_it_happens() {
    let fake = Fake::start().await;
    fake.stream([
        event(Snapshot, operation("web", InProgress, 1), ""),
        bookmark(CaughtUp, "t1", 0),
        event(Updated, operation("web", Completed, 2), "t2"),
    ]);
    let mut command = fake.command(&["watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let lines: Vec<String> = BufReader::new(stdout).lines().take(2).map(|line| line.unwrap()).collect();
        // The stream of the server has ended, the watch goes on: it is ended by its reader.
        child.kill().unwrap();
        child.wait().unwrap();
        lines
    });
    let lines = reading.await.unwrap();
    assert_eq!(
        lines,
        [
            "2023-11-14T22:13:21Z  web  snapshot  in progress  request_id=0123456789abcdef0123456789abcdef",
            "2023-11-14T22:13:21Z  web  updated  completed  request_id=0123456789abcdef0123456789abcdef  token=t2",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_the_watch_and_shows_how_to_resume() {
    let fake = Fake::start().await;
    let ended = fake.run(&["watch", "--snapshot", "none", "--status", "failed", "--timeout", "5s"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (7, ""));
    assert!(ended.err.contains("certmint watch --resume t-now"), "{}", ended.err);
    let request = fake.part().watched.pop().unwrap();
    assert_eq!((request.snapshot(), request.statuses), (WatchSnapshot::None, vec![4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_bookmarks_for_programs_that_store_tokens() {
    let fake = Fake::start().await;
    fake.stream([bookmark(CaughtUp, "t1", 1_700_000_000)]);
    let ended = fake.run(&WATCH).await;
    let expected = json!({
        "resume_token": "t1",
        "bookmark": { "reason": "CAUGHT_UP", "server_time": "2023-11-14T22:13:20Z" },
    });
    assert_eq!(ended.lines(), [expected]);
}
