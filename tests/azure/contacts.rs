//! The contacts of a vault.

use crate::client::Client;

const CONTACTS: &str = r#"{"contacts":[{"email":"admin@contoso.com","name":"John Doe","phone":"1111111111"},{"email":"admin2@contoso.com"}]}"#;

const ANSWER: &str = r#"
    200
    content-type: application/json; charset=utf-8
    {"id":"https://v1.localhost:8443/certificates/contacts","contacts":[{"email":"admin@contoso.com","name":"John Doe",
    "phone":"1111111111"},{"email":"admin2@contoso.com"}]}
"#;

const NONE: &str = r#"
    404
    content-type: application/json; charset=utf-8
    {"error":{"code":"ContactsNotFound","message":"Contacts not found"}}
"#;

#[tokio::test]
async fn contacts_are_set_read_replaced_and_deleted() {
    let client = Client::start().await;
    client.send("GET /certificates/contacts", "").await.is(NONE);
    client.send("DELETE /certificates/contacts", "").await.is(NONE);
    client.must("PUT /certificates/contacts", r#"{"contacts":[{"email":"first@contoso.com","name":null}]}"#).await;
    client.send("PUT /certificates/contacts", CONTACTS).await.is(ANSWER);
    client.send("GET /certificates/contacts/", "").await.is(ANSWER);
    client.send("DELETE /certificates/contacts", "").await.is(ANSWER);
    client.send("GET /certificates/contacts", "").await.is(NONE);
}

#[tokio::test]
async fn contacts_belong_to_their_vault() {
    let client = Client::start().await;
    client.must("PUT /certificates/contacts", CONTACTS).await;
    let other = [("authorization", "Bearer t"), ("host", "v2.localhost:8443")];
    client.raw("GET /certificates/contacts?api-version=7.4", &other, "").await.is(NONE);
}

#[tokio::test]
async fn bad_contacts_are_refused() {
    let client = Client::start().await;
    let many = format!(r#"{{"contacts":[{}]}}"#, [r#"{"email":"a@b.example"}"#; 101].join(","));
    for (body, words) in [
        ("", "Property contacts has invalid value. It is required"),
        (r#"{"contacts":null}"#, "It is required"),
        (r#"{"contacts":[{"name":"x"}]}"#, "Property contacts[0].email has invalid value. It is required"),
        (r#"{"contacts":[{"email":"a@b.example"},{"email":"nobody"}]}"#, "Property contacts[1].email"),
        (many.as_str(), "More than 100 contacts."),
    ] {
        client.send("PUT /certificates/contacts", body).await.is_refusal(400, "BadParameter", words);
    }
    let reply = client.send("POST /certificates/contacts", "{}").await;
    reply.is_refusal(405, "MethodNotAllowed", "HTTP POST not allowed");
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let client = Client::start().await;
    let empty = r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/contacts","contacts":[]}
    "#;
    client.must("PUT /certificates/contacts", CONTACTS).await;
    client.send("PUT /certificates/contacts", r#"{"contacts":[]}"#).await.is(empty);
    client.send("GET /certificates/contacts", "").await.is(empty);
    client.send("DELETE /certificates/contacts", "").await.is(empty);
    client.send("GET /certificates/contacts", "").await.is(NONE);
}
