//! The whole program against pebble: an issuer is set on the command line, certificates are ordered over REST, and the
//! CA's http-01 requests are answered by the server.

use crate::peers::{Pebble, PebbleOptions, until};
use crate::program::{Certmint, text};
use http::Method;
use serde_json::{Value, json};
use std::process::Output;

/// A server that answers http-01 where pebble looks.
pub(crate) async fn start(pebble: &Pebble) -> Certmint {
    start_with(pebble, "").await
}

/// With more `[limits]`.
pub(crate) async fn start_with(pebble: &Pebble, limits: &str) -> Certmint {
    let port = pebble.http_port;
    let config = format!("[limits]\nwork_lease = '5s'\n{limits}\n[acme]\nhttp_listen = '127.0.0.1:{port}'\n");
    Certmint::start(&config, &[("pebble-ca.pem", &pebble.ca_pem)]).await
}

impl Certmint {
    pub(crate) fn set_issuer(&self, pebble: &Pebble, more: &[&str]) -> Output {
        let directory = format!("directory={}", pebble.directory);
        let own = ["issuer", "set", "le", "--provider", "ACME", "--option", &directory];
        let more = own.iter().chain(more).copied();
        let more = more.chain(["--option", "ca_file=pebble-ca.pem", "--option", "agree_to_terms=true"]);
        self.cli(&more.collect::<Vec<_>>(), "")
    }

    /// Orders a certificate over REST.
    async fn create(&self, name: &str, subject: &str, hosts: &[&str]) {
        let policy = json!({
            "key_props": {"kty": "EC", "crv": "P-256"},
            "x509_props": {"subject": subject, "sans": {"dns_names": hosts}},
            "issuer": {"name": "le"},
        });
        let body = json!({ "policy": policy });
        let (status, answer) = self.send(Method::POST, &format!("/certificates/{name}/create"), Some(&body)).await;
        assert_eq!(status, 202, "{answer}");
    }

    async fn completed(&self, name: &str) -> Value {
        until("the operation is completed", || async {
            let pending = self.pending(name).await;
            assert_ne!(pending["status"], "failed", "{pending}\n{}", self.log());
            pending["status"] == "completed"
        })
        .await;
        self.send(Method::GET, &format!("/certificates/{name}"), None).await.1
    }
}

#[tokio::test]
async fn an_issuer_is_set_on_the_command_line_and_its_certificates_are_completed() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let server = start(&pebble).await;
    let set =
        server.set_issuer(&pebble, &["--option", "challenge=http-01", "--option", "contacts=mailto:ops@example.com"]);
    assert!(set.status.success(), "{}\n{}", text(&set), server.log());
    let (_, issuer) = server.send(Method::GET, "/certificates/issuers/le", None).await;
    assert_eq!((&issuer["provider"], &issuer["options"]["challenge"]), (&json!("ACME"), &json!("http-01")), "{issuer}");
    assert_eq!(issuer["options"]["ca_file"], json!(pebble.ca_pem));

    server.create("web", "CN=web.example", &["www.web.example"]).await;
    let certificate = server.completed("web").await;
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, certificate["cer"].as_str().unwrap());
    let der = der.unwrap();
    let (_, read) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(read.issuer().to_string().contains("Pebble"), "{}", read.issuer());
    let names = read.subject_alternative_name().unwrap().unwrap().value.general_names.len();
    assert_eq!(names, 2, "the common name stands among the alternative names");
    // The next order finds the account.
    server.create("api", "CN=api.example", &[]).await;
    server.completed("api").await;
    let accounts = std::fs::read_to_string(pebble.folder.path().join("pebble.log")).unwrap();
    assert_eq!(accounts.matches("POST /sign-me-up").count(), 1, "{accounts}");
}

#[tokio::test]
async fn a_server_that_is_killed_in_between_completes_the_order_after_its_restart() {
    let pebble = Pebble::start(PebbleOptions { slow_validation: Some(3), ..Default::default() }).await;
    let server = start(&pebble).await;
    let set = server.set_issuer(&pebble, &[]);
    assert!(set.status.success(), "{}", text(&set));
    server.create("web", "CN=web.example", &[]).await;
    // Killed right after the creation, then again when the order has made progress.
    server.restart().await;
    until("the order is under way", || async {
        let pending = server.pending("web").await;
        pending["status"] == "completed"
            || pending["status_details"].as_str().is_some_and(|text| text.contains("order"))
    })
    .await;
    server.restart().await;
    server.completed("web").await;
}

#[tokio::test]
async fn a_ca_that_is_down_when_the_issuer_is_set_is_asked_again_by_the_first_order() {
    let mut pebble = Pebble::start(PebbleOptions::default()).await;
    let server = start(&pebble).await;
    pebble.stop();
    let set = server.set_issuer(&pebble, &[]);
    assert!(set.status.success(), "{}", text(&set));
    server.create("web", "CN=web.example", &[]).await;
    until("the reason is shown", || async {
        server.pending("web").await["status_details"].as_str().is_some_and(|text| text.contains("No connection"))
    })
    .await;
    pebble.restart().await;
    server.completed("web").await;
}

#[tokio::test]
async fn wrong_options_are_refused_by_their_name_and_secrets_are_never_answered() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let server = start(&pebble).await;
    let unknown = server.set_issuer(&pebble, &["--option", "chalenge=http-01"]);
    assert!(!unknown.status.success());
    let said = text(&unknown);
    assert!(said.contains("chalenge") && said.contains("challenge") && said.contains("eab_kid"), "{said}");

    std::fs::write(server.file("hmac"), "c2VjcmV0LW1hYy1rZXk\n").unwrap();
    let set = server.set_issuer(&pebble, &["--option", "eab_kid=kid-1", "--secret-option", "eab_hmac=hmac"]);
    assert!(set.status.success(), "{}", text(&set));
    let changed = json!({"options": {"max_orders": 3, "eab_kid": "kid-1"}});
    let (status, issuer) = server.send(Method::PATCH, "/certificates/issuers/le", Some(&changed)).await;
    assert_eq!((status, &issuer["options"]["max_orders"]), (200, &json!("3")), "{issuer}");
    let shown = server.cli(&["--output", "json", "issuer", "show", "le"], "");
    for answer in [issuer.to_string(), text(&set), text(&shown), server.log()] {
        assert!(!answer.contains("c2VjcmV0LW1hYy1rZXk"), "{answer}");
    }
    // The secret stayed through the change: without it the identifier would be refused.
    let removed = json!({"secret_options": {"eab_hmac": ""}});
    let (status, refusal) = server.send(Method::PATCH, "/certificates/issuers/le", Some(&removed)).await;
    assert_eq!(status, 400);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("eab_hmac"), "{refusal}");

    let policy = json!({"policy": {"x509_props": {"subject": "CN=x", "sans": {"emails": ["a@b.example"]}}, "issuer": {"name": "le"}}});
    let (status, refusal) = server.send(Method::POST, "/certificates/mail/create", Some(&policy)).await;
    assert_eq!(status, 400, "{refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("emails"), "{refusal}");
}
