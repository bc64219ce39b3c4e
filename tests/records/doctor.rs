//! `certmint doctor --store`: finds what is damaged, and removes it by name.

use crate::place::{A, Place};
use certmint::service::Inspection;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use std::process::Command;
use std::sync::Arc;

/// The exit code, and what was printed.
fn doctor(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    place.write_master_key();
    let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
    command.args(["doctor", "--store", "--data-dir"]).arg(place.folder.path()).args(arguments);
    let output = command.env_remove("CERTMINT_MASTER_KEYS").output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn a_good_store_is_good_and_a_folder_without_one_is_an_error() {
    let place = Place::new();
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(1) && text.contains(" does not exist; give the data folder"), "{text}");
    place.filled().await;
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(0) && text.ends_with("records, 0 findings\n"), "{text}");
}

#[tokio::test]
async fn what_is_damaged_missing_or_left_over_is_named_and_removed_by_its_name() {
    let place = Place::new();
    place.filled().await;
    let (lost, damaged) = (place.version(A, "web"), place.version(A, "other"));
    place.remove(&lost);
    place.edit(&damaged, r#""enabled":true"#, r#""enabled":false"#);
    place.remove("certificates/team-a/manual");
    let (code, text) = doctor(&place, &[]);
    assert_eq!(code, Some(1));
    for line in [
        format!("fail  {damaged}: its authentication code does not match its key and value\n"),
        format!("fail  {lost}: it is missing, and is the newest version of its certificate\n"),
        "fail  pending/team-a/manual: it belongs to the certificate team-a/manual, whose record is missing\n"
            .to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let (code, text) = doctor(&place, &["--remove", "contacts/team-a"]);
    assert!(code == Some(1) && text.contains("is intact; only records that do not verify"), "{text}");
    let (code, text) = doctor(&place, &["--remove", "contacts/team-z"]);
    assert!(code == Some(1) && text.contains("is not in the store"), "{text}");
    for key in [damaged.as_str(), "pending/team-a/manual"] {
        let (code, text) = doctor(&place, &["--remove", key]);
        assert!(code == Some(0) && text == format!("removed {key}\n"), "{text}");
    }
    let (_, text) = doctor(&place, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&str> = report["findings"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    // The removed version is the newest of its certificate, which can be deleted and purged now.
    assert!(keys.contains(&damaged.as_str()) && !keys.contains(&"pending/team-a/manual"), "{report}");
}

#[tokio::test]
async fn records_of_an_earlier_version_after_the_mark_are_adopted_on_request() {
    let place = Place::new();
    place.filled().await;
    place.strip("contacts/team-a");
    place.open().await.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
    let (code, text) = doctor(&place, &["--adopt"]);
    assert!(code == Some(0) && text.contains("the next start adopts the store"), "{text}");
    let life = place.open().await;
    life.service.authenticate_records(std::time::Duration::ZERO).await.unwrap();
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
}

#[tokio::test]
async fn nothing_is_removed_with_other_master_keys() {
    let place = Place::new();
    place.filled().await;
    let store = Sqlite::open(&place.file(), SqliteOptions::default()).unwrap();
    let other = certmint::keys::MasterKeys::random();
    let inspection = Inspection::new(&store, Arc::new(certmint::keys::Sealer::new(other))).await.unwrap();
    let error = inspection.remove("contacts/team-a").await.unwrap_err();
    assert!(error.message.contains("was authenticated with the unknown master key k1"), "{error}");
}
