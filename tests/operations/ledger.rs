//! The audit ledger of the whole program: over kill -9 at any moment, on both stores; and that nothing secret comes into it,
//! the log, the metrics or an error.

use crate::clients::{CREATE, admin, channel, create, grpc, rest};
use crate::postgres::Postgres;
use crate::server::{ALICE, BOB, Place, Server};
use certmint::proto::v1::audit_service_client::AuditServiceClient;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::proto::v1::{AuditRecord, GetSecretRequest, ListAuditKeysRequest, ListAuditRequest};
use certmint::service::{AuditReport, AuditVerifier};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

const ROUNDS: usize = 6;
const CREATORS: usize = 4;
const READERS: usize = 3;
/// What every secret field holds.
const MARK: &str = "MaRkEdSeCrEt";

fn bearer<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {ALICE}").parse().unwrap());
    request
}

async fn everything(channel: &Channel) -> Vec<AuditRecord> {
    let mut client = AuditServiceClient::new(channel.clone());
    let mut wanted = ListAuditRequest { vault_name: "-".into(), page_size: 1000, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_audit(bearer(wanted.clone())).await.unwrap().into_inner();
        all.extend(page.records);
        if page.next_page_token.is_empty() {
            return all;
        }
        wanted.page_token = page.next_page_token;
    }
}

async fn verified(channel: &Channel, records: &[AuditRecord]) -> AuditReport {
    let keys = AuditServiceClient::new(channel.clone()).list_audit_keys(bearer(ListAuditKeysRequest {})).await;
    let keys = keys.unwrap().into_inner().keys.into_iter().map(|key| key.public_key.to_vec()).collect();
    let mut verifier = AuditVerifier::new(keys, false);
    for record in records {
        verifier.line(&format!("{}/{}", record.writer, record.seq), record.line.as_bytes());
    }
    verifier.finish()
}

/// What was answered to callers.
#[derive(Default)]
struct Acknowledged {
    created: BTreeSet<String>,
    read: BTreeMap<String, usize>,
}

impl Acknowledged {
    fn counts(&self) -> (usize, usize) {
        (self.created.len(), self.read.values().sum())
    }
}

/// Calls until the server is gone.
async fn load(server: &Server, place: &Place, round: usize, seen: &Arc<Mutex<Acknowledged>>) {
    for caller in 0..CREATORS {
        let (mut client, seen) = (grpc(server, place, Some(ALICE)).await, seen.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let name = format!("c-{round}-{caller}-{number}");
                if client.create_certificate(create(&name)).await.is_err() {
                    return;
                }
                seen.lock().unwrap().created.insert(name);
            }
        });
    }
    let channel = channel(server, place).await;
    for _ in 0..READERS {
        let (mut client, seen) = (SecretServiceClient::new(channel.clone()), seen.clone());
        tokio::spawn(async move {
            let secret = || GetSecretRequest { secret_name: "first".into(), ..Default::default() };
            while client.get_secret(bearer(secret())).await.is_ok() {
                *seen.lock().unwrap().read.entry("first".to_owned()).or_default() += 1;
            }
        });
    }
}

async fn kills(place: &Place) {
    let seen = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..ROUNDS {
        let server = place.start();
        if round == 0 {
            grpc(&server, place, Some(ALICE)).await.create_certificate(create("first")).await.unwrap();
            let channel = channel(&server, place).await;
            crate::clients::until("the first certificate", async || {
                let secret = GetSecretRequest { secret_name: "first".into(), ..Default::default() };
                SecretServiceClient::new(channel.clone()).get_secret(bearer(secret)).await.is_ok()
            })
            .await;
        }
        let before = seen.lock().unwrap().counts();
        load(&server, place, round, &seen).await;
        let grew = |now: (usize, usize)| now.0 > before.0 && now.1 > before.1;
        crate::clients::until("answers of this round", async || grew(seen.lock().unwrap().counts())).await;
        // A moment that nobody chose, while calls are under way.
        let moment = 50 + u64::from(uuid::Uuid::new_v4().as_fields().1) % 450;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.signal(Signal::KILL);
    }
    let server = place.start();
    let channel = channel(&server, place).await;
    let records = everything(&channel).await;
    let report = verified(&channel, &records).await;
    assert!(report.is_whole(), "{:#?}\n{:#?}", report.problems, report.notes);
    assert_eq!(report.writers, ROUNDS + 1);
    let seen = seen.lock().unwrap();
    assert!(seen.created.len() >= ROUNDS && seen.read["first"] >= ROUNDS, "{:?}", seen.counts());
    let of = |operation: &'static str| records.iter().filter(move |record| record.operation.ends_with(operation));
    let created: BTreeSet<&str> = of("/CreateCertificate").map(|record| record.name.as_str()).collect();
    let missing: Vec<_> = seen.created.iter().filter(|name| !created.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "acknowledged and not recorded: {missing:?}");
    let read = of("/GetSecret").filter(|record| record.outcome == "OK").count();
    assert!(read >= seen.read["first"], "{read} recorded, {} acknowledged", seen.read["first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_missing_in_the_ledger_after_kill_9() {
    kills(&Place::new("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_missing_in_the_ledger_of_postgresql_after_kill_9() {
    let postgres = Postgres::start();
    let place = Place::new(&format!("[store]\nurl = '{}'\n", postgres.url("postgres")));
    kills(&place).await;
}

/// Messages as bytes.
#[derive(Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}

fn is_secret(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options.get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

/// The message with a mark in one secret field, for each way to one.
fn marked(of: &MessageDescriptor, depth: usize) -> Vec<DynamicMessage> {
    let mut found = Vec::new();
    for field in of.fields() {
        let mut message = named(of);
        if is_secret(&field) && field.is_map() {
            let entries = [(prost_reflect::MapKey::String("pwd".into()), Value::String(MARK.into()))];
            message.set_field(&field, Value::Map(entries.into()));
            found.push(message);
        } else if is_secret(&field) && !field.is_list() {
            let mark = match field.kind() {
                Kind::Bytes => Value::Bytes(MARK.as_bytes().to_vec().into()),
                _ => Value::String(MARK.to_owned()),
            };
            message.set_field(&field, mark);
            found.push(message);
        } else if let (Kind::Message(inner), false, 1..) = (field.kind(), field.is_list() || field.is_map(), depth) {
            for value in marked(&inner, depth - 1) {
                let mut message = named(of);
                message.set_field(&field, Value::Message(value));
                found.push(message);
            }
        }
    }
    found
}

/// The message with names where it has names.
fn named(of: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields().filter(|field| field.name().ends_with("_name") && !field.is_list()) {
        if field.name() != "vault_name" && matches!(field.kind(), Kind::String) {
            message.set_field(&field, Value::String("web".to_owned()));
        }
    }
    if let Some(provider) = of.get_field_by_name("provider").filter(|field| matches!(field.kind(), Kind::String)) {
        message.set_field(&provider, Value::String("DigiCert".to_owned()));
    }
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_marks_as_secret_is_in_no_record_log_metric_or_error() {
    let place = with_file("audit.jsonl", "level = 'all'\n");
    let mut command = place.command();
    command.env("CERTMINT_LOG", "trace");
    let server = Server::start(command, place.file("log"));
    let channel = channel(&server, &place).await;
    let pool = DescriptorPool::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    let (mut methods, mut sent, mut errors) = (BTreeSet::new(), 0, String::new());
    for service in pool.services().filter(|service| service.full_name().starts_with("certmint.v1.")) {
        for method in service.methods().filter(|method| !method.is_server_streaming()) {
            for message in marked(&method.input(), 3) {
                let path = format!("/{}/{}", service.full_name(), method.name());
                methods.insert(path.clone());
                sent += 1;
                let mut client = tonic::client::Grpc::new(channel.clone());
                client.ready().await.unwrap();
                let answer = client.unary(bearer(message.encode_to_vec()), path.parse().unwrap(), Bytes).await;
                if let Err(status) = answer {
                    errors.push_str(&format!("{status:?} {}\n", String::from_utf8_lossy(status.details())));
                }
            }
        }
    }
    for (method, path, body) in [
        ("PUT", "/certificates/issuers/web", format!(r#"{{"provider":"DigiCert","credentials":{{"pwd":"{MARK}"}}}}"#)),
        ("POST", "/certificates/web/import", format!(r#"{{"value":"{MARK}","pwd":"{MARK}"}}"#)),
        ("POST", "/certificates/restore", format!(r#"{{"value":"{MARK}"}}"#)),
        ("POST", "/keys/web/decrypt", format!(r#"{{"alg":"RSA-OAEP","value":"{MARK}"}}"#)),
        (
            "POST",
            "/keys/web/wrapkey",
            format!(r#"{{"alg":"{MARK}1","value":"{MARK}"}}"#).replace(&format!("{MARK}1"), "RSA-OAEP"),
        ),
    ] {
        sent += 1;
        errors.push_str(&rest(&server, &place, Some(ALICE), method, &format!("{path}?api-version=7.4"), &body).await);
    }
    // A token that is not accepted, and one that is.
    rest(&server, &place, Some(MARK), "GET", "/certificates?api-version=7.4", "").await;
    rest(&server, &place, Some(BOB), "GET", "/certificates?api-version=7.4", "").await;
    assert!(methods.len() >= 7 && sent > 12, "{sent}: {methods:#?}");
    let records: String = everything(&channel).await.into_iter().map(|record| record.line).collect();
    assert!(records.contains("/ImportCertificate") && records.contains("token:bob"), "{records}");
    let (_, metrics) = admin(&server, "/metrics").await;
    let log = server.log();
    assert!(log.contains("TRACE"), "the log is not at trace");
    let encoded = "TWFSa0VkU2VDckV0";
    let bytes = format!("{:?}", MARK.as_bytes());
    // The log has the lines of the third sink, too.
    let file = lines_of(&place, "audit.jsonl").join("\n");
    assert!(file.contains("/ImportCertificate") && log.contains(r#""kind":"request""#));
    let all =
        [("errors", &errors), ("the store", &records), ("the file", &file), ("metrics", &metrics), ("the log", &log)];
    for (place, text) in all {
        for secret in [MARK, encoded, ALICE, BOB, bytes.trim_matches(['[', ']'])] {
            let at = text.find(secret);
            let around = at.map(|at| text.get(at.saturating_sub(200)..(at + 100).min(text.len())));
            assert!(at.is_none(), "{secret} is in {place}: {around:?}");
        }
    }
}

async fn read(server: &Server, place: &Place, path: &str) -> String {
    rest(server, place, Some(ALICE), "GET", &format!("{path}?api-version=7.4"), "").await
}

async fn make(server: &Server, place: &Place, name: &str) -> String {
    rest(server, place, Some(ALICE), "POST", &format!("/certificates/{name}/create?api-version=7.4"), CREATE).await
}

fn lines_of(place: &Place, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(place.file(file)).unwrap_or_default();
    // A line that is being written has no end yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

fn report_of(lines: &[Vec<String>]) -> AuditReport {
    let mut verifier = AuditVerifier::new(Vec::new(), false);
    for (number, line) in (1..).zip(lines.iter().flatten()) {
        verifier.line(&number.to_string(), line.as_bytes());
    }
    verifier.finish()
}

fn with_file(file: &str, more: &str) -> Place {
    let place = Place::new("");
    let path = place.file(file).display().to_string();
    place.configure(&format!("[audit]\nsinks = ['store', 'file', 'stderr']\nfile = '{path}'\n{more}"));
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_has_every_line_before_the_answer_and_goes_on_after_it_was_moved_removed_or_its_server_killed() {
    let place = with_file("audit.jsonl", "");
    let mut server = place.start();
    let has = |file: &str, operation: &str| lines_of(&place, file).iter().any(|line| line.contains(operation));
    assert!(make(&server, &place, "web").await.contains(" 202 "));
    assert!(has("audit.jsonl", "/CreateCertificate"), "the change is not there");
    assert!(read(&server, &place, "/secrets/none").await.contains(" 404 "));
    assert!(has("audit.jsonl", "/GetSecret"), "the read is not there");

    std::fs::rename(place.file("audit.jsonl"), place.file("audit.1")).unwrap();
    server.signal(Signal::HUP);
    crate::clients::until("the new file", async || place.file("audit.jsonl").exists()).await;
    read(&server, &place, "/secrets/none").await;
    assert!(has("audit.jsonl", "/GetSecret"));
    let before = lines_of(&place, "audit.1");
    assert!(report_of(&[before.clone(), lines_of(&place, "audit.jsonl")]).is_whole());
    let first: serde_json::Value = serde_json::from_str(&lines_of(&place, "audit.jsonl")[0]).unwrap();
    let last: serde_json::Value = serde_json::from_str(before.last().unwrap()).unwrap();
    assert_eq!(first["seq"], last["seq"].as_u64().unwrap() + 1, "the chain goes on in the new file");

    // What the server does by itself may come into the file up to the last moment.
    std::fs::hard_link(place.file("audit.jsonl"), place.file("audit.2")).unwrap();
    std::fs::remove_file(place.file("audit.jsonl")).unwrap();
    crate::clients::until("a file in its place", async || place.file("audit.jsonl").exists()).await;
    let second = lines_of(&place, "audit.2");
    read(&server, &place, "/secrets/none").await;
    server.signal(Signal::KILL);
    server.ended().await;

    let mut server = place.start();
    read(&server, &place, "/secrets/none").await;
    server.signal(Signal::TERM);
    server.ended().await;
    let third = lines_of(&place, "audit.jsonl");
    let report = report_of(&[before, second, third.clone()]);
    assert!(report.is_whole() && report.writers == 2, "{report:?}");
    assert!(third.last().unwrap().contains(r#""kind":"stop""#), "{third:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_cannot_be_recorded_until_there_is_room() {
    let place = with_file("audit.jsonl", "");
    std::os::unix::fs::symlink("/dev/full", place.file("audit.jsonl")).unwrap();
    let server = place.start();
    for _ in 0..2 {
        let refused = read(&server, &place, "/secrets/none").await;
        assert!(refused.contains(" 503 ") && refused.contains("audit record"), "{refused}");
    }
    let refused = make(&server, &place, "web").await;
    assert!(refused.contains(" 503 ") && refused.to_lowercase().contains("retry-after: 1"), "{refused}");
    assert!(read(&server, &place, "/certificates/web").await.contains(" 404 "), "it was made without its record");
    let (status, body) = admin(&server, "/readyz").await;
    assert!(status.contains("503") && body.contains("audit") && body.contains("No space left"), "{body}");
    let (_, metrics) = admin(&server, "/metrics").await;
    assert!(!metrics.contains("certmint_audit_failures_total 0\n"), "nothing was counted");

    std::fs::remove_file(place.file("audit.jsonl")).unwrap();
    crate::clients::until("readiness", async || admin(&server, "/readyz").await.0.contains("200")).await;
    assert!(make(&server, &place, "web").await.contains(" 202 "));
    assert!(report_of(&[lines_of(&place, "audit.jsonl")]).problems.iter().all(|it| it.contains("begin at")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_continue_answers_without_a_file() {
    let place = with_file("audit.jsonl", "on_failure = 'continue'\n");
    std::os::unix::fs::symlink("/dev/full", place.file("audit.jsonl")).unwrap();
    let server = place.start();
    assert!(read(&server, &place, "/secrets/none").await.contains(" 404 "));
    assert!(make(&server, &place, "web").await.contains(" 202 "));
    assert!(admin(&server, "/readyz").await.0.contains("200"));
    assert!(server.log().contains("a record of the audit ledger is missing"), "the log says nothing");
    let (_, metrics) = admin(&server, "/metrics").await;
    assert!(!metrics.contains("certmint_audit_failures_total 0\n"), "nothing was counted");
}
