//! The options of an Atlas issuer. Key Vault's own members come first: `credentials` is the API key and its secret.

use crate::domain::{self, Timestamp};
use crate::issuer::options::{base_url, problem};
use crate::issuer::provider::{IssuerInput, IssuerSchema, OptionKind, OptionSchema};
use crate::outbound::{Identity, credential_name};
use der::Decode;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

const BASE_URL: &str = "https://emea.api.hvca.globalsign.com:8443/v2";

/// The checked options. Kept inside the sealed state, secrets included.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) api_key: String,
    pub(super) api_secret: String,
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    /// PEM.
    pub(super) client_certificate: String,
    pub(super) client_key: String,
    #[serde(default)]
    pub(super) max_days: Option<u32>,
    /// Whether the purposes of the policy are sent; the account has its own otherwise.
    #[serde(default)]
    pub(super) purposes: bool,
}

impl Drop for Settings {
    fn drop(&mut self) {
        self.api_secret.zeroize();
        self.client_key.zeroize();
    }
}

pub(super) fn schema() -> IssuerSchema {
    let option = |name, kind, default, help| OptionSchema { name, kind, required: false, default, help };
    let required = |name, kind, help| OptionSchema { name, kind, required: true, default: None, help };
    let options = vec![
        option("base_url", OptionKind::Url, Some(BASE_URL), "The address of the HVCA API, with its version."),
        required(
            "client_certificate_file",
            OptionKind::File,
            "The certificate (PEM) that GlobalSign gave for the API key.",
        ),
        required("client_key", OptionKind::Secret, "The private key of it (PEM, without a password)."),
        option("ca_file", OptionKind::File, None, "CA certificates (PEM) to trust beside the system's."),
        option(
            "max_validity_days",
            OptionKind::Integer { least: 1, most: 1095 },
            None,
            "Longer validities are cut to this, and to what the account's validation policy allows.",
        ),
        option(
            "send_extended_key_usages",
            OptionKind::Boolean,
            Some("false"),
            "Whether the purposes of a policy are sent; otherwise those of the account hold.",
        ),
    ];
    IssuerSchema {
        provider: "GlobalSignAtlas",
        summary: "GlobalSign Atlas over its HVCA API. The credentials are an API key, its secret and a client certificate.",
        options,
    }
}

pub(super) fn members() -> Vec<OptionSchema> {
    let member = |name, kind, help| OptionSchema { name, kind, required: true, default: None, help };
    vec![
        member("account_id", OptionKind::Text, "The API key."),
        member("password", OptionKind::Secret, "The secret of the API key."),
    ]
}

impl Settings {
    /// # Errors
    /// The option or member and what is wrong with it.
    pub(super) fn parse(input: &IssuerInput) -> domain::Result<Self> {
        schema().check(input)?;
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let member = |path: &str, help: &str| domain::Error::field(path, help);
        let api_key = input.account_id.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let api_key = api_key.ok_or_else(|| member("credentials.account_id", "Required: the API key of Atlas."))?;
        let api_secret = input.password.as_ref().map(|secret| secret.trim()).filter(|text| !text.is_empty());
        let api_secret = api_secret.ok_or_else(|| member("credentials.pwd", "Required: the secret of the API key."))?;
        let certificate = text("client_certificate_file");
        let certificate = certificate.ok_or_else(|| {
            problem("client_certificate_file", "Required: the certificate (PEM) that GlobalSign gave for the API key.")
        })?;
        let key = input.secrets.get("client_key").map(|key| key.trim()).filter(|key| !key.is_empty());
        let key =
            key.ok_or_else(|| problem("client_key", "Required: the private key of client_certificate_file (PEM)."))?;
        Ok(Self {
            base_url: base_url("base_url", text("base_url").unwrap_or(BASE_URL))?,
            api_key: api_key.to_owned(),
            api_secret: api_secret.to_owned(),
            ca_file: text("ca_file").map(str::to_owned),
            client_certificate: certificate.to_owned(),
            client_key: key.to_owned(),
            max_days: text("max_validity_days").and_then(|days| days.parse().ok()),
            purposes: text("send_extended_key_usages") == Some("true"),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { chain: self.client_certificate.clone(), key: Zeroizing::new(self.client_key.clone()) }
    }

    /// A name of everything that a connection and a login depend on, which tells none of it.
    pub(super) fn fingerprint(&self) -> String {
        let Self { base_url, api_key, api_secret, ca_file, client_certificate, client_key, max_days, purposes } = self;
        let secrets = Zeroizing::new(format!(
            "{api_key}\n{api_secret}\n{}\n{client_certificate}\n{client_key}\n{max_days:?} {purposes}",
            ca_file.as_deref().unwrap_or_default()
        ));
        credential_name(base_url, &secrets)
    }

    /// When the client's certificate expires.
    pub(super) fn client_expiry(&self) -> Option<Timestamp> {
        let der = CertificateDer::from_pem_slice(self.client_certificate.as_bytes()).ok()?;
        let certificate = x509_cert::Certificate::from_der(&der).ok()?;
        let end = certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
        Some(Timestamp::from_seconds(i64::try_from(end).ok()?))
    }
}
