//! What a caller says of a webhook.

use super::secrets::{MOST, Secrets};
use crate::domain::webhook::{Receiver, event_types};
use crate::domain::{Error, Result, Webhook};
use crate::keys::WebhookSecret;
use http::{HeaderName, HeaderValue, Uri};
use std::collections::BTreeMap;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Longest address, in bytes.
const MAX_URL: usize = 2048;
/// Most headers, and the longest value of one, in bytes.
const MAX_HEADERS: usize = 20;
const MAX_HEADER: usize = 4096;
/// Longest list of certificates, in bytes.
const MAX_ROOTS: usize = 64 * 1024;
/// Headers that requests have anyway, and how those of envelopes and signatures begin.
const TAKEN: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
];
const TAKEN_BEGINNINGS: [&str; 3] = ["webhook-", "aeg-", "ce-"];

/// A webhook as it is to be.
#[derive(Clone, Debug)]
pub struct WebhookInput {
    pub receiver: Receiver,
    pub event_types: Vec<String>,
    /// `whsec_` and base64: signs from now on, beside the secrets before.
    pub secret: Option<Zeroizing<String>>,
    /// The server makes the secret. So it does for a new webhook without one.
    pub make_secret: bool,
    /// The secrets before sign no more.
    pub forget_secrets: bool,
    /// Headers of every request, which may hold secrets: those that are named are changed, one without a value is removed,
    /// and the others stay unless the address is changed.
    pub headers: BTreeMap<String, Zeroizing<String>>,
}

impl WebhookInput {
    /// # Errors
    /// The member, and what is wrong with it.
    pub(super) fn check(&self) -> Result<()> {
        let Receiver { url, envelope: _, handshake: _, ca_certificates } = &self.receiver;
        check_url(url)?;
        event_types(&self.event_types)?;
        if ca_certificates.as_ref().is_some_and(|pem| pem.len() > MAX_ROOTS) {
            return Err(Error::field("ca_certificates", format!("More than {MAX_ROOTS} bytes.")));
        }
        if self.secret.is_some() && self.make_secret {
            return Err(Error::field("make_secret", "Either a secret is given, or the server makes one."));
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(Error::field("headers", format!("More than {MAX_HEADERS}.")));
        }
        for (name, value) in &self.headers {
            let refuse = |problem: &str| Err(Error::field("headers", problem));
            let Ok(parsed) = name.parse::<HeaderName>() else {
                return refuse("One has a name that no header of HTTP can have.");
            };
            let name = parsed.as_str();
            if TAKEN.contains(&name) || TAKEN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
                return refuse(&format!("The header {name} is set by the server."));
            }
            if value.len() > MAX_HEADER || HeaderValue::from_str(value).is_err() {
                return refuse(&format!(
                    "The value of {name} is longer than {MAX_HEADER} bytes, or has characters that no header can have."
                ));
            }
        }
        Ok(())
    }

    /// The host of the receiver, for the audit ledger.
    pub(super) fn host(&self) -> String {
        let uri = self.receiver.url.parse::<Uri>().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }

    /// What the webhook keeps sealed, and the secret if it was made here.
    pub(super) fn secrets(
        &self,
        old: Option<&Webhook>,
        kept: Option<&Secrets>,
    ) -> Result<(Secrets, Option<Zeroizing<String>>)> {
        let mut signing: Vec<WebhookSecret> = match kept {
            Some(kept) if !self.forget_secrets => kept.signing().to_vec(),
            _ => Vec::new(),
        };
        let given = self.secret.as_ref().map(|text| WebhookSecret::parse(text)).transpose()?;
        if kept.is_some() && self.forget_secrets && given.is_none() && !self.make_secret {
            // The newest one stays.
            signing.extend(kept.and_then(|kept| kept.signing().first().cloned()));
        }
        let made = (self.make_secret || (given.is_none() && signing.is_empty())).then(WebhookSecret::generate);
        if let Some(new) = given.as_ref().or(made.as_ref()) {
            signing.retain(|secret| secret != new);
            signing.insert(0, new.clone());
            signing.truncate(MOST);
        }
        // Who may change the address must not learn what the receiver before was sent.
        let same = old.is_some_and(|old| old.receiver.url == self.receiver.url);
        let mut headers = kept.filter(|_| same).map(|kept| kept.headers().clone()).unwrap_or_default();
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            if value.is_empty() {
                headers.remove(&name);
            } else {
                headers.insert(name, value.clone());
            }
        }
        if headers.len() > MAX_HEADERS {
            return Err(Error::field("headers", format!("More than {MAX_HEADERS}, with those that were set before.")));
        }
        Ok((Secrets::new(signing, headers), made.map(|made| made.text())))
    }
}

/// An address that events may go to: https, or http on this machine.
fn check_url(url: &str) -> Result<()> {
    let refuse = |problem: &str| Err(Error::field("url", problem));
    if url.len() > MAX_URL {
        return refuse("It is longer than 2048 bytes.");
    }
    let Ok(uri) = url.parse::<Uri>() else { return refuse("Not an https address.") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return refuse("Not an https address.");
    };
    if authority.as_str().contains('@') {
        return refuse("The address is shown: leave the user name and the password out, and use a header.");
    }
    if url.contains('#') {
        return refuse("Leave out the part behind #: it is not sent.");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        "http" => refuse("Only https is allowed for receivers on other machines."),
        _ => refuse("Not an https address."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Envelope;

    fn input() -> WebhookInput {
        let receiver = Receiver {
            url: "https://hooks.example/a".into(),
            envelope: Envelope::CloudEvents,
            handshake: false,
            ca_certificates: None,
        };
        WebhookInput {
            receiver,
            event_types: Vec::new(),
            secret: None,
            make_secret: false,
            forget_secrets: false,
            headers: BTreeMap::new(),
        }
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_shows_no_secret() {
        for good in ["https://hooks.example/a?b=c", "http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["", "hooks.example", "http://hooks.example", "ftp://localhost", "https://u:hunter2@hooks.example"] {
            assert!(!check_url(bad).unwrap_err().message.contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn headers_of_the_server_are_not_changed() {
        for bad in ["Host", "webhook-id", "Aeg-Event-Type", "content-length", "a b", ""] {
            let headers = [(bad.to_owned(), Zeroizing::new("hunter2".to_owned()))].into();
            let refused = WebhookInput { headers, ..input() }.check().unwrap_err().message;
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        let headers = [("Authorization".to_owned(), Zeroizing::new("Bearer x".to_owned()))].into();
        WebhookInput { headers, ..input() }.check().unwrap();
    }

    #[test]
    fn a_new_secret_signs_beside_the_one_before_until_that_is_forgotten() {
        let (first, made) = input().secrets(None, None).unwrap();
        assert!(made.is_some());
        let (same, none) = input().secrets(None, Some(&first)).unwrap();
        assert!(none.is_none() && same.signing() == first.signing());
        let (both, _) = WebhookInput { make_secret: true, ..input() }.secrets(None, Some(&first)).unwrap();
        assert_eq!((both.signing().len(), &both.signing()[1]), (2, &first.signing()[0]));
        assert_eq!(both.sign("a", 1, b"").split(' ').count(), 2);
        let (newest, none) = WebhookInput { forget_secrets: true, ..input() }.secrets(None, Some(&both)).unwrap();
        assert!(none.is_none() && newest.signing() == &both.signing()[..1]);
    }
}
