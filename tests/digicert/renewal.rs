//! Renewals: within the term of the order before by reissue, else by an order that names it.

use crate::mock::Mock;
use crate::play::{Play, input, order, order_with_id};
use certmint::domain::PolicyInput;
use certmint::issuer::Step;
use certmint::issuer::provider::Order;
use std::sync::atomic::Ordering;

/// A certificate, and the order that replaces it.
async fn start(more: &[(&str, &str)]) -> (Mock, Play, Order) {
    let mock = Mock::start().await;
    let mut play = Play::new(&input(&mock, more)).await;
    let chain = play.issue(&order(&["www.example.com"])).await;
    play.again();
    (mock, play, renewal(&chain))
}

fn renewal(chain: &[Vec<u8>]) -> Order {
    let policy = PolicyInput { subject: Some("CN=www.example.com".into()), ..PolicyInput::default() };
    let next = order_with_id(policy, "c76827a18b63421c917da80f28e9913d");
    Order { replaces: Some(chain[0].clone()), ..next }
}

#[tokio::test]
async fn a_renewal_within_the_term_is_a_reissue() {
    let (mock, mut play, next) = start(&[]).await;
    play.issue(&next).await;
    let kept = mock.only_order();
    assert_eq!(kept.reissues.len(), 1);
    let body = &kept.reissues[0].body;
    assert_eq!(
        (&body["certificate"]["common_name"], &body["skip_approval"]),
        (&"www.example.com".into(), &true.into())
    );
}

#[tokio::test]
async fn a_reissue_that_waits_is_followed_by_its_own_line() {
    let (mock, mut play, next) = start(&[]).await;
    mock.faults(|faults| faults.first_status = Some("pending".into()));
    play.settle(&next).await;
    assert_eq!(mock.only_order().status, "reissue_pending");
    mock.set_status("issued");
    play.issue(&next).await;
    assert_eq!(mock.placed(), 2);
}

#[tokio::test]
async fn a_reissue_is_cancelled_and_the_order_stays() {
    let (mock, mut play, next) = start(&[]).await;
    mock.faults(|faults| faults.first_status = Some("pending".into()));
    play.settle(&next).await;
    play.cancelling = true;
    assert_eq!(play.run(&next).await, Step::Cancelled);
    assert_eq!(mock.only_order().status, "issued");
    assert_eq!(mock.only_order().reissues[0].status, "rejected");
}

#[tokio::test]
async fn a_term_that_ends_before_leads_to_an_order_that_names_the_one_before() {
    let (mock, mut play, next) = start(&[]).await;
    mock.account().orders.values_mut().for_each(|order| order.valid_till = "2020-01-01".into());
    play.issue(&next).await;
    let account = mock.account();
    let (first, second) = (account.orders.values().next().unwrap(), account.orders.values().nth(1).unwrap());
    assert_eq!(second.body["renewal_of_order_id"], first.id);
}

#[tokio::test]
async fn a_renewal_with_fewer_names_or_of_another_product_is_an_order() {
    for of_product in [false, true] {
        let (mock, mut play, next) = start(&[]).await;
        for order in mock.account().orders.values_mut() {
            if of_product {
                order.product = "ssl_ev_basic".into();
            } else {
                order.body["certificate"]["dns_names"] = serde_json::json!(["gone.example.com"]);
            }
        }
        play.issue(&next).await;
        assert_eq!(mock.account().orders.len(), 2);
    }
}

/// A caller's own CSR that comes again, or the same RSA key and policy: only the request id differs.
#[tokio::test]
async fn a_reissue_with_a_csr_that_was_used_before_is_not_taken_for_the_one_before() {
    let (mock, mut play, next) = start(&[]).await;
    play.issue(&next).await;
    assert_eq!(mock.only_order().reissues.len(), 1);
    play.again();
    let request_id = certmint::domain::RequestId::parse("d76827a18b63421c917da80f28e9913d").unwrap();
    let last = Order { request_id, ..next };
    mock.faults(|faults| faults.no_chain = true);
    play.issue(&last).await;
    let reissues = mock.only_order().reissues;
    assert_eq!(reissues.len(), 2);
    let taken = format!("GET /certificate/{}/download", reissues[1].certificate);
    assert_eq!(mock.count(&taken), 1, "{:?}", mock.account().calls);
}

#[tokio::test]
async fn reissues_can_be_switched_off() {
    let (mock, mut play, next) = start(&[("reissue", "false")]).await;
    play.issue(&next).await;
    assert_eq!(mock.account().orders.len(), 2);
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_no_order_before() {
    let (mock, mut play, next) = start(&[]).await;
    mock.account().orders.clear();
    play.issue(&next).await;
    assert!(mock.only_order().body.get("renewal_of_order_id").is_none());
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_makes_no_second_reissue() {
    let (_mock, mut play, next) = start(&[]).await;
    let before = play.requests();
    play.issue(&next).await;
    let requests = play.requests() - before;
    assert!(requests >= 3, "{requests}");
    for at in 1..=requests {
        for cut in [true, false] {
            let (mock, mut play, next) = start(&[]).await;
            mock.faults(|faults| faults.no_chain = true);
            let count = if cut { &play.wire.cut_after } else { &play.wire.lose };
            count.store(play.requests() + at, Ordering::SeqCst);
            play.issue(&next).await;
            assert_eq!(mock.placed(), 2, "request {at}, cut {cut}: {:?}", mock.account().calls);
        }
    }
}
