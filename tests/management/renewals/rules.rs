//! Rules of vaults hold for renewals too, as they are when the renewal begins.

use super::request;
use crate::management::harness::Harness;
use certmint::domain::access::{AccessFile, FileInput, PrincipalName};
use certmint::domain::{DataAction, RenewalTrigger};
use certmint::service::{AccessOptions, Caller, Mode, ServiceOptions};

const RULES: &str = r#"
    [[vault_rules]]
    vault = "default"
    rules = { key_types = ["RSA"] }
"#;

#[tokio::test]
async fn a_renewal_that_the_rules_of_the_vault_do_not_allow_any_more_fails_and_says_so() {
    let administrators = vec![PrincipalName::parse("token:test").unwrap()];
    let access =
        AccessOptions { mode: Mode::Enforce, administrators, file: AccessFile::default(), ..AccessOptions::default() };
    let harness = Harness::new(ServiceOptions { access, ..ServiceOptions::default() }).await;
    let caller = Caller::new("token:test", None);
    let wanted = harness.service.access().check(&caller, DataAction::CertificatesCreate, request("web", "Self"));
    harness.service.creations().create(wanted.await.unwrap()).await.unwrap();
    harness.work().await;
    let rules = |text: &str| {
        let input: FileInput = toml::from_str(text).unwrap();
        let (access, file) = (harness.service.access(), AccessFile::parse(&input).unwrap());
        // On a thread that may wait, as the server does it.
        std::thread::scope(|scope| scope.spawn(|| access.replace_file(file)).join()).unwrap().unwrap();
    };
    rules(RULES);
    harness.later(293).await;
    let pending = harness.store.body("pending/default/web").await.unwrap()["value"]["operation"].clone();
    assert_eq!(pending["renews"]["trigger"], format!("{:?}", RenewalTrigger::Lifetime));
    let message = pending["state"]["Failed"]["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the rules of the vault do not allow"), "{pending}");
    rules("");
    harness.until_due("web").await;
    let pending = harness.store.body("pending/default/web").await.unwrap()["value"]["operation"].clone();
    assert_eq!(pending["state"], "Completed");
}
