//! Reading claims by the names that the configuration has for them.

use super::token::Claims;
use serde_json::Value;

/// Longest name of a claim.
const MAX_NAME: usize = 256;

/// The name of a claim, or the path to a member within one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.len() {
            0 => Err("the name of a claim is empty"),
            1..=MAX_NAME => Ok(Self(text.to_owned())),
            _ => Err("the name of a claim is longer than 256 bytes"),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The claim that it leads into.
    pub(super) fn claim(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// A claim of this whole name comes before a member of another one: names may have dots.
    pub(super) fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        if let Some(value) = claims.get(&self.0) {
            return Some(value);
        }
        let (first, rest) = self.0.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
    }
}

/// A text, or a whole number in its digits; some issuers write numbers that stand for something.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a claim that is one or a list of them.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str().into_iter();
    one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// Whether it has this value, or is a list with it.
pub(super) fn has(value: &Value, wanted: &str) -> bool {
    let is = |value: &Value| match value {
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        value => text(value).is_some_and(|text| text == wanted),
    };
    value.as_array().map_or_else(|| is(value), |values| values.iter().any(is))
}

/// A point in time in whole seconds (NumericDate, RFC 7519 section 2, which may have a fraction). `Err` where it is none.
pub(super) fn seconds(claims: &Claims, name: &str) -> Result<Option<i64>, ()> {
    /// The year 9999.
    const LAST: i64 = 253_402_300_799;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let found = value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| (0.0..=LAST as f64).contains(number))?;
        Some(number as i64)
    });
    found.filter(|seconds| (0..=LAST).contains(seconds)).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims() -> Claims {
        let value = json!({
            "realm_access": { "roles": ["a", 1, "b"] },
            "https://corp.example/groups": "c",
            "id": 74,
            "flag": true,
            "exp": 10.9,
        });
        value.as_object().unwrap().clone()
    }

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let find = |path: &str| {
            Path::parse(path).unwrap().find(&claims()).map(|value| texts(value).map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(find("realm_access.roles"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(find("https://corp.example/groups"), Some(vec!["c".to_owned()]));
        assert_eq!((find("roles"), find("realm_access.x"), find("realm_access.roles.a")), (None, None, None));
        assert!(Path::parse("").is_err());
    }

    #[test]
    fn values_compare_as_text() {
        let claims = claims();
        assert!(has(&claims["id"], "74") && has(&claims["flag"], "true") && has(&claims["realm_access"]["roles"], "b"));
        assert!(!has(&claims["id"], "7") && !has(&claims["flag"], "false") && !has(&json!(null), "null"));
        assert!(!has(&json!({"a": "b"}), "b") && !has(&json!(1.5), "1.5"));
    }

    #[test]
    fn times_are_seconds_within_the_calendar() {
        assert_eq!((seconds(&claims(), "exp"), seconds(&claims(), "nbf")), (Ok(Some(10)), Ok(None)));
        for bad in [json!("1"), json!(-1), json!(1e300), json!(null), json!(253_402_300_800_i64)] {
            let claims = json!({ "exp": bad });
            assert_eq!(seconds(claims.as_object().unwrap(), "exp"), Err(()), "{claims}");
        }
    }
}
