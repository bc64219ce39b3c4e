//! The generated service with answers from memory, and a watch over a broadcast channel.
#![expect(clippy::disallowed_types, reason = "tonic's own types are what is measured")]

use crate::recorded::{ANSWER_PROTO, EVENT};
use crate::support::Failure;
use certmint::proto::v1::certificate_service_server::CertificateService;
use certmint::proto::v1::*;
use futures_util::{Stream, StreamExt};
use prost::Message;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

pub(super) struct Bare {
    answer: GetPendingResponse,
    event: WatchPendingResponse,
    events: broadcast::Sender<WatchPendingResponse>,
}

impl Bare {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        let answer = GetPendingResponse::decode(fs::read(folder.join(ANSWER_PROTO))?.as_slice())?;
        let event = WatchPendingResponse::decode(fs::read(folder.join(EVENT))?.as_slice())?;
        Ok(Self { answer, event, events: broadcast::Sender::new(1024) })
    }
}

fn not_measured<T>() -> Result<Response<T>, Status> {
    Err(Status::unavailable("this method is not measured"))
}

#[tonic::async_trait]
impl CertificateService for Bare {
    type WatchPendingStream = Pin<Box<dyn Stream<Item = Result<WatchPendingResponse, Status>> + Send>>;

    async fn get_pending(&self, _: Request<GetPendingRequest>) -> Result<Response<GetPendingResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }

    async fn watch_pending(
        &self,
        _: Request<WatchPendingRequest>,
    ) -> Result<Response<Self::WatchPendingStream>, Status> {
        let bookmark = watch_pending_response::Payload::Bookmark(WatchBookmark::default());
        let first = WatchPendingResponse { resume_token: String::new(), payload: Some(bookmark) };
        let events = BroadcastStream::new(self.events.subscribe())
            .map(|event| event.map_err(|lagged| Status::data_loss(lagged.to_string())));
        Ok(Response::new(Box::pin(futures_util::stream::once(async { Ok(first) }).chain(events))))
    }

    /// Stands for whatever makes an event.
    async fn cancel_pending(
        &self,
        _: Request<CancelPendingRequest>,
    ) -> Result<Response<CancelPendingResponse>, Status> {
        // Nobody may be watching yet.
        let _ = self.events.send(self.event.clone());
        Ok(Response::new(CancelPendingResponse::default()))
    }

    async fn create_certificate(
        &self,
        _: Request<CreateCertificateRequest>,
    ) -> Result<Response<CreateCertificateResponse>, Status> {
        not_measured()
    }

    async fn list_pending(&self, _: Request<ListPendingRequest>) -> Result<Response<ListPendingResponse>, Status> {
        not_measured()
    }

    async fn delete_pending(
        &self,
        _: Request<DeletePendingRequest>,
    ) -> Result<Response<DeletePendingResponse>, Status> {
        not_measured()
    }

    async fn merge_certificate(
        &self,
        _: Request<MergeCertificateRequest>,
    ) -> Result<Response<MergeCertificateResponse>, Status> {
        not_measured()
    }

    async fn get_certificate(
        &self,
        _: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        not_measured()
    }

    async fn import_certificate(
        &self,
        _: Request<ImportCertificateRequest>,
    ) -> Result<Response<ImportCertificateResponse>, Status> {
        not_measured()
    }

    async fn list_certificates(
        &self,
        _: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        not_measured()
    }

    async fn list_certificate_versions(
        &self,
        _: Request<ListCertificateVersionsRequest>,
    ) -> Result<Response<ListCertificateVersionsResponse>, Status> {
        not_measured()
    }

    async fn update_certificate(
        &self,
        _: Request<UpdateCertificateRequest>,
    ) -> Result<Response<UpdateCertificateResponse>, Status> {
        not_measured()
    }

    async fn delete_certificate(
        &self,
        _: Request<DeleteCertificateRequest>,
    ) -> Result<Response<DeleteCertificateResponse>, Status> {
        not_measured()
    }

    async fn get_deleted_certificate(
        &self,
        _: Request<GetDeletedCertificateRequest>,
    ) -> Result<Response<GetDeletedCertificateResponse>, Status> {
        not_measured()
    }

    async fn list_deleted_certificates(
        &self,
        _: Request<ListDeletedCertificatesRequest>,
    ) -> Result<Response<ListDeletedCertificatesResponse>, Status> {
        not_measured()
    }

    async fn recover_deleted_certificate(
        &self,
        _: Request<RecoverDeletedCertificateRequest>,
    ) -> Result<Response<RecoverDeletedCertificateResponse>, Status> {
        not_measured()
    }

    async fn purge_deleted_certificate(
        &self,
        _: Request<PurgeDeletedCertificateRequest>,
    ) -> Result<Response<PurgeDeletedCertificateResponse>, Status> {
        not_measured()
    }

    async fn backup_certificate(
        &self,
        _: Request<BackupCertificateRequest>,
    ) -> Result<Response<BackupCertificateResponse>, Status> {
        not_measured()
    }

    async fn restore_certificate(
        &self,
        _: Request<RestoreCertificateRequest>,
    ) -> Result<Response<RestoreCertificateResponse>, Status> {
        not_measured()
    }

    async fn get_certificate_policy(
        &self,
        _: Request<GetCertificatePolicyRequest>,
    ) -> Result<Response<GetCertificatePolicyResponse>, Status> {
        not_measured()
    }

    async fn update_certificate_policy(
        &self,
        _: Request<UpdateCertificatePolicyRequest>,
    ) -> Result<Response<UpdateCertificatePolicyResponse>, Status> {
        not_measured()
    }
}
