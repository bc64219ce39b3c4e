//! The forms in which clients write the same request.

use crate::client::{Client, HOST};
use certmint::transport::rest::API_VERSIONS;

const TOKEN: (&str, &str) = ("authorization", "Bearer token");

#[tokio::test]
async fn slashes_and_encodings_do_not_matter() {
    let client = Client::start().await;
    let id = client.create("mycert1", "Unknown").await["request_id"].as_str().unwrap().to_owned();
    for path in [
        "/certificates/mycert1/pending?api%2Dversion=7.4",
        "/certificates/mycert1/pending/?api-version=7%2E4&",
        "//certificates//mycert1//pending?API-Version=7.4",
        "/certificates/mycert%31/pending?api-version=7.4&request_id=&unknown",
        &format!("/certificates/mycert1/pending?request%5Fid={}&api-version=7.4", id.to_uppercase()),
    ] {
        let reply = client.raw(&format!("GET {path}"), &[TOKEN], "").await;
        assert_eq!(reply.json()["request_id"], id.as_str(), "{path}");
    }
}

#[tokio::test]
async fn every_version_of_the_api_is_answered_in_its_own_links() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    for version in API_VERSIONS {
        let reply = client.raw(&format!("GET /certificates/mycert1/pending?api-version={version}"), &[TOKEN], "").await;
        let target = format!("https://{HOST}/certificates/mycert1?api-version={version}");
        assert_eq!(reply.json()["target"], target.as_str());
    }
}

/// Clients of previews name them with a number or without.
#[tokio::test]
async fn previews_are_answered_and_what_was_never_there_is_not() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    let get = async |version: &str| {
        let path = format!("GET /certificates/mycert1/pending?api-version={version}");
        client.raw(&path, &[TOKEN], "").await
    };
    for version in [
        "7.0-preview",
        "7.1-Preview",
        "7.2-preview.1",
        "7.5-preview.12",
        "7.6-preview",
        "7.6-preview.3",
        "2025-07-01-preview",
    ] {
        let target = format!("https://{HOST}/certificates/mycert1?api-version={}", version.to_lowercase());
        assert_eq!(get(version).await.json()["target"], target.as_str());
    }
    for version in [
        "7.7",
        "7.9-preview",
        "7.6-preview.",
        "7.6-preview.x",
        "7.6-preview.123",
        "7.6-previewx",
        "8.0-preview",
        "2025-07-01-preview.1",
        "2027-01-01-preview",
        "-preview",
        "7.6-beta",
    ] {
        get(version).await.is_refusal(
            400,
            "BadParameter",
            &format!("The specified version ({version}) is not recognized."),
        );
    }
}

#[tokio::test]
async fn a_post_can_stand_for_another_method() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let send = async |method: &str, body: &str| {
        let headers = [TOKEN, ("x-http-method", method)];
        client.raw("POST /certificates/mycert1/pending?api-version=7.4", &headers, body).await
    };
    assert_eq!(send("patch", r#"{"cancellation_requested":true}"#).await.json()["cancellation_requested"], true);
    assert_eq!(send("DELETE", "").await.status, 200);
    assert_eq!(send("DELETE", "").await.status, 404);
    let headers = [TOKEN, ("x-http-method", "PUT")];
    let reply = client.raw("POST /certificates/issuers/a?api-version=7.4", &headers, r#"{"provider":"Test"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn the_id_of_the_client_is_echoed_on_every_answer() {
    let client = Client::start().await;
    let id = ("x-ms-client-request-id", "9f0a4b4e-0000-4000-8000-000000000001");
    for headers in [&[id][..], &[id, TOKEN][..]] {
        let reply = client.raw("GET /certificates/mycert1/pending?api-version=7.4", headers, "").await;
        assert_eq!(reply.header(id.0), Some(id.1), "{}", reply.status);
    }
}
