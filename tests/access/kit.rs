//! Both APIs of a server in this process, without a network, with callers that have tokens and grants.

use crate::support::service::{TestService, start_on};
use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certmint::domain::access::{AccessFile, FileInput, PrincipalName};
use certmint::jwt::Issuers;
use certmint::keys::MasterKeys;
use certmint::limits::Limits;
use certmint::outbound::ClientOptions;
use certmint::proto::v1;
use certmint::proto::v1::access_service_client::AccessServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::service::{
    AccessOptions, AuditOptions, CallerLimits, GrantLimits, Mode, Service, ServiceOptions, VaultOptions,
    WebhookOptions, Webhooks,
};
use certmint::store::Store;
use certmint::store::sqlite::Sqlite;
use certmint::transport::auth::{Auth, Tokens};
use certmint::transport::grpc::{self, GrpcOptions};
use certmint::transport::rest::{self, RestOptions};
use http::Request;
use serde_json::Value;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

/// The principal `token:admin`, which may do everything.
pub(crate) const ADMIN: &str = "admin";
/// Callers; the token of each is its name.
pub(crate) const CALLERS: [&str; 6] = [ADMIN, "shop", "reader", "other", "nobody", "two"];

/// Only a hang reaches it.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// `token:shop` may grant the eight roles on `shop-*`, and nothing else.
pub(crate) const GRANTER: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Data Access Administrator"
    vault = "default"
    names = ["shop-*"]

    [[grant]]
    principal = "token:reader"
    role = "Key Vault Reader"
    vault = "default"
"#;

/// What is promised within a second. A busy machine is late now and then, a server that waits for something else always
/// is: one of many attempts has to be in time.
pub(crate) async fn within_a_second(what: &str, mut attempt: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < 30 {
        took.push(attempt().await);
        if took.last().is_some_and(|took| *took < Duration::from_secs(1)) {
            return;
        }
    }
    panic!("{what}: {took:?}");
}

/// The grants of a test, as the file of an installation has them.
pub(crate) fn grants(text: &str) -> AccessFile {
    let input: FileInput = toml::from_str(text).unwrap();
    AccessFile::parse(&input).unwrap()
}

/// Of every server, so that several can share a store.
const MASTER_KEY: &str = "one AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A store that several servers may share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn Store>);

impl Shared {
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Sqlite::open_in_memory().unwrap()))
    }
}

/// One server.
pub(crate) struct Server {
    pub(crate) service: Service,
    rest: rest::Api,
    grpc: grpc::Api,
    _running: TestService,
    _folder: tempfile::TempDir,
}

/// One answer over REST.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The last parts of the identifiers of a list.
    pub(crate) fn names(&self) -> Vec<String> {
        let value = self.json()["value"].as_array().unwrap_or_else(|| panic!("{}", self.body)).clone();
        let id = |item: &Value| item["id"].as_str().or(item["kid"].as_str()).unwrap().to_owned();
        value.iter().map(|item| id(item).rsplit('/').next().unwrap().to_owned()).collect()
    }
}

/// Puts the token of a caller on each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// How a server is configured.
struct Made {
    mode: Mode,
    limits: Limits,
    grant_limits: GrantLimits,
    per_caller: CallerLimits,
    audit: AuditOptions,
}

impl Made {
    fn of(mode: Mode) -> Self {
        Self {
            mode,
            limits: Limits::default(),
            grant_limits: GrantLimits::default(),
            per_caller: CallerLimits::default(),
            audit: AuditOptions::off(),
        }
    }
}

pub(crate) type Client = CertificateServiceClient<InterceptedService<Local, Bearer>>;

impl Server {
    /// `token:admin` is the administrator; the others have what the text grants.
    pub(crate) async fn start(text: &str) -> Self {
        Self::with(Mode::Enforce, text, Shared::default()).await
    }

    pub(crate) async fn with(mode: Mode, text: &str, shared: Shared) -> Self {
        Self::knowing(None, mode, text, shared).await
    }

    /// That takes tokens of these issuers, too.
    pub(crate) async fn knowing(issuers: Option<Arc<Issuers>>, mode: Mode, text: &str, shared: Shared) -> Self {
        Self::made(issuers, text, shared, Made::of(mode)).await
    }

    pub(crate) async fn limited(
        mode: Mode,
        text: &str,
        shared: Shared,
        limits: Limits,
        grant_limits: GrantLimits,
    ) -> Self {
        Self::made(None, text, shared, Made { limits, grant_limits, ..Made::of(mode) }).await
    }

    pub(crate) async fn with_limits_of_callers(text: &str, per_caller: CallerLimits) -> Self {
        Self::made(None, text, Shared::default(), Made { per_caller, ..Made::of(Mode::Enforce) }).await
    }

    /// One that keeps an audit ledger.
    pub(crate) async fn audited(text: &str, shared: Shared, audit: AuditOptions) -> Self {
        Self::made(None, text, shared, Made { audit, ..Made::of(Mode::Enforce) }).await
    }

    async fn made(issuers: Option<Arc<Issuers>>, text: &str, shared: Shared, made: Made) -> Self {
        let Made { mode, limits, grant_limits, per_caller, audit } = made;
        let administrators = vec![PrincipalName::parse("token:admin").unwrap()];
        let access = AccessOptions { mode, administrators, file: grants(text), limits: grant_limits, per_caller };
        let vaults = VaultOptions { on_demand: Some(false), ..VaultOptions::default() };
        let options = ServiceOptions { access, vaults, limits, audit, ..ServiceOptions::default() };
        let master_keys = MasterKeys::from_text(MASTER_KEY).unwrap();
        let running = start_on(shared.0, master_keys, options).await;
        let service = running.service.clone();
        let clients = ClientOptions { plain_http: true, ..ClientOptions::default() };
        Webhooks::of(&service).equip(WebhookOptions::default(), Arc::new(clients));
        let folder = tempfile::tempdir().unwrap();
        let auth = Auth::Known { tokens: Some(Arc::new(tokens(&folder))), issuers, certificates: None };
        let rest = rest::router(service.clone(), RestOptions::new(auth.clone()));
        let grpc = grpc::api(service.clone(), GrpcOptions { auth, ..GrpcOptions::default() });
        Self { service, rest, grpc, _running: running, _folder: folder }
    }

    /// Puts other grants in force, as a changed file does.
    pub(crate) fn regrant(&self, text: &str) {
        let (access, file) = (self.service.access(), grants(text));
        // On a thread that may wait, as the server does it.
        std::thread::scope(|scope| scope.spawn(|| access.replace_file(file)).join()).unwrap().unwrap();
    }

    /// `METHOD /path` at the vault `default`, without the version of the API.
    pub(crate) async fn send(&self, caller: &str, request: &str, body: &str) -> Reply {
        self.send_to("localhost:8443", caller, request, body).await
    }

    pub(crate) async fn send_to(&self, host: &str, caller: &str, request: &str, body: &str) -> Reply {
        let response = self.respond(host, caller, request, body).await;
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, 8 << 20).await.unwrap().into()).unwrap();
        Reply { status: parts.status.as_u16(), body }
    }

    /// The answer as it comes, for streams.
    pub(crate) async fn respond(&self, host: &str, caller: &str, request: &str, body: &str) -> http::Response<Body> {
        let (method, path) = request.split_once(' ').unwrap();
        let join = if path.contains('?') { '&' } else { '?' };
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}{join}api-version=7.4"))
            .header("host", host)
            .header("authorization", format!("Bearer {caller}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.rest.clone().oneshot(request).await.unwrap()
    }

    /// Sends what must succeed, to prepare a test.
    pub(crate) async fn must(&self, caller: &str, request: &str, body: &str) -> Value {
        let reply = self.send(caller, request, body).await;
        assert!((200..300).contains(&reply.status), "{caller} {request}: {} {}", reply.status, reply.body);
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    /// Certificates that sign themselves, made by the administrator, and completed.
    pub(crate) async fn issue(&self, names: &[&str]) {
        for name in names {
            self.must(ADMIN, &format!("POST /certificates/{name}/create"), &policy("Self")).await;
        }
        for name in names {
            self.issued(name).await;
        }
    }

    /// Waits until the operation of this name has ended.
    pub(crate) async fn issued(&self, name: &str) {
        let begun = Instant::now();
        while self.must(ADMIN, &format!("GET /certificates/{name}/pending"), "").await["status"] == "inProgress" {
            assert!(begun.elapsed() < LONG, "{name} is not issued");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Pending operations that wait for a merge, made by the administrator.
    pub(crate) async fn begin(&self, names: &[&str]) {
        for name in names {
            self.must(ADMIN, &format!("POST /certificates/{name}/create"), &policy("Unknown")).await;
        }
    }

    /// Who the caller is, over gRPC.
    pub(crate) async fn who(&self, caller: &str) -> Result<v1::WhoAmIResponse, Status> {
        let mut client = AccessServiceClient::new(self.channel(caller));
        Ok(client.who_am_i(v1::WhoAmIRequest::default()).await?.into_inner())
    }

    pub(crate) fn client(&self, caller: &str) -> Client {
        CertificateServiceClient::with_interceptor(Local(self.grpc.clone()), bearer(caller))
    }

    pub(crate) fn rights(&self, caller: &str) -> AccessServiceClient<InterceptedService<Local, Bearer>> {
        AccessServiceClient::new(self.channel(caller))
    }

    /// A client of another service of the contract.
    pub(crate) fn channel(&self, caller: &str) -> InterceptedService<Local, Bearer> {
        InterceptedService::new(Local(self.grpc.clone()), bearer(caller))
    }

    /// One call as bytes, by the path of its method: its code and its reason, empty where it succeeds.
    pub(crate) async fn call_raw(&self, caller: &str, method: &str, message: &[u8]) -> (Code, String) {
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(message);
        let request = Request::builder()
            .method("POST")
            .version(http::Version::HTTP_2)
            .uri(format!("https://localhost:8443/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {caller}"))
            .body(Body::from(framed))
            .unwrap();
        let response = self.grpc.clone().oneshot(request).await.unwrap();
        let status = match Status::from_header_map(response.headers()) {
            Some(status) => status,
            // A stream that is open has succeeded.
            None if method.ends_with("/WatchPending") => return (Code::Ok, String::new()),
            None => {
                let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
                let trailers = collected.trailers().cloned().unwrap_or_default();
                Status::from_header_map(&trailers).unwrap_or_else(|| Status::ok(""))
            }
        };
        (status.code(), reason(&status))
    }
}

/// Calls as a connection to `localhost` would bring them.
#[derive(Clone)]
pub(crate) struct Local(grpc::Api);

impl tower::Service<Request<tonic::body::Body>> for Local {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let uri = format!("https://localhost:8443{}", request.uri().path());
        *request.uri_mut() = uri.parse().unwrap();
        self.0.call(request)
    }
}

fn bearer(caller: &str) -> Bearer {
    Bearer(format!("Bearer {caller}").parse().unwrap())
}

fn tokens(folder: &tempfile::TempDir) -> Tokens {
    let path = folder.path().join("tokens");
    let line = |name: &&str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {hash}\n")
    };
    std::fs::write(&path, CALLERS.iter().map(line).collect::<String>()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Tokens::load(&path).unwrap()
}

/// The body of a creation with a key that costs nothing.
pub(crate) fn policy(issuer: &str) -> String {
    format!(
        r#"{{"policy":{{"key_props":{{"kty":"EC"}},"x509_props":{{"subject":"CN=a.example"}},"issuer":{{"name":"{issuer}"}}}}}}"#
    )
}

/// The same for gRPC.
pub(crate) fn create(name: &str, issuer: &str) -> v1::CreateCertificateRequest {
    v1::CreateCertificateRequest {
        certificate_name: name.to_owned(),
        policy: Some(v1::CertificatePolicy {
            key_properties: Some(v1::KeyProperties { key_type: v1::KeyType::Ec.into(), ..Default::default() }),
            x509_properties: Some(v1::X509Properties { subject: "CN=a.example".to_owned(), ..Default::default() }),
            issuer: Some(v1::IssuerParameters { name: issuer.to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The reason of the contract.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// What programs can read of a refusal.
pub(crate) fn facts(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().map(|info| info.metadata).unwrap_or_default()
}

impl Server {
    /// The answer to a form that is sent to the token endpoint.
    pub(crate) async fn token(&self, form: &str) -> Reply {
        self.token_answer(form).await.0
    }

    /// The answer to a form of a client with id and secret in the header.
    pub(crate) async fn token_as(&self, id: &str, secret: &str, form: &str) -> Reply {
        let pair = STANDARD.encode(format!("{id}:{secret}"));
        let request = Request::builder()
            .method("POST")
            .uri("/adfs/oauth2/v2.0/token")
            .header("host", "localhost:8443")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {pair}"))
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.answer(request).await.0
    }

    /// With its `Retry-After`.
    pub(crate) async fn token_answer(&self, form: &str) -> (Reply, Option<String>) {
        let request = Request::builder()
            .method("POST")
            .uri("/adfs/oauth2/v2.0/token")
            .header("host", "localhost:8443")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.answer(request).await
    }

    /// What the identity endpoint of App Service answers to this token.
    pub(crate) async fn managed_identity(&self, token: &str) -> (Reply, Option<String>) {
        let request = Request::builder()
            .uri("/identity/token?api-version=2019-08-01")
            .header("host", "localhost:8443")
            .header("x-identity-header", token)
            .body(Body::empty())
            .unwrap();
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Body>) -> (Reply, Option<String>) {
        let (parts, body) = self.rest.clone().oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(to_bytes(body, 8 << 20).await.unwrap().into()).unwrap();
        let after = parts.headers.get("retry-after").map(|after| after.to_str().unwrap().to_owned());
        (Reply { status: parts.status.as_u16(), body }, after)
    }

    /// The status of a request that is sent as it is.
    pub(crate) async fn oneshot(&self, request: Request<Body>) -> u16 {
        self.rest.clone().oneshot(request).await.unwrap().status().as_u16()
    }
}
