//! The connection to a server: TLS, the token, deadlines, and retries of calls that allow it.

use super::client_certificate;
use super::failure::{Exit, Failure, Result, seconds};
use super::options::{ClientOptions, Secret};
use super::status;
pub(crate) use super::status::Status;
use super::trust::{self, Trust};
use crate::proto::v1::access_service_client::AccessServiceClient;
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use crate::proto::v1::certificate_authority_service_client::CertificateAuthorityServiceClient;
use crate::proto::v1::certificate_service_client::CertificateServiceClient;
use crate::proto::v1::installation_service_client::InstallationServiceClient;
use crate::proto::v1::key_service_client::KeyServiceClient;
use crate::proto::v1::master_key_service_client::MasterKeyServiceClient;
use crate::proto::v1::renewal_service_client::RenewalServiceClient;
use crate::proto::v1::secret_service_client::SecretServiceClient;
use crate::proto::v1::vault_service_client::VaultServiceClient;
use crate::proto::v1::webhook_service_client::WebhookServiceClient;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Response};

/// Of a call without `--timeout`.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Of TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between pings, so that a watch over a dead network is noticed; below the idle limits of load balancers (60 s).
const PING_INTERVAL: Duration = Duration::from_secs(45);
/// For the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a call is attempted before its error is reported.
const ATTEMPTS: u32 = 4;
/// A list of a thousand operations with their requests takes a few MB.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Whether a call may be made again when the server says that it could not serve it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// It reads, or a second time changes nothing more.
    Safe,
    /// The first one may have had its effect.
    Never,
}

/// A generated client.
pub(crate) trait Client: Clone {
    fn on(channel: Channel) -> Self;
}

macro_rules! clients {
    ($($name:ident = $client:ident;)+) => {
        $(
            pub(crate) type $name = $client<Channel>;

            impl Client for $name {
                fn on(channel: Channel) -> Self {
                    $client::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
                }
            }
        )+
    };
}

clients! {
    Access = AccessServiceClient;
    Audit = AuditServiceClient;
    Admin = CertificateAdminServiceClient;
    Authorities = CertificateAuthorityServiceClient;
    Certificates = CertificateServiceClient;
    Installations = InstallationServiceClient;
    Keys = KeyServiceClient;
    MasterKeyCalls = MasterKeyServiceClient;
    Renewals = RenewalServiceClient;
    Secrets = SecretServiceClient;
    Vaults = VaultServiceClient;
    Webhooks = WebhookServiceClient;
}

/// A connection with what every call carries.
pub(crate) struct Session {
    endpoint: Endpoint,
    channel: Channel,
    server: String,
    vault: String,
    token: Option<MetadataValue<Ascii>>,
    timeout: Option<Duration>,
}

impl Session {
    /// Connects; a wrong address or an untrusted server is found here.
    pub(crate) async fn open(options: &ClientOptions) -> Result<Self> {
        let trust = Trust::load(options)?;
        let identity = client_certificate::load(options)?;
        let endpoint = endpoint(&options.server, &trust, identity)
            .map_err(|error| Failure::new(Exit::Usage, "cannot use --server").caused_by(&error).boxed())?;
        let channel = connect(&endpoint, &options.server, options.timeout).await?;
        let token = options.token()?.as_ref().map(bearer).transpose()?;
        Ok(Self {
            endpoint,
            channel,
            server: options.server.clone(),
            vault: options.vault.clone(),
            token,
            timeout: options.timeout,
        })
    }

    pub(crate) fn vault(&self) -> String {
        self.vault.clone()
    }

    /// What `--timeout` says.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A client on a connection of its own: a stream that is not read holds up the other calls of its connection.
    pub(crate) async fn watch_client(&self) -> Result<CertificateServiceClient<Channel>> {
        let channel = connect(&self.endpoint, &self.server, self.timeout).await?;
        Ok(CertificateServiceClient::new(channel))
    }

    /// A request with the token, and no deadline.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    /// Calls a method of a client: `session.call(Repeat::Safe, request, Certificates::get_pending)`.
    pub(crate) async fn call<C: Client, M: Clone, R>(
        &self,
        repeat: Repeat,
        message: M,
        rpc: impl AsyncFn(&mut C, Request<M>) -> std::result::Result<Response<R>, Status>,
    ) -> Result<R> {
        let client = C::on(self.channel());
        self.attempts(repeat, async |request| rpc(&mut client.clone(), request).await, message).await
    }

    async fn attempts<M: Clone, R>(
        &self,
        repeat: Repeat,
        rpc: impl AsyncFn(Request<M>) -> std::result::Result<Response<R>, Status>,
        message: M,
    ) -> Result<R> {
        let limit = self.timeout.unwrap_or(CALL_TIMEOUT);
        let deadline = Instant::now() + limit;
        let out_of_time =
            || Failure::timed_out("no answer from the server", limit).advise("allow more time: --timeout 60s");
        let mut attempt = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut request = self.request(message.clone());
            request.set_timeout(left);
            let status = match timeout(left, rpc(request)).await {
                Err(_elapsed) => return Err(out_of_time().boxed()),
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
            };
            // The channel keeps the deadline too, and may be the first to say so.
            if status.code() == Code::Cancelled && deadline <= Instant::now() {
                return Err(out_of_time().boxed());
            }
            let wait = status::retry_delay(&status).unwrap_or_else(|| backoff(attempt));
            let worthwhile = status.code() == Code::Unavailable && Instant::now() + wait < deadline;
            if repeat == Repeat::Never || attempt == ATTEMPTS || !worthwhile {
                return Err(status.into());
            }
            sleep(wait).await;
            attempt += 1;
        }
    }
}

/// 0.1 s to 5 s: a random part of a span that doubles with each attempt, so that clients which were
/// cut off together do not come back together.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let span = 100_u64.saturating_mul(1 << attempt.min(10)).min(5_000);
    let random = u64::from(uuid::Uuid::new_v4().as_fields().0);
    Duration::from_millis(100 + random % (span - 99))
}

fn endpoint(
    server: &str,
    trust: &Trust,
    identity: Option<Identity>,
) -> std::result::Result<Endpoint, tonic::transport::Error> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trust.to_pem()));
    let tls = match identity {
        Some(identity) => tls.identity(identity),
        None => tls,
    };
    Endpoint::from_shared(server.to_owned())?
        .user_agent(concat!("certmint/", env!("CARGO_PKG_VERSION")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .tls_config(tls)
}

async fn connect(endpoint: &Endpoint, server: &str, limit: Option<Duration>) -> Result<Channel> {
    let limit = limit.map_or(CONNECT_TIMEOUT, |limit| limit.min(CONNECT_TIMEOUT));
    let Ok(connected) = timeout(limit, endpoint.connect()).await else {
        let message = format!("no connection to {server} within {}", seconds(limit));
        return Err(Failure::new(Exit::Unavailable, message)
            .advise("check the address and the network (firewall, routing)")
            .boxed());
    };
    connected.map_err(|error| {
        let failure = Failure::new(Exit::Unavailable, String::new()).caused_by(&error);
        let cause = failure.causes.last().cloned().unwrap_or_default();
        let advice = trust::advice(&error).unwrap_or_else(|| without_tls(&cause).to_owned());
        Failure { message: format!("cannot connect to {server}: {cause}"), ..failure }.advise(advice).boxed()
    })
}

/// What to do where no connection came about, by the words of its cause.
fn without_tls(cause: &str) -> &'static str {
    // In the words of the standard library, which has no kind for it.
    if cause.contains("failed to lookup address information") {
        "no address is known for this name: check --server, and the name service of this machine"
    } else {
        "is the server running there? start one with: certmint serve --dev"
    }
}

fn bearer(token: &Secret) -> Result<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(format!("Bearer {}", token.reveal()))
        .map_err(|_| Failure::usage("the token contains characters that are not allowed in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_address_is_no_server_that_is_not_running() {
        let unknown = "failed to lookup address information: Name or service not known";
        assert!(without_tls(unknown).contains("no address is known"));
        assert!(without_tls("Connection refused (os error 111)").contains("certmint serve --dev"));
    }

    #[test]
    fn backoff_grows_within_its_bounds_and_is_not_always_the_same() {
        for attempt in [1, 2, 6, 40, u32::MAX] {
            let most = Duration::from_millis((100 << attempt.min(10)).min(5_000));
            let waits: Vec<Duration> = (0..200).map(|_| backoff(attempt)).collect();
            assert!(
                waits.iter().all(|wait| (Duration::from_millis(100)..=most).contains(wait)),
                "{attempt}: {waits:?}"
            );
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{attempt}");
        }
    }
}
