//! Starts that are refused, each with what to do, and settings that have to be in force after one.

use crate::clients::{CREATE, create, grpc, rest};
use crate::server::{ALICE, Place, Server, ended};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const MASTER_KEY: &str = "one AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn outside_development_mode_a_server_without_tokens_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
    let message = ended(command.args(["serve", "--data-dir"]).arg(folder.path()));
    for part in ["set tokens_file in [auth]", "certmint token new", "[[auth.jwt]]"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn outside_development_mode_a_server_without_a_certificate_does_not_start() {
    let place = Place::new("");
    fs::write(place.file("certmint.toml"), place.auth("")).unwrap();
    let message = place.refused();
    assert!(message.contains("set certificate and key in [tls]"), "{message}");
}

#[test]
fn outside_development_mode_a_server_that_says_not_who_may_do_what_does_not_start() {
    let place = Place::new("");
    let folder = place.folder.path().display();
    let text = format!(
        "data_dir = '{folder}/data'\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n\
         [tls]\ncertificate = '{folder}/tls.crt'\nkey = '{folder}/tls.key'\n"
    ) + &place.auth("");
    let configured = |access: &str| fs::write(place.file("certmint.toml"), format!("{text}{access}")).unwrap();
    configured("");
    let message = place.refused();
    for part in ["[access]", "administrators = [\"token:NAME\"]", "mode = \"report\"", "docs/access.md"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    configured("[access]\n");
    assert!(place.refused().contains("[access] lets nobody in"));
    for (access, problem) in [
        ("administrators = ['alice']", "write token:NAME for a line of the tokens file"),
        ("mode = 'open'", "unknown variant `open`"),
        ("file = 'none.toml'", "cannot read the file of grants"),
    ] {
        configured(&format!("[access]\n{access}\n"));
        let message = place.refused();
        assert!(message.contains(problem), "{access}: {message}");
    }
    for access in ["mode = 'report'", "administrators = ['token:alice']"] {
        configured(&format!("[access]\n{access}\n"));
        drop(place.start());
    }
}

#[test]
fn issuers_of_tokens_that_cannot_be_accepted_are_named() {
    let place = Place::new("");
    fs::write(place.file("open.json"), "{}").unwrap();
    fs::set_permissions(place.file("open.json"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::write(place.file("none.json"), r#"{"keys":[]}"#).unwrap();
    fs::set_permissions(place.file("none.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let good = "name = 'corp'\nissuers = ['https://id.example']\naudiences = ['https://certmint.example']\n";
    let replaced = |from: &str, to: &str| good.replace(from, to);
    let client = "id = 'ci'\nsubject = 'repo:a'\naudience = 'https://certmint.example'\n";
    for (entry, problem) in [
        (replaced("'corp'", "'Corp'"), "[[auth.jwt]] Corp: name: write up to 32 of a to z"),
        (replaced("'https://id.example'", ""), "[[auth.jwt]] corp: issuers: write 1 to 32"),
        (replaced("https://id", "http://id"), "issuers: `http://id.example` is not an https address; set jwks_file"),
        (replaced("https://certmint.example", "https://vault.azure.net"), "is the audience of another service"),
        (replaced("audiences = ['https://certmint.example']", ""), "missing field `audiences`"),
        (format!("{good}algorithms = ['none']"), "it is not a signature algorithm of JWTs: use one of RS256"),
        (format!("{good}max_age = '0s'"), "the duration must be positive"),
        (format!("{good}pricipal = 'oid'"), "unknown field `pricipal`"),
        (format!("{good}jwks_uri = 'ftp://id.example'"), "jwks_uri: `ftp://id.example` is not an https address"),
        (format!("{good}jwks_uri = 'https://a'\njwks_file = 'x'"), "jwks_file and jwks_uri: set one of them"),
        (format!("{good}ca_file = 'missing.pem'"), "ca_file: "),
        (format!("{good}token_file = 'missing'"), "token_file: "),
        (format!("{good}jwks_file = 'missing.json'"), "jwks_file: cannot read the key set"),
        (format!("{good}jwks_file = 'open.json'"), "is writable by others"),
        (format!("{good}jwks_file = 'none.json'"), "it lists no key that signatures can be checked with"),
        (format!("{good}[[auth.jwt]]\n{good}"), "another entry has this name"),
        (format!("{good}[[auth.jwt]]\n{}", replaced("corp", "other")), "https://id.example stands twice"),
        (
            format!("{good}[[auth.client]]\n{client}provider = 'other'"),
            "[[auth.client]] ci: provider: there is no [[auth.jwt]] other",
        ),
        (
            format!("{good}{}", format!("[[auth.client]]\n{client}provider = 'corp'\n").repeat(2)),
            "another entry has this id",
        ),
        (
            format!(
                "{good}[[auth.client]]\n{client}provider = 'corp'\n[[auth.client]]\n{}provider = 'corp'",
                client.replace("'ci'", "'cd'")
            ),
            "[[auth.client]] cd: the client ci has the same subject and audience",
        ),
        (
            format!("{good}[[auth.client]]\n{}provider = 'corp'", client.replace("'ci'", "'c:i'")),
            "id: write up to 64 letters, digits",
        ),
    ] {
        place.configure(&place.auth(&format!("[[auth.jwt]]\n{entry}")));
        let message = place.refused();
        assert!(message.contains(problem), "{entry}: {message}");
    }
    place.configure(&place.auth("[auth.challenge]\nresource = 'http://certmint.example'"));
    assert!(place.refused().contains("write https://HOST/PATH"));
}

#[tokio::test]
async fn an_issuer_of_tokens_is_enough_to_start_and_clients_are_sent_where_they_are_to_go() {
    let place = Place::new("");
    let issuer = crate::token_issuer::TokenIssuer::start().await;
    let challenge =
        "[auth.challenge]\nauthority = 'https://login.example/tenant'\nresource = 'https://certmint.example'\n";
    let access = "[access]\nadministrators = ['jwt:corp:app']\n";
    place.configure(&format!("{access}[auth]\n{challenge}{}", issuer.entry("corp", "")));
    let server = place.start();
    let path = "/certificates?api-version=7.4";
    let told = crate::clients::get(&server, &place, None, path).await;
    let expected = "www-authenticate: Bearer authorization=\"https://login.example/tenant\", \
                    resource=\"https://certmint.example\"\r\n";
    assert!(told.starts_with("HTTP/1.1 401") && told.contains(expected), "{told}");
    let token = issuer.token(&serde_json::json!({}));
    crate::clients::until("the keys are fetched", async || {
        crate::clients::get(&server, &place, Some(&token), path).await.starts_with("HTTP/1.1 200")
    })
    .await;
    let wrong =
        crate::clients::get(&server, &place, Some(&issuer.token(&serde_json::json!({ "aud": "x" }))), path).await;
    assert!(wrong.starts_with("HTTP/1.1 401") && wrong.contains("AKV10022"), "{wrong}");
    let log = server.log();
    assert!(log.contains("\"cause\":\"audience\"") && !log.contains(&token), "{log}");
    let metrics = crate::clients::admin(&server, "/metrics").await.1;
    for line in [
        format!("certmint_token_issuer_keys{{issuer=\"corp\",origin=\"{}\"}} 1", issuer.iss()),
        "certmint_token_issuer_refused_total{issuer=\"corp\",cause=\"audience\"} 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[test]
fn files_that_cannot_be_trusted_stop_the_start() {
    let place = Place::new("");
    for (file, mode, cure) in [("tokens", 0o666, "chmod go-w"), ("tls.key", 0o604, "chmod o-rwx")] {
        fs::set_permissions(place.file(file), fs::Permissions::from_mode(mode)).unwrap();
        let message = place.refused();
        assert!(message.contains(cure) && message.contains(file), "{message}");
        fs::set_permissions(place.file(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(place.file("tokens"), "alice not-a-hash\n").unwrap();
    let message = place.refused();
    assert!(message.contains("line 1: the second word is not a SHA-256"), "{message}");
}

#[test]
fn master_keys_come_from_one_place_only() {
    let place = Place::new("");
    let keys = place.file("keys");
    place.configure(&format!("[keys]\nmaster_key_file = '{}'", keys.display()));
    let message = place.refused();
    assert!(message.contains("keys cannot be read: No such file"), "{message}");
    assert!(!keys.exists(), "replicas must not make a key each");
    fs::write(&keys, MASTER_KEY).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o440)).unwrap();
    let message = ended(place.command().env("CERTMINT_MASTER_KEYS", MASTER_KEY));
    assert!(message.contains("both CERTMINT_MASTER_KEYS and master_key_file"), "{message}");
    place.configure("");
    let message = ended(place.command().env("CERTMINT_MASTER_KEYS", "one s3cret"));
    assert!(message.contains("line 1: the key is not base64") && !message.contains("s3cret"), "{message}");
}

#[tokio::test]
async fn what_one_sealed_with_a_key_from_a_file_another_opens_with_it_from_the_environment() {
    let place = Place::new("");
    fs::write(place.file("keys"), MASTER_KEY).unwrap();
    fs::set_permissions(place.file("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    place.configure(&format!("[keys]\nmaster_key_file = '{}'", place.file("keys").display()));
    let issuer = "/certificates/issuers/ours?api-version=7.4";
    {
        let server = place.start();
        let set = rest(&server, &place, Some(ALICE), "PUT", issuer, r#"{"provider":"LocalCA"}"#).await;
        assert!(set.starts_with("HTTP/1.1 200"), "{set}");
    }
    assert!(!place.file("data/master.key").exists());
    place.configure("");
    let mut command = place.command();
    command.env("CERTMINT_MASTER_KEYS", MASTER_KEY);
    let server = crate::server::Server::start(command, place.file("log"));
    // Signing opens the CA's key.
    let body = CREATE.replace("\"Self\"", "\"ours\"");
    let created = rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", &body).await;
    assert!(created.starts_with("HTTP/1.1 202"), "{created}");
    crate::clients::until("the CA signs", async || {
        let path = "/certificates/web/pending?api-version=7.4";
        crate::clients::get(&server, &place, Some(ALICE), path).await.contains(r#""status":"completed""#)
    })
    .await;
    assert!(!place.file("data/master.key").exists());
}

#[tokio::test]
async fn a_server_does_not_start_with_other_master_keys_than_those_of_its_store() {
    let place = Place::new("");
    let key = place.file("data/master.key");
    {
        let server = place.start();
        let path = "/certificates/web/create?api-version=7.4";
        let created = rest(&server, &place, Some(ALICE), "POST", path, CREATE).await;
        assert!(created.starts_with("HTTP/1.1 202"), "{created}");
    }
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let message = place.refused();
    assert!(
        message.contains("the store already has data") && message.contains("master.key does not exist"),
        "{message}"
    );
    assert!(!key.exists(), "a key that opens nothing was made");
    fs::write(&key, MASTER_KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let message = place.refused();
    assert!(message.contains("sealed with master keys that this server does not have"), "{message}");
    fs::write(&key, right).unwrap();
    drop(place.start());
}

#[test]
fn a_server_for_others_leaves_no_core_dump() {
    let place = Place::new("");
    let server = place.start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[tokio::test]
async fn limits_of_imports_are_those_of_the_configuration() {
    let place = Place::new("[limits]\nimport_certificates = 1\n");
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let (key, certificate) = (made.signing_key.serialize_pem(), made.cert.pem());
    let server = place.start();
    for (certificates, expected) in [(1, "HTTP/1.1 200"), (2, "more than 1 certificates (limits.import_certificates)")]
    {
        let body = serde_json::json!({"value": format!("{key}{}", certificate.repeat(certificates))}).to_string();
        let path = "/certificates/web/import?api-version=7.4";
        let answer = rest(&server, &place, Some(ALICE), "POST", path, &body).await;
        assert!(answer.contains(expected), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_no_server() {
    let place = Place::new("");
    let mut server = Server::start(place.command(), "/dev/full".into());
    for name in ["one", "two", "three"] {
        let mut client = grpc(&server, &place, Some(ALICE)).await;
        // Each leaves a line about its caller.
        client.create_certificate(create(name)).await.unwrap();
    }
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().await, Some(0));
}
