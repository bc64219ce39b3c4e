//! `certmint.v1.AuditService`: the lines of the audit ledger.

use super::authorities::at;
use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::{Error, Result};
use crate::proto::v1;
use crate::service::{AllVaults, AuditFilter, AuditPublicKey, AuditRecord, Service};
use tonic::Request;

/// What `decision` can be.
const DECISIONS: [&str; 4] = ["", "allow", "deny", "would_deny"];

/// Handles the calls of one service.
pub(super) struct AuditCalls(pub(super) Service);

fn record(record: AuditRecord) -> v1::AuditRecord {
    let AuditRecord { line, at, text } = record;
    let facts = line.facts;
    v1::AuditRecord {
        line: text,
        time: Some(time(at)),
        writer: line.writer,
        seq: i64::try_from(line.seq).unwrap_or(i64::MAX),
        kind: line.kind.word().to_owned(),
        principal: facts.principal,
        action: facts.action,
        operation: facts.operation,
        vault_name: facts.vault,
        name: facts.name,
        decision: facts.decision,
        outcome: facts.outcome,
        peer: facts.peer,
    }
}

impl AuditCalls {
    pub(super) async fn list(&self, request: Request<v1::ListAuditRequest>) -> Result<v1::ListAuditResponse> {
        let (call, message) = open(request)?;
        let v1::ListAuditRequest {
            vault_name,
            principal,
            action,
            name,
            decision,
            since,
            until,
            settled_only,
            page_size: size,
            page_token,
        } = message;
        let vault = call.vault_or_all(&vault_name).await?;
        if !DECISIONS.contains(&decision.as_str()) {
            return Err(Error::field("decision", "It is none of allow, deny and would_deny."));
        }
        let size = page_size(size)?;
        let (since, until) = (since.map(at), until.map(at));
        let wanted = AuditFilter { principal, action, vault, name, decision, since, until, settled: settled_only };
        let page = self.0.audit().list(&call.permit(wanted).await?, size, &page_token).await?;
        let records = page.records.into_iter().map(record).collect();
        Ok(v1::ListAuditResponse { records, next_page_token: page.next_page_token })
    }

    pub(super) async fn keys(&self, request: Request<v1::ListAuditKeysRequest>) -> Result<v1::ListAuditKeysResponse> {
        let (call, v1::ListAuditKeysRequest {}) = open(request)?;
        let keys = self.0.audit().public_keys(&call.permit(AllVaults).await?).await?;
        let key = |AuditPublicKey { id, public_key, created }| v1::AuditKey {
            id,
            public_key: public_key.into(),
            created: Some(time(created)),
        };
        Ok(v1::ListAuditKeysResponse { keys: keys.into_iter().map(key).collect() })
    }
}
