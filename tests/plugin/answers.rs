//! What a plug-in answers is not believed: each way to misbehave ends in a reason, and leaves the order open where its
//! fate is unknown.

use crate::mock::{Manner, Mock, Running, TOKEN, input, provider, serve, socket};
use crate::orders::{Harness, NOW, named};
use certmint::domain::policy::KeyType;
use certmint::issuer::plugin::Plugin;
use certmint::issuer::provider::{Health, Order, Progress, Provider, State};
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::chain::check_issued;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::Code;

/// Only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

struct Stage {
    mock: Arc<Mock>,
    plugin: Plugin,
    state: State,
    order: Order,
    address: String,
    running: Option<Running>,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new(timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, address) = socket(folder.path());
        let mock = Mock::new(Manner::Good);
        let running = Some(serve(&mock, &path));
        let plugin = provider(&address, None, timeout);
        let state = plugin.configure(&input(), None).await.unwrap();
        let mut order = Harness::new().order(KeyType::P256, named("CN=a.example"), None).order;
        order.sealed_key = None;
        Self { mock, plugin, state, order, address, running, folder }
    }

    async fn advance(&self, manner: Manner) -> Result<Progress, IssuerError> {
        self.mock.behave(manner);
        self.plugin.advance(&self.order, &self.state, &Checkpoint(self.checkpoint())).await
    }

    fn checkpoint(&self) -> Vec<u8> {
        format!("order {}", self.order.request_id).into_bytes()
    }
}

async fn stage() -> Stage {
    Stage::new(Duration::from_secs(60)).await
}

#[tokio::test]
async fn answers_outside_of_the_contract_are_tried_again_with_the_reason() {
    let stage = stage().await;
    for (manner, reason) in [
        (Manner::LargeAnswer, "a message above 1 MiB"),
        (Manner::LargeCheckpoint, "a checkpoint of 65537 bytes"),
        (Manner::NoOutcome, "without an outcome"),
    ] {
        let error = stage.advance(manner).await.unwrap_err();
        assert!(matches!(error, IssuerError::Retry { .. }), "{manner:?}: {error:?}");
        assert!(error.to_string().contains(reason), "{manner:?}: {error}");
    }
}

#[tokio::test]
async fn a_chain_that_does_not_fit_is_found_by_the_check_of_the_core() {
    let stage = stage().await;
    for (manner, reason) in [(Manner::GarbageChain, ""), (Manner::OtherKey, "public key of the request")] {
        let Step::Issued { chain } = stage.advance(manner).await.unwrap().step else { panic!() };
        let problem = check_issued(&chain, &stage.order.csr, &stage.order.policy, NOW).unwrap_err();
        assert!(problem.contains(reason), "{problem}");
    }
}

#[tokio::test]
async fn the_status_of_a_call_says_whether_the_issuer_must_change() {
    let stage = stage().await;
    for (code, misconfigured) in [
        (Code::Unavailable, false),
        (Code::DeadlineExceeded, false),
        (Code::Aborted, false),
        (Code::Internal, false),
        (Code::Unknown, false),
        (Code::ResourceExhausted, false),
        (Code::Unauthenticated, true),
        (Code::PermissionDenied, true),
        (Code::FailedPrecondition, true),
        (Code::InvalidArgument, true),
        (Code::Unimplemented, true),
    ] {
        let error = stage.advance(Manner::Refuses(code)).await.unwrap_err();
        assert_eq!(matches!(error, IssuerError::Misconfigured { .. }), misconfigured, "{code:?}: {error:?}");
        assert!(error.to_string().contains("The CA is not there. Ask again."), "{error}");
    }
}

#[tokio::test]
async fn a_plug_in_says_when_it_may_be_asked_again() {
    let error = stage().await.advance(Manner::Limits).await.unwrap_err();
    let IssuerError::Retry { after, source } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(77)));
    assert_eq!(source.to_string(), "The plug-in Corp answered RESOURCE_EXHAUSTED: Too many orders.");
}

#[tokio::test]
async fn without_cancellation_an_order_that_was_begun_goes_on_and_another_one_ends() {
    let stage = stage().await;
    stage.mock.behave(Manner::NoCancel);
    for (at, cancelled) in [(Vec::new(), true), (stage.checkpoint(), false)] {
        let step = stage.plugin.cancel(&stage.order, &stage.state, &Checkpoint(at)).await.unwrap().step;
        assert_eq!(step == Step::Cancelled, cancelled, "{step:?}");
        assert_eq!(matches!(step, Step::Issued { .. }), !cancelled, "{step:?}");
    }
}

#[tokio::test]
async fn a_plug_in_that_does_not_answer_is_given_up_and_the_order_stays_open() {
    let stage = Stage::new(Duration::from_millis(300)).await;
    let error = stage.advance(Manner::Hangs).await.unwrap_err();
    assert!(matches!(error, IssuerError::Retry { .. }) && error.to_string().contains("in time"), "{error}");
}

#[tokio::test]
async fn a_secret_that_a_plug_in_repeats_is_taken_out_of_its_words() {
    let stage = stage().await;
    let Step::Pending { details: Some(details), .. } = stage.advance(Manner::Leaks).await.unwrap().step else {
        panic!()
    };
    assert!(details.contains("took (hidden) for an answer") && details.contains("order-1"), "{details}");
    let mut wrong = input();
    let other = "another-secret-token";
    wrong.secrets.insert("token".into(), other.to_owned().into());
    let state = stage.plugin.configure(&wrong, None).await.unwrap();
    let Health::Bad(text) = stage.plugin.check(&state).await else { panic!() };
    assert!(text.contains("knows no token (hidden)") && !text.contains(other), "{text}");
    let mut plain = input();
    plain.options.insert("url".into(), "http://ca.example".into());
    let error = stage.plugin.configure(&plain, None).await.unwrap_err();
    assert!(error.message.contains("options.url") && error.message.contains("Write https"), "{error:?}");
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
}

#[tokio::test]
async fn a_plug_in_of_another_version_of_the_contract_is_not_used() {
    let mut stage = stage().await;
    stage.mock.behave(Manner::Newer);
    let (path, _) = socket(stage.folder.path());
    stage.running = None;
    stage.running = Some(serve(&stage.mock, &path));
    // The first call opens the connection anew; from then on the version is known.
    let begun = Instant::now();
    let error = loop {
        let error = stage.advance(Manner::Newer).await.unwrap_err();
        if matches!(error, IssuerError::Misconfigured { .. }) {
            break error;
        }
        assert!(begun.elapsed() < HANG, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.to_string().contains("the versions 7 to 7 of the contract, and this server speaks 1"), "{error}");
}

#[tokio::test]
async fn a_plug_in_that_is_down_is_a_reason_to_wait_and_comes_back_by_itself() {
    let mut stage = stage().await;
    stage.running = None;
    let begun = Instant::now();
    loop {
        // The connection and the socket end a moment after the process.
        let answer = stage.advance(Manner::Good).await;
        if let Err(error) = &answer {
            assert!(matches!(error, IssuerError::Retry { .. }), "{error:?}");
            if error.to_string().starts_with("The plug-in Corp cannot be reached: ") {
                break;
            }
        }
        assert!(begun.elapsed() < HANG, "it is never out of reach: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (path, _) = socket(stage.folder.path());
    stage.running = Some(serve(&stage.mock, &path));
    let Step::Issued { .. } = stage.advance(Manner::Good).await.unwrap().step else { panic!() };
}

#[tokio::test]
async fn an_issuer_can_be_set_while_its_plug_in_is_down_and_its_orders_say_what_is_wrong() {
    let mut stage = stage().await;
    stage.running = None;
    std::fs::remove_file(socket(stage.folder.path()).0).unwrap();
    let fresh = provider(&stage.address, None, Duration::from_secs(60));
    assert!(fresh.takes_options() && fresh.schema().options.is_empty());
    let mut wrong = input();
    wrong.options.insert("ulr".into(), "https://ca.example".into());
    let state = fresh.configure(&wrong, None).await.unwrap();
    let error = fresh.advance(&stage.order, &state, &Checkpoint::default()).await.unwrap_err();
    assert!(matches!(error, IssuerError::Retry { .. }), "{error:?}");
    assert!(matches!(fresh.check(&state).await, Health::Unknown(_)));
    stage.running = Some(serve(&stage.mock, &socket(stage.folder.path()).0));
    let error = fresh.advance(&stage.order, &state, &Checkpoint::default()).await.unwrap_err();
    assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error:?}");
    assert!(error.to_string().contains("Corp has: url, token"), "{error}");
}
