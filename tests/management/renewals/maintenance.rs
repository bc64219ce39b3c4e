//! Maintenance windows, and vaults whose renewals are stopped.

use super::asked_for::wanted;
use super::{request, start, with};
use crate::management::harness::{Harness, named, vault};
use crate::permit::ask;
use certmint::domain::{MaintenanceWindow, Reason, RenewalTrigger};
use certmint::service::{RenewalOptions, RenewalState, WholeVault};
use certmint::store::{Batch, Put, Store};
use std::time::Duration;

/// The first of a month; renewals are due in the first days of November.
const MONTHLY: &str = "0 3 1 * * UTC 2h";
/// With less than a twentieth of the life left.
const TOO_LATE: &str = "0 3 1 1 * UTC 2h";

impl Harness {
    async fn vault_window(&self, text: &str) {
        ask!(self.service, renewals.set_vault_window(WholeVault(vault()), text)).unwrap();
    }

    async fn window(&self, text: &str) {
        ask!(self.service, renewals.set_window((vault(), named("web")), text)).unwrap();
    }

    /// Looks at the certificate whenever it is due, until it is renewed; when that began.
    async fn renewed(&self) -> String {
        for _ in 0..400 {
            if self.versions("web").await == 2 {
                return self.pending("web").await.created.date_time();
            }
            self.until_due("web").await;
        }
        panic!("it is not renewed: {:?}", self.renewal("web").await);
    }
}

fn is_within(at: &str, from: &str, until: &str) {
    assert!((from..until).contains(&at), "{at} is not from {from} until {until}");
}

#[tokio::test]
async fn what_is_due_waits_for_the_window_of_its_vault() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(MONTHLY).await;
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 1);
    let waiting = harness.renewal("web").await;
    assert_eq!((&waiting.state, waiting.maintenance.as_deref()), (&RenewalState::Planned, Some(MONTHLY)));
    assert_eq!(waiting.plan.unwrap().renew_at.date_time(), "2027-12-01T03:00:00Z");
    let said = "Waits for the maintenance window `0 3 1 * * UTC 2h`, which opens at 2027-12-01T03:00:00Z.";
    assert_eq!(waiting.renewal.tries.note, said);
    is_within(&harness.renewed().await, "2027-12-01T03:00:00Z", "2027-12-01T04:00:00Z");
}

#[tokio::test]
async fn nothing_waits_for_a_window_with_a_twentieth_of_the_life_left() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(TOO_LATE).await;
    harness.later(293).await;
    let plan = harness.renewal("web").await.plan.unwrap();
    assert_eq!(plan.renew_at, plan.emergency());
    is_within(&harness.renewed().await, &plan.emergency().date_time(), "2027-12-30T00:00:00Z");
    assert_eq!(harness.pending("web").await.renews.unwrap().trigger, RenewalTrigger::Emergency);
}

#[tokio::test]
async fn a_window_that_is_changed_is_kept_to_within_six_hours() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(TOO_LATE).await;
    harness.later(293).await;
    harness.vault_window("").await;
    harness.clock.advance(Duration::from_secs(6 * 3600));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_certificate_has_a_window_of_its_own_which_its_next_version_keeps() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(TOO_LATE).await;
    harness.window("  0 3 1  * * UTC 2h ").await;
    harness.later(293).await;
    is_within(&harness.renewed().await, "2027-12-01T03:00:00Z", "2027-12-01T04:00:00Z");
    assert_eq!(harness.renewal("web").await.maintenance.as_deref(), Some(MONTHLY));
    harness.window("always").await;
    // 80 % of a leap year, and half a day for what is drawn.
    harness.later(295).await;
    assert_eq!(harness.versions("web").await, 3);
    harness.window("").await;
    assert_eq!(harness.renewal("web").await.maintenance.as_deref(), Some(TOO_LATE));
}

#[tokio::test]
async fn callers_renew_outside_of_the_window() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(TOO_LATE).await;
    ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "moves")).unwrap();
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn the_configuration_has_a_window_for_all_vaults() {
    let window = Some(MaintenanceWindow::parse(MONTHLY).unwrap());
    let harness = with(RenewalOptions { window, ..RenewalOptions::default() }).await;
    harness.issued(request("web", "Self")).await;
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 1);
    harness.vault_window("always").await;
    harness.clock.advance(Duration::from_secs(6 * 3600));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_vault_whose_renewals_are_stopped_renews_nothing_until_they_go_on() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let paused = ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "moves")).unwrap();
    let since = paused.paused.unwrap().since;
    harness.later(293).await;
    let state = harness.renewal("web").await.state;
    assert!(matches!(&state, RenewalState::Paused(pause) if pause.reason == "moves"), "{state:?}");
    // Also with little of the life left.
    harness.later(60).await;
    assert_eq!(harness.versions("web").await, 1);
    let again = ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "still")).unwrap();
    assert_eq!(again.paused.map(|pause| (pause.since, pause.reason)), Some((since, "still".to_owned())));
    assert_eq!(harness.note("web").await, "The renewals of the vault default are paused: moves.");
    let resumed = ask!(harness.service, renewals.resume_vault(WholeVault(vault()))).unwrap();
    assert_eq!(resumed.paused, None);
    harness.clock.advance(Duration::from_secs(600));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_window_and_a_pause_of_a_vault_do_not_undo_each_other() {
    let harness = start().await;
    harness.vault_window(MONTHLY).await;
    ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "")).unwrap();
    let both = ask!(harness.service, renewals.of_vault(vault())).unwrap();
    assert_eq!((both.maintenance.as_deref(), both.paused.is_some()), (Some(MONTHLY), true));
    harness.vault_window("").await;
    let paused = ask!(harness.service, renewals.of_vault(vault())).unwrap();
    assert_eq!((paused.maintenance, paused.paused.is_some()), (None, true));
}

#[tokio::test]
async fn a_text_that_is_no_window_is_refused_and_changes_nothing() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.vault_window(MONTHLY).await;
    harness.window(TOO_LATE).await;
    for bad in ["tuesdays", "0 3 * * Tue Mars/Olympus 2h", "0 3 31 2 * UTC 2h"] {
        let of_vault = ask!(harness.service, renewals.set_vault_window(WholeVault(vault()), bad)).unwrap_err();
        let own = ask!(harness.service, renewals.set_window((vault(), named("web")), bad)).unwrap_err();
        assert_eq!((of_vault.reason, own.reason), (Reason::BadParameter, Reason::BadParameter), "{bad}");
    }
    assert_eq!(harness.renewal("web").await.maintenance.as_deref(), Some(TOO_LATE));
    let kept = ask!(harness.service, renewals.of_vault(vault())).unwrap();
    assert_eq!(kept.maintenance.as_deref(), Some(MONTHLY));
}

#[tokio::test]
async fn a_record_that_was_edited_stops_no_renewal_and_is_replaced_by_the_next_change() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "moves")).unwrap();
    let record = harness.store.get("vault-renewals/default").await.unwrap().unwrap();
    let body = String::from_utf8(record.body).unwrap().replace("moves", "stays").into_bytes();
    let put = Put { key: record.key, expected: Some(record.revision), body, due: None };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 2);
    let paused = ask!(harness.service, renewals.pause_vault(WholeVault(vault()), "anew")).unwrap();
    assert_eq!(paused.paused.unwrap().reason, "anew");
}
