//! What a stream may show, by the rights of its caller when it was opened, and whether that has become less.

use super::filter::WatchRequest;
use crate::domain::access::{NamePattern, Visible};
use crate::domain::{CertificateName, Timestamp, VaultName};
use crate::keys::Caller;
use crate::service::access::{Granted, Rights};
use std::sync::Arc;
use tokio::sync::watch;

/// What the caller of a stream sees.
#[derive(Debug)]
pub(super) struct Sight {
    visible: Visible,
    granted: Granted,
    caller: Caller,
    rights: Arc<Rights>,
    number: watch::Receiver<u64>,
}

impl Sight {
    /// By the grants that the stream was permitted by, of what it asks for.
    pub(super) fn new(rights: &Arc<Rights>, caller: &Caller, granted: &Granted, request: &WatchRequest) -> Self {
        // Before the comparison below, so that no change is missed.
        let mut number = rights.number();
        number.mark_changed();
        let visible = within(granted.visible(), request);
        Self { visible, granted: granted.clone(), caller: caller.clone(), rights: rights.clone(), number }
    }

    /// Whether this may be shown.
    pub(super) fn shows(&self, vault: &VaultName, name: &str) -> bool {
        self.visible.shows(vault, name)
    }

    /// Whether less may be shown now than when the stream was opened. Asked before each message, so it costs one look
    /// where nothing changed.
    pub(super) fn is_narrowed(&mut self, now: Timestamp) -> bool {
        if !self.number.has_changed().unwrap_or(true) {
            return false;
        }
        self.number.mark_unchanged();
        let fresh = self.granted.refreshed(self.rights.held(&self.caller).as_ref(), now);
        !fresh.covers(&self.visible)
    }
}

/// Only what the stream asks for: the loss of something else does not end it.
fn within(visible: Visible, request: &WatchRequest) -> Visible {
    let Some(vault) = &request.vault else { return visible };
    if request.names.is_empty() {
        return Visible::in_vault(vault.clone(), visible.names_in(vault));
    }
    let name = |name: &CertificateName| NamePattern::Exact(name.key());
    Visible::in_vault(vault.clone(), request.names.iter().map(name).collect())
}
