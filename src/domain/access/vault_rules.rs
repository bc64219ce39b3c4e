//! Rules of whole vaults: they hold for everybody, and again when a certificate is issued.

use super::pattern::VaultPattern;
use super::requested::Requested;
use super::rules::{Rules, Violation};
use crate::domain::VaultName;

/// The rules of the vaults that have some.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VaultRules(pub(super) Vec<(VaultPattern, Rules)>);

impl VaultRules {
    /// The first thing of the request that a rule of the vault does not allow. All rules of a vault hold together.
    pub fn violation(&self, vault: &VaultName, requested: &Requested<'_>) -> Option<Violation> {
        let of_vault = self.0.iter().filter(|(pattern, _)| pattern.matches(vault));
        of_vault.map(|(_, rules)| rules).find_map(|rules| rules.violation(requested))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
