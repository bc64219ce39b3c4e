//! What operators do with issuers, over two replicas on PostgreSQL: a pause, the health, and work of a version to come.

use super::postgres::{open, shared};
use super::postgres_serve::{Replica, client, ready, serve, text};
use certmint::domain::Timestamp;
use certmint::store::{Batch, Put, Store};
use std::path::Path;
use std::time::Duration;

/// Only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

/// Asks until the answer holds a text.
async fn says(data: &Path, replica: &Replica, arguments: &[&str], wanted: &str) -> String {
    let asking = async {
        loop {
            let answer = text(&client(data, replica, arguments));
            if answer.contains(wanted) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(HANG, asking).await.unwrap_or_else(|_| panic!("never: {wanted}"))
}

fn done(data: &Path, replica: &Replica, arguments: &[&str]) {
    let answer = client(data, replica, arguments);
    assert!(answer.status.success(), "{arguments:?}: {}", text(&answer));
}

/// When the CA was last called with success, as a replica says.
fn last_success(data: &Path, replica: &Replica) -> serde_json::Value {
    let answer = client(data, replica, &["--output", "json", "issuer", "show", "corp"]);
    let shown: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    fn find<'a>(value: &'a serde_json::Value, name: &str) -> Option<&'a serde_json::Value> {
        let members = value.as_object()?;
        members.get(name).or_else(|| members.values().find_map(|member| find(member, name)))
    }
    find(&shown, "last_success").unwrap_or_else(|| panic!("{shown}")).clone()
}

#[tokio::test]
async fn a_pause_on_one_replica_holds_on_the_other_and_both_know_how_the_issuer_fares() {
    let url = shared().fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let [one, other] = [serve(&data, &url), serve(&data, &url)].map(ready);
    done(&data, &one, &["issuer", "set", "corp", "--provider", "Test", "--account-id", "complete"]);
    done(&data, &one, &["issuer", "pause", "corp", "--reason", "the CA moves"]);
    let create =
        ["create", "web", "--subject", "CN=web.example", "--issuer", "corp", "--key-type", "ec", "--curve", "P-256"];
    done(&data, &other, &create);
    for replica in [&one, &other] {
        says(&data, replica, &["pending", "show", "web"], "is paused: the CA moves").await;
        says(&data, replica, &["issuer", "show", "corp"], "the CA moves").await;
        assert_eq!(last_success(&data, replica), serde_json::Value::Null, "nobody was asked");
    }
    done(&data, &other, &["issuer", "resume", "corp"]);
    says(&data, &one, &["pending", "show", "web"], "completed").await;
    // Whichever of them took the step.
    for replica in [&one, &other] {
        assert!(last_success(&data, replica).is_string());
    }
}

#[tokio::test]
async fn work_of_a_version_to_come_is_parked_once_and_kept_as_it_is() {
    let url = shared().fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let replicas = [serve(&data, &url), serve(&data, &url)].map(ready);
    let store = open(&url).await;
    let (key, body) = ("renewals/default/web", b"{\"of\":\"the future\"}".to_vec());
    let due = Some(Timestamp(0));
    let puts = vec![Put { key: key.to_owned(), expected: None, body: body.clone(), due }];
    store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    let parked = async {
        while store.get(key).await.unwrap().unwrap().due.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store.get(key).await.unwrap().unwrap()
    };
    let kept = tokio::time::timeout(HANG, parked).await.expect("never parked");
    assert_eq!(kept.body, body);
    let noted = store.list("parked/", "", 10).await.unwrap();
    assert_eq!(noted.len(), 1, "by one of the two");
    // Both have looked for work since then.
    for (replica, name) in replicas.iter().zip(["one", "other"]) {
        let policy = ["--subject", "CN=web.example", "--issuer", "Self", "--key-type", "ec", "--curve", "P-256"];
        done(&data, replica, &[&["create", name], policy.as_slice()].concat());
        says(&data, replica, &["pending", "show", name], "completed").await;
    }
    let again = store.get(key).await.unwrap().unwrap();
    assert_eq!(again.revision, kept.revision, "neither takes it up again");
    drop(replicas);
}
