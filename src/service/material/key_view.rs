//! The key view: reading the public key, and operations with the private key, which never leaves.

use super::secret_view::sealed_key;
use super::{Material, Materials, VersionRef};
use crate::domain::policy::KeyUsage;
use crate::domain::{
    Certificate, Detail, EncryptionAlgorithm, Error, KeyOperation, PublicKey, Reason, Recovery, Result,
    SignatureAlgorithm, Version,
};
use crate::keys::{KeyPair, SealedKey, Work, jwk, operations, raw_rsa};
use crate::service::access::Permit;
use crate::service::records::Key;
use zeroize::Zeroizing;

/// A key as everybody may see it.
#[derive(Clone, Debug)]
pub struct KeyView {
    pub certificate: Certificate,
    pub public: PublicKey,
    pub operations: Vec<KeyOperation>,
    /// How far a deletion can be undone.
    pub recovery: Recovery,
}

/// What came out of an operation, and which version did it.
pub struct KeyResult {
    pub version: Version,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Materials {
    /// The public half. [`Reason::KeyNotFound`], [`Reason::KeyDisabled`].
    pub async fn key(&self, wanted: &Permit<VersionRef>) -> Result<KeyView> {
        let view = key_view(self.version_of(wanted, Material::Key).await?.1, self.context.recovery(&wanted.vault))?;
        if !view.certificate.enabled {
            return Err(Material::Key.disabled(&view.certificate, "get"));
        }
        Ok(view)
    }

    /// Signs a digest of the algorithm's length, or with `RSNULL` bytes of any length that fits.
    ///
    /// [`Reason::KeyNotFound`], [`Reason::KeyDisabled`], [`Reason::KeyOperationForbidden`], and
    /// [`Reason::BadParameter`] for an algorithm of another kind of key and for a wrong length.
    pub async fn sign(
        &self,
        wanted: &Permit<VersionRef>,
        algorithm: SignatureAlgorithm,
        digest: Vec<u8>,
    ) -> Result<KeyResult> {
        let (place, view) = self.usable(wanted, KeyOperation::Sign).await?;
        check_digest(&view, algorithm, &digest, "value")?;
        let (key_type, key) = (view.public.key_type, held(&place, &view.certificate, KeyOperation::Sign)?);
        let work = move |key: &KeyPair| operations::sign(key, algorithm, &digest);
        let signature = self.context.keys.with_kept_key(wanted.caller(), key_type, key, work).await?;
        Ok(KeyResult { version: view.certificate.version, bytes: Zeroizing::new(signature) })
    }

    /// Whether the signature over the digest is this key's; errors as of [`Materials::sign`].
    pub async fn verify(
        &self,
        wanted: &Permit<VersionRef>,
        algorithm: SignatureAlgorithm,
        digest: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        let (_, view) = self.usable(wanted, KeyOperation::Verify).await?;
        check_digest(&view, algorithm, &digest, "digest")?;
        self.context
            .keys
            .run(wanted.caller(), Work::Small, move || operations::verify(&view.public, algorithm, &digest, &signature))
            .await
    }

    /// Encrypts, or wraps a key: the same thing under another permission. Errors as of
    /// [`Materials::sign`]; too long a text is [`Reason::BadParameter`].
    pub async fn encrypt(
        &self,
        wanted: &Permit<VersionRef>,
        operation: KeyOperation,
        algorithm: EncryptionAlgorithm,
        plain: Zeroizing<Vec<u8>>,
    ) -> Result<KeyResult> {
        let (_, view) = self.usable(wanted, operation).await?;
        let modulus = modulus(&view, algorithm)?;
        let most = modulus - algorithm.overhead();
        if plain.len() > most {
            let problem =
                format!("It has {} bytes: {} with this key takes at most {most}.", plain.len(), algorithm.name());
            return Err(Error::field("value", problem));
        }
        let public = view.public;
        let ciphertext = self
            .context
            .keys
            .run(wanted.caller(), Work::Small, move || operations::encrypt(&public, algorithm, &plain))
            .await?;
        Ok(KeyResult { version: view.certificate.version, bytes: Zeroizing::new(ciphertext) })
    }

    /// Decrypts, or unwraps a key; errors as of [`Materials::encrypt`]. With `RSA1_5` there is an
    /// answer to every ciphertext of the right length ([`operations::decrypt`]).
    pub async fn decrypt(
        &self,
        wanted: &Permit<VersionRef>,
        operation: KeyOperation,
        algorithm: EncryptionAlgorithm,
        ciphertext: Vec<u8>,
    ) -> Result<KeyResult> {
        let (place, view) = self.usable(wanted, operation).await?;
        let modulus = modulus(&view, algorithm)?;
        if ciphertext.len() != modulus {
            let problem = format!("It has {} bytes: a ciphertext of this key has {modulus}.", ciphertext.len());
            return Err(Error::field("value", problem));
        }
        let (key_type, key) = (view.public.key_type, held(&place, &view.certificate, operation)?);
        let work = move |key: &KeyPair| operations::decrypt(key, algorithm, &ciphertext);
        let plain = self.context.keys.with_kept_key(wanted.caller(), key_type, key, work).await?;
        Ok(KeyResult { version: view.certificate.version, bytes: plain })
    }

    /// The key, if it may do this now, and its place in the store.
    async fn usable(&self, wanted: &VersionRef, operation: KeyOperation) -> Result<(Key<Certificate>, KeyView)> {
        let (place, certificate) = self.version_of(wanted, Material::Key).await?;
        let view = key_view(certificate, self.context.recovery(&wanted.vault))?;
        let (certificate, name) = (&view.certificate, operation.name());
        if !certificate.enabled {
            return Err(Material::Key.disabled(certificate, name));
        }
        if certificate.sealed_key.is_none() && operation.needs_private_key() {
            return Err(not_held(certificate, operation));
        }
        if !view.operations.contains(&operation) {
            return Err(forbidden(certificate, format!("Operation {name} is not permitted on this key.")));
        }
        if !operation.is_timeless() {
            let now = self.context.now();
            if now < certificate.not_before {
                let message = format!("Operation {name} is not allowed on a key that is not yet valid.");
                return Err(forbidden(certificate, message));
            }
            if certificate.expires <= now {
                return Err(forbidden(certificate, format!("Operation {name} is not allowed on an expired key.")));
            }
        }
        Ok((place, view))
    }
}

/// A version as a key. The usage is that of the policy; of a version that was stored without it,
/// that of the certificate. Without a private key it does what the public half can do.
fn key_view(certificate: Certificate, recovery: Recovery) -> Result<KeyView> {
    let public = jwk::of_certificate(&certificate.cer.0)?;
    let usages: Vec<KeyUsage> =
        certificate.key_usage.clone().unwrap_or_else(|| jwk::usages_of_certificate(&certificate.cer.0));
    let mut operations = KeyOperation::allowed(public.key_type, &usages);
    if certificate.sealed_key.is_none() {
        operations.retain(|operation| !operation.needs_private_key());
    }
    Ok(KeyView { certificate, public, operations, recovery })
}

fn check_digest(view: &KeyView, algorithm: SignatureAlgorithm, digest: &[u8], member: &str) -> Result<()> {
    let key_type = view.public.key_type;
    if !algorithm.fits(key_type) {
        let fitting: Vec<&str> = SignatureAlgorithm::ALL
            .into_iter()
            .filter(|other| other.fits(key_type))
            .map(SignatureAlgorithm::name)
            .collect();
        return Err(wrong_algorithm(view, algorithm.name(), &fitting));
    }
    let most = usize::try_from(key_type.bits() / 8).unwrap_or_default().saturating_sub(raw_rsa::OVERHEAD);
    let (fits, wanted) = match algorithm.digest_length() {
        Some(length) => (digest.len() == length, length.to_string()),
        None => ((1..=most).contains(&digest.len()), format!("1 to {most}")),
    };
    if !fits {
        let message = format!(
            "Invalid length of '{member}': {} bytes. {} requires {wanted} bytes, encoded with base64url.",
            digest.len(),
            algorithm.name()
        );
        return Err(
            Error::bad_parameter(message.clone()).with(Detail::Field { path: member.to_owned(), problem: message })
        );
    }
    Ok(())
}

/// The length of the modulus in bytes, which is that of every ciphertext.
fn modulus(view: &KeyView, algorithm: EncryptionAlgorithm) -> Result<usize> {
    if !view.public.key_type.is_rsa() {
        return Err(wrong_algorithm(view, algorithm.name(), &[]));
    }
    Ok(usize::try_from(view.public.key_type.bits() / 8).unwrap_or_default())
}

fn wrong_algorithm(view: &KeyView, asked: &str, fitting: &[&str]) -> Error {
    let key_type = view.public.key_type;
    let kind = key_type.curve().map_or_else(|| key_type.kty().to_owned(), |curve| format!("EC on {curve}"));
    let advice = if fitting.is_empty() { String::new() } else { format!(" Use {}.", fitting.join(", ")) };
    Error::field("alg", format!("{asked} does not fit the key, which is {kind}.{advice}"))
}

/// The private key, for an operation that needs it.
fn held(place: &Key<Certificate>, certificate: &Certificate, operation: KeyOperation) -> Result<SealedKey> {
    sealed_key(place, certificate).ok_or_else(|| not_held(certificate, operation))
}

fn not_held(certificate: &Certificate, operation: KeyOperation) -> Error {
    let name = operation.name();
    forbidden(
        certificate,
        format!(
            "Operation {name} is not permitted on this key: the certificate was created for the caller's own signing request, so its private key is not on this server. Use the key where the request was made."
        ),
    )
}

fn forbidden(certificate: &Certificate, message: String) -> Error {
    Error::new(Reason::KeyOperationForbidden, message.clone()).with(Detail::Precondition {
        kind: "KEY_OPERATION_FORBIDDEN",
        subject: certificate.name.to_string(),
        description: message,
    })
}
