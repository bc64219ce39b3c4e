//! `certmint access`: what its commands send, and what they print.

use crate::fake::Fake;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_sent_as_its_options_say() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "dns = [\"*.shop.example\"]\nmax_validity_months = 3\n").unwrap();
    let rules = rules.to_str().unwrap();
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let arguments = [
        "--output",
        "json",
        "access",
        "grant",
        "token:shop",
        "certmint Requester",
        "--name",
        "shop-*",
        "--id",
        id,
        "--vault",
        "blue",
        "--rules",
        rules,
    ];
    let ended = fake.run(&arguments).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let printed: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let grant = &printed["grant"];
    assert_eq!((grant["id"].as_str(), grant["vault"].as_str()), (Some(id), Some("blue")));
    assert_eq!((grant["principal"].as_str(), grant["role"].as_str()), (Some("token:shop"), Some("certmint Requester")));
    assert_eq!((&grant["names"][0], &grant["rules"]["max_validity_months"]), (&"shop-*".into(), &3.into()));
    assert_eq!(grant["rules"]["dns"][0], "*.shop.example");
    let ended = fake.run(&["access", "grant", "token:shop", "certmint Watcher", "--every-vault"]).await;
    assert!(ended.out.contains("  store  token:shop  certmint Watcher  vault *  names"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_shown_and_taken_away_by_their_id() {
    let fake = Fake::start().await;
    for command in ["show", "revoke"] {
        let ended = fake.run(&["access", command, "one"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.starts_with("one  store  token:shop"), "{}", ended.out);
        assert!(ended.out.contains("by token:ann"), "{}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_set_with_short_actions_and_deleted() {
    let fake = Fake::start().await;
    let arguments = ["access", "role", "set", "Renewer", "--action", "certificates/read", "--action", "*"];
    let ended = fake.run(&arguments).await;
    assert_eq!(ended.out, "Renewer    store\n  Microsoft.KeyVault/vaults/certificates/read\n  *\n", "{ended:?}");
    let ended = fake.run(&["access", "role", "delete", "Renewer"]).await;
    assert_eq!((ended.code, ended.out.starts_with("Renewer")), (0, true), "{ended:?}");
    let ended = fake.run(&["access", "role", "set", "Renewer"]).await;
    assert_eq!(ended.code, 2, "a role without actions: {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_rules_that_cannot_be_used_is_named() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "dsn = []\n").unwrap();
    let ended = fake.run(&["access", "grant", "token:a", "r", "--rules", rules.to_str().unwrap()]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("rules.toml") && ended.err.contains("dsn"), "{}", ended.err);
    let ended = fake.run(&["access", "grant", "token:a", "r", "--expires", "tomorrow"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
}
