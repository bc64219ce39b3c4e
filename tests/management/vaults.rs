//! Vaults that callers make.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::{Reason, RetentionDays, VaultName};
use certmint::service::{AllVaults, CreateRequest, NamedVault, NewVault, ServiceOptions, VaultOptions};
use std::sync::atomic::Ordering;

fn strict() -> ServiceOptions {
    let seven = NamedVault { retention_days: RetentionDays::new(7).ok(), purge_protection: Some(true) };
    let named = [(VaultName::parse("team-a").unwrap(), seven)].into();
    let vaults = VaultOptions { named, ..VaultOptions::default() };
    ServiceOptions { vaults, ..ServiceOptions::default() }
}

fn new(name: VaultName, retention_days: Option<RetentionDays>, purge_protection: Option<bool>) -> NewVault {
    NewVault { name, retention_days, purge_protection }
}

#[tokio::test]
async fn a_vault_is_there_once_it_was_made_and_after_a_restart() {
    let harness = Harness::new(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    assert_eq!(harness.service.vaults().vault(&name).unwrap_err().reason, Reason::VaultNotFound);
    let neighbour = harness.neighbour(strict()).await;
    let days = Some(RetentionDays::new(30).unwrap());
    let made = ask!(harness.service, vault_objects.create_vault(new(name.clone(), days, Some(true)))).unwrap();
    assert_eq!((made.settings.retention_days.get(), made.settings.purge_protection), (30, true));
    assert_eq!(harness.service.vaults().vault(&name).unwrap(), made);
    assert_eq!(harness.neighbour(strict()).await.vaults().vault(&name).unwrap(), made);
    // A process that was running learns of it by looking.
    neighbour.vaults().vault(&name).unwrap_err();
    neighbour.vault_objects().refresh_vaults().await.unwrap();
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made);
}

#[tokio::test]
async fn a_vault_that_is_there_is_not_made_again() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, None))).unwrap();
    for taken in [name, VaultName::parse("team-a").unwrap(), vault()] {
        for service in [&harness.service, &neighbour] {
            let error = ask!(service, vault_objects.create_vault(new(taken.clone(), None, None))).unwrap_err();
            assert_eq!(error.reason, Reason::AlreadyExists, "{taken}");
        }
    }
}

#[tokio::test]
async fn the_list_has_those_of_the_configuration_and_those_that_were_made() {
    let harness = Harness::new(strict()).await;
    for name in ["team-c", "a1"] {
        ask!(harness.service, vault_objects.create_vault(new(VaultName::parse(name).unwrap(), None, None))).unwrap();
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let page = ask!(harness.service, vault_objects.list_vaults(AllVaults, 3, &token)).unwrap();
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
async fn where_every_name_is_a_vault_the_list_has_those_that_hold_something() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let name = |text: &str| VaultName::parse(text).unwrap();
    for used in ["team-a-b", "team-a", "team-a-b-c", "team", "team0", "z1"] {
        for certificate in ["web", "mail"] {
            let request = CreateRequest { vault: name(used), ..create(certificate, "Unknown") };
            ask!(harness.service, creations.create(request)).unwrap();
        }
    }
    for certificate in ["web", "mail"] {
        let certificate = permit(&harness.service, (name("z1"), named(certificate))).await;
        harness.service.deletions().delete_certificate(certificate).await.unwrap();
    }
    let team_b = permit(&harness.service, new(name("team-b"), None, None)).await;
    harness.service.vault_objects().create_vault(team_b).await.unwrap();
    for size in 1..10 {
        let (mut token, mut names) = (String::new(), Vec::new());
        loop {
            let all = permit(&harness.service, AllVaults).await;
            let page = harness.service.vault_objects().list_vaults(all, size, &token).await.unwrap();
            assert!(page.vaults.len() <= size);
            names.extend(page.vaults.into_iter().map(|vault| vault.name.to_string()));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(names, ["default", "team", "team-a", "team-a-b", "team-a-b-c", "team-b", "team0", "z1"], "{size}");
    }
    harness.store.reset();
    let all = permit(&harness.service, AllVaults).await;
    harness.service.vault_objects().list_vaults(all, 100, "").await.unwrap();
    let read = harness.store.read.load(Ordering::SeqCst);
    assert!(read < 40, "{read} records for 8 vaults");
}

#[tokio::test]
async fn a_vault_that_was_made_elsewhere_is_there_at_once() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    let made = ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, Some(true)))).unwrap();
    assert_eq!(neighbour.vaults().find(&name).await.unwrap(), made);
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made, "it was learnt");
}

#[tokio::test]
async fn who_makes_a_vault_too_late_learns_of_it() {
    let harness = Harness::new(strict()).await;
    let neighbour = harness.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    let made = ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, Some(true)))).unwrap();
    assert_eq!(
        ask!(neighbour, vault_objects.create_vault(new(name.clone(), None, None))).unwrap_err().reason,
        Reason::AlreadyExists
    );
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made);
}

#[tokio::test]
async fn where_every_name_is_a_vault_the_settings_of_one_that_was_made_elsewhere_count() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let neighbour = harness.neighbour(ServiceOptions::default()).await;
    let name = VaultName::parse("guarded").unwrap();
    ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, Some(true)))).unwrap();
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
    // Its record, and whether it holds anything of four kinds.
    assert_eq!(harness.store.asked.load(std::sync::atomic::Ordering::SeqCst), 5);
    ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, None))).unwrap();
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
    assert_eq!((asked, reasons["VaultNotFound"]), (5 * 256, 256), "{reasons:?}");
}

#[tokio::test]
async fn a_page_of_vaults_reads_what_it_shows() {
    let harness = Harness::new(strict()).await;
    for number in 0..60 {
        let name = VaultName::parse(&format!("v{number:02}")).unwrap();
        ask!(harness.service, vault_objects.create_vault(new(name.clone(), None, None))).unwrap();
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        harness.store.reset();
        let page = ask!(harness.service, vault_objects.list_vaults(AllVaults, 10, &token)).unwrap();
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
