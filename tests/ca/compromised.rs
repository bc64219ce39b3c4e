//! Keys that were reported as compromised: nothing is signed for them any more, and what has them is out of use.

use crate::tools::openssl;
use crate::world::World;
use serde_json::json;

#[test]
fn a_compromised_key_is_named_blocked_and_not_used_again() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let (_, first) = world.leaf("web", "corp", "--reuse-key");
    let (_, second) = world.leaf("web", "corp", "--reuse-key");
    assert_ne!(first, second);
    let said = world.json(&format!("ca revoke --serial {first} --reason key-compromise"));
    assert_eq!(said["same_key"][0]["serial"], second.as_str(), "{said}");
    assert_eq!(said["same_key"].as_array().unwrap().len(), 1);
    let (code, refused) =
        world.refused("create web --subject CN=web.example --issuer corp --key-type ec --reuse-key --wait");
    assert!(code != 0 && refused.contains("reported as compromised"), "{refused}");
    world.cli("create web --subject CN=web.example --issuer corp --key-type ec --wait");
}

/// A request of the caller's own in the place of the server, with the key of that file, which is made where it is not there.
fn request(world: &World, file: &str, key: &str) -> String {
    let (csr, key) = (world.file(file), world.file(key));
    let new = if key.exists() {
        format!("-key {}", key.display())
    } else {
        format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {}", key.display())
    };
    openssl(&format!(
        "req -new {new} -subj /CN=own.example -addext subjectAltName=DNS:own.example -out {}",
        csr.display()
    ));
    csr.display().to_string()
}

#[test]
fn a_request_with_a_compromised_key_is_refused_by_every_name_and_issuer() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    world.cli("issuer set other --provider LocalCA --organization-id Other");
    let (first, again, good) =
        (request(&world, "1.csr", "a.key"), request(&world, "2.csr", "a.key"), request(&world, "3.csr", "b.key"));
    world.cli(&format!("create own --csr {first} --issuer corp --wait"));
    world.cli("revoke own --reason key-compromise");
    for words in ["own --issuer corp", "own2 --issuer corp", "own3 --issuer other"] {
        let (code, refused) = world.refused(&format!("create {words} --csr {again}"));
        assert!(code == 1 && refused.contains("reported as compromised"), "{words}: {refused}");
    }
    let body = json!({"csr": std::fs::read_to_string(&again).unwrap(), "policy": {"issuer": {"name": "corp"}}});
    let (status, error) = world.rest("POST", "/certificates/own4/create", &body.to_string());
    assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")), "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("reported as compromised"), "{error}");
    world.cli(&format!("create own --csr {good} --issuer corp --wait"));
}

#[test]
fn what_waits_is_not_signed_merged_or_imported_for_a_key_that_was_reported_meanwhile() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    world.cli("issuer set other --provider LocalCA --organization-id Other");
    world.cli("issuer pause other");
    let (first, again) = (request(&world, "1.csr", "a.key"), request(&world, "2.csr", "a.key"));
    world.cli(&format!("create waits --csr {again} --issuer other"));
    world.cli(&format!("create manual --csr {again} --issuer Unknown"));
    world.cli(&format!("create own --csr {first} --issuer corp --wait"));
    let chain = world.write("own.pem", world.cli("get own --pem"));
    world.cli("revoke own --reason key-compromise");

    world.cli("issuer resume other");
    let ended = world.eventually(|| {
        let operation = world.json("pending show waits")["operation"].clone();
        (operation["status"] != "IN_PROGRESS").then_some(operation)
    });
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("FAILED"), &json!("Request rejected")), "{ended}");
    assert!(ended["error"]["message"].as_str().unwrap().contains("reported as compromised"), "{ended}");
    assert_eq!(world.json("ca issued --name waits")["certificates"][0]["state"], "ABANDONED");

    let (_, refused) = world.refused(&format!("merge manual {chain}"));
    assert!(refused.contains("reported as compromised"), "{refused}");
    let both = std::fs::read_to_string(world.file("a.key")).unwrap() + &std::fs::read_to_string(&chain).unwrap();
    let both = world.write("both.pem", both);
    let (_, refused) = world.refused(&format!("import brought {both}"));
    assert!(refused.contains("reported as compromised"), "{refused}");
    world.cli(&format!("import brought {both} --disabled"));
}

#[test]
fn a_version_that_is_revoked_while_it_is_deleted_comes_back_disabled() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let (_, serial) = world.leaf("web", "corp", "");
    let enabled = || world.rest("GET", "/certificates/web", "").1["attributes"]["enabled"].clone();
    assert_eq!(enabled(), true);
    let backup = world.file("web.backup").display().to_string();
    world.cli(&format!("backup web --out {backup}"));
    let gone = |method: &str, path: &str| {
        let (status, said) = world.rest(method, path, "");
        assert!(status < 300, "{method} {path}: {said}");
    };
    gone("DELETE", "/certificates/web");
    world.cli(&format!("ca revoke --serial {serial} --reason key-compromise"));
    gone("POST", "/deletedcertificates/web/recover");
    assert_eq!(enabled(), false);
    assert_eq!(world.rest("GET", "/secrets/web", "").0, 403);

    gone("DELETE", "/certificates/web");
    gone("DELETE", "/deletedcertificates/web");
    // The worker removes the versions.
    world.eventually(|| world.command(&format!("restore {backup}")).output().unwrap().status.success().then_some(()));
    assert_eq!(enabled(), false, "the backup is older than the report");
    assert_eq!(world.rest("GET", "/secrets/web", "").0, 403);
}
