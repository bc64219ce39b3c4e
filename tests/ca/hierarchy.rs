//! Under another root, from another program, and from one root to the next.

use crate::tools::{ask, openssl};
use crate::world::World;

const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/// A root that OpenSSL has: the files of its certificate and of its key.
fn enterprise(world: &World) -> (String, String) {
    let (root, key) = (world.file("enterprise.pem"), world.file("enterprise.key"));
    let (root, key) = (root.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
    openssl(&format!(
        "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /O=Example/CN=Enterprise -addext keyUsage=critical,keyCertSign,cRLSign -keyout {key} -out {root}"
    ));
    (root, key)
}

/// What it makes of a request.
fn sign(world: &World, (root, key): &(String, String), csr: &str, name: &str) -> String {
    let extensions = world.write("ca.ext", CA_EXTENSIONS);
    let file = world.file(name).to_str().unwrap().to_owned();
    openssl(&format!(
        "x509 -req -in {csr} -CA {root} -CAkey {key} -CAcreateserial -days 1000 -extfile {extensions} -out {file}"
    ));
    file
}

fn states(world: &World, issuer: &str) -> Vec<String> {
    let list = world.json(&format!("ca list --issuer {issuer}"));
    let mut states: Vec<String> =
        list["authorities"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect();
    states.sort();
    states
}

#[test]
fn a_ca_under_a_root_of_openssl_signs_what_openssl_and_gnutls_believe() {
    let world = World::start();
    let enterprise = enterprise(&world);
    world.cli("ca create --issuer issuing --parent external --subject CN=Issuing,O=Example --key-type P-384");
    assert_eq!(states(&world, "issuing"), ["REQUESTED"]);
    // Nothing is signed yet, and orders wait.
    world.cli("create early --subject CN=early.example --issuer issuing --key-type ec");
    let csr = world.write("issuing.csr", world.cli("ca csr --issuer issuing"));
    let text = openssl(&format!("req -in {csr} -noout -verify -text"));
    for part in ["CA:TRUE", "Certificate Sign, CRL Sign", "secp384r1", "O = Example"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // Another key's certificate is refused, and one of no CA.
    let wrong = &enterprise.0;
    assert!(world.refused(&format!("ca install --issuer issuing {wrong}")).1.contains("key"));
    let leaf = world.file("leaf.pem").to_str().unwrap().to_owned();
    let (root, key) = &enterprise;
    openssl(&format!("x509 -req -in {csr} -CA {root} -CAkey {key} -CAcreateserial -days 1000 -out {leaf}"));
    let (_, said) = world.refused(&format!("ca install --issuer issuing {leaf}"));
    assert!(said.contains("CA"), "{said}");
    assert_eq!(states(&world, "issuing"), ["REQUESTED"]);

    let issuing = sign(&world, &enterprise, &csr, "issuing.pem");
    let chain = [&issuing, root].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let chain = world.write("chain.pem", chain);
    world.cli(&format!("ca install --issuer issuing {chain}"));
    assert_eq!(states(&world, "issuing"), ["ACTIVE"]);
    world.eventually(|| (world.json("pending show early")["operation"]["status"] == "COMPLETED").then_some(()));
    let (leaf, serial) = world.leaf("app", "issuing", "");
    openssl(&format!("verify -CAfile {root} -untrusted {issuing} {leaf}"));
    let (good, said) = ask(
        "certtool",
        &format!(
            "--verify --load-ca-certificate {root} --infile {leaf_chain}",
            leaf_chain = world.file("app.chain.pem").display()
        ),
    );
    assert!(good && said.contains("Chain verification output: Verified"), "{said}");
    // Its list is signed by it.
    let (_, authority) = world.authority("issuing");
    world.cli(&format!("ca revoke --serial {serial} --reason superseded"));
    let (list, _) = world.crl(&authority, 2);
    let (good, said) =
        ask("openssl", &format!("verify -crl_check -partial_chain -trusted {issuing} -CRLfile {list} {leaf}"));
    assert!(!good && said.contains("certificate revoked"), "{said}");
}

#[test]
fn after_a_rollover_leaves_are_believed_by_the_old_root_alone_and_by_the_new_one_alone() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let (before, _) = world.leaf("before", "corp", "");
    let (old_root, old) = world.authority("corp");
    let old_root = {
        let copy = std::fs::read(&old_root).unwrap();
        world.write("old.pem", copy)
    };
    world.cli("ca create --issuer corp --subject CN=Example-2");
    assert_eq!(states(&world, "corp"), ["ACTIVE", "NEXT"]);
    let (code, said) = world.refused("ca create --issuer corp --subject CN=Example-3");
    assert!(code == 4 && said.contains("requested or next"), "{code} {said}");
    let both = String::from_utf8(world.published("/roots/default/corp.pem")).unwrap();
    assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
    // It signs nothing before it is activated.
    let (still, _) = world.leaf("still", "corp", "");
    openssl(&format!("verify -CAfile {old_root} {still}"));
    world.cli("ca activate --issuer corp");
    assert_eq!(states(&world, "corp"), ["ACTIVE", "RETIRED"]);
    let (leaf, _) = world.leaf("after", "corp", "");
    let (new_root, new) = world.authority("corp");
    assert_ne!(old, new);
    let chain = world.file("after.chain.pem").to_str().unwrap().to_owned();
    for root in [&old_root, &new_root] {
        openssl(&format!("verify -CAfile {root} -untrusted {chain} {leaf}"));
        let (good, said) = ask("certtool", &format!("--verify --load-ca-certificate {root} --infile {chain}"));
        assert!(good && said.contains("Chain verification output: Verified"), "{root}: {said}");
    }
    assert!(!ask("openssl", &format!("verify -CAfile {old_root} {leaf}")).0, "the chain made no difference");
    // The old one is retired, and lists what it signed.
    world.cli("revoke before --reason superseded");
    let (list, _) = world.crl(&old, 2);
    let (good, said) = ask("openssl", &format!("verify -crl_check -CAfile {old_root} -CRLfile {list} {before}"));
    assert!(!good && said.contains("certificate revoked"), "{said}");
    // The certificate of the new root by the old one is in the log of the old one.
    let log = world.json("ca issued --issuer corp --state issued");
    let doors: Vec<&str> =
        log["certificates"].as_array().unwrap().iter().filter_map(|it| it["door"].as_str()).collect();
    assert!(doors.contains(&"authority"), "{doors:?}");
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Der,
    Pem,
    Base64,
}

#[test]
fn a_ca_of_openssl_goes_on_with_its_list_in_any_form() {
    for form in [Form::Der, Form::Pem, Form::Base64] {
        goes_on_with_its_list(form);
    }
}

fn goes_on_with_its_list(form: Form) {
    // What it signed names one list: the setting is for CAs that are made here.
    let world = World::with("crl_shards = 4");
    let (root, key) = enterprise(&world);
    std::fs::write(
        world.file("index.txt"),
        "R\t401231235959Z\t200101000000Z,superseded\t1234\tunknown\t/CN=old.example\n",
    )
    .unwrap();
    std::fs::write(world.file("crlnumber"), "2A\n").unwrap();
    let folder = world.file("index.txt").parent().unwrap().display().to_string();
    let config = world.write(
        "ca.cnf",
        format!(
            "[ca]\ndefault_ca=it\n[it]\ndatabase={folder}/index.txt\ncrlnumber={folder}/crlnumber\ndefault_md=sha256\ndefault_crl_days=7\ncrl_extensions=crl\n[crl]\nauthorityKeyIdentifier=keyid\n"
        ),
    );
    let (pem, der) = (world.file("last.pem"), world.file("last.crl"));
    let (pem, der) = (pem.display(), der.display());
    openssl(&format!("ca -config {config} -gencrl -cert {root} -keyfile {key} -out {pem}"));
    openssl(&format!("crl -in {pem} -outform DER -out {der}"));
    let both = [&root, &key].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let both = world.write("both.pem", both);
    // What is no list of this CA is refused.
    for (file, problem) in [(root.as_str(), "holds no revocation list"), (key.as_str(), "holds a private key")] {
        let (code, said) = world.refused(&format!("ca import --issuer old {both} --crl {file}"));
        assert!(code == 1 && said.contains(problem), "{said}");
    }
    // OpenSSL's own form, text before it and all; it writes DER and base64 of it as well.
    let last = match form {
        Form::Der => der.to_string(),
        Form::Pem => {
            let text = openssl(&format!("crl -in {pem} -text"));
            world.write("text.pem", text)
        }
        Form::Base64 => {
            let pem = std::fs::read_to_string(world.file("last.pem")).unwrap();
            world.write("last.b64", pem.lines().filter(|line| !line.starts_with('-')).collect::<String>())
        }
    };
    world.cli(&format!("ca import --issuer old {both} --crl {last}"));
    // One CA has one log: it belongs to one vault.
    world.cli("vault create elsewhere");
    let (code, said) = world.refused(&format!("--vault elsewhere ca import --issuer old {both}"));
    assert!(code == 1 && said.contains("of another vault"), "{said}");
    assert_eq!(states(&world, "old"), ["ACTIVE"]);
    // Its key is kept for certificates that nobody here knows of.
    let known = world.json("ca list --issuer old")["authorities"][0].clone();
    assert!(
        known["last_expiry"].is_string() && known["last_expiry"].as_str() >= known["not_after"].as_str(),
        "{known}"
    );
    let (_, authority) = world.authority("old");
    let (list, number) = world.crl(&authority, 43);
    assert!(number >= 43, "{number}");
    let text = openssl(&format!("crl -in {list} -noout -text"));
    assert!(text.contains("Serial Number: 1234") && text.contains("Superseded"), "{text}");
    let url = format!("{}/ocsp/{authority}", world.base_url);
    let ocsp = || ask("openssl", &format!("ocsp -issuer {root} -serial 0x1234 -url {url} -CAfile {root}")).1;
    world.eventually(|| ocsp().contains(": revoked").then_some(()));
    let (leaf, _) = world.leaf("web", "old", "");
    openssl(&format!("verify -crl_check -CAfile {root} -CRLfile {list} {leaf}"));
}

#[test]
fn a_requested_ca_is_given_up_and_another_one_requested() {
    let world = World::start();
    world.cli("ca create --issuer corp --parent external --subject CN=One");
    assert_eq!(world.refused("ca create --issuer corp --parent external --subject CN=Two").0, 4);
    world.cli("ca retire --issuer corp");
    world.cli("ca create --issuer corp --parent external --subject CN=Two");
    let csr = world.write("two.csr", world.cli("ca csr --issuer corp"));
    assert!(openssl(&format!("req -in {csr} -noout -subject")).contains("Two"));
}

/// A root that OpenSSL makes with this extension, and its key in one file.
fn constrained(world: &World, name: &str, subject: &str, extension: &str) -> (String, String) {
    let (root, key) = (world.file(&format!("{name}.crt")), world.file(&format!("{name}.key")));
    let (root, key) = (root.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
    let extension = if extension.is_empty() { String::new() } else { format!("-addext {extension}") };
    openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1000 -subj {subject} -addext keyUsage=critical,keyCertSign,cRLSign {extension} -keyout {key} -out {root}"
    ));
    let both = [&root, &key].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    (root, world.write(&format!("{name}.pem"), both))
}

#[test]
fn a_ca_with_constraints_says_so_and_signs_nothing_that_openssl_would_refuse() {
    let world = World::start();
    let permitted = "nameConstraints=critical,permitted;DNS:corp.example,permitted;IP:10.0.0.0/255.0.0.0";
    let excluded = "nameConstraints=critical,excluded;DNS:evil.example";
    for (issuer, extension, warning, good, bad, problem) in [
        (
            "nc",
            permitted,
            "permits corp.example, 10.0.0.0/8 alone",
            "--san a.corp.example",
            "--san a.other.example",
            "remove a.other.example",
        ),
        (
            "nc-ip",
            permitted,
            "permits",
            "--san a.corp.example --san 10.1.2.3",
            "--san a.corp.example --san 192.0.2.1",
            "remove 192.0.2.1",
        ),
        (
            "ncx",
            excluded,
            "excludes evil.example",
            "--san a.good.example",
            "--san a.evil.example",
            "remove a.evil.example",
        ),
        (
            "eku",
            "extendedKeyUsage=clientAuth",
            "is for clientAuth alone",
            "--san a.example --eku clientAuth",
            "--san a.example --eku serverAuth",
            "none of its purposes",
        ),
    ] {
        let (root, both) = constrained(&world, issuer, &format!("/CN={issuer}"), extension);
        let said = world.json(&format!("ca import --issuer {issuer} {both}"));
        assert!(said["warnings"].to_string().contains(warning), "{issuer}: {said}");
        let create = format!("create {issuer}-good --subject O=Example {good} --issuer {issuer} --key-type ec --wait");
        world.cli(&create);
        let chain = world.write("good.pem", world.cli(&format!("get {issuer}-good --pem")));
        openssl(&format!("verify -CAfile {root} {chain}"));
        let create = format!("create {issuer}-bad --subject O=Example {bad} --issuer {issuer} --key-type ec --wait");
        let (_, said) = world.refused(&create);
        assert!(said.contains(problem) && said.contains(issuer), "{issuer}: {said}");
    }
    let (_, nameless) = constrained(&world, "nameless", "/", "");
    let (code, said) = world.refused(&format!("ca import --issuer nameless {nameless}"));
    assert!(code == 1 && said.contains("its subject is empty"), "{said}");
}
