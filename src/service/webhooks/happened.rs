//! What a commit tells: the events of the certificates that it changes.

use crate::domain::pending::{Transition, TransitionKind};
use crate::domain::webhook::EventFacts;
use crate::domain::{Certificate, CertificateEntry, CertificateEvent, CertificateName, EntryState, EventType};
use crate::domain::{EventId, Result, Status, Timestamp, VaultName};
use crate::keys::random_id;
use crate::service::audit::scope::{Asks, Scope};
use crate::service::audit::told::RESEAL;
use crate::service::records::{Codec, Kind, Place, decode_event};
use crate::store::{Batch, Put, Record};

/// Whether a commit may tell anything.
pub(super) fn may_tell(batch: &Batch) -> bool {
    let is_told = |key: &str| matches!(Kind::of(key), Some(Kind::Certificate | Kind::Version));
    !batch.events.is_empty()
        || batch.puts.iter().any(|put| is_told(&put.key))
        || batch.deletes.iter().any(|delete| is_told(&delete.key))
}

/// The events of a commit at `now`, in the order in which they are told.
pub(super) fn events(records: &Codec, batch: &Batch, now: Timestamp) -> Result<Vec<CertificateEvent>> {
    let scope = Scope::current();
    // It changes nothing of what records say.
    if scope.as_ref().is_some_and(|scope| scope.is_job(RESEAL)) {
        return Ok(Vec::new());
    }
    let mut told = Told { now, events: Vec::new() };
    let mut renewed = Vec::new();
    for transition in batch.events.iter().filter_map(|event| decode_event(event).ok()) {
        told.transition(&transition);
        renewed.extend(Some(transition).filter(|it| it.operation.renews.is_some()));
    }
    let is_transition = !told.events.is_empty();
    let entry = batch.puts.iter().find(|put| Kind::of(&put.key) == Some(Kind::Certificate));
    let entry: Option<CertificateEntry> = entry.map(|put| read(records, put)).transpose()?;
    let is_live = entry.as_ref().is_some_and(|entry| entry.state == EntryState::Live);
    for put in batch.puts.iter().filter(|put| Kind::of(&put.key) == Some(Kind::Version)) {
        let version: Certificate = read(records, put)?;
        let facts = of_version(&version);
        if put.expected.is_some() {
            told.push(EventType::Updated, &version.vault, &version.name, facts);
            continue;
        }
        told.push(EventType::NewVersionCreated, &version.vault, &version.name, facts.clone());
        let merged = batch.events.iter().filter_map(|event| decode_event(event).ok()).any(|it| completes(&it));
        if is_live && !merged {
            told.push(EventType::Imported, &version.vault, &version.name, facts);
        }
    }
    for transition in &renewed {
        told.renewal(transition);
    }
    told.life(batch, entry.as_ref());
    let changes = scope.is_some_and(|scope| scope.asks() == Some(Asks::Change));
    if let Some(entry) = entry.filter(|_| is_live && changes && !is_transition && told.events.is_empty()) {
        told.push(EventType::Updated, &entry.vault, &entry.name, of_entry(&entry));
    }
    Ok(told.events)
}

fn completes(transition: &Transition) -> bool {
    transition.kind == TransitionKind::Updated && transition.operation.status() == Status::Completed
}

/// The value of a record that is about to be written.
fn read<T: crate::service::records::Stored>(records: &Codec, put: &Put) -> Result<T> {
    records.read(&Record { key: put.key.clone(), revision: 0, body: put.body.clone(), due: None })
}

fn of_version(version: &Certificate) -> EventFacts {
    EventFacts {
        version: Some(version.version),
        not_before: Some(version.not_before),
        expires: Some(version.expires),
        ..EventFacts::default()
    }
}

pub(super) fn of_entry(entry: &CertificateEntry) -> EventFacts {
    let summary = entry.current_summary();
    EventFacts {
        version: entry.latest,
        not_before: summary.map(|it| it.not_before),
        expires: summary.map(|it| it.expires),
        ..EventFacts::default()
    }
}

/// The events that are collected.
struct Told {
    now: Timestamp,
    events: Vec<CertificateEvent>,
}

impl Told {
    fn push(&mut self, kind: EventType, vault: &VaultName, name: &CertificateName, facts: EventFacts) {
        self.events.push(CertificateEvent {
            id: EventId::from_uuid(random_id()),
            kind,
            vault: vault.clone(),
            certificate: name.clone(),
            at: self.now,
            facts,
        });
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { kind, operation, .. } = transition;
        let kind = match kind {
            TransitionKind::Created => EventType::PendingCreated,
            TransitionKind::Deleted => EventType::PendingDeleted,
            TransitionKind::Overwritten => EventType::PendingOverwritten,
            TransitionKind::Updated => match operation.status() {
                Status::InProgress => EventType::PendingUpdated,
                Status::Completed => EventType::PendingCompleted,
                Status::Failed => EventType::PendingFailed,
                Status::Cancelled => EventType::PendingCancelled,
            },
        };
        self.push(kind, &operation.vault, &operation.certificate, of_operation(transition));
    }

    fn renewal(&mut self, transition: &Transition) {
        let operation = &transition.operation;
        let kind = match (transition.kind, operation.status()) {
            (TransitionKind::Updated, Status::Completed) => EventType::Renewed,
            (TransitionKind::Updated, Status::Failed) => EventType::RenewalFailed,
            _ => return,
        };
        self.push(kind, &operation.vault, &operation.certificate, of_operation(transition));
    }

    /// Deletion, recovery and purge: the entry and its place in the list of the deleted are written together.
    fn life(&mut self, batch: &Batch, entry: Option<&CertificateEntry>) {
        let lists = batch.puts.iter().any(|put| Kind::of(&put.key) == Some(Kind::Deleted));
        let unlists = batch.deletes.iter().any(|delete| Kind::of(&delete.key) == Some(Kind::Deleted));
        match entry {
            Some(entry) if lists && matches!(entry.state, EntryState::Deleted { .. }) => {
                self.push(EventType::Deleted, &entry.vault, &entry.name, of_entry(entry));
            }
            Some(entry) if unlists && entry.state == EntryState::Live => {
                self.push(EventType::Recovered, &entry.vault, &entry.name, of_entry(entry));
            }
            _ => {}
        }
        for delete in &batch.deletes {
            if let Some(place) = Place::of(&delete.key).filter(|place| place.kind == Kind::Certificate)
                && let Ok((vault, name)) = place.certificate()
            {
                self.push(EventType::Purged, &vault, &name, EventFacts::default());
            }
        }
    }
}

fn of_operation(transition: &Transition) -> EventFacts {
    let operation = &transition.operation;
    EventFacts {
        version: Some(operation.version),
        request_id: Some(operation.request_id),
        status: Some(operation.status().word().to_owned()),
        issuer: Some(operation.issuer.name.clone()),
        error: operation.error().cloned(),
        ..EventFacts::default()
    }
}
