//! The built-in CAs beyond signing: the log of what they were to sign, and what is read of it.

mod adopt;
mod by_key;
mod crl;
mod first;
mod generations;
mod hierarchy;
mod kept;
mod list;
mod log;
mod options;
mod publish;
mod responder;
mod restore;
mod revoke;
mod view;

pub(super) use crl::RevocationLists;
pub(super) use first::missing as missing_publications;
pub use hierarchy::{AuthorityRef, Ceremony, ImportAuthority, InstallAuthority, NewAuthority, Parent};
pub use kept::Published;
pub use list::{IssuedFilter, IssuedPage, IssuedRef, ListAuthorities, ListIssued};
pub(super) use log::{Ended, IssuedLog, asked_for, random_serial};
pub(super) use options::pointers;
pub use options::{BaseUrl, CaOptions};
pub use publish::{Answered, Publications};
pub(super) use responder::Responders;
pub use revoke::{RevokeRequest, RevokeWhich, Revoked};
pub use view::{AuthorityView, IssuedView};

use super::context::Context;
use super::issuers::Authorities;
use generations::Generations;
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
        let generations = Generations::new(context.clone(), authorities.clone(), log.clone());
        Self { log, context, authorities, generations }
    }
}
