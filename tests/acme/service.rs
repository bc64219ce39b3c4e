//! The whole program against pebble: an issuer is set on the command line, certificates are ordered over REST, and the
//! CA's http-01 requests are answered by the server.

use crate::peers::{Pebble, PebbleOptions, Process, free_port, until};
use certmint::outbound::{Client, ClientOptions, Exchange, Request, Response};
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Mutex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_certmint");

/// `CERTMINT_BINARY`, or the one that was built with the tests.
fn program() -> String {
    std::env::var("CERTMINT_BINARY").unwrap_or_else(|_| PROGRAM.to_owned())
}

/// A server in development mode that answers http-01 where pebble looks.
pub(crate) struct Certmint {
    folder: tempfile::TempDir,
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Certmint {
    pub(crate) async fn start(pebble: &Pebble) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "dev = true\ndata_dir = '{}/data'\nlisten = '127.0.0.1:{port}'\n[limits]\nwork_lease = '5s'\n\
             [acme]\nhttp_listen = '127.0.0.1:{}'\n",
            folder.path().display(),
            pebble.http_port
        );
        std::fs::write(folder.path().join("certmint.toml"), config).unwrap();
        std::fs::write(folder.path().join("pebble-ca.pem"), &pebble.ca_pem).unwrap();
        let server = Self { folder, port, process: Mutex::default() };
        server.restart().await;
        server
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// kill -9, where it runs.
    fn kill(&self) {
        *self.process.lock().unwrap() = None;
    }

    async fn restart(&self) {
        self.kill();
        let config = self.file("certmint.toml");
        let process =
            Process::start(&program(), &["serve", "--config", config.to_str().unwrap()], &[], &self.file("log"));
        *self.process.lock().unwrap() = Some(process);
        until("the server answers", || async { self.try_send(Method::GET, "/certificates", None).await.is_some() })
            .await;
    }

    /// A client that keeps its connections.
    pub(crate) fn client(&self) -> Option<Client> {
        let ca = std::fs::read_to_string(self.file("data/ca.pem")).ok()?;
        let options = ClientOptions { extra_roots: Some(ca), native_roots: false, ..ClientOptions::default() };
        Client::new(options).ok()
    }

    /// A call of the REST API.
    pub(crate) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("https://localhost:{}{path}{separator}api-version=7.4", self.port);
        let mut request = Request::new(method, url);
        request.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer dev"));
        if let Some(body) = body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.to_string().into();
        }
        request
    }

    async fn try_send(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Response> {
        self.client()?.exchange(self.request(method, path, body)).await.ok()
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.try_send(method, path, body).await.expect("an answer");
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CERTMINT_SERVER", format!("https://localhost:{}", self.port))
            .env("CERTMINT_CA", self.file("data/ca.pem"))
            .env("CERTMINT_TOKEN", "dev")
            .output()
            .unwrap()
    }

    pub(crate) fn set_issuer(&self, pebble: &Pebble, more: &[&str]) -> Output {
        let directory = format!("directory={}", pebble.directory);
        let own = ["issuer", "set", "le", "--provider", "ACME", "--option", &directory];
        let more = own.iter().chain(more).copied();
        self.cli(
            &more.chain(["--option", "ca_file=pebble-ca.pem", "--option", "agree_to_terms=true"]).collect::<Vec<_>>(),
        )
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

    async fn pending(&self, name: &str) -> Value {
        self.send(Method::GET, &format!("/certificates/{name}/pending"), None).await.1
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

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn an_issuer_is_set_on_the_command_line_and_its_certificates_are_completed() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let server = Certmint::start(&pebble).await;
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
    let server = Certmint::start(&pebble).await;
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
    let server = Certmint::start(&pebble).await;
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
    let server = Certmint::start(&pebble).await;
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
    let shown = server.cli(&["--output", "json", "issuer", "show", "le"]);
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
