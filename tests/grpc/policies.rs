//! Changes of policies over gRPC: what is sent back as it was read, and what a mask says of absent fields.

use crate::server::Server;
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::lifetime_action::Trigger;
use certmint::proto::v1::*;
use prost_types::FieldMask;

const FILES: [&str; 2] =
    [include_str!("../data/pem/common-name-of-65-characters.pem"), include_str!("../data/pem/300-names.pem")];

async fn imported(server: &Server, pem: &str) -> CertificatePolicy {
    let request = ImportCertificateRequest {
        certificate_name: "web".into(),
        bundle: Some(Bundle::Pem(pem.into())),
        ..Default::default()
    };
    server.certificates().await.import_certificate(request).await.unwrap();
    let wanted = GetCertificatePolicyRequest { certificate_name: "web".into(), ..Default::default() };
    server.certificates().await.get_certificate_policy(wanted).await.unwrap().into_inner().policy.unwrap()
}

fn change(policy: CertificatePolicy, mask: Option<&[&str]>) -> UpdateCertificatePolicyRequest {
    let paths = |paths: &[&str]| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    UpdateCertificatePolicyRequest {
        certificate_name: "web".into(),
        policy: Some(policy),
        update_mask: mask.map(paths),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_imported_policy_may_be_sent_back_with_one_change() {
    for pem in FILES {
        let server = Server::start().await;
        let mut policy = imported(&server, pem).await;
        let all = ["key_properties", "secret_properties", "x509_properties", "lifetime_actions", "issuer"];
        for (percentage, mask) in [(70, None), (71, Some(&all[..])), (72, Some(&["lifetime_actions"][..]))] {
            policy.lifetime_actions[0].trigger = Some(Trigger::LifetimePercentage(percentage));
            let request = change(policy.clone(), mask);
            let changed = server.certificates().await.update_certificate_policy(request).await.unwrap().into_inner();
            let changed = CertificatePolicy { attributes: policy.attributes, ..changed.policy.unwrap() };
            assert_eq!(changed, policy);
        }
        let request = UpdateCertificateRequest {
            certificate_name: "web".into(),
            policy: Some(policy.clone()),
            ..Default::default()
        };
        server.certificates().await.update_certificate(request).await.unwrap();
        // What becomes different is judged.
        let x509 = policy.x509_properties.as_mut().unwrap();
        x509.subject = format!("CN={}", "b".repeat(65));
        for mask in [None, Some(&["x509_properties.subject"][..])] {
            let request = change(policy.clone(), mask);
            let refused = server.certificates().await.update_certificate_policy(request).await.unwrap_err();
            assert!(refused.message().contains("longer than 64"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_mask_takes_back_what_it_names_and_the_message_lacks() {
    let server = Server::start().await;
    imported(&server, FILES[0]).await;
    let set = CertificatePolicy {
        key_properties: Some(KeyProperties { reuse_key: Some(true), ..Default::default() }),
        issuer: Some(IssuerParameters { certificate_type: "OV-SSL".into(), ..Default::default() }),
        ..Default::default()
    };
    let mut client = server.certificates().await;
    let before = client.update_certificate_policy(change(set, None)).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(before.issuer.unwrap().certificate_type, "OV-SSL");
    let mask = ["key_properties.reuse_key", "issuer.certificate_type"];
    let request = change(CertificatePolicy::default(), Some(&mask));
    let after = client.update_certificate_policy(request).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(
        (after.issuer.unwrap().certificate_type, after.key_properties.unwrap().reuse_key),
        (String::new(), Some(false))
    );
    for path in ["key_properties.exportable", "attributes.enabled"] {
        let request = change(CertificatePolicy::default(), Some(&[path]));
        let refused = client.update_certificate_policy(request).await.unwrap_err();
        assert!(refused.message().contains("update_mask") && refused.message().contains(path), "{refused}");
    }
}
