//! The use cases, a folder for each subject. A use case reads records, asks the domain, and commits one batch; where
//! somebody else was faster it reads again and decides again.

mod access;
mod audit;
mod authentication;
mod ca;
mod certificates;
mod context;
mod installations;
mod issuers;
mod jobs;
mod master_keys;
mod material;
mod observe;
mod options;
mod outage;
mod pending;
mod records;
mod renewals;
mod retry;
#[cfg(test)]
mod stored_formats;
mod vaults;
pub mod watch;
mod webhooks;
mod writes;

pub use crate::issuer::provider::{Health as ProviderHealth, IssuerSchema, OptionKind, OptionSchema};
pub use crate::keys::Caller;
pub use access::{
    Access, AccessOptions, AccessQuestion, AllVaults, AnyRole, CallerLimits, CertificateRef, Decision, GrantFilter,
    GrantLimits, GrantObjects, GrantPage, GrantRef, Identity, IssuerRef, Mode, NewGrant, NewRole, Permit, Place,
    RoleRef, Target,
};
pub use audit::{
    Asks, AuditFailure, AuditFilter, AuditLevel, AuditOptions, AuditPage, AuditPublicKey, AuditRecord, AuditSink,
    AuditTrail, Facts, Report as AuditReport, Scope, Verifier as AuditVerifier,
};
pub use authentication::Authenticated;
pub use ca::{
    Answered, AuthorityRef, AuthorityView, BaseUrl, CaOptions, Ceremony, CertificateAuthorities, ImportAuthority,
    InstallAuthority, IssuedFilter, IssuedPage, IssuedRef, IssuedView, ListAuthorities, ListIssued, NewAuthority,
    Parent, Publications, Published, RevokeRequest, RevokeWhich, Revoked,
};
pub(crate) use certificates::reads_a_backup;
pub use certificates::{
    CertificateView, Certificates, CreateRequest, Created, Creations, DeletedItem, DeletedPage, DeletedView, Deletions,
    ImportRequest, Item, ItemPage, ListRequest, UpdateRequest,
};
pub use installations::{InstallationPage, InstallationView, Installations, ReportInstallation};
pub use issuers::{
    Authorities, ChainWay, FailingIssuer, IssuerControl, IssuerHealth, IssuerObjects, IssuerPage, IssuerVerdict,
    OpenOperations, ProviderView, options_of, profiles_of,
};
pub use jobs::{Due, Hinted, Jobs};
pub use master_keys::{
    LeftRecords, MasterKeyCount, MasterKeyObjects, MasterKeyStatus, ReplicaView, ResealEnd, ResealRequest, ResealView,
};
pub use material::{KeyResult, KeyView, Materials, SecretView, VersionPage, VersionRef};
pub use observe::Health;
pub use options::ServiceOptions;
pub use pending::{ListPending, MergeRequest, PendingOperations, PendingPage, PendingRef};
#[doc(hidden)]
pub use records::record_body;
pub use records::{Finding, Inspection, MAX_PAGE, Repair, Takeover};
pub(crate) use records::{reads_a_page_token, reads_a_record};
pub use renewals::{
    ListRenewals, RenewRequest, RenewalOptions, RenewalPage, RenewalState, RenewalView, Renewals, WholeVault,
};
pub use vaults::{NamedVault, NewVault, VaultObjects, VaultOptions, VaultPage, Vaults};
pub use webhooks::{
    Deliveries, DeliveryPage, SetWebhook, WebhookInput, WebhookOptions, WebhookPage, WebhookRef, WebhookTest, Webhooks,
    WebhooksOf,
};

use crate::clock::Clock;
use crate::domain::{Result, Timestamp};
use crate::issuer::Issuers;
use crate::keys::{Keys, random_id};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::Store;
use access::Rights;
use audit::ledger::Ledger;
use certificates::Entries;
use context::Context;
use issuers::Issuing;
use records::Codec;
use std::sync::Arc;
use watch::Watch;
use webhooks::outbox::Outbox;
use writes::Writes;

/// All use cases, by subject. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    context: Arc<Context>,
    access: Access,
    certificates: Certificates,
    deletions: Deletions,
    creations: Creations,
    issuers: IssuerObjects,
    registry: Issuers,
    pending: PendingOperations,
    watch: Watch,
    jobs: Jobs,
}

impl Service {
    /// Reads what the store has to say about its log. Fails where the store is not available.
    pub async fn new(
        store: Arc<dyn Store>,
        issuers: Issuers,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        options: ServiceOptions,
    ) -> Result<Self> {
        let hub = watch::Hub::new(&*store, &options.watch).await?;
        let records = Arc::new(Codec::new(keys.sealer().clone()).with_rules(options.renewal.rules()));
        let opened = records::open(&*store, &records, options.takeover, clock.now()).await?;
        let vaults = Arc::new(Vaults::new(&options.vaults, store.clone(), records.clone()));
        vaults.refresh().await?;
        let ledger = Ledger::new(options.audit.clone(), records.clone(), clock.clone(), random_id)?;
        let outbox = Outbox::new(store.clone(), records.clone(), clock.clone());
        let context = Context {
            writes: Arc::new(Writes::new(store.clone(), ledger, outbox)),
            store,
            records,
            keys,
            clock,
            options: Arc::new(options),
            vaults,
            hub: Arc::new(hub),
            wakeup: Arc::default(),
            metrics: Arc::default(),
        };
        let rights = Arc::new(Rights::new(context.options.access.clone())?);
        let service = Self::on(context, issuers, rights);
        // Before anybody is refused for want of them.
        service.grants().catch_up().await?;
        if opened == records::Opened::ToBegin {
            // What other master keys wrote nobody else could verify, and the store could not be taken over.
            service.check_master_keys().await?;
            records::begin(&*service.context.store, &service.context.records, service.now()).await?;
        }
        Ok(service)
    }

    fn on(context: Context, registry: Issuers, rights: Arc<Rights>) -> Self {
        let context = Arc::new(context);
        let entries = Entries::new(context.clone());
        let authorities = Authorities::new(context.clone());
        let issuing = Issuing::new(context.clone(), registry.clone(), authorities.clone());
        let issuers = IssuerObjects::new(context.clone(), issuing.clone(), authorities);
        let deletions = Deletions::new(context.clone(), entries.clone());
        let pending = PendingOperations::new(context.clone());
        let creations = Creations::new(context.clone(), entries.clone(), issuing.clone());
        Self {
            access: Access::new(
                context.vaults.clone(),
                rights.clone(),
                context.clock.clone(),
                context.options.access.per_caller,
            ),
            certificates: Certificates::new(context.clone(), entries, deletions.clone()),
            jobs: Jobs::new(context.clone(), issuing, &creations, pending.clone(), deletions.clone(), rights.clone()),
            creations,
            deletions,
            issuers,
            registry,
            pending,
            watch: Watch::new(context.clone(), rights),
            context,
        }
    }

    /// Counts in `metrics` from here on. Call it before the service is shared.
    #[must_use]
    pub fn counting_in(self, metrics: Arc<Metrics>) -> Self {
        let rights = self.access.rights().clone();
        Self::on(Context { metrics, ..(*self.context).clone() }, self.registry, rights)
    }

    pub fn limits(&self) -> &Limits {
        self.context.limits()
    }

    /// What decides whether a caller may do something.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The audit ledger.
    pub fn audit(&self) -> AuditTrail {
        AuditTrail::new(self.context.clone())
    }

    /// Grants and roles, and questions about rights.
    pub fn grants(&self) -> GrantObjects {
        GrantObjects::new(self.context.clone(), self.access.rights().clone())
    }

    /// Reading, importing, changing, listing and saving certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Starting creations.
    pub fn creations(&self) -> &Creations {
        &self.creations
    }

    /// Renewing.
    pub fn renewals(&self) -> Renewals {
        Renewals::new(self.context.clone(), self.creations.clone())
    }

    /// Deleting, recovering and purging.
    pub fn deletions(&self) -> &Deletions {
        &self.deletions
    }

    /// Pending operations.
    pub fn pending(&self) -> &PendingOperations {
        &self.pending
    }

    /// Secrets and keys.
    pub fn materials(&self) -> Materials {
        Materials::new(self.context.clone())
    }

    /// Issuer objects.
    pub fn issuers(&self) -> &IssuerObjects {
        &self.issuers
    }

    /// Built-in authorities.
    pub fn authorities(&self) -> Authorities {
        Authorities::new(self.context.clone())
    }

    /// What the built-in authorities signed.
    pub fn certificate_authorities(&self) -> CertificateAuthorities {
        CertificateAuthorities::new(self.context.clone(), self.authorities())
    }

    /// What the built-in authorities publish. Call it once: it remembers what was asked for.
    pub fn publications(&self) -> Publications {
        Publications::new(self.context.clone())
    }

    /// Vaults and contacts.
    pub fn vault_objects(&self) -> VaultObjects {
        VaultObjects::new(self.context.clone())
    }

    /// Streams of transitions.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Background work.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The vaults that this process knows.
    pub fn vaults(&self) -> &Arc<Vaults> {
        &self.context.vaults
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.now()
    }
}
