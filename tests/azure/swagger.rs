//! The published description of the API (Swagger, 2026-04-01): every response of every test here is validated against
//! it, and one test calls each of its operations.

use crate::ca::{Ca, x5c};
use crate::client::{Client, Reply};
use crate::pfx::{P256, Pfx};
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use http::Method;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Members that the service or this server sends, and the description does not have (contract section 3 and 11):
/// definition, member, schema.
const BEYOND: [(&str, &str, &str); 11] = [
    // Of every bundle that has an operation.
    ("CertificateBundle", "pending", r#"{"type":"object","required":["id"],"additionalProperties":{"type":"string"}}"#),
    ("DeletedCertificateBundle", "pending", r#"{"type":"object","additionalProperties":{"type":"string"}}"#),
    (
        "X509CertificateProperties",
        "basic_constraints",
        r#"{"type":"object","additionalProperties":{"type":"boolean"}}"#,
    ),
    ("CertificateItem", "subject", r#"{"enum":[""]}"#),
    ("DeletedCertificateItem", "subject", r#"{"enum":[""]}"#),
    ("OrganizationDetails", "zip", r#"{"enum":[0]}"#),
    // `null` is the end of a list.
    ("CertificateListResult", "nextLink", r#"{"type":["string","null"]}"#),
    ("DeletedCertificateListResult", "nextLink", r#"{"type":["string","null"]}"#),
    ("CertificateIssuerListResult", "nextLink", r#"{"type":["string","null"]}"#),
    // Ours, of a built-in CA that has profiles.
    ("IssuerBundle", "profiles", r#"{"type":"object","minProperties":1,"additionalProperties":{"type":"object"}}"#),
    ("IssuerBundle", "default_profile", r#"{"type":"string","minLength":1}"#),
];

static SWAGGER: LazyLock<Swagger> = LazyLock::new(Swagger::read);

struct Swagger {
    operations: Vec<Operation>,
    /// By definition.
    validators: BTreeMap<String, Validator>,
}

struct Operation {
    method: Method,
    path: Vec<String>,
    id: String,
    /// Definition of the body by status; `None` for a success without one.
    answers: BTreeMap<String, Option<String>>,
}

/// Fails where an answer is not what the description says of it. What is not in it is passed over.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, reply: &Reply) {
    let Some(operation) = SWAGGER.operation(method, path) else { return };
    if let Err(problem) = SWAGGER.problem(operation, reply) {
        panic!("{} is not answered as it is described: {problem}\n{} {}", operation.id, reply.status, reply.body);
    }
}

impl Swagger {
    fn read() -> Self {
        let text = include_str!("../data/azure/certificates-2026-04-01.json");
        let document: Value = serde_json::from_str(text).unwrap();
        let definitions = strict(document["definitions"].clone());
        let formats = jsonschema::options()
            .with_draft(Draft::Draft4)
            .with_format("byte", |text: &str| STANDARD.decode(text).is_ok())
            .with_format("base64url", |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok())
            .should_validate_formats(true);
        let validator = |name: &String| {
            let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": definitions});
            (name.clone(), formats.build(&schema).unwrap())
        };
        let validators = definitions.as_object().unwrap().keys().map(validator).collect();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap().iter();
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    path: segments(path),
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    answers: answers.map(|(status, answer)| (status.clone(), definition(answer))).collect(),
                });
            }
        }
        // Fixed parts win over names, as in the service.
        operations.sort_by_key(|operation| operation.path.iter().filter(|part| part.starts_with('{')).count());
        Self { operations, validators }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        let mut path = segments(path);
        // The newest version is meant where none is named.
        if path.len() == 2
            && path[0] == "certificates"
            && !["contacts", "issuers", "restore"].contains(&path[1].as_str())
            && [Method::GET, Method::PATCH].contains(method)
        {
            path.push("newest".to_owned());
        }
        let fits = |template: &[String]| {
            template.len() == path.len()
                && template
                    .iter()
                    .zip(&path)
                    .all(|(part, given)| part.starts_with('{') || part.eq_ignore_ascii_case(given))
        };
        self.operations.iter().find(|operation| operation.method == *method && fits(&operation.path))
    }

    fn problem(&self, operation: &Operation, reply: &Reply) -> Result<(), String> {
        let status = reply.status.to_string();
        let answer = match operation.answers.get(&status) {
            Some(answer) => answer,
            None if reply.status >= 400 => &operation.answers["default"],
            None => return Err(format!("status {status} is not in the description")),
        };
        let Some(definition) = answer else {
            return if reply.body.is_empty() { Ok(()) } else { Err("there is no body".to_owned()) };
        };
        // A signing request alone has a type of its own.
        if reply.header("content-type").is_some_and(|kind| kind.starts_with("application/pkcs10")) {
            return BASE64_STANDARD_NO_PAD
                .decode(reply.body.trim_end_matches('='))
                .map(|_| ())
                .map_err(|e| e.to_string());
        }
        let mut body: Value = serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
        if let Some(members) = body.as_object_mut().filter(|_| definition == "IssuerBundle") {
            // Beside Key Vault's members (docs/issuers.md).
            members.remove("options");
        }
        let errors = self.validators[definition].iter_errors(&body);
        let errors: Vec<String> = errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("no {definition}: {}", errors.join("; "))) }
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn definition(answer: &Value) -> Option<String> {
    let reference = answer["schema"]["$ref"].as_str()?;
    Some(reference.rsplit('/').next().unwrap().to_owned())
}

/// The definitions with what the service sends beyond them, and nothing else beside.
fn strict(mut definitions: Value) -> Value {
    for (definition, member, schema) in BEYOND {
        definitions[definition]["properties"][member] = serde_json::from_str(schema).unwrap();
    }
    for definition in definitions.as_object_mut().unwrap().values_mut() {
        if definition.get("properties").is_some() {
            definition["additionalProperties"] = false.into();
        }
    }
    definitions
}

#[test]
fn what_is_not_described_is_found() {
    let reply = |status: u16, body: &str| {
        let headers = [(http::header::CONTENT_TYPE, "application/json".parse().unwrap())].into_iter().collect();
        Reply { status, headers, body: body.to_owned() }
    };
    let (get, bundle) = (Method::GET, "/certificates/web");
    let problem = |method: &Method, path: &str, reply: &Reply| {
        SWAGGER.problem(SWAGGER.operation(method, path).unwrap(), reply).unwrap_err()
    };
    for (body, expected) in [
        (r#"{"id":1}"#, "/id: 1 is not of type"),
        (r#"{"surprise":1}"#, "Additional properties are not allowed ('surprise' was unexpected)"),
        (r#"{"x5t":"a+b="}"#, "/x5t: \"a+b=\" is not a \"base64url\""),
        (r#"{"policy":{"key_props":{"kty":"rsa"}}}"#, "/policy/key_props/kty: \"rsa\" is not one of"),
        (r#"{"attributes":{"exp":1.5}}"#, "/attributes/exp: 1.5 is not of type \"integer\""),
        ("no JSON", "expected"),
    ] {
        let found = problem(&get, bundle, &reply(200, body));
        assert!(found.contains(expected), "{body}: {found}");
    }
    assert!(problem(&get, bundle, &reply(201, "{}")).contains("status 201"));
    assert!(problem(&get, bundle, &reply(400, r#"{"error":"x"}"#)).contains("no KeyVaultError"));
    assert!(problem(&Method::DELETE, "/deletedcertificates/web", &reply(204, "{}")).contains("no body"));
    assert!(SWAGGER.operation(&get, "/certificates/web/pending/watch").is_none());
    assert_eq!(SWAGGER.operation(&get, "/certificates/web/pending/").unwrap().id, "GetCertificateOperation");
}

#[tokio::test]
async fn every_described_operation_succeeds_as_it_is_described() {
    let client = Client::start().await;
    let mut done = BTreeSet::new();
    let mut last = Value::Null;
    let ca = Ca::new();
    let create = |issuer: &str| crate::client::policy(issuer);
    let contacts = r#"{"contacts":[{"email":"a@a.example"}]}"#;
    let issuer = r#"{"provider":"Test","credentials":{"account_id":"hold"},"org_details":{"id":"1"}}"#;
    let import = Pfx::new(P256, "").body();
    for (request, body) in [
        ("PUT /certificates/contacts", contacts),
        ("GET /certificates/contacts", ""),
        ("DELETE /certificates/contacts", ""),
        ("PUT /certificates/issuers/test", issuer),
        ("GET /certificates/issuers/test", ""),
        ("PATCH /certificates/issuers/test", r#"{"attributes":{"enabled":true}}"#),
        ("GET /certificates/issuers?maxresults=1", ""),
        ("POST /certificates/held/create", &create("test")),
        ("GET /certificates/held/pending", ""),
        ("PATCH /certificates/held/pending", r#"{"cancellation_requested":true}"#),
        ("DELETE /certificates/held/pending", ""),
        ("DELETE /certificates/issuers/test", ""),
        ("POST /certificates/other/import", &import),
        ("POST /certificates/web/create", &create("Unknown")),
        ("POST /certificates/web/pending/merge", "the certificate"),
        ("GET /certificates/web", ""),
        ("PATCH /certificates/web", r#"{"tags":{"a":"b"}}"#),
        ("GET /certificates/web/policy", ""),
        ("PATCH /certificates/web/policy", r#"{"x509_props":{"validity_months":3}}"#),
        ("GET /certificates/web/versions", ""),
        ("GET /certificates?maxresults=1&includePending=true", ""),
        ("POST /certificates/web/backup", ""),
        ("DELETE /certificates/web", ""),
        ("GET /deletedcertificates/web", ""),
        ("GET /deletedcertificates?maxresults=1", ""),
        ("POST /deletedcertificates/web/recover", ""),
    ] {
        let body = if request.ends_with("/merge") {
            x5c(&[&ca.sign(last["csr"].as_str().unwrap(), 9)])
        } else {
            body.to_owned()
        };
        last = client.must(request, &body).await;
        note(&mut done, request);
    }
    let backup = client.must("POST /certificates/web/backup", "").await.to_string();
    client.must("DELETE /certificates/web", "").await;
    for (request, body) in [("DELETE /deletedcertificates/web", ""), ("POST /certificates/restore", backup.as_str())] {
        let reply = client.send(request, body).await;
        assert!(reply.status < 300, "{request}: {} {}", reply.status, reply.body);
        note(&mut done, request);
    }
    let all: BTreeSet<&str> = SWAGGER.operations.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(done, all);
}

/// An operation has succeeded; what it answered was checked by the client.
fn note(done: &mut BTreeSet<&'static str>, request: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let path = path.split('?').next().unwrap();
    done.insert(SWAGGER.operation(&method.parse().unwrap(), path).unwrap().id.as_str());
}
