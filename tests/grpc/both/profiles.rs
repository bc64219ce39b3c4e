//! Profiles of a built-in CA over both APIs: what one sets the other shows, and both refuse alike.

use super::translated;
use crate::server::Server;
use certmint::proto::v1::*;
use serde_json::json;

fn profile() -> IssuerProfile {
    IssuerProfile {
        max_validity: "P90D".into(),
        validity: "P30D".into(),
        names: Some(IssuerProfileNames {
            dns_names: vec!["*.corp.example".into()],
            ip_addresses: vec!["10.0.0.0/8".into()],
            emails: vec!["@corp.example".into()],
            uris: vec!["spiffe://corp.example/*".into()],
            upns: vec!["@corp.example".into()],
            wildcards: true,
        }),
        keys: vec!["EC-P256".into(), "RSA-2048+".into()],
        ekus: vec!["1.3.6.1.5.5.7.3.1".into()],
        key_usages: vec!["digitalSignature".into()],
        subject: "cn-from-first-name".into(),
        organization: "Corp".into(),
        max_names: 5,
        revocation: "crl".into(),
        must_staple: true,
    }
}

#[tokio::test]
async fn a_profile_is_set_by_one_api_and_shown_by_the_other() {
    let server = Server::start().await;
    let (mut grpc, rest) = (server.issuers().await, server.rest("localhost"));
    let issuer = Issuer {
        provider: "LocalCA".into(),
        profiles: [("server".to_owned(), profile())].into(),
        default_profile: "server".into(),
        ..Issuer::default()
    };
    let set = SetIssuerRequest { issuer_name: "corp".into(), issuer: Some(issuer), ..SetIssuerRequest::default() };
    let by_grpc = grpc.set_issuer(set).await.unwrap().into_inner().issuer.unwrap();
    assert_eq!(by_grpc.profiles["server"], profile());
    let by_rest = rest.must("GET /certificates/issuers/corp", "").await;
    let by_grpc = translated::issuer(by_grpc);
    assert_eq!(
        (&by_grpc["profiles"], &by_grpc["default_profile"]),
        (&by_rest["profiles"], &by_rest["default_profile"])
    );
    assert_eq!(
        by_rest["profiles"]["server"],
        json!({"max_validity": "P90D", "validity": "P30D",
            "names": {"dns": ["*.corp.example"], "ip": ["10.0.0.0/8"], "emails": ["@corp.example"],
                "uris": ["spiffe://corp.example/*"], "upns": ["@corp.example"], "wildcards": true},
            "keys": ["EC-P256", "RSA-2048+"], "ekus": ["1.3.6.1.5.5.7.3.1"], "key_usage": ["digitalSignature"],
            "subject": "cn-from-first-name", "o": "Corp", "max_names": 5, "revocation": "crl", "must_staple": true})
    );
    // The same again over REST.
    let body = json!({"provider": "LocalCA", "profiles": by_rest["profiles"], "default_profile": "server"});
    rest.must("PUT /certificates/issuers/corp", &body.to_string()).await;
    let get = GetIssuerRequest { issuer_name: "corp".into(), ..GetIssuerRequest::default() };
    let found = grpc.get_issuer(get.clone()).await.unwrap().into_inner().issuer.unwrap();
    assert_eq!((&found.profiles["server"], found.default_profile.as_str()), (&profile(), "server"));
    // A mask without them leaves them; their removal takes the default along.
    let update = UpdateIssuerRequest {
        issuer_name: "corp".into(),
        issuer: Some(Issuer { profiles: [("x".to_owned(), IssuerProfile::default())].into(), ..Issuer::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["attributes".into()] }),
        removed_profiles: Vec::new(),
        ..UpdateIssuerRequest::default()
    };
    let kept = grpc.update_issuer(update).await.unwrap().into_inner().issuer.unwrap();
    assert_eq!(kept.profiles.keys().collect::<Vec<_>>(), ["server"]);
    let unsaid = UpdateIssuerRequest {
        issuer_name: "corp".into(),
        issuer: Some(Issuer::default()),
        update_mask: Some(prost_types::FieldMask { paths: vec!["default_profile".into()] }),
        ..UpdateIssuerRequest::default()
    };
    let refused = grpc.update_issuer(unsaid).await.unwrap_err();
    assert!(refused.message().contains("default_profile is named, but there is no value"), "{}", refused.message());
    let update = UpdateIssuerRequest {
        issuer_name: "corp".into(),
        issuer: Some(Issuer::default()),
        removed_profiles: vec!["server".into()],
        ..UpdateIssuerRequest::default()
    };
    let left = grpc.update_issuer(update).await.unwrap().into_inner().issuer.unwrap();
    assert!(left.profiles.is_empty() && left.default_profile.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_certificate_type_chooses_it_over_grpc() {
    let server = Server::start().await;
    let profile =
        IssuerProfile { max_validity: "PT1H".into(), keys: vec!["EC-P256".into()], ..IssuerProfile::default() };
    let profiles = [("job".to_owned(), profile)].into();
    let issuer = Some(Issuer { provider: "LocalCA".into(), profiles, ..Issuer::default() });
    let set = SetIssuerRequest { issuer_name: "corp".into(), issuer, ..SetIssuerRequest::default() };
    server.issuers().await.set_issuer(set).await.unwrap();
    let create = |cty: &str, curve: KeyCurve| {
        let mut policy = crate::requests::policy("corp");
        policy.issuer.as_mut().unwrap().certificate_type = cty.into();
        policy.key_properties.as_mut().unwrap().curve = curve.into();
        CreateCertificateRequest { policy: Some(policy), ..crate::requests::create("web", "corp") }
    };
    let mut client = server.certificates().await;
    for (cty, curve, words) in [
        ("", KeyCurve::P256, "The issuer has profiles: name one of job."),
        ("x", KeyCurve::P256, "\"x\" is not a profile of the issuer"),
        ("job", KeyCurve::P384, "The profile job of the issuer does not allow it: keys are EC-P256, not EC-P384."),
    ] {
        let refused = client.create_certificate(create(cty, curve)).await.unwrap_err();
        assert_eq!(crate::refusal::common(&refused).0, "BAD_PARAMETER");
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    client.create_certificate(create("job", KeyCurve::P256)).await.unwrap();
    let found = loop {
        let asked = crate::requests::certificate("web");
        let found = client.get_certificate(asked).await.unwrap().into_inner().certificate.unwrap();
        if !found.cer.is_empty() {
            break found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let attributes = found.attributes.unwrap();
    let lives = attributes.expires.unwrap().seconds - attributes.not_before.unwrap().seconds;
    assert_eq!(lives, 3600 + 600);
}
