//! Secrets that sign what webhooks get, as Standard Webhooks have it
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use super::random::fill;
use crate::domain::{Error, Result};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;
use zeroize::Zeroizing;

/// How the text of a secret begins.
const PREFIX: &str = "whsec_";
/// The specification: from 24 bytes to 64.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key for HMAC-SHA-256, with the text that people exchange. Debug does not show it.
#[derive(Clone, Eq, PartialEq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(hidden)")
    }
}

impl WebhookSecret {
    /// A new one of 32 bytes.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        fill(&mut bytes);
        Self(bytes)
    }

    /// From `whsec_` and base64.
    ///
    /// # Errors
    /// What is not that, without the text.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok()).map(Zeroizing::new);
        match bytes {
            Some(bytes) if LENGTHS.contains(&bytes.len()) => Ok(Self(bytes)),
            _ => Err(Error::field("secret", "It is whsec_ followed by the base64 of 24 to 64 random bytes.")),
        }
    }

    /// `whsec_` and base64.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(&*self.0)))
    }

    /// One signature of the header `webhook-signature`.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, &self.0));
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the libraries of Standard Webhooks.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_a_form_and_is_never_shown() {
        let made = WebhookSecret::generate();
        assert_eq!(WebhookSecret::parse(&made.text()).unwrap(), made);
        assert!(!format!("{made:?}").contains(&made.text()[6..]));
        for bad in ["", "hunter2hunter2hunter2hunter2", "whsec_AAAA", "whsec_!", &format!("whsec_{}", "A".repeat(100))]
        {
            let refused = WebhookSecret::parse(bad).unwrap_err().message;
            assert!(refused.contains("whsec_") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
