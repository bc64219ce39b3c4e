//! Tokens of other issuers (JWT, RFC 7519): whose they are, checked offline with the keys that the issuers publish.

mod algorithm;
mod audience;
mod cache;
mod claims;
mod client;
mod fetch;
mod issuers;
mod kept;
mod key;
mod key_set;
mod options;
mod patient;
mod refusal;
mod refused;
mod rules;
mod source;
mod token;

pub use algorithm::Algorithm;
pub use cache::{Accepted, TokenHash};
pub use issuers::{Issuers, IssuersOptions, JwtError};
pub use options::{FederatedOptions, JwtOptions, Names};
pub use refusal::{Cause, Refusal};
pub use rules::Identity;
pub use source::SourceState;
pub use token::MAX_TOKEN;

/// Whether these bytes are a token in its form: for the fuzz targets.
pub(crate) fn reads_token(bytes: &[u8]) -> bool {
    token::Token::parse(bytes).is_ok()
}

/// Whether these bytes are a key set with a key that can be used: for the fuzz targets.
pub(crate) fn reads_key_set(bytes: &[u8]) -> bool {
    key::parse_set(bytes).is_ok_and(|keys| !keys.is_empty())
}
