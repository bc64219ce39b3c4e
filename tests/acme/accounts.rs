//! The account at the CA: external accounts, contacts, a new key, the end.

use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Play, input, order};
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::issuer::IssuerError;
use certmint::issuer::acme::{Acme, PRESETS, Tools};
use certmint::issuer::provider::{AccountCommand, Health, IssuerInput, Provider};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const KID: &str = "kid-1";
const MAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

async fn bound() -> Pebble {
    Pebble::start(PebbleOptions { binding: Some((KID.into(), MAC_KEY.into())), ..Default::default() }).await
}

#[tokio::test]
async fn an_external_account_is_bound_even_if_the_answer_of_the_ca_is_lost() {
    let pebble = bound().await;
    let mut play = Play::new(&input(&pebble, &[("eab_kid", KID), ("eab_hmac", MAC_KEY)])).await;
    play.serve_http01(&pebble).await;
    let key = play.state.clone();
    // Directory, nonce, newAccount: the power is cut after the account was made.
    play.wire.cut_after.store(3, Ordering::SeqCst);
    let order = order(&["www.example.com"]);
    assert_eq!(play.step(&order).await, None);
    assert_eq!(play.state, key, "nothing was committed");
    play.issue(&order).await;
    let made = play.wire.bodies.lock().unwrap().clone();
    let made: Vec<u16> =
        made.iter().filter(|(url, _)| url.ends_with("/sign-me-up")).map(|(_, status)| *status).collect();
    assert_eq!(made, [201, 200], "the same account was found again");
}

#[tokio::test]
async fn a_missing_external_account_is_reported_before_any_order() {
    let pebble = bound().await;
    let play = Play::new(&input(&pebble, &[])).await;
    let error = play.engine().activate(&play.state).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }) && error.to_string().contains("eab_kid"), "{error}");
}

#[tokio::test]
async fn a_wrong_external_account_is_the_operators_fault() {
    let pebble = bound().await;
    let play = Play::new(&input(&pebble, &[("eab_kid", "other"), ("eab_hmac", MAC_KEY)])).await;
    let error = play.engine().activate(&play.state).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error}");
    assert!(!error.to_string().contains(MAC_KEY));
}

#[tokio::test]
async fn the_account_is_made_once_and_follows_its_contacts() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[("contacts", "mailto:a@example.com")])).await;
    play.state = play.engine().activate(&play.state).await.unwrap().unwrap();
    assert_eq!(play.engine().activate(&play.state).await.unwrap(), None);
    let changed = input(&pebble, &[("contacts", "mailto:b@example.com")]);
    play.state = play.engine().configure(&changed, Some(&play.state)).await.unwrap();
    play.state = play.engine().activate(&play.state).await.unwrap().unwrap();
    assert_eq!(play.engine().activate(&play.state).await.unwrap(), None);
}

#[tokio::test]
async fn the_key_is_changed_and_the_account_stays() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    play.state = play.engine().activate(&play.state).await.unwrap().unwrap();
    let Health::Good(before) = play.engine().check(&play.state).await else { panic!() };
    play.state = play.engine().command(AccountCommand::RollKey, &play.state).await.unwrap();
    let prepared = play.state.clone();
    play.state = play.engine().command(AccountCommand::RollKey, &prepared).await.unwrap();
    // A crash before the commit repeats the second call.
    play.state = play.engine().command(AccountCommand::RollKey, &prepared).await.unwrap();
    assert_eq!(play.engine().check(&play.state).await, Health::Good(before.clone()));
    // As the service does it: preparing twice prepares one key.
    play.state = play.engine().command(AccountCommand::PrepareKey, &play.state).await.unwrap();
    assert_eq!(play.engine().command(AccountCommand::PrepareKey, &play.state).await.unwrap(), play.state);
    play.state = play.engine().command(AccountCommand::RollKey, &play.state).await.unwrap();
    assert_eq!(play.engine().check(&play.state).await, Health::Good(before));
    play.issue(&order(&["www.example.com"])).await;
}

#[tokio::test]
async fn a_deactivated_account_is_the_operators_fault() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.state = play.engine().activate(&play.state).await.unwrap().unwrap();
    play.state = play.engine().command(AccountCommand::Deactivate, &play.state).await.unwrap();
    assert!(matches!(play.engine().check(&play.state).await, Health::Bad(_)));
    let error = play.engine().advance(&order(&["a.example.com"]), &play.state, &play.checkpoint).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn an_account_that_was_never_registered_has_no_end() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let play = Play::new(&input(&pebble, &[])).await;
    let error = play.engine().command(AccountCommand::Deactivate, &play.state).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }) && error.to_string().contains("no account"), "{error}");
    assert_eq!(play.requests(), 0, "the CA is not asked");
}

#[tokio::test]
async fn a_ca_that_wants_an_external_account_is_told_before_the_first_order() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(SystemClock.now()));
    for preset in PRESETS {
        let clients = Arc::new(Pebble::client_options());
        let hooks = Arc::new(BTreeMap::new());
        let tools = Tools { clients, hooks, clock: clock.clone(), http_01: true, tls_alpn_01: true };
        let engine = Acme::new(*preset, tools);
        let mut input = IssuerInput::default();
        let options = [("directory", "https://ca.example/dir"), ("agree_to_terms", "true")];
        input.options.extend(options.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let warnings = engine.warnings(&engine.configure(&input, None).await.unwrap());
        let wanted = preset.summary.contains("needs eab_kid");
        assert_eq!(warnings.iter().any(|text| text.contains("eab_kid")), wanted, "{}: {warnings:?}", preset.provider);
        input.options.insert("eab_kid".into(), "kid".into());
        input.secrets.insert("eab_hmac".into(), "c2VjcmV0".to_owned().into());
        assert!(engine.warnings(&engine.configure(&input, None).await.unwrap()).is_empty());
    }
}
