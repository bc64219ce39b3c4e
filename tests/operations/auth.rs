//! Callers with valid, invalid and no tokens, on both APIs.

use crate::clients::{CREATE, channel, create, get, grpc, reason, rest, until, watch};
use crate::server::{ALICE, BOB, Place};
use certmint::proto::v1::{GetPendingRequest, ListPendingRequest};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

const PENDING: &str = "/certificates/web/pending?api-version=7.4";

#[tokio::test]
async fn rest_takes_a_good_token_and_challenges_every_other() {
    let place = Place::new("");
    let server = place.start();
    for (token, path) in [(None, PENDING), (Some("wrong"), PENDING), (Some(""), PENDING), (None, "/nonsense")] {
        let answer = get(&server, &place, token, path).await;
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        let challenge = "www-authenticate: Bearer authorization=\"https://localhost:8443/adfs\", \
                         resource=\"https://localhost:8443\"\r\n";
        assert!(answer.contains(challenge), "{answer}");
        let body =
            r#"{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}"#;
        assert!(answer.ends_with(body), "{answer}");
    }
    let created = rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    assert!(created.starts_with("HTTP/1.1 202"), "{created}");
    let answer = get(&server, &place, Some(BOB), PENDING).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn grpc_takes_a_good_token_and_refuses_every_other() {
    let place = Place::new("");
    let server = place.start();
    for token in [None, Some("wrong")] {
        let mut client = grpc(&server, &place, token).await;
        let refused = client.list_pending(ListPendingRequest::default()).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
        let refused = watch(&mut client, "").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    client.create_certificate(create("web")).await.unwrap();
    let expected = GetPendingRequest { certificate_name: "web".to_owned(), ..GetPendingRequest::default() };
    client.get_pending(expected).await.unwrap();
}

#[tokio::test]
async fn health_is_open_and_reflection_as_configured() {
    let place = Place::new("");
    for open in [true, false] {
        place.configure(&place.auth(&format!("open_reflection = {open}")));
        let server = place.start();
        let channel = channel(&server, &place).await;
        let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
        assert_eq!(health.unwrap().into_inner().status, 1);
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let mut client = ServerReflectionClient::new(channel);
        let answer = client.server_reflection_info(tokio_stream::once(request)).await;
        let refused = answer.as_ref().err().map(tonic::Status::code);
        assert_eq!(refused, (!open).then_some(Code::Unauthenticated));
    }
}

#[tokio::test]
async fn the_limit_of_streams_is_each_callers_own() {
    let place = Place::new("[limits]\nwatch_streams_per_principal = 1");
    let server = place.start();
    let (mut alice, mut bob) = (grpc(&server, &place, Some(ALICE)).await, grpc(&server, &place, Some(BOB)).await);
    let _held = watch(&mut alice, "").await.unwrap();
    let refused = watch(&mut alice, "").await.unwrap_err();
    assert_eq!(reason(&refused), "WATCH_LIMIT_EXCEEDED");
    watch(&mut bob, "").await.unwrap();
}

#[tokio::test]
async fn a_change_leaves_a_line_with_its_caller_and_no_line_has_a_token() {
    let place = Place::new("");
    let server = place.start();
    rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    grpc(&server, &place, Some(BOB)).await.create_certificate(create("api")).await.unwrap();
    get(&server, &place, Some("a-wrong-token"), PENDING).await;
    until("two lines", async || server.log().matches("certmint::audit").count() == 2).await;
    let log = server.log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["target"] == "certmint::audit")
        .collect();
    let told = |line: &serde_json::Value| {
        ["principal", "api", "action", "vault", "name", "outcome"].map(|field| line[field].as_str().unwrap().to_owned())
    };
    assert_eq!(
        told(&lines[0]),
        ["token:alice", "rest", "/certificates/{certificate_name}/create", "default", "web", "202"]
    );
    let method = "certmint.v1.CertificateService/CreateCertificate";
    assert_eq!(told(&lines[1]), ["token:bob", "grpc", method, "default", "api", "OK"]);
    for secret in [ALICE, BOB, "a-wrong-token"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_new_token_is_one_that_its_line_lets_in() {
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_certmint"))
        .args(["--output", "json", "token", "new", "deploy@ci"])
        .output()
        .unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    assert_eq!(made["line"], format!("deploy@ci {}", crate::server::hash(token)));
}

#[tokio::test]
async fn the_command_line_takes_its_token_from_a_file() {
    let place = Place::new("");
    let server = place.start();
    std::fs::write(place.file("token"), format!("{ALICE}\n")).unwrap();
    let list = |token: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["--server", &format!("https://localhost:{}", server.address.port())]);
        command.arg("--ca").arg(place.file("tls.crt")).args(["pending", "list"]);
        if let Some(file) = token {
            command.env("CERTMINT_TOKEN_FILE", place.file(file));
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(list(Some("token")), (Some(0), String::new()));
    let (code, message) = list(None);
    assert!(code == Some(1) && message.contains("bearer token"), "{code:?} {message}");
    let (code, message) = list(Some("none"));
    assert!(code == Some(2) && message.contains("cannot read"), "{message}");
}
