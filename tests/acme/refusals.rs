//! What ACME cannot express, what the CA refuses, and options that cannot work.

use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Play, input, order, order_for};
use certmint::domain::PolicyInput;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::issuer::provider::{IssuerInput, OptionKind, Provider};
use certmint::issuer::{FailureClass, IssuerError, Step};

fn sans(names: &[&str]) -> Option<SubjectAlternativeNames> {
    Some(SubjectAlternativeNames {
        dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    })
}

#[tokio::test]
async fn a_policy_that_acme_cannot_express_is_refused_with_its_member() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let play = Play::new(&input(&pebble, &[])).await;
    let host = || sans(&["www.example.com"]);
    let with = |change: fn(&mut SubjectAlternativeNames)| {
        let mut names = host().unwrap();
        change(&mut names);
        Some(names)
    };
    let subject = |text: &str| Some(text.to_owned());
    for (policy, says) in [
        (PolicyInput { subject: subject("CN=MyCertSubject1"), sans: host(), ..Default::default() }, "subject"),
        (
            PolicyInput { sans: with(|names| names.emails.push("a@b.example".into())), ..Default::default() },
            "sans.emails",
        ),
        (PolicyInput { sans: with(|names| names.upns.push("a@b.example".into())), ..Default::default() }, "sans.upns"),
        (PolicyInput { sans: sans(&["*.example.com"]), ..Default::default() }, "wildcard"),
        (PolicyInput { subject: subject("O=Example"), ..Default::default() }, "at least one host name"),
        (PolicyInput { sans: host(), ca: Some(true), ..Default::default() }, "ca"),
    ] {
        let policy = PolicyInput { subject: policy.subject.clone().or(Some(String::new())), ..policy };
        let order = order_for(policy);
        let error = play.engine().accept(&order.policy, &play.state).unwrap_err();
        assert!(format!("{error:?}").contains(says), "{says}: {error:?}");
        // A policy that was changed after its check ends the order in the same words.
        let mut play = Play::new(&input(&pebble, &[])).await;
        let end = play.run(&order).await;
        assert!(matches!(end, Step::Failed { class: FailureClass::RequestRejected, .. }), "{end:?}");
        assert_eq!(play.orders(), 0);
    }
    let mut order = order(&["www.example.com"]);
    order.policy.key.key_type = certmint::domain::policy::KeyType::P256K;
    assert!(play.engine().accept(&order.policy, &play.state).is_err());
}

#[tokio::test]
async fn a_name_that_the_ca_rejects_fails_at_once_with_its_words() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    let end = play.run(&order(&["www.blocked.example"])).await;
    let Step::Failed { class, message } = end else { panic!("{end:?}") };
    assert_eq!(class, FailureClass::RequestRejected);
    assert!(message.contains("rejectedIdentifier"), "{message}");
}

#[tokio::test]
async fn a_request_with_other_names_is_refused_at_the_finalization() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    let mut order = order(&["www.example.com"]);
    order.csr = crate::play::order(&["other.example.com"]).csr;
    let end = play.run(&order).await;
    assert!(matches!(end, Step::Failed { class: FailureClass::RequestRejected, .. }), "{end:?}");
    assert_eq!(play.orders(), 1);
}

#[tokio::test]
async fn a_cancelled_order_withdraws_its_authorizations_and_responses() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    let order = order(&["www.example.com"]);
    let progress = play.engine().cancel(&order, &play.state, &play.checkpoint).await.unwrap();
    assert_eq!(progress.step, Step::Cancelled, "nothing was ordered");
    for _ in 0..3 {
        play.step(&order).await;
    }
    assert_eq!(play.records.map.lock().unwrap().len(), 1);
    for _ in 0..2 {
        let progress = play.engine().cancel(&order, &play.state, &play.checkpoint).await.unwrap();
        assert_eq!(play.commit(progress), Step::Cancelled);
        assert!(play.records.map.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_cancellation_after_the_finalization_still_yields_the_certificate() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    let order = order(&["www.example.com"]);
    let before = loop {
        let before = play.checkpoint.clone();
        match play.step(&order).await {
            Some(Step::Issued { .. }) => break before,
            Some(Step::Pending { again, .. }) => play.wait(again).await,
            other => panic!("{other:?}"),
        }
    };
    let progress = play.engine().cancel(&order, &play.state, &before).await.unwrap();
    assert!(matches!(progress.step, Step::Issued { .. }), "{:?}", progress.step);
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_needs_a_person() {
    let (pebble, other) =
        (Pebble::start(PebbleOptions::default()).await, Pebble::start(PebbleOptions::default()).await);
    let play = Play::new(&input(&pebble, &[("ca_file", &other.ca_pem)])).await;
    let error = play.engine().activate(&play.state).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_their_name() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let play = Play::new(&input(&pebble, &[])).await;
    for (more, name) in [
        (&[("agree_to_terms", "false")][..], "agree_to_terms"),
        (&[("directory", "http://ca.example/dir")], "directory"),
        (&[("directory", "")], "directory"),
        (&[("ca_file", "no certificate")], "ca_file"),
        (&[("contacts", "ops@example.com")], "contacts"),
        (&[("challenge", "http-02")], "challenge"),
        (&[("challenge", "dns-01")], "dns_provider"),
        (&[("challenge", "dns-01"), ("dns_provider", "rfc2136")], "dns_server"),
        (&[("challenge", "dns-01"), ("dns_provider", "exec")], "dns_hook"),
        (&[("challenge", "dns-01"), ("dns_provider", "httpreq"), ("httpreq_url", "x")], "httpreq_url"),
        (&[("dns_provider", "exec")], "dns_provider"),
        (&[("eab_kid", "x")], "eab_hmac"),
        (&[("eab_hmac", "eA")], "eab_kid"),
        (&[("eab_kid", "x"), ("eab_hmac", "!!")], "eab_hmac"),
        (&[("max_orders", "0")], "max_orders"),
        (&[("colour", "blue")], "colour"),
    ] {
        let error = play.engine().configure(&input(&pebble, more), None).await.unwrap_err();
        assert!(format!("{error:?}").contains(&format!("options.{name}")), "{more:?}: {error:?}");
    }
    let mut secret = IssuerInput::default();
    secret.options.insert("tsig_secret".into(), "geheim".into());
    let error = play.engine().configure(&secret, None).await.unwrap_err();
    assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
}

#[tokio::test]
async fn http_01_that_this_server_does_not_answer_is_a_warning() {
    let engine = |http_01| {
        let tools = certmint::issuer::acme::Tools {
            clients: std::sync::Arc::new(certmint::outbound::ClientOptions::default()),
            hooks: Default::default(),
            clock: std::sync::Arc::new(certmint::clock::SystemClock),
            http_01,
            tls_alpn_01: false,
        };
        certmint::issuer::acme::Acme::new(certmint::issuer::acme::PRESETS[1], tools)
    };
    let warnings = async |http_01, more: &[(&str, &str)]| {
        let options = [("agree_to_terms", "true")].iter().chain(more);
        let options = options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let engine = engine(http_01);
        let input = IssuerInput { options, ..IssuerInput::default() };
        engine.warnings(&engine.configure(&input, None).await.unwrap())
    };
    assert!(warnings(false, &[]).await[0].contains("http_listen in [acme]"));
    assert!(warnings(true, &[]).await.is_empty());
    assert!(warnings(false, &[("challenge", "dns-persist-01")]).await.is_empty());
}

#[tokio::test]
async fn every_option_of_the_schema_says_what_it_is_for() {
    for (preset, tls_alpn_01) in certmint::issuer::acme::PRESETS.iter().flat_map(|it| [(it, false), (it, true)]) {
        let pebble_free = certmint::outbound::ClientOptions::default();
        let tools = certmint::issuer::acme::Tools {
            clients: std::sync::Arc::new(pebble_free),
            hooks: Default::default(),
            clock: std::sync::Arc::new(certmint::clock::SystemClock),
            http_01: true,
            tls_alpn_01,
        };
        let schema = certmint::issuer::acme::Acme::new(*preset, tools).schema();
        assert_eq!(schema.provider, preset.provider);
        assert!(schema.options.iter().all(|option| option.help.ends_with('.')));
        let challenge = &schema.options.iter().find(|option| option.name == "challenge").unwrap().kind;
        let OptionKind::Choice(methods) = challenge else { panic!("{challenge:?}") };
        assert_eq!(methods.contains(&"tls-alpn-01"), tls_alpn_01, "only what the server answers is offered");
        let secrets: Vec<&str> = schema
            .options
            .iter()
            .filter(|option| option.kind == OptionKind::Secret)
            .map(|option| option.name)
            .collect();
        assert_eq!(secrets, ["eab_hmac", "tsig_secret", "httpreq_password", "acmedns_accounts"]);
    }
}
