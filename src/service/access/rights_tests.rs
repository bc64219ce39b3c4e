//! How much of a change of many grants is done where it would hold others up.

use super::super::sources::Kept;
use super::*;
use crate::domain::access::GrantInput;
use crate::service::records::{GrantRecord, RoleRecord};
use std::cell::Cell;
use std::sync::mpsc;
use tokio::task::spawn_blocking;

const ROLE: Uuid = Uuid::from_u128(7);

fn role(action: &str) -> Kept<RoleRecord> {
    let value = RoleRecord {
        id: ROLE,
        name: "Mine".to_owned(),
        description: String::new(),
        actions: vec![action.to_owned()],
        changed: Timestamp(0),
        changed_by: "token:admin".to_owned(),
    };
    Kept { value, bytes: 1 }
}

fn grant(number: usize) -> (Uuid, Kept<GrantRecord>) {
    let id = Uuid::from_u128(1_000 + number as u128);
    let grant = GrantInput {
        principal: format!("token:{number}"),
        role: ROLE.to_string(),
        vault: "default".to_owned(),
        names: Some(vec!["*".to_owned()]),
        issuers: Some(vec!["*".to_owned()]),
        ..GrantInput::default()
    };
    (
        id,
        Kept {
            value: GrantRecord { id, grant, created: Timestamp(0), created_by: "token:admin".to_owned() },
            bytes: 1,
        },
    )
}

fn may(rights: &Rights, action: crate::domain::DataAction) -> bool {
    rights.table().of("token:1").iter().any(|grant| grant.role.actions.has(action))
}

/// Nothing else runs on this thread while it works: what goes on meanwhile shows that the work is done elsewhere.
#[test]
fn a_change_of_many_grants_holds_no_async_thread_up() {
    use crate::domain::DataAction as A;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let rights = Arc::new(Rights::new(AccessOptions::default()).unwrap());
        let roles = [(ROLE, role("Microsoft.KeyVault/vaults/keys/read"))].into();
        let stored = Stored { grants: (0..=AT_ONCE).map(grant).collect(), roles };
        // The one thread for such work is taken until a task of the runtime gives it free.
        let (release, gate) = mpsc::channel::<()>();
        let taken = spawn_blocking(move || gate.recv());
        let freed = Cell::new(false);
        let replace = async {
            rights.replace_stored(stored).await.unwrap();
            assert!(freed.get(), "it was done on the async thread");
        };
        let free = async {
            freed.set(true);
            release.send(()).unwrap();
        };
        // In this order: the second one is begun where the first one waits.
        tokio::join!(replace, free);
        taken.await.unwrap().unwrap();
        assert!(may(&rights, A::KeysRead) && !may(&rights, A::SecretsGet));

        let (release, gate) = mpsc::channel::<()>();
        let taken = spawn_blocking(move || gate.recv());
        let changes = vec![Change::Role(ROLE, Some(role("Microsoft.KeyVault/vaults/secrets/getSecret/action")))];
        let id = grant(1).0.to_string();
        let meanwhile = async {
            assert!(may(&rights, A::KeysRead), "checks go on with what was in force");
            release.send(()).unwrap();
            rights.grant(&id).await.expect("who asks for a grant waits for the change")
        };
        let (changed, found) = tokio::join!(rights.change_stored(changes), meanwhile);
        changed.unwrap();
        taken.await.unwrap().unwrap();
        assert!(found.role.actions.has(A::SecretsGet), "in the order in which they came");
        assert!(may(&rights, A::SecretsGet) && !may(&rights, A::KeysRead));
    });
}

/// Whoever made a change may have gone; it counts all the same, and before those that come after it.
#[tokio::test]
async fn a_change_that_nobody_waits_for_is_finished_in_its_turn() {
    use crate::domain::DataAction as A;
    let rights = Arc::new(Rights::new(AccessOptions::default()).unwrap());
    let roles = [(ROLE, role("Microsoft.KeyVault/vaults/keys/read"))].into();
    let stored = Stored { grants: (0..=AT_ONCE).map(grant).collect(), roles };
    let begun = Arc::clone(&rights);
    let first = tokio::spawn(async move { begun.replace_stored(stored).await });
    // Until it has the sources.
    while rights.sources.try_lock().is_ok() && !first.is_finished() {
        tokio::task::yield_now().await;
    }
    first.abort();
    let changes = vec![Change::Role(ROLE, Some(role("Microsoft.KeyVault/vaults/secrets/getSecret/action")))];
    rights.change_stored(changes).await.unwrap();
    assert!(may(&rights, A::SecretsGet) && !may(&rights, A::KeysRead));
}
