//! `certmint ca profile`: what is sent and what is printed.

use crate::fake::Fake;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn set_sends_the_rules_of_its_options() {
    let fake = Fake::start().await;
    let arguments = "ca profile set server --issuer corp --default --max-validity P90D --validity P30D --dns *.corp.example \
                     --dns corp.example --ip 10.0.0.0/8 --wildcards --key EC-P256 --key RSA-2048+ --eku serverAuth \
                     --key-usage digitalSignature --subject cn-from-first-name --organization Corp --max-names 5 \
                     --revocation crl --must-staple";
    let ended = fake.run(&arguments.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = fake.part().updated.remove(0);
    let issuer = sent.issuer.unwrap();
    assert_eq!((sent.issuer_name.as_str(), issuer.default_profile.as_str()), ("corp", "server"));
    let profile = &issuer.profiles["server"];
    assert_eq!((profile.max_validity.as_str(), profile.validity.as_str()), ("P90D", "P30D"));
    let names = profile.names.as_ref().unwrap();
    assert_eq!(
        (&names.dns_names[..], &names.ip_addresses[..]),
        (&["*.corp.example".to_owned(), "corp.example".into()][..], &["10.0.0.0/8".to_owned()][..])
    );
    assert!(names.wildcards && profile.must_staple);
    assert_eq!(
        (&profile.keys[..], &profile.ekus[..]),
        (&["EC-P256".to_owned(), "RSA-2048+".into()][..], &["1.3.6.1.5.5.7.3.1".to_owned()][..])
    );
    assert_eq!(
        (profile.subject.as_str(), profile.organization.as_str(), profile.max_names),
        ("cn-from-first-name", "Corp", 5)
    );
    assert_eq!((profile.revocation.as_str(), &profile.key_usages[..]), ("crl", &["digitalSignature".to_owned()][..]));
    assert!(ended.out.starts_with("profile       server (default)\nmax validity  P90D\n"), "{}", ended.out);
    assert!(ended.out.contains("names         dns:*.corp.example, dns:corp.example, ip:10.0.0.0/8\n"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_listed_and_deleted() {
    let fake = Fake::start().await;
    fake.run(&["ca", "profile", "set", "job", "--issuer", "corp", "--max-validity", "PT8H"]).await;
    let listed = fake.run(&["--output", "json", "ca", "profile", "list", "--issuer", "corp"]).await;
    assert_eq!((listed.code, &listed.json()["profiles"]["job"]["max_validity"]), (0, &json!("PT8H")));
    let missing = fake.run(&["ca", "profile", "delete", "server", "--issuer", "corp"]).await;
    assert!(missing.code != 0 && missing.err.contains("the issuer corp has no profile server"), "{missing:?}");
    let deleted = fake.run(&["ca", "profile", "delete", "job", "--issuer", "corp"]).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert_eq!(fake.part().updated.last().unwrap().removed_profiles, ["job"]);
    assert!(deleted.err.contains("the CA has no profiles any more"), "{}", deleted.err);
    assert_eq!(deleted.out, "no profiles: the CA signs whatever a policy asks for\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_profiles_is_found_out() {
    let fake = Fake::start().await;
    let ended = fake.run(&["ca", "profile", "set", "job", "--issuer", "old", "--max-validity", "PT8H"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("the server did not take the profile job: it is too old"), "{}", ended.err);
}
