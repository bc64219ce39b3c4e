//! The filter of a subscriber.

use super::sight::Sight;
use crate::domain::{CertificateName, Error, Operation, RequestId, Result, Status, Timestamp, VaultName};
use crate::service::access::Target;
use std::time::Duration;

/// Most names of one watch.
pub(super) const MAX_NAMES: usize = 1000;

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Snapshot {
    None,
    InProgress,
    All,
}

/// A watch as a caller asks for it; the filters are combined with "and".
#[derive(Clone, Debug, Default)]
pub struct WatchRequest {
    /// `None`: every vault.
    pub vault: Option<VaultName>,
    /// Empty: every name. At most [`MAX_NAMES`].
    pub names: Vec<CertificateName>,
    /// Compares without case.
    pub prefix: String,
    pub request_id: Option<RequestId>,
    /// Empty: every status. Compared with the status that an event carries.
    pub statuses: Vec<Status>,
    /// Empty: begin with the snapshot.
    pub resume_token: String,
    /// `None`: all where names or a request id are given, else those in progress.
    pub snapshot: Option<Snapshot>,
    /// End when every operation that was shown has ended.
    pub until_terminal: bool,
    /// `None`: the default; brought between the limits.
    pub heartbeat: Option<Duration>,
    /// When the caller's patience ends.
    pub deadline: Option<Duration>,
}

impl Target for WatchRequest {
    fn vault(&self) -> Option<&VaultName> {
        self.vault.as_ref()
    }

    fn names(&self) -> &[CertificateName] {
        &self.names
    }
}

impl WatchRequest {
    pub(super) fn check(&self) -> Result<()> {
        if self.names.len() > MAX_NAMES {
            return Err(Error::field(
                "certificate_names",
                format!("More than {MAX_NAMES} names: watch by prefix, or open another stream."),
            ));
        }
        if self.until_terminal && self.names.is_empty() && self.request_id.is_none() {
            return Err(Error::field(
                "until_terminal",
                "It needs certificate_names or request_id: a whole vault never ends.",
            ));
        }
        if self.request_id.is_some() && self.vault.is_none() {
            return Err(Error::field("request_id", "It is unique in a vault only: name the vault."));
        }
        Ok(())
    }

    /// Whether an operation that is watched may have ended before the position of the stream.
    pub(super) fn may_have_ended(&self) -> bool {
        self.request_id.is_some() || !self.resume_token.is_empty()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.unwrap_or(if self.names.is_empty() && self.request_id.is_none() {
            Snapshot::InProgress
        } else {
            Snapshot::All
        })
    }
}

/// The filter in the form in which events are asked.
#[derive(Debug)]
pub(super) struct Filter {
    vault: Option<VaultName>,
    /// In lower case, sorted.
    names: Vec<String>,
    prefix: String,
    request_id: Option<RequestId>,
    statuses: Vec<Status>,
    /// `None` where the caller sees everything, for as long as the stream lives.
    sight: Option<Box<Sight>>,
}

impl Filter {
    pub(super) fn new(request: &WatchRequest, sight: Option<Sight>) -> Self {
        let mut names: Vec<String> = request.names.iter().map(CertificateName::key).collect();
        names.sort_unstable();
        Self {
            vault: request.vault.clone(),
            names,
            prefix: request.prefix.to_ascii_lowercase(),
            request_id: request.request_id,
            statuses: request.statuses.clone(),
            sight: sight.map(Box::new),
        }
    }

    /// Whether the caller may see less now than when the stream was opened.
    pub(super) fn is_narrowed(&mut self, now: Timestamp) -> bool {
        self.sight.as_mut().is_some_and(|sight| sight.is_narrowed(now))
    }

    /// Whether the operation is one of those that are watched, in whatever status.
    pub(super) fn concerns(&self, operation: &Operation) -> bool {
        if self.vault.as_ref().is_some_and(|vault| *vault != operation.vault) {
            return false;
        }
        if self.request_id.is_some_and(|id| id != operation.request_id) {
            return false;
        }
        if self.sight.as_ref().is_some_and(|sight| !sight.shows(&operation.vault, operation.certificate.as_str())) {
            return false;
        }
        if self.names.is_empty() && self.prefix.is_empty() {
            return true;
        }
        let name = operation.certificate.as_str();
        (self.names.is_empty() || self.has(name)) && begins_with(name, &self.prefix)
    }

    /// Asked for each event and stream, so it makes no text.
    fn has(&self, name: &str) -> bool {
        let lower = || name.bytes().map(|byte| byte.to_ascii_lowercase());
        self.names.binary_search_by(|one| one.bytes().cmp(lower())).is_ok()
    }

    /// Whether this status is to be shown.
    pub(super) fn shows(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// Whether the name begins with the prefix, which is in lower case.
fn begins_with(name: &str, prefix: &str) -> bool {
    name.as_bytes().get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(names: &[&str]) -> Filter {
        let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        Filter { vault: None, names, prefix: String::new(), request_id: None, statuses: Vec::new(), sight: None }
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let filter = filter(&["Web", "a-1", "a", "zebra", "B2"]);
        for name in ["web", "WEB", "A-1", "a", "ZEBRA", "b2"] {
            assert!(filter.has(name), "{name}");
        }
        for name in ["we", "webs", "", "a-", "b"] {
            assert!(!filter.has(name), "{name}");
        }
    }

    #[test]
    fn prefixes_are_found_whatever_their_case() {
        assert!(begins_with("Web-1", "web") && begins_with("WEB", "web") && begins_with("x", ""));
        assert!(!begins_with("we", "web") && !begins_with("aweb", "web"));
    }
}
