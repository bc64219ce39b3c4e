//! The options for DNS records: their schema, and their checked form.

use crate::domain;
use crate::issuer::options::{self, list, problem};
use crate::issuer::provider::{IssuerInput, OptionKind, OptionSchema};
use crate::outbound::dns::{TsigKey, name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Serialize, Deserialize)]
pub(in crate::issuer) struct DnsSettings {
    #[serde(default)]
    pub(super) writer: Option<Writer>,
    /// Resolvers for aliases, zones and servers; by default the system's.
    #[serde(default)]
    pub(super) resolvers: Vec<SocketAddr>,
    /// Whether records are looked for before the CA is asked.
    pub(in crate::issuer) check: bool,
    /// The servers to look at, in place of those that the zone names.
    #[serde(default)]
    pub(super) check_servers: Vec<SocketAddr>,
    pub(super) ttl: u32,
}

/// Who writes the records.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Writer {
    Rfc2136(Update),
    Exec { hook: String },
    HttpReq(HttpReqSettings),
    AcmeDns(AcmeDnsSettings),
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Update {
    /// `host:port`.
    pub(super) server: String,
    /// The zone; found by its SOA record where it is not set.
    #[serde(default)]
    pub(super) zone: Option<String>,
    #[serde(default)]
    pub(super) key: Option<KeySettings>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeySettings {
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) secret: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct HttpReqSettings {
    /// Without the slash at its end.
    pub(super) url: String,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) password: Option<String>,
    /// Sends domain, token and key authorization in place of owner name and value.
    #[serde(default)]
    pub(super) raw: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AcmeDnsSettings {
    /// Without the slash at its end.
    pub(super) url: String,
    /// By domain.
    pub(super) accounts: BTreeMap<String, AcmeDnsAccount>,
}

/// As the server's `/register` answers it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AcmeDnsAccount {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) subdomain: String,
}

/// The schema of the options.
pub(in crate::issuer) fn options() -> Vec<OptionSchema> {
    let option = |name, kind, default, help| OptionSchema { name, kind, required: false, default, help };
    let algorithms = OptionKind::Choice(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]);
    vec![
        option(
            "dns_provider",
            OptionKind::Choice(&["rfc2136", "exec", "httpreq", "acme-dns"]),
            None,
            "Who writes the records that prove names.",
        ),
        option("dns_resolvers", OptionKind::List, None, "ADDRESS[:PORT] of resolvers, in place of the system's."),
        option("dns_check", OptionKind::Boolean, Some("true"), "Check the records before the CA is asked to validate."),
        option(
            "dns_check_servers",
            OptionKind::List,
            None,
            "ADDRESS[:PORT] of the servers to check, in place of those that the zone names.",
        ),
        option(
            "dns_ttl",
            OptionKind::Integer { least: 1, most: 86_400 },
            Some("60"),
            "The TTL of records, in seconds.",
        ),
        option("dns_server", OptionKind::Text, None, "rfc2136: HOST[:PORT] of the server that takes updates."),
        option("dns_zone", OptionKind::Text, None, "rfc2136: the zone; found by its SOA record if not set."),
        option("tsig_name", OptionKind::Text, None, "rfc2136: the name of the TSIG key."),
        option("tsig_algorithm", algorithms, Some("hmac-sha256"), "rfc2136: the algorithm of the TSIG key."),
        option("tsig_secret", OptionKind::Secret, None, "rfc2136: the secret of the TSIG key, base64."),
        option("dns_hook", OptionKind::Text, None, "exec: the name of a hook in the server's configuration."),
        option("httpreq_url", OptionKind::Url, None, "httpreq: the URL to which /present and /cleanup are posted."),
        option("httpreq_user", OptionKind::Text, None, "httpreq: the user for basic authentication."),
        option("httpreq_password", OptionKind::Secret, None, "httpreq: the password for basic authentication."),
        option("httpreq_raw", OptionKind::Boolean, Some("false"), "httpreq: send domain, token and keyAuth."),
        option("acmedns_url", OptionKind::Url, None, "acme-dns: the address of the server's API."),
        option(
            "acmedns_accounts",
            OptionKind::Secret,
            None,
            "acme-dns: JSON that names for each domain its username, password and subdomain.",
        ),
    ]
}

/// What a provider wants with records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::issuer) enum Need {
    /// Nothing: names are proved otherwise.
    Unused,
    /// Only to look for them.
    Look,
    /// Somebody has to write them.
    Write,
    /// They are written where somebody is named, else by a person.
    MayWrite,
}

impl DnsSettings {
    /// The options, where records are wanted. `setting` is the choice that wants them, for the messages.
    ///
    /// # Errors
    /// The option and what is wrong with it.
    pub(in crate::issuer) fn parse(input: &IssuerInput, need: Need, setting: &str) -> domain::Result<Option<Self>> {
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let secret = |name: &str| input.secrets.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let writer = match (need, text("dns_provider")) {
            (Need::Unused | Need::MayWrite, None) => return Ok(None),
            (Need::Unused | Need::Look, Some(_)) => {
                return Err(problem("dns_provider", format!("Only with {setting}.")));
            }
            (Need::Look, None) => None,
            (Need::Write, None) => {
                let hint = format!("Required with {setting}: rfc2136, exec, httpreq or acme-dns.");
                return Err(problem("dns_provider", hint));
            }
            (_, Some("rfc2136")) => Some(Writer::Rfc2136(Update::parse(text, secret)?)),
            (_, Some("exec")) => {
                let hook = text("dns_hook").ok_or_else(|| problem("dns_hook", "Required with dns_provider=exec."))?;
                Some(Writer::Exec { hook: hook.to_owned() })
            }
            (_, Some("httpreq")) => Some(Writer::HttpReq(HttpReqSettings {
                url: address("httpreq_url", text("httpreq_url"))?,
                user: text("httpreq_user").map(str::to_owned),
                password: secret("httpreq_password").map(str::to_owned),
                raw: text("httpreq_raw") == Some("true"),
            })),
            (_, Some(_)) => {
                let url = address("acmedns_url", text("acmedns_url"))?;
                let json = secret("acmedns_accounts").ok_or_else(|| problem("acmedns_accounts", "Required."))?;
                // The text of the parser could repeat a password.
                let accounts = serde_json::from_str(json).map_err(|_| {
                    let form = r#"{"DOMAIN": {"username": …, "password": …, "subdomain": …}}"#;
                    problem("acmedns_accounts", format!("Must be JSON of the form {form}."))
                })?;
                Some(Writer::AcmeDns(AcmeDnsSettings { url, accounts }))
            }
        };
        Ok(Some(Self {
            writer,
            resolvers: servers("dns_resolvers", text("dns_resolvers"))?,
            check: text("dns_check") != Some("false"),
            check_servers: servers("dns_check_servers", text("dns_check_servers"))?,
            ttl: text("dns_ttl").and_then(|ttl| ttl.parse().ok()).unwrap_or(60),
        }))
    }

    /// The hook of the server's configuration that writes the records, where one does.
    pub(in crate::issuer) fn hook(&self) -> Option<&str> {
        match &self.writer {
            Some(Writer::Exec { hook }) => Some(hook),
            _ => None,
        }
    }

    /// Whether owner and text of a record are made by the service that writes it, as ACME makes them.
    pub(in crate::issuer) fn is_raw(&self) -> bool {
        matches!(&self.writer, Some(Writer::HttpReq(HttpReqSettings { raw: true, .. })))
    }
}

impl Update {
    fn parse<'a>(
        text: impl Fn(&str) -> Option<&'a str>,
        secret: impl Fn(&str) -> Option<&'a str>,
    ) -> domain::Result<Self> {
        let server = text("dns_server").ok_or_else(|| problem("dns_server", "Required with dns_provider=rfc2136."))?;
        if let Some(zone) = text("dns_zone") {
            name(zone).map_err(|error| problem("dns_zone", error.to_string()))?;
        }
        let key = match (text("tsig_name"), secret("tsig_secret")) {
            (None, None) => None,
            (Some(key_name), Some(secret)) => {
                let algorithm = text("tsig_algorithm").unwrap_or("hmac-sha256");
                TsigKey::new(key_name, algorithm, secret).map_err(|error| problem("tsig_secret", error.to_string()))?;
                let (name, algorithm) = (key_name.to_owned(), algorithm.to_owned());
                Some(KeySettings { name, algorithm, secret: secret.to_owned() })
            }
            (Some(_), None) => return Err(problem("tsig_secret", "Required with tsig_name.")),
            (None, Some(_)) => return Err(problem("tsig_name", "Required with tsig_secret.")),
        };
        Ok(Self { server: server.to_owned(), zone: text("dns_zone").map(str::to_owned), key })
    }
}

fn address(option: &str, text: Option<&str>) -> domain::Result<String> {
    let text = text.ok_or_else(|| problem(option, "Required."))?;
    options::address(option, text, &["https", "http"])
}

fn servers(option: &str, text: Option<&str>) -> domain::Result<Vec<SocketAddr>> {
    let read = |item: &String| {
        let plain = item.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        item.parse::<SocketAddr>().or_else(|_| plain.map(|address| SocketAddr::new(address, 53)))
    };
    list(text)
        .iter()
        .map(|item| read(item).map_err(|_| problem(option, format!("{item:?} is not ADDRESS or ADDRESS:PORT."))))
        .collect()
}
