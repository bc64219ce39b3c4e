//! Hints that an order has moved at its CA: what is due later becomes due now. A hint is never believed; the issuer is
//! asked, as at any other time.

use super::Jobs;
use crate::domain::pending::State;
use crate::domain::{IssuerName, RequestId, Result, VaultName};
use crate::service::records::key;
use crate::store::Batch;

/// What came of a hint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hinted {
    /// The order is due now.
    Due,
    /// A step is under way, which may have looked before the order moved: worth another hint.
    UnderWay,
    /// There is no such order, or it is due anyway.
    Nothing,
}

impl Jobs {
    /// Makes an order due that is open at an issuer of this provider; others are left alone.
    ///
    /// # Errors
    /// Where the store is not available: the order is found when it is due.
    pub async fn order_moved(&self, provider: &str, vault: &str, request_id: &str) -> Result<Hinted> {
        let (Ok(vault), Ok(id)) = (VaultName::parse(vault), RequestId::parse(request_id)) else {
            return Ok(Hinted::Nothing);
        };
        let Some((_, known)) = self.context.load(&key::request(&vault, id)).await? else { return Ok(Hinted::Nothing) };
        let pending = self.context.load(&key::pending(&vault, &known.certificate)).await?;
        let Some((record, mut pending)) = pending else { return Ok(Hinted::Nothing) };
        let operation = &pending.operation;
        let Ok(name) = IssuerName::parse(&operation.issuer.name) else { return Ok(Hinted::Nothing) };
        if operation.request_id != id || !matches!(operation.state, State::Issuing { .. }) {
            return Ok(Hinted::Nothing);
        }
        let issuer = self.context.load(&key::issuer(&vault, &name)).await?;
        if !issuer.is_some_and(|(_, issuer)| issuer.provider.eq_ignore_ascii_case(provider)) {
            return Ok(Hinted::Nothing);
        }
        let now = self.context.now();
        if pending.lease(&record).is_some_and(|end| end > now) {
            return Ok(Hinted::UnderWay);
        }
        if record.due.is_none_or(|due| due <= now) {
            return Ok(Hinted::Nothing);
        }
        let due = pending.expedite(&record, now, self.context.limits().work_lease);
        // Where somebody else changed the record, a step comes or came.
        Ok(if self.save(&record, pending, Some(due), Batch::default()).await? { Hinted::Due } else { Hinted::UnderWay })
    }
}
