//! The built-in CAs beyond signing: the log of what they were to sign, and what is read of it.

mod adopt;
mod by_key;
mod callers;
mod crl;
mod first;
mod generations;
mod hierarchy;
mod kept;
mod levels;
mod list;
mod log;
mod making;
mod options;
mod parts;
mod publish;
mod responder;
mod restore;
mod revoke;
mod revoked_above;
mod revoked_cross;
mod succession;
mod view;

pub(super) use crl::RevocationLists;
pub(super) use first::missing as missing_publications;
pub(super) use generations::{Generations, IssuerObject};
pub use hierarchy::{AuthorityRef, ImportAuthority, InstallAuthority};
pub use kept::Published;
pub use list::{IssuedFilter, IssuedPage, IssuedRef, ListAuthorities, ListIssued};
pub(super) use log::{Ended, IssuedLog, asked_for, random_serial};
pub use making::{Ceremony, NewAuthority, Parent};
pub(super) use options::pointers;
pub use options::{BaseUrl, CaOptions};
pub use publish::{Answered, Publications};
pub(super) use responder::Responders;
pub use revoke::{RevokeRequest, RevokeWhich, Revoked};
pub(super) use revoked_above::revoked_above;
pub(super) use succession::{Successions, notices};
pub use view::{AuthorityView, IssuedView};

use super::context::Context;
use super::issuers::Authorities;
use std::sync::Arc;

/// What the CAs of this server signed.
#[derive(Clone)]
pub struct CertificateAuthorities {
    context: Arc<Context>,
    authorities: Authorities,
    log: IssuedLog,
    generations: Generations,
}

impl CertificateAuthorities {
    pub(super) fn new(context: Arc<Context>, authorities: Authorities) -> Self {
        let log = IssuedLog::new(context.clone());
        let generations = Generations::new(context.clone(), authorities.clone());
        Self { log, context, authorities, generations }
    }
}
