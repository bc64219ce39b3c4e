//! What an error of certmint says: the details of its google.rpc.Status.

use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub struct RichError {
    pub code: Code,
    pub message: String,
    /// A name of certmint.v1.ErrorReason; empty where the error was made on this side, as by a cut connection.
    pub reason: String,
    details: ErrorDetails,
}

impl RichError {
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == "certmint.v1");
        let reason = info.map(|info| info.reason.clone()).unwrap_or_default();
        Self { code: status.code(), message: status.message().to_owned(), reason, details }
    }

    /// Set where the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.retry_info()?.retry_delay
    }

    /// The reason or, where there is none, the code.
    pub fn name(&self) -> String {
        if self.reason.is_empty() { format!("{:?}", self.code) } else { self.reason.clone() }
    }
}

impl fmt::Display for RichError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", format!("{:?} {}", self.code, self.reason).trim_end(), self.message)?;
        // Which fields of the request are wrong, and why.
        for violation in self.details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        if let Some(about) = self.details.resource_info() {
            write!(f, "\n  about: {} {}", about.resource_type, about.resource_name)?;
        }
        if let Some(wait) = self.retry_after() {
            write!(f, "\n  retry after: {wait:?}")?;
        }
        Ok(())
    }
}
