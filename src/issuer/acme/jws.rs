//! Signed requests of ACME (RFC 8555 section 6.2): an ES256 account key, its JWK, and the binding
//! of an external account (section 7.3.4).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Base64 as JOSE writes it (RFC 7515 section 2).
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key of an account.
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl AccountKey {
    /// A new key, as PKCS#8.
    pub(super) fn generate() -> Result<Zeroizing<Vec<u8>>, String> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| "No account key could be made.".to_owned())
    }

    pub(super) fn read(pkcs8: &[u8]) -> Result<Self, String> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map_err(|_| "The account key cannot be read.".to_owned())?;
        Ok(Self { pair, random: SystemRandom::new() })
    }

    /// The public key as JWK (RFC 7518 section 6.2), members in the order of RFC 7638.
    pub(super) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len().saturating_sub(1) / 2);
        json!({"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)})
    }

    /// The thumbprint of the public key (RFC 7638): a key authorization is a token, a dot and this
    /// (RFC 8555 section 8.1).
    pub(super) fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        // Written out, since RFC 7638 hashes exactly this text.
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        base64url(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    }

    /// A flattened JWS. `kid` is the account's address; without it the key itself is sent. An
    /// empty payload is a POST-as-GET (section 6.3).
    pub(super) fn sign(
        &self,
        kid: Option<&str>,
        nonce: Option<&str>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Value, String> {
        let mut header = json!({"alg": "ES256", "url": url});
        match kid {
            Some(kid) => header["kid"] = json!(kid),
            None => header["jwk"] = self.jwk(),
        }
        if let Some(nonce) = nonce {
            header["nonce"] = json!(nonce);
        }
        let protected = base64url(header.to_string().as_bytes());
        let payload = payload.map_or_else(String::new, |payload| base64url(payload.to_string().as_bytes()));
        let input = format!("{protected}.{payload}");
        let signature =
            self.pair.sign(&self.random, input.as_bytes()).map_err(|_| "The account key cannot sign.".to_owned())?;
        Ok(json!({"protected": protected, "payload": payload, "signature": base64url(signature.as_ref())}))
    }

    /// The binding of this key to an account elsewhere.
    pub(super) fn bind(&self, kid: &str, mac_key: &[u8], url: &str) -> Value {
        let protected = base64url(json!({"alg": "HS256", "kid": kid, "url": url}).to_string().as_bytes());
        let payload = base64url(self.jwk().to_string().as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
        let tag = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
        json!({"protected": protected, "payload": payload, "signature": base64url(tag.as_ref())})
    }
}

/// The SHA-256 of a key authorization: what dns-01 publishes in base64 (section 8.4) and
/// tls-alpn-01 puts into its certificate (RFC 8737 section 3).
pub(super) fn authorization_digest(key_authorization: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, key_authorization.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn a_signature_verifies_over_header_and_payload() {
        let key = AccountKey::read(&AccountKey::generate().unwrap()).unwrap();
        let jws = key.sign(Some("https://ca/acct/1"), Some("n"), "https://ca/x", Some(&json!({"a": 1}))).unwrap();
        let part = |name: &str| jws[name].as_str().unwrap().to_owned();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part("protected")).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "ES256", "kid": "https://ca/acct/1", "nonce": "n", "url": "https://ca/x"}));
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref().to_vec());
        let input = format!("{}.{}", part("protected"), part("payload"));
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(part("signature")).unwrap()).unwrap();
        assert_eq!(key.sign(None, None, "u", None).unwrap()["payload"], "", "POST-as-GET");
    }

    #[test]
    fn the_thumbprint_is_over_the_members_in_order() {
        let key = AccountKey::read(&AccountKey::generate().unwrap()).unwrap();
        let thumbprint = key.thumbprint();
        assert_eq!(thumbprint.len(), 43);
        // The JSON library writes the members in the order that RFC 7638 hashes.
        let jwk = key.jwk().to_string();
        assert_eq!(thumbprint, base64url(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref()));
    }
}
