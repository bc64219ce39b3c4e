//! The way of one request through the gateway, and the net under it.

use super::super::audit::About;
use super::super::auth::Principal;
use super::super::headers;
use super::super::host::Host;
use super::super::listener::{Account, ConnectionInfo};
use super::address::Address;
use super::answer::{Answer, CLIENT_REQUEST_ID, Links};
use super::failure::Failure;
use super::routes::{self, Endpoint, Match};
use super::{
    API_VERSIONS, RestOptions, backup, body, certificates, contacts, deleted, faces, issuers, list, pending, update,
    watch,
};
use crate::domain::{CertificateName, Error, IssuerName, VaultName};
use crate::service::Service;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use http_body::Body as _;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::time::timeout;

/// Stands for the method of a POST, for clients that can send no other (contract section 1).
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method");

/// The path of a secret, which holds a private key: reading it leaves a line.
const SECRET: &str = "/secrets/{secret_name}";
/// The outcome of a request whose caller went away before the answer, as proxies call it.
const GONE: &str = "499";

/// What a body with a backup has beside it, in bytes, at most.
const BESIDE_BACKUP: usize = 4 * 1024;

/// The REST face; it answers every path.
pub fn router(service: Service, options: RestOptions) -> Face {
    Face(Arc::new(Gateway { service, options }))
}

/// The REST face. Cheap to clone.
#[derive(Clone)]
pub struct Face(Arc<Gateway>);

impl tower::Service<Request> for Face {
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

/// A request that passed credentials, host and version, and what its use case needs.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) options: &'a RestOptions,
    pub(super) principal: Principal,
    pub(super) links: Links,
    pub(super) parts: &'a Parts,
    pub(super) address: &'a Address<'a>,
    vault: &'a VaultName,
    about: &'a Mutex<About>,
}

impl Call<'_> {
    pub(super) fn vault(&self) -> VaultName {
        self.vault.clone()
    }

    /// Puts down what the request turned out to be about.
    pub(super) fn note(&self, note: impl FnOnce(&mut About)) {
        noted(self.about, note);
    }

    pub(super) async fn body<T: DeserializeOwned + Default>(&self, body: &mut Body) -> Result<T, Failure> {
        body::read(&self.parts.headers, body, self.options.body_limit, self.options).await
    }

    /// A body that holds a backup, in base64.
    pub(super) async fn backup_body<T: DeserializeOwned + Default>(&self, body: &mut Body) -> Result<T, Failure> {
        let limit = (self.options.backup_limit / 3).saturating_mul(4).saturating_add(BESIDE_BACKUP);
        body::read(&self.parts.headers, body, limit.max(self.options.body_limit), self.options).await
    }
}

/// The line of a request: that of what changes something, and of secrets that are read.
struct Line<'a> {
    parts: &'a Parts,
    about: &'a Mutex<About>,
    told: bool,
}

impl Line<'_> {
    fn end(mut self, outcome: &str) -> &'static str {
        self.tell(outcome)
    }

    fn tell(&mut self, outcome: &str) -> &'static str {
        self.told = true;
        let method = &self.parts.method;
        let about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = method == Method::GET || method == Method::HEAD;
        if !reads || about.action.starts_with(SECRET) && !about.action.ends_with("/versions") {
            about.tell("rest", method.as_str(), self.parts.extensions.get::<ConnectionInfo>(), outcome);
        }
        about.action
    }
}

/// The caller went away, and the request with him: what it had begun may be done all the same.
impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(GONE);
        }
    }
}

impl Gateway {
    async fn answer(&self, request: Request) -> Response {
        let begun = Instant::now();
        let (parts, mut body) = request.into_parts();
        let about = Mutex::new(About::default());
        let line = Line { parts: &parts, about: &about, told: false };
        let client_request_id = parts.headers.get(CLIENT_REQUEST_ID).cloned();
        // A defect in one request must not take the others of its connection along.
        let limit = self.options.request_timeout;
        let handled = timeout(limit, self.handle(&parts, &mut body, &about));
        let handled = AssertUnwindSafe(handled).catch_unwind().await;
        let answer = match handled {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(failure))) => failure.answer(),
            Ok(Err(_)) => Failure::too_slow(limit).answer(),
            Err(_) => {
                tracing::error!(method = %parts.method, path = parts.uri.path(), "a request made the server panic");
                Failure::from(Error::internal()).answer()
            }
        };
        let response = answer.finish(client_request_id);
        let action = line.end(response.status().as_str());
        self.service.metrics().http(&parts.method, action, response.status(), begun.elapsed());
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

    async fn handle(&self, parts: &Parts, body: &mut Body, about: &Mutex<About>) -> Result<Answer, Failure> {
        let Self { service, options } = self;
        headers::one_authorization(&parts.headers)?;
        let host = Host::of(parts, &options.base_domain, &options.hosts);
        let Some(principal) = options.auth.authenticate(&parts.headers) else {
            service.metrics().unauthenticated("rest");
            return Err(Failure::challenge(&host.unwrap_or_else(|_| Host::unknown(&options.base_domain))));
        };
        noted(about, |about| about.principal.clone_from(&principal.name));
        let account = parts.extensions.get::<Account>();
        if let Some(account) = account {
            account.identify(&principal.name).map_err(Failure::overrun)?;
        }
        headers::no_repeats(&parts.headers)?;
        if headers::is_encoded(&parts.headers) {
            return Err(Failure::encoded());
        }
        let host = host?;
        noted(about, |about| host.vault().as_str().clone_into(&mut about.vault));
        service.vaults().vault(host.vault())?;
        let address = Address::of(&parts.uri);
        if let Some(name) = address.repeated() {
            return Err(Error::bad_parameter(format!(
                "The query has the parameter {name} more than once. Send it once."
            ))
            .into());
        }
        let links = Links::new(&host, api_version(&address)?);
        let method = method(parts)?;
        let Match { endpoint, path, name, version } = routes::find(&method, &address.segments)?;
        noted(about, |about| about.action = path);
        if is_name(path, name) {
            noted(about, |about| name.clone_into(&mut about.name));
        }
        let call = Call { service, options, principal, links, parts, address: &address, vault: host.vault(), about };
        let _turn = match account.filter(|_| is_large(endpoint)) {
            Some(account) => Some(account.turn().await),
            None => None,
        };
        match endpoint {
            Endpoint::GetPending => pending::get(&call, name).await,
            Endpoint::Create => certificates::create(&call, name, body).await,
            Endpoint::GetCertificate => certificates::get(&call, name).await,
            Endpoint::GetVersion => certificates::get_version(&call, name, version).await,
            Endpoint::CancelPending => pending::cancel(&call, name, body).await,
            Endpoint::DeletePending => pending::delete(&call, name).await,
            Endpoint::Merge => pending::merge(&call, name, body).await,
            Endpoint::Watch => watch::watch(&call, name).await,
            Endpoint::ListIssuers => issuers::list(&call).await,
            Endpoint::GetIssuer => issuers::get(&call, name).await,
            Endpoint::SetIssuer => issuers::set(&call, name, body).await,
            Endpoint::UpdateIssuer => issuers::update(&call, name, body).await,
            Endpoint::DeleteIssuer => issuers::delete(&call, name).await,
            Endpoint::IssuerCa => issuers::ca(&call, name).await,
            Endpoint::Import => certificates::import(&call, name, body).await,
            Endpoint::ListSecrets => faces::secrets(&call).await,
            Endpoint::GetSecret => faces::secret(&call, name, version).await,
            Endpoint::ListSecretVersions => faces::secret_versions(&call, name).await,
            Endpoint::ListKeys => faces::keys(&call).await,
            Endpoint::GetKey => faces::key(&call, name, version).await,
            Endpoint::ListKeyVersions => faces::key_versions(&call, name).await,
            Endpoint::UseKey(operation) => faces::use_key(&call, operation, name, version, body).await,
            Endpoint::RefuseSecret(operation) => faces::refuse_secret(&call, name, operation).await,
            Endpoint::RefuseKey(operation) => faces::refuse_key(&call, name, operation).await,
            Endpoint::ListCertificates => list::certificates(&call).await,
            Endpoint::ListVersions => list::versions(&call, name).await,
            Endpoint::ListDeleted => list::deleted(&call).await,
            Endpoint::UpdateCertificate => update::certificate(&call, name, None, body).await,
            Endpoint::UpdateVersion => update::certificate(&call, name, Some(version), body).await,
            Endpoint::GetPolicy => update::get_policy(&call, name).await,
            Endpoint::UpdatePolicy => update::policy(&call, name, body).await,
            Endpoint::DeleteCertificate => deleted::delete(&call, name).await,
            Endpoint::GetDeleted => deleted::get(&call, name).await,
            Endpoint::Recover => deleted::recover(&call, name).await,
            Endpoint::Purge => deleted::purge(&call, name).await,
            Endpoint::Backup => backup::backup(&call, name).await,
            Endpoint::Restore => backup::restore(&call, body).await,
            Endpoint::SetContacts => contacts::set(&call, body).await,
            Endpoint::GetContacts => contacts::get(&call).await,
            Endpoint::DeleteContacts => contacts::delete(&call).await,
        }
    }
}

/// Whether many answers of this kind, which may be large, must not be in the making at once.
fn is_large(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Backup
            | Endpoint::ListCertificates
            | Endpoint::ListVersions
            | Endpoint::ListDeleted
            | Endpoint::ListIssuers
            | Endpoint::ListKeys
            | Endpoint::ListKeyVersions
            | Endpoint::ListSecrets
            | Endpoint::ListSecretVersions
    )
}

fn noted(about: &Mutex<About>, note: impl FnOnce(&mut About)) {
    // Whole texts are put in: nothing half done can be seen.
    note(&mut about.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Whether what stands in the place of a name is one.
fn is_name(path: &str, text: &str) -> bool {
    if path.contains("{issuer_name}") { IssuerName::parse(text).is_ok() } else { CertificateName::parse(text).is_ok() }
}

fn api_version(address: &Address<'_>) -> Result<&'static str, Failure> {
    let given = address.query("api-version").ok_or_else(Failure::no_api_version)?;
    let known = API_VERSIONS.into_iter().find(|known| known.eq_ignore_ascii_case(given));
    known.ok_or_else(|| Failure::unknown_api_version(given))
}

fn method(parts: &Parts) -> Result<Method, Failure> {
    let asked = parts.headers.get(METHOD_OVERRIDE).filter(|_| parts.method == Method::POST);
    let Some(asked) = asked else { return Ok(parts.method.clone()) };
    let known = [Method::PATCH, Method::PUT, Method::DELETE]
        .into_iter()
        .find(|method| asked.as_bytes().eq_ignore_ascii_case(method.as_str().as_bytes()));
    known.ok_or_else(|| Error::bad_parameter("The header X-HTTP-Method can be PATCH, PUT or DELETE.").into())
}
