//! Writes and reads bodies. The codec uses the authentication keys through [`Sealer`]; they never leave `keys`.

use super::body::{self, Problem};
use super::key::{Key, Place};
use super::kinds::{Kind, OfKind, Stored};
use super::verified::Verified;
use crate::domain::renewal::plan;
use crate::domain::{CertificateEntry, Detail, Error, Reason, RenewalRules, Result, Timestamp, VaultName};
use crate::keys::{Authenticator, Sealer};
use crate::store::{Batch, Put, Record, Revision};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Refused records whose keys are remembered, so that each is logged once.
const MAX_REPORTED: usize = 10_000;

/// The `kind` of [`Detail::Resource`] in the error of a refused record.
const RECORD: &str = "record";

/// Writes bodies with a code, and refuses those that do not verify.
pub(in crate::service) struct Codec {
    sealer: Arc<Sealer>,
    /// By which entries of certificates are due.
    rules: RenewalRules,
    /// A body without a code is refused; never turned off again.
    strict: AtomicBool,
    verified: Verified,
    reported: Mutex<HashSet<String>>,
    refused: AtomicU64,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("strict", &self.is_strict()).finish_non_exhaustive()
    }
}

impl Codec {
    /// Refuses bodies without a code until [`Codec::tolerate`] is called.
    pub(in crate::service) fn new(sealer: Arc<Sealer>) -> Self {
        Self {
            sealer,
            rules: RenewalRules::default(),
            strict: AtomicBool::new(true),
            verified: Verified::default(),
            reported: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// By other rules for renewals.
    pub(in crate::service) fn with_rules(self, rules: RenewalRules) -> Self {
        Self { rules, ..self }
    }

    /// Accepts bodies without a code: the store is of a version before them. Only before the service is shared.
    pub(in crate::service) fn tolerate(&self) {
        self.strict.store(false, Ordering::Release);
    }

    pub(super) fn insist(&self) {
        self.strict.store(true, Ordering::Release);
    }

    pub(in crate::service) fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Acquire)
    }

    pub(super) fn authenticator(&self) -> &Authenticator {
        self.sealer.authenticator()
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The ids of the master keys, the newest last.
    pub(in crate::service) fn master_keys(&self) -> impl Iterator<Item = &str> {
        self.authenticator().ids()
    }

    /// The id of the master key that writes.
    pub(in crate::service) fn newest_key(&self) -> &str {
        self.authenticator().newest()
    }

    /// How many times a record was refused.
    pub(in crate::service) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A write of a value under a key; `expected` as of [`Put`].
    pub(in crate::service) fn put<T: Stored + Serialize>(
        &self,
        key: &Key<T>,
        expected: Option<Revision>,
        value: &T,
        due: Option<Timestamp>,
    ) -> Result<Put> {
        self.write(key.as_str().to_owned(), expected, value, due)
    }

    /// A write in place of a record that was read.
    pub(in crate::service) fn replace<T: Stored + Serialize>(
        &self,
        record: &Record,
        value: &T,
        due: Option<Timestamp>,
    ) -> Result<Put> {
        self.write(record.key.clone(), Some(record.revision), value, due)
    }

    /// The only writer of certificate entries; `record` is what is there, if anything.
    pub(in crate::service) fn put_entry(
        &self,
        batch: &mut Batch,
        record: Option<&Record>,
        entry: &CertificateEntry,
    ) -> Result<()> {
        let key = super::key::certificate(&entry.vault, &entry.name);
        let expected = record.map(|record| record.revision);
        batch.puts.push(self.put(&key, expected, entry, entry_due(entry, self.rules))?);
        Ok(())
    }

    fn write<T: Stored + Serialize>(
        &self,
        key: String,
        expected: Option<Revision>,
        value: &T,
        due: Option<Timestamp>,
    ) -> Result<Put> {
        if !Place::of(&key).is_some_and(|place| value.belongs(&place)) {
            tracing::error!(key, "a value was to be stored under the key of another object");
            return Err(Error::internal());
        }
        let body = body::authenticated(self.authenticator(), &key, value).map_err(|error| {
            tracing::error!(%error, "a record could not be written as JSON");
            Error::internal()
        })?;
        Ok(Put { key, expected, body, due })
    }

    /// The value of a record.
    ///
    /// # Errors
    /// One that [`concerns_a_record`], which was logged, where the record was changed or moved or cannot be read.
    pub(in crate::service) fn read<T: Stored>(&self, record: &Record) -> Result<T> {
        self.verify(record).map_err(|problem| self.refuse(&record.key, &problem))
    }

    /// As [`Codec::read`], but none where the record was changed or moved or cannot be read, which was logged.
    ///
    /// # Errors
    /// Where a newer version wrote it, or its master key is not there: it may be well.
    pub(in crate::service) fn unless_damaged<T: Stored>(&self, record: &Record) -> Result<Option<T>> {
        self.verify(record).map(Some).or_else(|problem| {
            let error = self.refuse(&record.key, &problem);
            if problem.is_damage() { Ok(None) } else { Err(error) }
        })
    }

    /// Whether a record was changed or moved or cannot be read.
    pub(in crate::service) fn is_damaged(&self, record: &Record) -> bool {
        self.problem(record).is_some_and(|problem| problem.is_damage())
    }

    /// Why a record cannot be read as what its key says; `None` where it can, and where its kind is not known.
    pub(super) fn problem(&self, record: &Record) -> Option<Problem> {
        struct Verify<'a>(&'a Codec, &'a Record);
        impl OfKind for Verify<'_> {
            type Answer = Option<Problem>;

            fn of<T: Stored + Serialize>(self) -> Self::Answer {
                self.0.verify::<T>(self.1).err()
            }
        }
        Kind::of(&record.key)?.with_type(Verify(self, record))
    }

    /// As [`Codec::read`], without a word to anybody.
    pub(super) fn verify<T: Stored>(&self, record: &Record) -> Result<T, Problem> {
        let value: T = match self.verified_value(record) {
            Some(value) => serde_json::from_slice(value?).map_err(|error| Problem::Unreadable(error.to_string()))?,
            None => {
                let value = body::read_plain(&record.body)?;
                if self.is_strict() || T::ALWAYS_CODED {
                    return Err(Problem::Bare);
                }
                value
            }
        };
        let here = Place::of(&record.key).is_some_and(|place| value.belongs(&place));
        here.then_some(value).ok_or(Problem::Elsewhere)
    }

    /// `None` if the body carries no code.
    fn verified_value<'a>(&self, record: &'a Record) -> Option<Result<&'a [u8], Problem>> {
        if self.verified.holds(&record.key, &record.body) {
            return body::value_of(&record.body).map(Ok);
        }
        let verified = body::verified(self.authenticator(), &record.key, &record.body)?;
        if verified.is_ok() {
            self.verified.keep(&record.key, &record.body);
        }
        Some(verified)
    }

    /// Whether one of our master keys made the code of a record; `None` if it carries none.
    pub(in crate::service) fn is_ours(&self, record: &Record) -> Option<bool> {
        let verified = body::verified(self.authenticator(), &record.key, &record.body)?;
        Some(!matches!(verified, Err(Problem::Changed | Problem::UnknownMasterKey(_))))
    }

    /// The error for a record that is refused; logged once for each key.
    pub(super) fn refuse(&self, key: &str, problem: &Problem) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if !reported.contains(key) {
            if reported.len() < MAX_REPORTED {
                reported.insert(key.to_owned());
            }
            tracing::error!(key, %problem, "a record was refused");
        }
        drop(reported);
        let message = match problem {
            Problem::UnknownMasterKey(_) => format!(
                "The record {key} cannot be verified: the server does not have the master key that it was authenticated with."
            ),
            Problem::Newer(_) => {
                format!("The record {key} was written by a newer version of certmint, which this server cannot read.")
            }
            Problem::Bare => format!(
                "The record {key} carries no authentication code: it was changed outside certmint, or written by a version without codes. Restore it from a backup, or, where such a version wrote it, take the store over with `certmint doctor --store --adopt`."
            ),
            Problem::Changed | Problem::Unreadable(_) | Problem::Elsewhere => format!(
                "The record {key} does not verify: it was changed or moved outside certmint. Restore it from a backup, or remove it with `certmint doctor --store`."
            ),
        };
        Error::new(Reason::Internal, message).with(Detail::Resource { kind: RECORD, name: key.to_owned() })
    }

    /// The error for a vault that holds something, and whose settings nothing says.
    pub(in crate::service) fn missing_vault(&self, vault: &VaultName) -> Error {
        let key = super::key::vault(vault).to_string();
        tracing::error!(key, "the record of a vault that holds certificates is missing");
        Error::new(
            Reason::Internal,
            format!(
                "The record {key} is missing: the vault {vault} holds certificates, and nothing says how deleted ones are kept. Restore the record from a backup, name the vault in the configuration, or make the record anew with `certmint doctor --store --protect {vault}`."
            ),
        )
        .with(Detail::Resource { kind: RECORD, name: key })
    }

    /// The error for a record that ought to be there.
    pub(in crate::service) fn missing(&self, key: &str) -> Error {
        tracing::error!(key, "a record is missing");
        Error::new(
            Reason::Internal,
            format!("The record {key} is missing: it was removed outside certmint. Restore it from a backup."),
        )
        .with(Detail::Resource { kind: RECORD, name: key.to_owned() })
    }
}

/// Whether the error is about one record, so that others can be shown without it.
pub(in crate::service) fn concerns_a_record(error: &Error) -> bool {
    error.reason == Reason::Internal
        && error.details.iter().any(|detail| matches!(detail, Detail::Resource { kind, .. } if *kind == RECORD))
}

/// A body with its code, for tools and tests that put records into a store.
#[doc(hidden)]
pub fn record_body(sealer: &Sealer, key: &str, value: &serde_json::Value) -> Vec<u8> {
    body::authenticated(sealer.authenticator(), key, value).unwrap_or_default()
}

/// When there is something to do for a certificate: its renewal, or a question to its CA about that. An operation and a
/// deletion are due by records of their own.
fn entry_due(entry: &CertificateEntry, rules: RenewalRules) -> Option<Timestamp> {
    plan(entry, rules).ok().map(|plan| plan.due)
}
