//! Errors for bodies that are not JSON or have the wrong shape; and leniently accepted ones.

use crate::client::Client;

const CREATE: &str = "POST /certificates/mycert1/create";

#[tokio::test]
async fn what_is_not_json_is_refused_with_its_place() {
    let client = Client::start().await;
    for (body, words) in [
        ("hello", "not valid JSON at line 1, column 1."),
        ("{\n  \"policy\": {,}\n}", "not valid JSON at line 2, column 14."),
        ("{\"policy\":", "incomplete JSON: it ends at line 1, column 10."),
        ("{} {}", "not valid JSON at line 1, column 4."),
        ("[1]", "wrong type"),
        ("\"x\"", "wrong type"),
    ] {
        client.send(CREATE, body).await.is_refusal(400, "BadParameter", words);
    }
}

#[tokio::test]
async fn a_wrong_type_is_named_with_its_place_and_without_its_value() {
    let client = Client::start().await;
    let body = "{\"policy\":{\n\"key_props\":{\"key_size\":\"hunter2\"}}}";
    let reply = client.send(CREATE, body).await;
    reply.is_refusal(400, "BadParameter", "wrong type at line 2, column 33: a whole number is expected.");
    assert!(!reply.body.contains("hunter2"));
    let reply = client.send("PUT /certificates/issuers/x", r#"{"credentials":{"pwd":["hunter2"]}}"#).await;
    reply.is_refusal(400, "BadParameter", "a string is expected");
    assert!(!reply.body.contains("hunter2"));
}

#[tokio::test]
async fn a_deeply_nested_body_is_harmless() {
    let client = Client::start().await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let reply = client.send(CREATE, &format!(r#"{{"unknown":{deep}}}"#)).await;
    reply.is_refusal(400, "BadParameter", "Either a subject");
    // What is repeated is refused without a tree of the whole.
    let body = format!(r#"{{"tags":null,"unknown":{deep},"tags":null}}"#);
    client.send(CREATE, &body).await.is_refusal(400, "BadParameter", "has the member tags twice in one object");
}

#[tokio::test]
async fn unknown_members_nulls_and_empty_objects_are_accepted() {
    let client = Client::start().await;
    let body = r#"{"unknown":{"a":[1]},"tags":null,"attributes":{},"preserveCertOrder":null,
        "policy":{"key_props":{"kty":"EC","key_size":null},"secret_props":{},"lifetime_actions":null,
        "x509_props":{"subject":"CN=a","sans":null,"future":true},"issuer":{},"attributes":{"enabled":null,"nbf":1}}}"#;
    let operation = client.must(CREATE, body).await;
    assert_eq!(operation["issuer"]["name"], "Unknown");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    assert_eq!(bundle["policy"]["key_props"]["kty"], "EC");
}

#[tokio::test]
async fn any_charset_and_no_content_type_are_accepted() {
    let client = Client::start().await;
    for value in ["application/json", "Application/JSON; charset=utf-8", "application/json;odata=verbose"] {
        let headers = [("authorization", "Bearer t"), ("content-type", value)];
        let reply = client.raw(&format!("{CREATE}?api-version=7.4"), &headers, "{}").await;
        reply.is_refusal(400, "BadParameter", "subject");
    }
}
