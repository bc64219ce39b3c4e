//! The description of this API (`src/transport/rest/openapi.json`): every example in it is sent to a service, in the
//! order of a story, and the response must match the example, except for values that vary.

mod story;

use crate::client::{Client, Reply};
use crate::replay::compare::{self, Side};
use crate::replay::tree::Tree;
use certmint::transport::rest::RestOptions;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use story::STORY;
use story::Scene::{Again, Ended, Example};

/// The description, and a validator for each of its schemas that knows no other members than the described ones.
struct Description {
    document: Value,
    validators: BTreeMap<String, Validator>,
}

/// What is sent and what is answered, as the description has it.
struct Played {
    method: String,
    template: String,
    query: Vec<String>,
    request: Option<(Value, String)>,
    status: u16,
    media: Option<String>,
    schema: Value,
    headers: BTreeSet<String>,
    answer: Option<Value>,
}

impl Description {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transport/rest/openapi.json");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut schemas = document["components"]["schemas"].clone();
        forbid_others(&mut schemas);
        let validator = |name: &String| {
            let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": schemas}});
            (name.clone(), jsonschema::draft202012::new(&schema).unwrap())
        };
        let validators = schemas.as_object().unwrap().keys().map(validator).collect();
        Self { document, validators }
    }

    /// What a reference stands for, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        self.document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("nothing at {reference}"))
    }

    fn operation(&self, name: &str) -> &Value {
        let (method, path) = name.split_once(' ').unwrap();
        let found = &self.document["paths"][path][method.to_lowercase()];
        assert!(found.is_object(), "{name} is not described");
        found
    }

    /// Every example, by operation and name.
    fn examples(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for (path, methods) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let bodies = operation["responses"].as_object().unwrap().values().map(|answer| self.resolved(answer));
                for body in bodies.chain([&operation["requestBody"]]) {
                    for media in body["content"].as_object().into_iter().flatten().map(|(_, media)| media) {
                        for name in media["examples"].as_object().into_iter().flatten().map(|(name, _)| name) {
                            found.insert((format!("{} {path}", method.to_uppercase()), name.clone()));
                        }
                    }
                }
            }
        }
        found
    }

    fn played(&self, name: &str, example: &str) -> Played {
        let operation = self.operation(name);
        let (method, template) = name.split_once(' ').unwrap();
        let request = &operation["requestBody"]["content"]["application/json"];
        let sent = request["examples"].get(example).map(|it| (it["value"].clone(), schema_name(&request["schema"])));
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap().iter().map(|it| self.resolved(it)) {
            if let (Some("query"), Some(value)) = (parameter["in"].as_str(), parameter.get("example")) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                query.push(format!("{}={value}", parameter["name"].as_str().unwrap()));
            }
        }
        let mut played = Played {
            method: method.to_owned(),
            template: template.to_owned(),
            query,
            request: sent,
            status: 204,
            media: None,
            schema: Value::Null,
            headers: BTreeSet::new(),
            answer: None,
        };
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = self.resolved(answer);
            for (media, content) in answer["content"].as_object().into_iter().flatten() {
                let Some(shown) = content["examples"].get(example) else { continue };
                assert!(played.answer.is_none(), "{name} has two answers named {example}");
                played.status = status.parse().unwrap();
                played.media = Some(media.clone());
                played.schema = content["schema"].clone();
                played.headers =
                    answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect();
                played.answer = Some(shown["value"].clone());
            }
        }
        assert!(played.answer.is_some() || operation["responses"].get("204").is_some(), "{name} answers no {example}");
        played
    }

    /// What is wrong with a value of this schema.
    fn problems(&self, schema: &str, value: &Value) -> Vec<String> {
        let errors = self.validators[schema].iter_errors(value);
        errors.map(|error| format!("{schema} {}: {error}", error.instance_path())).collect()
    }
}

fn schema_name(schema: &Value) -> String {
    schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default().to_owned()
}

/// Members that are not described are found.
fn forbid_others(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(forbid_others);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_others),
        _ => {}
    }
}

/// A service in the vault of the examples.
struct Stage<'a> {
    description: &'a Description,
    client: Client,
    host: String,
    /// The newest version of `web`, and its last backup.
    version: String,
    backup: String,
    /// Of the certificate in the log of the CA.
    serial: String,
}

impl Stage<'_> {
    async fn send(&self, method: &str, path: &str, media: &str, anonymous: bool, body: &str) -> Reply {
        let mut headers = vec![("host", self.host.as_str()), ("content-type", "application/json"), ("accept", media)];
        if !anonymous {
            headers.push(("authorization", "Bearer token"));
        }
        self.client.raw(&format!("{method} {path}"), &headers, body).await
    }

    /// The template with the examples of its parameters, but for versions, which only the server knows.
    fn path(&self, template: &str) -> String {
        let parameters = &self.description.document["components"]["parameters"];
        let example = |name: &str| {
            let found = parameters.as_object().unwrap().values().find(|parameter| parameter["name"] == name);
            found.unwrap()["example"].as_str().unwrap().to_owned()
        };
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if name.ends_with("_version") => self.version.clone(),
            Some("serial") => self.serial.clone(),
            Some(name) => example(name),
            None => part.to_owned(),
        };
        template.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    async fn play(&mut self, name: &str, example: &str) -> Result<(), String> {
        let played = self.description.played(name, example);
        let Played { method, template, query, request, status, media, schema, headers, answer } = played;
        let mut problems = Vec::new();
        let mut body = String::new();
        if let Some((request, schema)) = request {
            if status < 400 {
                problems.extend(self.description.problems(&schema, &request));
            }
            body = request.to_string().replace("<backup>", &self.backup);
        }
        let path = format!("{}?{}", self.path(&template), query.join("&"));
        let accept = media.as_deref().unwrap_or("application/json");
        let reply = self.send(&method, &path, accept, status == 401, &body).await;
        if reply.status != status {
            return Err(format!("{status} is described: {} {}", reply.status, reply.body));
        }
        if let Some(media) = &media {
            let kind = reply.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
            if kind != media {
                problems.push(format!("it is {kind}, not {media}"));
            }
        }
        for header in ["location", "retry-after", "www-authenticate"] {
            if reply.header(header).is_some() && !headers.contains(header) {
                problems.push(format!("the header {header} is not described"));
            }
        }
        match (media.as_deref(), answer) {
            (Some("application/json"), Some(shown)) => {
                let schema = schema_name(&schema);
                let answered = reply.json();
                problems
                    .extend(self.description.problems(&schema, &shown).into_iter().map(|it| format!("example: {it}")));
                problems.extend(self.description.problems(&schema, &answered));
                problems.extend(self.differences(&shown.to_string(), &reply.body));
                self.remember(&template, &answered);
            }
            (Some("text/event-stream"), Some(shown)) => {
                problems.extend(self.streams(shown.as_str().unwrap(), &reply.body))
            }
            (Some(_), Some(shown)) => {
                problems.extend(compare::texts("text", shown.as_str(), Some(&reply.body)).map(|it| it.ours))
            }
            _ => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n  ")) }
    }

    /// Where a response differs from the example; the order of members is ignored.
    fn differences(&self, shown: &str, answered: &str) -> Vec<String> {
        let side = Side { host: &self.host };
        // Identifiers are named by their first appearance, so that both have to have one order.
        let sorted = |text: &str| serde_json::from_str::<Value>(text).map_or(text.to_owned(), |it| it.to_string());
        let (shown, answered) = (sorted(shown), sorted(answered));
        let found = compare::bodies(&Tree::read(&side.named(&shown)), &Tree::read(&side.named(&answered)));
        let found = found.into_iter().filter(|it| !it.member.starts_with("order of"));
        found.map(|it| format!("{}: the example has {}, answered is {}", it.member, it.recorded, it.ours)).collect()
    }

    /// Events are compared by their names and data.
    fn streams(&self, shown: &str, answered: &str) -> Vec<String> {
        let lines = |text: &str, field: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(field)).map(str::to_owned).collect()
        };
        let (expected, found) = (lines(shown, "event: "), lines(answered, "event: "));
        if expected != found {
            return vec![format!("the example has the events {expected:?}, answered are {found:?}")];
        }
        let data = lines(shown, "data: ").into_iter().zip(lines(answered, "data: "));
        data.flat_map(|(shown, answered)| self.differences(&shown, &answered)).collect()
    }

    fn remember(&mut self, template: &str, answered: &Value) {
        if template.ends_with("/import") {
            let id = answered["id"].as_str().unwrap();
            id.rsplit('/').next().unwrap().clone_into(&mut self.version);
        }
        if template.ends_with("/ca/issued") {
            answered["value"][0]["serial"].as_str().unwrap().clone_into(&mut self.serial);
            answered["value"][0]["version"].as_str().unwrap().clone_into(&mut self.version);
        }
        if template.ends_with("/{certificate_name}/backup") {
            answered["value"].as_str().unwrap().clone_into(&mut self.backup);
        }
    }

    async fn ended(&self) {
        let path = "/certificates/web/pending?api-version=7.4";
        for _ in 0..12_000 {
            let operation = self.send("GET", path, "application/json", false, "").await.json();
            if operation["status"] != "inProgress" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the operation does not end");
    }
}

#[tokio::test]
async fn every_example_of_the_description_is_answered_as_it_says() {
    let description = Description::read();
    let played: Vec<(String, String)> = STORY
        .iter()
        .filter_map(|scene| match scene {
            Example(operation, name) if !name.is_empty() => Some(((*operation).to_owned(), (*name).to_owned())),
            _ => None,
        })
        .collect();
    let distinct: BTreeSet<_> = played.iter().cloned().collect();
    assert_eq!((distinct.len(), &distinct), (played.len(), &description.examples()), "each example is played once");
    let url = description.document["servers"][0]["url"].as_str().unwrap();
    let host = url.strip_prefix("https://").unwrap().to_owned();
    let (_, domain) = host.split_once('.').unwrap();
    let client = Client::with(|options| RestOptions { base_domain: domain.to_owned(), ..options }).await;
    let [version, backup, serial] = [const { String::new() }; 3];
    let mut stage = Stage { description: &description, client, host, version, backup, serial };
    let mut problems = Vec::new();
    for scene in STORY {
        match scene {
            Example(operation, name) => {
                if let Err(problem) = stage.play(operation, name).await {
                    problems.push(format!("{operation}, {name}:\n  {problem}"));
                }
            }
            Ended => stage.ended().await,
            Again(request) => {
                let (method, path) = request.split_once(' ').unwrap();
                let path = format!("{path}?api-version=7.4");
                assert_eq!(stage.send(method, &path, "*/*", false, "").await.status, 200, "{request}");
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_operation_is_described_whole() {
    let description = Description::read();
    let with_examples: BTreeSet<String> = description.examples().into_iter().map(|(operation, _)| operation).collect();
    let mut names = BTreeSet::new();
    for (path, methods) in description.document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let id = operation["operationId"].as_str().unwrap();
            assert!(names.insert(id.to_owned()), "{id} stands twice");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
            // Only what has no body to show has no example.
            assert!(
                with_examples.contains(&name) || operation["responses"].get("204").is_some(),
                "{name} has no example"
            );
            let parameters: Vec<&Value> =
                operation["parameters"].as_array().unwrap().iter().map(|it| description.resolved(it)).collect();
            let given: BTreeSet<&str> =
                parameters.iter().filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap()).collect();
            let expected: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(given, expected, "{name}");
            for reference in references(operation) {
                assert!(description.document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        }
    }
    for reference in references(&description.document["components"]) {
        assert!(description.document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
