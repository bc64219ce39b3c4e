//! Reads all pages of a list.

use super::Result;
use super::connection::{Client, Repeat, Session, Status};
use crate::proto::v1::{
    AuditRecord, CertificateItem, DeletedCertificateItem, Grant, Installation, IssuedCertificate, IssuerItem,
    ListAuditRequest, ListAuditResponse, ListCertificateVersionsRequest, ListCertificateVersionsResponse,
    ListCertificatesRequest, ListCertificatesResponse, ListDeletedCertificatesRequest, ListDeletedCertificatesResponse,
    ListDeliveriesRequest, ListDeliveriesResponse, ListGrantsRequest, ListGrantsResponse, ListInstallationsRequest,
    ListInstallationsResponse, ListIssuedCertificatesRequest, ListIssuedCertificatesResponse, ListIssuersRequest,
    ListIssuersResponse, ListPendingRequest, ListPendingResponse, ListRenewalsRequest, ListRenewalsResponse,
    ListVaultsRequest, ListVaultsResponse, ListWebhooksRequest, ListWebhooksResponse, PendingOperation, Renewal, Vault,
    Webhook, WebhookDelivery,
};
use std::mem::take;
use tonic::{Request, Response};

/// Half of what the contract allows, since operations contain their signing requests.
const PAGE_SIZE: i32 = 500;

/// A request for a page.
pub(super) trait PageRequest: Clone {
    fn page(&mut self, size: i32, token: String);
}

/// A page.
pub(super) trait Page {
    type Item;
    /// Takes its entries out of it, and the token of the next page.
    fn split(&mut self) -> (Vec<Self::Item>, String);
}

macro_rules! pages {
    ($($request:ident => $page:ident, $entries:ident: $item:ident;)+) => {
        $(
            impl PageRequest for $request {
                fn page(&mut self, size: i32, token: String) {
                    (self.page_size, self.page_token) = (size, token);
                }
            }

            impl Page for $page {
                type Item = $item;
                fn split(&mut self) -> (Vec<$item>, String) {
                    (take(&mut self.$entries), take(&mut self.next_page_token))
                }
            }
        )+
    };
}

pages! {
    ListCertificatesRequest => ListCertificatesResponse, certificates: CertificateItem;
    ListCertificateVersionsRequest => ListCertificateVersionsResponse, certificates: CertificateItem;
    ListDeletedCertificatesRequest => ListDeletedCertificatesResponse, deleted_certificates: DeletedCertificateItem;
    ListIssuedCertificatesRequest => ListIssuedCertificatesResponse, certificates: IssuedCertificate;
    ListInstallationsRequest => ListInstallationsResponse, installations: Installation;
    ListIssuersRequest => ListIssuersResponse, issuers: IssuerItem;
    ListPendingRequest => ListPendingResponse, operations: PendingOperation;
    ListRenewalsRequest => ListRenewalsResponse, renewals: Renewal;
    ListVaultsRequest => ListVaultsResponse, vaults: Vault;
    ListWebhooksRequest => ListWebhooksResponse, webhooks: Webhook;
    ListDeliveriesRequest => ListDeliveriesResponse, deliveries: WebhookDelivery;
    ListGrantsRequest => ListGrantsResponse, grants: Grant;
    ListAuditRequest => ListAuditResponse, records: AuditRecord;
}

impl Session {
    /// Each page of a list as it comes: of a list that may not fit into memory.
    pub(super) async fn each<C: Client, M: PageRequest, P: Page>(
        &self,
        mut request: M,
        rpc: impl AsyncFn(&mut C, Request<M>) -> std::result::Result<Response<P>, Status>,
        mut show: impl FnMut(Vec<P::Item>) -> Result<()>,
    ) -> Result<()> {
        let mut token = String::new();
        loop {
            request.page(PAGE_SIZE, token);
            let (entries, next) = self.call(Repeat::Safe, request.clone(), &rpc).await?.split();
            show(entries)?;
            if next.is_empty() {
                return Ok(());
            }
            token = next;
        }
    }

    /// All entries of a list, and the other fields of the last page. The request has neither size nor token.
    pub(super) async fn all<C: Client, M: PageRequest, P: Page>(
        &self,
        mut request: M,
        rpc: impl AsyncFn(&mut C, Request<M>) -> std::result::Result<Response<P>, Status>,
    ) -> Result<(Vec<P::Item>, P)> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            request.page(PAGE_SIZE, token);
            let mut page = self.call(Repeat::Safe, request.clone(), &rpc).await?;
            let (entries, next) = page.split();
            all.extend(entries);
            if next.is_empty() {
                return Ok((all, page));
            }
            token = next;
        }
    }
}
