//! The contract of plug-ins: what `build.rs` makes of `proto/certmint/issuer`, and the Debug of messages that hold
//! secrets.

use super::hidden::Hidden;
use std::fmt;

/// Messages, client and server of the package `certmint.issuer.v1`.
#[expect(clippy::allow_attributes, clippy::disallowed_types, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("certmint.issuer.v1");
}

impl fmt::Debug for v1::IssuerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, issuer_name, account_id, password, organization, options, secret_options } = self;
        let hidden: Vec<(&String, Hidden)> =
            secret_options.iter().map(|(name, secret)| (name, Hidden(secret.len()))).collect();
        // A value of the wrong option may be a secret.
        let options: Vec<&String> = options.keys().collect();
        f.debug_struct("IssuerConfig")
            .field("provider", provider)
            .field("issuer_name", issuer_name)
            .field("account_id", account_id)
            .field("password", &Hidden(password.len()))
            .field("organization", organization)
            .field("options", &options)
            .field("secret_options", &hidden)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_of_a_call_holds_a_secret() {
        let issuer = v1::IssuerConfig {
            password: "correct horse".into(),
            secret_options: [("token".to_owned(), "battery staple".to_owned())].into(),
            ..Default::default()
        };
        let advance = v1::AdvanceRequest { issuer: Some(issuer.clone()), ..Default::default() };
        for text in [format!("{issuer:?}"), format!("{:?}", tonic::Request::new(advance))] {
            assert!(text.contains("token") && !text.contains("horse") && !text.contains("staple"), "{text}");
        }
    }
}
