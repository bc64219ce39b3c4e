//! An own root with CAs below it, a request over REST, and what is fetched over plain HTTP by machines without a token.

use crate::tools::{ask, openssl};
use crate::world::World;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

/// In base64, as REST has certificates.
fn base64(file: &str) -> String {
    let der = openssl(&format!("x509 -in {file}"));
    der.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn fingerprint(file: &str) -> String {
    let text = openssl(&format!("x509 -in {file} -noout -fingerprint -sha256"));
    text.trim().rsplit('=').next().unwrap().to_owned()
}

#[test]
fn a_request_is_fetched_and_its_certificate_installed_over_rest() {
    let world = World::start();
    let (root, key) = (world.file("enterprise.pem"), world.file("enterprise.key"));
    let (root, key) = (root.display(), key.display());
    openssl(&format!(
        "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /O=Example/CN=Enterprise -addext keyUsage=critical,keyCertSign,cRLSign -keyout {key} -out {root}"
    ));
    let issuer = "/certificates/issuers/issuing";
    let options = json!({"parent": "external", "subject": "CN=Issuing,O=Example", "key_type": "P-384"});
    let (status, made) = world.rest("PUT", issuer, &json!({"provider": "LocalCA", "options": options}).to_string());
    assert_eq!((status, &made["options"]), (200, &options), "{made}");
    let (status, text) = world.rest_text("GET", &format!("{issuer}/ca/csr"), "");
    assert_eq!(status, 200, "{text}");
    let csr = world.write(
        "issuing.csr",
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"),
    );
    // The command line has the same request.
    let by_cli = world.write("cli.csr", world.cli("ca csr --issuer issuing"));
    let read = |file: &str| openssl(&format!("req -in {file} -noout -verify -text"));
    assert_eq!(read(&csr), read(&by_cli));
    let extensions = world.write(
        "ca.ext",
        "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    );
    let issuing = world.file("issuing.pem").display().to_string();
    openssl(&format!(
        "x509 -req -in {csr} -CA {root} -CAkey {key} -CAcreateserial -days 1000 -extfile {extensions} -out {issuing}"
    ));
    let install = |x5c: Value| world.rest("POST", &format!("{issuer}/ca/install"), &json!({"x5c": x5c}).to_string());
    for (x5c, problem) in [
        (json!([base64(&root.to_string())]), "key"),
        (json!([]), "x5c"),
        (Value::Null, "x5c"),
        (json!(["no certificate"]), "x5c"),
    ] {
        let (status, error) = install(x5c.clone());
        assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")), "{x5c}: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(problem), "{x5c}: {error}");
    }
    let (status, answer) = install(json!([base64(&issuing), base64(&root.to_string())]));
    assert_eq!((status, &answer["state"], &answer["generation"]), (200, &json!("active"), &json!(1)), "{answer}");
    assert_eq!(answer["x5c"], json!([base64(&issuing), base64(&root.to_string())]));
    let listed = world.json("ca list --issuer issuing")["authorities"][0].clone();
    assert_eq!(listed["authority"], answer["authority"]);
    for path in ["csr", "install"] {
        let (method, body) = if path == "csr" { ("GET", "") } else { ("POST", r#"{"x5c":["AAAA"]}"#) };
        let (status, error) = world.rest(method, &format!("{issuer}/ca/{path}"), body);
        assert_eq!(status, 400, "{path}: {error}");
    }
    let (leaf, _) = world.leaf("app", "issuing", "");
    openssl(&format!("verify -CAfile {root} -untrusted {issuing} {leaf}"));
}

#[test]
fn a_ca_below_an_own_root_is_revoked_by_the_list_of_the_root() {
    let world = World::start();
    world.cli("issuer set root --provider LocalCA --subject CN=Example-Root,O=Example");
    let shown = world.cli("issuer set issuing --provider LocalCA --parent root --subject CN=Example-Issuing,O=Example");
    let (root, root_id) = world.authority("root");
    assert!(shown.contains(&fingerprint(&root).replace(':', "").to_lowercase()), "{shown}");
    let (leaf, _) = world.leaf("web", "issuing", "");
    let (_, issuing_id) = world.authority("issuing");
    let chain = world.file("web.chain.pem").display().to_string();
    let verify = |least: u64| {
        // Each list in a file of its own.
        let copy = |id: &str, least: u64, name: &str| {
            let (list, _) = world.crl(id, least);
            let bytes = std::fs::read(list).unwrap();
            world.write(name, bytes)
        };
        let lists = [copy(&root_id, least, "a.crl"), copy(&issuing_id, 1, "b.crl")];
        let both: String = lists.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let both = world.write("both.crl", both);
        ask("openssl", &format!("verify -crl_check_all -CAfile {root} -untrusted {chain} -CRLfile {both} {leaf}"))
    };
    let (good, said) = verify(1);
    assert!(good, "{said}");
    let log = world.json("ca issued --issuer root --state issued");
    let mut all = log["certificates"].as_array().unwrap().iter();
    let issuing = all.find(|it| it["subject"] == "CN=Example-Issuing, O=Example").unwrap();
    let serial = issuing["serial"].as_str().unwrap();
    let before = world.crl(&root_id, 1).1;
    world.cli(&format!("ca revoke --issuer root --serial {serial} --reason cessation-of-operation"));
    let (good, said) = verify(before + 1);
    assert!(!good && said.contains("certificate revoked"), "{said}");
    let (code, said) = world.refused("issuer set third --provider LocalCA --parent issuing");
    assert!(code == 1 && said.contains("path length"), "{code} {said}");
    let (code, said) = world.refused("ca create --issuer third --parent-issuer nowhere");
    assert!(code == 1 && said.contains("no issuer nowhere"), "{code} {said}");
}

/// The address of a server that answers one request with a list.
fn answers_once(list: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/list.crl", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let mut read = 0;
        while !request[..read].ends_with(b"\r\n\r\n") {
            read += stream.read(&mut request[read..]).unwrap();
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", list.len()).unwrap();
        stream.write_all(&list).unwrap();
    });
    url
}

#[test]
fn machines_without_a_token_fetch_roots_by_fingerprint_and_lists_by_their_signature() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    world.cli("issuer set other --provider LocalCA --organization-id Other");
    let (leaf, _) = world.leaf("web", "corp", "");
    let (root, id) = world.authority("corp");
    let (other, _) = world.authority("other");
    let url = format!("{}/roots/default/corp.pem", world.base_url);
    world.published("/roots/default/corp.pem");
    let out = world.file("fetched.pem");
    let to = out.display();
    let (code, said) = world.refused(&format!("ca fetch {url} --fingerprint {} --out {to}", fingerprint(&other)));
    assert!(code == 1 && said.contains("nothing was written") && !out.exists(), "{code} {said}");
    world.cli(&format!("ca fetch {url} --fingerprint {} --out {to}", fingerprint(&root)));
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&root).unwrap());
    // A root that nobody vouched for is left out.
    world.cli("ca create --issuer corp --subject CN=Example-2");
    world.eventually(|| {
        let both = String::from_utf8(world.published("/roots/default/corp.pem")).unwrap();
        (both.matches("BEGIN CERTIFICATE").count() == 2).then_some(())
    });
    world.cli(&format!("ca fetch {url} --fingerprint {} --out {to}", fingerprint(&root).to_lowercase()));
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&root).unwrap());

    let url = format!("{}/crl/{id}.crl", world.base_url);
    world.crl(&id, 1);
    let list = world.file("fetched.crl");
    let to = list.display();
    let (code, said) = world.refused(&format!("ca fetch {url} --signer {other} --out {to}"));
    assert!(code == 1 && said.contains("is not used") && !list.exists(), "{code} {said}");
    world.cli(&format!("ca fetch {url} --signer {root} --out {to}"));
    openssl(&format!("verify -crl_check -CAfile {root} -CRLfile {to} {leaf}"));
    // Somebody on the way answers with the list before a revocation, which is good for days.
    let before = world.published(&format!("/crl/{id}.crl"));
    let number = world.crl(&id, 1).1;
    world.cli("revoke web --reason superseded");
    world.crl(&id, number + 1);
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&list, mode.clone()).unwrap();
    world.cli(&format!("ca fetch {url} --signer {root} --out {to}"));
    assert_eq!(list.metadata().unwrap().permissions().mode() & 0o777, mode.mode());
    let (good, said) = ask("openssl", &format!("verify -crl_check -CAfile {root} -CRLfile {to} {leaf}"));
    assert!(!good && said.contains("certificate revoked"), "{said}");
    let fresh = std::fs::read(&list).unwrap();
    let (code, said) = world.refused(&format!("ca fetch {} --signer {root} --out {to}", answers_once(before)));
    assert!(code == 1 && said.contains("older"), "{code} {said}");
    assert_eq!(std::fs::read(&list).unwrap(), fresh);
    for (arguments, code) in [
        (format!("{url} --out {to}"), 2),
        (format!("{}/ca/{id}.cer", world.base_url), 2),
        (format!("{}/crl/{}.crl --signer {root}", world.base_url, "0".repeat(32)), 3),
        (format!("https://localhost/crl/{id}.crl --signer {root}"), 2),
    ] {
        assert_eq!(world.refused(&format!("ca fetch {arguments}")).0, code, "{arguments}");
    }
}

#[test]
fn the_ways_up_after_a_rollover_are_the_same_over_rest_and_the_command_line() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let path = "/certificates/issuers/corp/ca";
    let (status, error) = world.rest("GET", &format!("{path}?chain=cross"), "");
    assert!(status == 400 && error["error"]["message"].as_str().unwrap().contains("No earlier root"), "{error}");
    assert_eq!(world.refused("ca export --issuer corp --chain old").0, 3);
    let (old_root, _) = world.authority("corp");
    let old_root = world.write("old.pem", std::fs::read(old_root).unwrap());
    world.cli("ca create --issuer corp --subject CN=Example-2");
    world.cli("ca activate --issuer corp");
    let (leaf, _) = world.leaf("web", "corp", "");
    let (new_root, _) = world.authority("corp");
    for (way, count) in [("new", 1), ("old", 2), ("cross", 1)] {
        let (status, text) = world.rest_text("GET", &format!("{path}?chain={way}"), "");
        assert_eq!((status, text.matches("BEGIN CERTIFICATE").count()), (200, count), "{way}: {text}");
        assert_eq!(world.cli(&format!("ca export --issuer corp --chain {way}")), text, "{way}");
        let file = world.write("way.pem", &text);
        let root = if way == "new" { &new_root } else { &old_root };
        openssl(&format!("verify -CAfile {root} -untrusted {file} {leaf}"));
    }
    let (_, without) = world.rest_text("GET", path, "");
    assert_eq!(without, std::fs::read_to_string(&new_root).unwrap());
    let (status, error) = world.rest("GET", &format!("{path}?chain=up"), "");
    assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")), "{error}");
}
