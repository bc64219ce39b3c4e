//! What the agent asks the server: which version is the newest, and its key. One connection for all; it is made anew after
//! a failure, with the token and the CA that their files then hold.

use super::config::AgentConfig;
use super::kept::{Report, State};
use super::material::Material;
use crate::cli::ClientOptions;
use crate::cli::connection::{Certificates, Client, Installations, Repeat, Secrets, Session};
use crate::cli::failure::{Exit, Failure, Result};
use crate::domain::Version;
use crate::proto::v1::secret::Content;
use crate::proto::v1::{GetCertificateRequest, GetSecretRequest, InstallationState, ReportInstallationRequest};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use std::rc::Rc;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

const PEM: &str = "application/x-pem-file";

/// The server.
pub(super) struct Server {
    options: ClientOptions,
    connection: Mutex<Connection>,
}

/// The connection of all certificates, and why there was none last.
#[derive(Default)]
struct Connection {
    open: Option<Rc<Session>>,
    failed: Option<(Instant, String)>,
}

impl Server {
    /// What the file does not say is taken from the options of all commands, and from their variables.
    pub(super) fn new(config: &AgentConfig, mut options: ClientOptions) -> Self {
        if let Some(server) = &config.server {
            options.server.clone_from(server);
        }
        if let Some(vault) = &config.vault {
            options.vault.clone_from(vault);
        }
        options.ca = config.ca.clone().or(options.ca);
        if config.token_file.is_some() {
            (options.token, options.token_file) = (None, config.token_file.clone());
        }
        if config.client_cert.is_some() {
            (options.client_cert, options.client_key) = (config.client_cert.clone(), config.client_key.clone());
        }
        options.timeout = None;
        Self { options, connection: Mutex::default() }
    }

    /// Its address, for people.
    pub(super) fn address(&self) -> &str {
        &self.options.server
    }

    /// The vault of certificates that name none.
    pub(super) fn vault(&self) -> &str {
        &self.options.vault
    }

    /// The connection, which is made where there is none.
    pub(super) async fn session(&self) -> Result<Rc<Session>> {
        let asked = Instant::now();
        let mut connection = self.connection.lock().await;
        if let Some(open) = &connection.open {
            return Ok(Rc::clone(open));
        }
        // Somebody else tried while this one waited: not everybody has to wait for a server that does not answer.
        if let Some((at, problem)) = &connection.failed
            && *at >= asked
        {
            return Err(Failure::new(Exit::Unavailable, problem).boxed());
        }
        match Session::open(&self.options).await {
            Ok(open) => {
                let open = Rc::new(open);
                *connection = Connection { open: Some(Rc::clone(&open)), failed: None };
                Ok(open)
            }
            Err(failure) => {
                connection.failed = Some((Instant::now(), failure.message.clone()));
                Err(failure)
            }
        }
    }

    /// The next call connects anew.
    pub(super) async fn forget(&self) {
        self.connection.lock().await.open = None;
    }

    /// Calls a method.
    pub(super) async fn call<C: Client, M: Clone, R>(
        &self,
        message: M,
        rpc: impl AsyncFn(
            &mut C,
            tonic::Request<M>,
        ) -> std::result::Result<tonic::Response<R>, crate::cli::connection::Status>,
    ) -> Result<R> {
        let answer = self.session().await?.call(Repeat::Safe, message, rpc).await;
        if answer.as_ref().is_err_and(|failure| !matches!(failure.exit, Exit::NotFound | Exit::Conflict)) {
            self.forget().await;
        }
        answer
    }

    /// The newest version, without its key. Nothing where none was completed yet.
    ///
    /// # Errors
    /// Also where it is disabled.
    pub(super) async fn newest(&self, vault: &str, name: &str) -> Result<Option<Material>> {
        let request = GetCertificateRequest {
            vault_name: vault.to_owned(),
            certificate_name: name.to_owned(),
            certificate_version: String::new(),
        };
        let answer = self.call(request, Certificates::get_certificate).await?;
        let found = answer.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
        if found.cer.is_empty() {
            return Ok(None);
        }
        let attributes = found.attributes.unwrap_or_default();
        if attributes.enabled == Some(false) {
            return Err(Failure::new(Exit::Conflict, format!("the newest version of {name} is disabled")).boxed());
        }
        let version = version(&found.certificate_version)?;
        let milliseconds = |time: prost_types::Timestamp| time.seconds.saturating_mul(1000);
        Ok(Some(Material {
            name: name.to_owned(),
            version,
            not_after: attributes.expires.map_or(0, milliseconds),
            leaf: found.cer.to_vec(),
            chain: found.chain.iter().map(|der| der.to_vec()).collect(),
            key: None,
        }))
    }

    /// Tells what is installed on this machine.
    pub(super) async fn report(&self, vault: &str, name: &str, host: &str, report: &Report) -> Result<()> {
        let Report { version, state, message, since } = report;
        let state = match state {
            State::Installed => InstallationState::Installed,
            State::ReloadFailed => InstallationState::ReloadFailed,
            State::Refused => InstallationState::Refused,
        };
        let request = ReportInstallationRequest {
            vault_name: vault.to_owned(),
            certificate_name: name.to_owned(),
            host: host.to_owned(),
            certificate_version: version.clone(),
            state: state.into(),
            message: message.clone(),
            since_time: Some(prost_types::Timestamp {
                seconds: since.div_euclid(1000),
                nanos: i32::try_from(since.rem_euclid(1000)).unwrap_or_default() * 1_000_000,
            }),
        };
        self.call(request, Installations::report_installation).await.map(|_| ())
    }

    /// The key of a version.
    ///
    /// # Errors
    /// Also where nobody gets it.
    pub(super) async fn key(&self, vault: &str, name: &str, version: &str) -> Result<Zeroizing<Vec<u8>>> {
        let request = GetSecretRequest {
            vault_name: vault.to_owned(),
            secret_name: name.to_owned(),
            secret_version: version.to_owned(),
            out_content_type: PEM.to_owned(),
        };
        let answer = self.call(request, Secrets::get_secret).await?;
        let pem = match answer.secret.and_then(|secret| secret.content) {
            Some(Content::Pem(pem)) => Zeroizing::new(pem),
            _ => return Err(Failure::incomplete_answer("PEM text")),
        };
        match PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(key) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
            Err(_) => Err(Failure::new(Exit::Error, format!("the server hands out no key of {name}"))
                .advise("its policy must say exportable, and its key must not be the caller's own; or name outputs without key")
                .boxed()),
        }
    }
}

/// A version as it is written: it becomes the name of a folder, and that is nobody's to choose.
fn version(text: &str) -> Result<String> {
    let version = Version::parse(text).map_err(|_| Failure::incomplete_answer("version"))?;
    Ok(version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_no_path() {
        let digits = "0123456789abcdef".repeat(2);
        assert_eq!(version(&digits.to_uppercase()).ok(), Some(digits));
        for bad in ["", "../../etc", "/etc", "current", "."] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
