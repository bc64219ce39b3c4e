//! Receivers that are gone, slow or wrong, and a server that is killed.

use crate::peers::until;
use crate::play::FAST;
use crate::program::Certmint;
use crate::receiver::{Answer, Receiver};
use serde_json::json;

const COMPLETED: &str = "certmint.v1.pending.completed";
const NEW_VERSION: &str = "Microsoft.KeyVault.CertificateNewVersionCreated";

async fn issued(server: &Certmint, name: &str) {
    until(name, || async { server.pending(name).await["status"] == json!("completed") }).await;
}

fn waiting(server: &Certmint) -> usize {
    server.json(&["webhook", "deliveries", "hooks"])["deliveries"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_receiver_was_gone_and_the_server_was_killed_arrives_in_order() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    server.hook("hooks", &receiver, &[]);
    receiver.go().await;
    for name in ["web", "mail"] {
        server.create(name).await;
        issued(&server, name).await;
    }
    assert!(waiting(&server) >= 6);
    // Kill -9: all is committed, and nothing was taken.
    server.restart().await;
    assert!(receiver.got().is_empty());
    receiver.come_back().await;
    for name in ["web", "mail"] {
        receiver.gets(name, NEW_VERSION).await;
        let kinds = receiver.kinds(name);
        let place = |kind: &str| kinds.iter().position(|it| it == kind).unwrap();
        assert_eq!(kinds[0], "certmint.v1.pending.created");
        assert!(place(COMPLETED) < place(NEW_VERSION), "{kinds:?}");
    }
    until("nothing waits", || async { waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_and_a_certificate_that_fails_hold_up_no_others() {
    let server = Certmint::start("[webhooks]\nfirst_retry = '10s'\ntimeout = '30s'\n", &[]).await;
    let (good, stuck, picky) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    server.hook("good", &good, &[]);
    server.hook("stuck", &stuck, &[]);
    server.hook("hooks", &picky, &[]);
    stuck.answers(Answer::Hang);
    picky.answers(Answer::AllBut("bad"));
    server.create("bad").await;
    issued(&server, "bad").await;
    for number in 0..20 {
        server.create(&format!("web-{number}")).await;
    }
    for number in 0..20 {
        good.gets(&format!("web-{number}"), NEW_VERSION).await;
        picky.gets(&format!("web-{number}"), NEW_VERSION).await;
    }
    assert!(!stuck.got().is_empty());
    assert_eq!(picky.kinds("bad"), ["certmint.v1.pending.created"], "the next one waits for the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_becomes_a_dead_letter_that_can_be_sent_again() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    server.hook("hooks", &receiver, &["--event", NEW_VERSION]);
    receiver.answers(Answer::Status(400));
    server.create("web").await;
    let letters = || server.json(&["webhook", "deliveries", "hooks", "--dead-letters"])["deliveries"].clone();
    until("a dead letter", || async { letters().as_array().is_some_and(|all| all.len() == 1) }).await;
    let letter = letters()[0].clone();
    assert_eq!((&letter["event_type"], &letter["attempts"]), (&json!(NEW_VERSION), &json!(1)));
    assert!(letter["give_up_reason"].as_str().unwrap().contains("400"), "{letter}");
    let before = receiver.got().len();
    receiver.answers(Answer::Status(204));
    assert_eq!(server.json(&["webhook", "redeliver", "hooks"])["count"], json!(1));
    until("it is sent again", || async { receiver.got().len() > before }).await;
    let (first, again) = (receiver.got()[0].clone(), receiver.got().pop().unwrap());
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.header("webhook-id"), again.header("webhook-id"));
    until("nothing is left", || async { letters() == json!([]) && waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_in_time_is_given_up() {
    let config = "[webhooks]\nfirst_retry = '50ms'\ngive_up_after = '5s'\n";
    let (server, receiver) = (Certmint::start(config, &[]).await, Receiver::start().await);
    server.hook("hooks", &receiver, &["--event", NEW_VERSION]);
    receiver.answers(Answer::Status(500));
    server.create("web").await;
    let letters = || server.json(&["webhook", "deliveries", "hooks", "--dead-letters"])["deliveries"].clone();
    until("a dead letter", || async { letters().as_array().is_some_and(|all| all.len() == 1) }).await;
    assert!(receiver.got().len() > 1, "it was tried again");
    assert!(letters()[0]["give_up_reason"].as_str().unwrap().contains("in time"), "{}", letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_for_good_pauses_its_webhook_and_a_resumed_one_gets_what_waited() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    server.hook("hooks", &receiver, &["--event", NEW_VERSION]);
    receiver.answers(Answer::Status(410));
    server.create("web").await;
    let show = || server.json(&["webhook", "show", "hooks"])["webhook"].clone();
    until("it is paused", || async { show()["pause_time"].is_string() }).await;
    assert!(show()["pause_reason"].as_str().unwrap().contains("gone for good"), "{}", show());
    receiver.answers(Answer::Status(200));
    server.create("mail").await;
    issued(&server, "mail").await;
    assert_eq!(receiver.kinds("mail"), [""; 0]);
    server.json(&["webhook", "resume", "hooks"]);
    receiver.gets("mail", NEW_VERSION).await;
    until("nothing waits", || async { waiting(&server) == 0 }).await;
    server.json(&["webhook", "pause", "hooks", "--reason", "maintenance"]);
    assert_eq!(show()["pause_reason"], json!("maintenance"));
    server.json(&["webhook", "delete", "hooks"]);
    assert_eq!(server.json(&["webhook", "list"])["webhooks"], json!([]));
}
