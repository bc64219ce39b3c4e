//! Two replicas on one PostgreSQL database: whoever lives sends what the other one committed.

use crate::peers::until;
use crate::play::FAST;
use crate::postgres::Postgres;
use crate::program::Certmint;
use crate::receiver::Receiver;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const NEW_VERSION: &str = "Microsoft.KeyVault.CertificateNewVersionCreated";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_committed_before_it_was_killed_is_sent_by_another_one() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("master.key");
    fs::write(&keys, "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let url = postgres.fresh().await;
    let config = format!("{FAST}[store]\nurl = '{url}'\n[keys]\nmaster_key_file = '{}'\n", keys.display());
    let (one, other, receiver) =
        (Certmint::start(&config, &[]).await, Certmint::start(&config, &[]).await, Receiver::start().await);
    one.hook("hooks", &receiver, &[]);
    // It hears of the webhook within a second, whatever it does meanwhile.
    let mut number = 0;
    until("an event of the other replica", || {
        number += 1;
        let (other, receiver, name) = (&other, &receiver, format!("web-{number}"));
        async move {
            other.create(&name).await;
            until(&name, || async { other.pending(&name).await["status"] == json!("completed") }).await;
            !receiver.got().is_empty()
        }
    })
    .await;
    receiver.go().await;
    one.create("last").await;
    until("it is issued", || async { one.pending("last").await["status"] == json!("completed") }).await;
    drop(one);
    receiver.come_back().await;
    receiver.gets("last", NEW_VERSION).await;
    until("nothing waits", || async { other.json(&["webhook", "deliveries", "hooks"])["deliveries"] == json!([]) })
        .await;
}
