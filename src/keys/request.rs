//! Certificate signing requests (PKCS#10, RFC 2986) as Key Vault writes them.

use super::extensions::requested;
use super::names::subject_name;
use super::{KeyPair, defect};
use crate::domain::subject::DistinguishedName;
use crate::domain::{Policy, Result};
use der::asn1::{BitString, SetOfVec};
use der::{Decode, Encode};
use x509_cert::attr::Attribute;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// A signed request in DER for the subject and the extensions of the policy (contract section 5).
/// Its only attribute is extensionRequest. The key need not be of the type that the policy names.
pub fn certificate_request(key: &KeyPair, policy: &Policy) -> Result<Vec<u8>> {
    let failed = "a certificate request could not be encoded";
    let wanted = ExtensionReq(requested(policy)?);
    let attribute = Attribute::try_from(wanted).map_err(defect(failed))?;
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject_name(&DistinguishedName::parse(&policy.x509.subject)?)?,
        public_key: SubjectPublicKeyInfoOwned::from_der(&key.public_key_der()).map_err(defect(failed))?,
        attributes: SetOfVec::try_from(vec![attribute]).map_err(defect(failed))?,
    };
    let signature = key.sign(&info.to_der().map_err(defect(failed))?)?;
    let signature = BitString::from_bytes(&signature).map_err(defect(failed))?;
    CertReq { info, algorithm: key.algorithm(), signature }.to_der().map_err(defect(failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::domain::{PolicyInput, Timestamp};

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
