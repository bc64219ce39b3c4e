//! Token endpoints: every kind of request that client libraries send, and what is refused.

use crate::client::{Client, Reply};
use crate::support::service;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certmint::transport::auth::{Auth, Tokens};
use certmint::transport::rest::RestOptions;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const TOKEN: &str = "5up3r-s3cret.Token_1";
const MSI: &str = "GET /identity/token?api-version=2019-08-01&resource=https%3A%2F%2Fkv.test%3A8443";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HOST: (&str, &str) = ("host", "team-a.kv.test:8443");

/// A server for others, with one token.
async fn guarded() -> (Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let hash: String = digest(&SHA256, TOKEN.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&path, format!("shop {hash}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let auth = Auth::from(Tokens::load(&path).unwrap());
    let options = RestOptions { base_domain: "kv.test".to_owned(), ..RestOptions::new(auth) };
    (Client::over(service::start().await, options), folder)
}

fn stored_nowhere(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", reply.body);
    assert_eq!(reply.header("pragma"), Some("no-cache"));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

/// A refusal of App Service.
fn is_refused(reply: &Reply, status: u16, words: &str) {
    stored_nowhere(reply);
    let body = reply.json();
    assert_eq!((reply.status, &body["statusCode"]), (status, &json!(status)), "{}", reply.body);
    assert!(body["message"].as_str().unwrap().contains(words), "{}", reply.body);
    assert!(!reply.body.contains(TOKEN) && reply.header("www-authenticate").is_none());
}

/// A refusal of OAuth 2.0.
fn is_oauth_refusal(reply: &Reply, status: u16, error: &str, words: &str) {
    stored_nowhere(reply);
    let body = reply.json();
    assert_eq!((reply.status, body["error"].as_str()), (status, Some(error)), "{}", reply.body);
    assert!(body["error_description"].as_str().unwrap().contains(words), "{}", reply.body);
    assert!(body["error_codes"][0].is_u64() && body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(body["trace_id"].as_str().unwrap().len(), 36);
    assert!(!reply.body.contains(TOKEN) && !reply.body.contains("hunter2"));
}

fn form(change: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("grant_type", "client_credentials"),
        ("client_id", "any"),
        ("client_secret", TOKEN),
        ("scope", "https%3A%2F%2Fkv.test%3A8443%2F.default"),
    ];
    for (name, value) in change {
        pairs.retain(|(known, _)| known != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

async fn post(client: &Client, path: &str, body: &str) -> Reply {
    client.raw(&format!("POST {path}"), &[HOST, FORM], body).await
}

#[tokio::test]
async fn the_identity_endpoint_answers_the_callers_own_token() {
    let (client, _folder) = guarded().await;
    for header in ["x-identity-header", "X-Identity-Header", "secret"] {
        let reply = client.raw(MSI, &[HOST, (header, TOKEN), ("metadata", "true")], "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        stored_nowhere(&reply);
        let body = reply.json();
        let expires: i64 = body["expires_on"].as_str().unwrap().parse().unwrap();
        assert!(expires > 1_700_000_000);
        let expected = json!({
            "access_token": TOKEN,
            "expires_on": body["expires_on"],
            "resource": "https://kv.test:8443",
            "token_type": "Bearer",
        });
        assert_eq!(body, expected);
    }
    let bearer = format!("Bearer {TOKEN}");
    let reply = client.raw("GET /certificates?api-version=7.4", &[HOST, ("authorization", &bearer)], "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn the_identity_endpoint_returns_no_token_to_a_caller_without_one() {
    let (client, _folder) = guarded().await;
    let bearer = format!("Bearer {TOKEN}");
    for headers in [
        vec![HOST],
        vec![HOST, ("x-identity-header", "")],
        vec![HOST, ("x-identity-header", "wrong")],
        vec![HOST, ("authorization", bearer.as_str())],
        vec![HOST, ("x-identity-header", TOKEN), ("x-identity-header", "wrong")],
        vec![HOST, ("x-identity-header", TOKEN), ("secret", TOKEN)],
    ] {
        is_refused(&client.raw(MSI, &headers, "").await, 401, "IDENTITY_HEADER");
    }
    let reply = client.raw(&MSI.replace("GET", "POST"), &[HOST, ("x-identity-header", TOKEN)], "").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn a_token_is_for_this_server_alone() {
    let (client, _folder) = guarded().await;
    let ask = async |resource: &str| {
        let request = format!("GET /identity/token?api-version=2019-08-01&resource={resource}");
        client.raw(&request, &[HOST, ("x-identity-header", TOKEN)], "").await
    };
    for ours in ["https://kv.test:8443", "https://KV.test/", "https://team-a.kv.test:8443/", "kv.test:8443", ""] {
        assert_eq!(ask(ours).await.status, 200, "{ours}");
    }
    for other in
        ["https://vault.azure.net", "https://management.azure.com/", "https://evilkv.test", "https://kv.test.evil", "x"]
    {
        is_refused(&ask(other).await, 400, "ask with resource=https://kv.test:8443.");
        let scope = format!("{other}/.default");
        let reply = post(&client, "/adfs/oauth2/v2.0/token", &form(&[("scope", &scope)])).await;
        is_oauth_refusal(&reply, 400, "invalid_scope", "https://kv.test:8443/.default");
        let reply = post(&client, "/adfs/oauth2/token", &form(&[("scope", ""), ("resource", other)])).await;
        is_oauth_refusal(&reply, 400, "invalid_scope", "https://kv.test:8443/.default");
    }
}

#[tokio::test]
async fn no_part_of_what_is_asked_for_is_another_place() {
    let (client, _folder) = guarded().await;
    let ours = "https%3A%2F%2Fkv.test%3A8443%2F.default";
    let other = "https%3A%2F%2Fvault.azure.net%2F.default";
    for (scope, resource) in [
        (format!("{ours}+{other}"), ""),
        (format!("openid+{other}+{ours}"), ""),
        (other.to_owned(), ours),
        (format!("{ours}+https%3A%2F%2Fvault.azure.net%2Fuser_impersonation"), ""),
        (format!("{ours}+User.Read"), ""),
        (ours.to_owned(), "https%3A%2F%2Fvault.azure.net"),
    ] {
        let body = form(&[("scope", &scope), ("resource", resource)]);
        let reply = post(&client, "/adfs/oauth2/v2.0/token", &body).await;
        is_oauth_refusal(&reply, 400, "invalid_scope", "https://kv.test:8443/.default");
    }
    // What other readers of addresses take for another host.
    for host in
        ["evil.example%5C.kv.test", "evil.example%5C%5C%40kv.test", "evil.example%09.kv.test", "evil.example%40kv.test"]
    {
        let request = format!("GET /identity/token?api-version=2019-08-01&resource=https%3A%2F%2F{host}%2F");
        let reply = client.raw(&request, &[HOST, ("x-identity-header", TOKEN)], "").await;
        is_refused(&reply, 400, "ask with resource=https://kv.test:8443.");
        let scope = format!("https%3A%2F%2F{host}%2F.default");
        let reply = post(&client, "/adfs/oauth2/v2.0/token", &form(&[("scope", &scope)])).await;
        is_oauth_refusal(&reply, 400, "invalid_scope", "https://kv.test:8443/.default");
    }
    let all = format!("{ours}+https%3A%2F%2Fteam-a.kv.test%3A8443%2F.default+openid+profile+offline_access+email");
    let reply = post(&client, "/adfs/oauth2/v2.0/token", &form(&[("scope", &all), ("resource", ours)])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn the_token_endpoint_takes_every_form_of_the_libraries() {
    let (client, _folder) = guarded().await;
    let scope = "https%3A%2F%2Fkv.test%3A8443%2F.default";
    let go = format!("{scope}+openid+offline_access+profile");
    let java = format!("openid+profile+offline_access+{scope}");
    let assertion = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    for (path, body) in [
        ("/adfs/oauth2/v2.0/token", form(&[])),
        ("/adfs/oauth2/v2.0/token?client-request-id=1", form(&[("client_info", "1")])),
        ("/adfs/oauth2/v2.0/token", form(&[("scope", &go)])),
        ("/adfs/oauth2/token", form(&[("scope", &java)])),
        ("/adfs/oauth2/token", form(&[("scope", ""), ("resource", "https%3A%2F%2Fkv.test%3A8443%2F")])),
        ("/0a1b2c3d-0000-4000-8000-000000000001/oauth2/v2.0/token", form(&[])),
        ("/adfs/oauth2/v2.0/token/", form(&[("scope", ""), ("claims", "%7B%22access_token%22%3A%7B%7D%7D")])),
        (
            "/adfs/oauth2/v2.0/token",
            form(&[("client_secret", ""), ("client_assertion", TOKEN), ("client_assertion_type", assertion)]),
        ),
    ] {
        let reply = post(&client, path, &body).await;
        assert_eq!(reply.status, 200, "{path} {body}: {}", reply.body);
        stored_nowhere(&reply);
        let expected =
            json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": TOKEN});
        assert_eq!(reply.json(), expected);
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("any:{TOKEN}")));
    let headers =
        [HOST, ("content-type", "application/x-www-form-urlencoded; charset=utf-8"), ("authorization", &basic)];
    let reply =
        client.raw("POST /adfs/oauth2/token", &headers, &form(&[("client_secret", ""), ("client_id", "")])).await;
    assert_eq!(reply.json()["access_token"], TOKEN);
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_the_words_of_oauth() {
    let (client, _folder) = guarded().await;
    let twice = format!("{}&client_secret=x", form(&[]));
    let both = form(&[("client_assertion", "hunter2"), ("client_assertion_type", "x")]);
    let long = form(&[("client_secret", &"x".repeat(10_000))]);
    let many = format!("{}{}", form(&[]), (0..64).map(|number| format!("&p{number}=")).collect::<String>());
    for (body, status, error, words) in [
        (form(&[("client_secret", "hunter2")]), 401, "invalid_client", "must be a token that this server accepts"),
        (form(&[("client_secret", "%0d%0ahunter2")]), 401, "invalid_client", "must be a token"),
        (long, 401, "invalid_client", "must be a token"),
        (form(&[("client_secret", "")]), 401, "invalid_client", "client_secret is missing"),
        (form(&[("grant_type", "")]), 400, "invalid_request", "no grant_type"),
        (form(&[("grant_type", "password")]), 400, "unsupported_grant_type", "client_credentials"),
        (form(&[("grant_type", "authorization_code")]), 400, "unsupported_grant_type", "client_credentials"),
        (twice, 400, "invalid_request", "a parameter twice"),
        (many, 400, "invalid_request", "more than 64 parameters"),
        (both, 400, "invalid_request", "client_assertion_type must be"),
        ("%FF=1".to_owned(), 400, "invalid_request", "not a UTF-8 form"),
        (String::new(), 400, "invalid_request", "no grant_type"),
    ] {
        let reply = post(&client, "/adfs/oauth2/v2.0/token", &body).await;
        is_oauth_refusal(&reply, status, error, words);
    }
    let large = form(&[("x", &"x".repeat(32 * 1024))]);
    let reply = post(&client, "/adfs/oauth2/v2.0/token", &large).await;
    is_oauth_refusal(&reply, 413, "invalid_request", "32768 bytes");
    let reply = client.raw("POST /adfs/oauth2/token", &[HOST, ("content-type", "application/json")], "{}").await;
    is_oauth_refusal(&reply, 400, "invalid_request", "application/x-www-form-urlencoded");
    let reply = client.raw("GET /adfs/oauth2/token", &[HOST], "").await;
    is_oauth_refusal(&reply, 405, "invalid_request", "POST");
    let headers = [HOST, FORM, ("authorization", "Basic eDp5")];
    let reply = client.raw("POST /adfs/oauth2/token", &headers, &form(&[("client_secret", "")])).await;
    is_oauth_refusal(&reply, 401, "invalid_client", "must be a token");
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"certmint\""));
    let reply = client.raw("POST /adfs/oauth2/token", &headers, &form(&[])).await;
    is_oauth_refusal(&reply, 400, "invalid_request", "more than one way");
}

#[tokio::test]
async fn the_metadata_names_the_host_that_was_asked() {
    let (client, _folder) = guarded().await;
    for (path, tenant) in [
        ("/adfs/.well-known/openid-configuration", "adfs"),
        ("/adfs/.well-known/openid-configuration?", "adfs"),
        ("/adfs/v2.0/.well-known/openid-configuration?x-client-SKU=msal", "adfs"),
        ("/contoso.example/v2.0/.well-known/openid-configuration", "contoso.example"),
    ] {
        let reply = client.raw(&format!("GET {path}"), &[HOST], "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let body = reply.json();
        let base = format!("https://team-a.kv.test:8443/{tenant}");
        assert_eq!(body["issuer"], base);
        assert_eq!(body["token_endpoint"], format!("{base}/oauth2/v2.0/token"));
        assert_eq!(body["authorization_endpoint"], format!("{base}/oauth2/v2.0/authorize"));
        assert_eq!(body["jwks_uri"], format!("{base}/discovery/v2.0/keys"));
    }
    let keys: Value = client.raw("GET /adfs/discovery/v2.0/keys", &[HOST], "").await.json();
    assert_eq!(keys, json!({"keys": []}));
    let reply = client.raw("GET /adfs/oauth2/v2.0/authorize?response_type=code", &[HOST], "").await;
    is_oauth_refusal(&reply, 400, "unsupported_response_type", "Interactive sign-in");
}

#[tokio::test]
async fn in_development_any_token_is_answered_for_any_place() {
    let client = Client::start().await;
    let request = "GET /identity/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net";
    let reply = client.raw(request, &[("x-identity-header", "dev")], "").await;
    assert_eq!((reply.status, &reply.json()["access_token"]), (200, &json!("dev")));
    is_refused(&client.raw(request, &[], "").await, 401, "IDENTITY_HEADER");
    let body = "grant_type=client_credentials&client_id=a&client_secret=dev&resource=https%3A%2F%2Fvault.azure.net";
    let reply = client.raw("POST /adfs/oauth2/token", &[FORM], body).await;
    assert_eq!((reply.status, &reply.json()["access_token"]), (200, &json!("dev")));
}

#[tokio::test]
async fn key_vaults_own_paths_stay_behind_the_challenge() {
    let (client, _folder) = guarded().await;
    for request in [
        "GET /keys/oauth2/token",
        "POST /secrets/oauth2/token",
        "GET /identity",
        "GET /identity/token/x",
        "GET /adfs",
        "GET /certificates/.well-known/openid-configuration",
    ] {
        client.raw(request, &[HOST], "").await.is_refusal(401, "Unauthorized", "AKV10000");
    }
    let reply = client.raw(MSI, &[("host", "a b"), ("x-identity-header", TOKEN)], "").await;
    reply.is_refusal(400, "BadParameter", "Host");
}
