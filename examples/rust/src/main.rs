//! A client of certmint.

mod errors;
mod watch;

mod v1 {
    tonic::include_proto!("certmint.v1");
}

use errors::RichError;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use v1::certificate_service_client::CertificateServiceClient;
use v1::watch_pending_response::Payload;
use v1::{BookmarkReason, PendingEventType, PendingOperation, PendingStatus, WatchSnapshot};
use watch::Watch;

const USAGE: &str = "A client of certmint.

    create NAME [ISSUER]   creates a certificate and prints each transition until the end
                           (issuer Self unless another is given; Unknown: somebody merges it by hand)
    show NAME              shows the newest version of a certificate
    watch [PREFIX]         prints each transition of certificates with this name prefix

Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of the system),
CERTMINT_TOKEN (dev).";

type Client = CertificateServiceClient<InterceptedService<Channel, Bearer>>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["create", name] => create(name, "Self").await,
        ["create", name, issuer] => create(name, issuer).await,
        ["show", name] => show(name).await,
        ["watch"] => watch("").await,
        ["watch", prefix] => watch(prefix).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        match error.downcast_ref::<Status>() {
            Some(status) => eprintln!("{}", RichError::of(status)),
            None => eprintln!("{error}"),
        }
        ExitCode::FAILURE
    })
}

/// A connection of its own: a stream that is not read holds up other calls on the same one.
fn connect() -> Result<Client> {
    let tls = match env::var("CERTMINT_CA") {
        Ok(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(file)?)),
        Err(_) => ClientTlsConfig::new().with_native_roots(),
    };
    let server = setting("CERTMINT_SERVER", "localhost:8443");
    let channel = Endpoint::from_shared(format!("https://{}", server.trim_start_matches("https://")))?
        .tls_config(tls)?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(60)) // notices a connection that died without a word
        .connect_lazy();
    let token = format!("Bearer {}", setting("CERTMINT_TOKEN", "dev")).parse()?;
    Ok(CertificateServiceClient::with_interceptor(channel, Bearer(token)))
}

/// A token that goes with each call.
#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A call that is no stream has a deadline.
fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(30));
    request
}

async fn create(name: &str, issuer: &str) -> Result<ExitCode> {
    let policy = v1::CertificatePolicy {
        x509_properties: Some(v1::X509Properties {
            subject: format!("CN={name}.example"),
            subject_alternative_names: Some(v1::SubjectAlternativeNames {
                dns_names: vec![format!("{name}.example")],
                ..Default::default()
            }),
            ..Default::default()
        }),
        issuer: Some(v1::IssuerParameters { name: issuer.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let request = v1::CreateCertificateRequest {
        certificate_name: name.to_owned(),
        policy: Some(policy),
        request_id: uuid::Uuid::new_v4().to_string(), // of our own, which makes the call safe to repeat
        ..Default::default()
    };
    let created = connect()?.create_certificate(call(request)).await?.into_inner();
    let mut operation = created.operation.unwrap_or_default();
    tell("CREATED", &operation);
    // From the token of the answer on, nothing is missed.
    let request = v1::WatchPendingRequest {
        request_id: operation.request_id.clone(),
        resume_token: created.resume_token,
        until_terminal: true,
        ..Default::default()
    };
    let mut watch = Watch::new(connect()?, request);
    while let Some(message) = watch.next().await? {
        if let Some(Payload::Event(event)) = message.payload {
            operation = event.operation.unwrap_or_default();
            tell(&event_name(event.r#type), &operation);
        }
    }
    let completed = operation.status() == PendingStatus::Completed;
    Ok(if completed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show(name: &str) -> Result<ExitCode> {
    let request = v1::GetCertificateRequest { certificate_name: name.to_owned(), ..Default::default() };
    let shown = connect()?.get_certificate(call(request)).await?.into_inner().certificate.unwrap_or_default();
    let expires = match shown.attributes.and_then(|attributes| attributes.expires) {
        Some(expires) if !shown.cer.is_empty() => format!("expires {:.10}", expires.to_string()),
        _ => "not issued yet".to_owned(),
    };
    println!("{} {} {expires}", shown.certificate_name, shown.certificate_version);
    Ok(ExitCode::SUCCESS)
}

async fn watch(prefix: &str) -> Result<ExitCode> {
    let request = v1::WatchPendingRequest {
        certificate_name_prefix: prefix.to_owned(),
        snapshot: WatchSnapshot::All.into(),
        ..Default::default()
    };
    let mut watch = Watch::new(connect()?, request);
    while let Some(message) = watch.next().await? {
        match message.payload {
            Some(Payload::Event(event)) => tell(&event_name(event.r#type), &event.operation.unwrap_or_default()),
            Some(Payload::Bookmark(bookmark)) if bookmark.reason() == BookmarkReason::CaughtUp => {
                eprintln!("caught up: what follows is live");
            }
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(event: &str, operation: &PendingOperation) {
    let PendingOperation { certificate_name, revision, status, status_details, error, .. } = operation;
    let name = PendingStatus::try_from(*status).map(|status| status.as_str_name());
    let status = word(name.ok(), *status);
    let words = error.as_ref().map_or(status_details, |error| &error.message);
    println!("{}", format!("{certificate_name} #{revision} {event} {status} {words}").trim_end());
}

fn event_name(kind: i32) -> String {
    word(PendingEventType::try_from(kind).map(|kind| kind.as_str_name()).ok(), kind)
}

/// The name without its prefix; the number where a newer server sends one that is not known here.
fn word(name: Option<&str>, value: i32) -> String {
    name.map_or_else(
        || value.to_string(),
        |name| name.trim_start_matches("PENDING_STATUS_").trim_start_matches("PENDING_EVENT_TYPE_").to_owned(),
    )
}

fn setting(name: &str, otherwise: &str) -> String {
    env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}
