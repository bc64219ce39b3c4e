//! Helpers of providers for reading their options.

use crate::domain;

/// A problem of an option, as a field error.
pub(super) fn problem(name: &str, problem: impl Into<String>) -> domain::Error {
    domain::Error::field(format!("options.{name}"), problem)
}

/// The items of a list.
pub(super) fn list(text: Option<&str>) -> Vec<String> {
    let items = text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// The address of a service, without a slash at its end.
///
/// # Errors
/// What is no http(s) address; a scheme that is not among `schemes`; a user name or a password, since options are shown.
pub(super) fn address(name: &str, text: &str, schemes: &[&str]) -> domain::Result<String> {
    let refused = || problem(name, format!("Not an {} address.", schemes.join(" or ")));
    let uri = text.parse::<http::Uri>().map_err(|_| refused())?;
    if uri.host().is_none() || !uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) {
        return Err(refused());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(problem(name, "Options are shown: leave the user name and the password out of the address."));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// As [`address`], of an API whose paths are appended.
pub(super) fn base_url(name: &str, text: &str) -> domain::Result<String> {
    if text.contains('?') {
        return Err(problem(name, "Not an https address without a query."));
    }
    address(name, text, &["https"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_that_is_taken_and_no_password() {
        assert_eq!(address("a", "https://ca.example/dir/", &["https"]).unwrap(), "https://ca.example/dir");
        assert_eq!(address("a", "http://[::1]:80", &["https", "http"]).unwrap(), "http://[::1]:80");
        for text in ["", "ca.example", "http://ca.example", "https:///dir", "https://us er@ca.example"] {
            assert!(address("a", text, &["https"]).unwrap_err().message.contains("Not an https address"), "{text}");
        }
        for text in ["https://user:hunter2@ca.example/dir", "https://user@ca.example", "https://:hunter2@[::1]/"] {
            let refused = address("a", text, &["https"]).unwrap_err();
            assert!(refused.message.contains("leave the user name") && !refused.message.contains("hunter2"));
        }
        assert!(base_url("a", "https://ca.example/?x=1").is_err());
    }
}
