//! A leaf is revoked, and refused by those who are to refuse it.

use crate::ports::free_port;
use crate::tools::{Running, ask, openssl, output};
use crate::world::World;
use serde_json::json;
use std::process::{Command, Stdio};

/// A TLS server with a leaf, for clients that look at revocation.
fn tls_server(world: &World, name: &str) -> (Running, u16) {
    let port = free_port();
    let key = world.write(&format!("{name}.key"), world.cli(&format!("export {name} --pem")));
    let chain = world.file(&format!("{name}.chain.pem"));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"]).arg(&chain);
    command
        .arg("-cert_chain")
        .arg(&chain)
        .args(["-key", &key])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Running(command.spawn().unwrap());
    world.eventually(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    (server, port)
}

#[test]
fn a_revoked_leaf_is_refused_by_openssl_gnutls_curl_and_java() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let (leaf, serial) = world.leaf("web", "corp", "");
    let (root, authority) = world.authority("corp");
    let text = openssl(&format!("x509 -in {leaf} -noout -text"));
    for url in [format!("/crl/{authority}.crl"), format!("/ocsp/{authority}"), format!("/ca/{authority}.cer")] {
        assert!(text.contains(&format!("URI:{}{url}", world.base_url)), "{url}\n{text}");
    }
    let issuer = world.write("issuer.cer", world.published(&format!("/ca/{authority}.cer")));
    let issuer_pem = world.file("issuer.pem").to_str().unwrap().to_owned();
    openssl(&format!("x509 -inform DER -in {issuer} -out {issuer_pem}"));

    // Before.
    let (list, first) = world.crl(&authority, 1);
    assert!(openssl(&format!("crl -in {list} -CAfile {root} -noout")).contains("verify OK"));
    openssl(&format!("verify -crl_check -CAfile {root} -CRLfile {list} {leaf}"));
    let url = format!("{}/ocsp/{authority}", world.base_url);
    let with_openssl =
        |more: &str| openssl(&format!("ocsp -issuer {issuer_pem} {more} -cert {leaf} -url {url} -CAfile {root}"));
    for more in ["", "-no_nonce", "-sha256", "-no_nonce -sha256"] {
        let said = world.eventually(|| Some(with_openssl(more)).filter(|said| said.contains("Response verify OK")));
        assert!(said.contains(": good"), "{more}: {said}");
    }
    let gnutls = format!("--ask={url} --load-issuer={issuer_pem} --load-cert={leaf} --load-trust={root}");
    for nonce in ["--nonce", "--no-nonce"] {
        let (good, said) = ask("ocsptool", &format!("{gnutls} {nonce}"));
        assert!(good && said.contains("Certificate Status: good") && said.contains("Success"), "{said}");
    }
    let (_tls, port) = tls_server(&world, "web");
    let curl = format!("-sS -o /dev/null --cacert {root} --crlfile {list} https://localhost:{port}/");
    let (good, said) = ask("curl", &curl);
    assert!(good, "{said}");
    assert_eq!(java(&world, &root), "ok");

    // Revoked.
    let said = world.json("revoke web --reason superseded");
    let revocation = &said["certificate"]["revocation"];
    assert_eq!(
        (&revocation["reason"], &revocation["principal"]),
        (&json!("SUPERSEDED"), &json!("token:alice")),
        "{said}"
    );
    assert!(revocation["crl_expected"].is_string() && revocation["crl_number"] == 0, "{said}");
    assert!(with_openssl("").contains(": revoked"));
    let (list, second) = world.crl(&authority, first + 1);
    let (good, said) = ask("openssl", &format!("verify -crl_check -CAfile {root} -CRLfile {list} {leaf}"));
    assert!(!good && said.contains("certificate revoked"), "{said}");
    assert!(openssl(&format!("crl -in {list} -noout -text")).to_lowercase().contains(&serial));
    assert!(with_openssl("-sha256").contains("Reason: superseded"));
    let (_, said) = ask("ocsptool", &format!("{gnutls} --nonce"));
    assert!(said.contains("Certificate Status: revoked"), "{said}");
    let (good, said) = ask("curl", &curl);
    assert!(!good && said.contains("revoked"), "{said}");
    assert!(java(&world, &root).contains("REVOKED"));
    let shown = world.json(&format!("ca show {serial}"))["certificate"]["revocation"].clone();
    assert_eq!((&shown["crl_number"], &shown["crl_expected"]), (&json!(second), &json!(null)), "{shown}");
}

/// What PKIX of Java says of the leaf, with revocation on and no exception for failures.
fn java(world: &World, root: &str) -> String {
    let program = world.write("Check.java", JAVA);
    let chain = world.file("web.chain.pem");
    let mut command = Command::new("java");
    // Other answers than the ones of now would be kept in the process only.
    command.arg("-Dcom.sun.security.enableAIAcaIssuers=false").arg(program).arg(root).arg(chain);
    output(&mut command).trim().to_owned()
}

const JAVA: &str = r#"
import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

public class Check {
    public static void main(String[] files) throws Exception {
        var factory = CertificateFactory.getInstance("X.509");
        var root = (X509Certificate) factory.generateCertificate(new FileInputStream(files[0]));
        var chain = new ArrayList<X509Certificate>();
        for (var certificate : factory.generateCertificates(new FileInputStream(files[1]))) {
            var x509 = (X509Certificate) certificate;
            if (!x509.equals(root)) chain.add(x509);
        }
        var validator = CertPathValidator.getInstance("PKIX");
        var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(factory.generateCertPath(chain), parameters);
            System.out.println("ok");
        } catch (CertPathValidatorException e) {
            System.out.println(e.getReason() + " " + e.getMessage());
        }
    }
}
"#;

#[test]
fn a_revocation_is_asked_for_in_three_ways_and_repeated_without_harm() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    for name in ["one", "two", "three"] {
        world.leaf(name, "corp", "");
    }
    let serial = |name: &str| {
        let text = openssl(&format!("x509 -in {} -noout -serial", world.file(&format!("{name}.pem")).display()));
        text.trim().trim_start_matches("serial=").to_owned()
    };
    // By version over REST, with the words of RFC 5280.
    let version = world.json("get one")["certificate"]["certificate_version"].as_str().unwrap().to_owned();
    let path = format!("/certificates/one/{version}/revoke");
    let (status, first) = world.rest("POST", &path, r#"{"reason":"affiliationChanged"}"#);
    assert_eq!((status, &first["revocation"]["reason"]), (200, &json!("affiliationChanged")), "{first}");
    assert!(first["cer"].is_string() && first["attributes"]["enabled"] == true, "{first}");
    // A repeat answers the first; only a compromise is worse.
    let (_, again) = world.rest("POST", &path, r#"{"reason":"superseded"}"#);
    assert_eq!(
        (&again["revocation"]["reason"], &again["revocation"]["time"]),
        (&first["revocation"]["reason"], &first["revocation"]["time"])
    );
    let (_, worse) = world.rest("POST", &path, r#"{"reason":"keyCompromise","invalidity_time":1700000000}"#);
    assert_eq!(
        (&worse["revocation"]["reason"], &worse["revocation"]["invalidity_time"]),
        (&json!("keyCompromise"), &json!(1_700_000_000))
    );
    assert_eq!(
        (&worse["revocation"]["time"], &worse["attributes"]["enabled"]),
        (&first["revocation"]["time"], &json!(false))
    );
    // By serial number, and by the certificate.
    let by_serial =
        world.json(&format!("ca revoke --issuer corp --serial {} --reason cessation-of-operation", serial("two")));
    assert_eq!(by_serial["certificate"]["certificate_name"], "two");
    let file = world.file("three.pem");
    let by_itself = world.json(&format!("ca revoke --certificate {} --reason privilege-withdrawn", file.display()));
    assert_eq!(by_itself["certificate"]["certificate_name"], "three");
    assert_eq!(world.json("ca issued --state revoked")["certificates"].as_array().unwrap().len(), 3);
    // A version that is deleted is revoked as well; the answer is then its entry in the log.
    world.leaf("gone", "corp", "");
    let version = world.json("get gone")["certificate"]["certificate_version"].as_str().unwrap().to_owned();
    world.cli("delete gone");
    let (status, gone) =
        world.rest("POST", &format!("/certificates/gone/{version}/revoke"), r#"{"reason":"superseded"}"#);
    assert_eq!(
        (status, &gone["revocation"]["reason"], &gone["name"]),
        (200, &json!("superseded"), &json!("gone")),
        "{gone}"
    );
    // What cannot be revoked.
    world.cli("create self --subject CN=self.example --issuer Self --wait");
    let (code, said) = world.refused("revoke self --reason superseded");
    assert!(code == 1 && said.contains("ask the CA that signed it"), "{said}");
    assert_eq!(world.refused("revoke nobody --reason superseded").0, 3);
    let (status, error) = world.rest("POST", &path, r#"{"reason":"certificateHold"}"#);
    assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")), "{error}");
    let foreign = world.file("tls.crt");
    assert!(
        world
            .refused(&format!("ca revoke --certificate {} --reason superseded", foreign.display()))
            .1
            .contains("No CA of this vault")
    );
}

#[test]
fn an_intent_can_be_revoked_and_is_never_good() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    world.cli("issuer pause corp");
    world.cli("create web --subject CN=web.example --issuer corp --key-type ec");
    let (root, authority) = world.authority("corp");
    let intended = world.json("ca issued --name web")["certificates"][0].clone();
    assert_eq!(intended["state"], "INTENDED");
    let serial = intended["serial"].as_str().unwrap();
    let url = format!("{}/ocsp/{authority}", world.base_url);
    let status = || {
        let words = format!("ocsp -issuer {root} -serial 0x{serial} -url {url} -CAfile {root}");
        world.eventually(|| Some(ask("openssl", &words)).filter(|(good, said)| *good && said.contains("verify OK"))).1
    };
    assert!(status().contains(": unknown"));
    world.cli(&format!("ca revoke --serial {serial} --reason unspecified"));
    assert!(status().contains(": revoked"));
    world.cli("issuer resume corp");
    let ended = world.eventually(|| {
        let operation = world.json("pending show web")["operation"].clone();
        (operation["status"] != "IN_PROGRESS").then_some(operation)
    });
    assert_eq!(ended["status"], "FAILED", "{ended}");
    assert!(ended["error"]["message"].as_str().unwrap().contains("revoked before it was signed"), "{ended}");
}

#[test]
fn the_port_answers_what_it_publishes_and_nothing_else() {
    let world = World::with("crl_shards = 4");
    world.cli("issuer set corp --provider LocalCA --account-id intermediate --organization-id Example");
    let (leaf, serial) = world.leaf("web", "corp", "");
    let (root, authority) = world.authority("corp");
    let text = openssl(&format!("x509 -in {leaf} -noout -text"));
    let shard = u8::from_str_radix(&serial[serial.len() - 2..], 16).unwrap() % 4;
    let path = format!("/crl/{authority}/{shard}.crl");
    assert!(text.contains(&format!("URI:{}{path}", world.base_url)), "{text}");
    let issuer = world.write("issuer.cer", world.published(&format!("/ca/{authority}.cer")));
    let issuer_pem = world.file("issuer.pem").to_str().unwrap().to_owned();
    openssl(&format!("x509 -inform DER -in {issuer} -out {issuer_pem}"));
    let list = |path: &str| {
        let der = world.write("shard.crl", world.published(path));
        let pem = world.file("shard.pem").to_str().unwrap().to_owned();
        openssl(&format!("crl -inform DER -in {der} -out {pem}"));
        pem
    };
    // The list that the leaf names covers it, another one does not.
    let verify = |list: &str| {
        ask("openssl", &format!("verify -crl_check -partial_chain -trusted {issuer_pem} -CRLfile {list} {leaf}"))
    };
    let own = list(&path);
    assert!(verify(&own).0, "{}", verify(&own).1);
    let other = list(&format!("/crl/{authority}/{}.crl", (shard + 1) % 4));
    let (good, said) = verify(&other);
    assert!(!good && said.contains("different CRL scope"), "{said}");
    let roots = world.write("roots.pem", world.published("/roots/default/corp.pem"));
    assert_eq!(std::fs::read_to_string(roots).unwrap(), std::fs::read_to_string(root).unwrap());

    let head = |arguments: &str, path: &str| ask("curl", &format!("-s -i {arguments} {}{path}", world.base_url)).1;
    let answer = head("-I", &path);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.to_lowercase().contains("content-type: application/pkix-crl"),
        "{answer}"
    );
    let tag = answer.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    let output = Command::new("curl")
        .args(["-s", "-i", "-H", &format!("If-None-Match: {tag}"), &format!("{}{path}", world.base_url)])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("HTTP/1.1 304"));
    for (arguments, path, status) in [
        ("", "/", "404"),
        ("", "/crl/00000000000000000000000000000000/0.crl", "404"),
        ("", "/certificates", "404"),
        ("", "/readyz", "404"),
        ("-X POST", path.as_str(), "405"),
        ("-X DELETE", &format!("/ocsp/{authority}"), "405"),
        ("", &format!("/ocsp/{authority}/%00"), "400"),
    ] {
        let answer = head(arguments, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    // What is no request is told so, without a signature; one of another CA as well.
    let url = format!("{}/ocsp/{authority}", world.base_url);
    let (_, said) =
        ask("openssl", &format!("ocsp -issuer {} -serial 1 -url {url} -noverify", world.file("tls.crt").display()));
    assert!(said.contains("unauthorized (6)"), "{said}");
    // A hash that is not read here is no fault of the request (RFC 6960 section 2.3).
    for hash in ["sha384", "sha512"] {
        let words = format!("ocsp -{hash} -issuer {issuer_pem} -cert {leaf} -url {url} -noverify");
        assert!(ask("openssl", &words).1.contains("unauthorized (6)"), "{hash}: {}", ask("openssl", &words).1);
    }
    let bytes = Command::new("curl").args(["-s", "-d", "nothing", &url]).output().unwrap().stdout;
    assert_eq!(bytes, [0x30, 3, 0x0a, 1, 1]);
    let large = world.write("large", vec![0; 20_000]);
    let refused = head(&format!("--data-binary @{large}"), &format!("/ocsp/{authority}"));
    assert!(refused.contains("413"), "{refused}");
}
