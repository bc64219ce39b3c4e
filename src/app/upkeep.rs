//! Keeps the event log at its agreed length and the list of vaults up to date, takes up what older versions parked, and
//! removes grants that are over.

use super::store::Opened;
use crate::service::{Authenticated, CertificateAuthorities, MasterKeyObjects, Service};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Waits between two looks at the age of the log and at the vaults that others made.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
/// Revocation lists are read whole for the metrics, and last for days.
const MEASURE_EVERY: Duration = Duration::from_secs(600);
/// How long grants are shown after their end.
const OVER_FOR: Duration = Duration::from_secs(86_400);
/// Events removed in one transaction, so that writers never wait long.
const STEP: usize = 1000;

/// Learns from the kept log what is in progress, for the metrics; once, beside everything else.
pub(super) async fn count_history(service: Service, shutdown: CancellationToken) {
    let counted = tokio::select! {
        () = shutdown.cancelled() => return,
        counted = service.count_history() => counted,
    };
    if let Err(error) = counted {
        tracing::warn!(%error, "the older part of the log could not be counted; certmint_operations_in_progress is too low");
    }
}

/// Looks for records without a code are this far apart, until the window for upgrades is over.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The wait until the next look, in a window for upgrades of this length.
fn look_again(window: Duration) -> Duration {
    LOOK_EVERY.min(window).max(UPKEEP_EVERY)
}

/// Gives the records of earlier versions their codes, beside everything else, where several processes share a store;
/// the only process of a store has done so at its start.
pub(super) async fn authenticate(service: Service, window: Duration, shutdown: CancellationToken) {
    loop {
        let wait = match service.authenticate_records(window).await {
            Ok(Authenticated::All) => return,
            Ok(Authenticated::Until(_)) => look_again(window),
            Err(error) => {
                tracing::warn!(%error, "the records of the store could not be scanned; will retry");
                UPKEEP_EVERY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Takes over into the logs of built-in CAs what versions without them left, and what their replicas still complete,
/// until the window for upgrades is over.
pub(super) async fn adopt_issued(service: Service, window: Duration, shutdown: CancellationToken) {
    let cas = service.certificate_authorities();
    begin_due(&cas).await;
    measure(&cas).await;
    loop {
        let wait = match cas.adopt_issued(window).await {
            Ok(None) => return,
            Ok(Some(count)) => {
                if count > 0 {
                    tracing::info!(count, "took certificates over into the logs of built-in CAs");
                }
                look_again(window)
            }
            Err(error) => {
                tracing::warn!(%error, "the logs of built-in CAs could not be completed; will retry");
                UPKEEP_EVERY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Begins what built-in CAs have to do: lists and responders, and the CAs that follow them.
async fn begin_due(cas: &CertificateAuthorities) {
    if let Err(error) = cas.begin_publishing().await {
        tracing::warn!(%error, "what built-in CAs publish could not be looked at; will retry");
    }
    if let Err(error) = cas.begin_successions().await {
        tracing::warn!(%error, "built-in CAs that come to their end could not be looked for; will retry");
    }
}

/// Reads what the metrics say of the built-in CAs.
async fn measure(cas: &CertificateAuthorities) {
    if let Err(error) = cas.measure().await {
        tracing::warn!(%error, "the built-in CAs could not be measured; will retry");
    }
}

/// Removes grants that have been over for a day.
async fn remove_grants(service: &Service, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match service.grants().remove_over(OVER_FOR).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "grants that are over could not be removed; will retry");
                return;
            }
        }
    }
}

/// Gives due times to certificates of versions that do not renew, beside everything else: at each start, then every hour
/// as long as such versions may still write, and once at the end. That a look found nothing says nothing about the next
/// one: another replica was faster, or the older one was quiet.
pub(super) async fn adopt_renewals(service: Service, window: Duration, shutdown: CancellationToken) {
    let end = service.now().plus(window);
    loop {
        let last = service.now() >= end;
        let wait = match service.renewals().adopt_renewals().await {
            Ok(count) => {
                if count > 0 {
                    tracing::info!(count, "certificates of an earlier version got the due times of their renewals");
                }
                if last {
                    return;
                }
                look_again(window)
            }
            Err(error) => {
                tracing::warn!(%error, "the due times of renewals could not be looked at; will retry");
                UPKEEP_EVERY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Between two looks at all certificates, for the metrics; more where a look takes long.
const SURVEY_EVERY: Duration = Duration::from_secs(600);
/// Looks take this share of the time at most.
const SURVEY_SHARE: u32 = 100;

/// Looks at all certificates every ten minutes, and sets the metrics of their ends and renewals.
pub(super) async fn survey(service: Service, shutdown: CancellationToken) {
    loop {
        let begun = Instant::now();
        if let Err(error) = service.renewals().survey().await {
            tracing::warn!(%error, "the ends of certificates could not be looked at; will retry");
        }
        let wait = SURVEY_EVERY.max(begun.elapsed() * SURVEY_SHARE);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Says each minute which master keys this replica has, where others share the store, and shows what is known of them.
pub(super) async fn master_keys(service: Service, alone: bool, shutdown: CancellationToken) {
    let (keys, since) = (MasterKeyObjects::of(&service), service.now());
    loop {
        if !alone && let Err(error) = keys.announce(since).await {
            tracing::warn!(%error, "the other replicas could not be told which master keys this one has; will retry");
        }
        if let Err(error) = keys.keep_up().await {
            tracing::warn!(%error, "what is known of the master keys could not be read; will retry");
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
        }
    }
    if !alone && let Err(error) = keys.leave().await {
        tracing::warn!(%error, "the other replicas could not be told that this one ends; they find out within three minutes");
    }
}

/// Trims what is older than the retention and above the count that is kept, until `shutdown`; learns
/// of vaults that other processes made.
pub(super) async fn run(opened: Opened, service: Service, shutdown: CancellationToken) {
    let Opened { store, clock, alone: _, failed: _ } = opened;
    let cas = service.certificate_authorities();
    let mut measured: Option<Instant> = None;
    let (retention, kept) = (service.limits().event_retention, service.limits().events_kept as u64);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
        }
        if let Err(error) = service.vault_objects().refresh_vaults().await {
            tracing::warn!(%error, "the vaults could not be read; will retry");
        }
        if let Err(error) = service.jobs().resume_parked().await {
            tracing::warn!(%error, "the parked records could not be looked at; will retry");
        }
        remove_grants(&service, &shutdown).await;
        begin_due(&cas).await;
        if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
            measure(&cas).await;
            measured = Some(Instant::now());
        }
        let before = clock.now().minus(retention);
        loop {
            match store.trim(before, kept, STEP).await {
                Ok(removed) if removed >= STEP as u64 && !shutdown.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the event log could not be trimmed; will retry");
                    break;
                }
            }
        }
    }
}
