//! `certmint doctor`: checks the connection to a server and the server itself, step by step. Changes nothing.

use super::connection::{Access, Repeat, Session};
use super::failure::{Exit, Failure};
use super::options::{ClientOptions, Secret};
use super::output::Output;
use super::trust::{self, Trust};
use super::{Result, StoreArgs, access, data_dir, master_keys, text, tls_probe};
use crate::clock::{Clock, SystemClock};
use crate::proto;
use crate::proto::v1::{
    AccessMode, Grant, WatchPendingRequest, WatchSnapshot, WhoAmIRequest, WhoAmIResponse,
    watch_pending_response::Payload,
};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Of each check without `--timeout`.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// A certificate of the server that ends sooner is worth a word.
const SOON: u64 = 7 * 86_400;
/// More than this and new certificates may look as if they were not valid yet.
const MAX_SKEW_SECONDS: f64 = 60.0;
/// The package of the contract.
const PACKAGE: &str = "certmint.v1";
/// The service whose health stands for those of the contract.
const CERTIFICATES: &str = "certmint.v1.CertificateService";

/// Arguments of `certmint doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Also check the permissions of the data folder of a server on this machine
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Check the records of a store instead, without a server: that of --data-dir, or of this PostgreSQL address
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    store: Option<Secret>,

    /// With --store: the configuration file of the server
    #[arg(long, value_name = "FILE", requires = "store")]
    config: Option<PathBuf>,

    /// With --store: remove the record with this key, which does not verify or belongs to nothing; naming it is the
    /// confirmation
    #[arg(long, value_name = "KEY", requires = "store")]
    remove: Option<String>,

    /// With --store: make the record of this vault anew, which does not verify or is missing, with purge protection and
    /// a retention of 90 days
    #[arg(long, value_name = "VAULT", requires = "store", conflicts_with_all = ["remove", "adopt"])]
    protect: Option<String>,

    /// With --store: after a version without authentication codes wrote to a store that was already marked, let the
    /// next start adopt the store again; trusts everything that is in it
    #[arg(long, requires = "store", conflicts_with = "remove")]
    adopt: bool,
}

/// A look at the records of a store, which needs no server.
#[derive(Clone, Debug)]
pub struct StoreDoctorArgs {
    /// Which store.
    pub store: StoreArgs,
    /// The key of a record to be removed.
    pub remove: Option<String>,
    /// The vault whose record is to be made anew.
    pub protect: Option<String>,
    /// Let the next start take the store over.
    pub adopt: bool,
    /// Print JSON.
    pub json: bool,
}

impl DoctorArgs {
    /// What [`super::Cli::offline`] hands over.
    pub(super) fn of_store(&self, json: bool) -> Option<StoreDoctorArgs> {
        let Self { data_dir, store, config, remove, protect, adopt } = self;
        let url = store.as_ref()?;
        let url = (!url.reveal().is_empty()).then(|| url.clone());
        let store = StoreArgs { data_dir: data_dir.clone(), store: url, config: config.clone() }.or_environment();
        Some(StoreDoctorArgs { store, remove: remove.clone(), protect: protect.clone(), adopt: *adopt, json })
    }
}

pub(super) async fn run(options: &ClientOptions, output: Output, args: DoctorArgs) -> Result<Exit> {
    let mut report = Report::default();
    let reached = server(options, &mut report).await;
    if let Some(folder) = &args.data_dir {
        report.add("data folder", folder_rights(folder));
    }
    output.result(|| report.to_json(), || report.to_text())?;
    Ok(match (report.is_well(), reached) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Error,
        (false, false) => Exit::Unavailable,
    })
}

/// What a check found, or what is wrong and what to do.
type Finding = std::result::Result<String, (String, String)>;

/// Whether a connection stood.
async fn server(options: &ClientOptions, report: &mut Report) -> bool {
    let limit = options.timeout.unwrap_or(CHECK_TIMEOUT);
    let trust = match Trust::load(options) {
        Ok(trust) => trust,
        Err(failure) => {
            report.add("trusted authorities", Err(told(*failure)));
            return false;
        }
    };
    report.add("trusted authorities", Ok(format!("{} of {}", trust.certificates.len(), trust.origin)));

    let uri = options.server.parse::<http::Uri>().unwrap_or_default();
    let (host, port) = (uri.host().unwrap_or_default().to_owned(), uri.port_u16().unwrap_or(443));
    let stream = match timeout(limit, tls_probe::connect(&host, port)).await {
        Ok(Ok((stream, address))) => {
            report.add("address", Ok(format!("{} answers at {address}", options.server)));
            stream
        }
        failed => {
            let why = failed
                .map_or_else(|_| "no answer".to_owned(), |it| it.map_or_else(|e| e.to_string(), |_| String::new()));
            let advice = "is the server running there, and --server right? start one with: certmint serve --dev";
            report.add("address", Err((format!("{}: {why}", options.server), advice.to_owned())));
            return false;
        }
    };
    match timeout(limit, tls_probe::handshake(stream, &host, &trust)).await {
        Ok(Ok(shown)) => report.add("TLS", certificate(&shown)),
        Ok(Err(error)) => {
            let advice = trust::advice(&error).unwrap_or_else(|| "is there a TLS server on this port?".to_owned());
            report.add("TLS", Err((error.to_string(), advice)));
            return false;
        }
        Err(_elapsed) => {
            let advice = "is there a TLS server on this port?".to_owned();
            report.add("TLS", Err(("no answer to the TLS handshake".to_owned(), advice)));
            return false;
        }
    }
    let session = match Session::open(options).await {
        Ok(session) => session,
        Err(failure) => {
            report.add("gRPC", Err(told(*failure)));
            return false;
        }
    };
    report.add("health", within(limit, health(&session)).await);
    report.add("contract", within(limit, contract(&session)).await);
    report.add("identity", within(limit, identity(&session)).await);
    report.add("master keys", within(limit, master_keys::finding(&session)).await);
    report.add("clock", within(limit, clock(&session)).await);
    true
}

fn certificate(shown: &tls_probe::Shown) -> Finding {
    let names = shown.names.join(", ");
    let now = u64::try_from(SystemClock.now().seconds()).unwrap_or(0);
    match shown.ends {
        Some(ends) if ends < now.saturating_add(SOON) => {
            let hours = ends.saturating_sub(now) / 3600;
            Ok(format!("trusted, for {names}; ends in {hours} hours"))
        }
        Some(ends) => Ok(format!("trusted, for {names}; ends in {} days", (ends - now) / 86_400)),
        None => Ok("trusted".to_owned()),
    }
}

async fn health(session: &Session) -> Finding {
    let mut client = HealthClient::new(session.channel());
    for service in ["", CERTIFICATES] {
        let request = session.request(HealthCheckRequest { service: service.to_owned() });
        let answer = client.check(request).await.map_err(|status| told(*<Box<Failure>>::from(status)))?;
        let status = ServingStatus::try_from(answer.into_inner().status);
        if status != Ok(ServingStatus::Serving) {
            let what = if service.is_empty() { "the server" } else { service };
            let problem = format!("{what} is not serving");
            return Err((problem, "it is starting, stopping, or cannot reach its store: see its log".to_owned()));
        }
    }
    Ok("serving".to_owned())
}

/// Compares the methods that the server describes with those that this client was built with.
async fn contract(session: &Session) -> Finding {
    let failed = |problem: String| (problem, "use a client and a server of the same version".to_owned());
    let own = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).map_err(|error| failed(error.to_string()))?;
    let mut theirs = BTreeSet::new();
    for service in own.file.iter().flat_map(services) {
        let service = format!("{PACKAGE}.{}", service.name());
        let message = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::FileContainingSymbol(service.clone())),
        };
        let request = session.request(tokio_stream::once(message));
        let answer = ServerReflectionClient::new(session.channel()).server_reflection_info(request).await;
        let mut stream = answer.map_err(|status| told(*<Box<Failure>>::from(status)))?.into_inner();
        let answer = stream.message().await.map_err(|status| told(*<Box<Failure>>::from(status)))?;
        let files = match answer.and_then(|it| it.message_response) {
            Some(MessageResponse::FileDescriptorResponse(it)) => it.file_descriptor_proto,
            _ => return Err(failed(format!("the server does not describe {service}"))),
        };
        for file in files {
            let file = FileDescriptorProto::decode(file.as_slice()).map_err(|error| failed(error.to_string()))?;
            theirs.extend(methods(&file));
        }
    }
    let ours: BTreeSet<String> = own.file.iter().flat_map(methods).collect();
    let missing: Vec<&str> = ours.difference(&theirs).map(String::as_str).collect();
    let more = theirs.difference(&ours).count();
    match (missing.is_empty(), more) {
        (false, _) => Err(failed(format!("the server does not have {}", missing.join(", ")))),
        (true, 0) => {
            Ok(format!("the same {} methods as this client, version {}", ours.len(), env!("CARGO_PKG_VERSION")))
        }
        (true, more) => Ok(format!("all {} methods of this client, and {more} newer ones", ours.len())),
    }
}

/// The services of the contract in a file.
fn services(file: &FileDescriptorProto) -> impl Iterator<Item = &ServiceDescriptorProto> {
    (file.package() == PACKAGE).then_some(&file.service).into_iter().flatten()
}

fn methods(file: &FileDescriptorProto) -> Vec<String> {
    let method = |service: &ServiceDescriptorProto, name: &str| format!("{}.{name}", service.name());
    services(file).flat_map(|service| service.method.iter().map(move |it| method(service, it.name()))).collect()
}

/// Most grants that one line names.
const MAX_SHOWN: usize = 5;

/// Who the server takes the caller for, and what he may do.
async fn identity(session: &Session) -> Finding {
    let answer = session.call(Repeat::Safe, WhoAmIRequest::default(), Access::who_am_i).await;
    let answer = answer.map_err(|failure| told(*failure))?;
    let mode = answer.mode();
    let WhoAmIResponse { principal, grants, mode: _, credential } = answer;
    let token = credential.as_ref().map(access::proof).filter(|token| !token.is_empty());
    let who = token.map_or_else(|| principal.clone(), |token| format!("{principal} ({})", token.trim_end()));
    let grant = |grant: &Grant| {
        let names = grant.names.join(" ");
        let names = if names == "*" { String::new() } else { format!(", names {names}") };
        let vault = if grant.vault == "*" { "every vault".to_owned() } else { format!("vault {}", grant.vault) };
        let rules = if grant.rules.is_some() { ", with rules" } else { "" };
        let issuers = if grant.issuers.iter().any(|issuer| issuer != "*") { ", some issuers" } else { "" };
        let end = grant.expires.as_ref().map(|end| format!(", until {end}")).unwrap_or_default();
        format!("{} on {vault}{names}{issuers}{rules}{end}", grant.role)
    };
    let mut shown: Vec<String> = grants.iter().take(MAX_SHOWN).map(grant).collect();
    if grants.len() > MAX_SHOWN {
        shown.push(format!("{} more", grants.len() - MAX_SHOWN));
    }
    match (mode, shown.is_empty()) {
        (AccessMode::Open, _) => Ok(format!("{who}; everybody may do everything (development mode)")),
        (AccessMode::Report, _) => Ok(format!("{who}; nothing is refused (mode = \"report\")")),
        (_, false) => Ok(format!("{who}: {}", shown.join("; "))),
        (_, true) => {
            let advice = format!("ask an administrator for a grant: certmint access grant {principal} ROLE");
            Err((format!("{who} has no grants, and may do nothing"), advice))
        }
    }
}

/// The first bookmark of a watch has the time of the server.
async fn clock(session: &Session) -> Finding {
    let told = |failure: Box<Failure>| told(*failure);
    let request =
        WatchPendingRequest { vault_name: session.vault(), snapshot: WatchSnapshot::None.into(), ..Default::default() };
    let mut client = session.watch_client().await.map_err(told)?;
    let asked = SystemClock.now().0;
    let mut stream = match client.watch_pending(session.request(request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::PermissionDenied => {
            return Ok("not compared: that takes the right to read certificates of this vault".to_owned());
        }
        Err(status) => return Err(told(status.into())),
    };
    let bookmark = loop {
        let message = stream.message().await.map_err(|status| told(status.into()))?;
        match message.map(|it| it.payload) {
            Some(Some(Payload::Bookmark(bookmark))) => break bookmark,
            Some(_) => {}
            None => return Err(told(Failure::incomplete_answer("bookmark"))),
        }
    };
    let answered = SystemClock.now().0;
    let theirs = bookmark.server_time.ok_or_else(|| told(Failure::incomplete_answer("time")))?;
    let theirs = theirs.seconds as f64 + f64::from(theirs.nanos) / 1e9;
    // The server looked at its clock somewhere between the question and the answer.
    let ours = (asked + answered) as f64 / 2000.0;
    let skew = theirs - ours;
    let finding = format!("the server is {:.1} s {}", skew.abs(), if skew < 0.0 { "behind" } else { "ahead" });
    if skew.abs() <= MAX_SKEW_SECONDS {
        Ok(finding)
    } else {
        Err((finding, "synchronize both clocks with NTP: new certificates may seem not yet valid".to_owned()))
    }
}

fn folder_rights(folder: &Path) -> Finding {
    match data_dir::exposed(folder) {
        Ok(found) if found.is_empty() => Ok(format!("{} is accessible only to its owner", folder.display())),
        Ok(found) => {
            let open: Vec<String> =
                found.iter().map(|(path, mode, _)| format!("{} (mode {mode:04o})", path.display())).collect();
            let commands: Vec<&str> = found.iter().map(|(_, _, command)| command.as_str()).collect();
            Err((format!("accessible to others: {}", open.join(", ")), commands.join(" && ")))
        }
        Err(error) => {
            let advice = "give the server's data folder with --data-dir, and run this as its user".to_owned();
            Err((format!("cannot read {}: {error}", folder.display()), advice))
        }
    }
}

async fn within(limit: Duration, check: impl Future<Output = Finding>) -> Finding {
    timeout(limit, check)
        .await
        .unwrap_or_else(|_elapsed| Err(("no answer".to_owned(), "see the log of the server".to_owned())))
}

fn told(failure: Failure) -> (String, String) {
    (failure.message, failure.advice.unwrap_or_else(|| "see the log of the server".to_owned()))
}

#[derive(Default)]
struct Report(Vec<(&'static str, Finding)>);

impl Report {
    fn add(&mut self, name: &'static str, finding: Finding) {
        self.0.push((name, finding));
    }

    fn is_well(&self) -> bool {
        self.0.iter().all(|(_, finding)| finding.is_ok())
    }

    fn to_json(&self) -> Value {
        let checks: Vec<Value> = self
            .0
            .iter()
            .map(|(name, finding)| match finding {
                Ok(detail) => json!({ "name": name, "ok": true, "detail": detail, "advice": null }),
                Err((problem, advice)) => json!({ "name": name, "ok": false, "detail": problem, "advice": advice }),
            })
            .collect();
        json!({ "ok": self.is_well(), "checks": checks })
    }

    fn to_text(&self) -> String {
        let line = |(name, finding): &(&str, Finding)| match finding {
            Ok(detail) => format!("ok    {name}: {}\n", text::printable(detail)),
            Err((problem, advice)) => format!("fail  {name}: {problem}\n      what to do: {advice}\n"),
        };
        self.0.iter().map(line).collect()
    }
}
