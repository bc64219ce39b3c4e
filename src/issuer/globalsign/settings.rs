//! The options of a GlobalSign issuer. Key Vault's own members come first: `credentials` is the GCC
//! user, the first of `org_details.admin_details` the contact of orders.

use crate::domain::{self, Timestamp};
use crate::issuer::options::{base_url, problem};
use crate::issuer::provider::{IssuerInput, IssuerSchema, OptionKind, OptionSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BASE_URL: &str = "https://system.globalsign.com/kb/ws";
const PRODUCTS: [(&str, &str); 2] = [("ov-ssl", "PV_SHA2"), ("ev-ssl", "PEV_SHA2")];
const USUAL_TYPE: &str = "ov-ssl";
/// Whole months within what public certificates may be valid, and until when, in seconds since the epoch: 15 March 2027,
/// 15 March 2029.
const MAX_MONTHS: [(u32, i64); 3] = [(6, 1_805_068_800), (3, 1_868_227_200), (1, i64::MAX)];

/// The checked options. Kept inside the sealed state, secrets included.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) user: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    pub(super) contact: Contact,
    /// By certificate type in lower case.
    pub(super) products: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) profile: Option<String>,
    #[serde(default)]
    pub(super) domain: Option<String>,
    #[serde(default)]
    pub(super) max_months: Option<u32>,
}

/// Whom GlobalSign asks about an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) phone: String,
    pub(super) email: String,
}

pub(super) fn schema() -> IssuerSchema {
    let option = |name, kind, default, help| OptionSchema { name, kind, required: false, default, help };
    let options = vec![
        option(
            "base_url",
            OptionKind::Url,
            Some(BASE_URL),
            "The address of the services; https://test-gcc.globalsign.com/kb/ws for test accounts.",
        ),
        option("ca_file", OptionKind::File, None, "CA certificates (PEM) to trust beside the system's."),
        option("product", OptionKind::Map, None, "product.CTY=CODE: the product code for a policy's certificate type."),
        option("profile", OptionKind::Text, None, "MSSLProfileID; that of the name's domain if not set."),
        option("domain", OptionKind::Text, None, "MSSLDomainID; the domain of the common name if not set."),
        option(
            "max_validity_months",
            OptionKind::Integer { least: 1, most: 36 },
            None,
            "Longer validities are cut to this, and to what is allowed for public certificates.",
        ),
    ];
    IssuerSchema {
        provider: "GlobalSign",
        summary: "GlobalSign Managed SSL over GCC. The credentials are those of a GCC user with API access.",
        options,
    }
}

pub(super) fn members() -> Vec<OptionSchema> {
    let member = |name, kind, help| OptionSchema { name, kind, required: true, default: None, help };
    vec![
        member("account_id", OptionKind::Text, "The user name of the GCC account, such as PAR12345_name."),
        member("password", OptionKind::Secret, "The password of the user."),
    ]
}

impl Settings {
    /// # Errors
    /// The option or member and what is wrong with it.
    pub(super) fn parse(input: &IssuerInput) -> domain::Result<Self> {
        schema().check(input)?;
        let text = |name: &str| input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let base_url = base_url("base_url", text("base_url").unwrap_or(BASE_URL))?;
        let member = |path: &str, help: &str| domain::Error::field(path, help);
        let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let user = given(input.account_id.as_deref());
        let user = user.ok_or_else(|| member("credentials.account_id", "Required: the user name at GCC."))?;
        let password = input.password.as_ref().map(|password| password.as_str()).filter(|text| !text.is_empty());
        let password = password.ok_or_else(|| member("credentials.pwd", "Required: the password of the GCC user."))?;
        // XML 1.0 has no form for them.
        if password.chars().chain(user.chars()).any(char::is_control) {
            return Err(member("credentials.pwd", "User name and password have no control characters."));
        }
        let mut products: BTreeMap<String, String> =
            PRODUCTS.iter().map(|(cty, product)| ((*cty).to_owned(), (*product).to_owned())).collect();
        for (name, product) in &input.options {
            let Some(cty) = name.strip_prefix("product.") else { continue };
            let product = product.trim();
            if product.is_empty() || !product.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(problem(name, "Not a product code, such as PV_SHA2."));
            }
            products.insert(cty.to_lowercase(), product.to_owned());
        }
        Ok(Self {
            base_url: base_url.to_owned(),
            user,
            password: password.to_owned(),
            ca_file: text("ca_file").map(str::to_owned),
            contact: Contact::parse(input)?,
            products,
            profile: text("profile").map(str::to_owned),
            domain: text("domain").map(str::to_owned),
            max_months: text("max_validity_months").and_then(|months| months.parse().ok()),
        })
    }

    /// The product code for a certificate type.
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

    /// The validity to order, in months.
    pub(super) fn months(&self, wanted: u32, product: &str, at: Timestamp) -> u32 {
        let private = product.contains("INTRA");
        let public = MAX_MONTHS.iter().find(|(_, until)| at.seconds() < *until).map_or(1, |(months, _)| *months);
        let allowed = if private { 36 } else { public };
        wanted.min(allowed).min(self.max_months.unwrap_or(allowed)).max(1)
    }
}

impl Contact {
    fn parse(input: &IssuerInput) -> domain::Result<Self> {
        let first = input.organization.as_ref().and_then(|details| details.administrators.first());
        let Some(first) = first else {
            let hint = "Required: first_name, last_name, email and phone of the contact for orders.";
            return Err(domain::Error::field("org_details.admin_details", hint));
        };
        let part = |name: &str, text: &Option<String>| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
            let missing = || domain::Error::field(format!("org_details.admin_details[0].{name}"), "Required.");
            text.map(str::to_owned).ok_or_else(missing)
        };
        Ok(Self {
            first_name: part("first_name", &first.first_name)?,
            last_name: part("last_name", &first.last_name)?,
            phone: part("phone", &first.phone)?,
            email: part("email", &first.email)?,
        })
    }
}
