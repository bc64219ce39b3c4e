//! Private keys and what is made with them: generation, sealing, requests, certificates, chains.

pub mod extensions;
pub mod key_pair;
pub mod names;
pub mod random;

pub use key_pair::KeyPair;

use crate::domain::Error;

/// A step that cannot fail on checked input did: the cause goes to the log, the caller gets the
/// general message. `what` must not hold a secret, nor may the cause.
pub(crate) fn defect<C: std::fmt::Display>(what: &'static str) -> impl FnOnce(C) -> Error {
    move |cause| {
        tracing::error!(cause = %cause, "{what}");
        Error::internal()
    }
}
