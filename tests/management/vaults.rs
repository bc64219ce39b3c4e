//! Vaults that callers make.

use crate::world::{World, vault};
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
    let world = World::new(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    assert_eq!(world.service.vaults().vault(&name).unwrap_err().reason, Reason::VaultNotFound);
    let neighbour = world.neighbour(strict()).await;
    let days = Some(RetentionDays::new(30).unwrap());
    let made = world.service.create_vault(&name, days, Some(true)).await.unwrap();
    assert_eq!((made.settings.retention_days.get(), made.settings.purge_protection), (30, true));
    assert_eq!(world.service.vaults().vault(&name).unwrap(), made);
    assert_eq!(world.neighbour(strict()).await.vaults().vault(&name).unwrap(), made);
    // A process that was running learns of it by looking.
    neighbour.vaults().vault(&name).unwrap_err();
    neighbour.refresh_vaults().await.unwrap();
    assert_eq!(neighbour.vaults().vault(&name).unwrap(), made);
}

#[tokio::test]
async fn a_vault_that_is_there_is_not_made_again() {
    let world = World::new(strict()).await;
    let neighbour = world.neighbour(strict()).await;
    let name = VaultName::parse("team-b").unwrap();
    world.service.create_vault(&name, None, None).await.unwrap();
    for taken in [name, VaultName::parse("team-a").unwrap(), vault()] {
        for service in [&world.service, &neighbour] {
            let error = service.create_vault(&taken, None, None).await.unwrap_err();
            assert_eq!(error.reason, Reason::AlreadyExists, "{taken}");
        }
    }
}

#[tokio::test]
async fn the_list_has_those_of_the_configuration_and_those_that_were_made() {
    let world = World::new(strict()).await;
    for name in ["team-c", "a1"] {
        world.service.create_vault(&VaultName::parse(name).unwrap(), None, None).await.unwrap();
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let page = world.service.list_vaults(3, &token).await.unwrap();
        names.extend(page.vaults.into_iter().map(|vault| (vault.name.to_string(), vault.created.is_some())));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected = [("a1", true), ("default", false), ("team-a", false), ("team-c", true)];
    assert_eq!(names, expected.map(|(name, made)| (name.to_owned(), made)));
}
