//! The secret view: the certificate with its private key, if it is exportable. This is the only place that decrypts
//! keys for export; `transport/audit` logs the caller.

use super::{Material, Materials, VersionRef};
use crate::domain::policy::ContentType;
use crate::domain::{Blob, Certificate, Error, Recovery, Result};
use crate::keys::export::{Exported, as_pem, as_pkcs12};
use crate::keys::{Caller, SealedKey, Work, public_key_of};
use crate::service::access::Permit;
use crate::service::records::Key;
use std::fmt;
use zeroize::Zeroizing;

/// A secret; its value never shows in `Debug`.
pub struct SecretView {
    pub certificate: Certificate,
    /// The form of the value.
    pub form: ContentType,
    /// PKCS #12 in base64, or PEM text.
    pub value: Zeroizing<String>,
    /// How far a deletion can be undone.
    pub recovery: Recovery,
}

impl fmt::Debug for SecretView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretView").field("version", &self.certificate.version).finish_non_exhaustive()
    }
}

impl Materials {
    /// The secret of a version, in the form that its policy names or in `form`. Without its key
    /// where that is not exportable, or not here.
    ///
    /// [`Reason::SecretNotFound`](crate::domain::Reason::SecretNotFound),
    /// [`Reason::SecretDisabled`](crate::domain::Reason::SecretDisabled), and
    /// [`Reason::BadParameter`](crate::domain::Reason::BadParameter) if a PEM secret is asked
    /// for as PKCS #12.
    pub async fn secret(&self, wanted: &Permit<VersionRef>, form: Option<ContentType>) -> Result<SecretView> {
        let (place, certificate) = self.version_of(wanted, Material::Secret).await?;
        if !certificate.enabled {
            return Err(Material::Secret.disabled(&certificate, "get"));
        }
        let own = certificate.content_type;
        let form = match (own, form) {
            (ContentType::Pem, Some(ContentType::Pkcs12)) => {
                return Err(Error::field(
                    "outContentType",
                    "A secret stored as application/x-pem-file can be returned in that form only.",
                ));
            }
            (own, form) => form.unwrap_or(own),
        };
        let value = self.exported(wanted.caller(), &place, &certificate, form).await?;
        let recovery = self.context.recovery(&certificate.vault);
        Ok(SecretView { certificate, form, value, recovery })
    }

    async fn exported(
        &self,
        caller: &Caller,
        place: &Key<Certificate>,
        certificate: &Certificate,
        form: ContentType,
    ) -> Result<Zeroizing<String>> {
        let (name, leaf) = (certificate.name.to_string(), certificate.cer.0.clone());
        let chain: Vec<Vec<u8>> = certificate.chain.iter().map(|Blob(der)| der.clone()).collect();
        let write = move |key: Option<&[u8]>| {
            let exported = Exported { name: &name, leaf: &leaf, chain: &chain };
            match form {
                ContentType::Pkcs12 => as_pkcs12(exported, key),
                ContentType::Pem => as_pem(exported, key),
            }
        };
        match sealed_key(place, certificate).filter(|_| certificate.exportable) {
            Some(key) => self.context.keys.with_pkcs8(caller, key, move |key| Ok(write(Some(key)))).await,
            None => self.context.keys.run(caller, Work::Small, move || Ok(write(None))).await,
        }
    }
}

/// The key of a version. It opens where it was sealed for the place that was asked for, and where it is the other half
/// of the certificate. `None` where the key is the caller's and never was here.
pub(in crate::service) fn sealed_key(place: &Key<Certificate>, certificate: &Certificate) -> Option<SealedKey> {
    certificate.sealed_key.clone().map(|sealed| SealedKey {
        sealed,
        context: place.sealed_for(),
        // Of what is no certificate there is no key.
        public_key: public_key_of(&certificate.cer.0).unwrap_or_default(),
    })
}
