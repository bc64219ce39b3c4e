//! How issuers fare: what their last calls came to, and what is open at them. Each replica knows of its own calls, and
//! writes them down for all when something changed, else once a minute.

use super::Issuing;
use crate::domain::access::Visible;
use crate::domain::{IssuerName, Result, Timestamp, VaultName};
use crate::service::records::{IssuerHealthRecord, Kind, Prefix, Scan, ShownPending, key};
use crate::store::{Batch, Delete, Record};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// After this many milliseconds a call that went as the one before is written down again.
const WRITE_AGAIN: u64 = 60_000;
/// Without a call for so many milliseconds, nothing is known any more.
const FORGET: u64 = 3_600_000;
/// Issuers that are remembered; each takes a few hundred bytes.
const MOST: usize = 10_000;
/// Issuers that the operators' port names.
const MOST_NAMED: usize = 20;
/// Records of one look, and looks of one count.
const PAGE: usize = 500;
const PAGES: usize = 20;

/// What takes the place of the text of an error, which may name what others asked for.
const HIDDEN_ERROR: &str = "A call of the CA failed; who may read every certificate of the vault is told why.";

/// How an issuer fares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IssuerHealth {
    pub last_success: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    /// Why the last call that failed did. For a caller who may not read every certificate of the vault only that it did.
    pub last_error: String,
    pub open: OpenOperations,
    /// What a person has to do or to know of its CA on this server; empty where there is nothing.
    pub notice: String,
}

/// Operations in progress at an issuer, of those that the caller may read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenOperations {
    pub count: usize,
    /// There are more in the vault than were looked at.
    pub more: bool,
    /// When the next one is worked on.
    pub next_try: Option<Timestamp>,
}

/// An issuer whose last call from this replica failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailingIssuer {
    pub vault: String,
    pub issuer: String,
    pub provider: &'static str,
}

/// The last call of an issuer, as this replica saw it.
#[derive(Debug)]
struct Called {
    provider: &'static str,
    at: Timestamp,
    failed: bool,
    /// When it was written down, and whether as a failure.
    written: Option<(Timestamp, bool)>,
}

/// The last calls of all issuers, by vault and name in lower case.
#[derive(Debug, Default)]
pub(super) struct IssuerCalls(Mutex<HashMap<(String, String), Called>>);

fn place(vault: &VaultName, issuer: &IssuerName) -> (String, String) {
    (vault.to_string(), issuer.key())
}

impl IssuerCalls {
    /// Remembers a call. Answers whether it is to be written down.
    fn note(&self, place: (String, String), provider: &'static str, failed: bool, now: Timestamp) -> bool {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MOST && !calls.contains_key(&place) {
            calls.retain(|_, call| call.at.0.abs_diff(now.0) < FORGET);
            if calls.len() >= MOST {
                return false;
            }
        }
        let written = calls.get(&place).and_then(|call| call.written);
        let due = written.is_none_or(|(at, before)| before != failed || at.0.abs_diff(now.0) >= WRITE_AGAIN);
        let written = if due { Some((now, failed)) } else { written };
        calls.insert(place, Called { provider, at: now, failed, written });
        due
    }

    fn forget(&self, place: &(String, String)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    /// How many issuers of each provider work, and how many fail.
    fn counts(&self, now: Timestamp) -> BTreeMap<&'static str, (usize, usize)> {
        let mut counts = BTreeMap::new();
        for call in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let (working, failing) = counts.entry(call.provider).or_insert((0, 0));
            if call.at.0.abs_diff(now.0) < FORGET {
                *(if call.failed { failing } else { working }) += 1;
            }
        }
        counts
    }

    fn failing(&self, now: Timestamp) -> Vec<FailingIssuer> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = calls.iter().filter(|(_, call)| call.at.0.abs_diff(now.0) < FORGET);
        let failing = recent.filter(|(_, call)| call.failed).map(|((vault, issuer), call)| FailingIssuer {
            vault: vault.clone(),
            issuer: issuer.clone(),
            provider: call.provider,
        });
        let mut failing: Vec<FailingIssuer> = failing.collect();
        failing.sort_by(|a, b| (&a.vault, &a.issuer).cmp(&(&b.vault, &b.issuer)));
        failing.truncate(MOST_NAMED);
        failing
    }
}

impl Issuing {
    /// Remembers how a call of an issuer went. That it cannot be written down keeps nothing from going on.
    pub(super) async fn note_call(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        provider: &'static str,
        error: Option<String>,
    ) {
        let now = self.context.now();
        if !self.calls.note(place(vault, issuer), provider, error.is_some(), now) {
            return;
        }
        if let Err(error) = write_call(self, vault, issuer, error, now).await {
            tracing::debug!(%vault, %issuer, %error, "how an issuer fares could not be written down");
        }
    }

    /// How these issuers of a vault fare, in their order, for a caller who may read these certificates.
    pub(super) async fn issuers_health(
        &self,
        vault: &VaultName,
        issuers: &[IssuerName],
        readable: &Visible,
    ) -> Result<Vec<IssuerHealth>> {
        let keys: Vec<_> = issuers.iter().map(|issuer| Some(key::issuer_health(vault, issuer))).collect();
        let records = self.context.load_many(&keys).await?;
        let (mut open, more) = open_operations_of(self, &key::pendings_of(Some(vault)), readable).await?;
        let all = readable.shows_every_name_of(vault);
        let health = records.into_iter().zip(issuers).map(|(record, issuer)| {
            let mut open = open.remove(&issuer.key()).unwrap_or_default();
            open.more = more;
            // One that does not verify was logged.
            match record.ok().flatten() {
                None => IssuerHealth { open, ..IssuerHealth::default() },
                Some(IssuerHealthRecord { vault: _, issuer: _, last_success, last_failure, last_error }) => {
                    let last_error = if all || last_error.is_empty() { last_error } else { HIDDEN_ERROR.to_owned() };
                    IssuerHealth { last_success, last_failure, last_error, open, notice: String::new() }
                }
            }
        });
        Ok(health.collect())
    }

    /// What is open at an issuer.
    pub(super) async fn open_operations(&self, vault: &VaultName, issuer: &IssuerName) -> Result<OpenOperations> {
        let (mut open, more) = open_operations_of(self, &key::pendings_of(Some(vault)), &Visible::everything()).await?;
        Ok(OpenOperations { more, ..open.remove(&issuer.key()).unwrap_or_default() })
    }

    /// Whether the CA of an issuer may still have to be told of an order: one in progress, or one to be cancelled.
    pub(super) async fn has_orders(&self, vault: &VaultName, issuer: &IssuerName) -> Result<bool> {
        for prefix in [key::pendings_of(Some(vault)), key::abandoned_orders_of(vault)] {
            let mut scan = Scan::new(&*self.context.store, prefix.as_str());
            while let Some(page) = scan.next().await? {
                if page.iter().any(|record| open_at(self, record, None).is_some_and(|open| open == issuer.key())) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The removal of what is known of an issuer that goes.
    pub(super) async fn forget_issuer_health(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Option<Delete>> {
        self.calls.forget(&place(vault, issuer));
        self.context.removal(&key::issuer_health(vault, issuer)).await
    }

    /// Issuers whose last call from this replica failed within the last hour; the first few of them.
    pub(super) fn failing_issuers(&self) -> Vec<FailingIssuer> {
        self.calls.failing(self.context.now())
    }

    /// Working and failing issuers by provider, for metrics.
    pub(super) fn issuer_counts(&self) -> BTreeMap<&'static str, (usize, usize)> {
        self.calls.counts(self.context.now())
    }
}

async fn write_call(
    issuing: &Issuing,
    vault: &VaultName,
    issuer: &IssuerName,
    error: Option<String>,
    now: Timestamp,
) -> Result<()> {
    let place = key::issuer_health(vault, issuer);
    let found = issuing.context.load(&place).await?;
    let expected = found.as_ref().map(|(record, _)| record.revision);
    let mut value = found.map_or_else(
        || IssuerHealthRecord {
            vault: vault.clone(),
            issuer: issuer.clone(),
            last_success: None,
            last_failure: None,
            last_error: String::new(),
        },
        |(_, value)| value,
    );
    match error {
        None => value.last_success = value.last_success.max(Some(now)),
        Some(error) if value.last_failure <= Some(now) => {
            value.last_failure = Some(now);
            value.last_error = error;
        }
        Some(_) => return Ok(()),
    }
    let puts = vec![issuing.context.records.put(&place, expected, &value, None)?];
    // Another replica was faster: its word is as good.
    issuing.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
}

/// The operations in progress below a prefix whose certificates are among the readable ones, by issuer in lower case, and whether there are more records than
/// were looked at.
async fn open_operations_of(
    issuing: &Issuing,
    prefix: &Prefix<ShownPending>,
    readable: &Visible,
) -> Result<(HashMap<String, OpenOperations>, bool)> {
    let (mut open, mut after) = (HashMap::<String, OpenOperations>::new(), String::new());
    for _ in 0..PAGES {
        let page = issuing.context.store.list(prefix.as_str(), &after, PAGE).await?;
        let full = page.len() == PAGE;
        for record in page {
            if let Some(issuer) = open_at(issuing, &record, Some(readable)) {
                let found = open.entry(issuer).or_default();
                found.count += 1;
                found.next_try = [found.next_try, record.due].into_iter().flatten().min();
            }
            after = record.key;
        }
        if !full {
            return Ok((open, false));
        }
    }
    Ok((open, true))
}

/// The issuer in lower case at which an operation or an abandoned order is open; of the readable certificates, where
/// these are given. A record that does not verify is
/// logged, and counts nowhere.
fn open_at(issuing: &Issuing, record: &Record, readable: Option<&Visible>) -> Option<String> {
    let ShownPending { operation } = issuing.context.records.read(record).ok()?;
    let open = Kind::of(&record.key) == Some(Kind::AbandonedOrder) || operation.in_progress();
    let shown = readable.is_none_or(|readable| readable.shows(&operation.vault, operation.certificate.as_str()));
    (open && shown).then(|| operation.issuer.name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_down_when_it_differs_and_else_once_a_minute() {
        let calls = IssuerCalls::default();
        let note = |failed: bool, at: i64| calls.note(("v".into(), "ca".into()), "ACME", failed, Timestamp(at));
        assert!(note(false, 0) && !note(false, 59_999) && note(false, 60_000));
        assert!(note(true, 60_001) && !note(true, 60_002) && note(false, 60_003));
    }

    #[test]
    fn what_was_not_called_for_an_hour_is_not_known() {
        let calls = IssuerCalls::default();
        calls.note(("v".into(), "b".into()), "ACME", true, Timestamp(0));
        calls.note(("v".into(), "a".into()), "ACME", false, Timestamp(0));
        assert_eq!(calls.counts(Timestamp(1))["ACME"], (1, 1));
        assert_eq!(calls.failing(Timestamp(1))[0].issuer, "b");
        assert_eq!(calls.counts(Timestamp(3_600_000))["ACME"], (0, 0), "the gauge goes back");
        assert!(calls.failing(Timestamp(3_600_000)).is_empty());
    }
}
