//! Hints make open orders of the plug-in's own issuers due, and nothing else.

use crate::permit::{ask, new_certificate};
use crate::service::start;
use certmint::domain::{IssuerInput, IssuerName, RequestId, VaultName};
use certmint::keys::random_id;
use certmint::service::Hinted;

#[tokio::test]
async fn only_an_open_order_of_the_provider_that_hints_is_made_due() {
    let running = start().await;
    let (service, vault) = (&running.service, VaultName::default_vault());
    let input =
        IssuerInput { provider: Some("Test".into()), account_id: Some("hold".into()), ..IssuerInput::default() };
    let held = (vault.clone(), IssuerName::parse("held").unwrap());
    ask!(service, issuers.set_issuer(held, input)).unwrap();
    let create = async |name: &str, issuer: &str| {
        let created = ask!(service, creations.create(new_certificate(vault.clone(), name, issuer))).unwrap();
        created.operation.request_id.to_string()
    };
    let (open, manual) = (create("open", "held").await, create("manual", "Unknown").await);
    let unknown = RequestId::from_uuid(random_id()).to_string();
    for (provider, vault, request) in [
        ("Corp", "default", open.as_str()),
        ("Test", "other", open.as_str()),
        ("Test", "default", unknown.as_str()),
        ("Test", "default", manual.as_str()),
        ("Test", "default", "no id"),
        ("Test", "../default", open.as_str()),
        ("Test", "", ""),
    ] {
        let hinted = service.jobs().order_moved(provider, vault, request).await.unwrap();
        assert_eq!(hinted, Hinted::Nothing, "{provider} {vault} {request}");
    }
    // The first step may be under way, or due anyway.
    for _ in 0..6000 {
        if service.jobs().order_moved("test", "default", &open).await.unwrap() == Hinted::Due {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the order is never made due");
}
