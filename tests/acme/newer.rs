//! What newer CAs offer, against a newer pebble than Debian's: profiles, renewal information (RFC 9773), and lasting
//! records (dns-persist-01).

use crate::peers::{CA_NAME, Pebble, PebbleOptions, newer_pebble};
use crate::play::{Play, input, order, order_for};
use certmint::clock::{Clock, SystemClock};
use certmint::domain::PolicyInput;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::issuer::provider::{ActionKind, Order, Provider};
use certmint::issuer::{IssuerError, Step};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

async fn start(more: &[(&str, &str)]) -> Option<(Pebble, Play)> {
    let program = Some(newer_pebble()?);
    let pebble = Pebble::start(PebbleOptions { program, nonce_rejects: 5, ..Default::default() }).await;
    let play = Play::new(&input(&pebble, more)).await;
    play.serve_http01(&pebble).await;
    Some((pebble, play))
}

fn days(chain: &[Vec<u8>]) -> i64 {
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    let validity = leaf.validity();
    (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400
}

#[tokio::test]
async fn a_profile_is_that_of_the_policy_of_the_issuer_or_the_usual_one() {
    let Some((pebble, mut play)) = start(&[]).await else { return };
    // Without a wish pebble takes one at random; the usual one is asked for.
    for number in 0..3 {
        play.checkpoint = Default::default();
        assert_eq!(days(&play.issue(&order(&[&format!("a{number}.example.com")])).await), 89);
    }
    let records = play.records.clone();
    let mut play = Play::new(&input(&pebble, &[("profile", "shortlived")])).await;
    play.records = records.clone();
    assert_eq!(days(&play.issue(&order(&["b.example.com"])).await), 5);
    let mut play = Play::new(&input(&pebble, &[("profiles.Short", "shortlived")])).await;
    play.records = records;
    let mut short = order(&["c.example.com"]);
    short.policy.issuer.certificate_type = Some("SHORT".into());
    assert_eq!(days(&play.issue(&short).await), 5);
}

#[tokio::test]
async fn a_profile_that_the_ca_does_not_have_is_told_with_those_that_it_has() {
    let Some((_pebble, mut play)) = start(&[("profile", "gold")]).await else { return };
    let order = order(&["a.example.com"]);
    play.step(&order).await;
    let error = play.engine().advance(&order, &play.state, &play.checkpoint).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error}");
    assert!(error.to_string().contains("gold") && error.to_string().contains("classic, shortlived"), "{error}");
}

#[tokio::test]
async fn the_ca_says_when_it_wants_a_certificate_renewed() {
    let Some((_pebble, mut play)) = start(&[]).await else { return };
    let chain = play.issue(&order(&["a.example.com"])).await;
    let window = play.engine().renewal(&chain[0], &play.state).await.unwrap().unwrap();
    let now = SystemClock.now();
    assert!(now < window.start && window.start < window.end, "{window:?}");
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    assert!(window.end.seconds() < leaf.validity().not_after.timestamp(), "{window:?}");
    assert!(window.ask_again >= Duration::from_secs(60), "{window:?}");
    // Of somebody else.
    let other = rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
    assert_eq!(play.engine().renewal(other.cert.der(), &play.state).await.unwrap(), None);
}

#[tokio::test]
async fn a_renewal_names_the_certificate_that_it_replaces_and_the_ca_may_refuse_that() {
    let Some((_pebble, mut play)) = start(&[]).await else { return };
    let first = order(&["a.example.com"]);
    let chain = play.issue(&first).await;
    assert!(play.engine().wants_replaced(), "the server gives it what is replaced");
    let next = || Order { replaces: Some(chain[0].clone()), ..order(&["a.example.com"]) };
    play.checkpoint = Default::default();
    let before = play.orders();
    play.issue(&next()).await;
    assert_eq!(play.orders() - before, 1);
    // It was replaced once: the second time it is ordered without.
    play.checkpoint = Default::default();
    let before = play.wire.bodies.lock().unwrap().len();
    play.issue(&next()).await;
    let refused = |(url, status): &(String, u16)| url.ends_with("/order-plz") && *status == 409;
    assert_eq!(play.wire.bodies.lock().unwrap()[before..].iter().filter(|answer| refused(answer)).count(), 1);
    assert_eq!(play.orders(), 3);
}

#[tokio::test]
async fn an_address_is_proved_over_http() {
    let Some((_pebble, mut play)) = start(&[("profile", "shortlived")]).await else { return };
    let sans = SubjectAlternativeNames { ip_addresses: vec!["127.0.0.1".into()], ..Default::default() };
    let policy = PolicyInput { subject: Some(String::new()), sans: Some(sans), ..PolicyInput::default() };
    let chain = play.issue(&order_for(policy)).await;
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(format!("{names:?}"), "[IPAddress([127, 0, 0, 1])]");
}

/// The record that somebody publishes, as pebble's own DNS server takes it.
async fn publish(pebble: &Pebble, command: &str, name: &str, value: &str) {
    let body = serde_json::json!({"host": format!("{name}."), "value": value}).to_string();
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sf", &format!("{}/{command}", pebble.management_url()), "-d", &body]);
    assert!(curl.status().await.unwrap().success());
}

async fn lasting() -> Option<(Pebble, Play)> {
    let program = Some(newer_pebble()?);
    let pebble = Pebble::start(PebbleOptions { program, ..Default::default() }).await;
    let play = lasting_play(&pebble).await;
    Some((pebble, play))
}

async fn lasting_play(pebble: &Pebble) -> Play {
    let dns = format!("127.0.0.1:{}", pebble.dns_port);
    let options = [("challenge", "dns-persist-01"), ("dns_resolvers", dns.as_str()), ("dns_check_servers", &dns)];
    Play::new(&input(pebble, &options)).await
}

/// Steps until the record is asked for; what it has to say.
async fn wanted(play: &mut Play, order: &Order) -> (String, String) {
    for _ in 0..20 {
        match play.step(order).await {
            Some(Step::Pending { again, .. }) => play.wait(again).await,
            other => panic!("{other:?} {:?}", play.details),
        }
        if let [action, ..] = play.actions.as_slice() {
            assert_eq!(action.kind, ActionKind::DnsTxt);
            return (action.name.clone(), action.value.clone());
        }
    }
    panic!("{:?}", play.details);
}

#[tokio::test]
async fn a_lasting_record_is_shown_checked_and_holds_for_every_renewal() {
    let Some((pebble, mut play)) = lasting().await else { return };
    let order_of = || order(&["a.example.com"]);
    let first = order_of();
    let (name, value) = wanted(&mut play, &first).await;
    assert_eq!(name, "_validation-persist.a.example.com");
    assert!(value.starts_with(&format!("{CA_NAME}; accounturi=https://")) && !value.contains("policy"), "{value}");
    // The CA is not asked before the record is there, so that no validation fails.
    let asked =
        |play: &Play| play.wire.bodies.lock().unwrap().iter().filter(|(url, _)| url.contains("/chalZ/")).count();
    assert_eq!(asked(&play), 0);
    assert!(play.details.last().unwrap().contains("Publish the TXT record"), "{:?}", play.details);
    publish(&pebble, "set-txt", &name, &value).await;
    play.issue(&first).await;
    assert!(play.actions.is_empty());
    for _ in 0..2 {
        play.checkpoint = Default::default();
        play.actions.clear();
        play.issue(&order_of()).await;
    }
    assert_eq!(play.orders(), 3, "no order failed");
}

#[tokio::test]
async fn a_lasting_record_has_to_be_of_this_account_allow_wildcards_and_not_be_over() {
    let Some((pebble, mut play)) = lasting().await else { return };
    let wildcard = order(&["*.example.com"]);
    let (name, value) = wanted(&mut play, &wildcard).await;
    assert!(name == "_validation-persist.example.com" && value.ends_with("; policy=wildcard"), "{name} {value}");
    let account = value.split("accounturi=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    for (record, reason) in [
        (format!("{CA_NAME}; accounturi={account}x; policy=wildcard"), "another account"),
        (format!("{CA_NAME}; accounturi={account}"), "policy=wildcard"),
        (format!("{value}; persistUntil=1000000000"), "has expired"),
    ] {
        publish(&pebble, "set-txt", &name, &record).await;
        play.clock.advance(Duration::from_secs(3600));
        for _ in 0..3 {
            if let Some(Step::Pending { again, .. }) = play.step(&wildcard).await {
                play.wait(again).await;
            }
        }
        assert!(play.details.last().unwrap().contains(reason), "{record}: {:?}", play.details.last());
        publish(&pebble, "clear-txt", &name, "").await;
    }
    publish(&pebble, "set-txt", &name, &value).await;
    play.issue(&wildcard).await;
    // Another account finds that it is not named.
    let mut other = lasting_play(&pebble).await;
    let (_, wants) = wanted(&mut other, &order(&["*.example.com"])).await;
    assert_ne!(wants, value);
    assert_eq!(play.orders(), 1, "nothing was burnt");
}
