//! Reports of hosts: their limits, and what becomes of them.

use crate::management::harness::{Harness, named, vault};
use crate::permit::permit;
use certmint::domain::installation::InstallationState;
use certmint::domain::{HostName, Reason, Result, Version};
use certmint::service::{InstallationView, Installations, ReportInstallation, ServiceOptions, VaultOptions};
use std::time::Duration;

fn limits(installations: usize, installations_per_certificate: usize) -> ServiceOptions {
    let on_demand = Some(true);
    let vaults = VaultOptions { on_demand, installations, installations_per_certificate, ..VaultOptions::default() };
    ServiceOptions { vaults, ..ServiceOptions::default() }
}

impl Harness {
    async fn newest(&self, name: &str) -> Version {
        let key = format!("certificates/default/{name}");
        let latest = self.store.body(&key).await.unwrap()["value"]["latest"].clone();
        serde_json::from_value(latest).unwrap()
    }

    async fn report(&self, name: &str, host: &str) -> Result<InstallationView> {
        let wanted = ReportInstallation {
            vault: vault(),
            name: named(name),
            host: HostName::parse(host).unwrap(),
            version: self.newest(name).await,
            state: InstallationState::Installed,
            message: String::new(),
            since: None,
        };
        Installations::of(&self.service).report(permit(&self.service, wanted).await).await
    }

    async fn hosts(&self, name: &str) -> Vec<String> {
        let wanted = permit(&self.service, (vault(), named(name))).await;
        let page = Installations::of(&self.service).list(wanted, 1000, "").await.unwrap();
        page.installations.into_iter().map(|view| view.installation.host.to_string()).collect()
    }
}

#[tokio::test]
async fn the_host_that_was_silent_for_the_longest_time_makes_room() {
    let harness = Harness::new(limits(100, 3)).await;
    harness.issue("web").await;
    for host in ["a", "b", "c"] {
        harness.report("web", host).await.unwrap();
        harness.clock.advance(Duration::from_secs(60));
    }
    // A sign of life: it says the same, long after.
    harness.clock.advance(Duration::from_secs(13 * 3600));
    harness.report("web", "A").await.unwrap();
    harness.report("web", "d").await.unwrap();
    assert_eq!(harness.hosts("web").await, ["A", "c", "d"]);
    harness.report("web", "c").await.unwrap();
    assert_eq!(harness.hosts("web").await, ["A", "c", "d"], "one that is known takes no further place");
}

#[tokio::test]
async fn a_vault_takes_so_many_reports_in_all() {
    let harness = Harness::new(limits(4, 3)).await;
    for name in ["web", "mail"] {
        harness.issue(name).await;
    }
    for (name, host) in [("web", "a"), ("web", "b"), ("mail", "a"), ("mail", "b")] {
        harness.report(name, host).await.unwrap();
    }
    let refused = harness.report("mail", "c").await.unwrap_err();
    assert_eq!(refused.reason, Reason::Throttled);
    assert!(refused.message.contains("vaults.installations"), "{}", refused.message);
    harness.clock.advance(Duration::from_secs(61));
    harness.report("mail", "c").await.unwrap_err();
    harness.report("mail", "b").await.unwrap();
}

#[tokio::test]
async fn a_report_that_says_what_is_known_is_not_written_again_at_once() {
    let harness = Harness::new(limits(100, 3)).await;
    harness.issue("web").await;
    let first = harness.report("web", "a").await.unwrap();
    harness.store.reset();
    let again = ReportInstallation {
        vault: vault(),
        name: named("web"),
        host: HostName::parse("a").unwrap(),
        version: first.installation.version,
        state: InstallationState::Installed,
        message: String::new(),
        since: Some(first.installation.since),
    };
    let installations = Installations::of(&harness.service);
    harness.clock.advance(Duration::from_secs(3600));
    installations.report(permit(&harness.service, again.clone()).await).await.unwrap();
    assert_eq!(harness.store.commits.load(std::sync::atomic::Ordering::SeqCst), 0);
    let failed = ReportInstallation { state: InstallationState::ReloadFailed, ..again };
    installations.report(permit(&harness.service, failed).await).await.unwrap();
    assert_eq!(harness.store.commits.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn reports_go_with_their_certificate_however_many_they_are() {
    let harness = Harness::new(limits(1000, 300)).await;
    harness.issue("web").await;
    for number in 0..250 {
        harness.report("web", &format!("host-{number}")).await.unwrap();
    }
    harness.delete("web").await;
    let wanted = permit(&harness.service, (vault(), named("web"))).await;
    assert_eq!(
        Installations::of(&harness.service).list(wanted, 10, "").await.unwrap_err().reason,
        Reason::CertificateNotFound
    );
    let wanted = permit(&harness.service, (vault(), named("web"))).await;
    harness.service.deletions().purge_certificate(wanted).await.unwrap();
    let left: Vec<String> =
        harness.store.keys().await.into_iter().filter(|key| key.starts_with("installations/")).collect();
    assert_eq!(left, Vec::<String>::new());
}
