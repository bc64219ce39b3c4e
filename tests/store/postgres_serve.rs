//! The binary on PostgreSQL: several processes share a database and a data folder from the first start on.

use super::postgres::shared;
use super::server;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_certmint");

/// A replica; killed when the test ends, however it ends.
pub(crate) struct Replica {
    process: Child,
    port: u16,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary with nothing from this process's environment but what it is given.
fn certmint(data: &Path, url: &str) -> Command {
    let mut command = Command::new(BINARY);
    // The password is in the environment alone, as it should be.
    let bare = url.replace(":c0rrect%20horse%2F%40@", "@");
    command
        .env_clear()
        .env("CERTMINT_DATA_DIR", data)
        .env("CERTMINT_STORE", bare)
        .env("CERTMINT_STORE_PASSWORD", server::PASSWORD)
        .stdin(Stdio::null());
    command
}

pub(crate) fn serve(data: &Path, url: &str) -> Child {
    certmint(data, url)
        .args(["serve", "--dev", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn ready(mut process: Child) -> Replica {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split("https://localhost:").nth(1).and_then(|rest| rest.split(' ').next()).map(str::parse);
    let Some(Ok(port)) = port else {
        let mut log = String::new();
        let _ = process.kill();
        process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        panic!("the server did not start: {line}{log}");
    };
    Replica { process, port }
}

pub(crate) fn client(data: &Path, replica: &Replica, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .env_clear()
        .args(["--server", &format!("https://localhost:{}", replica.port), "--token", "t"])
        .arg("--ca")
        .arg(data.join("ca.pem"))
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn replicas_that_start_together_share_database_key_and_authority() {
    let url = shared().fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let started = [serve(&data, &url), serve(&data, &url), serve(&data, &url)];
    let replicas = started.map(ready);
    let made = client(
        &data,
        &replicas[0],
        &[
            "create",
            "web",
            "--subject",
            "CN=web.example",
            "--issuer",
            "Self",
            "--key-type",
            "ec",
            "--curve",
            "P-256",
            "--wait",
        ],
    );
    assert!(made.status.success(), "{}", text(&made));
    for replica in &replicas {
        let found = client(&data, replica, &["get", "web"]);
        assert!(found.status.success() && text(&found).contains("web"), "{}", text(&found));
        let line = std::fs::read(format!("/proc/{}/cmdline", replica.process.id())).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("horse"));
    }
    assert!(!data.join("certmint.db").exists(), "the embedded store is not used beside it");
}

#[tokio::test]
async fn operators_migrate_and_renew_the_epoch_by_command() {
    let url = shared().fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |command: &str| certmint(folder.path(), &url).arg(command).output().unwrap();
    let migrated = run("migrate");
    assert!(migrated.status.success() && text(&migrated).contains("is up to date (schema 1)"), "{}", text(&migrated));
    let operator = server::connect(&url).await;
    let epoch = async || -> String { operator.query_one("SELECT epoch FROM certmint", &[]).await.unwrap().get(0) };
    let before = epoch().await;
    let renewed = run("new-epoch");
    let after = epoch().await;
    assert!(
        renewed.status.success() && text(&renewed).contains(&format!("the epoch is now {after}")),
        "{}",
        text(&renewed)
    );
    assert_ne!(before, after);
    operator.batch_execute("UPDATE certmint SET version = 99, needs = 99").await.unwrap();
    for command in ["migrate", "new-epoch"] {
        let refused = run(command);
        assert!(!refused.status.success() && text(&refused).contains("newer certmint"), "{}", text(&refused));
        assert!(!text(&refused).contains("horse"));
    }
    let mut refused = serve(folder.path(), &url);
    assert!(!refused.wait().unwrap().success());
    let mut log = String::new();
    refused.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("newer certmint") && !log.contains("horse"), "{log}");
}

/// As a version before the codes left it.
const STRIP: &str = "\
UPDATE records SET body = convert_to(regexp_replace(convert_from(body, 'UTF8'), ',\"mac\":\"[^\"]*\"', ''), 'UTF8')
WHERE key NOT LIKE 'meta/%'";
const BARE: &str = "SELECT count(*) FROM records WHERE convert_from(body, 'UTF8') NOT LIKE '{\"format\":1,\"mac\":%'";
const MOVE: &str = "\
UPDATE records SET body = (SELECT body FROM records WHERE key = 'certificates/default/one')
WHERE key = 'certificates/default/two'";

#[tokio::test]
async fn a_database_of_an_earlier_version_is_taken_over_beside_the_work_and_a_moved_row_is_refused() {
    let url = shared().fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let operator = server::connect(&url).await;
    let replica = ready(serve(&data, &url));
    for name in ["one", "two"] {
        let made = client(&data, &replica, &["create", name, "--subject", "CN=a", "--issuer", "Unknown"]);
        assert!(made.status.success(), "{}", text(&made));
    }
    drop(replica);
    operator.batch_execute(STRIP).await.unwrap();
    // Which had no marks, and did not say which replicas there are.
    operator.batch_execute("DELETE FROM records WHERE key LIKE 'meta/%' OR key LIKE 'replicas/%'").await.unwrap();

    let replica = ready(serve(&data, &url));
    let begun = std::time::Instant::now();
    let count = async |sql: &str| -> i64 { operator.query_one(sql, &[]).await.unwrap().get(0) };
    while count(BARE).await > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "records are left without a code");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Replicas of the earlier version may still write: the store is not marked yet.
    assert_eq!(count("SELECT count(*) FROM records WHERE key = 'meta/sweep'").await, 1);
    assert_eq!(count("SELECT count(*) FROM records WHERE key = 'meta/authenticated'").await, 0);
    let well = certmint(&data, &url).args(["doctor", "--store"]).output().unwrap();
    assert!(well.status.success(), "{}", text(&well));

    operator.batch_execute(MOVE).await.unwrap();
    let refused = client(&data, &replica, &["get", "two"]);
    let words = "The record certificates/default/two does not verify";
    assert!(!refused.status.success() && text(&refused).contains(words), "{}", text(&refused));
    let found = certmint(&data, &url).args(["doctor", "--store"]).output().unwrap();
    assert!(found.status.code() == Some(1) && text(&found).contains("certificates/default/two:"), "{}", text(&found));
    let removed = certmint(&data, &url).args(["doctor", "--store", "--remove", "certificates/default/two"]).output();
    let removed = removed.unwrap();
    assert!(removed.status.success() && !text(&removed).contains("horse"), "{}", text(&removed));
}

#[test]
fn an_address_that_is_none_is_refused_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "postgres://u:hunter2@h"] {
        let refused = Command::new(BINARY)
            .env_clear()
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--store", address, "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let told = text(&refused);
        assert!(
            !refused.status.success() && told.contains("postgres://user@host") | told.contains("invalid"),
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// The database tells another version than it has: a function of its own stands before that of the system.
#[tokio::test]
async fn a_server_that_is_too_old_is_refused_with_its_version_and_left_alone() {
    let url = shared().fresh().await;
    let operator = server::connect(&url).await;
    operator
        .batch_execute(
            "CREATE SCHEMA old;
             CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql STABLE AS $$
               SELECT CASE name WHEN 'server_version_num' THEN '140019' WHEN 'server_version' THEN '14.19'
                                ELSE pg_catalog.current_setting(name) END $$;
             DO $$ BEGIN
               EXECUTE format('ALTER DATABASE %I SET search_path = old, pg_catalog, public', current_database());
             END $$",
        )
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for command in [&["serve", "--dev", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let refused = certmint(folder.path(), &url).args(command).output().unwrap();
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("error: the store cannot be "), "{said}");
        assert!(last.ends_with("PostgreSQL 14.19 is too old: certmint needs 15 or later"), "{said}");
    }
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('records', 'certmint')";
    assert_eq!(operator.query_one(made, &[]).await.unwrap().get::<_, i64>(0), 0);
}
