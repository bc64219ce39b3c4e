//! DNS as needed for certificates: queries to resolvers and authoritative servers, and signed zone updates. There is no
//! cache, since callers need the current data.

mod resolve;
mod transfer;
mod update;

pub use hickory_proto::rr::Name;
pub use resolve::{Resolver, Zone};
pub use update::{TsigKey, Updater};

use std::fmt;

/// What a question or an update came to. The text holds no secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DnsError {
    /// No usable answer; the same question may be answered later.
    Unreachable(String),
    /// The server said no, and will again.
    Refused(String),
    /// The settings cannot work: a name, a key, a server address.
    Settings(String),
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) | Self::Refused(text) | Self::Settings(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for DnsError {}

/// A name as a fully qualified one.
///
/// # Errors
/// A text that is no domain name.
pub fn name(text: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(text).map_err(|_| DnsError::Settings(format!("{text:?} is not a domain name.")))?;
    name.set_fqdn(true);
    Ok(name)
}
