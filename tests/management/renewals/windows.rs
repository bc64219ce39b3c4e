//! Renewals in the windows that CAs give (RFC 9773).

use super::{DAY, request};
use crate::false_provider::FalseProvider;
use crate::management::harness::{Harness, vault};
use crate::permit::ask;
use certmint::domain::renewal::Because;
use certmint::domain::{IssuerInput, IssuerName, RenewalTrigger, Timestamp};
use certmint::issuer::IssuerError;
use certmint::issuer::provider::{Provider, RenewalWindow, State};
use certmint::issuer::self_signed::SelfSigned;
use certmint::limits::Limits;
use certmint::service::ServiceOptions;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What the CA answers, and how often it was asked.
#[derive(Default)]
struct Told {
    window: Option<(Timestamp, Timestamp)>,
    fails: bool,
    /// It does not answer until this is closed.
    hangs: Option<Arc<Semaphore>>,
    asked: usize,
}

/// A harness with a CA that signs as `Self` does and says when it wants certificates renewed.
async fn start() -> (Harness, Arc<Mutex<Told>>) {
    with(ServiceOptions::default()).await
}

async fn with(options: ServiceOptions) -> (Harness, Arc<Mutex<Told>>) {
    let told = Arc::new(Mutex::new(Told::default()));
    let (answers, held) = (told.clone(), told.clone());
    let harness = Harness::with_issuers(options, |keys, issuers| {
        let signs: Arc<dyn Provider> = Arc::new(SelfSigned::new(keys));
        let needs = signs.needs();
        let mut provider = FalseProvider::new("Windows", move |call| {
            let signs = signs.clone();
            async move { signs.advance(&call.order, &State::default(), &call.at).await }
        });
        provider.needs = needs;
        provider.windows = Some(Box::new(move |_| {
            let mut told = answers.lock().unwrap();
            told.asked += 1;
            if told.fails {
                return Err(IssuerError::Retry { after: None, source: "nobody answers".into() });
            }
            Ok(told.window.map(|(start, end)| RenewalWindow {
                start,
                end,
                explanation: Some("https://ca.example/why".into()),
                ask_again: Duration::from_secs(6 * 3600),
            }))
        }));
        provider.holds_windows = Some(Box::new(move || {
            let held = held.lock().unwrap().hangs.clone();
            Box::pin(async move {
                if let Some(held) = held {
                    let _closed = held.acquire().await;
                }
            })
        }));
        issuers.with_provider(Arc::new(provider))
    })
    .await;
    let input = IssuerInput { provider: Some("Windows".into()), ..IssuerInput::default() };
    ask!(harness.service, issuers.set_issuer((vault(), IssuerName::parse("ca").unwrap()), input)).unwrap();
    (harness, told)
}

#[tokio::test]
async fn a_certificate_is_renewed_in_the_window_of_its_ca() {
    let (harness, told) = start().await;
    harness.issued(request("web", "ca")).await;
    let (from, until) = (harness.now().plus(100 * DAY), harness.now().plus(102 * DAY));
    told.lock().unwrap().window = Some((from, until));
    harness.later(1).await;
    let view = harness.renewal("web").await;
    let at = view.plan.unwrap().renew_at;
    assert!((from..until).contains(&at) && told.lock().unwrap().asked == 1);
    assert_eq!(view.renewal.window.unwrap().explanation.as_deref(), Some("https://ca.example/why"));
    harness.later(99).await;
    assert_eq!(harness.versions("web").await, 1);
    for _ in 0..12 {
        harness.clock.advance(Duration::from_secs(4 * 3600));
        harness.work().await;
    }
    assert_eq!(harness.versions("web").await, 2);
    assert_eq!(harness.pending("web").await.renews.unwrap().trigger, RenewalTrigger::Ari);
}

#[tokio::test]
async fn a_window_that_moves_to_now_renews_now() {
    let (harness, told) = start().await;
    harness.issued(request("web", "ca")).await;
    told.lock().unwrap().window = Some((harness.now().plus(200 * DAY), harness.now().plus(201 * DAY)));
    harness.later(1).await;
    // The CA is going to revoke it.
    told.lock().unwrap().window = Some((harness.now(), harness.now().plus(DAY / 24)));
    harness.clock.advance(Duration::from_secs(7 * 3600));
    harness.work().await;
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_ca_that_cannot_be_asked_or_has_no_window_leaves_the_plan_as_it_is() {
    let (harness, told) = start().await;
    told.lock().unwrap().fails = true;
    harness.issued(request("web", "ca")).await;
    harness.later(1).await;
    assert_eq!(harness.renewal("web").await.plan.unwrap().because, Because::Percentage(80));
    let failing = told.lock().unwrap().asked;
    assert!((1..=24).contains(&failing), "{failing}");
    told.lock().unwrap().fails = false;
    harness.later(1).await;
    for _ in 0..290 {
        harness.later(1).await;
    }
    let asked = told.lock().unwrap().asked;
    assert!((130..320).contains(&asked), "once in a little more than a day: {asked}");
    harness.later(3).await;
    assert_eq!(harness.versions("web").await, 2);
}

/// Each of its questions would hold a place of the worker for as long as the CA may take for an answer.
#[tokio::test]
async fn a_ca_that_does_not_answer_is_not_asked_for_further_windows() {
    let limits = Limits { slow_calls_per_issuer: 1, ..Limits::default() };
    let (harness, told) = with(ServiceOptions { limits, ..ServiceOptions::default() }).await;
    let names = ["a", "b", "c", "d"];
    for name in names {
        harness.issued(request(name, "ca")).await;
    }
    let gate = Arc::new(Semaphore::new(0));
    told.lock().unwrap().hangs = Some(gate.clone());
    harness.clock.advance(DAY);
    let due = harness.service.jobs().claim(64).await.unwrap();
    let mut due = due.into_iter().filter(|due| due.key().starts_with("certificates/"));
    let first = due.next().unwrap();
    let service = harness.service.clone();
    let mut open = vec![tokio::spawn(async move { service.jobs().step(first).await })];
    // It counts as slow after a second; until then others are asked, too.
    let mut refused = None;
    for next in due {
        let (service, key) = (harness.service.clone(), next.key().to_owned());
        let mut step = tokio::spawn(async move { service.jobs().step(next).await });
        match timeout(Duration::from_secs(12), &mut step).await {
            Ok(done) => {
                done.unwrap().unwrap();
                refused = Some(key);
                break;
            }
            Err(_) => open.push(step),
        }
    }
    let refused = refused.expect("the CA is asked again and again");
    assert_eq!(told.lock().unwrap().asked, open.len(), "{refused} was not asked for");
    gate.close();
    for step in open {
        step.await.unwrap().unwrap();
    }
    // It is asked for in about an hour.
    let name = refused.rsplit('/').next().unwrap();
    let wait = harness.due(name).await.unwrap().0 - harness.now().0;
    assert!((1..=2 * 3_600_000).contains(&wait), "{wait}");
    told.lock().unwrap().hangs = None;
    let before = told.lock().unwrap().asked;
    harness.until_due(name).await;
    assert!(told.lock().unwrap().asked > before);
}

#[tokio::test]
async fn an_issuer_without_windows_is_not_asked() {
    let (harness, _told) = start().await;
    harness.issued(request("web", "Self")).await;
    let due = harness.due("web").await.unwrap();
    assert!(due > harness.now().plus(290 * DAY));
}
