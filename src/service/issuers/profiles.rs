//! The profiles of an issuer object: where they are kept, and which one a request is under.

use super::Issuing;
use crate::domain::issuer::is_local_ca;
use crate::domain::profile::{Profile, Profiles, ProfilesInput};
use crate::domain::{Error, IssuerConfig, IssuerName, Result, VaultName};
use crate::service::records::key;
use std::collections::BTreeMap;

/// The option that keeps them. Releases that know no profiles know no options of a `LocalCA` either, and refuse to change
/// an issuer object that has one: during a rolling upgrade they do not drop the rules.
const KEPT: &str = "certmint.profiles";
/// Longest text of all profiles of an issuer, in bytes.
const MAX_TEXT: usize = 256 * 1024;

/// The profiles of an issuer object.
///
/// # Errors
/// A defect where they cannot be read: rules are not passed over.
pub fn profiles_of(issuer: &IssuerConfig) -> Result<Profiles> {
    let Some(text) = issuer.options.get(KEPT) else { return Ok(Profiles::default()) };
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(issuer = %issuer.name, %error, "the profiles of an issuer cannot be read");
        Error::internal()
    })
}

/// The options of an issuer object as they were set.
pub fn options_of(issuer: &IssuerConfig) -> BTreeMap<String, String> {
    issuer.options.iter().filter(|(name, _)| *name != KEPT).map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// Whether the name of an option is taken for this.
pub(in crate::service) fn is_reserved(name: &str) -> bool {
    name == KEPT
}

/// Puts the profiles into the object: those that were there, changed as the input says.
///
/// # Errors
/// The profile and member that is wrong; profiles of a provider that has none.
pub(super) fn keep(issuer: &mut IssuerConfig, before: Option<&IssuerConfig>, input: &ProfilesInput) -> Result<()> {
    let held = before.map(profiles_of).transpose()?.unwrap_or_default();
    issuer.options.remove(KEPT);
    if !is_local_ca(&issuer.provider) {
        if input.is_empty() {
            return Ok(());
        }
        let problem = format!("They are rules of a LocalCA; {} has its own.", issuer.provider);
        return Err(Error::field("profiles", problem));
    }
    let profiles = held.changed(input)?;
    if profiles.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string(&profiles).map_err(|_| Error::internal())?;
    if text.len() > MAX_TEXT {
        return Err(Error::field("profiles", format!("They are longer than {MAX_TEXT} bytes in all.")));
    }
    issuer.options.insert(KEPT.to_owned(), text);
    Ok(())
}

impl Issuing {
    /// The profile that a request for this issuer is under; `None` where there is none, and where there is no such
    /// issuer, which is found out later.
    ///
    /// # Errors
    /// `BadParameter` where the request names no profile that the issuer has.
    pub(in crate::service) async fn profile(
        &self,
        vault: &VaultName,
        issuer: Option<&str>,
        certificate_type: Option<&str>,
    ) -> Result<Option<Profile>> {
        let Some(Ok(name)) = issuer.map(IssuerName::parse) else { return Ok(None) };
        match self.context.load(&key::issuer(vault, &name)).await? {
            Some((_, config)) if is_local_ca(&config.provider) => profiles_of(&config)?.chosen(certificate_type),
            _ => Ok(None),
        }
    }
}
