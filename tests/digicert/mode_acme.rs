//! `mode=acme`: DigiCert's external account, and pebble in the place of DigiCert's ACME service.

use crate::mock::Mock;
use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Play, input, order};
use certmint::issuer::provider::{IssuerInput, Provider};
use serde_json::json;

const MAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

fn acme(mock: &Mock, pebble: &Pebble, more: &[(&str, &str)]) -> IssuerInput {
    let roots = format!("{}\n{}", mock.ca_pem, pebble.ca_pem);
    let own = [("mode", "acme"), ("ca_file", roots.as_str())];
    input(mock, &own.iter().chain(more).copied().collect::<Vec<_>>())
}

#[tokio::test]
async fn an_account_is_made_once_and_orders_go_over_acme() {
    let mock = Mock::start().await;
    let binding = Some(("kid-1".to_owned(), MAC_KEY.to_owned()));
    let pebble = Pebble::start(PebbleOptions { binding, ..PebbleOptions::default() }).await;
    let made = json!({"ext_act_kid": "kid-1", "ext_act_hmac": MAC_KEY, "acme_directory_url": pebble.directory});
    mock.account().external = Some(made);
    let given = acme(&mock, &pebble, &[]);
    let mut play = Play::new(&given).await;
    while let Some(state) = play.provider().activate(&play.state).await.unwrap() {
        play.state = state;
    }
    play.forget();
    assert_eq!(mock.count("POST /key/acme-eab/tlm"), 1);
    // The engine answers http-01 itself; here it is enough that pebble takes the order.
    let order = order(&["www.example.com"]);
    play.until(&order, |play| !play.served.is_empty()).await;
    assert_eq!(mock.placed(), 0, "no order over the API");
    // Set again with the same members the account stays.
    play.state = play.provider().configure(&given, Some(&play.state)).await.unwrap();
    play.step(&order).await;
    assert_eq!(mock.count("POST /key/acme-eab/tlm"), 1);
    assert!(!format!("{:?} {:?}", play.state, play.details).contains(MAC_KEY));
}

#[tokio::test]
async fn an_account_is_for_one_product() {
    let mock = Mock::start().await;
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let two = [("product.OV-SSL", "ssl_basic"), ("product.EV-SSL", "ssl_ev_basic")];
    let play = Play::new(&input(&mock, &[])).await;
    let refusal = play.provider().configure(&acme(&mock, &pebble, &two), None).await.unwrap_err();
    assert!(refusal.message.contains("one product"), "{refusal:?}");
    let wrong = acme(&mock, &pebble, &[("challenge", "carrier-pigeon")]);
    let refusal = play.provider().configure(&wrong, None).await.unwrap_err();
    assert!(refusal.message.contains("challenge"), "{refusal:?}");
}

#[tokio::test]
async fn an_account_that_is_refused_is_the_operators_matter() {
    let mock = Mock::start().await;
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let mut play = Play::new(&acme(&mock, &pebble, &[])).await;
    play.step(&order(&["www.example.com"])).await;
    assert!(play.said("misconfigured: DigiCert answered 403: ACME is not enabled"), "{:?}", play.details);
}
