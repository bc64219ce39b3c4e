//! The record of a vault says how deleted certificates are kept: damaged or missing, it takes no protection away.

use crate::permit::permit;
use crate::records::doctor::doctor;
use crate::records::place::{Life, Place, vault};
use certmint::domain::{Error, Reason, RetentionDays, Vault};
use certmint::service::{AllVaults, Inspection, NewVault, Repair, VaultOptions};
use std::sync::Arc;
use std::time::Duration;

const GUARDED: &str = "guarded";
const RECORD: &str = "vaults/guarded";

async fn make(life: &Life, name: &str, days: u32, protection: bool) -> Result<Vault, Error> {
    let days = RetentionDays::new(days).unwrap();
    let wanted = NewVault { name: vault(name), retention_days: Some(days), purge_protection: Some(protection) };
    life.service.vault_objects().create_vault(permit(&life.service, wanted).await).await
}

/// A vault with purge protection, one certificate and a deleted one; whether every other name is a vault.
async fn guarded(on_demand: bool) -> Place {
    let mut place = Place::new();
    place.limits.vaults.on_demand = on_demand.then_some(true);
    let life = place.open().await;
    make(&life, GUARDED, 7, true).await.unwrap();
    life.issued(GUARDED, "live").await;
    life.issued(GUARDED, "gone").await;
    life.ok(GUARDED, "DELETE /certificates/gone", "").await;
    place
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    Damaged,
    Emptied,
    OfAnother,
    Removed,
}

impl Harm {
    fn be_done(self, place: &Place) {
        match self {
            Self::Damaged => place.edit(RECORD, "\"purge_protection\":true", "\"purge_protection\":false"),
            Self::Emptied => place.write(RECORD, ""),
            Self::OfAnother => place.moved("certificates/guarded/live", RECORD),
            Self::Removed => place.remove(RECORD),
        }
    }
}

#[tokio::test]
async fn a_vault_whose_record_is_damaged_or_missing_is_refused_by_the_name_of_the_record() {
    for on_demand in [false, true] {
        for harm in [Harm::Damaged, Harm::Emptied, Harm::OfAnother, Harm::Removed] {
            // Where every name is a vault, one without a record is a usual one.
            if (on_demand, harm) == (true, Harm::Removed) {
                continue;
            }
            let place = guarded(on_demand).await;
            harm.be_done(&place);
            let life = place.open().await;
            for request in [
                "DELETE /deletedcertificates/gone",
                "DELETE /certificates/live",
                "GET /certificates/live",
                "GET /certificates",
                "POST /certificates/new/create",
                "POST /deletedcertificates/gone/recover",
            ] {
                let reply = life.send(GUARDED, request, "{}").await;
                let named = reply.body.contains("The record vaults/guarded ");
                assert!(
                    reply.status == 500 && named,
                    "{on_demand} {harm:?} {request}: {} {}",
                    reply.status,
                    reply.body
                );
            }
            let list = life.service.vault_objects().list_vaults(permit(&life.service, AllVaults).await, 10, "").await;
            let names: Vec<String> = list.unwrap().vaults.into_iter().map(|vault| vault.name.to_string()).collect();
            assert_eq!(names, ["default"], "it is not shown with the settings of others");
        }
    }
}

#[tokio::test]
async fn what_was_deleted_under_purge_protection_stays_protected_where_every_name_is_a_vault() {
    let place = guarded(true).await;
    place.remove(RECORD);
    let life = place.open().await;
    let reply = life.send(GUARDED, "DELETE /deletedcertificates/gone", "").await;
    assert!(reply.status == 403 && reply.body.contains("purge protection"), "{} {}", reply.status, reply.body);
}

#[tokio::test]
async fn a_vault_that_holds_certificates_is_not_made_with_weaker_settings() {
    let place = guarded(false).await;
    Harm::Removed.be_done(&place);
    let life = place.open().await;
    for (days, protection) in [(7, false), (90, false), (7, true), (89, true)] {
        let error = make(&life, GUARDED, days, protection).await.unwrap_err();
        assert_eq!(error.reason, Reason::BadParameter, "{days} {protection}");
        assert!(error.message.contains("kept less well than so far"), "{error}");
    }
    make(&life, GUARDED, 90, true).await.unwrap();
    assert_eq!(life.send(GUARDED, "DELETE /deletedcertificates/gone", "").await.status, 403);
    make(&life, "empty", 7, false).await.unwrap();
    drop(life);
    // Where every name is a vault, its certificates have been kept as the configuration says.
    let place = Place::new();
    let life = place.open().await;
    life.issued("used", "web").await;
    assert_eq!(make(&life, "used", 7, false).await.unwrap_err().reason, Reason::BadParameter);
    make(&life, "used", 90, true).await.unwrap();
}

#[tokio::test]
async fn a_damaged_record_is_not_made_anew_by_a_caller() {
    let place = guarded(false).await;
    Harm::Damaged.be_done(&place);
    let life = place.open().await;
    let error = make(&life, GUARDED, 90, true).await.unwrap_err();
    assert!(error.message.contains("The record vaults/guarded does not verify"), "{error}");
}

#[tokio::test]
async fn the_doctor_names_the_record_and_makes_it_anew_with_protection_and_never_removes_it() {
    for harm in [Harm::Damaged, Harm::Removed] {
        let place = guarded(false).await;
        harm.be_done(&place);
        let (code, text) = doctor(&place, &[]);
        let cure = "certmint doctor --store --protect guarded";
        assert!(code == Some(1) && text.contains("fail  vaults/guarded: ") && text.contains(cure), "{harm:?} {text}");
        assert!(!text.contains("--remove"), "{text}");
        let (code, text) = doctor(&place, &["--remove", RECORD]);
        assert_eq!(code, Some(1), "{text}");
        let kept = ["would lose its purge protection and retention", "is not in the store"];
        assert!(kept.iter().any(|why| text.contains(why)), "{text}");
        let (code, text) = doctor(&place, &["--protect", GUARDED]);
        assert!(code == Some(0) && text.contains("has purge protection and a retention of 90 days"), "{text}");
        assert_eq!(doctor(&place, &[]).0, Some(0));
        let life = place.open().await;
        assert_eq!(life.send(GUARDED, "DELETE /deletedcertificates/gone", "").await.status, 403);
        life.ok(GUARDED, "GET /certificates/live", "").await;
        drop(life);
        let (code, text) = doctor(&place, &["--protect", GUARDED]);
        assert!(code == Some(1) && text.contains("is intact; it is kept"), "{text}");
        let (code, text) = doctor(&place, &["--protect", "nobody"]);
        assert!(code == Some(1) && text.contains("there is nothing in the vault"), "{text}");
    }
}

#[tokio::test]
async fn vaults_of_the_configuration_need_no_record_and_a_damaged_empty_one_is_removed() {
    let place = guarded(false).await;
    place.remove(RECORD);
    let store = place.store();
    let sealer = || Arc::new(Place::sealer());
    let now = certmint::domain::Timestamp::from_seconds(1_800_000_000);
    let configured: VaultOptions = toml::from_str(&format!("[named.{GUARDED}]")).unwrap();
    let look = || Inspection::new(&store, sealer(), Duration::from_secs(86_400), now);
    let inspection = look().await.unwrap().expect_records_but_of(&configured);
    assert_eq!(inspection.findings().await.unwrap().1, []);
    let inspection = look().await.unwrap().expect_records_but_of(&VaultOptions::default());
    let (_, findings) = inspection.findings().await.unwrap();
    assert_eq!(findings.iter().map(|it| &it.repair).collect::<Vec<_>>(), [&Repair::Protect(vault(GUARDED))]);
    drop(store);
    place.write("vaults/empty", "damaged");
    let (_, text) = doctor(&place, &["--remove", "vaults/empty"]);
    assert_eq!(text, "removed vaults/empty\n");
}

#[tokio::test]
async fn the_damaged_record_of_a_vault_that_holds_issuers_alone_is_not_removed_either() {
    let place = Place::new();
    let life = place.open().await;
    make(&life, GUARDED, 7, true).await.unwrap();
    life.ok(GUARDED, "PUT /certificates/issuers/ca", r#"{"provider":"LocalCA"}"#).await;
    drop(life);
    Harm::Damaged.be_done(&place);
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(1) && text.contains("certmint doctor --store --protect guarded"), "{text}");
    let (_, text) = doctor(&place, &["--remove", RECORD]);
    assert!(text.contains("would lose its purge protection and retention"), "{text}");
}
