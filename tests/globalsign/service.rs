//! The whole program, as the pages of docs/issuers tell a new user: an issuer is set and tried on the command line, and
//! a certificate is ordered and waited for.

use crate::atlas_mock::{self, Atlas};
use crate::mock::{Mock, PASSWORD};
use crate::program::{Certmint, text};
use std::time::{Duration, Instant};

impl Certmint {
    /// A command that succeeds; what it prints.
    fn done(&self, arguments: &[&str], input: &str) -> String {
        let output = self.cli(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", text(&output), self.log());
        text(&output)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_globalsign_leads_to_a_certificate() {
    let mock = Mock::start().await;
    let program = Certmint::start("", &[]).await;
    let (url, ca_pem) = mock.url.lock().unwrap().clone();
    std::fs::write(program.file("ca.pem"), ca_pem).unwrap();
    let base_url = format!("base_url={url}/kb/ws");
    let set = ["issuer", "set", "gs", "--provider", "GlobalSign", "--account-id", "PAR12345_ops", "--password-stdin"];
    let contact = ["--admin", "Jane Doe <jane@example.com> 555 0100"];
    let here = ["--option", base_url.as_str(), "--option", "ca_file=ca.pem"];
    let all: Vec<&str> = set.into_iter().chain(contact).chain(here).collect();
    let said = program.done(&all, PASSWORD);
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(program.done(&["issuer", "check", "gs"], "").contains("GlobalSign knows the user"));
    let create = ["create", "web", "--subject", "CN=www.example.com", "--issuer", "gs", "--certificate-type", "OV-SSL"];
    program.done(&create.into_iter().chain(["--wait"]).collect::<Vec<_>>(), "");
    let shown = wait_for(&program, "web").await;
    assert!(shown.contains("www.example.com"), "{shown}");
    assert_eq!(mock.placed(), 1);
    assert!(!program.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_atlas_leads_to_a_certificate() {
    let atlas = Atlas::start().await;
    let program = Certmint::start("", &[]).await;
    let (certificate, key) = atlas.client.clone();
    let files = [("client.pem", certificate.as_str()), ("client.key", &key), ("secret.txt", atlas_mock::SECRET)];
    for (name, text) in files.into_iter().chain([("ca.pem", atlas.ca_pem.as_str())]) {
        std::fs::write(program.file(name), text).unwrap();
    }
    let base_url = format!("base_url={}", atlas.url);
    let set = ["issuer", "set", "atlas", "--provider", "GlobalSignAtlas", "--account-id", atlas_mock::KEY];
    let own = ["--password-file", "secret.txt", "--option", "client_certificate_file=client.pem"];
    let key_file = ["--secret-option", "client_key=client.key"];
    let here = ["--option", base_url.as_str(), "--option", "ca_file=ca.pem"];
    let all: Vec<&str> = set.into_iter().chain(own).chain(key_file).chain(here).collect();
    program.done(&all, "");
    assert!(program.done(&["issuer", "check", "atlas"], "").contains("42 more certificates"));
    let create = ["create", "web", "--subject", "CN=www.example.com", "--san", "www.example.com", "--issuer", "atlas"];
    program.done(&create.into_iter().chain(["--wait"]).collect::<Vec<_>>(), "");
    assert!(wait_for(&program, "web").await.contains("www.example.com"));
    // What the CA logs is found by the request id.
    let pending = program.done(&["--output", "json", "pending", "show", "web"], "");
    let traced = |trace: &String| trace.split('-').nth(1).is_some_and(|id| !id.is_empty() && pending.contains(id));
    assert!(atlas.traces.lock().unwrap().iter().any(traced), "{pending}");
    for secret in [atlas_mock::SECRET, key.lines().nth(1).unwrap()] {
        assert!(!program.log().contains(secret));
        assert!(!program.done(&["--output", "json", "issuer", "show", "atlas"], "").contains(secret));
    }
}

async fn wait_for(program: &Certmint, name: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = program.done(&["pending", "show", name], "");
        if shown.contains("completed") {
            return program.done(&["get", name], "");
        }
        assert!(!shown.contains("failed") && Instant::now() < deadline, "{shown}\n{}", program.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
