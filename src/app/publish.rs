//! The port on which the CAs of this server publish.

use super::AppError;
use crate::service::{CaOptions, Service};
use crate::transport::publish::{Files, PublishPort};
use tokio_util::sync::CancellationToken;

/// Opens the port, where there is to be one.
pub(super) async fn bind(settings: &CaOptions) -> Result<Option<PublishPort>, AppError> {
    let Some(address) = settings.listen else { return Ok(None) };
    let connections = settings.connections.get();
    let failed = |source| AppError::Listen { address, option: "listen in [publish]", source };
    PublishPort::bind(address, connections).await.map(Some).map_err(failed)
}

/// Answers until the server stops.
pub(super) fn serve(
    port: PublishPort,
    service: &Service,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    tracing::info!(address = %port.local_addr(), "publishes certificates, revocation lists and OCSP answers of its CAs");
    port.serve(Files::new(service.publications(), service.metrics().clone()), stop)
}
