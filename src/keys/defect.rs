//! Steps that cannot fail.

use crate::domain::Error;
use std::fmt;

/// A step that cannot fail on checked input did: the cause goes to the log, the caller gets the
/// general message. `what` must not hold a secret, nor may the cause.
pub(crate) fn defect<C: fmt::Display>(what: &'static str) -> impl FnOnce(C) -> Error {
    move |cause| {
        tracing::error!(cause = %cause, "{what}");
        Error::internal()
    }
}
