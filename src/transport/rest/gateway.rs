//! Request pipeline: authentication, routing, dispatch, panic handling.

use super::super::audit::AuditRecord;
use super::super::headers;
use super::super::host::Host;
use super::super::listener::{Account, ConnectionInfo};
use super::address::Address;
use super::answer::{Answer, CLIENT_REQUEST_ID, Links};
use super::audited::{Line, Record, effective, method};
use super::call::{Call, noted};
use super::failure::Failure;
use super::routes::{self, Endpoint, Match};
use super::{
    RestOptions, authorization, backup, body, body_limit, certificates, contacts, deleted, identity, issuers, list,
    material, pending, update, watch,
};
use crate::domain::{CertificateName, Error, IssuerName, Reason, duration};
use crate::service::Service;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::EXPECT;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Body as _;
use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// The REST API; it answers every path.
pub fn router(service: Service, options: RestOptions) -> Api {
    Api(Arc::new(Gateway { service, options }))
}

/// The REST API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Gateway>);

impl tower::Service<Request> for Api {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let gateway = Arc::clone(&self.0);
        Box::pin(async move { Ok(gateway.answer(request).await) })
    }
}

struct Gateway {
    service: Service,
    options: RestOptions,
}

impl Gateway {
    async fn answer(&self, request: Request) -> Response {
        let begun = Instant::now();
        let (parts, mut body) = request.into_parts();
        let record = Record::default();
        let line = Line::begin(&parts, &record);
        let client_request_id = parts.headers.get(CLIENT_REQUEST_ID).cloned();
        // A defect in one request must not take the others of its connection along.
        let patience = self.service.limits().request_timeout;
        let deadline = begun + patience;
        // On the heap: each future around it would have room of its own for it, in every request that waits.
        let handled = line.scope().run(Box::pin(self.handle(&parts, &mut body, &record, deadline)));
        let handled = timeout_at(deadline.into(), handled);
        let answer = match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(failure))) => {
                if let Some(reason) = failure.reason() {
                    line.refused(reason);
                }
                failure.answer()
            }
            Ok(Err(_)) => Failure::from(out_of_time(patience)).answer(),
            Err(_) => {
                tracing::error!(method = %parts.method, path = parts.uri.path(), "a request made the server panic");
                Failure::from(Error::internal()).answer()
            }
        };
        let audit = self.service.audit();
        let answer = match Box::pin(line.settle(&audit, answer.status())).await {
            Ok(()) => answer,
            Err(error) => Failure::from(error).answer(),
        };
        let response = answer.finish(client_request_id);
        let action = line.end(response.status().as_str());
        self.service.metrics().http(&effective(&parts), action, response.status(), begun.elapsed());
        // A client that waits for "100 Continue" has sent nothing, and need not after a challenge.
        let waits = response.status() == StatusCode::UNAUTHORIZED && parts.headers.contains_key(EXPECT);
        let account = parts.extensions.get::<Account>();
        if let Some(account) = account {
            account.release_body();
        }
        let admitted = account.is_none_or(|account| account.admitted().is_ok());
        if !body.is_end_stream() && !waits && admitted {
            body::discard(&mut body).await;
        }
        // HTTP/2 takes a body after HEAD for a broken stream.
        if parts.method == Method::HEAD { response.map(|_| Body::empty()) } else { response }
    }

    async fn handle(
        &self,
        parts: &Parts,
        body: &mut Body,
        record: &Mutex<AuditRecord>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let Self { service, options } = self;
        headers::one_authorization(&parts.headers)?;
        let host = Host::of(parts, &options.base_domain, &options.hosts);
        if is_grpc(parts.uri.path()) {
            return Err(Failure::not_grpc_type());
        }
        if let Some((endpoint, tenant)) = identity::Endpoint::find(&parts.uri) {
            noted(record, |record| record.action = endpoint.template());
            headers::no_repeats(&parts.headers)?;
            if headers::is_encoded(&parts.headers) {
                return Err(Failure::encoded());
            }
            if let Some(account) = parts.extensions.get::<Account>() {
                account.admitted().map_err(Failure::overrun)?;
            }
            let body_timeout = service.limits().body_read_timeout;
            let asked =
                identity::Asked { parts, options, body_timeout, host: &host?, tenant: &tenant, now: service.now() };
            let (answer, refused) = identity::answer(endpoint, &asked, body).await;
            if refused {
                service.metrics().unauthenticated("rest");
                service.audit().stranger(peer(parts));
            }
            return Ok(answer);
        }
        let shown = parts.extensions.get::<ConnectionInfo>().and_then(|connection| connection.certificate.as_ref());
        let principal = match options.auth.authenticate(&parts.headers, shown).await {
            Ok(principal) => principal,
            Err(refused) => {
                if refused.is_wrong() {
                    service.metrics().unauthenticated("rest");
                    service.audit().stranger(peer(parts));
                }
                let host = host.unwrap_or_else(|_| Host::unknown(&options.base_domain));
                return Err(Failure::unauthenticated(refused, options.challenge.text(&host)));
            }
        };
        noted(record, |record| {
            record.principal.clone_from(&principal.name);
            record.beside = principal.beside().cloned();
        });
        let account = parts.extensions.get::<Account>();
        if let Some(account) = account {
            account.identify(&principal.name).map_err(Failure::overrun)?;
        }
        headers::no_repeats(&parts.headers)?;
        if headers::is_encoded(&parts.headers) {
            return Err(Failure::encoded());
        }
        let host = host?;
        noted(record, |record| host.vault().as_str().clone_into(&mut record.vault));
        service.access().vault(host.vault()).await?;
        let address = Address::of(&parts.uri);
        if let Some(name) = address.repeated() {
            return Err(Error::bad_parameter(format!(
                "The query has the parameter {name} more than once. Send it once."
            ))
            .into());
        }
        let links = Links::new(&host, api_version(&address)?);
        let method = method(parts)?;
        let Match { endpoint, action, path, name, version } = routes::find(&method, &address.segments)?;
        noted(record, |record| (record.action, record.needs) = (path, action));
        let named = has_name(path) && is_name(path, name);
        if named {
            noted(record, |record| name.clone_into(&mut record.name));
        }
        if let Some(id) = authorization::id_in(path, name, version) {
            noted(record, |record| record.name = id.to_string());
        }
        let vault = host.vault();
        let call =
            Call { service, options, principal, deadline, links, parts, address: &address, vault, record, action };
        // A name that is none is refused by its handler, before anything else of it: nothing is read for it.
        let is_wrong = !named && path.contains("_name}");
        if !is_wrong {
            call.precheck(named.then_some(name))?;
        }
        let _turn = match account.filter(|_| body_limit::answer_is_large(endpoint)) {
            Some(account) => Some(account.turn().await),
            None => None,
        };
        if let Some(limit) = body_limit::of(endpoint, service.limits()).filter(|_| !is_wrong) {
            body::take_in(&parts.headers, body, limit, service.limits().body_read_timeout).await?;
        }
        // On the heap only from here on: what waits for its body is small.
        Box::pin(carry_out(&call, endpoint, name, version, body)).await
    }
}

/// Carries the request out.
async fn carry_out(
    call: &Call<'_>,
    endpoint: Endpoint,
    name: &str,
    version: &str,
    body: &mut Body,
) -> Result<Answer, Failure> {
    match endpoint {
        Endpoint::GetPending => pending::get(call, name).await,
        Endpoint::Create => certificates::create(call, name, body).await,
        Endpoint::Renew => certificates::renew(call, name, body).await,
        Endpoint::GetCertificate => certificates::get(call, name).await,
        Endpoint::GetVersion => certificates::get_version(call, name, version).await,
        Endpoint::CancelPending => pending::cancel(call, name, body).await,
        Endpoint::DeletePending => pending::delete(call, name).await,
        Endpoint::Merge => pending::merge(call, name, body).await,
        Endpoint::Watch => watch::watch(call, name).await,
        Endpoint::ListIssuers => issuers::list(call).await,
        Endpoint::GetIssuer => issuers::get(call, name).await,
        Endpoint::SetIssuer => issuers::set(call, name, body).await,
        Endpoint::UpdateIssuer => issuers::update(call, name, body).await,
        Endpoint::DeleteIssuer => issuers::delete(call, name).await,
        Endpoint::IssuerCa => issuers::ca(call, name).await,
        Endpoint::IssuerCsr => issuers::csr(call, name).await,
        Endpoint::InstallCa => issuers::install(call, name, body).await,
        Endpoint::ListIssued => issuers::list_issued(call, name).await,
        Endpoint::GetIssued => issuers::issued(call, name, version).await,
        Endpoint::RevokeIssued => issuers::revoke_issued(call, name, version, body).await,
        Endpoint::RevokeVersion => issuers::revoke_version(call, name, version, body).await,
        Endpoint::Import => certificates::import(call, name, body).await,
        Endpoint::ListSecrets => material::secrets(call).await,
        Endpoint::GetSecret => material::secret(call, name, version).await,
        Endpoint::ListSecretVersions => material::secret_versions(call, name).await,
        Endpoint::ListKeys => material::keys(call).await,
        Endpoint::GetKey => material::key(call, name, version).await,
        Endpoint::ListKeyVersions => material::key_versions(call, name).await,
        Endpoint::UseKey(operation) => material::use_key(call, operation, name, version, body).await,
        Endpoint::RefuseSecret(operation) => material::refuse_secret(call, name, operation).await,
        Endpoint::RefuseKey(operation) => material::refuse_key(call, name, operation).await,
        Endpoint::ListCertificates => list::certificates(call).await,
        Endpoint::ListVersions => list::versions(call, name).await,
        Endpoint::ListDeleted => list::deleted(call).await,
        Endpoint::UpdateCertificate => update::certificate(call, name, None, body).await,
        Endpoint::UpdateVersion => update::certificate(call, name, Some(version), body).await,
        Endpoint::GetPolicy => update::get_policy(call, name).await,
        Endpoint::UpdatePolicy => update::policy(call, name, body).await,
        Endpoint::DeleteCertificate => deleted::delete(call, name).await,
        Endpoint::GetDeleted => deleted::get(call, name).await,
        Endpoint::Recover => deleted::recover(call, name).await,
        Endpoint::Purge => deleted::purge(call, name).await,
        Endpoint::Backup => backup::backup(call, name).await,
        Endpoint::Restore => backup::restore(call, body).await,
        Endpoint::SetContacts => contacts::set(call, body).await,
        Endpoint::GetContacts => contacts::get(call).await,
        Endpoint::DeleteContacts => contacts::delete(call).await,
        Endpoint::Authorization(asked) => authorization::answer(call, asked, name, version, body).await,
    }
}

fn out_of_time(limit: Duration) -> Error {
    let limit = duration::to_text(limit);
    Error::new(
        Reason::DeadlineExceeded,
        format!("The request did not complete within {limit}, the limit of this server."),
    )
}

/// Whether this is the path of a gRPC method. Its content type was not one of gRPC's, or it would not be here: clients
/// of the Connect protocol send `application/json` or `application/proto`.
fn is_grpc(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let service = parts.next().unwrap_or_default();
    let known = ["certmint.", "grpc.health.", "grpc.reflection."].iter().any(|package| service.starts_with(package));
    known && parts.next().is_some_and(|method| !method.is_empty()) && parts.next().is_none()
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectionInfo>().map(|connection| connection.peer.ip())
}

/// Whether the first value of the path is a name, or a scope that may be one.
fn has_name(path: &str) -> bool {
    path.contains("_name}") || path.contains("{scope}")
}

/// Checks the value in the place of a name.
fn is_name(path: &str, text: &str) -> bool {
    if path.contains("{issuer_name}") { IssuerName::parse(text).is_ok() } else { CertificateName::parse(text).is_ok() }
}

fn api_version(address: &Address<'_>) -> Result<String, Failure> {
    let given = address.query("api-version").ok_or_else(Failure::no_api_version)?;
    super::api_version(given).ok_or_else(|| Failure::unknown_api_version(given))
}
