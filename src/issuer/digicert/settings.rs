//! The options of a DigiCert issuer: their schema, and their checked form. Key Vault's own members
//! come first: `credentials.pwd` is the API key, `org_details.id` the organization.

use super::acme_mode::acme_product;
use super::names::base_name;
use super::schema::schema;
use crate::domain::{self, Timestamp};
use crate::issuer::dns::{self, DnsSettings, HookForm, Need, Tools};
use crate::issuer::options::{base_url, problem};
use crate::issuer::provider::IssuerInput;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The address of the API for accounts in the United States.
pub(super) const BASE_URL: &str = "https://www.digicert.com/services/v2";
/// Days that a public certificate may be valid (a day less than the CA/Browser Forum's ballot SC-081 allows), and until
/// when, in seconds since the epoch: 15 March 2027, 15 March 2029.
const MAX_DAYS: [(u32, i64); 3] = [(199, 1_805_068_800), (99, 1_868_227_200), (46, i64::MAX)];
/// Three years, for certificates of a private CA.
const MAX_PRIVATE_DAYS: u32 = 1095;
/// What is ordered for the certificate types of Key Vault where no option says otherwise.
const PRODUCTS: [(&str, &str); 3] =
    [("ov-ssl", "ssl_basic"), ("ev-ssl", "ssl_ev_basic"), ("dv-ssl", "ssl_dv_geotrust_flex")];
const ORGANIZATION_ID: &str = "organization_id";
/// For policies without a certificate type.
const USUAL_TYPE: &str = "ov-ssl";

/// The checked options. Kept inside the sealed state, secrets included.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) access: Access,
    pub(super) organization: Organization,
    /// `name_id` of the product, by certificate type in lower case.
    pub(super) products: BTreeMap<String, String>,
    pub(super) ordering: Ordering,
    pub(super) validation: Validation,
    /// Orders over ACME in place of the API.
    #[serde(default)]
    pub(super) acme: Option<AcmeOptions>,
}

/// Where the API is, and how it is entered.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Access {
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) api_key: String,
    #[serde(default)]
    pub(super) ca_file: Option<String>,
}

/// The organization that certificates are for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Organization {
    Id(u64),
    /// Looked up at the CA.
    Name(String),
    /// The only active one of the account.
    Only,
}

/// What every order says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ordering {
    #[serde(default)]
    pub(super) max_days: Option<u32>,
    pub(super) years: u32,
    #[serde(default)]
    pub(super) container: Option<u64>,
    #[serde(default)]
    pub(super) ca_cert_id: Option<String>,
    pub(super) signature_hash: String,
    pub(super) payment_method: String,
    pub(super) skip_approval: bool,
    /// Approves requests with the same API key.
    pub(super) approve: bool,
    /// Renews within the term of the order before.
    pub(super) reissue: bool,
}

/// How control of the names is proved where the CA does not know it yet.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Validation {
    pub(super) method: DcvMethod,
    /// Stands before the name in the owner of a TXT record.
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) dns: Option<DnsSettings>,
}

/// `dcv_method` of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DcvMethod {
    Email,
    DnsTxtToken,
    DnsCnameToken,
    HttpToken,
}

impl DcvMethod {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::DnsTxtToken => "dns-txt-token",
            Self::DnsCnameToken => "dns-cname-token",
            Self::HttpToken => "http-token",
        }
    }
}

/// What the ACME engine is given beside the account that DigiCert makes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AcmeOptions {
    #[serde(default)]
    pub(super) product: Option<String>,
    pub(super) options: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
}

impl Settings {
    /// # Errors
    /// The option or member and what is wrong with it.
    pub(super) fn parse(input: &IssuerInput, tools: &Tools) -> domain::Result<Self> {
        // A member of the issuer object, which may stand among the options too.
        let mut options = input.options.clone();
        options.remove(ORGANIZATION_ID);
        schema().check(&IssuerInput { options, ..input.clone() })?;
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let yes = |name: &str, usual: bool| text(name).map_or(usual, |value| value == "true");
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        let short = |name: &str, usual: u32| number(name).and_then(|value| u32::try_from(value).ok()).unwrap_or(usual);
        let acme = text("mode") == Some("acme");
        let mut products: BTreeMap<String, String> =
            PRODUCTS.iter().map(|(cty, product)| ((*cty).to_owned(), (*product).to_owned())).collect();
        for (name, product) in &input.options {
            let Some(cty) = name.strip_prefix("product.") else { continue };
            let product = product.trim();
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if product.is_empty() || !product.bytes().all(fits) {
                return Err(problem(name, "Not the name_id of a product, such as ssl_basic."));
            }
            products.insert(cty.to_lowercase(), product.to_owned());
        }
        Ok(Self {
            access: Access::parse(input)?,
            organization: Organization::parse(input)?,
            products,
            ordering: Ordering {
                max_days: number("max_validity_days").and_then(|days| u32::try_from(days).ok()),
                years: short("order_years", 1),
                container: number("container"),
                ca_cert_id: text("ca_cert_id").map(str::to_owned),
                signature_hash: text("signature_hash").unwrap_or("sha256").to_owned(),
                payment_method: text("payment_method").unwrap_or("balance").to_owned(),
                skip_approval: yes("skip_approval", true),
                approve: yes("approve", false),
                reissue: yes("reissue", true),
            },
            validation: if acme {
                Validation { method: DcvMethod::Email, label: None, dns: None }
            } else {
                Validation::parse(input, tools)?
            },
            acme: if acme { Some(AcmeOptions::take(input)?) } else { None },
        })
    }

    /// What is ordered for a certificate type.
    ///
    /// # Errors
    /// A type that no product is named for.
    pub(super) fn product(&self, cty: Option<&str>) -> domain::Result<&str> {
        let cty = cty.map(str::trim).filter(|cty| !cty.is_empty()).unwrap_or(USUAL_TYPE);
        self.products.get(&cty.to_lowercase()).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.products.keys().map(String::as_str).collect();
            let hint = format!(
                "The issuer orders nothing for {cty:?}; it knows {}. Set its option product.{cty}.",
                known.join(", ")
            );
            domain::Error::field("policy.issuer.cty", hint)
        })
    }
}

impl Ordering {
    /// The longest validity of a product, in days: what is allowed at that time, or less where an option says so.
    pub(super) fn most_days(&self, product: &str, at: Timestamp) -> u32 {
        let allowed = if is_private(product) {
            MAX_PRIVATE_DAYS
        } else {
            MAX_DAYS.iter().find(|(_, until)| at.seconds() < *until).map_or(1, |(days, _)| *days)
        };
        self.max_days.map_or(allowed, |days| days.min(allowed))
    }
}

/// Products that need no organization: only the names are validated.
pub(super) fn validates_names_alone(product: &str) -> bool {
    product.contains("_dv_") || product.ends_with("_dv")
}

/// Products of a private CA: the names are not validated.
pub(super) fn is_private(product: &str) -> bool {
    product.starts_with("private_")
}

impl Access {
    fn parse(input: &IssuerInput) -> domain::Result<Self> {
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let base_url = base_url("base_url", text("base_url").unwrap_or(BASE_URL))?;
        let api_key = input.password.as_ref().map(|password| password.trim()).filter(|key| !key.is_empty());
        let Some(api_key) = api_key else {
            return Err(domain::Error::field("credentials.pwd", "Required: the API key of the CertCentral account."));
        };
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(domain::Error::field("credentials.pwd", "Not an API key: it has spaces or other characters."));
        }
        Ok(Self {
            base_url: base_url.to_owned(),
            api_key: api_key.to_owned(),
            ca_file: text("ca_file").map(str::to_owned),
        })
    }
}

impl Organization {
    fn parse(input: &IssuerInput) -> domain::Result<Self> {
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        if let Some(id) = text(ORGANIZATION_ID) {
            let wrong = |_| problem(ORGANIZATION_ID, "Not the number of an organization.");
            return id.parse().map(Self::Id).map_err(wrong);
        }
        if let Some(name) = text("organization") {
            return Ok(Self::Name(name.to_owned()));
        }
        let id = input.organization.as_ref().and_then(|details| details.id.as_deref()).map(str::trim);
        match id.filter(|id| !id.is_empty()) {
            None => Ok(Self::Only),
            Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
                let too_large = |_| domain::Error::field("org_details.id", "Not the number of an organization.");
                id.parse().map(Self::Id).map_err(too_large)
            }
            Some(name) => Ok(Self::Name(name.to_owned())),
        }
    }
}

impl Validation {
    fn parse(input: &IssuerInput, tools: &Tools) -> domain::Result<Self> {
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let method = match text("dcv_method") {
            Some("email") => DcvMethod::Email,
            Some("http-token") => DcvMethod::HttpToken,
            Some("dns-cname-token") => DcvMethod::DnsCnameToken,
            _ => DcvMethod::DnsTxtToken,
        };
        let label = text("dcv_label").map(|label| label.trim_end_matches('.').to_ascii_lowercase());
        if label.as_deref().is_some_and(|label| base_name(&format!("{label}.example.com")).is_none()) {
            return Err(problem("dcv_label", "Not a label of a DNS name, such as _dnsauth."));
        }
        let need = if method == DcvMethod::DnsTxtToken { Need::MayWrite } else { Need::Unused };
        let dns = DnsSettings::parse(input, need, "dcv_method=dns-txt-token")?;
        if let Some(dns) = &dns {
            if dns.is_raw() {
                return Err(problem("httpreq_raw", "Only for ACME: DigiCert's records are sent with owner and value."));
            }
            let hook = dns.hook().and_then(|name| tools.hooks.get(name));
            if hook.is_some_and(|hook| hook.form != HookForm::Lego) {
                let hint = "This hook makes the records of ACME. DigiCert's need a hook of the form lego.";
                return Err(problem("dns_hook", hint));
            }
        }
        Ok(Self { method, label, dns })
    }
}

impl AcmeOptions {
    fn take(input: &IssuerInput) -> domain::Result<Self> {
        let known = dns::options();
        let passed_on = |name: &str| {
            matches!(name, "challenge" | "contacts" | "ca_file") || known.iter().any(|option| option.name == name)
        };
        let options = input.options.iter().filter(|(name, _)| passed_on(name));
        let secrets = input.secrets.iter().filter(|(name, _)| passed_on(name));
        Ok(Self {
            product: acme_product(input)?,
            options: options.map(|(name, text)| (name.clone(), text.clone())).collect(),
            secrets: secrets.map(|(name, text)| (name.clone(), text.to_string())).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validities_of_public_certificates_shrink_with_the_years() {
        let ordering = Ordering {
            max_days: Some(150),
            years: 1,
            container: None,
            ca_cert_id: None,
            signature_hash: String::new(),
            payment_method: String::new(),
            skip_approval: true,
            approve: false,
            reissue: true,
        };
        for (seconds, days) in [(1_790_000_000, 150), (1_805_068_800, 99), (1_868_227_200, 46)] {
            assert_eq!(ordering.most_days("ssl_basic", Timestamp::from_seconds(seconds)), days);
        }
        assert_eq!(ordering.most_days("private_ssl_plus", Timestamp::from_seconds(1_868_227_200)), 150);
    }
}
