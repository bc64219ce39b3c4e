//! What commands send, and what they print.

use crate::fake::{Fake, REQUEST_ID, bare, ended};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certmint::proto::v1::{KeyCurve, KeyType, KeyUsage};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn create_sends_the_policy_of_its_options() {
    let fake = Fake::start().await;
    let arguments = "create web --subject CN=example.com --san example.com --san 192.0.2.1 --san email:a@example.com \
                     --san uri:https://example.com/a --san upn:a@example.com --issuer ca --key-type ec --curve p-384 \
                     --validity-months 3 --eku serverAuth --eku 1.2.3 --key-usage digitalSignature --reuse-key \
                     --not-exportable --content-type pem --tag team=a --tag note=b=c --request-id 7 --vault blue";
    let ended = fake.run(&arguments.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = fake.part().created.remove(0);
    assert_eq!((sent.vault_name.as_str(), sent.request_id.as_str()), ("blue", "7"));
    assert_eq!((sent.tags["team"].as_str(), sent.tags["note"].as_str()), ("a", "b=c"));
    let policy = sent.policy.unwrap();
    let key = policy.key_properties.unwrap();
    assert_eq!((key.key_type(), key.curve()), (KeyType::Ec, KeyCurve::P384));
    assert_eq!((key.exportable, key.reuse_key), (Some(false), Some(true)));
    assert_eq!(policy.secret_properties.unwrap().content_type, "application/x-pem-file");
    assert_eq!(policy.issuer.unwrap().name, "ca");
    let x509 = policy.x509_properties.unwrap();
    assert_eq!((x509.subject.as_str(), x509.validity_months), ("CN=example.com", 3));
    assert_eq!(x509.ekus, ["1.3.6.1.5.5.7.3.1", "1.2.3"]);
    assert_eq!(x509.key_usages, [i32::from(KeyUsage::DigitalSignature)]);
    let names = x509.subject_alternative_names.unwrap();
    assert_eq!((names.dns_names, names.ip_addresses), (vec!["example.com".into()], vec!["192.0.2.1".to_owned()]));
    assert_eq!((names.emails, names.upns), (vec!["a@example.com".to_owned()], vec!["a@example.com".to_owned()]));
    assert_eq!(names.uris, ["https://example.com/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_for_self_makes_a_subject_of_the_first_host() {
    let fake = Fake::start().await;
    let ended = fake.run(&["create", "web", "--san", "192.0.2.1", "--san", "a.example", "--issuer", "Self"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let x509 = fake.part().created.remove(0).policy.unwrap().x509_properties.unwrap();
    assert_eq!(x509.subject, "CN=a.example");
    assert!(ended.err.contains("added --subject CN=a.example"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_without_options_leaves_the_policy_to_the_server() {
    let fake = Fake::start().await;
    let ended = fake.run(&["create", "web"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(fake.part().created[0].policy, None);
    assert!(ended.out.starts_with("certificate  web\nstatus       in progress\n"), "{}", ended.out);
    assert!(ended.out.contains("created      2023-11-14T22:13:20Z\n"), "{}", ended.out);
    assert_eq!(ended.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_the_names_of_the_contract() {
    let fake = Fake::start().await;
    let ended = fake.run(&["--output", "json", "create", "web"]).await;
    let expected = json!({
        "operation": {
            "id": "https://localhost/certificates/web/pending",
            "vault_name": "default",
            "certificate_name": "web",
            "request_id": REQUEST_ID,
            "issuer": { "name": "ca", "certificate_type": "", "certificate_transparency": null },
            "csr": STANDARD.encode(&fake.csr),
            "cancellation_requested": false,
            "status": "IN_PROGRESS",
            "status_details": "",
            "error": null,
            "target": "",
            "certificate_version": "",
            "create_time": "2023-11-14T22:13:20Z",
            "update_time": null,
            "revision": 1,
            "actions": [],
            "trigger": "UNSPECIFIED",
            "replaced_version": "",
            "batch": "",
        },
        "resume_token": "t-create",
    });
    assert_eq!((ended.code, ended.json()), (0, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_as_a_bearer_token_and_nowhere_else() {
    let fake = Fake::start().await;
    let mut command = fake.command(&["create", "busy", "-v"]);
    command.env("CERTMINT_TOKEN", "hunter2");
    let ended = ended(command).await;
    assert_eq!(fake.part().tokens, [Some("Bearer hunter2".to_owned())]);
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"), "{ended:?}");
    let mut help = bare(&["create", "--help"]);
    help.env("CERTMINT_TOKEN", "hunter2");
    assert!(!String::from_utf8(help.output().unwrap().stdout).unwrap().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_commands_print_the_operation() {
    let fake = Fake::start().await;
    let show = fake.run(&["pending", "show", "web", "--output", "json"]).await.json();
    assert_eq!((&show["operation"]["certificate_name"], &show["resume_token"]), (&json!("web"), &json!("t-get")));
    let cancel = fake.run(&["pending", "cancel", "web"]).await;
    assert!(cancel.out.contains("in progress (cancellation requested)"), "{}", cancel.out);
    let delete = fake.run(&["pending", "delete", "web", "--output", "json"]).await.json();
    assert_eq!(delete.as_object().unwrap().keys().collect::<Vec<_>>(), ["operation"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_join_their_pages() {
    let fake = Fake::start().await;
    let text = fake.run(&["pending", "list"]).await;
    let names: Vec<&str> = text.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["NAME", "first", "second"]);
    let value = fake.run(&["pending", "list", "--output", "json"]).await.json();
    assert_eq!(value["operations"].as_array().unwrap().len(), 2);
    assert_eq!(value["resume_token"], "t-list");
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_sends_the_bytes_of_the_file_as_they_are() {
    let fake = Fake::start().await;
    let chain = b"-----BEGIN CERTIFICATE-----\r\n\0not looked at\n";
    std::fs::write(fake.folder.path().join("chain.pem"), chain).unwrap();
    let file = fake.run(&["merge", "web", "chain.pem", "--tag", "a=b", "--request-id", "7", "--vault", "blue"]).await;
    assert_eq!(file.code, 0, "{file:?}");
    assert!(file.out.contains("version      00ff"), "{}", file.out);
    let input = fake.run_with_input(&["merge", "web", "-"], b"from standard input").await;
    assert_eq!(input.code, 0, "{input:?}");
    let part = fake.part();
    assert_eq!(part.merged[0].x509_certificates, [chain.as_slice()]);
    assert_eq!((part.merged[0].request_id.as_str(), part.merged[0].vault_name.as_str()), ("7", "blue"));
    assert_eq!(part.merged[1].x509_certificates, [b"from standard input".as_slice()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_prints_what_the_certificate_says() {
    let fake = Fake::start().await;
    let text = fake.run(&["get", "web"]).await;
    for line in ["certificate  web", "version      00ff", "subject      CN=rcgen", "thumbprint   AB01"] {
        assert!(text.out.contains(line), "{line} in {}", text.out);
    }
    let value = fake.run(&["get", "web", "--output", "json"]).await.json();
    assert_eq!(value["certificate"]["cer"], STANDARD.encode(&fake.cer));
    assert_eq!(value["certificate"]["chain"], json!([STANDARD.encode(&fake.root)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let fake = Fake::start().await;
    let mut command = fake.command(&["pending", "list"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    let ended = ended(command).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_a_script_of_the_shell() {
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef certmint"), ("fish", "complete -c certmint")] {
        let ended = ended(bare(&["completions", shell])).await;
        assert!(ended.code == 0 && ended.out.contains(part), "{shell}: {}", ended.err);
    }
}
