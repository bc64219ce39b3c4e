//! What a creation decides before it is committed: the policy, the key or the caller's request, the identifiers.

use super::{Before, CreateRequest, Creations};
use crate::domain::access::Requested;
use crate::domain::profile::Profile;
use crate::domain::requested_policy::CSR;
use crate::domain::{Blob, Certificate, Error, Policy, PolicyInput, RequestId, Result, Timestamp, Version};
use crate::keys::issued::key_hash;
use crate::keys::random::in_order;
use crate::keys::{NewKey, SealContext, SealedKey, Work, jwk, request_reader};
use crate::service::access::Permit;
use crate::service::audit;
use crate::service::issuers::Ca;
use crate::service::material::sealed_key;
use crate::service::records::key;

const REUSE_KEY: &str = "policy.key_props.reuse_key";

/// A key is expensive: it is made once, however often the commit has to be tried, unless what it was made of was changed.
pub(super) struct Prepared {
    made_of: MadeOf,
    pub(super) policy: Policy,
    pub(super) request_id: RequestId,
    pub(super) version: Version,
    pub(super) key: RequestedKey,
    /// The CA of this server that signs it.
    pub(super) ca: Option<Ca>,
}

/// What a request leaves to the certificate that is there.
#[derive(Eq, PartialEq)]
struct MadeOf {
    /// The stored policy, where the request names none.
    policy: Option<Policy>,
    /// The newest version, where its key is used again.
    latest: Option<Version>,
}

impl MadeOf {
    fn of(request: &CreateRequest, before: &Before, policy: &Policy) -> Self {
        let entry = before.entry.as_ref().map(|(_, entry)| entry);
        Self {
            policy: entry.filter(|_| request.policy.is_none()).map(|entry| entry.policy.clone()),
            latest: entry.filter(|_| policy.key.reuse_key).and_then(|entry| entry.latest),
        }
    }
}

impl Prepared {
    /// Whether the same would be made of what is there now.
    pub(super) fn still_fits(&self, request: &CreateRequest, before: &Before) -> bool {
        self.made_of == MadeOf::of(request, before, &self.policy)
    }
}

/// The key that the certificate is for.
pub(super) struct RequestedKey {
    /// `None` where it is the caller's.
    pub(super) sealed_key: Option<Blob>,
    /// PKCS#10 in DER.
    pub(super) csr: Vec<u8>,
}

impl From<NewKey> for RequestedKey {
    fn from(NewKey { sealed_key, csr }: NewKey) -> Self {
        Self { sealed_key: Some(sealed_key), csr }
    }
}

impl Creations {
    /// What the request says itself is held against the rules before anything is looked for. What it leaves to the
    /// stored policy is checked with that; what is wrong with it is said later. A profile of the issuer adds to what is
    /// said, so that is looked up before.
    pub(super) async fn check_rules(&self, request: &Permit<CreateRequest>) -> Result<()> {
        let Some(input) = request.policy.clone().filter(|_| request.terms().refuse()) else { return Ok(()) };
        let Ok(profile) = self.profile(request, None).await else { return Ok(()) };
        let now = self.context.now();
        let policy = completed(profile.as_ref(), input).complete(now);
        match policy.and_then(|policy| granted(profile.as_ref(), request, policy, now)) {
            Ok(policy) => request.terms().check(&request.vault, &request.name, &Requested::of(&policy)),
            Err(_) => Ok(()),
        }
    }

    pub(super) async fn prepare(&self, request: &Permit<CreateRequest>, before: &Before) -> Result<Prepared> {
        let now = self.context.now();
        let stored = before.entry.as_ref().map(|(_, entry)| &entry.policy);
        let profile = self.profile(request, stored).await?;
        let said = request.policy.clone().map(|input| completed(profile.as_ref(), input));
        let policy = match (said, stored) {
            (Some(input), _) => input.complete(now)?,
            (None, Some(stored)) => stored.clone().renewed(now)?,
            (None, None) => PolicyInput::default().complete(now)?,
        };
        let policy = granted(profile.as_ref(), request, policy, now)?;
        request.terms().check(&request.vault, &request.name, &Requested::of(&policy))?;
        let (needs, ca) = self.issuing.check_issuer(&request.vault, &policy, None).await?;
        let version = Version::from_uuid(self.context.keys.new_id());
        let reuse = self.reusable_key(request, before, &policy).await?;
        let context = key_context(request, version);
        // The request to the CA says more than the policy where the CA does not look at the common name.
        let requested = policy.with_common_name_in_sans().filter(|_| needs.common_name_in_sans);
        let key =
            self.context.keys.create(request.caller(), requested.as_ref().unwrap_or(&policy), context, reuse).await?;
        Ok(Prepared { ca, ..self.prepared(request, policy, before, version, key.into()) })
    }

    /// The same for a request of the caller's own (DER).
    pub(super) async fn prepare_requested(
        &self,
        request: &Permit<CreateRequest>,
        csr: &[u8],
        before: &Before,
    ) -> Result<Prepared> {
        let given = csr.to_vec();
        let read = move || request_reader::read(&given);
        let facts = self.context.keys.run(request.caller(), Work::Small, read).await?;
        let now = self.context.now();
        let stored = before.entry.as_ref().map(|(_, entry)| &entry.policy);
        let profile = self.profile(request, stored).await?;
        let said = request.policy.clone().map(|input| completed(profile.as_ref(), input));
        let policy = match (said, stored) {
            (Some(input), _) => input.requested(&facts, now)?,
            (None, Some(stored)) => stored.requested_again(&facts, now)?,
            (None, None) => PolicyInput::default().requested(&facts, now)?,
        };
        let policy = granted(profile.as_ref(), request, policy, now)?;
        request.terms().check(&request.vault, &request.name, &Requested::of(&policy))?;
        let (_, ca) = self.issuing.check_issuer(&request.vault, &policy, Some(&facts)).await?;
        if self.issuing.log.is_compromised(&key_hash(&facts.public_key)).await? {
            return Err(Error::field(CSR, "Its key was reported as compromised: make a request with another one."));
        }
        let version = Version::from_uuid(self.context.keys.new_id());
        let key = RequestedKey { sealed_key: None, csr: csr.to_vec() };
        Ok(Prepared { ca, ..self.prepared(request, policy, before, version, key) })
    }

    /// The profile of the issuer that the request is under, where it has any.
    async fn profile(&self, request: &CreateRequest, stored: Option<&Policy>) -> Result<Option<Profile>> {
        let (issuer, certificate_type) = match (&request.policy, stored) {
            (Some(input), _) => (input.issuer_name.as_deref(), input.certificate_type.as_deref()),
            (None, Some(Policy { issuer, .. })) => (Some(issuer.name.as_str()), issuer.certificate_type.as_deref()),
            (None, None) => (None, None),
        };
        self.issuing.profile(&request.vault, issuer, certificate_type).await
    }

    fn prepared(
        &self,
        request: &CreateRequest,
        mut policy: Policy,
        before: &Before,
        version: Version,
        key: RequestedKey,
    ) -> Prepared {
        // A key may have taken minutes.
        let now = self.context.now();
        policy.updated = now;
        policy.created = before.entry.as_ref().map_or(now, |(_, entry)| entry.policy.created);
        // In the order of time: records that are made together then lie together.
        let request_id =
            request.request_id.unwrap_or_else(|| RequestId::from_uuid(in_order(self.context.keys.new_id(), now)));
        Prepared { made_of: MadeOf::of(request, before, &policy), policy, request_id, version, key, ca: None }
    }

    async fn reusable_key(
        &self,
        request: &CreateRequest,
        before: &Before,
        policy: &Policy,
    ) -> Result<Option<SealedKey>> {
        let latest = before.entry.as_ref().and_then(|(_, entry)| entry.latest);
        let Some(latest) = latest.filter(|_| policy.key.reuse_key) else { return Ok(None) };
        let place = key::version(&request.vault, &request.name, latest);
        let (_, version) =
            self.context.load(&place).await?.ok_or_else(|| self.context.records.missing(place.as_str()))?;
        if !can_be_reused(&version, policy)? {
            return Ok(None);
        }
        let sealed = sealed_key(&place, &version).ok_or_else(|| {
            Error::field(
                REUSE_KEY,
                "The key of the newest version is the caller's own and not on this server: set it to false for a new key, or send a request (csr) with that key.",
            )
        })?;
        if self.issuing.log.is_compromised(&key_hash(&sealed.public_key)).await? {
            return Err(Error::field(
                REUSE_KEY,
                "The key was reported as compromised, and is not used again: set reuse_key to false for a new one.",
            ));
        }
        Ok(Some(sealed))
    }
}

fn key_context(request: &CreateRequest, version: Version) -> SealContext {
    SealContext::certificate_key(request.vault.as_str(), request.name.as_str(), version)
}

/// What the caller said, with what a profile adds to it.
fn completed(profile: Option<&Profile>, input: PolicyInput) -> PolicyInput {
    match profile {
        Some(profile) => profile.complete(input),
        None => input,
    }
}

/// The policy within the rules of a profile, and with what that decides beside it.
fn granted(profile: Option<&Profile>, request: &CreateRequest, policy: Policy, now: Timestamp) -> Result<Policy> {
    audit::found(|found| found.asked_for(&policy));
    let Some(profile) = profile else { return Ok(Policy { granted: None, ..policy }) };
    let names_validity = request.policy.as_ref().is_some_and(|input| input.validity_months.is_some());
    let (policy, granted) = profile.grant(policy, names_validity, now)?;
    // A subject may have been made.
    policy.judge()?;
    Ok(Policy { granted: Some(granted), ..policy })
}

/// Whether the key of the version is of the type that the policy asks for by now; else a new one is made, and costs as
/// much. One that fits is refused where the policy would make it exportable.
fn can_be_reused(version: &Certificate, policy: &Policy) -> Result<bool> {
    if jwk::of_certificate(&version.cer.0)?.key_type != policy.key.key_type {
        return Ok(false);
    }
    if policy.key.exportable && !version.exportable {
        return Err(Error::field(
            "policy.key_props.exportable",
            "The reused key is not exportable, and this cannot be changed: set exportable to false, or set reuse_key to false for a new key.",
        ));
    }
    Ok(true)
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
