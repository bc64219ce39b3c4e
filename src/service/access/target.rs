//! What permits are asked for.

use crate::domain::access::VaultPattern;
use crate::domain::{CertificateName, IssuerName, VaultName};

/// What a permit is asked for: a request of a use case, or the names of what it is about.
pub trait Target {
    /// The vault; `None` for all of them.
    fn vault(&self) -> Option<&VaultName>;

    /// The certificate or the issuer; `None` for what concerns the whole vault.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Whether it concerns every name of the vault where it names none. Else it is a list whose entries are sorted out, or
    /// finds its name later.
    fn needs_every_name(&self) -> bool {
        false
    }

    /// Whether it shows what an issuer signed, for whomever: for that it is not enough to be allowed to ask it.
    fn shows_what_was_signed(&self) -> bool {
        false
    }

    /// Certificates of which each has to be allowed, where the request has many.
    fn names(&self) -> &[CertificateName] {
        &[]
    }

    /// Whether it concerns every vault, also those to come: the vault of the request is to be made, or none is meant in
    /// particular. Any other one has to be there.
    fn concerns_every_vault(&self) -> bool {
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

/// The vaults of a grant.
impl Target for VaultPattern {
    fn vault(&self) -> Option<&VaultName> {
        match self {
            Self::Every => None,
            Self::One(vault) => Some(vault),
        }
    }

    fn concerns_every_vault(&self) -> bool {
        *self == Self::Every
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

/// A vault with a name in it as a path has it: a certificate, an issuer, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub vault: &'a VaultName,
    pub name: Option<&'a str>,
}

impl Target for Place<'_> {
    fn vault(&self) -> Option<&VaultName> {
        Some(self.vault)
    }

    fn name(&self) -> Option<&str> {
        self.name
    }
}
