//! What certmint answers, taken once: the bare server gives the same bytes from memory.

use crate::support::{Failure, Http, Server, channel, client_tls};
use bytes::Bytes;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{
    CertificatePolicy, CreateCertificateRequest, GetPendingRequest, IssuerParameters, KeyCurve, KeyProperties, KeyType,
    WatchPendingRequest, WatchSnapshot, X509Properties,
};
use http::Method;
use prost::Message;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tonic::transport::Channel;

pub(crate) const ANSWER_JSON: &str = "answer.json";
pub(crate) const ANSWER_PROTO: &str = "answer.bin";
pub(crate) const EVENT: &str = "event.bin";

/// The folder of the bare servers.
pub(crate) struct Recorded(TempDir);

impl Recorded {
    /// Asks a certmint of its own.
    pub(crate) async fn new() -> Result<Self, Failure> {
        let (server, folder) = (Server::fresh()?, TempDir::new()?);
        let mut client = client(channel(&server).await?);
        let wanted = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..Default::default() };
        let mut stream = client.watch_pending(wanted).await?.into_inner();
        client.create_certificate(create("recorded")).await?;
        let event = loop {
            let message = stream.message().await?.ok_or("the watch ended before its first event")?;
            if matches!(message.payload, Some(Payload::Event(_))) {
                break message;
            }
        };
        let wanted = GetPendingRequest { certificate_name: "recorded".to_owned(), ..Default::default() };
        let answer = client.get_pending(wanted).await?.into_inner();
        let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
        let (status, json) = http.send(Method::GET, &pending_path("recorded"), Bytes::new()).await?;
        if !status.is_success() {
            return Err(format!("GET pending answered {status}").into());
        }
        fs::write(folder.path().join(ANSWER_JSON), json)?;
        fs::write(folder.path().join(ANSWER_PROTO), answer.encode_to_vec())?;
        fs::write(folder.path().join(EVENT), event.encode_to_vec())?;
        Ok(Self(folder))
    }

    /// The same with another answer of the REST API.
    pub(crate) fn with_json(&self, json: &[u8]) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        for file in [ANSWER_PROTO, EVENT] {
            fs::copy(self.folder().join(file), folder.path().join(file))?;
        }
        fs::write(folder.path().join(ANSWER_JSON), json)?;
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}

pub(crate) fn client(channel: Channel) -> CertificateServiceClient<Channel> {
    CertificateServiceClient::new(channel)
}

pub(crate) fn pending_path(name: &str) -> String {
    format!("/certificates/{name}/pending?api-version=7.4")
}

/// A manual operation with a key on P-256.
pub(crate) fn create(name: &str) -> CreateCertificateRequest {
    let policy = CertificatePolicy {
        key_properties: Some(KeyProperties {
            key_type: KeyType::Ec.into(),
            curve: KeyCurve::P256.into(),
            ..Default::default()
        }),
        x509_properties: Some(X509Properties { subject: format!("CN={name}.example"), ..Default::default() }),
        issuer: Some(IssuerParameters { name: "Unknown".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    CreateCertificateRequest { certificate_name: name.to_owned(), policy: Some(policy), ..Default::default() }
}
