//! Orders: what is sent, what each status and error means, cancellations, crashes and lost answers.

use crate::mock::{Mock, PASSWORD, text};
use crate::play::{Play, input, order};
use certmint::domain::RequestId;
use certmint::domain::issuer::Organization;
use certmint::issuer::provider::{Health, IssuerInput, Order, Provider};
use certmint::issuer::{FailureClass, Step};
use certmint::keys::chain::check_issued;
use certmint::keys::random_id;
use std::sync::atomic::Ordering;

async fn issued(play: &mut Play, order: &Order) {
    let Step::Issued { chain } = play.run(order).await else { panic!("{:?}", play.details) };
    let now = certmint::clock::Clock::now(&certmint::clock::SystemClock);
    assert_eq!(check_issued(&chain, &order.csr, &order.policy, now).unwrap().rest.len(), 2);
}

#[tokio::test]
async fn an_order_says_what_key_vault_and_the_options_say() {
    let mut play = Play::new(&[]).await;
    let request_id = RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap();
    issued(&mut play, &Order { request_id, ..order("www.deep.example.com") }).await;
    let sent = play.mock.orders.lock().unwrap()[0].request.clone();
    for (name, value) in [
        ("UserName", "PAR12345_ops"),
        ("Password", PASSWORD),
        ("ProductCode", "PV_SHA2"),
        ("OrderKind", "new"),
        ("Months", "6"),
        ("MSSLProfileID", "P1"),
        ("MSSLDomainID", "D2"),
        ("FirstName", "Jane"),
        ("SubID", "a76827a18b63421c917da80f28e9913d"),
        ("Email", "jane@example.com"),
    ] {
        assert_eq!(text(&sent, name).as_deref(), Some(value), "{name}");
    }
    assert!(!sent.contains("SANEntry"), "the common name is no further name");
}

#[tokio::test]
async fn an_order_that_waits_is_completed_and_tells_what_it_waits_for() {
    for (status, said) in [("1", "is working"), ("2", "is working"), ("8", "Approve order"), ("77", "\"77\"")] {
        let mut play = Play::new(&[]).await;
        play.mock.faults(|faults| faults.first_status = Some(status));
        let order = order("www.example.com");
        assert!(play.until(&order, said).await.is_none());
        assert!(play.said("12 months of validity; 6 were ordered"), "{:?}", play.details);
        play.mock.set_status("4");
        issued(&mut play, &order).await;
        assert_eq!(play.mock.placed(), 1);
    }
}

#[tokio::test]
async fn an_end_at_globalsign_is_told_by_whose_fault_it_was() {
    for (status, class) in [
        ("3", FailureClass::RequestRejected),
        ("5", FailureClass::RequestRejected),
        ("10", FailureClass::RequestRejected),
        ("7", FailureClass::IssuerError),
        ("9", FailureClass::IssuerError),
    ] {
        let mut play = Play::new(&[]).await;
        play.mock.faults(|faults| faults.first_status = Some(status));
        let Step::Failed { class: found, .. } = play.run(&order("www.example.com")).await else { panic!("{status}") };
        assert_eq!(found, class, "{status}");
    }
}

#[tokio::test]
async fn errors_of_the_request_end_it_and_those_of_the_account_do_not() {
    let mut play = Play::new(&[]).await;
    play.mock.faults(|faults| faults.refuse = Some((-6007, "CSR", "The key was used before")));
    let Step::Failed { class, message } = play.run(&order("www.example.com")).await else { panic!() };
    assert_eq!(class, FailureClass::RequestRejected);
    assert!(message.contains("-6007") && message.contains("used before"), "{message}");
    let mut play = Play::new(&[]).await;
    play.mock.faults(|faults| faults.refuse = Some((-6101, "", "No balance")));
    let order = order("www.example.com");
    play.until(&order, "misconfigured").await;
    play.mock.faults(|faults| (faults.refuse, faults.down) = (None, 2));
    issued(&mut play, &order).await;
    assert!(play.said("Internal error"), "{:?}", play.details);
}

#[tokio::test]
async fn a_name_without_a_domain_that_may_be_ordered_for_is_told() {
    for name in ["www.other.test", "www.refused.example.test"] {
        let mut play = Play::new(&[]).await;
        play.until(&order(name), "no usable domain").await;
        assert_eq!(play.mock.placed(), 0);
    }
}

#[tokio::test]
async fn a_wrong_password_is_never_shown() {
    let secret = "another<password>";
    let mock = Mock::start().await;
    let wrong = IssuerInput { password: Some(secret.to_owned().into()), ..input(&mock, &[]) };
    let mut play = Play::with(mock, &wrong).await;
    play.until(&order("www.example.com"), "misconfigured").await;
    assert!(play.said("[password]") && !play.said(secret), "{:?}", play.details);
    let Health::Bad(text) = play.provider.check(&play.state).await else { panic!() };
    assert!(!text.contains(secret), "{text}");
    let play = Play::new(&[]).await;
    assert!(matches!(play.provider.check(&play.state).await, Health::Good(_)));
}

#[tokio::test]
async fn a_cancellation_is_granted_refused_or_too_late() {
    let order = order("www.example.com");
    let mut play = Play::new(&[]).await;
    play.mock.faults(|faults| faults.first_status = Some("2"));
    play.until(&order, "is working").await;
    play.cancelling = true;
    play.mock.faults(|faults| faults.refuse_cancel = true);
    play.until(&order, "did not grant the cancellation").await;
    play.mock.faults(|faults| faults.refuse_cancel = false);
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert_eq!(play.mock.orders.lock().unwrap()[0].status, "5");

    let mut play = Play::new(&[]).await;
    play.until(&order, "has the order").await;
    play.cancelling = true;
    issued(&mut play, &order).await;
    let mut play = Play::new(&[]).await;
    play.cancelling = true;
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert_eq!(play.mock.requests.load(Ordering::SeqCst), 0, "nothing was ordered");
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_anywhere_makes_no_second_order() {
    let mut play = Play::new(&[]).await;
    issued(&mut play, &order("www.example.com")).await;
    let (requests, steps) = (play.mock.requests.load(Ordering::SeqCst), play.steps);
    assert!(requests >= 4 && steps >= 3, "{requests} {steps}");
    for at in 1..=requests {
        for cut in [true, false] {
            let mut play = Play::new(&[]).await;
            let count = if cut { &play.mock.cut_after } else { &play.mock.lose };
            count.store(at, Ordering::SeqCst);
            issued(&mut play, &order("www.example.com")).await;
            assert_eq!(play.mock.placed(), 1, "request {at}, cut {cut}");
        }
    }
    for lost in 0..steps {
        let mut play = Play::new(&[]).await;
        play.lose = Some(lost);
        issued(&mut play, &order("www.example.com")).await;
        assert_eq!(play.mock.placed(), 1, "step {lost}");
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_though_the_list_lags() {
    let order = order("www.example.com");
    for cancelling in [false, true] {
        let mut play = Play::new(&[]).await;
        play.mock.faults(|faults| faults.first_status = Some("2"));
        // Orders of the name before and now, domains, order.
        play.mock.lose.store(4, Ordering::SeqCst);
        play.until(&order, "It is not known whether GlobalSign took the order").await;
        if cancelling {
            play.mock.faults(|faults| faults.lag = 1);
        }
        play.cancelling = cancelling;
        play.until(&order, "has the order").await;
        assert_eq!(play.mock.placed(), 1);
    }
}

/// A caller's own CSR that comes again; the same RSA key and policy give the same one, too.
fn again(order: &Order) -> Order {
    Order { request_id: RequestId::from_uuid(random_id()), ..order.clone() }
}

#[tokio::test]
async fn an_order_with_a_csr_that_was_used_before_is_not_taken_for_the_one_before() {
    for no_reference in [false, true] {
        for no_name_list in [false, true] {
            let mut play = Play::new(&[]).await;
            play.mock.faults(|faults| (faults.no_reference, faults.no_name_list) = (no_reference, no_name_list));
            let first = again(&order("www.example.com"));
            issued(&mut play, &first).await;
            let second = again(&first);
            play.again();
            // The answer to its order is lost: it is looked for among orders with the same CSR.
            play.mock.faults(|faults| faults.first_status = Some("2"));
            let sent = play.mock.count("PVOrder");
            play.until(&second, "has the order").await;
            assert_eq!(play.mock.count("PVOrder"), sent + 1, "{no_reference} {no_name_list}");
            assert!(play.said("CE00000002"), "{:?}", play.details);
            assert_eq!(play.mock.placed(), 2);
        }
    }
}

#[tokio::test]
async fn a_lost_order_with_a_used_csr_is_found_and_not_the_one_before() {
    for no_reference in [false, true] {
        let mut play = Play::new(&[]).await;
        play.mock.faults(|faults| faults.no_reference = no_reference);
        let first = again(&order("www.example.com"));
        issued(&mut play, &first).await;
        play.again();
        let second = again(&first);
        play.mock.faults(|faults| faults.first_status = Some("2"));
        // Whatever the step calls before it, the order is the last call.
        play.step(&second).await;
        let (before, asked) = (play.mock.requests.load(Ordering::SeqCst), if no_reference { 2 } else { 1 });
        play.mock.lose.store(before + asked + 2, Ordering::SeqCst);
        play.until(&second, "It is not known whether GlobalSign took the order").await;
        play.until(&second, "has the order CE00000002").await;
        assert_eq!(play.mock.placed(), 2);
    }
}

#[tokio::test]
async fn only_the_orders_of_the_name_are_listed() {
    let mut play = Play::new(&[]).await;
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        play.again();
        issued(&mut play, &order(name)).await;
    }
    assert_eq!((play.mock.count("GetCertificateOrders"), play.mock.count("GetOrderByDateRange")), (6, 0));
    // Where the account has no such list, the one of the day does.
    play.mock.faults(|faults| faults.no_name_list = true);
    play.again();
    issued(&mut play, &order("d.example.com")).await;
    assert_eq!(play.mock.count("GetOrderByDateRange"), 2);
    assert_eq!(play.mock.placed(), 4);
}

#[tokio::test]
async fn a_step_that_asked_nobody_says_so() {
    let play = Play::new(&[]).await;
    let order = order("www.example.com");
    let nothing = certmint::issuer::Checkpoint::default();
    assert!(!play.provider.cancel(&order, &play.state, &nothing).await.unwrap().asked);
    assert_eq!(play.mock.requests.load(Ordering::SeqCst), 0);
    assert!(play.provider.advance(&order, &play.state, &nothing).await.unwrap().asked);
}

#[tokio::test]
async fn members_and_options_that_cannot_work_are_refused_by_their_name() {
    let play = Play::new(&[]).await;
    let no_contact = IssuerInput { organization: Some(Organization::default()), ..input(&play.mock, &[]) };
    let no_user = IssuerInput { account_id: None, ..input(&play.mock, &[]) };
    let no_password = IssuerInput { password: None, ..input(&play.mock, &[]) };
    for (wrong, name) in [
        (no_contact, "admin_details"),
        (no_user, "account_id"),
        (no_password, "credentials.pwd"),
        (input(&play.mock, &[("base_url", "http://x")]), "base_url"),
        (input(&play.mock, &[("product.OV-SSL", "a b")]), "product.OV-SSL"),
        (input(&play.mock, &[("max_validity_months", "0")]), "max_validity_months"),
    ] {
        let refusal = play.provider.configure(&wrong, None).await.unwrap_err();
        assert!(refusal.message.contains(name) && !refusal.message.contains(PASSWORD), "{refusal:?}");
    }
}
