//! `certmint renew` and `certmint renewals`: what is sent and what is printed.

use crate::fake::{Fake, operation};
use certmint::proto::v1::{PendingOperation, PendingStatus};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn renew_sends_the_name_and_says_why_it_was_begun() {
    let fake = Fake::start().await;
    let id = "0123456789abcdef0123456789abcdef";
    let ended = fake.run(&["renew", "web", "--batch", "moves", "--request-id", id]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = fake.part().renewed.pop().unwrap();
    assert_eq!((sent.certificate_name.as_str(), sent.batch.as_str(), sent.request_id.as_str()), ("web", "moves", id));
    assert!(ended.out.contains("because      manual\n") && ended.out.contains("batch        moves\n"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_issuer_get_a_common_label_and_what_is_left_is_named() {
    let fake = Fake::start().await;
    let arguments = ["renew", "--issuer", "ca", "--all", "--rate", "6000/min", "--output", "json"];
    let ended = fake.run(&arguments).await;
    assert_eq!(ended.code, 1, "one is in progress: {ended:?}");
    let sent = std::mem::take(&mut fake.part().renewed);
    assert_eq!(sent.iter().map(|it| it.certificate_name.as_str()).collect::<Vec<_>>(), ["web", "busy"]);
    assert!(sent.iter().all(|it| it.batch == sent[0].batch && it.batch.starts_with("ca ")), "{sent:?}");
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(answer["batch"], sent[0].batch.as_str());
    assert_eq!(answer["operations"][0]["certificate_name"], "web");
    assert_eq!(answer["failed"][0]["certificate_name"], "busy");
    assert!(ended.err.contains("1 of 2 certificates of ca were not renewed"), "{}", ended.err);
    let note = format!("what begins has the batch {:?}", sent[0].batch);
    let mut lines = ended.err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    assert!(lines.any(|line| line["note"] == note), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_label_renews_only_what_is_left() {
    let fake = Fake::start().await;
    let of_batch = |name: &str, status: PendingStatus, batch: &str| PendingOperation {
        batch: batch.into(),
        ..operation(name, status, 1)
    };
    fake.part().listed = vec![
        of_batch("busy", PendingStatus::Failed, "moves"),
        of_batch("other", PendingStatus::Completed, "others"),
        of_batch("web", PendingStatus::Completed, "moves"),
    ];
    let arguments = ["renew", "--issuer", "ca", "--all", "--batch", "moves", "--rate", "6000/min", "--output", "json"];
    let ended = fake.run(&arguments).await;
    let sent = std::mem::take(&mut fake.part().renewed);
    assert_eq!(sent.iter().map(|it| it.certificate_name.as_str()).collect::<Vec<_>>(), ["busy"], "{ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(answer["begun_before"], 1);
    assert!(
        ended.err.contains("1 of 1 certificates of ca") && ended.err.contains(r#"--batch \"moves\""#),
        "{}",
        ended.err
    );
    // Of another batch all are.
    let mut others = arguments;
    others[5] = "new";
    fake.run(&others).await;
    assert_eq!(fake.part().renewed.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_issuer_is_renewed_only_where_that_was_said() {
    let fake = Fake::start().await;
    for wrong in
        [&["renew"][..], &["renew", "--issuer", "ca"], &["renew", "web", "--all"], &["renew", "web", "--rate", "x"]]
    {
        let ended = fake.run(wrong).await;
        assert_eq!(ended.code, 2, "{wrong:?} {ended:?}");
    }
    assert!(fake.part().renewed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_lists_and_pauses_and_resumes() {
    let fake = Fake::start().await;
    let ended = fake.run(&["renewals"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.starts_with("NAME") && ended.out.contains("planned"), "{}", ended.out);
    assert!(ended.out.contains("80 % of its life.") && !ended.out.contains("unplanned"), "{}", ended.out);
    let all = fake.run(&["renewals", "--all", "--issuer", "ca", "--output", "json"]).await;
    let all: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(all["renewals"][1]["state"], "UNPLANNED");
    let paused = fake.run(&["renewals", "pause", "web", "--reason", "moves"]).await;
    assert!(paused.out.contains("state        paused") && paused.out.contains("moves"), "{}", paused.out);
    let resumed = fake.run(&["renewals", "resume", "web"]).await;
    assert!(resumed.out.contains("planned"), "{}", resumed.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_pauses_are_of_a_certificate_or_of_the_vault() {
    let fake = Fake::start().await;
    let tuesdays = "0 3 * * Tue Europe/Berlin 2h";
    let own = fake.run(&["renewals", "window", "web", "--at", tuesdays]).await;
    assert!(own.out.contains("certificate  web") && own.out.contains(tuesdays), "{own:?}");
    let all = fake.run(&["--vault", "shop", "renewals", "window", "--all", "--at", tuesdays]).await;
    assert!(all.out.contains("vault   shop") && all.out.contains(tuesdays), "{all:?}");
    let paused = fake.run(&["renewals", "pause", "--all", "--reason", "moves"]).await;
    assert!(paused.out.contains("paused  since 2026-") && paused.out.contains("moves"), "{paused:?}");
    let resumed = fake.run(&["renewals", "resume", "--all", "--output", "json"]).await;
    let resumed: Value = serde_json::from_str(&resumed.out).unwrap();
    assert_eq!(resumed["renewals"]["pause_reason"], "", "{resumed}");
    let shown = fake.run(&["renewals", "vault"]).await;
    assert!(shown.out.contains("that of the configuration") && shown.out.contains("paused  no"), "{shown:?}");
    for wrong in [
        &["renewals", "pause"][..],
        &["renewals", "pause", "web", "--all"],
        &["renewals", "window", "web"],
        &["renewals", "window", "--at", "always"],
    ] {
        let ended = fake.run(wrong).await;
        assert_eq!(ended.code, 2, "{wrong:?} {ended:?}");
    }
}
