//! Names that DigiCert has not validated: records and files with its random value.

use crate::mock::Mock;
use crate::play::{Play, input, order};
use certmint::issuer::Step;
use certmint::issuer::acme::{Hook, HookForm};
use certmint::issuer::provider::{ActionKind, ChallengeKey, Provider};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

async fn start() -> Mock {
    let mock = Mock::start().await;
    mock.faults(|faults| (faults.first_status, faults.unproved) = (Some("pending".into()), true));
    mock
}

/// A program that notes how it is called.
fn hook(folder: &Path, form: HookForm) -> BTreeMap<String, Hook> {
    let program = folder.join("hook");
    let log = folder.join("log");
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> {}\n", log.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let timeout = Duration::from_secs(30);
    let hook = Hook { form, program, cleanup: None, environment: BTreeMap::new(), timeout };
    BTreeMap::from([("ours".to_owned(), hook)])
}

const BY_HOOK: [(&str, &str); 3] = [("dns_provider", "exec"), ("dns_hook", "ours"), ("dns_check", "false")];

#[tokio::test]
async fn a_txt_record_is_written_before_digicert_looks_and_removed_after() {
    let mock = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut play = Play::with_hooks(&input(&mock, &BY_HOOK), hook(folder.path(), HookForm::Lego)).await;
    let order = order(&["example.com", "*.example.com", "www.example.com", "other.example"]);
    play.settle(&order).await;
    let value = format!("random-{}", mock.only_order().id);
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    let first: Vec<String> = log().lines().take(2).map(str::to_owned).collect();
    assert_eq!(first, [format!("present example.com. {value}"), format!("present other.example. {value}")]);
    assert!(play.said("invalid_dns_txt"), "{:?}", play.details);
    mock.faults(|faults| faults.unproved = false);
    play.issue(&order).await;
    let last: Vec<String> = log().lines().rev().take(2).map(str::to_owned).collect();
    assert_eq!(last, [format!("cleanup other.example. {value}"), format!("cleanup example.com. {value}")]);
    assert_eq!(mock.placed(), 1);
}

#[tokio::test]
async fn a_check_that_is_refused_has_found_nothing() {
    let mock = start().await;
    mock.faults(|faults| faults.refuse_check = Some(("invalid_value:dcv_method", "The method was changed.")));
    let folder = tempfile::tempdir().unwrap();
    let mut play = Play::with_hooks(&input(&mock, &BY_HOOK), hook(folder.path(), HookForm::Lego)).await;
    let order = order(&["example.com"]);
    play.settle(&order).await;
    assert!(play.said("The method was changed") && !play.said("names are validated"), "{:?}", play.details);
    let checks = mock.count("PUT /order/certificate/1000/check-dcv");
    assert!(checks > 1, "it is asked again: {checks}");
    mock.faults(|faults| (faults.refuse_check, faults.unproved) = (None, false));
    play.issue(&order).await;
}

#[tokio::test]
async fn records_that_are_written_slowly_are_written_over_several_steps() {
    let mock = start().await;
    let folder = tempfile::tempdir().unwrap();
    let hooks = hook(folder.path(), HookForm::Lego);
    let script = std::fs::read_to_string(&hooks["ours"].program).unwrap();
    std::fs::write(&hooks["ours"].program, format!("{script}sleep 0.3\n")).unwrap();
    let mut play = Play::with_hooks(&input(&mock, &BY_HOOK), hooks).await;
    play.forgetful = true;
    let names: Vec<String> = (0..10).map(|number| format!("www.n{number}.example")).collect();
    let order = order(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let begun = std::time::Instant::now();
    let end = play.until(&order, |play| play.said("invalid_dns_txt")).await;
    assert!(end.is_none() && begun.elapsed() >= Duration::from_secs(3));
    assert!(play.said("of 10 TXT records are written"), "in more than one step: {:?}", play.details);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let written: std::collections::BTreeSet<&str> = log.lines().collect();
    assert_eq!((log.lines().count(), written.len()), (10, 10), "each once: {log}");
}

#[tokio::test]
async fn a_label_stands_before_the_name_and_a_failure_cleans_up() {
    let mock = start().await;
    let folder = tempfile::tempdir().unwrap();
    let options: Vec<_> = BY_HOOK.into_iter().chain([("dcv_label", "_dnsauth")]).collect();
    let mut play = Play::with_hooks(&input(&mock, &options), hook(folder.path(), HookForm::Lego)).await;
    let order = order(&["example.com"]);
    play.settle(&order).await;
    mock.set_status("rejected");
    assert!(matches!(play.run(&order).await, Step::Failed { .. }));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("present _dnsauth.example.com. random-"), "{log}");
    assert!(log.lines().last().unwrap().starts_with("cleanup _dnsauth.example.com. random-"), "{log}");
}

#[tokio::test]
async fn a_record_that_nobody_writes_is_told_to_a_person() {
    let mock = start().await;
    let mut play = Play::new(&input(&mock, &[])).await;
    let order = order(&["example.com"]);
    play.settle(&order).await;
    let action = &play.actions[0];
    assert_eq!((action.kind, action.name.as_str()), (ActionKind::DnsTxt, "example.com"));
    assert_eq!(action.value, format!("random-{}", mock.only_order().id));
    mock.faults(|faults| faults.unproved = false);
    play.issue(&order).await;
    assert!(play.actions.is_empty());
}

#[tokio::test]
async fn a_file_is_published_for_every_name_and_withdrawn_at_the_end() {
    let mock = start().await;
    let mut play = Play::new(&input(&mock, &[("dcv_method", "http-token")])).await;
    let order = order(&["example.com", "www.example.com"]);
    play.settle(&order).await;
    let value = format!("random-{}", mock.only_order().id);
    assert_eq!(play.served.get(&ChallengeKey::file("example.com", &value)), Some(&value));
    assert_eq!(play.served.get(&ChallengeKey::file("www.example.com", &value)), Some(&value));
    assert_eq!(play.actions[1].name, "http://www.example.com/.well-known/pki-validation/fileauth.txt");
    assert!(play.said("file_random_value_not_found"), "{:?}", play.details);
    play.cancelling = true;
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert!(play.served.is_empty());
}

#[tokio::test]
async fn a_wildcard_is_not_proved_by_a_file() {
    let mock = start().await;
    let play = Play::new(&input(&mock, &[("dcv_method", "http-token")])).await;
    let refusal = play.provider().accept(&order(&["*.example.com"]).policy, &play.state).unwrap_err();
    assert!(refusal.message.contains("*.example.com") && refusal.message.contains("dcv_method"), "{refusal:?}");
}

#[tokio::test]
async fn writers_that_make_the_records_of_acme_are_refused() {
    let mock = start().await;
    let folder = tempfile::tempdir().unwrap();
    for form in [HookForm::LegoRaw, HookForm::Certbot] {
        let play = Play::with_hooks(&input(&mock, &[]), hook(folder.path(), form)).await;
        let refusal = play.provider().configure(&input(&mock, &BY_HOOK), None).await.unwrap_err();
        assert!(refusal.message.contains("dns_hook") && refusal.message.contains("lego"), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_crash_while_names_are_proved_makes_no_second_order() {
    for lost in 0..9 {
        let mock = start().await;
        let mut play = Play::new(&input(&mock, &[("dcv_method", "http-token")])).await;
        let order = order(&["example.com"]);
        play.lose = Some(lost);
        play.forgetful = true;
        play.settle(&order).await;
        mock.faults(|faults| faults.unproved = false);
        play.issue(&order).await;
        assert_eq!(mock.placed(), 1, "step {lost}");
    }
}

/// The file over plain HTTP, by the host that is asked.
#[tokio::test]
async fn the_file_is_answered_for_its_host_alone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    struct Files;
    #[async_trait::async_trait]
    impl certmint::issuer::acme::Lookup for Files {
        async fn lookup(&self, _: &str) -> Result<Option<String>, ()> {
            Ok(None)
        }
        async fn file(&self, host: &str) -> Result<Option<String>, ()> {
            Ok((host == "example.com").then(|| "random-1".to_owned()))
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let responder = certmint::issuer::acme::Responder::new(std::sync::Arc::new(Files));
    tokio::spawn(responder.serve(listener, std::future::pending()));
    let get = async |path: &str, host: &str| {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    const FILE: &str = "/.well-known/pki-validation/fileauth.txt";
    for host in ["example.com", "Example.COM:80", "example.com."] {
        assert!(get(FILE, host).await.ends_with("\r\n\r\nrandom-1"), "{host}");
    }
    for (path, host) in [(FILE, "other.example"), (FILE, ""), ("/.well-known/pki-validation/x.txt", "example.com")] {
        assert!(get(path, host).await.starts_with("HTTP/1.1 404"), "{path} {host}");
    }
}
