//! The checks after the faults: against the log from its beginning, the tables of the database, and everything that
//! clients and watchers saw.

use crate::client::Caller;
use crate::ledger::{Fact, Ledger};
use crate::watcher::{Seen, Story, Watcher, is_gone, replay, revision};
use certmint::proto::v1::{
    CancelPendingRequest, GetCertificateRequest, ListPendingRequest, PendingEvent, PendingEventType, PendingOperation,
    PendingStatus,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longer than any lease and any wait after a failure that the tests bring about.
const SETTLE: Duration = Duration::from_secs(90);
/// Calls at the same time that read every certificate.
const READERS: usize = 32;

/// What the run was, for a person.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) operations: usize,
    pub(crate) completed: usize,
    pub(crate) events: usize,
    pub(crate) facts: usize,
}

/// Everything ends once the faults have: the ones that wait for somebody are cancelled.
pub(crate) async fn settle(caller: &mut Caller, database: Option<&Client>) {
    let deadline = Instant::now() + SETTLE;
    loop {
        let open = in_progress(caller).await;
        if open.is_empty() {
            break;
        }
        for operation in &open {
            if !operation.cancellation_requested {
                let request = CancelPendingRequest {
                    certificate_name: operation.certificate_name.clone(),
                    request_id: operation.request_id.clone(),
                    ..CancelPendingRequest::default()
                };
                // It may have ended meanwhile.
                let _ = caller.cancel_pending(request).await;
            }
        }
        assert!(Instant::now() < deadline, "{} operations do not end, the first is {:?}", open.len(), open[0]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let Some(database) = database else { return };
    loop {
        let orders = count(database, "SELECT count(*) FROM records WHERE key LIKE 'orders/%'").await;
        if orders == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{orders} deleted orders are not told to their issuers");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn in_progress(caller: &mut Caller) -> Vec<PendingOperation> {
    let mut request = ListPendingRequest {
        statuses: vec![PendingStatus::InProgress.into()],
        page_size: 1000,
        ..ListPendingRequest::default()
    };
    let mut found = Vec::new();
    loop {
        let page = caller.list_pending(request.clone()).await.unwrap();
        found.extend(page.operations);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
}

async fn count(database: &Client, sql: &str) -> usize {
    let number: i64 = database.query_one(sql, &[]).await.unwrap().get(0);
    usize::try_from(number).unwrap()
}

/// All of it. `beginning` is the token of the empty log.
pub(crate) async fn check(
    caller: &mut Caller,
    database: Option<&Client>,
    beginning: &str,
    ledger: &Ledger,
    watchers: Vec<Watcher>,
) -> Report {
    settle(caller, database).await;
    let log = replay(caller, beginning).await;
    let mut story = Story::new();
    for event in &log {
        story.entry(event.operation.as_ref().unwrap().request_id.clone()).or_default().push(event.clone());
    }
    every_operation_has_a_whole_story(&story);
    one_at_a_time(&log);
    for fact in ledger.facts() {
        stands(&fact, &story);
    }
    let completed = completed(&story);
    every_version_once(caller, &completed).await;
    if let Some(database) = database {
        tables(database, log.len(), completed.len()).await;
    }
    for watcher in watchers {
        saw_everything(watcher, &story, log.len()).await;
    }
    Report { operations: story.len(), completed: completed.len(), events: log.len(), facts: ledger.len() }
}

fn every_operation_has_a_whole_story(story: &Story) {
    for (id, events) in story {
        let revisions: Vec<i64> = events.iter().map(revision).collect();
        let expected: Vec<i64> = (1..=revisions.len() as i64).collect();
        assert_eq!(revisions, expected, "{id}: revisions with a gap, or out of order");
        assert_eq!(events[0].r#type, i32::from(PendingEventType::Created), "{id}: {:?}", events[0]);
        let ends: Vec<&PendingEvent> = events.iter().filter(|event| !is_gone(event) && has_ended(event)).collect();
        assert!(ends.len() <= 1, "{id} ended {} times: {ends:?}", ends.len());
        let last = events.last().unwrap();
        assert!(is_gone(last) || has_ended(last), "{id} has not ended: {last:?}");
    }
}

fn has_ended(event: &PendingEvent) -> bool {
    event.operation.as_ref().unwrap().status != i32::from(PendingStatus::InProgress)
}

/// The log in its order: a name is free, or has one operation in progress.
fn one_at_a_time(log: &[PendingEvent]) {
    let mut busy: BTreeMap<String, String> = BTreeMap::new();
    for event in log {
        let operation = event.operation.as_ref().unwrap();
        let (name, id) = (operation.certificate_name.clone(), operation.request_id.clone());
        if event.r#type == i32::from(PendingEventType::Created) {
            let before = busy.insert(name.clone(), id.clone());
            assert_eq!(before, None, "{name}: {id} began while another one was in progress");
        } else if is_gone(event) || has_ended(event) {
            busy.retain(|_, open| *open != id);
        }
    }
}

/// Nothing that was answered is missing from the log.
fn stands(fact: &Fact, story: &Story) {
    let of = |id: &String| story.get(id).unwrap_or_else(|| panic!("acknowledged and lost: {fact:?}"));
    let found = match fact {
        Fact::Stood { operation, .. } => of(&operation.request_id).iter().any(|event| {
            let told = event.operation.as_ref().unwrap();
            told.revision == operation.revision
                && told.status == operation.status
                && told.cancellation_requested == operation.cancellation_requested
                && told.certificate_version == operation.certificate_version
        }),
        Fact::Deleted { request_id, .. } => {
            of(request_id).last().unwrap().r#type == i32::from(PendingEventType::Deleted)
        }
        Fact::Merged { request_id, version } => {
            of(request_id).iter().any(|event| event.operation.as_ref().unwrap().certificate_version == *version)
        }
    };
    assert!(found, "acknowledged, but the log says otherwise: {fact:?}\nthe log: {:#?}", of(fact.request_id()));
}

/// Name and version of every completed operation.
fn completed(story: &Story) -> Vec<(String, String)> {
    let of = |events: &Vec<PendingEvent>| {
        let done = events
            .iter()
            .filter_map(|event| event.operation.as_ref())
            .find(|operation| operation.status == i32::from(PendingStatus::Completed))?;
        Some((done.certificate_name.clone(), done.certificate_version.clone()))
    };
    story.values().filter_map(of).collect()
}

/// Each completed operation made one certificate, which can be read, with a serial number of its own.
async fn every_version_once(caller: &Caller, completed: &[(String, String)]) {
    let versions: BTreeSet<&String> = completed.iter().map(|(_, version)| version).collect();
    assert_eq!(versions.len(), completed.len(), "a version belongs to two operations");
    let parts = completed.chunks(completed.len().div_ceil(READERS).max(1)).enumerate();
    let readers: Vec<_> =
        parts.map(|(number, part)| tokio::spawn(serials(caller.another(number), part.to_vec()))).collect();
    let mut seen = BTreeSet::new();
    for reader in readers {
        for serial in reader.await.unwrap() {
            assert!(seen.insert(serial.clone()), "two certificates have {serial:?}");
        }
    }
}

/// Issuer and serial number of each.
async fn serials(mut caller: Caller, versions: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut serials = Vec::new();
    for (name, version) in versions {
        let request = GetCertificateRequest {
            certificate_name: name.clone(),
            certificate_version: version.clone(),
            ..GetCertificateRequest::default()
        };
        let found = caller.get_certificate(request).await;
        let cer = found.unwrap_or_else(|status| panic!("{name} {version}: {status:?}")).certificate.unwrap().cer;
        let (_, certificate) = X509Certificate::from_der(&cer).unwrap();
        serials.push((certificate.issuer().to_string(), certificate.raw_serial_as_string()));
    }
    serials
}

async fn tables(database: &Client, events: usize, completed: usize) {
    assert_eq!(count(database, "SELECT count(*) FROM events").await, events, "the replay is not the log");
    let versions = count(database, "SELECT count(*) FROM records WHERE key LIKE 'versions/%'").await;
    assert_eq!(versions, completed, "stored versions beside completed operations");
    // Requests are remembered for a day, what CAs signed for a year after its end, CAs are looked at daily, and
    // certificates are due when they are renewed; anything else that is due has been forgotten by its worker.
    let left = "SELECT count(*) FROM records WHERE due IS NOT NULL AND key NOT LIKE 'requests/%'
        AND key NOT LIKE 'issued/%' AND key NOT LIKE 'authorities/%' AND key NOT LIKE 'certificates/%'";
    assert_eq!(count(database, left).await, 0, "work that nobody does");
    let open = "SELECT count(*) FROM records WHERE key LIKE 'issued/%'
        AND convert_from(body, 'UTF8') LIKE '%\"state\":\"intended\"%'";
    assert_eq!(count(database, open).await, 0, "the log of a CA says of each operation how it ended");
}

async fn saw_everything(watcher: Watcher, story: &Story, events: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while watcher.events() < events && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = watcher.stop().await;
    let Seen { story: told, problems, streams, .. } = &*Mutex::lock(&seen).unwrap();
    assert!(problems.is_empty(), "a watcher met {problems:?}");
    for (id, events) in story {
        let told = told.get(id).unwrap_or_else(|| panic!("a watcher with {streams} streams was told nothing of {id}"));
        assert_eq!(told, events, "{id}: a watcher was told another story");
    }
    assert_eq!(told.len(), story.len(), "a watcher was told of operations that never were");
}
