//! Vaults that callers make.

use crate::harness::{Harness, vault};
use certmint::domain::{Reason, RetentionDays, VaultName, VaultSettings};
use certmint::service::{Limits, VaultOptions};

fn strict() -> Limits {
    let seven = VaultSettings { retention_days: RetentionDays::new(7).unwrap(), purge_protection: true };
    let named = [(VaultName::parse("team-a").unwrap(), seven)].into();
    let vaults = VaultOptions { on_demand: false, defaults: VaultSettings::default(), named };
    Limits { vaults, ..Limits::default() }
}

#[tokio::test]
async fn a_vault_is_there_once_it_was_made_and_after_a_restart() {
    let harness = Harness::new(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    assert_eq!(harness.service.vaults().vault(&name).unwrap_err().reason, Reason::VaultNotFound);
    let neighbour = harness.neighbour(strict()).await;
    let days = Some(RetentionDays::new(30).unwrap());
    let made = harness.service.create_vault(&name, days, Some(true)).await.unwrap();
    assert_eq!((made.settings.retention_days.get(), made.settings.purge_protection), (30, true));
    assert_eq!(harness.service.vaults().vault(&name).unwrap(), made);
    assert_eq!(harness.neighbour(strict()).await.vaults().vault(&name).unwrap(), made);
    // A process that was running learns of it by looking.
    neighbour.vaults().vault(&name).unwrap_err();
    neighbour.refresh_vaults().await.unwrap();
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made);
}

#[tokio::test]
async fn a_vault_that_is_there_is_not_made_again() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    harness.service.create_vault(&name, None, None).await.unwrap();
    for taken in [name, VaultName::parse("team-a").unwrap(), vault()] {
        for service in [&harness.service, &neighbour] {
            let error = service.create_vault(&taken, None, None).await.unwrap_err();
            assert_eq!(error.reason, Reason::AlreadyExists, "{taken}");
        }
    }
}

#[tokio::test]
async fn the_list_has_those_of_the_configuration_and_those_that_were_made() {
    let harness = Harness::new(strict()).await;
    for name in ["team-c", "a1"] {
        harness.service.create_vault(&VaultName::parse(name).unwrap(), None, None).await.unwrap();
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let page = harness.service.list_vaults(3, &token).await.unwrap();
        names.extend(page.vaults.into_iter().map(|vault| (vault.name.to_string(), vault.created.is_some())));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected = [("a1", true), ("default", false), ("team-a", false), ("team-c", true)];
    assert_eq!(names, expected.map(|(name, made)| (name.to_owned(), made)));
}

#[tokio::test]
async fn a_vault_that_was_made_elsewhere_is_there_at_once() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    let made = harness.service.create_vault(&name, None, Some(true)).await.unwrap();
    assert_eq!(neighbour.vaults().find(&name).await.unwrap(), made);
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made, "it was learnt");
}

#[tokio::test]
async fn who_makes_a_vault_too_late_learns_of_it() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    let made = harness.service.create_vault(&name, None, Some(true)).await.unwrap();
    assert_eq!(neighbour.create_vault(&name, None, None).await.unwrap_err().reason, Reason::AlreadyExists);
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made);
}

#[tokio::test]
async fn where_every_name_is_a_vault_the_settings_of_one_that_was_made_elsewhere_count() {
    let harness = Harness::new(Limits::default()).await;
    let neighbour = harness.neighbour(Limits::default()).await;
    let name = VaultName::parse("guarded").unwrap();
    harness.service.create_vault(&name, None, Some(true)).await.unwrap();
    assert!(neighbour.vaults().find(&name).await.unwrap().settings.purge_protection);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_vault_is_looked_up_once_a_second_and_found_when_it_is_made() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    harness.store.reset();
    for _ in 0..50 {
        assert_eq!(neighbour.vaults().find(&name).await.unwrap_err().reason, Reason::VaultNotFound);
    }
    assert_eq!(harness.store.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    harness.service.create_vault(&name, None, None).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    neighbour.vaults().find(&name).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn names_that_are_made_up_do_not_become_a_storm_of_questions() {
    let harness = Harness::new(strict()).await;
    harness.store.reset();
    let mut reasons = std::collections::BTreeMap::new();
    for number in 0..2000 {
        let name = VaultName::parse(&format!("v{number}")).unwrap();
        let reason = harness.service.vaults().find(&name).await.unwrap_err().reason;
        *reasons.entry(format!("{reason:?}")).or_insert(0) += 1;
    }
    let asked = harness.store.asked.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!((asked, reasons["VaultNotFound"]), (256, 256), "{reasons:?}");
}

#[tokio::test]
async fn a_page_of_vaults_reads_what_it_shows() {
    let harness = Harness::new(strict()).await;
    for number in 0..60 {
        let name = VaultName::parse(&format!("v{number:02}")).unwrap();
        harness.service.create_vault(&name, None, None).await.unwrap();
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        harness.store.reset();
        let page = harness.service.list_vaults(10, &token).await.unwrap();
        assert!(harness.store.read.load(std::sync::atomic::Ordering::SeqCst) <= 11);
        names.extend(page.vaults.into_iter().map(|vault| vault.name.to_string()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let made = (0..60).map(|number| format!("v{number:02}"));
    let expected: Vec<_> = ["default".to_owned(), "team-a".to_owned()].into_iter().chain(made).collect();
    assert_eq!(names, expected);
}
