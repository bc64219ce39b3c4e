//! The calls of a plug-in: one channel that connects by itself, with a deadline and a bound in size for every call, and
//! what the end of a call means.

use super::address::Address;
use super::connect::{PluginTls, connect};
use super::words::{Secrets, words};
use crate::issuer::IssuerError;
use crate::outbound::traceparent;
use crate::proto::code_name;
use crate::proto::plugin::v1::issuer_plugin_service_client::IssuerPluginServiceClient;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Response, TimeoutExpired};
use tonic_types::StatusExt;

/// Of a message either way; the contract says so.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Between pings on a connection, so that a plug-in behind a dead network is noticed.
const PING: Duration = Duration::from_secs(20);
/// For the answer to a ping.
const PONG: Duration = Duration::from_secs(10);
/// Longest words of a plug-in, in characters.
const MAX_WORDS: usize = 500;

/// How a call of the generated client ends.
#[expect(clippy::disallowed_types, reason = "the plug-in's, which becomes an IssuerError here")]
pub(super) type Status = tonic::Status;

pub(super) type Client = IssuerPluginServiceClient<Channel>;

/// The version of the contract that this server speaks.
pub(super) const PROTOCOL: u32 = 1;
const PROTOCOL_KEY: &str = "certmint-plugin-protocol";

/// The way to one plug-in.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) address: Address,
    channel: Channel,
    connections: Arc<AtomicU64>,
    timeout: Duration,
}

impl Link {
    /// Connects at the first call, and again after the connection was lost. Needs a runtime.
    pub(super) fn new(name: &'static str, address: Address, tls: Option<PluginTls>, timeout: Duration) -> Self {
        let connections = Arc::new(AtomicU64::new(0));
        let connector = tower::service_fn({
            let (address, connections) = (address.clone(), Arc::clone(&connections));
            move |_: Uri| {
                let (address, tls, connections) = (address.clone(), tls.clone(), Arc::clone(&connections));
                async move {
                    let stream = connect(&address, tls.as_ref()).await?;
                    connections.fetch_add(1, Ordering::AcqRel);
                    Ok::<_, std::io::Error>(TokioIo::new(stream))
                }
            }
        });
        // TLS is the connector's; only the names of HTTP/2 are taken from here.
        let endpoint = match &address {
            Address::Unix(_) => Endpoint::from_static("http://localhost"),
            tls @ Address::Tls { .. } => {
                let origin = tls.to_string().parse::<Uri>().unwrap_or_default();
                Endpoint::from_static("http://localhost").origin(origin)
            }
        };
        let channel = endpoint
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector);
        Self { name, address, channel, connections, timeout }
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.channel()).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)
    }

    /// A request without a deadline.
    pub(super) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(PROTOCOL_KEY, MetadataValue::<Ascii>::from(PROTOCOL));
        if let Some(trace) = traceparent().and_then(|trace| trace.parse::<MetadataValue<Ascii>>().ok()) {
            request.metadata_mut().insert("traceparent", trace);
        }
        request
    }

    /// A request that says how long its answer is waited for.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(self.timeout);
        request
    }

    /// The answer of a call, or that there was none in time: a plug-in may let a connection hang.
    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, call).await {
            // The channel keeps the time too, and may be the first to say so.
            Ok(Err(status)) if is_late(&status) => Err(self.late()),
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Status {
        Status::deadline_exceeded(format!("no answer within {} s", self.timeout.as_secs_f32()))
    }

    /// What the end of a call means for the order: its fate is unknown, so it goes on whatever the code is. Codes that
    /// say that the same call can never succeed are the issuer object's matter.
    pub(super) fn error(&self, status: &Status, secrets: &Secrets) -> IssuerError {
        let source = self.say(status, secrets).into();
        match status.code() {
            // Of the connection: nobody answered.
            _ if status.source().is_some() => IssuerError::Retry { after: None, source },
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::InvalidArgument
            | Code::Unimplemented => IssuerError::Misconfigured { source },
            _ => {
                let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
                IssuerError::Retry { after, source }
            }
        }
    }

    fn say(&self, status: &Status, secrets: &Secrets) -> String {
        let name = self.name;
        if let Some(cause) = deepest(status) {
            return format!("The plug-in {name} cannot be reached: {}.", words(&cause, MAX_WORDS, secrets));
        }
        let said = words(status.message(), MAX_WORDS, secrets);
        match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => {
                format!("The plug-in {name} did not answer in time: {said}.")
            }
            // The library's words about its own bound.
            Code::OutOfRange if said.contains("message length too large") => {
                format!("The plug-in {name} sent a message above 1 MiB.")
            }
            code if said.is_empty() => format!("The plug-in {name} answered {} without a reason.", code_name(code)),
            code => format!("The plug-in {name} answered {}: {said}", code_name(code)),
        }
    }
}

fn is_late(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What lies behind a status that no plug-in sent.
fn deepest(status: &Status) -> Option<String> {
    let mut cause: &(dyn Error + 'static) = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string().trim_end_matches('.').to_owned())
}
