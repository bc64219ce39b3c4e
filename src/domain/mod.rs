//! The domain rules: no async, no I/O, no clock, no wire format.

pub mod access;
pub mod action;
pub mod attribute_type;
pub mod authority;
pub mod blob;
pub mod certificate;
pub mod contact;
pub mod data_action;
pub mod duration;
pub mod error;
pub mod granted;
pub mod imported_policy;
pub mod issued;
pub mod issuer;
pub mod key_operation;
pub mod name;
pub mod pending;
pub mod policy;
pub mod policy_change;
pub mod policy_input;
pub mod policy_judge;
pub mod profile;
pub mod public_key;
mod punycode;
pub mod requested_policy;
pub mod revocation;
pub mod san;
mod san_rules;
pub mod serial;
pub mod subject;
pub mod succession;
pub mod text;
pub mod time;
pub mod vault;

pub use action::{Action, ActionKind};
pub use blob::Blob;
pub use certificate::{Certificate, CertificateEntry, EntryState, Tags, VersionSummary};
pub use contact::{Contact, Contacts};
pub use data_action::DataAction;
pub use error::{Detail, Error, Reason};
pub use imported_policy::CertificateFacts;
pub use issuer::{Authority, Credentials, IssuerConfig, IssuerInput, Pause};
pub use key_operation::{EncryptionAlgorithm, KeyOperation, SignatureAlgorithm};
pub use name::{CertificateName, IssuerName, RequestId, VaultName, Version};
pub use pending::{Operation, OperationError, Status};
pub use policy::Policy;
pub use policy_input::PolicyInput;
pub use public_key::{KeyNumbers, PublicKey};
pub use requested_policy::RequestFacts;
pub use revocation::{Revocation, RevocationReason};
pub use serial::Serial;
pub use time::Timestamp;
pub use vault::{Recovery, RecoveryLevel, RetentionDays, Vault, VaultSettings};

/// What every use case answers with when it refuses or cannot.
pub type Result<T, E = Error> = std::result::Result<T, E>;
