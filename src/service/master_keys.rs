//! Whether the master keys are those of the store. With others a server would seal new keys that its replicas cannot
//! open, and could open none that are there.

use super::records::{self, Kind, PendingRecord};
use super::{Service, secret_face};
use crate::domain::{Certificate, Error, Reason, Result};
use crate::keys::SealContext;
use crate::store::Record;

/// Records of each kind that are tried: one that is damaged must not keep a server from starting.
const TRIED: usize = 10;

impl Service {
    /// Refuses where the store holds private keys and none that is tried can be opened.
    pub async fn check_master_keys(&self) -> Result<()> {
        let mut closed = false;
        for kind in [Kind::Version, Kind::Pending] {
            for record in self.store.list(kind.prefix(), "", TRIED).await? {
                match self.opens(kind, &record) {
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
            "the store holds private keys that were sealed with other master keys than this server has: start it with \
             the file (or the variable) of another replica, or the one that was saved beside the store",
        ))
    }

    /// `None` where the record cannot be read.
    fn opens(&self, kind: Kind, record: &Record) -> Option<bool> {
        let (sealed, context) = if kind == Kind::Version {
            let certificate: Certificate = records::read(record).ok()?;
            let key = secret_face::sealed_key(&certificate);
            (key.sealed, key.context)
        } else {
            let PendingRecord { operation, sealed_key, .. } = records::read(record).ok()?;
            let (vault, name) = (operation.vault.as_str(), operation.certificate.as_str());
            (sealed_key, SealContext::certificate_key(vault, name, operation.version))
        };
        Some(self.keys.sealer().open(&sealed.0, &context).is_ok())
    }
}
