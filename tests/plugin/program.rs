//! The whole program with a plug-in: configuration, orders over the command line, hints, and `plugin test`.

use crate::mock::{Manner, Mock, TOKEN, serve, socket};
use crate::ports::free_port;
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_certmint");

/// A server in development mode whose provider `Corp` is a plug-in.
struct Certmint {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Drop for Certmint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(folder: &TempDir, port: u16, plugins: &str) -> String {
    let config =
        format!("dev = true\ndata_dir = '{}/data'\nlisten = '127.0.0.1:{port}'\n{plugins}", folder.path().display());
    let file = folder.path().join("certmint.toml");
    std::fs::write(&file, config).unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    file.display().to_string()
}

impl Certmint {
    async fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let (_, address) = socket(folder.path());
        let config = configuration(&folder, port, &format!("[[plugins]]\nname = 'Corp'\naddress = '{address}'\n"));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(PROGRAM)
            .args(["serve", "--config", &config])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { folder, port, process };
        server.until("the server answers", || server.cli(&["list"]).status.success()).await;
        server
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CERTMINT_SERVER", format!("https://localhost:{}", self.port))
            .env("CERTMINT_CA", self.folder.path().join("data/ca.pem"))
            .env("CERTMINT_TOKEN", "dev")
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", text(&output), self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn set_issuer(&self) {
        let option = ["--option", "url=https://ca.example", "--secret-option", "token=token"];
        self.done(&[&["issuer", "set", "corp", "--provider", "corp"], &option[..]].concat());
    }

    fn create(&self) {
        self.done(&["create", "web", "--subject", "CN=web.example", "--san", "web.example", "--issuer", "corp"]);
    }

    fn pending(&self) -> Value {
        let output = self.cli(&["pending", "show", "web", "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..1200 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}\n{}\n{}", self.pending(), self.log());
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn orders_wait_with_the_reason_while_a_plug_in_is_down_and_go_on_when_it_is_there() {
    let server = Certmint::start().await;
    server.set_issuer();
    server.create();
    server
        .until("the reason is shown", || server.pending().to_string().contains("The plug-in Corp cannot be reached"))
        .await;
    server.until("a line says so", || server.log().contains("a plug-in does not answer")).await;
    let mock = Mock::new(Manner::Good);
    let _running = serve(&mock, &socket(server.folder.path()).0);
    server
        .until("the certificate is there", || {
            server.cli(&["get", "web"]).status.success()
                && server.pending().to_string().to_lowercase().contains("completed")
        })
        .await;
    assert_eq!(mock.orders.lock().unwrap().len(), 1);
    assert!(!server.log().contains(TOKEN), "{}", server.log());
}

#[tokio::test]
async fn a_hint_wakes_an_order_that_would_have_waited_for_an_hour() {
    let server = Certmint::start().await;
    let mock = Mock::new(Manner::Waits);
    let _running = serve(&mock, &socket(server.folder.path()).0);
    server.set_issuer();
    server.create();
    server.until("it waits", || server.pending().to_string().contains("Somebody has to approve.")).await;
    server.until("the stream of hints is open", || server.log().contains("a plug-in answers")).await;
    server
        .until("the certificate is there", || {
            mock.approve();
            server.pending().to_string().to_lowercase().contains("completed")
        })
        .await;
    assert!(mock.calls.load(Ordering::SeqCst) < 20, "hints are no reason to call in circles");
}

#[test]
fn plug_ins_whose_settings_cannot_be_used_keep_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    for (plugins, reason) in [
        ("name = 'acme'\naddress = 'unix:/x'", "belongs to a built-in provider"),
        ("name = 'Self'\naddress = 'unix:/x'", "belongs to a built-in provider"),
        ("name = 'a b'\naddress = 'unix:/x'", "a name has 1 to 60"),
        ("name = 'A'\naddress = 'unix:/x'\n[[plugins]]\nname = 'a'\naddress = 'unix:/y'", "two of this name"),
        ("name = 'A'\naddress = 'https://ca.example:1'", "needs ca, certificate and key"),
        ("name = 'A'\naddress = 'unix:/x'\nca = 'x'", "leave them out"),
        ("name = 'A'\naddress = 'http://ca.example:1'", "plain HTTP"),
    ] {
        let config = configuration(&folder, free_port(), &format!("[[plugins]]\n{plugins}\n"));
        let output = Command::new(PROGRAM).args(["serve", "--config", &config]).output().unwrap();
        assert!(!output.status.success() && text(&output).contains(reason), "{plugins}: {}", text(&output));
    }
}

fn trial(mock_manner: Manner, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (path, address) = socket(folder.path());
    let mock = Mock::new(mock_manner);
    let _running = serve(&mock, &path);
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let output = Command::new(PROGRAM)
        .args(["plugin", "test", &address, "--option", "url=https://ca.example", "--secret-option", "token=token"])
        .args(more)
        .current_dir(folder.path())
        .output()
        .unwrap();
    (output.status.code(), text(&output))
}

#[test]
fn the_test_of_a_good_plug_in_prints_a_line_for_each_promise() {
    let (code, said) = trial(Manner::Good, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("PASS  every call can be made twice: one certificate"), "{said}");
    assert!(said.contains("PASS  what was ordered is revoked") && said.contains("0 broken"), "{said}");
    assert!(!said.contains("FAIL") && !said.contains(TOKEN), "{said}");
}

#[test]
fn the_test_of_a_plug_in_that_breaks_promises_says_which_and_fails() {
    for (manner, line) in [
        (Manner::OtherKey, "FAIL  an order ends with a chain that fits its key and names: No certificate of the chain"),
        (Manner::GarbageChain, "FAIL  an order ends with a chain that fits its key and names:"),
        (Manner::Leaks, "FAIL  it repeats no secret: "),
        (Manner::Hangs, "did not answer in time"),
        (Manner::Newer, "FAIL  it describes itself: "),
    ] {
        let (code, said) = trial(manner, &["--timeout", "1s", "--patience", "2"]);
        assert_eq!(code, Some(1), "{manner:?}: {said}");
        assert!(said.contains(line) && !said.contains(TOKEN), "{manner:?}: {said}");
    }
    let nobody = Command::new(PROGRAM).args(["plugin", "test", "unix:/nowhere/x.sock"]).output().unwrap();
    assert!(nobody.status.code() == Some(1) && text(&nobody).contains("cannot be reached"), "{}", text(&nobody));
    let wrong = Command::new(PROGRAM).args(["plugin", "test", "http://localhost:1"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}
