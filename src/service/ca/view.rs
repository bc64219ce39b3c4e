//! What is shown of a CA and of a certificate in its log.

use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::issued::IssuedRecord;
use crate::domain::{Error, Result, Timestamp};
use crate::keys::authority::{self, Signer};
use crate::keys::hierarchy::{key_of_request, subject_of_request};
use std::time::Duration;

/// How long a revocation waits for others before a list is made of them.
pub(super) const GATHERED: Duration = Duration::from_secs(10);

/// One authority: a key with its certificates.
#[derive(Clone, Debug)]
pub struct AuthorityView {
    /// 32 hex digits of SHA-256 over its SubjectPublicKeyInfo.
    pub id: String,
    pub record: AuthorityRecord,
    pub state: AuthorityState,
    /// Of the certificate that signs, or of the request for it.
    pub subject: String,
    pub key_type: &'static str,
    /// The key identifier that its certificates name.
    pub key_id: Option<Vec<u8>>,
    /// From when until when its certificate is valid; none where there is no certificate yet.
    pub validity: Option<(Timestamp, Timestamp)>,
    /// What people have to do or to know; only where authorities are listed.
    pub notice: Option<String>,
}

impl AuthorityView {
    pub(super) fn of(record: AuthorityRecord) -> Result<Self> {
        let state = record.state();
        if let Some(der) = record.chain.first() {
            let signer = Signer::read(&der.0)?;
            return Ok(Self {
                id: signer.identifier(),
                state,
                subject: authority::subject_of(&der.0)?,
                key_type: authority::key_type_name(signer.key_type()?),
                key_id: Some(signer.key_id().to_vec()),
                validity: Some((signer.not_before(), signer.not_after())),
                notice: None,
                record,
            });
        }
        let csr = record.above.csr.clone().ok_or_else(Error::internal)?;
        let key = key_of_request(&csr.0).ok_or_else(Error::internal)?;
        Ok(Self {
            id: authority::identifier_of_key(&key),
            state,
            subject: subject_of_request(&csr.0)?,
            key_type: authority::type_of_key(&key).ok_or_else(Error::internal)?,
            key_id: None,
            validity: None,
            notice: None,
            record,
        })
    }
}

/// One certificate of the log.
#[derive(Clone, Debug)]
pub struct IssuedView {
    pub issued: IssuedRecord,
    /// Of one that was revoked and is on no list yet, when the list with it is made.
    pub crl_expected: Option<Timestamp>,
}
