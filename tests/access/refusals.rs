//! What a caller may do by his grants, and what he is told about the rest, over both APIs.

use crate::kit::{ADMIN, Server, create, facts, policy, reason};
use certmint::proto::v1;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use tonic::Code;
use tonic_types::StatusExt;

const SHOP: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["shop-*"]
    issuers = ["Self", "Unknown"]

    [[grant]]
    principal = "token:reader"
    role = "Key Vault Reader"
    vault = "*"
"#;

/// The whole body that a caller gets, as Azure writes it.
fn body(principal: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"error":{{"code":"Forbidden","message":"Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: name={principal};iss=certmint\r\nAction: 'Microsoft.KeyVault/vaults/{action}'\r\nResource: '/providers/microsoft.keyvault/vaults/default{resource}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: default;location=certmint\r\n","innererror":{{"code":"ForbiddenByRbac"}}}}}}"#
    )
}

#[tokio::test]
async fn a_team_makes_its_certificates_and_no_others() {
    let server = Server::start(SHOP).await;
    server.must("shop", "POST /certificates/shop-web/create", &policy("Unknown")).await;
    server.must("shop", "GET /certificates/SHOP-web/pending", "").await;
    for (request, action, resource) in [
        ("POST /certificates/web/create", "certificates/create/action", "/certificates/web"),
        ("GET /certificates/shop", "certificates/read", "/certificates/shop"),
        ("PATCH /certificates/web/policy", "certificates/update/action", "/certificates/web"),
        ("POST /certificates/web/pending/merge", "certificates/create/action", "/certificates/web"),
        ("GET /secrets/shop-web", "secrets/getSecret/action", "/secrets/shop-web"),
        ("GET /secrets", "secrets/readMetadata/action", ""),
        ("POST /keys/shop-web/sign", "keys/sign/action", "/keys/shop-web"),
        ("GET /certificates/issuers/corp", "certificatecas/read", "/certificates/issuers/corp"),
        ("PUT /certificates/contacts", "certificatecontacts/write", ""),
    ] {
        let reply = server.send("shop", request, "no JSON").await;
        assert_eq!((reply.status, reply.body), (403, body("token:shop", action, resource)), "{request}");
    }
}

#[tokio::test]
async fn a_caller_without_a_grant_may_do_nothing_and_an_administrator_everything() {
    let server = Server::start(SHOP).await;
    server.must(ADMIN, "POST /certificates/web/create", &policy("Unknown")).await;
    for request in ["GET /certificates", "GET /certificates/web", "DELETE /certificates/web/pending", "GET /keys"] {
        assert_eq!(server.send("nobody", request, "").await.status, 403, "{request}");
    }
    let refused = server.client("nobody").list_pending(v1::ListPendingRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ACCESS_DENIED"));
    server.must(ADMIN, "DELETE /certificates/web/pending", "").await;
}

#[tokio::test]
async fn grpc_says_the_same_in_its_form() {
    let server = Server::start(SHOP).await;
    let mut shop = server.client("shop");
    shop.create_certificate(create("shop-1", "Unknown")).await.unwrap();
    let refused = shop.create_certificate(create("web", "Unknown")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ACCESS_DENIED"));
    let facts = facts(&refused);
    for (key, value) in [
        ("httpStatus", "403"),
        ("azureCode", "Forbidden"),
        ("innerCode", "ForbiddenByRbac"),
        ("action", "Microsoft.KeyVault/vaults/certificates/create/action"),
        ("vault", "default"),
        ("name", "web"),
        ("principal", "token:shop"),
    ] {
        assert_eq!(facts.get(key).map(String::as_str), Some(value), "{key}");
    }
    let resource = refused.get_details_resource_info().unwrap();
    assert_eq!((resource.resource_type.as_str(), resource.resource_name.as_str()), ("certificate", "web"));
    assert!(refused.get_details_retry_info().is_none());
    assert!(refused.message().starts_with("Caller is not authorized to perform action on resource.\r\n"));

    let mut secrets = SecretServiceClient::new(server.channel("shop"));
    let wanted = v1::GetSecretRequest { secret_name: "shop-1".to_owned(), ..Default::default() };
    let refused = secrets.get_secret(wanted).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}

#[tokio::test]
async fn a_refusal_does_not_say_whether_the_object_is_there() {
    let server = Server::start(SHOP).await;
    server.must(ADMIN, "POST /certificates/there/create", &policy("Unknown")).await;
    let told = async |name: &str| {
        let reply = server.send("shop", &format!("GET /certificates/{name}/pending"), "").await;
        (reply.status, reply.body.replace(name, "NAME"))
    };
    assert_eq!(told("there").await, told("missing").await);
    let message = async |name: &str| {
        let wanted = v1::GetPendingRequest { certificate_name: name.to_owned(), ..Default::default() };
        let refused = server.client("shop").get_pending(wanted).await.unwrap_err();
        (refused.code(), refused.message().replace(name, "NAME"))
    };
    assert_eq!(message("there").await, message("missing").await);
}

#[tokio::test]
async fn access_is_checked_after_the_names_and_before_the_body() {
    let server = Server::start(SHOP).await;
    let status = async |host: &str, request: &str| server.send_to(host, "shop", request, "no JSON").await.status;
    assert_eq!(status("nowhere.localhost:8443", "POST /certificates/web/create").await, 404, "the vault is first");
    assert_eq!(status("localhost:8443", "POST /certificates/a_b/create").await, 400, "then the name");
    assert_eq!(status("localhost:8443", "POST /certificates/web/create").await, 403, "then the right");
    assert_eq!(status("localhost:8443", "POST /certificates/shop-1/create").await, 400, "then the body");
    assert_eq!(status("localhost:8443", "PUT /certificates/web").await, 405, "methods are no secret");
    // A body that is too large is not looked at where the name or the right is wrong.
    let large = " ".repeat(2 << 20);
    for (name, expected) in [("a_b", 400), ("web", 403), ("shop-1", 413)] {
        let reply = server.send("shop", &format!("POST /certificates/{name}/create"), &large).await;
        assert_eq!(reply.status, expected, "{name}: {}", reply.body);
    }
    let told = async |name: &str, vault: &str| {
        let mut request = create(name, "Unknown");
        vault.clone_into(&mut request.vault_name);
        request.policy.as_mut().unwrap().x509_properties.as_mut().unwrap().subject = "no name".to_owned();
        reason(&server.client("shop").create_certificate(request).await.unwrap_err())
    };
    assert_eq!(told("web", "nowhere").await, "VAULT_NOT_FOUND");
    assert_eq!(told("a_b", "").await, "BAD_PARAMETER");
    assert_eq!(told("web", "").await, "ACCESS_DENIED");
    assert_eq!(told("shop-1", "").await, "BAD_PARAMETER");
}

#[tokio::test]
async fn a_method_that_stands_for_another_needs_the_right_of_the_other() {
    let server = Server::start(SHOP).await;
    server.must(ADMIN, "POST /certificates/web/create", &policy("Unknown")).await;
    let request = http::Request::builder()
        .method("POST")
        .uri("/certificates/web?api-version=7.4")
        .header("host", "localhost")
        .header("authorization", "Bearer reader")
        .header("x-http-method", "DELETE")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(server.oneshot(request).await, 403);
    server.must("reader", "GET /certificates/web", "").await;
}

#[tokio::test]
async fn a_reader_sees_every_vault_and_no_secret() {
    let server = Server::start(SHOP).await;
    server.issue(&["web"]).await;
    for request in ["GET /certificates/web", "GET /keys/web", "GET /secrets", "GET /certificates/issuers"] {
        server.must("reader", request, "").await;
    }
    for request in ["GET /secrets/web", "DELETE /certificates/web", "POST /certificates/web/backup"] {
        assert_eq!(server.send("reader", request, "").await.status, 403, "{request}");
    }
    assert_eq!(server.send("reader", "PUT /secrets/web", r#"{"value":"x"}"#).await.status, 403);
}
