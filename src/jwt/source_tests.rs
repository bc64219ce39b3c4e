//! When keys are fetched, by a clock that stands still.

use super::*;
use crate::jwt::JwtOptions;
use crate::jwt::algorithm::Algorithm;
use crate::outbound::{Clients, Error, ErrorKind, Exchange, Identity, Request, Response};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// What an issuer answers to a request for its keys.
#[derive(Clone, Debug)]
enum Answer {
    /// A key of this id.
    Key(&'static str),
    /// A list without keys.
    NoKeys,
    Fails,
    Never,
}

#[derive(Clone)]
struct Peer(Arc<Mutex<(Answer, usize)>>);

impl Peer {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new((answer, 0))))
    }

    fn set(&self, answer: Answer) {
        self.0.lock().unwrap().0 = answer;
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

#[async_trait]
impl Exchange for Peer {
    async fn exchange(&self, _: Request) -> Result<Response, Error> {
        let answer = {
            let mut state = self.0.lock().unwrap();
            state.1 += 1;
            state.0.clone()
        };
        let body = match answer {
            Answer::Key(kid) => {
                let coordinate = URL_SAFE_NO_PAD.encode([1; 32]);
                json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": kid, "x": coordinate, "y": coordinate }] })
            }
            Answer::NoKeys => json!({ "keys": [] }),
            Answer::Fails => return Err(Error::new(ErrorKind::Connect, "refused")),
            Answer::Never => std::future::pending().await,
        };
        let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
        Ok(Response { status, headers, body: body.to_string().into() })
    }
}

impl Clients for Peer {
    fn client(&self, _: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn client_with(&self, roots: Option<&str>, _: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        self.client(roots)
    }
}

/// The time of tokio, which the tests move.
struct Moved(Timestamp, Instant);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        self.0.plus(self.1.elapsed())
    }
}

/// A source that is followed, in a folder of its own.
struct Followed {
    source: Arc<Source>,
    peer: Peer,
    number: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

impl Followed {
    async fn start(answer: Answer) -> Self {
        let (peer, folder, number) = (Peer::new(answer), tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(0)));
        let options: JwtOptions = toml::from_str("name = 'a'\nissuers = ['https://a']\naudiences = ['b']").unwrap();
        let origin = Origin::Address("https://a.example/keys".to_owned());
        let kept = KeptFile::new(folder.path(), "a", &origin.to_string());
        let fetcher = Fetcher::new(origin, &options, Arc::new(peer.clone())).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Moved(Timestamp::from_seconds(1_800_000_000), Instant::now()));
        let source = Source::open("a".into(), fetcher, kept, options.keep_keys, clock, number.clone()).unwrap();
        let (source, stop) = (Arc::new(source), CancellationToken::new());
        let (followed, stopped) = (source.clone(), stop.clone());
        tokio::spawn(async move { followed.follow(stopped).await });
        let this = Self { source, peer, number, _folder: folder, _stop: stop.drop_guard() };
        this.after(1).await;
        this
    }

    /// Lets so many seconds pass.
    async fn after(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn has(&self, kid: &str) -> bool {
        let now = self.source.clock.now();
        self.source.set().is_some_and(|set| !set.find(Some(kid), Algorithm::Es256, now).is_empty())
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_every_hour_and_a_change_is_counted() {
    let followed = Followed::start(Answer::Key("a")).await;
    assert_eq!((followed.peer.asked(), followed.has("a"), followed.number.load(Ordering::SeqCst)), (1, true, 1));
    followed.after(3590).await;
    assert_eq!(followed.peer.asked(), 1);
    followed.after(30).await;
    assert_eq!((followed.peer.asked(), followed.number.load(Ordering::SeqCst)), (2, 1), "the same keys");
    followed.peer.set(Answer::Key("b"));
    followed.after(3600).await;
    assert!(followed.has("a") && followed.has("b"));
    assert_eq!(followed.number.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_failed_is_repeated_and_the_keys_stay() {
    let followed = Followed::start(Answer::Fails).await;
    assert_eq!((followed.peer.asked(), followed.source.set().is_some()), (1, false));
    followed.peer.set(Answer::Key("a"));
    followed.after(31).await;
    assert_eq!((followed.peer.asked(), followed.has("a")), (2, true));
    followed.peer.set(Answer::Fails);
    followed.after(10 * 86_400).await;
    assert!(followed.has("a"), "however long the outage is");
    let state = followed.source.state();
    assert!(state.good == 1 && state.failed > 1000, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_taken_out_goes_in_an_outage_too() {
    let followed = Followed::start(Answer::Key("a")).await;
    followed.peer.set(Answer::Key("b"));
    followed.after(3600).await;
    followed.peer.set(Answer::Fails);
    followed.after(22 * 3600).await;
    assert!(followed.has("a") && followed.has("b"));
    assert_eq!(followed.source.state().keys, 2);
    followed.after(3 * 3600).await;
    assert!(!followed.has("a") && followed.has("b"));
    assert_eq!(followed.source.state().keys, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_time_runs_out_during_a_fetch_is_ended_after_it() {
    let followed = Followed::start(Answer::Key("a")).await;
    followed.peer.set(Answer::Key("b"));
    followed.after(3600).await;
    let count = || followed.number.load(Ordering::SeqCst);
    assert_eq!(count(), 2);
    // A day after the first list without it, but for some seconds.
    followed.after(86_395).await;
    followed.peer.set(Answer::Never);
    assert!(followed.has("a") && !followed.source.renewed().await);
    followed.after(3).await;
    assert_eq!((followed.has("a"), count()), (false, 2), "the fetch still runs");
    followed.after(2).await;
    assert_eq!(count(), 3, "what was remembered of its tokens is not believed any more");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_withdraws_all_its_keys_has_them_for_a_day() {
    let followed = Followed::start(Answer::Key("a")).await;
    followed.peer.set(Answer::NoKeys);
    followed.after(3600).await;
    let ends = || {
        let set = followed.source.set().unwrap();
        set.find(Some("a"), Algorithm::Es256, set.fetched())[0].withdrawn.clone()
    };
    let end = ends();
    followed.after(23 * 3600).await;
    assert!(followed.has("a") && !end.is_cancelled());
    assert!(followed.source.is_current(), "a key that is not known is none of this issuer");
    assert!(followed.source.state().failed > 1 && followed.source.state().good == 1, "{:?}", followed.source.state());
    followed.after(2 * 3600).await;
    assert!(!followed.has("a") && end.is_cancelled());
    followed.peer.set(Answer::Key("a"));
    followed.after(31).await;
    assert!(followed.has("a"));
}

#[tokio::test(start_paused = true)]
async fn keys_of_an_issuer_that_never_listed_one_are_not_available() {
    let followed = Followed::start(Answer::NoKeys).await;
    assert!(followed.source.set().is_none() && !followed.source.is_current());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_fetched_at_once_and_not_more_than_twice_a_minute() {
    let followed = Followed::start(Answer::Key("a")).await;
    followed.peer.set(Answer::Key("b"));
    let asking = (0..100).map(|_| followed.source.renewed());
    assert!(futures_util::future::join_all(asking).await.into_iter().all(|renewed| renewed));
    assert_eq!((followed.peer.asked(), followed.has("b")), (2, true));
    for _ in 0..100 {
        assert!(!followed.source.renewed().await);
    }
    followed.after(28).await;
    assert!(!followed.source.renewed().await);
    followed.after(3).await;
    assert!(followed.source.renewed().await);
    assert_eq!(followed.peer.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_two_seconds_and_no_fetch_takes_longer_than_five() {
    let followed = Followed::start(Answer::Never).await;
    let begun = Instant::now();
    assert!(!followed.source.renewed().await, "the first one runs");
    assert_eq!(begun.elapsed().as_secs(), 2);
    followed.peer.set(Answer::Key("a"));
    followed.after(3).await;
    assert_eq!((followed.peer.asked(), followed.source.state().failed), (1, 1));
    assert!(followed.source.renewed().await && followed.has("a"));
}
