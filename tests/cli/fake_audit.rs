//! What the fake server says of the audit ledger.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::service::Service;
use certmint::proto::v1::audit_service_server::AuditService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

/// Two pages: a line about the request each.
#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit(&self, request: Request<ListAuditRequest>) -> Result<Response<ListAuditResponse>, Status> {
        let ListAuditRequest { vault_name, principal, action, page_token, .. } = request.into_inner();
        let second = !page_token.is_empty();
        let record = AuditRecord {
            line: format!(r#"{{"seq":{},"principal":"{principal}"}}"#, 1 + u8::from(second)),
            time: Some(prost_types::Timestamp { seconds: 1_796_079_300, nanos: 0 }),
            kind: "request".into(),
            principal,
            operation: "certmint.v1.SecretService/GetSecret".into(),
            vault_name,
            name: action,
            outcome: "OK".into(),
            ..AuditRecord::default()
        };
        let next_page_token = if second { String::new() } else { "2".to_owned() };
        Ok(Response::new(ListAuditResponse { records: vec![record], next_page_token }))
    }

    async fn list_audit_keys(
        &self,
        _: Request<ListAuditKeysRequest>,
    ) -> Result<Response<ListAuditKeysResponse>, Status> {
        let key = AuditKey { id: "0123456789abcdef".into(), public_key: vec![0x30, 0x00].into(), created: None };
        Ok(Response::new(ListAuditKeysResponse { keys: vec![key] }))
    }
}
