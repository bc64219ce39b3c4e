//! The rules.

pub mod error;
pub mod name;
pub mod time;
pub use error::{Detail, Error, Reason};
pub use name::{CertificateName, IssuerName, RequestId, VaultName, Version};
pub use time::Timestamp;

/// Answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;
