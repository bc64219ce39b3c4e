//! `certmint access`: what its commands send, and what they print.

use crate::fake::Fake;
use certmint::proto::v1::{CheckAccessRequest, CreateGrantRequest, RequestRules, SetRoleRequest, SubjectRule};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_sent_as_its_options_say() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let text = r#"
        dns = ["*.shop.example"]
        wildcards = true
        ip = ["10.1.0.0/16"]
        uri = ["spiffe://shop.example/*"]
        email = ["shop.example"]
        subject = { O = ["Shop"], OU = ["a", "b"] }
        key_types = ["EC"]
        max_validity_months = 3
        ekus = ["serverAuth"]
        exportable = true
        reuse_key = true
        ca = true
    "#;
    fs::write(&rules, text).unwrap();
    let rules = rules.to_str().unwrap();
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let mut arguments = vec!["--output", "json", "access", "grant", "token:shop", "certmint Requester", "--id", id];
    for (option, value) in [
        ("--vault", "blue"),
        ("--name", "shop-*"),
        ("--name", "web"),
        ("--issuer", "corp"),
        ("--issuer", "Self"),
        ("--rules", rules),
        ("--may-grant", "certmint Watcher"),
        ("--may-grant", "Key Vault Reader"),
        ("--expires", "2027-01-31T00:00:00Z"),
        ("--note", "for the shop"),
    ] {
        arguments.extend([option, value]);
    }
    let ended = fake.run(&arguments).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let subject = |attribute: &str, values| SubjectRule { attribute: attribute.into(), values: texts(values) };
    let expected = CreateGrantRequest {
        grant_id: id.into(),
        principal: "token:shop".into(),
        role: "certmint Requester".into(),
        vault_name: "blue".into(),
        names: texts(&["shop-*", "web"]),
        issuers: texts(&["corp", "Self"]),
        rules: Some(RequestRules {
            dns: texts(&["*.shop.example"]),
            wildcards: true,
            ip: texts(&["10.1.0.0/16"]),
            uri: texts(&["spiffe://shop.example/*"]),
            email: texts(&["shop.example"]),
            subject: vec![subject("O", &["Shop"]), subject("OU", &["a", "b"])],
            key_types: texts(&["EC"]),
            max_validity_months: 3,
            ekus: texts(&["serverAuth"]),
            exportable: true,
            reuse_key: true,
            ca: true,
        }),
        may_grant: texts(&["certmint Watcher", "Key Vault Reader"]),
        expires: Some(prost_types::Timestamp { seconds: 1_801_353_600, nanos: 0 }),
        note: "for the shop".into(),
    };
    assert_eq!(fake.part().granted, [expected]);
    // The fake answers what it was sent.
    let printed: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let grant = &printed["grant"];
    for (member, value) in [
        ("id", serde_json::json!(id)),
        ("principal", "token:shop".into()),
        ("role", "certmint Requester".into()),
        ("vault", "blue".into()),
        ("names", serde_json::json!(["shop-*", "web"])),
        ("issuers", serde_json::json!(["corp", "Self"])),
        ("may_grant", serde_json::json!(["certmint Watcher", "Key Vault Reader"])),
        ("expires", "2027-01-31T00:00:00Z".into()),
        ("note", "for the shop".into()),
    ] {
        assert_eq!(grant[member], value, "{member}: {grant}");
    }
    assert_eq!((&grant["rules"]["dns"][0], &grant["rules"]["ca"]), (&"*.shop.example".into(), &true.into()), "{grant}");

    let ended = fake.run(&["access", "grant", "token:shop", "certmint Watcher", "--every-vault"]).await;
    assert!(ended.out.contains("  store  token:shop  certmint Watcher  vault *  names"), "{ended:?}");
    let sent = fake.part().granted.pop().unwrap();
    assert_eq!((sent.vault_name.as_str(), sent.grant_id.len()), ("*", 36), "a random id, so that it can be repeated");
    let bare = CreateGrantRequest {
        principal: "token:shop".into(),
        role: "certmint Watcher".into(),
        vault_name: "*".into(),
        grant_id: sent.grant_id.clone(),
        ..Default::default()
    };
    assert_eq!(sent, bare);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_and_lists_are_sent_as_their_options_say() {
    let fake = Fake::start().await;
    let arguments =
        ["access", "check", "secrets/getSecret/action", "web", "--principal", "token:shop", "--vault", "blue"];
    let ended = fake.run(&arguments).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, "not allowed\n"), "{ended:?}");
    let expected = CheckAccessRequest {
        principal: "token:shop".into(),
        action: "Microsoft.KeyVault/vaults/secrets/getSecret/action".into(),
        vault_name: "blue".into(),
        name: "web".into(),
    };
    assert_eq!(fake.part().checked, [expected]);
    let ended = fake.run(&["access", "list", "--principal", "token:shop"]).await;
    assert!(ended.out.contains("one  store  token:shop") && ended.out.contains("two  store  token:shop"), "{ended:?}");
    let listed = std::mem::take(&mut fake.part().listed);
    let sent: Vec<_> = listed.iter().map(|page| (page.principal.as_str(), page.page_token.as_str())).collect();
    assert_eq!(sent, [("token:shop", ""), ("token:shop", "more")]);
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
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let arguments =
        ["access", "role", "set", "Reader", "--action", "keys/read", "--description", "of keys", "--id", id];
    let ended = fake.run(&arguments).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let expected = SetRoleRequest {
        role_id: id.into(),
        name: "Reader".into(),
        description: "of keys".into(),
        actions: vec!["Microsoft.KeyVault/vaults/keys/read".into()],
    };
    assert_eq!(fake.part().roles.pop(), Some(expected));
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
