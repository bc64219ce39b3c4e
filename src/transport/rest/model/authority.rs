//! A CA inside the server: an extension of Key Vault's API. Times are seconds since 1970, as everywhere in it.

use super::super::answer::Links;
use crate::domain::authority::AuthorityRecord;
use crate::service::{AuthorityView, Ceremony};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// One key of an issuer's CA, with its certificates.
#[derive(Serialize)]
pub(crate) struct AuthorityAnswer {
    /// Where its chain is found, once it signs.
    id: String,
    authority: String,
    generation: u32,
    state: &'static str,
    subject: String,
    key_type: &'static str,
    /// Its own certificate first, the root last: X.509, DER, in base64.
    x5c: Vec<String>,
    #[serde(flatten)]
    validity: Option<Validity>,
    created: i64,
    /// Warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Validity {
    nbf: i64,
    exp: i64,
}

impl AuthorityAnswer {
    pub(crate) fn new(done: Ceremony, links: &Links) -> Self {
        let Ceremony { authority, warnings } = done;
        let AuthorityView { id, record, state, subject, key_type, key_id: _, validity, notice: _ } = authority;
        let AuthorityRecord { issuer, chain, created, generation, .. } = record;
        Self {
            id: links.id("certificates", &["issuers", issuer.as_str(), "ca"]),
            authority: id,
            generation,
            state: state.word(),
            subject,
            key_type,
            x5c: chain.iter().map(|certificate| STANDARD.encode(&certificate.0)).collect(),
            validity: validity.map(|(nbf, exp)| Validity { nbf: nbf.seconds(), exp: exp.seconds() }),
            created: created.seconds(),
            warnings,
        }
    }
}
