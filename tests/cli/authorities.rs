//! Certificates and requests as PEM, and the issuers.

use crate::fake::Fake;
use crate::fake_authorities::SERIAL;
use serde_json::json;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

/// The blocks of a PEM text as another library reads them.
fn blocks(text: &str) -> Vec<Pem> {
    Pem::iter_from_buffer(text.as_bytes()).map(|block| block.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn csr_prints_a_request_that_others_can_read() {
    let fake = Fake::start().await;
    let text = fake.run(&["csr", "web"]).await;
    let blocks = blocks(&text.out);
    assert_eq!((blocks.len(), blocks[0].label.as_str()), (1, "CERTIFICATE REQUEST"));
    assert_eq!(blocks[0].contents, fake.csr);
    let (_, request) = X509CertificationRequest::from_der(&blocks[0].contents).unwrap();
    request.verify_signature().unwrap();
    let value = fake.run(&["csr", "web", "--output", "json"]).await.json();
    assert_eq!((&value["certificate_name"], &value["pem"]), (&json!("web"), &json!(text.out)));
}

#[tokio::test(flavor = "multi_thread")]
async fn get_prints_the_certificate_and_then_its_chain() {
    let fake = Fake::start().await;
    let text = fake.run(&["get", "web", "--pem"]).await;
    let contents: Vec<Vec<u8>> = blocks(&text.out).into_iter().map(|block| block.contents).collect();
    assert_eq!(contents, [fake.cer.clone(), fake.root.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_ca_is_exported_with_its_root_last() {
    let fake = Fake::start().await;
    let contents = |text: &str| -> Vec<Vec<u8>> { blocks(text).into_iter().map(|block| block.contents).collect() };
    let all = fake.run(&["ca", "export", "--issuer", "ca"]).await;
    assert_eq!(contents(&all.out), [fake.cer.clone(), fake.root.clone()]);
    let root = fake.run(&["ca", "export", "--issuer", "ca", "--root"]).await;
    assert_eq!(contents(&root.out), std::slice::from_ref(&fake.root));
    let none = fake.run(&["ca", "export", "--issuer", "remote"]).await;
    assert_eq!((none.code, none.out.as_str()), (3, ""));
    // Only its own CAs are asked for, as a grant for this issuer allows.
    let cross = fake.run(&["ca", "export", "--issuer", "ca", "--chain", "cross"]).await;
    assert_eq!((cross.code, contents(&cross.out).len()), (0, 2), "{}", cross.err);
    let old = fake.run(&["ca", "export", "--issuer", "ca", "--chain", "old"]).await;
    assert_eq!((old.code, contents(&old.out).last()), (0, Some(&fake.root)), "{}", old.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_ca_is_listed_with_what_became_of_it() {
    let fake = Fake::start().await;
    let list = fake.run(&["ca", "issued", "--issuer", "ca", "--since", "2026-11-01"]).await;
    assert_eq!(list.code, 0, "{list:?}");
    let lines: Vec<&str> = list.out.lines().collect();
    assert!(lines[0].starts_with("ASKED") && lines[1].contains("2027-01-15T08:00:00Z"), "{list:?}");
    assert!(lines[1].contains(&format!("{SERIAL}  issued")) && lines[1].contains("dns:web.example ip:10.0.0.1"));
    assert!(lines[2].contains("abandoned") && lines[3].contains("intended"), "{list:?}");
    assert_eq!(lines[4], "3 asked for = 1 issued + 1 abandoned + 1 in progress");
    let value = fake.run(&["ca", "issued", "--output", "json"]).await.json();
    assert_eq!(value["summary"], json!({"asked": 3, "issued": 1, "abandoned": 1, "in_progress": 1}));
    assert_eq!(
        (&value["certificates"][1]["state"], &value["certificates"][1]["principal"]),
        (&json!("ABANDONED"), &json!("ann"))
    );
    let wrong = fake.run(&["ca", "issued", "--since", "yesterday"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("not a date"), "{wrong:?}");
    let wrong = fake.run(&["ca", "issued", "--since", "2026-11-02", "--until", "2026-11-01"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("--since is after --until"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_number_is_shown_and_its_certificate_printed() {
    let fake = Fake::start().await;
    let shown = fake.run(&["ca", "show", SERIAL]).await.out;
    assert!(shown.contains("state        issued") && shown.contains("by           ann"), "{shown}");
    let pem = fake.run(&["ca", "show", SERIAL, "--pem"]).await;
    assert_eq!(blocks(&pem.out)[0].contents, fake.cer);
    let none = fake.run(&["ca", "show", "4b", "--pem"]).await;
    assert_eq!((none.code, none.out.as_str()), (3, ""), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_revoked_by_name_by_serial_number_and_by_itself() {
    let fake = Fake::start().await;
    std::fs::write(fake.folder.path().join("web.pem"), fake.run(&["get", "web", "--pem"]).await.out).unwrap();
    for (arguments, named, reason) in [
        (&["revoke", "web", "--reason", "superseded"][..], "web, disable None", "superseded"),
        (
            &["revoke", "web", "--reason", "keyCompromise", "--keep-enabled"],
            "web, disable Some(false)",
            "key compromise",
        ),
        (
            &["ca", "revoke", "--serial", "4a:3f", "--reason", "unspecified", "--disable"],
            "4a:3f, disable Some(true)",
            "unspecified",
        ),
        (
            &["ca", "revoke", "--certificate", "web.pem", "--reason", "privilege-withdrawn"],
            "itself, disable None",
            "privilege withdrawn",
        ),
    ] {
        let said = fake.run(arguments).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains(named) && said.out.contains(reason), "{said:?}");
        assert!(said.out.contains("the list that is made at 2027-01-15T08:00:10Z"), "{said:?}");
        assert!(said.err.contains(&format!("other certificates of this key are in force: {SERIAL}")), "{said:?}");
    }
    for wrong in [
        &["revoke", "web"][..],
        &["revoke", "web", "--reason", "certificateHold"],
        &["ca", "revoke", "--reason", "superseded"],
        &["ca", "revoke", "--serial", "4a", "--certificate", "web.pem", "--reason", "superseded"],
    ] {
        assert_eq!(fake.run(wrong).await.code, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_ca_is_made_and_activated() {
    let fake = Fake::start().await;
    // Its present one is below another CA, as the server finds: a root in its place has to be asked for.
    let create = ["ca", "create", "--issuer", "ca", "--subject", "CN=Root 2", "--key-type", "P-384"];
    let refused = fake.run(&create).await;
    assert!(refused.code == 1 && refused.err.contains("say who signs the next one"), "{refused:?}");
    let made = fake.run(&[&create[..], &["--parent", "root"]].concat()).await;
    assert!(made.code == 0 && made.out.contains("state       next") && made.out.contains("P-384"), "{made:?}");
    assert!(made.err.contains("Clients have to trust it."), "{made:?}");
    let asked = fake.run(&["ca", "create", "--issuer", "ca", "--parent", "external"]).await;
    assert!(asked.out.contains("requested"), "{asked:?}");
    assert_eq!(blocks(&fake.run(&["ca", "csr", "--issuer", "ca"]).await.out)[0].contents, fake.csr);
    assert_eq!(fake.run(&["ca", "install", "--issuer", "ca", "nowhere.pem"]).await.code, 2);
    assert!(fake.run(&["ca", "activate", "--issuer", "ca"]).await.out.contains("active"));
    assert!(fake.run(&["ca", "retire", "--issuer", "ca"]).await.out.contains("retired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_generations_of_a_ca_are_listed() {
    let fake = Fake::start().await;
    let list = fake.run(&["ca", "list"]).await.out;
    let rows: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(rows, [["ca", "1", "retired"], ["ca", "2", "active"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ca_of_the_server_is_exported_without_a_connection() {
    let fake = Fake::start().await;
    let folder = fake.folder.path().to_str().unwrap();
    let text = fake.run(&["ca", "export", "--data-dir", folder, "--server", "https://localhost:1"]).await;
    assert_eq!(blocks(&text.out)[0].contents, fake.root);
    let file = fake.folder.path().join("out.pem");
    let written = fake.run(&["ca", "export", "--out", file.to_str().unwrap()]).await;
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), text.out);
    let value = fake.run(&["ca", "export", "--output", "json"]).await.json();
    assert_eq!(value, json!({ "pem": text.out }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_read_from_standard_input_or_a_file_and_never_printed() {
    let fake = Fake::start().await;
    let arguments = ["issuer", "set", "ca", "--provider", "Test", "--account-id", "complete", "--password-stdin"];
    let admin = ["--organization-id", "org", "--admin", "Ann Lee <ann@example.com> 1", "--disabled"];
    let set = fake.run_with_input(&[&arguments[..], &admin[..]].concat(), b"hunter2\n").await;
    assert_eq!(set.code, 0, "{set:?}");
    std::fs::write(fake.folder.path().join("password"), "hunter3").unwrap();
    let update = fake.run(&["issuer", "update", "ca", "--password-file", "password", "--output", "json"]).await;
    assert_eq!(update.code, 0, "{update:?}");
    let part = fake.part();
    let sent = &part.set[0];
    let credentials = sent.credentials.as_ref().unwrap();
    assert_eq!((credentials.account_id.as_str(), credentials.password.as_str()), ("complete", "hunter2"));
    assert_eq!((sent.provider.as_str(), sent.attributes.as_ref().unwrap().enabled), ("Test", Some(false)));
    let organization = sent.organization.as_ref().unwrap();
    assert_eq!((organization.id.as_str(), organization.administrators[0].email.as_str()), ("org", "ann@example.com"));
    let updated = part.updated[0].issuer.as_ref().unwrap();
    assert_eq!((updated.credentials.as_ref().unwrap().password.as_str(), &updated.attributes), ("hunter3", &None));
    for ended in [&set, &update] {
        assert!(!ended.out.contains("hunter") && !ended.err.contains("hunter"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_are_listed_and_shown() {
    let fake = Fake::start().await;
    let list = fake.run(&["issuer", "list"]).await.out;
    let rows: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert!(list.starts_with("NAME  PROVIDER  STATE    OPEN  LAST SUCCESS  NEXT TRY  LAST ERROR\n"), "{list}");
    assert_eq!(
        rows,
        [
            vec!["ca", "LocalCA", "0"],
            vec!["le", "LocalCA", "failing", "3", "down"],
            vec!["p", "LocalCA", "paused", "0"]
        ]
    );
    let value = fake.run(&["issuer", "show", "ca", "--output", "json"]).await.json();
    assert_eq!(value["issuer"]["credentials"], json!({ "account_id": "account" }));
    assert_eq!(value["health"]["open_operations"], 2);
    let deleted = fake.run(&["issuer", "delete", "ca"]).await;
    assert!(deleted.code == 0 && deleted.out.contains("provider         LocalCA"), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_ends_with_an_exit_code_for_its_verdict() {
    let fake = Fake::start().await;
    for (issuer, word, code) in [("good", "OK", 0), ("bad", "BAD", 1), ("away", "UNKNOWN", 7)] {
        let checked = fake.run(&["issuer", "check", issuer]).await;
        assert_eq!(checked.out, format!("{word}: What was found.\nwarning: no port\n"));
        assert_eq!(checked.code, code, "{issuer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_with_open_operations_is_deleted_by_force_alone() {
    let fake = Fake::start().await;
    let refused = fake.run(&["issuer", "delete", "busy"]).await;
    assert!(refused.code != 0 && refused.err.contains("2 operations"), "{refused:?}");
    let forced = fake.run(&["issuer", "delete", "busy", "--force"]).await;
    assert!(forced.code == 0 && forced.err.contains("2 operations were in progress at it"), "{forced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_paused_with_a_reason_and_an_account_ended_with_its_name() {
    let fake = Fake::start().await;
    let paused = fake.run(&["issuer", "pause", "le", "--reason", "the CA moves"]).await;
    assert!(paused.out.contains("the CA moves"), "{paused:?}");
    assert_eq!(fake.run(&["issuer", "resume", "le"]).await.code, 0);
    assert_eq!(fake.run(&["issuer", "rotate-key", "le"]).await.code, 0);
    assert_eq!(fake.run(&["issuer", "deactivate", "le"]).await.code, 2);
    assert_eq!(fake.run(&["issuer", "deactivate", "le", "--confirm", "other"]).await.code, 2);
    assert_eq!(fake.run(&["issuer", "deactivate", "le", "--confirm", "le"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_the_options_of_the_provider_that_the_server_has() {
    let fake = Fake::start().await;
    let help = fake.run(&["issuer", "set", "--provider", "onlythere", "--help"]).await;
    assert!(help.code == 0 && help.out.contains("certmint issuer set"), "{help:?}");
    assert!(help.out.contains("as the server has them") && help.out.contains("--option zone=TEXT"), "{help:?}");
    let unknown = fake.run(&["issuer", "set", "x", "--provider", "Nobody", "-h"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("use one of OnlyThere"), "{unknown:?}");
    let set = fake.run(&["issuer", "set", "x"]).await;
    assert!(set.code == 2 && set.err.contains("--provider"), "{set:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_the_options_that_this_program_knows_where_no_server_is_reached() {
    let fake = Fake::start().await;
    let far = ["--server", "https://127.0.0.1:1"];
    let arguments = [&["issuer", "set", "--provider", "ACME", "--help"][..], &far].concat();
    let help = fake.run(&arguments).await;
    assert!(help.code == 0 && help.out.contains("no server was reached"), "{help:?}");
    assert!(help.out.contains("--option directory=URL") && help.out.contains("--secret-option eab_hmac=FILE"));
    let all = fake.run(&[&["issuer", "set", "--help"][..], &far].concat()).await;
    assert!(all.out.contains("LocalCA") && all.out.contains("LetsEncrypt"), "{all:?}");
}
