//! `certmint doctor --store`: finds what is damaged, and removes it by name.

use crate::around::{Around, store_around};
use crate::records::place::{A, Place, policy};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::Timestamp;
use certmint::keys::Sealer;
use certmint::service::{Authenticated, Inspection, Repair};
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::store::{Record, Store, StoreError};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The command has the time of this machine.
fn clock_of_the_command() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

async fn inspection(store: &dyn Store, sealer: Sealer) -> Inspection<'_> {
    let now = Timestamp::from_seconds(1_800_000_000);
    Inspection::new(store, Arc::new(sealer), DAY, now).await.unwrap()
}

/// The exit code, and what was printed.
pub(super) fn doctor(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
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
async fn what_is_left_of_an_issuer_that_is_missing_is_named_and_removed() {
    let place = Place::new();
    place.filled().await;
    let life = place.open().await;
    life.ok(A, "POST /certificates/signed/create", &policy("ca", "")).await;
    life.work().await;
    drop(life);
    let (code, text) = doctor(&place, &[]);
    assert_eq!(code, Some(0), "{text}");
    place.remove("issuers/team-a/ca");
    let left = "issuer-health/team-a/ca";
    let (code, text) = doctor(&place, &[]);
    let line = format!("fail  {left}: it belongs to the issuer team-a/ca, whose record is missing\n");
    assert!(code == Some(1) && text.contains(&line), "{text}");
    let (code, text) = doctor(&place, &["--remove", left]);
    assert!(code == Some(0) && text == format!("removed {left}\n"), "{text}");
}

#[tokio::test]
async fn what_an_earlier_version_wrote_after_the_mark_is_taken_over_when_an_operator_says_so() {
    let mut place = Place::new();
    place.clock = clock_of_the_command();
    place.filled().await;
    place.strip("contacts/team-a");
    place.open().await.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
    let (code, text) = doctor(&place, &["--adopt"]);
    assert!(code == Some(0) && text.contains("the next start adopts the store"), "{text}");
    // The command was later than the test began.
    place.clock.advance(Duration::from_secs(3600));
    let life = place.open().await;
    life.service.authenticate_records(Duration::ZERO).await.unwrap();
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
}

#[tokio::test]
async fn nothing_is_removed_with_other_master_keys() {
    let place = Place::new();
    place.filled().await;
    let store = Sqlite::open(&place.file(), SqliteOptions::default()).unwrap();
    let other = certmint::keys::MasterKeys::random();
    let inspection = inspection(&store, certmint::keys::Sealer::new(other)).await;
    let error = inspection.remove("contacts/team-a").await.unwrap_err();
    assert!(error.message.contains("was authenticated with the unknown master key k1"), "{error}");
}

#[tokio::test]
async fn during_a_takeover_records_without_a_code_are_well() {
    let mut place = Place::new();
    place.clock = clock_of_the_command();
    place.filled().await;
    place.strip_all();
    let life = place.open().await;
    assert!(matches!(life.service.authenticate_records(DAY).await.unwrap(), Authenticated::Until(_)));
    drop(life);
    // A replica of the earlier version writes it again.
    place.strip("contacts/team-a");
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(0) && text.ends_with("not yet marked as authenticated, 0 findings\n"), "{text}");
    let (code, text) = doctor(&place, &["--remove", "contacts/team-a"]);
    assert!(code == Some(1) && text.contains("is intact; only records that do not verify"), "{text}");
}

#[tokio::test]
async fn where_a_takeover_did_not_end_records_without_a_code_are_named_and_kept() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    drop(place.open().await);
    let store = place.store();
    let late = Timestamp::from_seconds(1_900_000_000);
    let sealer = Arc::new(Place::sealer());
    let inspection = Inspection::new(&store, sealer, DAY, late).await.unwrap();
    let (_, findings) = inspection.findings().await.unwrap();
    let finding = findings.iter().find(|finding| finding.key == "contacts/team-a").unwrap();
    assert!(
        finding.repair == Repair::Purge && finding.problem.contains("certmint doctor --store --adopt"),
        "{finding:?}"
    );
}

/// A scan of the certificates passes before one of them is made; whoever asks for it by name finds it.
struct MadeBehindTheScan(Sqlite);

store_around!(MadeBehindTheScan);

#[async_trait]
impl Around for MadeBehindTheScan {
    fn inner(&self) -> &dyn Store {
        &self.0
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut page = self.0.list(prefix, after, limit).await?;
        page.retain(|record| !["certificates/team-a/web", "certificates/team-a/manual"].contains(&&*record.key));
        Ok(page)
    }
}

#[tokio::test]
async fn what_is_made_while_the_doctor_looks_is_no_finding_and_not_removed() {
    let place = Place::new();
    place.filled().await;
    let store = MadeBehindTheScan(place.store());
    let inspection = inspection(&store, Place::sealer()).await;
    assert_eq!(inspection.findings().await.unwrap().1, []);
    for key in ["pending/team-a/manual", &place.version(A, "web")] {
        let error = inspection.remove(key).await.unwrap_err();
        assert!(error.message.contains("is intact"), "{error}");
    }
}

#[tokio::test]
async fn records_of_no_known_kind_are_named_and_can_be_removed() {
    let place = Place::new();
    place.filled().await;
    let strangers = ["", "certificates", "zzz/team-a/x"];
    strangers.iter().for_each(|key| place.write(key, "{}"));
    let (code, text) = doctor(&place, &[]);
    assert_eq!(code, Some(1), "{text}");
    for key in strangers {
        assert!(text.contains(&format!("fail  {key}: it is of no kind that this version knows")), "{key}: {text}");
        let (code, text) = doctor(&place, &["--remove", key]);
        assert_eq!((code, text), (Some(0), format!("removed {key}\n")));
    }
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(0) && text.ends_with("records, 0 findings\n"), "{text}");
}
