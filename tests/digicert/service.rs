//! The whole program against the mock: scenario 1 over both APIs, kill -9 in between.

use crate::mock::{KEY, Mock};
use crate::peers::until;
use crate::program::{Certmint, text};
use http::Method;
use serde_json::{Value, json};
use std::process::Output;

const IN_PROGRESS: &str = "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later";

async fn serve(mock: &Mock) -> Certmint {
    Certmint::start("[limits]\nwork_lease = '5s'\n", &[("mock-ca.pem", &mock.ca_pem)]).await
}

impl Certmint {
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[&["--output", "json"], arguments].concat(), "");
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    }

    /// The command as operators write it, and where the mock is.
    fn set_issuer(&self, mock: &Mock) -> Output {
        let form = "issuer set mydigicert --provider DigiCert --account-id 12345 --password-stdin \
                    --organization-id 123456 --option product.OV-SSL=ssl_basic";
        let base_url = format!("base_url={}", mock.base_url);
        let more = ["--option", &base_url, "--option", "ca_file=mock-ca.pem"];
        self.cli(&form.split_whitespace().chain(more).collect::<Vec<_>>(), &format!("{KEY}\n"))
    }

    /// Scenario 1, as it stands.
    async fn create(&self, name: &str) -> (u16, Value) {
        let body = json!({"policy": {"key_props": {"kty": "EC", "crv": "P-256"},
            "x509_props": {"subject": "CN=MyCertSubject1"}, "issuer": {"name": "mydigicert", "cty": "OV-SSL"}}});
        self.send(Method::POST, &format!("/certificates/{name}/create"), Some(&body)).await
    }

    async fn ended(&self, name: &str) -> Value {
        until("the operation ends", || async { self.pending(name).await["status"] != "inProgress" }).await;
        self.pending(name).await
    }
}

async fn start(status: &str) -> (Mock, Certmint) {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some(status.into()));
    let server = serve(&mock).await;
    let set = server.set_issuer(&mock);
    assert!(set.status.success(), "{}\n{}", text(&set), server.log());
    (mock, server)
}

async fn ordered(mock: &Mock) {
    until("the order is placed", || async { mock.placed() > 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_1_in_progress_and_completed_over_both_apis() {
    let (mock, server) = start("processing").await;
    let (status, operation) = server.create("mycert1").await;
    assert_eq!(status, 202, "{operation}");
    assert_eq!((&operation["status"], &operation["status_details"]), (&json!("inProgress"), &json!(IN_PROGRESS)));
    assert_eq!(
        (&operation["issuer"]["name"], &operation["cancellation_requested"]),
        (&json!("mydigicert"), &json!(false))
    );
    assert!(operation["csr"].as_str().is_some_and(|csr| csr.len() > 100), "{operation}");
    ordered(&mock).await;
    assert_eq!(mock.only_order().alternative, operation["request_id"].as_str().unwrap());
    let shown = server.json(&["pending", "show", "mycert1"]);
    assert!(shown.to_string().to_uppercase().contains("PROGRESS"), "{shown}");
    until("the reason is shown", || async {
        server.pending("mycert1").await["status_details"]
            .as_str()
            .is_some_and(|text| text.contains("DigiCert is issuing"))
    })
    .await;
    mock.set_status("issued");
    let ended = server.ended("mycert1").await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert!(ended["target"].as_str().unwrap().contains("/certificates/mycert1"), "{ended}");
    let (status, certificate) = server.send(Method::GET, "/certificates/mycert1", None).await;
    assert_eq!((status, &certificate["policy"]["issuer"]["cty"]), (200, &json!("OV-SSL")), "{certificate}");
    // The next version is a reissue within the same order.
    mock.faults(|faults| faults.first_status = None);
    server.create("mycert1").await;
    assert_eq!(server.ended("mycert1").await["status"], "completed");
    assert_eq!(mock.only_order().reissues.len(), 1);
    // The same over gRPC, to its end.
    mock.account().orders.clear();
    let policy = ["--subject", "CN=MyCertSubject1", "--issuer", "mydigicert", "--certificate-type", "OV-SSL"];
    let created = server.cli(&[&["create", "mycert2", "--wait"], policy.as_slice()].concat(), "");
    assert!(created.status.success(), "{}\n{}", text(&created), server.log());
    assert_eq!(mock.only_order().product, "ssl_basic");
    for shown in [server.log(), text(&server.cli(&["--output", "json", "issuer", "show", "mydigicert"], ""))] {
        assert!(!shown.contains(KEY), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_4_failed_with_both_codes_and_cancelled() {
    let (mock, server) = start("rejected").await;
    server.create("mycert1").await;
    let ended = server.ended("mycert1").await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("Request rejected")), "{ended}");
    mock.faults(|faults| faults.first_status = Some("expired".into()));
    server.create("mycert2").await;
    let ended = server.ended("mycert2").await;
    assert_eq!(ended["error"]["code"], "Certificate issuer error", "{ended}");
    // Over gRPC.
    let policy = ["--subject", "CN=a.example", "--issuer", "mydigicert", "--certificate-type", "OV-SSL"];
    let created = server.cli(&[&["create", "mycert3", "--wait"], policy.as_slice()].concat(), "");
    assert!(!created.status.success() && text(&created).contains("Certificate issuer error"), "{}", text(&created));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_8_a_cancellation_is_granted_or_refused() {
    let (mock, server) = start("pending").await;
    let cancel = json!({"cancellation_requested": true});
    server.create("mycert1").await;
    ordered(&mock).await;
    let (status, answer) = server.send(Method::PATCH, "/certificates/mycert1/pending", Some(&cancel)).await;
    assert_eq!(
        (status, &answer["status"], &answer["cancellation_requested"]),
        (200, &json!("inProgress"), &json!(true))
    );
    assert_eq!(server.ended("mycert1").await["status"], "cancelled");
    assert_eq!(mock.only_order().status, "canceled");

    mock.account().orders.clear();
    mock.faults(|faults| (faults.first_status, faults.refuse_cancel) = (Some("processing".into()), true));
    server.create("mycert2").await;
    ordered(&mock).await;
    server.send(Method::PATCH, "/certificates/mycert2/pending", Some(&cancel)).await;
    until("the refusal is shown", || async {
        server.pending("mycert2").await["status_details"].as_str().is_some_and(|text| text.contains("did not grant"))
    })
    .await;
    mock.set_status("issued");
    let ended = server.ended("mycert2").await;
    assert_eq!((&ended["status"], &ended["cancellation_requested"]), (&json!("completed"), &json!(true)), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_9_a_deletion_while_ordering_cancels_the_order() {
    let (mock, server) = start("pending").await;
    server.create("mycert1").await;
    ordered(&mock).await;
    let (status, answer) = server.send(Method::DELETE, "/certificates/mycert1/pending", None).await;
    assert_eq!((status, &answer["status"]), (200, &json!("inProgress")), "{answer}");
    assert_eq!(server.send(Method::GET, "/certificates/mycert1/pending", None).await.0, 404);
    until("the order is canceled", || async { mock.only_order().status == "canceled" }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_any_point_completes_with_one_order() {
    let (mock, server) = start("processing").await;
    for (number, pause) in [0, 5, 20, 60, 150, 400].into_iter().enumerate() {
        let name = format!("cert{number}");
        server.create(&name).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        server.restart().await;
    }
    until("all orders are placed", || async { mock.placed() >= 6 }).await;
    server.restart().await;
    mock.set_status("issued");
    mock.faults(|faults| faults.first_status = None);
    for number in 0..6 {
        assert_eq!(server.ended(&format!("cert{number}")).await["status"], "completed");
    }
    assert_eq!(mock.placed(), 6, "{:?}", mock.account().calls);
}

/// As `az keyvault certificate issuer create` and the SDKs send it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_of_key_vault_sets_the_issuer() {
    let mock = Mock::start().await;
    let server = serve(&mock).await;
    let issuer = json!({"provider": "DigiCert", "credentials": {"account_id": "12345", "pwd": KEY},
        "org_details": {"id": "123456", "admin_details": [{"first_name": "Jane", "last_name": "Doe",
            "email": "jane@example.com", "phone": "555 0100"}]}, "attributes": {"enabled": true}});
    let (status, answer) = server.send(Method::PUT, "/certificates/issuers/mydigicert", Some(&issuer)).await;
    assert_eq!((status, &answer["provider"]), (200, &json!("DigiCert")), "{answer}");
    assert_eq!(answer["credentials"], json!({"account_id": "12345"}), "{answer}");
    assert!(answer.get("options").is_none(), "{answer}");
    let missing = json!({"provider": "DigiCert", "org_details": {"id": "123456"}});
    let (status, refusal) = server.send(Method::PUT, "/certificates/issuers/other", Some(&missing)).await;
    assert_eq!(status, 400);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("credentials.pwd"), "{refusal}");
}
