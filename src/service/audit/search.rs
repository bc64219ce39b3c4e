//! Reading the ledger: pages of lines in the order of time, and the keys that its checkpoints are verified with.

use super::line::Line;
use super::trail::AuditTrail;
use crate::domain::access::Visible;
use crate::domain::{Result, Timestamp, VaultName};
use crate::service::access::{AllVaults, Permit, Target};
use crate::service::records::{AuditLine, Bounds, List, Page, Ranges, audit_time, key};
use std::time::Duration;

/// Lines of a commit that is under way may still come in between others that are younger than this.
const SETTLED: Duration = Duration::from_secs(10);

/// What is looked for; what is empty or `None` is any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub principal: String,
    /// A data action, a method of the contract, or the last part of one.
    pub action: String,
    pub vault: Option<VaultName>,
    /// Of a certificate or an issuer; case does not matter.
    pub name: String,
    pub decision: String,
    /// Lines of that moment and later.
    pub since: Option<Timestamp>,
    /// Lines before that moment.
    pub until: Option<Timestamp>,
    /// Only lines that are so old that none can still come in between them.
    pub settled: bool,
}

impl Target for AuditFilter {
    fn vault(&self) -> Option<&VaultName> {
        self.vault.as_ref()
    }
}

impl AuditFilter {
    fn scope(&self) -> Vec<String> {
        let Self { principal, action, vault, name, decision, since, until, settled } = self;
        let time = |at: &Option<Timestamp>| at.map(|at| at.0.to_string()).unwrap_or_default();
        let vault = vault.as_ref().map(ToString::to_string).unwrap_or_default();
        let (principal, action, name) = (principal.clone(), action.clone(), name.clone());
        vec![principal, action, vault, name, decision.clone(), time(since), time(until), settled.to_string()]
    }

    fn takes(&self, line: &Line) -> bool {
        let facts = &line.facts;
        let is = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        let operation = facts.operation.rsplit('/').next().unwrap_or_default();
        is(&self.principal, &facts.principal)
            && (is(&self.action, &facts.action) || self.action == facts.operation || self.action == operation)
            && self.vault.as_ref().is_none_or(|vault| vault.as_str() == facts.vault)
            && (self.name.is_empty() || self.name.eq_ignore_ascii_case(&facts.name))
            && is(&self.decision, &facts.decision)
    }
}

/// A line with the very text that was hashed.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    pub line: Line,
    pub at: Timestamp,
    pub text: String,
}

/// A page of lines. It may hold fewer than were asked for; only without a token it is the last one.
#[derive(Clone, Debug)]
pub struct AuditPage {
    pub records: Vec<AuditRecord>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// A key that signs checkpoints.
#[derive(Clone, Debug)]
pub struct AuditPublicKey {
    pub id: String,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    pub created: Timestamp,
}

impl AuditTrail {
    /// The lines that the caller may see, oldest first. Who may see only some names sees the lines about these; lines
    /// about none, such as checkpoints, only who may see everything.
    ///
    /// # Errors
    /// For a page token of another list.
    pub async fn list(&self, filter: &Permit<AuditFilter>, size: usize, token: &str) -> Result<AuditPage> {
        let paging = self.context.paging(List::Audit, filter.scope());
        let begin = filter.since.map(audit_time);
        let settled = filter.settled.then(|| self.now().minus(SETTLED));
        let until = [filter.until, settled].into_iter().flatten().min();
        let end = until.map(|until| format!("{}{}", key::audit_lines().as_str(), audit_time(until)));
        let ranges = Ranges::whole(key::audit_lines());
        let mut page = Page::new(ranges, paging.position(token)?.or(begin), size, Bounds::WIDE);
        let visible = filter.right().visible();
        let shown = |line: AuditLine| {
            let text = line.text().to_owned();
            let line: Line = serde_json::from_str(&text).ok()?;
            let at = line.at();
            let is_shown = sees(&visible, &line) && filter.takes(&line);
            is_shown.then_some(AuditRecord { line, at, text })
        };
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, line) in found {
                // Not only not shown: the next page would begin behind what is settled by then.
                if end.as_ref().is_some_and(|end| key >= *end) {
                    page.end();
                    break;
                }
                page.take(key, line.and_then(shown));
            }
        }
        let next_page_token = paging.token(page.position());
        Ok(AuditPage { records: page.items, next_page_token })
    }

    /// The keys that ever signed a checkpoint of this store.
    pub async fn public_keys(&self, _: &Permit<AllVaults>) -> Result<Vec<AuditPublicKey>> {
        let keys = self.keys().await?.into_iter();
        Ok(keys
            .map(|(id, record)| AuditPublicKey { id, public_key: record.public_key.0, created: record.created })
            .collect())
    }
}

fn sees(visible: &Visible, line: &Line) -> bool {
    visible.is_everything()
        || VaultName::parse(&line.facts.vault).is_ok_and(|vault| visible.shows(&vault, &line.facts.name))
}
