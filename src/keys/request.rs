//! Certificate signing requests (PKCS#10, RFC 2986) as Key Vault writes them.

use super::extensions::requested;
use super::names::subject_name;
use super::{KeyPair, defect};
use crate::domain::subject::DistinguishedName;
use crate::domain::{Policy, Result};
use der::asn1::{Any, BitString, SetOfVec};
use der::{Decode, Encode, Sequence};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::request::ExtensionReq;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// A signed request in DER for the subject and the extensions of the policy (contract section 5).
/// Its only attribute is extensionRequest. The key need not be of the type that the policy names.
pub fn certificate_request(key: &KeyPair, policy: &Policy) -> Result<Vec<u8>> {
    let subject = subject_name(&DistinguishedName::parse(&policy.x509.subject)?)?;
    signed_request(key, subject, requested(policy)?)
}

/// A signed request in DER for a subject and extensions.
pub(super) fn signed_request(key: &KeyPair, subject: Any, extensions: Vec<Extension>) -> Result<Vec<u8>> {
    let failed = "a certificate request could not be encoded";
    let attribute = Attribute::try_from(ExtensionReq(extensions)).map_err(defect(failed))?;
    let info = RequestInfo {
        version: 0,
        subject,
        public_key: Any::from_der(&key.public_key_der()).map_err(defect(failed))?,
        attributes: SetOfVec::try_from(vec![attribute]).map_err(defect(failed))?,
    };
    let info = Any::encode_from(&info).map_err(defect(failed))?;
    let signature = key.sign(&info.to_der().map_err(defect(failed))?)?;
    let signature = BitString::from_bytes(&signature).map_err(defect(failed))?;
    SignedRequest { info, algorithm: key.algorithm(), signature }.to_der().map_err(defect(failed))
}

// Own types, as the name of those of the X.509 library has no room for every object identifier.
/// CertificationRequestInfo (section 4.1).
#[derive(Sequence)]
struct RequestInfo {
    version: u8,
    subject: Any,
    public_key: Any,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    attributes: SetOfVec<Attribute>,
}

/// CertificationRequest (section 4.2).
#[derive(Sequence)]
struct SignedRequest {
    info: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::domain::{PolicyInput, Timestamp};
    use x509_cert::request::CertReq;

    #[test]
    fn a_request_is_read_back_as_it_was_asked_for() {
        let input =
            PolicyInput { subject: Some("C=CH, O=a, CN=b".into()), curve: Some("P-256".into()), ..Default::default() };
        let policy = input.complete(Timestamp(0)).unwrap();
        let key = KeyPair::generate(KeyType::P256).unwrap();
        let der = certificate_request(&key, &policy).unwrap();
        let request = CertReq::from_der(&der).unwrap();
        assert_eq!(request.info.subject.to_string(), "C=CH,O=a,CN=b");
        assert_eq!(request.info.public_key.to_der().unwrap(), key.public_key_der());
        assert_eq!(request.algorithm, key.algorithm());
        assert_eq!(request.info.attributes.len(), 1);
    }
}
