//! Which keys are used again.

use super::*;
use crate::domain::policy::{ContentType, KeyType};
use crate::domain::{CertificateName, Timestamp, VaultName};
use crate::keys::{KeyPair, certificate};
use uuid::Uuid;

fn policy(curve: &str, exportable: bool) -> Policy {
    let input = PolicyInput { subject: Some("CN=a".into()), curve: Some(curve.into()), ..PolicyInput::default() };
    PolicyInput { exportable: Some(exportable), reuse_key: Some(true), ..input }.complete(Timestamp(0)).unwrap()
}

/// A version with a key on P-256.
fn version(exportable: bool) -> Certificate {
    let key = KeyPair::generate(KeyType::P256).unwrap();
    let version = Version::from_uuid(Uuid::from_u128(1));
    let request = certificate::Request {
        policy: &policy("P-256", exportable),
        public_key: &key.public_key_der(),
        request_id: RequestId::from_uuid(Uuid::from_u128(2)),
        version,
        created: Timestamp(0),
    };
    Certificate {
        vault: VaultName::default_vault(),
        name: CertificateName::parse("web").unwrap(),
        version,
        cer: Blob(certificate::self_signed(&request, &key).unwrap()),
        chain: Vec::new(),
        sealed_key: Some(Blob::default()),
        content_type: ContentType::Pkcs12,
        exportable,
        key_usage: None,
        enabled: true,
        not_before: Timestamp(0),
        expires: Timestamp(0),
        created: Timestamp(0),
        updated: Timestamp(0),
        tags: None,
        preserve_cert_order: None,
    }
}

#[test]
fn a_key_of_another_type_is_no_reuse() {
    for exportable in [true, false] {
        assert_eq!(can_be_reused(&version(exportable), &policy("P-384", true)), Ok(false));
        assert_eq!(can_be_reused(&version(exportable), &policy("P-256", false)), Ok(true));
    }
    let error = can_be_reused(&version(false), &policy("P-256", true)).unwrap_err();
    assert!(error.message.contains("not exportable"), "{error}");
}
