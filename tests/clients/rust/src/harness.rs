//! Clients of the server's vaults. They talk to vaults by name, and check the authentication challenge as they do by
//! default.

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{ErrorDetail, ErrorKind, ErrorResponse};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, ClientOptions, Context, Poller, Request, Transport};
use azure_core::time::{Duration as Time, OffsetDateTime};
use azure_security_keyvault_certificates::models::*;
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use futures::StreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Any token will do for a development server.
#[derive(Debug)]
struct Token;

#[async_trait::async_trait]
impl TokenCredential for Token {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("any", OffsetDateTime::now_utc() + Time::hours(1)))
    }
}

/// Names below localhost do not resolve on every system.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: Name) -> Resolving {
        let address: Addrs = Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
        Box::pin(std::future::ready(Ok(address)))
    }
}

/// Polls again at once, although the server asks for ten seconds: the poller of this SDK sleeps before it shows the
/// first answer.
#[derive(Debug)]
struct Hurry;

#[async_trait::async_trait]
impl Policy for Hurry {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let answer = next[0].send(context, request, &next[1..]).await?;
        let (status, mut headers, body) = answer.try_into_raw_response().await?.deconstruct();
        headers.insert("retry-after-ms", "20");
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no server: run this as scripts/sdk-tests.sh rust"))
}

fn patient_options() -> ClientOptions {
    let root = std::fs::read(variable("CERTMINT_CA")).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&root).unwrap()])
        .dns_resolver(Arc::new(Loopback))
        .build()
        .unwrap();
    ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..ClientOptions::default() }
}

fn options() -> ClientOptions {
    ClientOptions { per_call_policies: vec![Arc::new(Hurry)], ..patient_options() }
}

pub(crate) fn address(vault: &str) -> String {
    format!("https://{vault}.localhost:{}", variable("CERTMINT_PORT"))
}

pub(crate) fn certificates(vault: &str) -> CertificateClient {
    connect(&address(vault), options(), None)
}

/// A client that waits as long as the server asks it to.
pub(crate) fn patient(vault: &str) -> CertificateClient {
    connect(&address(vault), patient_options(), None)
}

/// A client of a host that names no vault.
pub(crate) fn bare(verify_challenge_resource: Option<bool>) -> CertificateClient {
    connect(&format!("https://localhost:{}", variable("CERTMINT_PORT")), options(), verify_challenge_resource)
}

fn connect(url: &str, client_options: ClientOptions, verify: Option<bool>) -> CertificateClient {
    let options = CertificateClientOptions {
        client_options,
        verify_challenge_resource: verify,
        ..CertificateClientOptions::default()
    };
    CertificateClient::new(url, Arc::new(Token), Some(options)).unwrap()
}

pub(crate) fn secrets(vault: &str) -> SecretClient {
    let options = SecretClientOptions { client_options: options(), ..SecretClientOptions::default() };
    SecretClient::new(&address(vault), Arc::new(Token), Some(options)).unwrap()
}

pub(crate) fn keys(vault: &str) -> KeyClient {
    let options = KeyClientOptions { client_options: options(), ..KeyClientOptions::default() };
    KeyClient::new(&address(vault), Arc::new(Token), Some(options)).unwrap()
}

/// A policy for a P-256 key that may leave the vault.
pub(crate) fn policy(issuer: &str, name: &str) -> CertificatePolicy {
    CertificatePolicy {
        issuer_parameters: Some(IssuerParameters { name: Some(issuer.into()), ..IssuerParameters::default() }),
        key_properties: Some(KeyProperties {
            key_type: Some(KeyType::Ec),
            curve: Some(CurveName::P256),
            exportable: Some(true),
            ..KeyProperties::default()
        }),
        x509_certificate_properties: Some(X509CertificateProperties {
            subject: Some(format!("CN={name}.example")),
            ..X509CertificateProperties::default()
        }),
        ..CertificatePolicy::default()
    }
}

pub(crate) fn begin(client: &CertificateClient, name: &str, policy: CertificatePolicy) -> Poller<CertificateOperation> {
    let parameters =
        CreateCertificateParameters { certificate_policy: Some(policy), ..CreateCertificateParameters::default() };
    client.begin_create_certificate(name, parameters.try_into().unwrap(), None).unwrap()
}

/// Begins an operation and returns it as it was then.
pub(crate) async fn create(
    client: &CertificateClient,
    name: &str,
    policy: CertificatePolicy,
) -> azure_core::Result<CertificateOperation> {
    begin(client, name, policy).next().await.expect("a first answer")?.into_model()
}

/// Creates a certificate and waits for it.
pub(crate) async fn issue(client: &CertificateClient, name: &str) -> Certificate {
    begin(client, name, policy("Self", name)).await.unwrap().into_model().unwrap()
}

pub(crate) async fn operation(client: &CertificateClient, name: &str) -> azure_core::Result<CertificateOperation> {
    client.get_certificate_operation(name, None).await?.into_model()
}

/// The operation when it is no longer in progress.
pub(crate) async fn ended(client: &CertificateClient, name: &str) -> CertificateOperation {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(120) {
        let operation = operation(client, name).await.unwrap();
        if operation.status.as_deref() != Some("inProgress") {
            return operation;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} is still in progress");
}

/// An issuer object that does what its account says.
pub(crate) async fn test_issuer(client: &CertificateClient, name: &str, account: &str) {
    let parameters = SetIssuerParameters {
        provider: Some("Test".into()),
        credentials: Some(IssuerCredentials { account_id: Some(account.into()), ..IssuerCredentials::default() }),
        ..SetIssuerParameters::default()
    };
    client.set_issuer(name, parameters.try_into().unwrap(), None).await.unwrap();
}

/// The error of a call that the server must not have done.
#[track_caller]
pub(crate) fn refused<T>(result: azure_core::Result<T>, status: u16, code: &str) -> ErrorDetail {
    let error = result.err().expect("a refusal");
    let ErrorKind::HttpResponse { status: found, error_code, .. } = error.kind() else {
        panic!("no answer of the server: {error:?}");
    };
    let (found, shown) = (u16::from(*found), error_code.clone().unwrap());
    let detail = ErrorResponse::try_from(error).unwrap().error.unwrap();
    assert_eq!((found, detail.code.as_deref()), (status, Some(code)), "{detail:?}");
    // This SDK shows the status in place of the code where the message has to be escaped.
    let escaped = detail.message.as_ref().is_some_and(|message| message.contains(['"', '\\']));
    assert_eq!(shown, if escaped { status.to_string() } else { code.to_owned() });
    detail
}
