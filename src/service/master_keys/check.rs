//! Checks that the master keys are those of the store. With others, a server would seal new keys that its replicas
//! cannot open, and could not open existing ones.

use crate::domain::{Certificate, Error, Reason, Result};
use crate::keys::SealContext;
use crate::service::Service;
use crate::service::context::Context;
use crate::service::records::{Kind, PendingRecord, Place, key};
use crate::store::Record;

/// Records of each kind that are tried: one that is damaged must not keep a server from starting.
const TRIED: usize = 10;

impl Service {
    /// Refuses where the store was written with other master keys: it is not marked with these, or it holds private
    /// keys and none that is tried can be opened.
    pub async fn check_master_keys(&self) -> Result<()> {
        let mut closed = false;
        if let Some(record) = self.context.store.get(key::marker().as_str()).await? {
            match self.context.records.is_ours(&record) {
                Some(true) => return Ok(()),
                _ => closed = true,
            }
        }
        for kind in [Kind::Version, Kind::Pending] {
            for record in self.context.store.list(kind.prefix(), "", TRIED).await? {
                match opens(&self.context, kind, &record) {
                    Some(true) => return Ok(()),
                    Some(false) => closed = true,
                    None => {}
                }
            }
        }
        if !closed {
            return Ok(());
        }
        Err(Error::new(
            Reason::Internal,
            "the store contains private keys sealed with master keys that this server does not have: start it with \
             the master key file (or variable) of another replica, or the one saved with the store",
        ))
    }
}

/// Whether the record was written with one of our master keys; `None` if it does not say.
fn opens(context: &Context, kind: Kind, record: &Record) -> Option<bool> {
    if let Some(ours) = context.records.is_ours(record) {
        return Some(ours);
    }
    let place = Place::of(&record.key)?;
    let (sealed, version) = if kind == Kind::Version {
        let certificate: Certificate = context.records.read(record).ok()?;
        (certificate.sealed_key, certificate.version)
    } else {
        let PendingRecord { operation, sealed_key, .. } = context.records.read(record).ok()?;
        (sealed_key, operation.version)
    };
    // A request of the caller's own left no key here.
    let sealed = sealed?;
    let sealed_for = SealContext::key_of_version(place.vault, place.name, &version.to_string());
    Some(context.keys.sealer().open(&sealed.0, &sealed_for).is_ok())
}
