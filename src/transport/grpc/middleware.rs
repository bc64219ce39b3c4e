//! The middleware of the gRPC API: authentication, metrics, and what is recorded of a call.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use super::GrpcOptions;
use super::dispatch::Dispatch;
use super::status::status;
use crate::domain::{DataAction, Error};
use crate::mtls::Shown;
use crate::service::{AuditTrail, Scope, Service};
use crate::transport::actions::action_of;
use crate::transport::audit::{AuditRecord, AuditedRight, Envelope, Origin, asks, scope};
use crate::transport::auth::{Auth, Principal};
use crate::transport::headers::one_authorization;
use crate::transport::listener::{Account, ConnectionInfo, Overrun};
use crate::transport::rest::CLIENT_REQUEST_ID;
use futures_util::future::BoxFuture;
use prost::Message;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

/// Who calls, and what about; an extension of every request that passed.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// `None` of what is not a method of ours.
    pub(super) record: Option<Arc<Mutex<AuditRecord>>>,
    /// Whether credentials were accepted.
    pub(super) is_known: bool,
}

impl Default for Caller {
    /// Where there is no middleware, as in tests of single services.
    fn default() -> Self {
        Self { principal: Principal::named("nobody"), record: None, is_known: false }
    }
}

/// The code of a call that succeeded.
const OK: &str = "OK";

/// Told where there is no token, or one that nobody knows.
const NO_TOKEN: &str =
    "The call has no bearer token, or one that is not accepted. Send the metadata `authorization: Bearer TOKEN`.";

/// The paths of reflection, in all of its versions.
const REFLECTION: &str = "/grpc.reflection.";

/// In front of [`Dispatch`].
#[derive(Clone)]
pub(super) struct Middleware(Arc<Parts>);

struct Parts {
    dispatch: Dispatch,
    service: Service,
    auth: Auth,
    open_reflection: bool,
}

impl Middleware {
    pub(super) fn new(dispatch: Dispatch, service: Service, options: GrpcOptions) -> Self {
        let GrpcOptions { auth, open_reflection, .. } = options;
        Self(Arc::new(Parts { dispatch, service, auth, open_reflection }))
    }

    /// Health is for everybody: balancers have no credentials.
    fn is_open(&self, path: &str) -> bool {
        path.starts_with("/grpc.health.") || self.0.open_reflection && path.starts_with(REFLECTION)
    }

    pub(super) async fn answer(self, mut request: http::Request<Body>) -> http::Response<Body> {
        let begun = Instant::now();
        let Parts { dispatch, service, auth, .. } = &*self.0;
        let method = Method::of(request.uri().path());
        if let Err(error) = one_authorization(request.headers()) {
            let response = status(error).into_http();
            service.metrics().grpc(method.name, code(&response), None);
            return response;
        }
        let account = request.extensions().get::<Account>().cloned();
        let caller = match auth.authenticate_call(request.headers(), shown(&request)).await {
            Ok(principal) => Caller { principal, record: None, is_known: true },
            Err(_) if self.is_open(request.uri().path()) => Caller::default(),
            Err(refused) => {
                if refused.is_wrong() {
                    service.metrics().unauthenticated("grpc");
                    service.audit().stranger(request.extensions().get::<ConnectionInfo>().map(|it| it.peer.ip()));
                }
                let response = status(refused.error(NO_TOKEN)).into_http();
                service.metrics().grpc(method.name, code(&response), None);
                return response;
            }
        };
        if let Some(account) = account
            && let Err(cause) = admit(&account, &caller, request.uri().path())
        {
            let response = status(cause.error()).into_http();
            service.metrics().grpc(method.name, code(&response), None);
            return response;
        }
        let audit = method.action.is_some().then(|| Audit::of(method, &caller, &request));
        let record = audit.as_ref().map(|audit| audit.record.clone());
        request.extensions_mut().insert(Caller { record, ..caller });
        // On the heap: each future around it would have room of its own for it, in every call that waits.
        let answer = Box::pin(dispatch.answer(request));
        let response = match &audit {
            Some(audit) => {
                let response = audit.scope.clone().run(answer).await;
                match Box::pin(audit.settle(&service.audit(), code(&response))).await {
                    Ok(()) => response,
                    Err(error) => status(error).into_http(),
                }
            }
            None => answer.await,
        };
        let (code, took) = (code(&response), (!method.streams).then(|| begun.elapsed()));
        service.metrics().grpc(method.name, code, took);
        if let Some(audit) = audit {
            audit.end(code);
        }
        response
    }
}

impl tower::Service<http::Request<Body>> for Middleware {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}

/// What is recorded of a call of a method of ours.
struct Audit {
    record: Arc<Mutex<AuditRecord>>,
    scope: Arc<Scope>,
    origin: Option<Origin>,
    /// It leaves a line in the log, however it is decided.
    leaves_line: bool,
    told: bool,
}

impl Audit {
    fn of(method: Method, caller: &Caller, request: &http::Request<Body>) -> Self {
        let Method { name, streams: _, audited, large: _, action } = method;
        let origin = request.extensions().get::<ConnectionInfo>().map(Origin::of);
        let record = AuditRecord {
            principal: caller.principal.name.clone(),
            beside: caller.principal.beside().cloned(),
            action: name,
            needs: action,
            ..AuditRecord::default()
        };
        let record = Arc::new(Mutex::new(record));
        let client_request_id = request.headers().get(CLIENT_REQUEST_ID).cloned();
        let envelope = Envelope { face: "grpc", method: http::Method::POST, origin, client_request_id };
        let scope = scope(move |needs| asks(needs, audited), envelope, &record);
        Self { record, scope, origin, leaves_line: audited, told: false }
    }

    /// Stores the record of the call where it has to be stored before the answer leaves.
    async fn settle(&self, audit: &AuditTrail, code: &str) -> Result<(), Error> {
        let is_news = {
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            // Grants and rules alone refuse so, and rules after the action was allowed.
            if code == crate::proto::code_name(Code::PermissionDenied) {
                record.right = AuditedRight::Denied;
            }
            record.is_news()
        };
        match is_news {
            Some(is_news) => audit.settle(&self.scope, code, code == OK, is_news).await,
            None => Ok(()),
        }
    }

    fn end(mut self, code: &str) {
        self.tell(code);
    }

    fn tell(&mut self, code: &str) {
        self.told = true;
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if self.leaves_line || record.right.is_told() {
            record.tell("grpc", "POST", self.origin, code);
        }
    }
}

/// The caller disconnected and the call was dropped: it may have taken effect.
impl Drop for Audit {
    fn drop(&mut self) {
        if !self.told {
            self.tell("CANCELLED");
        }
    }
}

/// The client certificate of the connection.
fn shown<B>(request: &http::Request<B>) -> Option<&Arc<Shown>> {
    request.extensions().get::<ConnectionInfo>()?.certificate.as_ref()
}

/// Puts the call at the expense of its caller.
fn admit(account: &Account, caller: &Caller, path: &str) -> Result<(), Overrun> {
    if caller.is_known {
        account.identify(&caller.principal.name)?
    } else {
        account.admitted()?
    }
    if path.starts_with(REFLECTION) { account.hold(reflection_bytes()) } else { Ok(()) }
}

/// What a stream of reflection keeps: two answers that are ready, and one that is being encoded.
fn reflection_bytes() -> usize {
    crate::proto::DESCRIPTOR_SET.len() / 2
}

/// A method of the services that are offered here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    /// `certmint.v1.CertificateService/GetPending`.
    pub(super) name: &'static str,
    pub(super) streams: bool,
    /// It leaves a line.
    audited: bool,
    /// Its answer may be large.
    pub(super) large: bool,
    /// What callers need; `None` where it is not of our contract.
    pub(super) action: Option<DataAction>,
}

/// What leaves a line although it changes nothing.
const AUDITED_READS: [&str; 7] = [
    "certmint.v1.SecretService/GetSecret",
    "certmint.v1.KeyService/Sign",
    "certmint.v1.KeyService/Verify",
    "certmint.v1.KeyService/Encrypt",
    "certmint.v1.KeyService/Decrypt",
    "certmint.v1.KeyService/WrapKey",
    "certmint.v1.KeyService/UnwrapKey",
];

impl Method {
    /// The method of a path; all that are not known are one.
    pub(super) fn of(path: &str) -> Self {
        static KNOWN: OnceLock<HashMap<&'static str, Method>> = OnceLock::new();
        let unknown = Self { name: "unknown", streams: false, audited: false, large: false, action: None };
        let known = KNOWN.get_or_init(methods);
        path.strip_prefix('/').and_then(|name| known.get(name)).copied().unwrap_or(unknown)
    }
}

/// Read once from the descriptors; the names then live as long as the process.
fn methods() -> HashMap<&'static str, Method> {
    let mut methods = HashMap::new();
    let reflection =
        [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET];
    let others = [tonic_health::pb::FILE_DESCRIPTOR_SET].into_iter().chain(reflection);
    for (bytes, ours) in [(crate::proto::DESCRIPTOR_SET, true)].into_iter().chain(others.map(|bytes| (bytes, false))) {
        let Ok(set) = prost_types::FileDescriptorSet::decode(bytes) else {
            tracing::error!("a descriptor set cannot be read; its methods are counted as unknown");
            continue;
        };
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    let name: &'static str = name.leak();
                    let level = method.options.as_ref().map(|options| options.idempotency_level());
                    let reads = level == Some(prost_types::method_options::IdempotencyLevel::NoSideEffects);
                    let streams = method.server_streaming();
                    let audited = ours && !streams && (!reads || AUDITED_READS.contains(&name));
                    let large = ours && ["List", "Backup"].iter().any(|verb| method.name().starts_with(verb));
                    methods.insert(name, Method { name, streams, audited, large, action: action_of(name) });
                }
            }
        }
    }
    methods
}

/// The code of an answer that has ended with its head; that of one with messages comes at its end, and is `OK` here.
fn code(response: &http::Response<Body>) -> &'static str {
    match Status::from_header_map(response.headers()).map(|status| status.code()) {
        None => OK,
        Some(code) => crate::proto::code_name(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_by_name_and_by_what_they_do() {
        let of = |path: &str| {
            let Method { name, streams, audited, large: _, action: _ } = Method::of(path);
            (name, streams, audited)
        };
        let service = |method: &str| format!("/certmint.v1.CertificateService/{method}");
        assert_eq!(of(&service("GetPending")), ("certmint.v1.CertificateService/GetPending", false, false));
        assert!(of(&service("CreateCertificate")).2 && of(&service("DeletePending")).2);
        assert_eq!(of(&service("WatchPending")), ("certmint.v1.CertificateService/WatchPending", true, false));
        for (method, audited) in [
            ("CertificateService/DeleteCertificate", true),
            ("CertificateService/RestoreCertificate", true),
            ("VaultService/CreateVault", true),
            ("CertificateService/ListCertificates", false),
            ("SecretService/GetSecret", true),
            ("SecretService/ListSecrets", false),
            ("KeyService/Sign", true),
            ("KeyService/GetKey", false),
        ] {
            let (name, streams, told) = of(&format!("/certmint.v1.{method}"));
            assert_eq!((name, streams, told), (format!("certmint.v1.{method}").as_str(), false, audited));
        }
        assert_eq!(of("/grpc.health.v1.Health/Check").0, "grpc.health.v1.Health/Check");
        assert_eq!(of(&service("NoSuch")).0, "unknown");
        assert_eq!(
            of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").0,
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        );
    }

    /// Over REST every request leaves a line that is no GET, and the one that reads a secret.
    #[test]
    fn a_method_leaves_a_line_where_its_uri_does() {
        let told = |uri: &String| !uri.starts_with("GET ") || uri.starts_with("GET /secrets/{secret_name}");
        for (name, uris) in crate::proto::rest_options() {
            let (service, method) = name.rsplit_once('.').unwrap();
            let audited = Method::of(&format!("/{service}/{method}")).audited;
            let uris: Vec<String> = uris.into_iter().filter(|uri| !uri.ends_with("/versions")).collect();
            assert!(uris.iter().all(|uri| told(uri) == audited), "{name}: {uris:?}");
        }
        assert!(AUDITED_READS.iter().all(|name| Method::of(&format!("/{name}")).name == *name));
    }
}
