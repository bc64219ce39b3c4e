//! `certmint doctor --store`: checks the records of a store without a server, and removes unusable ones.

use super::announce::say;
use super::error::{AppError, part};
use super::master_keys;
use super::store::{self, Opened};
use super::store_configuration;
use crate::cli::StoreDoctorArgs;
use crate::config::Config;
use crate::keys::Sealer;
use crate::service::{Finding, Inspection, Repair};
use serde_json::json;
use std::sync::Arc;

/// Returns whether every record is well, or the one that was named was removed.
pub(super) async fn store(arguments: StoreDoctorArgs) -> Result<bool, AppError> {
    let StoreDoctorArgs { store, remove, protect, adopt, json } = arguments;
    let config = store_configuration(store)?;
    store::must_exist(&config)?;
    let Opened { store, clock, alone: _, failed: _ } = store::open(&config).await?;
    let lines = store::master_keys(&config, &*store)?;
    let sealer = Arc::new(Sealer::new(master_keys::once(lines, config.keys.master_key_timeout).await?));
    let cannot = "the records of the store cannot be read";
    let window = config.store.upgrade_window;
    let inspection = Inspection::new(&*store, sealer, window, clock.now()).await.map_err(part(cannot))?;
    let inspection = with_vaults(inspection, &config);
    if let Some(name) = protect {
        inspection.protect(&name, clock.now()).await.map_err(part("nothing was changed"))?;
        let text = format!("the vault {name} has purge protection and a retention of 90 days\n");
        say(&if json { format!("{}\n", json!({ "protected": name })) } else { text });
        return Ok(true);
    }
    if let Some(key) = remove {
        let lost = inspection.remove(&key).await.map_err(part("nothing was removed"))?;
        let said = lost.map(|lost| format!(", and with it {lost}")).unwrap_or_default();
        let text = format!("removed {key}{said}\n");
        say(&if json { format!("{}\n", json!({ "removed": key, "lost": lost })) } else { text });
        return Ok(true);
    }
    if adopt {
        inspection.adopt(clock.now()).await.map_err(part("the store cannot be written"))?;
        let text = "the next start adopts the store as one written by a version without authentication codes\n";
        say(&if json { format!("{}\n", json!({ "adopted": true })) } else { text.to_owned() });
        return Ok(true);
    }
    let (count, findings) = inspection.findings().await.map_err(part(cannot))?;
    let unused = inspection.unused_keys().await.map_err(part(cannot))?;
    let marked = inspection.is_marked();
    say(&if json { as_json(count, &findings, marked, &unused) } else { as_text(count, &findings, marked, &unused) });
    Ok(findings.is_empty())
}

/// Outside development mode a vault is one of the configuration or has a record.
fn with_vaults<'a>(inspection: Inspection<'a>, config: &Config) -> Inspection<'a> {
    // The development CA is made by the first start in development mode, in which every name is a vault.
    let development = config.data_dir.join("ca-key.pem").exists();
    if config.vaults.on_demand == Some(true) || development {
        return inspection;
    }
    inspection.expect_records_but_of(&config.vaults)
}

fn as_json(count: usize, findings: &[Finding], marked: bool, unused: &[String]) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|Finding { key, problem, repair }| {
            let (removable, vault) = match repair {
                Repair::Purge | Repair::Server | Repair::Restore => (false, None),
                Repair::Remove | Repair::Lose(_) => (true, None),
                Repair::Protect(vault) => (false, Some(vault.as_str())),
            };
            json!({ "key": key, "problem": problem, "removable": removable, "protect": vault })
        })
        .collect();
    let found = json!({
        "records": count, "authenticated": marked, "findings": findings, "unused_master_keys": unused,
    });
    format!("{found}\n")
}

fn as_text(count: usize, findings: &[Finding], marked: bool, unused: &[String]) -> String {
    let mut text = String::new();
    for Finding { key, problem, repair } in findings {
        text.push_str(&format!("fail  {key}: {problem}\n"));
        let advice = match repair {
            Repair::Server => "start a server, or let it run: it makes the record anew within a day".to_owned(),
            Repair::Restore => {
                "restore the store from a backup: what depends on the record is lost without it".to_owned()
            }
            Repair::Lose(what) => {
                format!("restore the store from a backup, or give up {what}: certmint doctor --store --remove {key}")
            }
            Repair::Remove => format!("restore the store from a backup, or: certmint doctor --store --remove {key}"),
            Repair::Protect(vault) => format!(
                "restore the store from a backup, name the vault in the configuration, or make the record anew, with purge protection and a retention of 90 days: certmint doctor --store --protect {vault}"
            ),
            Repair::Purge => "restore the store from a backup, or delete and purge the certificate".to_owned(),
        };
        text.push_str(&format!("      what to do: {advice}\n"));
    }
    for key in unused {
        text.push_str(&format!(
            "note  master key {key}: no record needs it, so its line can be taken out; backups that were made with it still need it\n"
        ));
    }
    let kind = if marked { "" } else { " in a store that is not yet marked as authenticated" };
    text.push_str(&format!("{count} records{kind}, {} findings\n", findings.len()));
    text
}
