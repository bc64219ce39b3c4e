//! Who may do what. Every use case that touches a vault takes a [`Permit`] for what it is asked to do, and only
//! [`Access::check`] makes one for a caller: a handler that did not ask does not compile.

use super::vaults::known::Vaults;
use crate::domain::{CertificateName, DataAction, IssuerName, Result, VaultName};
use crate::keys::Caller;
use std::ops::Deref;
use std::sync::Arc;

/// What a permit is asked for: a request of a use case, or the names of what it is about.
pub trait Target {
    /// The vault; `None` for all of them.
    fn vault(&self) -> Option<&VaultName>;

    /// The certificate or the issuer; `None` for what concerns the whole vault.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Whether the vault is to be made. Any other one has to be there.
    fn makes_vault(&self) -> bool {
        false
    }
}

/// A certificate of a vault.
pub type CertificateRef = (VaultName, CertificateName);
/// An issuer object of a vault.
pub type IssuerRef = (VaultName, IssuerName);

/// Every vault of the server.
#[derive(Clone, Copy, Debug)]
pub struct AllVaults;

impl Target for AllVaults {
    fn vault(&self) -> Option<&VaultName> {
        None
    }
}

impl Target for VaultName {
    fn vault(&self) -> Option<&VaultName> {
        Some(self)
    }
}

impl Target for IssuerRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.0)
    }

    fn name(&self) -> Option<&str> {
        Some(self.1.as_str())
    }
}

/// A certificate of the vault that the first part says.
impl<T: Target> Target for (T, CertificateName) {
    fn vault(&self) -> Option<&VaultName> {
        self.0.vault()
    }

    fn name(&self) -> Option<&str> {
        Some(self.1.as_str())
    }
}

/// A `T` that its caller may ask for. Made by [`Access::check`], and by the service itself for its own work.
#[derive(Debug)]
pub struct Permit<T> {
    target: T,
    caller: Caller,
}

impl<T> Permit<T> {
    /// For the background work of the server, which acts for nobody.
    pub(super) fn service(target: T) -> Self {
        Self { target, caller: Caller::server() }
    }

    /// On whose behalf keys work, and until when the result is of use.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What was permitted, for use cases that take their request apart.
    pub(super) fn into_parts(self) -> (T, Caller) {
        let Self { target, caller } = self;
        (target, caller)
    }
}

impl<T> Deref for Permit<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.target
    }
}

/// The decision point.
#[derive(Clone, Debug)]
pub struct Access {
    vaults: Arc<Vaults>,
}

impl Access {
    pub(super) fn new(vaults: Arc<Vaults>) -> Self {
        Self { vaults }
    }

    /// The vault of this name.
    ///
    /// # Errors
    /// `VaultNotFound`; and where the store cannot say whether it is there.
    pub async fn vault(&self, name: &VaultName) -> Result<VaultName> {
        self.vaults.find(name).await.map(|vault| vault.name)
    }

    /// Whether the caller may do this. Every caller whose credentials were accepted may do everything in every vault
    /// that is there.
    ///
    /// # Errors
    /// As [`Access::vault`].
    pub async fn check<T: Target>(&self, caller: &Caller, action: DataAction, target: T) -> Result<Permit<T>> {
        if let Some(vault) = target.vault().filter(|_| !target.makes_vault()) {
            self.vault(vault).await?;
        }
        tracing::trace!(action = action.text(), vault = ?target.vault(), name = target.name(), "permitted");
        Ok(Permit { target, caller: caller.clone() })
    }
}
