//! The gRPC API: parse, call the use case, translate. Nothing behind it validates again.

mod access;
mod admin;
mod audit;
mod authorities;
mod call;
mod ceremonies;
mod certificates;
mod dispatch;
mod frames;
mod framework_errors;
mod grants;
mod import;
mod installations;
mod issuers;
mod keys;
mod management;
mod master_keys;
mod middleware;
mod policy;
mod policy_mask;
mod profiles;
mod reading;
mod renewals;
mod reply;
mod secrets;
mod services;
mod status;
mod stream_deadline;
mod unary;
mod vaults;
mod watch;
mod webhooks;

pub(crate) use issuers::provider as provider_message;
pub(crate) use reading::reads_a_message;

use crate::domain::{Error, Reason};
use crate::proto::v1::access_service_server::{AccessServiceServer, SERVICE_NAME as ACCESS};
use crate::proto::v1::audit_service_server::{AuditServiceServer, SERVICE_NAME as AUDIT};
use crate::proto::v1::certificate_admin_service_server::{CertificateAdminServiceServer, SERVICE_NAME as ADMIN};
use crate::proto::v1::certificate_authority_service_server::{
    CertificateAuthorityServiceServer, SERVICE_NAME as AUTHORITIES,
};
use crate::proto::v1::certificate_service_server::{CertificateServiceServer, SERVICE_NAME as CERTIFICATES};
use crate::proto::v1::installation_service_server::{InstallationServiceServer, SERVICE_NAME as INSTALLATIONS};
use crate::proto::v1::key_service_server::{KeyServiceServer, SERVICE_NAME as KEYS};
use crate::proto::v1::master_key_service_server::{MasterKeyServiceServer, SERVICE_NAME as MASTER_KEYS};
use crate::proto::v1::renewal_service_server::{RenewalServiceServer, SERVICE_NAME as RENEWALS};
use crate::proto::v1::secret_service_server::{SERVICE_NAME as SECRETS, SecretServiceServer};
use crate::proto::v1::vault_service_server::{SERVICE_NAME as VAULTS, VaultServiceServer};
use crate::proto::v1::webhook_service_server::{SERVICE_NAME as WEBHOOKS, WebhookServiceServer};
use crate::service::Service;
use crate::transport::auth::Auth;
use crate::transport::host::Hosts;
use crate::transport::listener::Refusal;
use dispatch::Dispatch;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{StatusCode, Version};
use middleware::{Method, Middleware};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tower::Layer;

/// How the gRPC API behaves, beside the limits of its service.
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// A host `{vault}.{base_domain}` names a vault.
    pub base_domain: String,
    /// The hosts that calls are answered for.
    pub hosts: Hosts,
    pub auth: Auth,
    /// Whether reflection needs no credentials: it shows the contract, no data.
    pub open_reflection: bool,
    /// Turns health to NOT_SERVING, for the stop of the server.
    pub closing: CancellationToken,
    /// Where the tasks of the API run, so that the server can wait for them.
    pub tasks: TaskTracker,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            base_domain: "localhost".to_owned(),
            hosts: Hosts::Any,
            auth: Auth::Development,
            open_reflection: false,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

/// Largest message that is sent, in bytes, where no backup may be larger.
const SEND_LIMIT: usize = 4 * 1024 * 1024;
/// Largest message to health and reflection, which anybody may call: the name of a service or a symbol.
const QUESTION_LIMIT: usize = 16 * 1024;
/// What a message with a backup has beside it, in bytes, at most.
const BESIDE_BACKUP: usize = 4 * 1024;

/// The services of the contract, health, and reflection in both versions; gRPC-Web too.
pub fn api(service: Service, options: GrpcOptions) -> Api {
    let message_limit = service.limits().request_body_bytes;
    // A message that brings or takes a backup may be so large beside the rest.
    let backup = service.limits().backup_bytes.saturating_add(BESIDE_BACKUP);
    let certificates = |limit: usize| {
        CertificateServiceServer::new(certificates::Certificates(service.clone()))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(SEND_LIMIT.max(backup))
    };
    let admin = CertificateAdminServiceServer::new(admin::Admin(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let authorities = CertificateAuthorityServiceServer::new(authorities::Authorities(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let vaults = VaultServiceServer::new(vaults::VaultCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let secrets = SecretServiceServer::new(secrets::Secrets(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let keys = KeyServiceServer::new(keys::Keys(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let access = AccessServiceServer::new(access::AccessCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let audit = AuditServiceServer::new(audit::AuditCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let renewals = RenewalServiceServer::new(renewals::RenewalCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let installations = InstallationServiceServer::new(installations::InstallationCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let master_keys = MasterKeyServiceServer::new(master_keys::MasterKeyCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let webhooks = WebhookServiceServer::new(webhooks::WebhookCalls(service.clone()))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(SEND_LIMIT);
    let (reporter, health) = tonic_health::server::health_reporter();
    options.tasks.spawn(report_health(reporter, options.closing.clone()));
    let routes = Routes::new(certificates(message_limit))
        .add_service(admin)
        .add_service(authorities)
        .add_service(vaults)
        .add_service(secrets)
        .add_service(keys)
        .add_service(access)
        .add_service(renewals)
        .add_service(installations)
        .add_service(master_keys)
        .add_service(webhooks)
        .add_service(audit)
        .add_service(health.max_decoding_message_size(QUESTION_LIMIT));
    let restore = Routes::new(certificates(message_limit.max(backup)));
    let routes = with_reflection(routes.clone()).unwrap_or_else(|error| {
        // The descriptor set is a part of the program: a test holds that this does not happen.
        tracing::error!(%error, "reflection is not offered");
        routes
    });
    Api(Middleware::new(
        Dispatch::new(service.clone(), routes.prepare(), restore.prepare(), options.clone()),
        service,
        options,
    ))
}

/// The gRPC API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Middleware);

impl Api {
    /// Whether a request with this content type is for this API.
    pub fn speaks(content_type: &[u8]) -> bool {
        content_type.starts_with(b"application/grpc")
    }
}

impl<B> tower::Service<http::Request<B>> for Api
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<axum::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Handles a gRPC call, or a gRPC-Web one after translation.
    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let middleware = self.0.clone();
        let streams = Method::of(request.uri().path()).streams;
        let request = request.map(Body::new);
        let content_type = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
        if request.version() == Version::HTTP_2 && !content_type.starts_with(b"application/grpc-web") {
            return Box::pin(async move { Ok(unary::whole(middleware.answer(request).await, streams).await) });
        }
        let mut web = tonic_web::GrpcWebLayer::new().layer(middleware);
        Box::pin(async move {
            let response = tower::Service::call(&mut web, request).await?;
            Ok(unary::whole(in_words(response), streams).await)
        })
    }
}

/// What is neither gRPC over HTTP/2 nor gRPC-Web gets a bare HTTP status from the layer of gRPC-Web.
fn in_words(response: http::Response<Body>) -> http::Response<Body> {
    let text = match response.status() {
        StatusCode::BAD_REQUEST => {
            "gRPC needs HTTP/2. Over HTTP/1.1 use gRPC-Web (Content-Type: application/grpc-web+proto).\n"
        }
        StatusCode::METHOD_NOT_ALLOWED => "A gRPC-Web call is a POST.\n",
        _ => return response,
    };
    let mut response = response.map(|_| Body::new(http_body_util::Full::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The refusal of a call by a limit of the port.
pub(super) fn refused(content_type: &HeaderValue, why: &Refusal) -> http::Response<bytes::Bytes> {
    let error = match why {
        Refusal::Budget(cause) => cause.error(),
        Refusal::Fields(limit) => {
            Error::new(Reason::MessageTooLarge, format!("The call has more than {limit} fields of metadata."))
        }
    };
    let response: http::Response<Body> = status::status(error).into_http();
    let mut response = response.map(|_| bytes::Bytes::new());
    response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    response
}

/// The services whose health is told, and the server as a whole.
const SERVICES: [&str; 13] = [
    "",
    CERTIFICATES,
    ADMIN,
    AUTHORITIES,
    SECRETS,
    KEYS,
    VAULTS,
    ACCESS,
    AUDIT,
    RENEWALS,
    INSTALLATIONS,
    MASTER_KEYS,
    WEBHOOKS,
];

async fn report_health(reporter: tonic_health::server::HealthReporter, closing: CancellationToken) {
    for name in SERVICES {
        reporter.set_service_status(name, ServingStatus::Serving).await;
    }
    closing.cancelled().await;
    for name in SERVICES {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
    }
}

/// Health and error details are described too, so that tools can call the one and read the other;
/// and each version of reflection lists the other one.
fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false)
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    let (v1, v1alpha) =
        (v1.max_decoding_message_size(QUESTION_LIMIT), v1alpha.max_decoding_message_size(QUESTION_LIMIT));
    Ok(routes.add_service(v1).add_service(v1alpha))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_descriptor_sets_can_be_reflected() {
        super::with_reflection(tonic::service::Routes::default()).unwrap();
    }
}
