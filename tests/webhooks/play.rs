//! What a receiver gets where all is well, and how webhooks are set.

use crate::program::{Certmint, text};
use crate::receiver::{Answer, Got, Receiver};
use certmint::keys::WebhookSecret;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Retries come soon.
pub(crate) const FAST: &str = "[webhooks]\nfirst_retry = '100ms'\ntimeout = '2s'\n";

impl Certmint {
    /// A certificate of the server's own, which is issued at once.
    pub(crate) async fn create(&self, name: &str) {
        let policy = json!({
            "issuer": {"name": "Self"},
            "key_props": {"kty": "EC", "crv": "P-256"},
            "x509_props": {"subject": format!("CN={name}.example"), "validity_months": 12},
        });
        let (status, body) =
            self.send(Method::POST, &format!("/certificates/{name}/create"), Some(&json!({"policy": policy}))).await;
        assert_eq!(status, 202, "{body}");
    }

    /// What a command answers in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[arguments, &["--output", "json"]].concat(), "");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Sets a webhook, and answers its secret.
    pub(crate) fn hook(&self, name: &str, receiver: &Receiver, more: &[&str]) -> String {
        let set = self.json(&[&["webhook", "set", name, "--url", &receiver.url()], more].concat());
        set["secret"].as_str().unwrap().to_owned()
    }
}

const NEW_VERSION: &str = "Microsoft.KeyVault.CertificateNewVersionCreated";

fn signed(got: &Got, secret: &str) -> bool {
    let seconds = got.header("webhook-timestamp").parse().unwrap();
    let signature = WebhookSecret::parse(secret).unwrap().sign(got.header("webhook-id"), seconds, &got.bytes);
    got.header("webhook-signature").split(' ').any(|it| it == signature)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_the_life_of_a_certificate_in_order_and_signed() {
    let (server, receiver) =
        (Certmint::start(FAST, &[("token", "Bearer correct-horse\n")]).await, Receiver::start().await);
    let secret = server.hook("hooks", &receiver, &["--secret-header", "Authorization=token"]);
    server.create("web").await;
    receiver.gets("web", NEW_VERSION).await;
    for command in [
        &["update", "web", "--tag", "team=a"][..],
        &["delete", "web"],
        &["recover", "web"],
        &["delete", "web"],
        &["purge", "web"],
    ] {
        let output = server.cli(command, "");
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
    receiver.gets("web", "certmint.v1.certificate.purged").await;
    let kinds = receiver.kinds("web");
    let whole: Vec<&str> =
        kinds.iter().map(String::as_str).filter(|kind| *kind != "certmint.v1.pending.updated").collect();
    let life = |word: &str| format!("certmint.v1.{word}");
    let expected = [
        life("pending.created"),
        life("pending.completed"),
        NEW_VERSION.to_owned(),
        life("certificate.updated"),
        // The operation goes and comes with its certificate, as streams show it.
        life("pending.deleted"),
        life("certificate.deleted"),
        life("pending.created"),
        life("certificate.recovered"),
        life("pending.deleted"),
        life("certificate.deleted"),
        life("certificate.purged"),
    ];
    assert_eq!(whole, expected);

    for got in receiver.got() {
        assert!(signed(&got, &secret), "{got:?}");
        assert_eq!(got.header("content-type"), "application/cloudevents+json; charset=utf-8");
        assert_eq!(got.header("authorization"), "Bearer correct-horse");
        assert_eq!(got.header("webhook-id").replace('-', ""), got.json()["id"].as_str().unwrap().replace('-', ""));
    }
    let created = receiver.got().into_iter().find(|got| got.kind() == NEW_VERSION).unwrap().json();
    assert_eq!((&created["specversion"], &created["data"]["VaultName"]), (&json!("1.0"), &json!("default")));
    assert!(created["source"].as_str().unwrap().starts_with("https://default.localhost:"), "{created}");
    assert!(created["data"]["EXP"].as_i64() > created["data"]["NBF"].as_i64(), "{created}");

    // Nothing of the secrets is shown, and nothing waits.
    let shown = text(&server.cli(&["webhook", "show", "hooks"], "")) + &server.json(&["webhook", "list"]).to_string();
    assert!(!shown.contains("whsec_") && !shown.contains("horse"), "{shown}");
    let log = server.log();
    assert!(!log.contains("whsec_") && !log.contains("horse"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_grid_gets_its_own_form_of_the_types_that_were_asked_for() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    receiver.answers(Answer::Handshake { origin: "", agrees: true });
    let asked = ["--envelope", "eventgrid", "--handshake", "--event", "Microsoft.KeyVault.*"];
    server.hook("grid", &receiver, &asked);
    let validation = receiver.got().pop().unwrap();
    assert_eq!(validation.header("aeg-event-type"), "SubscriptionValidation");
    server.create("web").await;
    crate::peers::until("an event", || async { receiver.got().len() > 1 }).await;
    let event = receiver.got()[1].clone();
    assert_eq!((event.header("aeg-event-type"), event.header("aeg-delivery-count")), ("Notification", "0"));
    let event = event.json();
    assert_eq!((&event[0]["eventType"], &event[0]["subject"]), (&json!(NEW_VERSION), &json!("web")));
    let members: BTreeSet<&str> = event[0]["data"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["EXP", "Id", "NBF", "ObjectName", "ObjectType", "VaultName", "Version"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_agree_gets_nothing() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    for (envelope, answer) in [
        ("eventgrid", Answer::Handshake { origin: "*", agrees: false }),
        ("cloudevents", Answer::Handshake { origin: "other.example", agrees: true }),
        ("cloudevents", Answer::Status(404)),
    ] {
        receiver.answers(answer);
        let url = receiver.url();
        let refused = server.cli(&["webhook", "set", "no", "--url", &url, "--envelope", envelope, "--handshake"], "");
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains("does not agree"), "{}", text(&refused));
    }
    assert_eq!(server.json(&["webhook", "list"])["webhooks"], json!([]));
    receiver.answers(Answer::Handshake { origin: "*", agrees: false });
    server.hook("yes", &receiver, &["--handshake"]);
    let asked = receiver.got().pop().unwrap();
    assert_eq!(asked.method, Method::OPTIONS);
    assert!(asked.header("webhook-request-origin").starts_with("default.localhost:"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_how_the_receiver_took_it_and_secrets_are_replaced_without_a_gap() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    let first = server.hook("hooks", &receiver, &[]);
    assert_eq!(server.json(&["webhook", "test", "hooks"])["taken"], json!(true));
    let second = server.hook("hooks", &receiver, &["--make-secret"]);
    server.json(&["webhook", "test", "hooks"]);
    let both = receiver.got().pop().unwrap();
    assert!(signed(&both, &first) && signed(&both, &second) && both.kind() == "certmint.v1.webhook.test");
    assert_eq!(server.hook("hooks", &receiver, &["--forget-secrets"]), "", "none is made");
    receiver.answers(Answer::Status(503));
    let failed = server.cli(&["webhook", "test", "hooks"], "");
    assert_eq!(failed.status.code(), Some(5), "{}", text(&failed));
    assert!(text(&failed).contains("status 503"), "{}", text(&failed));
    let last = receiver.got().pop().unwrap();
    assert!(signed(&last, &second) && !signed(&last, &first));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_webhooks_and_addresses_that_are_not_allowed_are_refused() {
    let (server, receiver) = (Certmint::start(FAST, &[]).await, Receiver::start().await);
    for (arguments, says) in [
        (&["--url", "http://hooks.example/"][..], "Only https"),
        (&["--url", "https://u:hunter2@hooks.example/"], "leave the user name"),
        (&["--url", "https://hooks.example/", "--event", "certmint.v2.*"], "docs/events.md"),
    ] {
        let refused = server.cli(&[&["webhook", "set", "bad"], arguments].concat(), "");
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains(says) && !text(&refused).contains("hunter2"), "{}", text(&refused));
    }
    let missing = server.cli(&["webhook", "show", "none"], "");
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
    server.json(&["webhook", "set", "meta", "--url", "https://169.254.169.254/latest"]);
    let tried = server.cli(&["webhook", "test", "meta"], "");
    assert!(text(&tried).contains("webhooks.allow"), "{}", text(&tried));
    drop(receiver);
}
