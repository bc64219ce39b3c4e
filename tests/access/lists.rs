//! Lists show what their caller may read, page by page, and nothing of the rest.

use crate::kit::{ADMIN, LONG, Server, policy};
use certmint::proto::v1;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::renewal_service_client::RenewalServiceClient;
use certmint::proto::v1::vault_service_client::VaultServiceClient;
use std::time::{Duration, Instant};

const TEAMS: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Administrator"
    vault = "default"
    names = ["shop-*", "web", "no-such"]

    [[grant]]
    principal = "token:two"
    role = "certmint Watcher"
    vault = "*"
    names = ["shop-1"]

    [[grant]]
    principal = "token:reader"
    role = "Key Vault Administrator"
    vault = "team-b"
"#;

const NAMES: [&str; 7] = ["api", "shop-1", "shop-2", "shop-3", "shopping", "web", "website"];
const SEEN: [&str; 4] = ["shop-1", "shop-2", "shop-3", "web"];

async fn server() -> Server {
    let server = Server::start(TEAMS).await;
    server.issue(&NAMES).await;
    server
}

/// Every page of a list over REST.
async fn all(server: &Server, caller: &str, path: &str, size: usize) -> Vec<String> {
    let mut next = format!("{path}?maxresults={size}");
    let mut names = Vec::new();
    for _ in 0..50 {
        let reply = server.send(caller, &format!("GET {next}"), "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        names.extend(reply.names());
        let Some(link) = reply.json()["nextLink"].as_str().map(str::to_owned) else { return names };
        let link = link.split_once("8443").unwrap().1.replace("api-version=7.4", "");
        next = link.replace("?&", "?").trim_end_matches(['&', '?']).to_owned();
    }
    panic!("{path} has no end");
}

#[tokio::test]
async fn each_list_shows_the_names_of_the_grants_in_pages_of_every_size() {
    let server = server().await;
    for path in ["/certificates", "/secrets", "/keys"] {
        for size in [1, 2, 3, 25] {
            assert_eq!(all(&server, "shop", path, size).await, SEEN, "{path} {size}");
        }
        assert_eq!(all(&server, ADMIN, path, 2).await, NAMES, "{path}");
    }
    for name in ["shop-2", "api"] {
        server.must(ADMIN, &format!("DELETE /certificates/{name}"), "").await;
    }
    assert_eq!(all(&server, "shop", "/deletedcertificates", 1).await, ["shop-2"]);
    assert_eq!(all(&server, "two", "/certificates", 25).await, ["shop-1"]);
}

#[tokio::test]
async fn renewals_are_listed_as_far_as_their_certificates_may_be_read() {
    let server = server().await;
    let list = async |caller: &str, size: i32| {
        let mut renewals = RenewalServiceClient::new(server.channel(caller));
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let wanted =
                v1::ListRenewalsRequest { page_size: size, page_token, include_unplanned: true, ..Default::default() };
            let page = renewals.list_renewals(wanted).await.unwrap().into_inner();
            names.extend(page.renewals.into_iter().map(|it| it.certificate_name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return names;
            }
        }
    };
    for size in [1, 2, 100] {
        assert_eq!(list("shop", size).await, SEEN, "{size}");
        assert_eq!(list("two", size).await, ["shop-1"], "{size}");
        assert_eq!(list(ADMIN, size).await, NAMES, "{size}");
    }
}

#[tokio::test]
async fn the_token_of_a_page_holds_no_name_that_is_hidden() {
    let server = server().await;
    let reply = server.send("shop", "GET /certificates?maxresults=3", "").await;
    let link = reply.json()["nextLink"].as_str().unwrap().to_owned();
    let token = link.split("skiptoken=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token).unwrap();
    assert!(bytes.ends_with(b"shop-3"), "{bytes:?}");
}

#[tokio::test]
async fn pending_operations_are_listed_as_far_as_they_may_be_read_in_one_vault_and_in_all() {
    let server = Server::start(TEAMS).await;
    server.begin(&NAMES).await;
    let mut vaults = VaultServiceClient::new(server.channel(ADMIN));
    for vault in ["team-a", "team-b"] {
        let wanted = v1::CreateVaultRequest { vault_name: vault.to_owned(), ..Default::default() };
        vaults.create_vault(wanted).await.unwrap();
        for name in ["shop-1", "web"] {
            let host = format!("{vault}.localhost:8443");
            let request = format!("POST /certificates/{name}/create");
            assert_eq!(server.send_to(&host, ADMIN, &request, &crate::kit::policy("Unknown")).await.status, 202);
        }
    }
    let list = async |caller: &str, vault: &str, prefix: &str, size: i32| {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let wanted = v1::ListPendingRequest {
                vault_name: vault.to_owned(),
                certificate_name_prefix: prefix.to_owned(),
                page_size: size,
                page_token,
                ..Default::default()
            };
            let page = server.client(caller).list_pending(wanted).await.unwrap().into_inner();
            let name = |it: v1::PendingOperation| format!("{}/{}", it.vault_name, it.certificate_name);
            names.extend(page.operations.into_iter().map(name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return names.join(" ");
            }
        }
    };
    for size in [1, 2, 100] {
        assert_eq!(list("shop", "", "", size).await, "default/shop-1 default/shop-2 default/shop-3 default/web");
        assert_eq!(list("shop", "", "shop-2", size).await, "default/shop-2");
        assert_eq!(list("shop", "", "WE", size).await, "default/web");
        assert_eq!(list("shop", "", "api", size).await, "");
        assert_eq!(list("shop", "-", "", size).await, "default/shop-1 default/shop-2 default/shop-3 default/web");
        assert_eq!(list("two", "-", "", size).await, "default/shop-1 team-a/shop-1 team-b/shop-1");
        assert_eq!(list("reader", "-", "", size).await, "team-b/shop-1 team-b/web");
        assert_eq!(list(ADMIN, "-", "shop-1", size).await, "default/shop-1 team-a/shop-1 team-b/shop-1");
    }
}

#[tokio::test]
async fn vaults_are_listed_that_their_caller_may_read() {
    let server = Server::start(TEAMS).await;
    let mut admin = VaultServiceClient::new(server.channel(ADMIN));
    for vault in ["team-a", "team-b"] {
        let wanted = v1::CreateVaultRequest { vault_name: vault.to_owned(), ..Default::default() };
        admin.create_vault(wanted).await.unwrap();
    }
    let list = async |caller: &str| {
        let mut client = VaultServiceClient::new(server.channel(caller));
        let wanted = v1::ListVaultsRequest { page_size: 1, ..Default::default() };
        let (mut names, mut wanted) = (Vec::new(), wanted);
        loop {
            let page = client.list_vaults(wanted.clone()).await?.into_inner();
            names.extend(page.vaults.into_iter().map(|vault| vault.vault_name));
            wanted.page_token = page.next_page_token;
            if wanted.page_token.is_empty() {
                return Ok::<_, tonic::Status>(names.join(" "));
            }
        }
    };
    assert_eq!(list(ADMIN).await.unwrap(), "default team-a team-b");
    assert_eq!(list("shop").await.unwrap(), "default");
    assert_eq!(list("reader").await.unwrap(), "team-b");
    assert_eq!(list("two").await.unwrap_err().code(), tonic::Code::PermissionDenied);
    let create = async |caller: &str| {
        let wanted = v1::CreateVaultRequest { vault_name: "mine".to_owned(), ..Default::default() };
        VaultServiceClient::new(server.channel(caller)).create_vault(wanted).await.map(|_| ())
    };
    assert_eq!(create("shop").await.unwrap_err().code(), tonic::Code::PermissionDenied, "not an administrator of all");
    create(ADMIN).await.unwrap();
}

#[tokio::test]
async fn contacts_are_the_whole_vaults() {
    let server = Server::start(TEAMS).await;
    let body = r#"{"contacts":[{"email":"a@b.example"}]}"#;
    assert_eq!(server.send("shop", "PUT /certificates/contacts", body).await.status, 403);
    server.must(ADMIN, "PUT /certificates/contacts", body).await;
    assert_eq!(server.send("shop", "GET /certificates/contacts", "").await.status, 403);
}

/// How the issuer `down` fares, as the caller is told, alone and in the list.
async fn health(server: &Server, caller: &str) -> v1::IssuerHealth {
    let mut admin = CertificateAdminServiceClient::new(server.channel(caller));
    let alone = v1::GetIssuerRequest { issuer_name: "down".into(), ..Default::default() };
    let all = v1::ListIssuersRequest { with_health: true, ..Default::default() };
    let begun = Instant::now();
    loop {
        let one = admin.get_issuer(alone.clone()).await.unwrap().into_inner().health.unwrap();
        let list = admin.list_issuers(all.clone()).await.unwrap().into_inner().issuers;
        let listed = list.into_iter().find(|item| item.issuer_name == "down").unwrap().health.unwrap();
        let again = admin.get_issuer(alone.clone()).await.unwrap().into_inner().health.unwrap();
        // The worker writes in between; what did not change around the list, the list has too.
        let facts = (&one.last_error, one.open_operations);
        if facts == (&again.last_error, again.open_operations) {
            assert_eq!(facts, (&listed.last_error, listed.open_operations));
            return again;
        }
        assert!(begun.elapsed() < LONG, "the health of the issuer changes all the time");
    }
}

#[tokio::test]
async fn the_health_of_an_issuer_tells_nothing_of_certificates_that_the_caller_may_not_read() {
    let server = Server::start(TEAMS).await;
    let issuer = r#"{"provider":"Test","credentials":{"account_id":"fail"}}"#;
    server.must(ADMIN, "PUT /certificates/issuers/down", issuer).await;
    server.must(ADMIN, "POST /certificates/api/create", &policy("down")).await;
    let begun = Instant::now();
    let told = loop {
        let told = health(&server, ADMIN).await;
        // How a call went and what came of the operation are two commits.
        if !told.last_error.is_empty() && told.open_operations == 0 {
            break told;
        }
        assert!(begun.elapsed() < LONG, "the operation at the issuer does not fail: {told:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(told.last_error.starts_with("The test"), "{told:?}");
    let narrow = health(&server, "shop").await;
    assert!(narrow.last_failure.is_some(), "{narrow:?}");
    assert!(narrow.last_error.starts_with("A call of the CA failed; who may read every"), "{narrow:?}");
    let slow = r#"{"provider":"Test","credentials":{"account_id":"hold"}}"#;
    server.must(ADMIN, "PUT /certificates/issuers/down", slow).await;
    for name in ["website", "shop-1"] {
        server.must(ADMIN, &format!("POST /certificates/{name}/create"), &policy("down")).await;
    }
    assert_eq!((health(&server, ADMIN).await.open_operations, health(&server, "shop").await.open_operations), (2, 1));
}
