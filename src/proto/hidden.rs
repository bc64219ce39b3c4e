//! The `Debug` of messages with private keys, passwords or plaintexts: it shows whether a value is set, never the
//! value.

use super::v1;
use std::fmt;

/// Stands for a secret; shows only whether there is one.
pub(super) struct Hidden(pub(super) usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == 0 { "(empty)" } else { "(hidden)" })
    }
}

impl fmt::Debug for v1::ImportCertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use v1::import_certificate_request::Bundle;
        let Self { vault_name, certificate_name, bundle, password, policy, attributes, tags, preserve_cert_order } =
            self;
        let length = match bundle {
            Some(Bundle::Pkcs12(bytes)) => bytes.len(),
            Some(Bundle::Pem(text)) => text.len(),
            None => 0,
        };
        f.debug_struct("ImportCertificateRequest")
            .field("vault_name", vault_name)
            .field("certificate_name", certificate_name)
            .field("bundle", &Hidden(length))
            .field("password", &Hidden(password.len()))
            .field("policy", policy)
            .field("attributes", attributes)
            .field("tags", tags)
            .field("preserve_cert_order", preserve_cert_order)
            .finish()
    }
}

impl fmt::Debug for v1::SetWebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, webhook_name, webhook, secret, make_secret, forget_secrets, secret_headers } = self;
        let mut hidden: Vec<(&String, Hidden)> =
            secret_headers.iter().map(|(name, value)| (name, Hidden(value.len()))).collect();
        hidden.sort_by_key(|(name, _)| *name);
        f.debug_struct("SetWebhookRequest")
            .field("vault_name", vault_name)
            .field("webhook_name", webhook_name)
            .field("webhook", webhook)
            .field("secret", &Hidden(secret.len()))
            .field("make_secret", make_secret)
            .field("forget_secrets", forget_secrets)
            .field("secret_headers", &hidden)
            .finish()
    }
}

impl fmt::Debug for v1::SetWebhookResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { webhook, secret } = self;
        f.debug_struct("SetWebhookResponse").field("webhook", webhook).field("secret", &Hidden(secret.len())).finish()
    }
}

impl fmt::Debug for v1::ImportAuthorityRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, issuer_name, value, password, crl } = self;
        f.debug_struct("ImportAuthorityRequest")
            .field("vault_name", vault_name)
            .field("issuer_name", issuer_name)
            .field("value", &Hidden(value.len()))
            .field("password", &Hidden(password.len()))
            .field("crl", crl)
            .finish()
    }
}

impl fmt::Debug for v1::Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            vault_name,
            issuer_name,
            provider,
            credentials,
            organization,
            attributes,
            ca_certificates,
            options,
            secret_options,
            pause,
            profiles,
            default_profile,
        } = self;
        let hidden: Vec<(&String, Hidden)> =
            secret_options.iter().map(|(name, secret)| (name, Hidden(secret.len()))).collect();
        f.debug_struct("Issuer")
            .field("id", id)
            .field("vault_name", vault_name)
            .field("issuer_name", issuer_name)
            .field("provider", provider)
            .field("credentials", credentials)
            .field("organization", organization)
            .field("attributes", attributes)
            .field("ca_certificates", ca_certificates)
            .field("options", options)
            .field("secret_options", &hidden)
            .field("pause", pause)
            .field("profiles", profiles)
            .field("default_profile", default_profile)
            .finish()
    }
}

impl fmt::Debug for v1::Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use v1::secret::Content;
        let Self { id, vault_name, secret_name, secret_version, content, content_type, attributes, tags, key_id } =
            self;
        let length = match content {
            Some(Content::Pkcs12(bytes)) => bytes.len(),
            Some(Content::Pem(text)) => text.len(),
            None => 0,
        };
        f.debug_struct("Secret")
            .field("id", id)
            .field("vault_name", vault_name)
            .field("secret_name", secret_name)
            .field("secret_version", secret_version)
            .field("content", &Hidden(length))
            .field("content_type", content_type)
            .field("attributes", attributes)
            .field("tags", tags)
            .field("key_id", key_id)
            .finish()
    }
}

impl fmt::Debug for v1::secret::Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for v1::import_certificate_request::Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for v1::EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, key_name, key_version, algorithm, plaintext } = self;
        operation(f, "EncryptRequest", [vault_name, key_name, key_version], *algorithm, plaintext.len())
    }
}

impl fmt::Debug for v1::WrapKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, key_name, key_version, algorithm, key } = self;
        operation(f, "WrapKeyRequest", [vault_name, key_name, key_version], *algorithm, key.len())
    }
}

impl fmt::Debug for v1::DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_id, plaintext } = self;
        f.debug_struct("DecryptResponse").field("key_id", key_id).field("plaintext", &Hidden(plaintext.len())).finish()
    }
}

impl fmt::Debug for v1::UnwrapKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_id, key } = self;
        f.debug_struct("UnwrapKeyResponse").field("key_id", key_id).field("key", &Hidden(key.len())).finish()
    }
}

fn operation(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    [vault_name, key_name, key_version]: [&String; 3],
    algorithm: i32,
    secret: usize,
) -> fmt::Result {
    f.debug_struct(name)
        .field("vault_name", vault_name)
        .field("key_name", key_name)
        .field("key_version", key_version)
        .field("algorithm", &algorithm)
        .field("secret", &Hidden(secret))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_holds_a_key_or_a_text() {
        const SECRET: &str = "-----BEGIN PRIVATE KEY-----";
        let bytes = || SECRET.as_bytes().into();
        let import = v1::ImportCertificateRequest {
            bundle: Some(v1::import_certificate_request::Bundle::Pem(SECRET.into())),
            password: SECRET.into(),
            ..Default::default()
        };
        let secret = v1::Secret { content: Some(v1::secret::Content::Pem(SECRET.into())), ..Default::default() };
        let read = v1::GetSecretResponse { secret: Some(secret.clone()) };
        let shown = [
            format!("{import:?} {:?}", import.bundle),
            format!("{secret:#?} {read:?} {:?}", secret.content),
            format!("{:?}", v1::EncryptRequest { plaintext: bytes(), ..Default::default() }),
            format!("{:?}", v1::WrapKeyRequest { key: bytes(), ..Default::default() }),
            format!("{:?}", v1::DecryptResponse { plaintext: bytes(), ..Default::default() }),
            format!("{:?}", v1::UnwrapKeyResponse { key: bytes(), ..Default::default() }),
        ];
        for text in shown {
            // As text and as the numbers of its bytes.
            assert!(text.contains("(hidden)"), "{text}");
            assert!(!text.contains("PRIVATE") && !text.contains("45, 45, 45"), "{text}");
        }
    }
}
