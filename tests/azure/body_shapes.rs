//! Every object of every described body, sent as another type: especially an array, which a positional deserializer
//! would accept.

use crate::client::Client;
use certmint::transport::rest::OPENAPI;
use serde_json::{Value, json};

/// A place in a body, as a message writes it, and a body with this value there.
#[derive(Clone)]
struct Place {
    path: String,
    around: Vec<Step>,
}

#[derive(Clone)]
enum Step {
    Member(String),
    Item,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let around = [self.around.clone(), vec![Step::Member(name.to_owned())]].concat();
        Self { path: format!("{}{dot}{name}", self.path), around }
    }

    fn item(&self) -> Self {
        Self { path: format!("{}[0]", self.path), around: [self.around.clone(), vec![Step::Item]].concat() }
    }

    fn body(&self, value: Value) -> Value {
        self.around.iter().rev().fold(value, |inner, step| match step {
            Step::Member(name) => json!({ name: inner }),
            Step::Item => json!([inner]),
        })
    }
}

/// Every object in a schema with its place, and every other member of a known type.
fn places<'a>(document: &'a Value, schema: &'a Value, place: &Place, found: &mut Vec<(Place, &'a Value)>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    found.push((place.clone(), schema));
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        places(document, member, &place.member(name), found);
    }
    if schema["items"].is_object() {
        places(document, &schema["items"], &place.item(), found);
    }
}

/// What is not of that type.
fn others(schema: &Value) -> (Vec<Value>, &'static str) {
    match schema["type"].as_str() {
        Some("object") => {
            let by_position = json!([true, "CN=a", 1, null, [], {}]);
            (
                vec![json!([]), json!([true]), json!(["CN=a"]), json!([{}]), by_position, json!("{}"), json!(1)],
                "an object",
            )
        }
        Some("array") => (vec![json!({}), json!("x"), json!({"0": "x"})], "an array"),
        Some("string") => (vec![json!([]), json!(["x"]), json!({}), json!(1), json!(true)], "a string"),
        Some("integer") => (vec![json!([]), json!([1]), json!("1"), json!(1.5), json!({})], "a whole number"),
        Some("boolean") => (vec![json!([]), json!([true]), json!("true"), json!(1)], "a boolean"),
        other => panic!("a member of the type {other:?}"),
    }
}

/// Described, and not read: what is there does not matter.
const UNREAD: [&str; 7] =
    ["attributes.nbf", "attributes.exp", "policy.attributes.nbf", "policy.attributes.exp", "iv", "aad", "tag"];

#[tokio::test]
async fn what_has_another_type_than_described_is_refused_by_the_name_of_the_member() {
    let document: Value = serde_json::from_slice(OPENAPI).unwrap();
    let client = Client::start().await;
    let (mut objects, mut routes) = (0, 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            routes += 1;
            let request = format!("{} {}", method.to_uppercase(), filled(path));
            let mut found = Vec::new();
            places(&document, schema, &Place { path: String::new(), around: Vec::new() }, &mut found);
            for (place, schema) in found {
                if UNREAD.contains(&place.path.as_str()) {
                    continue;
                }
                let (values, expected) = others(schema);
                objects += usize::from(expected == "an object");
                for value in values {
                    let body = place.body(value).to_string();
                    let reply = client.send(&request, &body).await;
                    let start = match place.path.as_str() {
                        "" => "The body of the request has the wrong type at line 1, column ".to_owned(),
                        path => format!("The member {path} of the body of the request has the wrong type at line 1"),
                    };
                    assert_eq!(reply.status, 400, "{request} {body}: {}", reply.body);
                    let error = &reply.json()["error"];
                    assert_eq!(error["code"], "BadParameter");
                    let message = error["message"].as_str().unwrap();
                    assert!(message.starts_with(&start), "{request} {body}: {message}");
                    assert!(message.ends_with(&format!("{expected} is expected.")), "{request} {body}: {message}");
                }
            }
        }
    }
    assert!(routes >= 20 && objects >= 60, "{routes} routes, {objects} objects");
}

/// The path with a name for each of its parameters.
fn filled(path: &str) -> String {
    let part = |part: &str| match part {
        version if version.ends_with("_version}") => "0123456789abcdef0123456789abcdef".to_owned(),
        "{serial}" => "4a".to_owned(),
        id if id.ends_with("_id}") => "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned(),
        name if name.starts_with('{') => "web".to_owned(),
        word => word.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn nothing_happens_through_a_body_that_is_an_array() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.send("PATCH /certificates/mycert1/pending", "[true]").await.is_refusal(400, "BadParameter", "an object");
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["cancellation_requested"], false);
    let create = r#"{"policy":{"x509_props":["CN=a"]}}"#;
    let reply = client.send("POST /certificates/other/create", create).await;
    reply.is_refusal(400, "BadParameter", "The member policy.x509_props of the body");
    assert_eq!(client.send("GET /certificates/other", "").await.status, 404);
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused_on_every_route_wherever_it_stands() {
    let client = Client::start().await;
    let twice = [
        (r#"{"policy":{},"policy":{}}"#, "policy"),
        (r#"{"policy":{"key_props":{"exportable":false,"exportable":true}}}"#, "exportable"),
        (r#"{"policy":{"issuer":{"name":"Self"},"issu\u0065r":{"name":"Unknown"}}}"#, "issuer"),
        (r#"{"tags":{"a":"1","a":"2"}}"#, "a"),
        (r#"{"cancellation_requested":false,"cancellation_requested":true}"#, "cancellation_requested"),
        (r#"{"unknown":[{"b":1,"b":1}]}"#, "b"),
    ];
    for route in [
        "POST /certificates/mycert1/create",
        "POST /certificates/mycert1/import",
        "PATCH /certificates/mycert1/pending",
        "POST /certificates/mycert1/pending/merge",
        "PATCH /certificates/mycert1/policy",
        "PATCH /certificates/mycert1",
        "PUT /certificates/issuers/ca",
        "PATCH /certificates/issuers/ca",
        "PUT /certificates/contacts",
        "POST /certificates/restore",
        "POST /keys/mycert1/sign",
    ] {
        for (body, name) in twice {
            let message = format!("has the member {name} twice in one object. Send each member once.");
            let reply = client.send(route, body).await;
            assert_eq!(reply.status, 400, "{route} {body}: {} {}", reply.status, reply.body);
            let typed = reply.body.contains("has the wrong type");
            assert!(reply.body.contains(&message) || typed, "{route} {body}: {} {}", reply.status, reply.body);
        }
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_accepted() {
    let client = Client::start().await;
    client.must("PUT /certificates/contacts", "\u{feff}{\"contacts\":[{\"email\":\"a@b.example\"}]}").await;
}
