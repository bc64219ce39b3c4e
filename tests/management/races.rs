//! Many callers at once under few names: whatever they do, the records are consistent afterwards, and no caller gets an
//! internal error.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::ask;
use certmint::domain::{Error, Reason};
use certmint::service::{ListRequest, PendingRef, Service, ServiceOptions, UpdateRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NAMES: [&str; 2] = ["a", "b"];
const CALLERS: u64 = 6;
const CALLS: usize = 150;

/// Random numbers that a run can repeat (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// The errors that a caller may get.
fn is_refusal(error: &Error) -> bool {
    use Reason as R;
    matches!(
        error.reason,
        R::CertificateNotFound
            | R::PendingNotFound
            | R::PendingInProgress
            | R::DeletedButRecoverable
            | R::BeingDeleted
            | R::AlreadyExists
            | R::BadParameter
            | R::StoreUnavailable
    )
}

async fn act(service: &Service, dice: &mut Dice) -> Result<(), Error> {
    let name = named(NAMES[usize::try_from(dice.roll(2)).unwrap()]);
    let vault = vault();
    match dice.roll(12) {
        0 | 1 => ask!(service, creations.create(create(name.as_str(), "Self"))).map(drop),
        2 => ask!(service, creations.create(create(name.as_str(), "Unknown"))).map(drop),
        3 | 4 => ask!(service, deletions.delete_certificate((vault.clone(), name.clone()))).map(drop),
        5 => ask!(service, deletions.recover_certificate((vault.clone(), name.clone()))).map(drop),
        6 => ask!(service, deletions.purge_certificate((vault.clone(), name.clone()))),
        7 => {
            let tags = [("n".to_owned(), dice.roll(9).to_string())].into();
            let request = UpdateRequest { vault, name, version: None, policy: None, enabled: None, tags: Some(tags) };
            ask!(service, certificates.update_certificate(request.clone())).map(drop)
        }
        8 => {
            let backup = ask!(service, certificates.backup_certificate((vault.clone(), name.clone())))?;
            let _ = ask!(service, deletions.delete_certificate((vault.clone(), name.clone())));
            let _ = ask!(service, deletions.purge_certificate((vault.clone(), name.clone())));
            ask!(service, certificates.restore_certificate(vault.clone(), backup)).map(drop)
        }
        9 => ask!(service, pending.delete_pending(PendingRef { vault, name, request_id: None })).map(drop),
        10 => {
            let expected = ListRequest { vault, page_size: 10, page_token: String::new(), include_pending: true };
            ask!(service, certificates.list_certificates(expected.clone()))?;
            ask!(service, certificates.list_deleted(expected.clone()))?;
            ask!(service, certificates.list_versions((expected.clone(), name.clone()))).map(drop)
        }
        _ => {
            for due in service.jobs().claim(8).await? {
                service.jobs().step(due).await?;
            }
            ask!(service, certificates.certificate((vault.clone(), name.clone()))).map(drop)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_records_of_a_name_always_fit_together() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let done = Arc::new(AtomicUsize::new(0));
    let callers = (1..=CALLERS).map(|caller| {
        let (service, done) = (harness.service.clone(), done.clone());
        tokio::spawn(async move {
            let mut dice = Dice(caller.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for _ in 0..CALLS {
                match act(&service, &mut dice).await {
                    Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => assert!(is_refusal(&error), "caller {caller}: {error:?}"),
                }
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 100, "only {} calls succeeded", done.load(Ordering::Relaxed));
    harness.clock.advance(Duration::from_secs(91));
    harness.work().await;
    let keys = harness.store.keys().await;
    for name in NAMES {
        let has = |kind: &str| keys.iter().any(|key| *key == format!("{kind}/default/{name}"));
        let versions: Vec<&String> =
            keys.iter().filter(|key| key.starts_with(&format!("versions/default/{name}/"))).collect();
        assert!(!has("leaving"), "{keys:?}");
        let Some(body) = harness.store.body(&format!("certificates/default/{name}")).await else {
            let left = ["deleted", "kept", "pending"].iter().any(|kind| has(kind));
            assert!(!left && versions.is_empty(), "{name} is gone, but not all of it: {keys:?}");
            continue;
        };
        let (entry, latest) = (&body["value"], body["value"]["latest"].as_str());
        if let Some(latest) = latest {
            assert!(versions.iter().any(|key| key.ends_with(latest)), "{name} {latest}: {keys:?}");
            assert_eq!(entry["summary"]["version"], latest);
        }
        if entry["state"] == "Live" {
            assert!(!has("deleted") && !has("kept"), "{name} is live: {keys:?}");
        } else {
            assert!(has("deleted") && !has("pending"), "{name} is deleted: {keys:?}");
        }
    }
}
