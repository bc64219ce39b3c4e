//! Errors: exit codes, messages and formats.

use crate::fake::{Fake, bare, draining, ended, refusal_with};
use serde_json::json;
use std::time::Instant;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_says_what_to_do() {
    let fake = Fake::start().await;
    let ended = fake.run(&["create", "busy"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (4, ""));
    let expected = "error: An operation is in progress.\n  reason: PENDING_IN_PROGRESS\n  what to do: wait for it: \
                    certmint watch --name NAME --until-terminal; or cancel it: certmint pending cancel NAME\n";
    assert_eq!(ended.err, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_one_json_object_where_json_is_asked_for() {
    let fake = Fake::start().await;
    let ended = fake.run(&["--output", "json", "create", "bad"]).await;
    let expected = json!({
        "message": "The policy is wrong.",
        "exit_code": 1,
        "code": "INVALID_ARGUMENT",
        "reason": "BAD_PARAMETER",
        "field_violations": [{ "field": "policy.x509_properties.subject", "description": "not an X.500 name" }],
        "facts": {},
        "retry_after_seconds": null,
        "advice": null,
    });
    assert_eq!((ended.code, ended.out.as_str(), ended.error()), (1, "", expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_has_an_exit_code_of_its_own() {
    let fake = Fake::start().await;
    let ended = fake.run(&["pending", "show", "none"]).await;
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("  resource: none\n") && ended.err.contains("certmint pending list"), "{}", ended.err);
    let placeholder = fake.run(&["get", "placeholder", "--pem"]).await;
    assert_eq!((placeholder.code, placeholder.out.as_str()), (3, ""));
    assert!(fake.run(&["get", "placeholder"]).await.out.contains("not issued"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_distinguished_from_an_untrusted_one() {
    let fake = Fake::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = fake.run(&["pending", "list", "--server", &format!("https://{free}")]).await;
    assert_eq!(nobody.code, 7);
    assert!(nobody.err.contains("cannot connect") && nobody.err.contains("certmint serve"), "{}", nobody.err);

    let other = Fake::start().await;
    let ca = other.ca();
    let untrusted = fake.run(&["pending", "list", "--ca", ca.to_str().unwrap()]).await;
    assert_eq!(untrusted.code, 7);
    assert!(
        untrusted.err.contains("what to do: the server's certificate is not from a trusted CA"),
        "{}",
        untrusted.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ca_of_a_development_server_in_this_folder_is_trusted() {
    let fake = Fake::start().await;
    std::fs::create_dir(fake.folder.path().join(".certmint")).unwrap();
    std::fs::copy(fake.ca(), fake.folder.path().join(".certmint/ca.pem")).unwrap();
    let mut command = bare(&["pending", "list", "--server", &fake.url]);
    command.current_dir(fake.folder.path());
    let ended = ended(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_found_before_anything_is_sent() {
    let fake = Fake::start().await;
    let cases: [&[&str]; 9] = [
        &["create"],
        &["create", "web", "--san", "what:ever"],
        &["create", "web", "--timeout", "30"],
        &["pending", "list", "--server", "http://localhost:1"],
        &["pending", "list", "--ca", "no-such-file"],
        &["merge", "web", "no-such-file"],
        &["watch", "--until-terminal"],
        &["issuer", "update", "ca"],
        &["issuer", "set", "ca", "--provider", "LocalCA", "--password-stdin"],
    ];
    for case in cases {
        let ended = fake.run(case).await;
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{case:?}: {ended:?}");
        assert!(ended.err.starts_with("error: "), "{case:?}: {}", ended.err);
    }
    let part = fake.part();
    assert!(part.created.is_empty() && part.merged.is_empty() && part.watched.is_empty() && part.set.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_repeated_when_the_server_could_not_serve_it() {
    let fake = Fake::start().await;
    fake.part().refusals.extend([draining(), draining()]);
    let ended = fake.run(&["pending", "show", "web"]).await;
    assert_eq!((ended.code, fake.part().reads), (0, 3), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_not_repeated() {
    let fake = Fake::start().await;
    let ended = fake.run(&["pending", "delete", "drained"]).await;
    assert_eq!((ended.code, fake.part().deletions), (7, 1), "{ended:?}");
    assert!(ended.err.contains("  retry after: 0.02s\n"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_time_limit() {
    let fake = Fake::start().await;
    let begin = Instant::now();
    let ended = fake.run(&["pending", "show", "slow", "--timeout", "5s"]).await;
    assert_eq!(ended.code, 7, "{ended:?}");
    assert!(begin.elapsed().as_secs() < 60 && ended.err.contains("no answer from the server after 5s"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn causes_are_shown_only_on_request() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fake = Fake::start().await;
    let url = format!("https://{free}");
    let plain = fake.run(&["pending", "list", "--server", &url]).await;
    let verbose = fake.run(&["pending", "list", "--server", &url, "--verbose"]).await;
    assert!(!plain.err.contains("  cause: ") && verbose.err.contains("  cause: "), "{plain:?} {verbose:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_names_the_certificate_unless_that_is_no_name() {
    let fake = Fake::start().await;
    for (resource, command) in [("web", "certmint create web\n"), ("a;b", "certmint create NAME\n")] {
        fake.part().refusals.push_back(refusal_with(Code::NotFound, "CERTIFICATE_NOT_FOUND", "no", |details| {
            details.set_resource_info("certificate", resource, "", "");
        }));
        let ended = fake.run(&["pending", "show", "web"]).await;
        assert!(ended.code == 3 && ended.err.ends_with(command), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_message_would_take_for_not_given_is_refused() {
    let fake = Fake::start().await;
    for (option, value) in [
        ("--validity-months", "0"),
        ("--validity-months", "-1"),
        ("--key-size", "0"),
        ("--subject", ""),
        ("--issuer", ""),
        ("--certificate-type", ""),
        ("--request-id", ""),
    ] {
        let ended = fake.run(&["create", "web", option, value]).await;
        assert_eq!(ended.code, 2, "{option} {value}: {ended:?}");
        assert!(ended.err.contains(option), "{}", ended.err);
    }
    assert!(fake.part().created.is_empty());
}
