//! Certificates by http-01: the usual case, and failures of the CA.

use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Play, input, order};
use certmint::clock::SystemClock;
use certmint::issuer::provider::{Health, Provider};
use certmint::issuer::{Checkpoint, Step};
use certmint::outbound::Request;
use certmint::{clock::Clock, domain::PolicyInput};
use std::time::Duration;

async fn start(options: PebbleOptions, more: &[(&str, &str)]) -> (Pebble, Play) {
    let pebble = Pebble::start(options).await;
    let play = Play::new(&input(&pebble, more)).await;
    play.serve_http01(&pebble).await;
    (pebble, play)
}

#[tokio::test]
async fn two_names_are_proved_and_the_certificate_has_the_key_of_the_request() {
    let (_pebble, mut play) = start(PebbleOptions::default(), &[("contacts", "mailto:ops@example.com")]).await;
    let chain = play.issue(&order(&["www.example.com", "example.com"])).await;
    assert_eq!(chain.len(), 2);
    assert_eq!(play.orders(), 1);
    let health = play.engine().check(&play.state).await;
    assert!(matches!(&health, Health::Good(text) if text.contains("/my-account/")), "{health:?}");
}

#[tokio::test]
async fn a_common_name_that_is_a_host_name_is_ordered_too() {
    let (_pebble, mut play) = start(PebbleOptions::default(), &[]).await;
    let sans = certmint::domain::san::SubjectAlternativeNames {
        dns_names: vec!["WWW.example.com".into()],
        ..Default::default()
    };
    let policy = PolicyInput { subject: Some("CN=www.example.com".into()), sans: Some(sans), ..Default::default() };
    play.issue(&crate::play::order_for(policy)).await;
}

/// Debian's pebble 2.4 now and then stops answering for ever: it lets locks wait for each other where one order is made
/// while names of others are validated.
#[tokio::test]
async fn one_account_serves_many_orders_at_once() {
    for _ in 0..3 {
        let (_pebble, mut play) = start(PebbleOptions { nonce_rejects: 5, ..Default::default() }, &[]).await;
        play.issue(&order(&["a0.example.com"])).await;
        let many = (1..=20).map(|number| issue(&play, format!("a{number}.example.com")));
        if tokio::time::timeout(Duration::from_secs(120), futures_util::future::join_all(many)).await.is_ok() {
            assert_eq!(play.orders(), 21);
            return;
        }
        play.forget();
        let alone = order(&["alone.example.com"]);
        let answers = tokio::time::timeout(Duration::from_secs(60), play.issue(&alone)).await;
        assert!(answers.is_err(), "pebble is well, and 20 orders at once did not end");
    }
    panic!("three times pebble stopped answering");
}

/// An order beside others, with what is common to them.
async fn issue(play: &Play, name: String) {
    let (order, mut at) = (order(&[&name]), Checkpoint::default());
    for _ in 0..200 {
        let Ok(progress) = play.engine().advance(&order, &play.state, &at).await else { continue };
        assert!(progress.state.is_none());
        play.records.map.lock().unwrap().extend(progress.publish.into_iter().map(|c| (c.key, c.key_authorization)));
        match progress.step {
            Step::Pending { checkpoint, again, .. } => {
                at = checkpoint;
                play.wait(again).await;
            }
            Step::Issued { .. } => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("{name} does not end");
}

#[tokio::test]
async fn refused_nonces_delay_and_never_fail_an_order() {
    for nonce_rejects in [5, 50] {
        let (_pebble, mut play) = start(PebbleOptions { nonce_rejects, ..Default::default() }, &[]).await;
        for name in ["a.example.com", "b.example.com", "c.example.com"] {
            play.checkpoint = Default::default();
            play.issue(&order(&[name])).await;
        }
        assert_eq!(play.orders(), 3, "{nonce_rejects} %");
    }
}

#[tokio::test]
async fn names_that_were_proved_before_are_not_proved_again() {
    let (_pebble, mut play) = start(PebbleOptions { authorization_reuse: 100, ..Default::default() }, &[]).await;
    let order = order(&["www.example.com"]);
    play.issue(&order).await;
    let first = play.requests();
    play.checkpoint = Default::default();
    play.records.down.store(true, std::sync::atomic::Ordering::SeqCst);
    play.issue(&order).await;
    assert!(play.requests() - first < first, "{} of {first}", play.requests() - first);
}

#[tokio::test]
async fn the_chain_of_the_preferred_issuer_is_chosen() {
    let (pebble, mut play) = start(PebbleOptions { alternate_roots: 2, ..Default::default() }, &[]).await;
    let order = order(&["www.example.com"]);
    let usual = play.issue(&order).await;
    let top = |chain: &[Vec<u8>]| {
        use x509_parser::prelude::{FromDer, X509Certificate};
        let (_, last) = X509Certificate::from_der(chain.last().unwrap()).unwrap();
        last.issuer().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
    };
    // Each chain of pebble ends at a root of its own name, of which the second one is asked for.
    let mut others = std::collections::BTreeSet::new();
    for root in 0..3 {
        let management = std::fs::read_to_string(pebble.folder.path().join("pebble.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&management).unwrap();
        let url = format!("https://{}/roots/{root}", config["pebble"]["managementListenAddress"].as_str().unwrap());
        let url = url.replace("127.0.0.1", "localhost");
        let options =
            certmint::outbound::ClientOptions { extra_roots: Some(pebble.ca_pem.clone()), ..Pebble::client_options() };
        let client = certmint::outbound::Client::new(options).unwrap();
        let answer = certmint::outbound::Exchange::exchange(&client, Request::get(url)).await.unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&answer.body).unwrap();
        let root = pem.parse_x509().unwrap().subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned();
        others.insert(root);
    }
    assert!(others.remove(&top(&usual)));
    let expected = others.pop_first().unwrap();
    let options = input(&pebble, &[("preferred_chain", &expected)]);
    play.state = play.engine().configure(&options, Some(&play.state)).await.unwrap();
    play.checkpoint = Default::default();
    assert_eq!(top(&play.issue(&order).await), expected);
}

#[tokio::test]
async fn a_ca_that_is_down_keeps_the_order_open() {
    let (mut pebble, mut play) = start(PebbleOptions::default(), &[]).await;
    pebble.stop();
    let order = order(&["www.example.com"]);
    for _ in 0..3 {
        assert_eq!(play.step(&order).await, None);
    }
    assert!(play.details.iter().all(|text| text.contains("No connection to localhost")), "{:?}", play.details);
    pebble.restart().await;
    play.issue(&order).await;
    assert!(play.clock.now() >= SystemClock.now().minus(std::time::Duration::from_secs(600)));
}

#[tokio::test]
async fn tls_alpn_01_is_answered_with_a_certificate_of_its_own() {
    use certmint::issuer::acme::{ACME_TLS_ALPN, certified_key};
    use certmint::issuer::provider::{ChallengeKey, ChallengeKind};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Answers(Arc<std::sync::Mutex<std::collections::HashMap<ChallengeKey, String>>>);
    impl rustls::server::ResolvesServerCert for Answers {
        fn resolve(&self, hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            let name = hello.server_name()?.to_owned();
            let key = ChallengeKey { kind: ChallengeKind::TlsAlpn01, name };
            let found = self.0.lock().unwrap().get(&key).cloned()?;
            Some(certified_key(&key.name, &found).unwrap())
        }
    }

    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[("challenge", "tls-alpn-01")])).await;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Answers(Arc::clone(&play.records.map))));
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", pebble.tls_port)).await.unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    play.issue(&order(&["alpn.example.com"])).await;
}
