//! Orders: what is sent, what each status means, and what becomes of faults.

use crate::mock::{KEY, Mock};
use crate::play::{Play, input, order, order_for};
use certmint::domain::PolicyInput;
use certmint::domain::issuer::Organization;
use certmint::issuer::provider::{ActionKind, Health, IssuerInput, Provider};
use certmint::issuer::{FailureClass, Step};
use serde_json::json;

fn policy(cty: &str) -> PolicyInput {
    PolicyInput {
        subject: Some("CN=MyCertSubject1".into()),
        certificate_type: Some(cty.into()),
        ..PolicyInput::default()
    }
}

async fn failed(play: &mut Play) -> (FailureClass, String) {
    match play.run(&order(&["www.example.com"])).await {
        Step::Failed { class, message } => (class, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_order_says_what_key_vault_and_the_options_say() {
    let mock = Mock::start().await;
    let options = [
        ("product.OV-SSL", "ssl_basic"),
        ("container", "334455"),
        ("ca_cert_id", "A937018B9FAF6CC2"),
        ("signature_hash", "sha384"),
        ("payment_method", "profile"),
        ("skip_approval", "false"),
        ("dcv_method", "email"),
    ];
    let mut play = Play::new(&input(&mock, &options)).await;
    let order = order_for(PolicyInput {
        certificate_transparency: Some(false),
        sans: order(&["www.example.com", "api.example.com"]).policy.x509.sans,
        subject: Some("CN=www.example.com".into()),
        certificate_type: Some("ov-ssl".into()),
        ..PolicyInput::default()
    });
    play.issue(&order).await;
    let sent = mock.only_order().body;
    let csr = sent["certificate"]["csr"].as_str().unwrap();
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{csr}");
    let mut expected = json!({
        "certificate": {"common_name": "www.example.com", "dns_names": ["api.example.com"],
            "signature_hash": "sha384", "server_platform": {"id": -1}, "cert_validity": {"days": 199},
            "ca_cert_id": "A937018B9FAF6CC2"},
        "organization": {"id": 123_456}, "order_validity": {"years": 1}, "skip_approval": false,
        "payment_method": "profile", "dcv_method": "email", "disable_renewal_notifications": true,
        "disable_ct": 1, "container": {"id": 334_455}, "comments": "certmint: default/mycert1",
        "alternative_order_id": "a76827a18b63421c917da80f28e9913d",
    });
    expected["certificate"]["csr"] = csr.into();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn the_certificate_type_chooses_the_product() {
    let mock = Mock::start().await;
    let private = [("product.Private", "private_ssl_plus"), ("max_validity_days", "1095"), ("order_years", "3")];
    let mut play = Play::new(&input(&mock, &private)).await;
    for (cty, product) in
        [("EV-SSL", "ssl_ev_basic"), ("dv-ssl", "ssl_dv_geotrust_flex"), ("PRIVATE", "private_ssl_plus")]
    {
        play.again();
        let order = crate::play::order_with_id(policy(cty), &format!("{:032x}", product.len()));
        play.issue(&order).await;
        assert!(mock.account().orders.values().any(|order| order.product == product), "{product}");
    }
    let account = mock.account();
    let of = |product: &str| account.orders.values().find(|order| order.product == product).unwrap().body.clone();
    assert!(of("ssl_dv_geotrust_flex").get("organization").is_none(), "names alone are validated");
    assert!(of("private_ssl_plus").get("dcv_method").is_none(), "no names are validated");
    assert_eq!(of("private_ssl_plus")["certificate"]["cert_validity"]["days"], 365);
    drop(account);
    let refusal = play.provider().accept(&order_for(policy("Other")).policy, &play.state).unwrap_err();
    assert!(refusal.message.contains("policy.issuer.cty") && refusal.message.contains("product.Other"), "{refusal:?}");
}

#[tokio::test]
async fn a_validity_that_is_cut_is_told() {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some("processing".into()));
    let mut play = Play::new(&input(&mock, &[])).await;
    let order = order(&["www.example.com"]);
    play.settle(&order).await;
    assert!(play.said("asks for 365 days of validity; 199 were ordered"), "{:?}", play.details);
}

#[tokio::test]
async fn the_organization_is_found_where_its_number_is_not_given() {
    let mock = Mock::start().await;
    let named = |name: &str| IssuerInput {
        organization: Some(Organization { id: Some(name.into()), ..Organization::default() }),
        ..input(&mock, &[])
    };
    let unnamed = IssuerInput { organization: None, ..input(&mock, &[]) };
    let option = IssuerInput { organization: None, ..input(&mock, &[("organization_id", "123456")]) };
    for input in [unnamed.clone(), named("example corp"), option] {
        let mut play = Play::new(&input).await;
        play.issue(&order(&["www.example.com"])).await;
        assert_eq!(mock.only_order().body["organization"]["id"], 123_456);
        mock.account().orders.clear();
    }
    let mut play = Play::new(&named("Old Corp")).await;
    play.step(&order(&["www.example.com"])).await;
    assert!(play.said("misconfigured: The account has no active organization \"Old Corp\""), "{:?}", play.details);
    let two = json!({"organizations": [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}]});
    mock.faults(|faults| faults.organizations = Some(two));
    let mut play = Play::new(&unnamed).await;
    play.step(&order(&["www.example.com"])).await;
    assert!(play.said("several organizations") && play.said("1 (A), 2 (B)"), "{:?}", play.details);
    assert_eq!(mock.placed(), 0);
}

#[tokio::test]
async fn an_order_that_waits_is_completed_when_it_is_issued() {
    let mock = Mock::start().await;
    for status in ["processing", "waiting_pickup", "a status of next year"] {
        mock.faults(|faults| faults.first_status = Some(status.into()));
        let mut play = Play::new(&input(&mock, &[])).await;
        let order = order(&["www.example.com"]);
        play.settle(&order).await;
        mock.set_status("issued");
        play.issue(&order).await;
        mock.account().orders.clear();
    }
}

#[tokio::test]
async fn an_end_at_digicert_is_told_by_whose_fault_it_was() {
    let mock = Mock::start().await;
    for (status, class) in [
        ("rejected", FailureClass::RequestRejected),
        ("denied", FailureClass::RequestRejected),
        ("canceled", FailureClass::RequestRejected),
        ("revoked", FailureClass::IssuerError),
        ("expired", FailureClass::IssuerError),
    ] {
        mock.faults(|faults| faults.first_status = Some(status.into()));
        let mut play = Play::new(&input(&mock, &[])).await;
        let (failed, message) = failed(&mut play).await;
        assert_eq!(failed, class, "{status}: {message}");
        mock.account().orders.clear();
    }
}

#[tokio::test]
async fn what_digicert_says_of_the_request_ends_it_and_what_it_says_of_the_account_does_not() {
    let mock = Mock::start().await;
    mock.faults(|faults| {
        faults.refuse_orders = Some((400, "invalid_value:csr", "The CSR has already been used, use a new CSR."));
    });
    for object in [false, true] {
        mock.faults(|faults| faults.error_object = object);
        let mut play = Play::new(&input(&mock, &[])).await;
        let (class, message) = failed(&mut play).await;
        assert_eq!(class, FailureClass::RequestRejected);
        assert!(message.contains("already been used") && message.contains("invalid_value:csr"), "{message}");
    }
    for (status, code) in [(400, "insufficient_funds"), (403, "access_denied"), (400, "invalid_value:organization.id")]
    {
        mock.faults(|faults| faults.refuse_orders = Some((status, code, "No.")));
        let mut play = Play::new(&input(&mock, &[])).await;
        let order = order(&["www.example.com"]);
        play.until(&order, |play| play.said("misconfigured")).await;
        assert!(play.said(code), "{:?}", play.details);
        // The operator mends it; the order goes on.
        mock.faults(|faults| faults.refuse_orders = None);
        play.issue(&order).await;
        mock.account().orders.clear();
    }
}

#[tokio::test]
async fn limits_and_faults_are_waited_for() {
    let mock = Mock::start().await;
    mock.faults(|faults| (faults.limited, faults.down) = (3, 3));
    let mut play = Play::new(&input(&mock, &[])).await;
    play.issue(&order(&["www.example.com"])).await;
    assert!(play.waits.iter().any(|wait| wait.as_secs() == 7), "Retry-After: {:?}", play.waits);
    assert_eq!(mock.placed(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_the_operators_matter_and_never_shown() {
    let mock = Mock::start().await;
    let secret = "another-key-of-somebody";
    let wrong = IssuerInput { password: Some(secret.to_owned().into()), ..input(&mock, &[]) };
    let mut play = Play::new(&wrong).await;
    let order = order(&["www.example.com"]);
    play.until(&order, |play| play.said("misconfigured")).await;
    assert!(play.said("[API key]") && !play.said(secret), "{:?}", play.details);
    let Health::Bad(reason) = play.provider().check(&play.state).await else { panic!() };
    assert!(!reason.contains(secret), "{reason}");
    assert!(!format!("{wrong:?} {:?} {:?}", play.state, play.checkpoint).contains(secret));
    play.state = play.provider().configure(&input(&mock, &[]), Some(&play.state)).await.unwrap();
    play.issue(&order).await;
}

#[tokio::test]
async fn a_check_says_whether_key_and_organization_are_known() {
    let mock = Mock::start().await;
    let play = Play::new(&input(&mock, &[])).await;
    let Health::Good(text) = play.provider().check(&play.state).await else { panic!() };
    assert!(text.contains("123456 (Example Corp)"), "{text}");
    let calls = mock.account().calls.clone();
    assert_eq!(calls, ["GET /organization"], "no side effects");
    mock.faults(|faults| faults.down = 1);
    assert!(matches!(play.provider().check(&play.state).await, Health::Unknown(_)));
}

#[tokio::test]
async fn an_approval_is_waited_for_or_given() {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some("needs_approval".into()));
    let mut play = Play::new(&input(&mock, &[])).await;
    let order = order(&["www.example.com"]);
    play.settle(&order).await;
    let number = mock.only_order().id;
    assert!(play.said(&format!("Approve order {number} in CertCentral")), "{:?}", play.details);
    assert_eq!(play.actions[0].kind, ActionKind::Approval);
    assert_eq!(mock.count("PUT /request"), 0);
    // With the option the key approves, as far as it may.
    mock.faults(|faults| faults.no_approval = true);
    let approving = input(&mock, &[("approve", "true")]);
    play.state = play.provider().configure(&approving, Some(&play.state)).await.unwrap();
    play.until(&order, |play| play.said("You may not approve")).await;
    mock.faults(|faults| faults.no_approval = false);
    play.issue(&order).await;
    assert_eq!(mock.placed(), 1);
}

#[tokio::test]
async fn a_certificate_of_another_key_is_not_taken() {
    let mock = Mock::start().await;
    mock.faults(|faults| (faults.no_chain, faults.stale) = (true, 2));
    let mut play = Play::new(&input(&mock, &[])).await;
    play.issue(&order(&["www.example.com"])).await;
    assert!(play.said("a certificate of another key"), "{:?}", play.details);
    assert_eq!(mock.count("GET /certificate/"), 3);
}

#[tokio::test]
async fn many_orders_that_wait_share_their_questions() {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some("processing".into()));
    let mut play = Play::new(&input(&mock, &[])).await;
    let orders: Vec<_> =
        (0..5).map(|number| crate::play::order_with_id(policy("OV-SSL"), &format!("{number:032x}"))).collect();
    let mut checkpoints = Vec::new();
    for order in &orders {
        play.again();
        play.waits.clear();
        play.until(order, |play| play.waits.iter().any(|wait| wait.as_secs() >= 300)).await;
        checkpoints.push(play.checkpoint.clone());
    }
    mock.account().calls.clear();
    for (order, checkpoint) in orders.iter().zip(&checkpoints) {
        play.checkpoint = checkpoint.clone();
        play.clock.advance(std::time::Duration::from_secs(1));
        assert!(matches!(play.step(order).await, Some(Step::Pending { .. })));
    }
    // The server lists every order that is not pending as changed, so each is looked at once after the one list.
    assert_eq!(mock.count("GET /order/certificate/status-changes"), 1, "{:?}", mock.account().calls);
    mock.set_status("pending");
    mock.account().calls.clear();
    play.clock.advance(std::time::Duration::from_secs(300));
    for (order, checkpoint) in orders.iter().zip(&checkpoints) {
        play.checkpoint = checkpoint.clone();
        assert!(matches!(play.step(order).await, Some(Step::Pending { .. })));
    }
    assert_eq!(mock.account().calls.len(), 1, "{:?}", mock.account().calls);
    // A key that may not read the list asks for each order.
    mock.faults(|faults| faults.no_changes = true);
    play.clock.advance(std::time::Duration::from_secs(300));
    mock.set_status("issued");
    play.checkpoint = checkpoints[0].clone();
    play.issue(&orders[0]).await;
}

#[tokio::test]
async fn options_and_members_that_cannot_work_are_refused_by_their_name() {
    let mock = Mock::start().await;
    let play = Play::new(&input(&mock, &[])).await;
    for (name, value, reason) in [
        ("base_url", "http://www.digicert.com/services/v2", "https"),
        ("product.OV-SSL", "ssl basic", "name_id"),
        ("max_validity_days", "0", "1 to 1095"),
        ("dcv_method", "carrier-pigeon", "dns-txt-token"),
        ("dcv_label", "a b", "label"),
        ("dns_provider", "carrier-pigeon", "rfc2136"),
        ("organisation", "x", "max_validity_days"),
        ("organization_id", "x", "number"),
        ("ca_file", "x", "PEM"),
    ] {
        let refusal = play.provider().configure(&input(&mock, &[(name, value)]), None).await.unwrap_err();
        assert!(refusal.message.contains(name) && refusal.message.contains(reason), "{name}: {refusal:?}");
    }
    for password in [None, Some(""), Some("two words")] {
        let wrong = IssuerInput { password: password.map(|text| text.to_owned().into()), ..input(&mock, &[]) };
        let refusal = play.provider().configure(&wrong, None).await.unwrap_err();
        assert!(refusal.message.contains("credentials.pwd") && !refusal.message.contains(KEY), "{refusal:?}");
    }
}
