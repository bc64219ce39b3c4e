//! The host of a request names the vault, and identifiers are built from it.

use crate::client::{Client, policy};

#[tokio::test]
async fn vaults_do_not_see_each_other() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    for (host, status) in [
        ("v1.localhost:8443", 200),
        ("V1.localhost", 200),
        ("v2.localhost:8443", 404),
        ("localhost:8443", 404),
        ("127.0.0.1:8443", 404),
    ] {
        let headers = [("authorization", "Bearer t"), ("host", host)];
        let reply = client.raw("GET /certificates/mycert1/pending?api-version=7.4", &headers, "").await;
        assert_eq!(reply.status, status, "{host}");
        if status == 200 {
            assert_eq!(reply.json()["id"], format!("https://{host}/certificates/mycert1/pending"));
        }
    }
}

#[tokio::test]
async fn hosts_without_a_label_share_the_default_vault() {
    let client = Client::start().await;
    let token = ("authorization", "Bearer t");
    let create = "POST /certificates/mycert1/create?api-version=7.4";
    assert_eq!(client.raw(create, &[token, ("host", "localhost:1")], &policy("Unknown")).await.status, 202);
    for host in ["127.0.0.1:8443", "[::1]:8443", "default.localhost", "elsewhere.example"] {
        let reply = client.raw("GET /certificates/mycert1?api-version=7.4", &[token, ("host", host)], "").await;
        assert_eq!(reply.status, 200, "{host}");
    }
}

#[tokio::test]
async fn the_headers_of_proxies_are_ignored() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let headers = [("authorization", "Bearer t"), ("x-forwarded-host", "v2.localhost")];
    let reply = client.raw("GET /certificates/mycert1/pending?api-version=7.4", &headers, "").await;
    assert_eq!(reply.json()["id"], "https://v1.localhost:8443/certificates/mycert1/pending");
}
