//! Background work. A record that becomes due is claimed, one step is done for it, and the step is committed against
//! the claim: whoever changed the record in between wins, and the step is simply due again. A file for each kind.

mod abandoned_order;
mod authority;
mod challenge;
mod clock_rollback;
mod crl;
mod deleted;
mod hint;
mod issued;
mod issuer_state;
mod parked;
mod pending;
mod purging;
mod renewal;
mod request;
pub(super) mod wakeup;

use super::access::Rights;
use super::audit::{RENEWAL, RESEAL, Scope};
use super::ca::{IssuedLog, Responders, RevocationLists, Successions};
use super::certificates::{Creations, Deletions};
use super::context::Context;
use super::issuers::Issuing;
use super::master_keys::MasterKeyObjects;
use super::pending::PendingOperations;
use super::records::{Kind, concerns_a_record};
use super::webhooks::WebhookWork;
use crate::domain::{Result, Timestamp};
use crate::store::Record;
use clock_rollback::LatestTime;
pub use hint::Hinted;
use renewal::RenewalWork;
use std::sync::Arc;
use std::time::Duration;

/// Work that was claimed; only good for [`Jobs::step`].
#[derive(Debug)]
pub struct Due {
    pub(super) record: Record,
    pub(super) until: Timestamp,
}

impl Due {
    /// The key of the record, for the log.
    pub fn key(&self) -> &str {
        &self.record.key
    }
}

/// The kinds of records that may become due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DueKind {
    /// An operation whose issuer is asked, or whose cancellation is confirmed.
    Pending,
    /// An order to be cancelled at its issuer.
    AbandonedOrder,
    /// A request, or a repeat over REST, to be forgotten.
    Request,
    /// A deleted certificate whose retention ends.
    Deleted,
    /// A purge or a restore to be finished.
    Purging,
    /// A CA whose next one is to be made, or whose key is to be erased.
    Authority,
    /// A challenge that nobody needs any more.
    Challenge,
    /// The state of an issuer object that is gone.
    IssuerState,
    /// A certificate in the log of a CA: an intent whose operation is over, or one that is to be forgotten.
    Issued,
    /// A revoked certificate that is on no list yet, or on no list any more.
    Revoked,
    /// A revocation list to be made anew.
    Crl,
    /// An OCSP responder that needs another certificate.
    Responder,
    /// A certificate to be renewed, or whose CA is asked when.
    Certificate,
    /// The walk that brings records under the newest master key.
    Reseal,
    /// An event to be sent to a webhook.
    Delivery,
    /// An event that a webhook did not take, to be forgotten.
    DeadLetter,
    /// A look at certificates that end, for a webhook.
    ExpiryWatch,
}

impl DueKind {
    /// What the job does, in the audit ledger.
    const fn word(self) -> &'static str {
        match self {
            Self::Pending => "issuance",
            Self::AbandonedOrder => "cancellation of an order",
            Self::Request => "forgetting of a request",
            Self::Deleted => "end of a retention",
            Self::Purging => "purge",
            Self::Authority => "end of a CA",
            Self::Challenge => "end of a challenge",
            Self::IssuerState => "end of an issuer",
            Self::Issued => "log of a CA",
            Self::Revoked | Self::Crl => "revocation list",
            Self::Responder => "OCSP responder",
            Self::Certificate => RENEWAL,
            Self::Reseal => RESEAL,
            Self::Delivery | Self::DeadLetter | Self::ExpiryWatch => "webhook",
        }
    }

    /// `None` for a record that this version does not make due.
    fn of(key: &str) -> Option<Self> {
        match Kind::of(key)? {
            Kind::Pending => Some(Self::Pending),
            Kind::AbandonedOrder => Some(Self::AbandonedOrder),
            Kind::Request | Kind::Repeat => Some(Self::Request),
            Kind::Deleted => Some(Self::Deleted),
            Kind::Purging => Some(Self::Purging),
            Kind::Authority => Some(Self::Authority),
            Kind::Challenge => Some(Self::Challenge),
            Kind::IssuerState => Some(Self::IssuerState),
            Kind::Issued => Some(Self::Issued),
            Kind::Revoked => Some(Self::Revoked),
            Kind::Crl => Some(Self::Crl),
            Kind::Responder => Some(Self::Responder),
            Kind::Certificate => Some(Self::Certificate),
            Kind::Reseal => Some(Self::Reseal),
            Kind::Delivery => Some(Self::Delivery),
            Kind::DeadLetter => Some(Self::DeadLetter),
            Kind::ExpiryWatch => Some(Self::ExpiryWatch),
            Kind::Version
            | Kind::Suspended
            | Kind::Contacts
            | Kind::VaultRenewals
            | Kind::Vault
            | Kind::Issuer
            | Kind::IssuerHealth
            | Kind::Grant
            | Kind::Role
            | Kind::RightsChanges
            | Kind::IssuedByTime
            | Kind::IssuedByKey
            | Kind::IssuedAdoption
            | Kind::AuditLine
            | Kind::AuditKey
            | Kind::AuditVolume
            | Kind::Replica
            | Kind::Parked
            | Kind::Installation
            | Kind::Webhook
            | Kind::Meta => None,
        }
    }
}

/// What is done for the CAs of this server.
#[derive(Clone)]
struct CaWork {
    log: IssuedLog,
    crls: RevocationLists,
    responders: Responders,
    successions: Successions,
}

/// Claims what is due, and does it.
#[derive(Clone)]
pub struct Jobs {
    context: Arc<Context>,
    issuing: Issuing,
    renewals: RenewalWork,
    pending: PendingOperations,
    deletions: Deletions,
    rights: Arc<Rights>,
    cas: CaWork,
    latest: Arc<LatestTime>,
}

impl Jobs {
    pub(super) fn new(
        context: Arc<Context>,
        issuing: Issuing,
        creations: &Creations,
        pending: PendingOperations,
        deletions: Deletions,
        rights: Arc<Rights>,
    ) -> Self {
        let authorities = issuing.authorities.clone();
        let cas = CaWork {
            log: IssuedLog::new(context.clone()),
            crls: RevocationLists::new(context.clone(), authorities.clone()),
            responders: Responders::new(context.clone(), authorities.clone()),
            successions: Successions::new(context.clone(), authorities),
        };
        let renewals = RenewalWork::new(context.clone(), issuing.clone(), creations.clone());
        Self { context, issuing, renewals, pending, deletions, rights, cas, latest: Arc::default() }
    }

    /// Takes up to `limit` due records for the length of one lease.
    pub async fn claim(&self, limit: usize) -> Result<Vec<Due>> {
        let now = self.context.now();
        self.follow_the_clock(now).await?;
        // That may have taken its time.
        let now = self.context.now();
        let until = now.plus(self.context.limits().work_lease);
        let records = self.context.store.claim(now, until, limit).await;
        if records.is_err() {
            self.context.writes.note(&records);
        }
        let records = records?;
        Ok(records.into_iter().map(|record| Due { record, until }).collect())
    }

    /// When there may be due work: at once where something was hinted, `None` where nothing was.
    pub fn next_due(&self) -> Option<Duration> {
        let due = self.context.wakeup.take()?;
        Some(Duration::from_millis(u64::try_from(due.0.saturating_sub(self.context.now().0)).unwrap_or(0)))
    }

    /// Ends when there is work earlier than was known before.
    pub async fn wait_for_work(&self) {
        self.context.wakeup.notified().await;
    }

    /// Does one step of claimed work. An error leaves the record due again when its lease ends.
    pub async fn step(&self, due: Due) -> Result<()> {
        let scope = Scope::job(DueKind::of(&due.record.key).map_or("upkeep", DueKind::word));
        match scope.run(self.step_of_kind(due)).await {
            // Logged once; nothing can be done for it until it is restored or removed.
            Err(error) if concerns_a_record(&error) => Ok(()),
            ended => ended,
        }
    }

    async fn step_of_kind(&self, due: Due) -> Result<()> {
        let Some(kind) = DueKind::of(&due.record.key) else { return self.park(due).await };
        match kind {
            DueKind::Pending => self.step_pending(due).await,
            DueKind::AbandonedOrder => self.step_abandoned_order(due).await,
            DueKind::Request => self.forget_request(due).await,
            DueKind::Deleted => self.purge_overdue(due).await,
            DueKind::Purging => self.finish_purge(due).await,
            DueKind::Authority => self.step_authority(due).await,
            DueKind::Challenge => self.expire_challenge(due).await,
            DueKind::IssuerState => self.forget_retired_state(due).await,
            DueKind::Issued => self.settle_issued(due).await,
            DueKind::Revoked => self.list_revoked(due).await,
            DueKind::Crl => self.renew_crl(due).await,
            DueKind::Responder => self.renew_responder(due).await,
            DueKind::Certificate => self.renewals.step(due.record).await,
            DueKind::Reseal => MasterKeyObjects::new(self.context.clone()).step(&due.record).await,
            DueKind::Delivery => WebhookWork(&self.context).deliver(due.record).await,
            DueKind::DeadLetter => self.context.remove(&due.record).await,
            DueKind::ExpiryWatch => WebhookWork(&self.context).watch_expiry(due.record).await,
        }
    }
}
