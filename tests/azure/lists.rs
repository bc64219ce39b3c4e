//! Lists of certificates and of their versions.

use crate::client::{Client, policy};
use serde_json::Value;

async fn page(client: &Client, link: &str) -> Value {
    // Clients encode the name of the parameter again.
    let path = link.replace("$skiptoken", "%24skiptoken");
    let reply = client.raw(&format!("GET {path}"), &[("authorization", "Bearer t")], "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// The names (or versions) of all pages, and how many pages there were.
async fn walk(client: &Client, start: &str) -> (Vec<String>, usize) {
    let (mut next, mut seen, mut pages) = (Some(start.to_owned()), Vec::new(), 0);
    while let Some(link) = next {
        let page = page(client, &link).await;
        for item in page["value"].as_array().unwrap() {
            seen.push(item["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        }
        next = page["nextLink"].as_str().map(|link| link.strip_prefix("https://v1.localhost:8443").unwrap().to_owned());
        pages += 1;
    }
    (seen, pages)
}

#[tokio::test]
async fn a_list_shows_each_certificate_without_its_content() {
    let client = Client::start().await;
    let body = r#"{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=a"},"issuer":{"name":"Self"}},"tags":{"a":"1"}}"#;
    client.must("POST /certificates/Web/create", body).await;
    client.ended("web").await;
    client.issued("api").await;
    client.send("GET /certificates", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[{"id":"https://v1.localhost:8443/certificates/api","x5t":"<x5t>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>},"subject":""},
        {"id":"https://v1.localhost:8443/certificates/Web","x5t":"<x5t>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>},"tags":{"a":"1"},"subject":""}],
        "nextLink":null}
    "#);
}

#[tokio::test]
async fn an_item_says_what_the_bundle_says() {
    let client = Client::start().await;
    let bundle = client.issued("web").await;
    let item = client.must("GET /certificates", "").await["value"][0].clone();
    assert_eq!(item["x5t"], bundle["x5t"]);
    for member in ["enabled", "nbf", "exp", "created", "updated"] {
        assert_eq!(item["attributes"][member], bundle["attributes"][member], "{member}");
    }
}

#[tokio::test]
async fn what_was_never_completed_is_listed_where_it_is_asked_for() {
    let client = Client::start().await;
    client.create("web", "Unknown").await;
    for query in ["", "?includePending=false"] {
        client.send(&format!("GET /certificates{query}"), "").await.is(r#"
            200
            content-type: application/json; charset=utf-8
            {"value":[],"nextLink":null}
        "#);
    }
    client.send("GET /certificates?includePending=true", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[{"id":"https://v1.localhost:8443/certificates/web",
        "attributes":{"enabled":false,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>},"subject":""}],
        "nextLink":null}
    "#);
    // A new version on its way does not hide the one that is there.
    client.issued("api").await;
    client.create("api", "Unknown").await;
    let (seen, _) = walk(&client, "/certificates?api-version=7.4").await;
    assert_eq!(seen, ["api"]);
}

#[tokio::test]
async fn a_list_comes_in_pages_in_the_order_of_names() {
    let client = Client::start().await;
    for name in ["d", "B", "a", "c"] {
        client.issued(name).await;
        client.create(&format!("{name}-pending"), "Unknown").await;
    }
    let first = client.send("GET /certificates?maxresults=2&includePending=true", "").await;
    let next = first.json()["nextLink"].as_str().unwrap().to_owned();
    let (list, rest) = next.split_once("&$skiptoken=").unwrap();
    assert_eq!(list, "https://v1.localhost:8443/certificates?api-version=7.4");
    assert!(rest.ends_with("&maxresults=2&includePending=true"), "{rest}");
    for size in 1..=9 {
        let (seen, _) =
            walk(&client, &format!("/certificates?api-version=7.4&maxresults={size}&includePending=true")).await;
        assert_eq!(seen, ["a", "a-pending", "B", "B-pending", "c", "c-pending", "d", "d-pending"], "{size}");
        let (seen, pages) = walk(&client, &format!("/certificates?api-version=7.4&maxresults={size}")).await;
        assert_eq!(seen, ["a", "B", "c", "d"], "{size}");
        assert!(pages <= 4, "{pages} pages of {size}");
    }
}

#[tokio::test]
async fn a_page_has_25_certificates_where_nothing_is_said() {
    let client = Client::start().await;
    for number in 0..26 {
        client.must(&format!("POST /certificates/c{number:02}/create"), &policy("Unknown")).await;
    }
    let page = client.must("GET /certificates?includePending=true", "").await;
    assert_eq!(page["value"].as_array().unwrap().len(), 25);
    let (seen, pages) = walk(&client, "/certificates?api-version=7.4&includePending=true").await;
    assert_eq!((seen.len(), pages), (26, 2));
}

#[tokio::test]
async fn the_versions_of_a_certificate_are_listed() {
    let client = Client::start().await;
    let mut versions = Vec::new();
    for _ in 0..3 {
        let bundle = client.issued("web").await;
        versions.push(bundle["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    }
    // Not one of those yet, and not one of those at all.
    client.create("web", "Unknown").await;
    client.issued("web2").await;
    versions.sort();
    for size in 1..=4 {
        let (seen, _) = walk(&client, &format!("/certificates/WEB/versions?api-version=7.4&maxresults={size}")).await;
        assert_eq!(seen, versions, "{size}");
    }
    client.send("GET /certificates/web2/versions", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[{"id":"https://v1.localhost:8443/certificates/web2/<1>","x5t":"<x5t>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>},"subject":""}],
        "nextLink":null}
    "#);
}

/// Recorded in 2026.
#[tokio::test]
async fn without_a_version_there_is_an_empty_list_of_versions_and_for_an_unknown_name_too() {
    let client = Client::start().await;
    client.create("pending", "Unknown").await;
    client.issued("deleted").await;
    client.must("DELETE /certificates/deleted", "").await;
    for collection in ["certificates", "keys", "secrets"] {
        for name in ["pending", "none", "deleted"] {
            client.send(&format!("GET /{collection}/{name}/versions"), "").await.is(r#"
                200
                content-type: application/json; charset=utf-8
                {"value":[],"nextLink":null}
            "#);
        }
        let reply = client.send(&format!("GET /{collection}/a_b/versions"), "").await;
        reply.is_refusal(400, "BadParameter", "invalid name");
    }
}

#[tokio::test]
async fn a_bad_page_is_refused() {
    let client = Client::start().await;
    client.issued("web").await;
    for list in ["/certificates", "/certificates/web/versions", "/deletedcertificates"] {
        for size in ["0", "26", "-1", "x"] {
            let reply = client.send(&format!("GET {list}?maxresults={size}"), "").await;
            reply.is_refusal(400, "BadParameter", "Property maxresults has invalid value.");
        }
        let reply = client.send(&format!("GET {list}?$skiptoken=a/b"), "").await;
        reply.is_refusal(400, "BadParameter", "Invalid page token; omit it to start from the first page.");
        let reply = client.send(&format!("GET {list}?includePending=maybe"), "").await;
        reply.is_refusal(400, "BadParameter", "Property includePending has invalid value.");
    }
}

/// A token is of one list, one vault and one filter; another size of pages is no other list.
#[tokio::test]
async fn a_token_of_another_list_vault_or_filter_is_refused() {
    let client = Client::start().await;
    for name in ["a", "b", "c"] {
        client.issued(name).await;
    }
    let page = client.must("GET /certificates?maxresults=1", "").await;
    let next = page["nextLink"].as_str().unwrap();
    let (_, rest) = next.split_once("$skiptoken=").unwrap();
    let token = rest.split('&').next().unwrap();
    let rest = client.must(&format!("GET /certificates?maxresults=25&$skiptoken={token}"), "").await;
    assert_eq!(rest["value"].as_array().unwrap().len(), 2);
    for other in [
        "/certificates?includePending=true&",
        "/certificates/a/versions?",
        "/deletedcertificates?",
        "/certificates/issuers?",
        "/secrets?",
        "/keys?",
    ] {
        let reply = client.send(&format!("GET {other}$skiptoken={token}"), "").await;
        reply.is_refusal(400, "BadParameter", "Invalid page token; omit it to start from the first page.");
    }
    let headers = [("authorization", "Bearer t"), ("host", "v2.localhost:8443")];
    let reply = client.raw(&format!("GET /certificates?api-version=7.4&$skiptoken={token}"), &headers, "").await;
    reply.is_refusal(400, "BadParameter", "Invalid page token; omit it to start from the first page.");
}
