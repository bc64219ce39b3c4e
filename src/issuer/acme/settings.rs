//! The options of an ACME issuer: their schema, and their checked form.

use super::state::Method;
use crate::domain;
use crate::issuer::dns::{DnsSettings, Need};
use crate::issuer::options::{address, list, problem};
use crate::issuer::provider::{IssuerInput, IssuerSchema, OptionKind, OptionSchema};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// CAs write the MAC key of an external account with and without padding.
const MAC_KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A provider name that fills in the directory.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub provider: &'static str,
    /// Empty where the option is required.
    pub directory: &'static str,
    pub summary: &'static str,
    /// Whether the CA registers accounts only with an external one (RFC 8555 section 7.3.4).
    pub needs_binding: bool,
}

/// The provider names of this engine.
pub const PRESETS: &[Preset] = &[
    Preset { provider: "ACME", directory: "", summary: "Any CA that speaks ACME (RFC 8555).", needs_binding: false },
    Preset {
        provider: "LetsEncrypt",
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        summary: "Let's Encrypt, over ACME.",
        needs_binding: false,
    },
    Preset {
        provider: "ZeroSSL",
        directory: "https://acme.zerossl.com/v2/DV90",
        summary: "ZeroSSL, over ACME; needs eab_kid and eab_hmac.",
        needs_binding: true,
    },
    Preset {
        provider: "GoogleTrustServices",
        directory: "https://dv.acme-v02.api.pki.goog/directory",
        summary: "Google Trust Services, over ACME; needs eab_kid and eab_hmac.",
        needs_binding: true,
    },
    Preset {
        provider: "Buypass",
        directory: "https://api.buypass.com/acme/directory",
        summary: "Buypass, over ACME.",
        needs_binding: false,
    },
    Preset {
        provider: "SSL.com",
        directory: "https://acme.ssl.com/sslcom-dv-ecc",
        summary: "SSL.com, over ACME; needs eab_kid and eab_hmac.",
        needs_binding: true,
    },
];

/// The checked options. Kept inside the sealed state, secrets included.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) directory: String,
    /// PEM; trusted beside the system's roots.
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    pub(super) method: Method,
    #[serde(default)]
    pub(super) contacts: Vec<String>,
    #[serde(default)]
    pub(super) binding: Option<Binding>,
    #[serde(default)]
    pub(super) profile: Option<String>,
    /// By certificate type (`cty`), in lower case.
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) preferred_chain: Option<String>,
    pub(super) max_orders: u32,
    #[serde(default)]
    pub(super) dns: Option<DnsSettings>,
}

/// The external account that the ACME account is bound to (RFC 8555 section 7.3.4).
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) kid: String,
    pub(super) mac_key: domain::Blob,
}

fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>, help: &'static str) -> OptionSchema {
    OptionSchema { name, kind, required: false, default, help }
}

/// The schema of one provider name.
pub(super) fn schema(preset: &Preset) -> IssuerSchema {
    let default = Some(preset.directory).filter(|directory| !directory.is_empty());
    let mut options = vec![
        OptionSchema {
            required: default.is_none(),
            ..option("directory", OptionKind::Url, default, "The address of the CA's ACME directory (https).")
        },
        OptionSchema {
            required: true,
            ..option(
                "agree_to_terms",
                OptionKind::Boolean,
                None,
                "Must be true: you agree to the CA's terms of service, which its directory names.",
            )
        },
        option("contacts", OptionKind::List, None, "Addresses for the CA's notices, such as mailto:ops@example.com."),
        option("ca_file", OptionKind::File, None, "CA certificates (PEM) to trust beside the system's."),
        option(
            "challenge",
            OptionKind::Choice(&["http-01", "dns-01", "tls-alpn-01", "dns-persist-01"]),
            Some("http-01"),
            "How names are validated; wildcards need dns-01 or dns-persist-01.",
        ),
        option("eab_kid", OptionKind::Text, None, "The key identifier of the external account, from the CA."),
        option("eab_hmac", OptionKind::Secret, None, "The MAC key of the external account, base64url, from the CA."),
        option("profile", OptionKind::Text, None, "The certificate profile; without it the CA's default or classic."),
        option("profiles", OptionKind::Map, None, "profiles.CTY=PROFILE: the profile for a policy's certificate type."),
        option(
            "preferred_chain",
            OptionKind::Text,
            None,
            "The common name of the issuer at the top of the chain to choose where the CA offers several.",
        ),
        option(
            "max_orders",
            OptionKind::Integer { least: 1, most: 50 },
            Some("5"),
            "How many orders one operation may make when validations fail.",
        ),
    ];
    options.extend(crate::issuer::dns::options());
    IssuerSchema { provider: preset.provider, summary: preset.summary, options }
}

/// The schema without what this server does not answer.
pub(super) fn offered(mut schema: IssuerSchema, tls_alpn_01: bool) -> IssuerSchema {
    if let Some(option) = schema.options.iter_mut().find(|option| option.name == "challenge" && !tls_alpn_01) {
        option.kind = OptionKind::Choice(&["http-01", "dns-01", "dns-persist-01"]);
    }
    schema
}

impl Settings {
    /// # Errors
    /// The option and what is wrong with it.
    pub(super) fn parse(preset: &Preset, input: &IssuerInput) -> domain::Result<Self> {
        let schema = schema(preset);
        schema.check(input)?;
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let directory = text("directory").unwrap_or(preset.directory);
        if directory.is_empty() {
            return Err(problem("directory", "Required: the https address of the CA's ACME directory."));
        }
        address("directory", directory, &["https"])?;
        if text("agree_to_terms") != Some("true") {
            return Err(problem("agree_to_terms", "Must be true to register with the CA."));
        }
        let contacts = list(text("contacts"));
        if let Some(bad) = contacts.iter().find(|contact| !contact.contains(':')) {
            let hint = format!("{bad:?} is no URL; write an e-mail address as mailto:{bad}.");
            return Err(problem("contacts", hint));
        }
        let method = match text("challenge").unwrap_or("http-01") {
            "http-01" => Method::Http01,
            "dns-01" => Method::Dns01,
            "tls-alpn-01" => Method::TlsAlpn01,
            _ => Method::DnsPersist01,
        };
        let hmac = input.secrets.get("eab_hmac").map(|secret| secret.trim()).filter(|secret| !secret.is_empty());
        let binding = match (text("eab_kid"), hmac) {
            (None, None) => None,
            (Some(kid), Some(hmac)) => {
                let mac_key = MAC_KEY.decode(hmac).map_err(|_| problem("eab_hmac", "Not base64url."))?;
                Some(Binding { kid: kid.to_owned(), mac_key: domain::Blob(mac_key) })
            }
            (Some(_), None) => return Err(problem("eab_hmac", "Required with eab_kid.")),
            (None, Some(_)) => return Err(problem("eab_kid", "Required with eab_hmac.")),
        };
        let profiles = input
            .options
            .iter()
            .filter_map(|(name, profile)| Some((name.strip_prefix("profiles.")?.to_lowercase(), profile.clone())));
        Ok(Self {
            directory: directory.to_owned(),
            ca_file: text("ca_file").map(str::to_owned),
            method,
            contacts,
            binding,
            profile: text("profile").map(str::to_owned),
            profiles: profiles.collect(),
            preferred_chain: text("preferred_chain").map(str::to_owned),
            max_orders: text("max_orders").and_then(|count| count.parse().ok()).unwrap_or(5),
            dns: DnsSettings::parse(input, need(method), "challenge=dns-01")?,
        })
    }
}

/// What a way of proving names wants with DNS records.
fn need(method: Method) -> Need {
    match method {
        Method::Http01 | Method::TlsAlpn01 => Need::Unused,
        Method::DnsPersist01 => Need::Look,
        Method::Dns01 => Need::Write,
    }
}
