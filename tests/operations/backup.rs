//! The embedded store saved while the server runs, and brought back: what was saved is there, and resume tokens of
//! the time after the backup are refused instead of being misread.

use crate::clients::{create, grpc, reason, watch};
use crate::server::{ALICE, Place};
use certmint::proto::v1::GetPendingRequest;
use std::fs;
use std::path::Path;
use std::process::Command;
use tonic::Code;

fn new_epoch(data: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_certmint")).args(["new-epoch", "--data-dir"]).arg(data).output();
    let output = output.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn created(client: &mut crate::clients::Client, name: &str) -> bool {
    let expected = GetPendingRequest { certificate_name: name.to_owned(), ..GetPendingRequest::default() };
    client.get_pending(expected).await.is_ok()
}

#[tokio::test]
async fn a_restored_database_has_what_was_saved_and_refuses_the_tokens_of_its_future() {
    let place = Place::new("");
    let (data, saved) = (place.file("data"), place.file("saved.db"));
    let lost = {
        let server = place.start();
        let mut client = grpc(&server, &place, Some(ALICE)).await;
        client.create_certificate(create("kept")).await.unwrap();
        let connection = rusqlite::Connection::open(data.join("certmint.db")).unwrap();
        connection.execute("VACUUM INTO ?1", [saved.to_str().unwrap()]).unwrap();
        client.create_certificate(create("lost")).await.unwrap();
        let (code, message) = new_epoch(&data);
        assert!(code == Some(1) && message.contains("in use by another process"), "{message}");
        watch(&mut client, "").await.unwrap().1
    };
    for name in ["certmint.db", "certmint.db-wal", "certmint.db-shm"] {
        let _absent = fs::remove_file(data.join(name));
    }
    fs::copy(&saved, data.join("certmint.db")).unwrap();
    let (code, message) = new_epoch(&data);
    assert!(code == Some(0) && message.contains("the epoch is now"), "{message}");

    let server = place.start();
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    assert!(created(&mut client, "kept").await && !created(&mut client, "lost").await);
    // Beyond the head of the backup: without the new epoch this revision would be another event by now.
    for name in ["a", "b", "c"] {
        client.create_certificate(create(name)).await.unwrap();
    }
    let refused = watch(&mut client, &lost).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "RESUME_TOKEN_EXPIRED"));
}

#[test]
fn there_is_no_new_epoch_for_a_database_that_is_not_there_or_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (code, message) = new_epoch(folder.path());
    assert!(code == Some(1) && message.contains("cannot open"), "{message}");
    assert!(!folder.path().join("certmint.db").exists());
    rusqlite::Connection::open(folder.path().join("certmint.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let (code, message) = new_epoch(folder.path());
    assert!(code == Some(1) && message.contains("not one of certmint"), "{message}");
}
