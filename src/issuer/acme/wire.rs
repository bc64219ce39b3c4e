//! The JSON of ACME (RFC 8555 section 7.1; profiles; RFC 9773), as far as it is read.

use crate::domain::text::readable;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Section 7.1.1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    #[serde(default)]
    pub(super) key_change: Option<String>,
    /// RFC 9773 section 3.
    #[serde(default)]
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) terms_of_service: Option<String>,
    #[serde(default)]
    pub(super) external_account_required: bool,
    /// Names that records for this CA carry.
    #[serde(default)]
    pub(super) caa_identities: Vec<String>,
    /// Name and description.
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, String>,
}

/// Section 7.1.2.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) status: String,
}

/// Sections 7.1.3 and 9.7.7.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    /// Some CAs write the status of a given-up authorization into the order.
    #[serde(alias = "deactivated", alias = "expired", alias = "revoked")]
    Invalid,
}

/// Section 7.1.3.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Order {
    pub(super) status: OrderStatus,
    #[serde(default)]
    pub(super) expires: Option<String>,
    pub(super) authorizations: Vec<String>,
    pub(super) finalize: String,
    #[serde(default)]
    pub(super) certificate: Option<String>,
    #[serde(default)]
    pub(super) error: Option<Problem>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthorizationStatus {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
}

/// Section 7.1.4.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Authorization {
    pub(super) identifier: Identifier,
    pub(super) status: AuthorizationStatus,
    #[serde(default)]
    pub(super) wildcard: bool,
    #[serde(default)]
    pub(super) challenges: Vec<Challenge>,
}

/// Section 8. A new status of a draft is text and not an error.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Challenge {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) error: Option<Problem>,
    /// dns-persist-01: the names of the CA that the record may carry.
    #[serde(default, rename = "issuer-domain-names")]
    pub(super) issuer_domain_names: Vec<String>,
}

/// Section 6.7; RFC 9457.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) subproblems: Vec<Subproblem>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Subproblem {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) identifier: Option<Identifier>,
}

impl Problem {
    /// The last part of the type, such as `badNonce`; empty for other types.
    pub(super) fn name(&self) -> &str {
        short(&self.kind)
    }
}

/// The name of an error of ACME without its namespace (section 6.7).
fn short(kind: &str) -> &str {
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default()
}

/// What people read: at most 1,000 characters, without control characters.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.detail.clone();
        for subproblem in self.subproblems.iter().take(10) {
            let Subproblem { kind, detail, identifier } = subproblem;
            let who = identifier.as_ref().map_or("", |identifier| identifier.value.as_str());
            text.push_str(&format!(" [{who}: {detail} ({})]", short(kind)));
        }
        let text = readable(&text, 1000);
        let name = if self.name().is_empty() { self.kind.as_str() } else { self.name() };
        let name = readable(name, 100);
        match (text.as_str(), name.as_str()) {
            ("", "") => f.write_str("no reason was given"),
            ("", name) => f.write_str(name),
            (text, "") => f.write_str(text),
            (text, name) => write!(f, "{text} ({name})"),
        }
    }
}

/// RFC 9773 section 4.2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenewalInfo {
    pub(super) suggested_window: Window,
    #[serde(default, rename = "explanationURL")]
    pub(super) explanation: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Window {
    pub(super) start: String,
    pub(super) end: String,
}
