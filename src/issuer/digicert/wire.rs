//! What CertCentral answers, as far as it is needed. Numbers may come as texts, `errors` may be an
//! object, and members that are new are passed over.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A number that some answers write as a text.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(number(&Value::deserialize(deserializer)?))
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The answer to an order or a reissue.
#[derive(Debug, Deserialize)]
pub(super) struct Placed {
    #[serde(default, deserialize_with = "id")]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) requests: Vec<Request>,
    #[serde(default, deserialize_with = "id")]
    pub(super) certificate_id: Option<u64>,
    #[serde(default)]
    pub(super) certificate_chain: Vec<Pem>,
    #[serde(default)]
    pub(super) dcv_random_value: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pem {
    #[serde(default)]
    pub(super) pem: String,
}

/// A request that somebody in the account approves or rejects.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Request {
    #[serde(default, deserialize_with = "id")]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) processor_comment: Option<String>,
}

/// An order.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    #[serde(default, deserialize_with = "id")]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) certificate: Option<Certificate>,
    #[serde(default)]
    pub(super) requests: Vec<Request>,
    /// `yyyy-MM-dd`.
    #[serde(default)]
    pub(super) order_valid_till: Option<String>,
    #[serde(default)]
    pub(super) product: Option<Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Product {
    #[serde(default)]
    pub(super) name_id: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Certificate {
    #[serde(default, deserialize_with = "id")]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) csr: Option<String>,
    #[serde(default)]
    pub(super) common_name: Option<String>,
    #[serde(default)]
    pub(super) dns_names: Vec<String>,
}

/// The reissues of an order.
#[derive(Debug, Deserialize)]
pub(super) struct Reissues {
    #[serde(default)]
    pub(super) certificates: Vec<Certificate>,
}

/// Orders with their status: by our number, or those that changed.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    pub(super) orders: Vec<FoundOrder>,
    #[serde(default)]
    pub(super) page: Option<Page>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct FoundOrder {
    #[serde(default, deserialize_with = "id")]
    pub(super) order_id: Option<u64>,
    #[serde(default, deserialize_with = "id")]
    pub(super) certificate_id: Option<u64>,
    #[serde(default)]
    pub(super) status: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default, deserialize_with = "id")]
    pub(super) total: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Organizations {
    #[serde(default)]
    pub(super) organizations: Vec<Organization>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Organization {
    #[serde(default, deserialize_with = "id")]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    is_active: Option<bool>,
}

impl Organization {
    /// Whether it can be ordered for.
    pub(super) fn is_active(&self) -> bool {
        self.is_active.unwrap_or(true) && self.status.as_deref().is_none_or(|status| status == "active")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RandomValue {
    #[serde(default)]
    pub(super) dcv_random_value: Option<String>,
}

/// What a check of the names came to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Checked {
    #[serde(default)]
    pub(super) order_status: String,
    #[serde(default)]
    pub(super) dcv_status: String,
    #[serde(default)]
    pub(super) dns_name_validations: Vec<CheckedName>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckedName {
    #[serde(default)]
    pub(super) dns_name: String,
    #[serde(default)]
    pub(super) status: String,
}

/// An external account for ACME; shown once.
#[derive(Deserialize)]
pub(super) struct ExternalAccount {
    pub(super) acme_directory_url: String,
    pub(super) ext_act_kid: String,
    pub(super) ext_act_hmac: String,
}

/// One error of an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// The errors of an answer, in either form; none where it is no JSON, such as the page of a proxy.
pub(super) fn errors(body: &[u8]) -> Vec<ApiError> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else { return Vec::new() };
    let list = match answer.remove("errors") {
        Some(Value::Array(list)) => list,
        Some(Value::Object(one)) if one.contains_key("code") || one.contains_key("message") => {
            vec![Value::Object(one)]
        }
        // By field: {"csr": {"code": …}}.
        Some(Value::Object(by_name)) => by_name.into_iter().map(|(_, value)| value).collect(),
        Some(other) => vec![other],
        None => Vec::new(),
    };
    let read = |value: Value| match value {
        Value::String(message) => Some(ApiError { code: String::new(), message }),
        value => serde_json::from_value(value).ok(),
    };
    list.into_iter().filter_map(read).take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form() {
        let one = ApiError { code: "access_denied".into(), message: "No.".into() };
        for body in [
            r#"{"errors":[{"code":"access_denied","message":"No."}]}"#,
            r#"{"errors":{"code":"access_denied","message":"No."}}"#,
            r#"{"errors":{"key":{"code":"access_denied","message":"No."}}}"#,
        ] {
            assert_eq!(errors(body.as_bytes()), std::slice::from_ref(&one), "{body}");
        }
        assert_eq!(errors(br#"{"errors":"No."}"#)[0].message, "No.");
        for body in ["<html>", "", "[]", "{}", r#"{"errors":null}"#] {
            assert!(errors(body.as_bytes()).iter().all(|error| error.code.is_empty()), "{body}");
        }
    }

    #[test]
    fn numbers_may_be_texts() {
        let placed: Placed =
            serde_json::from_str(r#"{"id":"542772","requests":[{"id":922432,"status":"pending"}]}"#).unwrap();
        assert_eq!((placed.id, placed.requests[0].id), (Some(542_772), Some(922_432)));
    }
}
