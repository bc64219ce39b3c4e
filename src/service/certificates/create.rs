//! Starting the creation of a certificate: the intent is durable before the issuer is called.

mod prepare;
mod renewing;
mod request;

use super::entries::Entries;
use crate::domain::issued::IssuedState;
use crate::domain::pending::{State, Transition, TransitionKind};
use crate::domain::{
    Blob, CertificateEntry, Detail, EntryState, Error, Operation, Policy, PolicyInput, Reason, Result, Timestamp,
    VaultName, certificate,
};
use crate::keys::request_reader;
use crate::service::access::Permit;
use crate::service::context::Context;
use crate::service::issuers::Issuing;
use crate::service::options::ServiceOptions;
use crate::service::records::{self, Codec, PendingRecord, RequestRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Record, Revision};
use prepare::Prepared;
pub(in crate::service) use renewing::Renewing;
pub use request::CreateRequest;
use request::fingerprint;
use std::sync::Arc;

/// The operation, and where to watch from.
#[derive(Clone, Debug)]
pub struct Created {
    pub operation: Operation,
    /// Everything after the operation's creation comes after this token.
    pub resume_token: String,
}

/// What was read before the decision.
struct Before {
    /// The record by which a REST repeat is recognised, where it is there for another request. As
    /// it was before everything else was read: a try of this request that is committed since then
    /// is met as a conflict.
    repeat: Option<Revision>,
    entry: Option<(Record, CertificateEntry)>,
    pending: Option<(Record, PendingRecord)>,
}

/// Whether the request was made before.
enum Earlier {
    Answered(Box<Created>),
    No { repeat: Option<Revision> },
}

/// Starts the creations of certificates.
#[derive(Clone)]
pub struct Creations {
    context: Arc<Context>,
    entries: Entries,
    issuing: Issuing,
}

impl Creations {
    pub(in crate::service) fn new(context: Arc<Context>, entries: Entries, issuing: Issuing) -> Self {
        Self { context, entries, issuing }
    }

    /// Stores a new pending operation and answers it; the issuer is asked in the background. With a request of the
    /// caller's own no key is made: the operation carries that request, and the policy is made of both
    /// ([`PolicyInput::requested`]).
    ///
    /// Refused with [`Reason::PendingInProgress`] while another one is in progress, with
    /// [`Reason::BadParameter`] if the policy or the issuer is wrong, with
    /// [`Reason::Throttled`] if too much work with keys already waits, or where the key would not
    /// be made before the caller's deadline.
    pub async fn create(&self, request: Permit<CreateRequest>) -> Result<Created> {
        self.begin(&request, None).await
    }

    /// As [`Creations::create`], or the renewal of a version, which takes the request's policy from the entry and its tags
    /// from the version. That one is refused with [`Reason::CertificateNotFound`] where there is no such version to renew.
    pub(in crate::service) async fn begin(
        &self,
        request: &Permit<CreateRequest>,
        renewing: Option<&Renewing>,
    ) -> Result<Created> {
        if let Some(tags) = &request.tags {
            certificate::check_tags(tags)?;
        }
        let csr = request.csr.as_deref().map(request_reader::der).transpose()?;
        let fingerprint =
            fingerprint(request, csr.as_deref(), renewing.map(|renewing| renewing.renews.batch.as_str()))?;
        if csr.is_none() {
            self.check_rules(request).await?;
        }
        if csr.is_none()
            && let Some(created) = self.create_unseen(request, &fingerprint).await?
        {
            return Ok(created);
        }
        let mut prepared: Option<Prepared> = None;
        retry!({
            let repeat = match self.repeated(request, &fingerprint).await? {
                Earlier::Answered(created) => return Ok(Some(*created)),
                Earlier::No { repeat } => repeat,
            };
            let before = self.before_create(request, repeat).await?;
            if let Some((_, entry)) = &before.entry {
                self.entries.refuse_taken(entry).await?;
            }
            renewing.map_or(Ok(()), |renewing| renewing.check(&request.name, before.entry.as_ref()))?;
            if let Some((_, pending)) = &before.pending
                && pending.operation.in_progress()
            {
                // It may be this request's own: an earlier try that was committed between the reads.
                return match self.repeated(request, &fingerprint).await? {
                    Earlier::Answered(created) => Ok(Some(*created)),
                    Earlier::No { .. } => Err(pending.operation.conflict()),
                };
            }
            let ready = match prepared.take().filter(|ready| ready.still_fits(request, &before)) {
                Some(ready) => ready,
                None => match &csr {
                    Some(csr) => self.prepare_requested(request, csr, &before).await?,
                    None => self.prepare(request, &before).await?,
                },
            };
            self.commit_create(request, &fingerprint, before, prepared.insert(ready), renewing).await
        })
    }

    /// A creation as if the name were unused, without reading the store: if it is used, the commit is refused, and the
    /// creation starts again with reads. Only if the key costs less than the reads.
    async fn create_unseen(&self, request: &Permit<CreateRequest>, fingerprint: &str) -> Result<Option<Created>> {
        if !request.policy.as_ref().is_some_and(PolicyInput::is_for_p256) {
            return Ok(None);
        }
        let before = Before { repeat: None, entry: None, pending: None };
        // Problems of the name are reported before those of the policy.
        let Ok(prepared) = self.prepare(request, &before).await else { return Ok(None) };
        self.commit_create(request, fingerprint, before, &prepared, None).await
    }

    async fn before_create(&self, request: &CreateRequest, repeat: Option<Revision>) -> Result<Before> {
        let entry = self.context.load(&key::certificate(&request.vault, &request.name)).await?;
        let pending = self.context.load(&key::pending(&request.vault, &request.name)).await?;
        Ok(Before { repeat, entry, pending })
    }

    /// The answer of the same request, if it was made before: to the letter, and with a token for
    /// everything since, because the caller may have missed it all.
    async fn repeated(&self, request: &Permit<CreateRequest>, fingerprint: &str) -> Result<Earlier> {
        if let Some(id) = request.request_id
            && let Some((record, known)) = self.context.load(&key::request(&request.vault, id)).await?
        {
            if !known.is_of(request.caller().principal()) {
                return Err(reused(&format!("request_id {id}")));
            }
            if known.fingerprint != fingerprint {
                let name = known.certificate.to_string();
                return Err(reused(&format!("request_id {id}")).with(Detail::Resource { kind: "pending", name }));
            }
            let created = self.created_before(&request.vault, &record, &known).await?;
            return created.map(Earlier::Answered).ok_or_else(|| crate::domain::pending::not_found(&request.name));
        }
        let none = Earlier::No { repeat: None };
        let Some(client_request_id) = &request.client_request_id else { return Ok(none) };
        let repeat = self.context.load(&key::repeat(&request.vault, client_request_id)).await?;
        let Some((record, known)) = repeat else { return Ok(none) };
        let other = Earlier::No { repeat: Some(record.revision) };
        // Another content under the same id is another request: clients reuse correlation ids.
        if known.fingerprint != fingerprint
            || known.created.plus(self.context.options.repeat_memory) <= self.context.now()
        {
            return Ok(other);
        }
        if !known.is_of(request.caller().principal()) {
            return Err(reused("x-ms-client-request-id"));
        }
        let created = self.created_before(&request.vault, &record, &known).await?;
        Ok(created.map_or(other, Earlier::Answered))
    }

    /// What the commit that wrote `record` answered, while its operation is there.
    async fn created_before(
        &self,
        vault: &VaultName,
        record: &Record,
        known: &RequestRecord,
    ) -> Result<Option<Box<Created>>> {
        let revision = known.revision.unwrap_or(record.revision);
        let created = |operation: Operation| {
            Box::new(Created { operation: operation.as_created(), resume_token: self.context.hub.token(revision) })
        };
        Ok(self.current(vault, known).await?.map(created))
    }

    async fn current(&self, vault: &VaultName, known: &RequestRecord) -> Result<Option<Operation>> {
        let pending = self.context.load(&key::pending(vault, &known.certificate).shown()).await?;
        Ok(pending.map(|(_, pending)| pending.operation).filter(|found| found.request_id == known.request_id))
    }

    async fn commit_create(
        &self,
        request: &Permit<CreateRequest>,
        fingerprint: &str,
        before: Before,
        prepared: &Prepared,
        renewing: Option<&Renewing>,
    ) -> Result<Option<Created>> {
        let now = self.context.now();
        let deadline = now.plus(self.context.limits().issuing_deadline);
        let mut pending = new_pending(request, prepared, renewing, now, deadline);
        let mut batch = Batch::default();

        let (there, entry) = before.entry.unzip();
        let mut entry = next_entry(request, entry, prepared, now);
        if let Some(renewing) = renewing {
            renewing.note(&mut entry, &mut pending, now);
        }
        self.context.records.put_entry(&mut batch, there.as_ref(), &entry)?;

        let mut pending_revision = None;
        if let Some((record, old)) = before.pending {
            pending_revision = Some(record.revision);
            let overwritten = Transition::gone(TransitionKind::Overwritten, old.operation, now);
            batch.events.push(records::encode_event(&overwritten)?);
        }
        let due = matches!(pending.operation.state, State::Issuing { .. }).then_some(now);
        pending.planned = due;
        if let Some(ca) = &prepared.ca {
            self.issuing.intend(&mut batch, &mut pending, ca, request.caller().principal())?;
        }
        let is_logged = pending.intent.is_some();
        let place = key::pending(&request.vault, &request.name);
        batch.puts.push(self.context.records.put(&place, pending_revision, &pending, due)?);
        let created =
            Transition { kind: TransitionKind::Created, operation: pending.operation, previous: None, at: now };
        batch.events.push(records::encode_event(&created)?);
        let operation = created.operation;
        let remembered = RequestRecord {
            certificate: request.name.clone(),
            request_id: operation.request_id,
            fingerprint: fingerprint.to_owned(),
            created: now,
            revision: None,
            principal: Some(request.caller().principal().to_owned()),
        };
        remember(&mut batch, &self.context.records, request, &remembered, before.repeat, &self.context.options)?;

        let committed = self.context.try_commit(batch).await?;
        if committed.is_some() && is_logged {
            self.issuing.log.count(IssuedState::Intended);
        }
        Ok(committed.map(|revision| Created { operation, resume_token: self.context.hub.token(revision) }))
    }
}

/// The identifier of a request was used for another one, or by another caller, of whose request nothing is said.
fn reused(id: &str) -> Error {
    let message = format!("The {id} was used for another request. Choose a new one, or repeat the same request.");
    Error::new(Reason::RequestIdReused, message)
}

/// Stores what a repeat of this request will look up.
fn remember(
    batch: &mut Batch,
    codec: &Codec,
    request: &CreateRequest,
    record: &RequestRecord,
    repeat: Option<Revision>,
    options: &ServiceOptions,
) -> Result<()> {
    let due = Some(record.created.plus(options.request_memory));
    batch.puts.push(codec.put(&key::request(&request.vault, record.request_id), None, record, due)?);
    if let Some(client_request_id) = &request.client_request_id {
        let due = Some(record.created.plus(options.repeat_memory));
        batch.puts.push(codec.put(&key::repeat(&request.vault, client_request_id), repeat, record, due)?);
    }
    Ok(())
}

fn new_pending(
    request: &CreateRequest,
    prepared: &Prepared,
    renewing: Option<&Renewing>,
    now: Timestamp,
    deadline: Timestamp,
) -> PendingRecord {
    let Prepared { policy, request_id, version, key, .. } = prepared;
    PendingRecord {
        operation: Operation {
            vault: request.vault.clone(),
            certificate: request.name.clone(),
            request_id: *request_id,
            version: *version,
            issuer: policy.issuer.clone(),
            csr: Blob(key.csr.clone()),
            preserve_cert_order: request.preserve_cert_order,
            cancellation_requested: false,
            state: Operation::initial_state(&policy.issuer),
            revision: 1,
            created: now,
            updated: now,
            renews: renewing.map(|renewing| renewing.renews.clone()),
        },
        policy: policy.clone(),
        sealed_key: key.sealed_key.clone(),
        checkpoint: Blob::default(),
        attempts: 0,
        planned: None,
        deadline,
        enabled: request.enabled.unwrap_or(true),
        tags: request.tags.clone(),
        intent: None,
    }
}

fn next_entry(
    request: &CreateRequest,
    before: Option<CertificateEntry>,
    prepared: &Prepared,
    now: Timestamp,
) -> CertificateEntry {
    match before {
        Some(entry) => CertificateEntry {
            policy: Policy { granted: None, ..prepared.policy.clone() },
            tags: request.tags.clone().or(entry.tags),
            preserve_cert_order: request.preserve_cert_order.or(entry.preserve_cert_order),
            updated: now,
            ..entry
        },
        None => CertificateEntry {
            vault: request.vault.clone(),
            name: request.name.clone(),
            policy: Policy { granted: None, ..prepared.policy.clone() },
            tags: request.tags.clone(),
            latest: None,
            first_version: prepared.version,
            preserve_cert_order: request.preserve_cert_order,
            created: now,
            updated: now,
            summary: None,
            state: EntryState::Live,
            versions: Some(0),
            renewal: None,
        },
    }
}
