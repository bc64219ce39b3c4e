//! A thousand streams on two replicas, while grants are made and taken away at random: what each hears is compared with a
//! slow model of the rights. No stream hears a name that its caller could not see when it was opened, each hears all of
//! the others, and those that show too much end, on both replicas. `CERTMINT_SEED` repeats a run or tries another one.

use crate::kit::{ADMIN, LONG, Server, Shared, reason};
use certmint::limits::Limits;
use certmint::proto::v1;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::service::{GrantLimits, Mode};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::{Code, Status};

const STREAMS: usize = 1000;
const ROUNDS: usize = 40;
const SEED: u64 = 0x5eed_ca11_ab1e_0007;
const CALLERS: [&str; 5] = ["shop", "reader", "other", "nobody", "two"];
const PATTERNS: [&str; 8] = ["a-*", "b-*", "a-1", "a-2", "b-1", "c-*", "c-1", "*"];
const NAMES: [&str; 8] = ["a-1", "a-2", "a-3", "b-1", "b-2", "c-1", "c-2", "d-1"];

/// Xorshift (Marsaglia): the same numbers from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())]
    }
}

/// Whether every name of the second pattern is one of the first.
fn covers(one: &str, other: &str) -> bool {
    match one.strip_suffix('*') {
        Some(begin) => other.starts_with(begin),
        None => one == other,
    }
}

type Seen = BTreeSet<&'static str>;

fn sees(seen: &Seen, name: &str) -> bool {
    seen.iter().any(|pattern| covers(pattern, name))
}

/// Whether less is seen than before.
fn is_narrower(now: &Seen, before: &Seen) -> bool {
    before.iter().any(|old| !now.iter().any(|new| covers(new, old)))
}

/// The grants that each caller has now, by id.
#[derive(Default)]
struct Model(HashMap<&'static str, BTreeMap<String, &'static str>>);

impl Model {
    fn seen(&self, caller: &str) -> Seen {
        self.0.get(caller).into_iter().flat_map(BTreeMap::values).copied().collect()
    }
}

/// What a stream says, by its number.
#[derive(Debug)]
enum Said {
    Heard(usize, String),
    CaughtUp(usize),
    Ended(usize, String),
}

struct Stream {
    caller: &'static str,
    replica: usize,
    /// When it was opened.
    seen: Seen,
}

struct World {
    replicas: [Server; 2],
    model: Model,
    dice: Dice,
    streams: HashMap<usize, Stream>,
    next: usize,
    said: (UnboundedSender<Said>, UnboundedReceiver<Said>),
    /// From the answer to the change to the end of the last stream.
    slowest: Duration,
}

impl World {
    async fn new(seed: u64) -> Self {
        let shared = Shared::default();
        let limits = Limits { watch_streams_per_connection: STREAMS, ..Limits::default() };
        let one = Server::limited(Mode::Enforce, "", shared.clone(), limits.clone(), GrantLimits::default()).await;
        let two = Server::limited(Mode::Enforce, "", shared, limits, GrantLimits::default()).await;
        Self {
            replicas: [one, two],
            model: Model::default(),
            dice: Dice(seed),
            streams: HashMap::new(),
            next: 0,
            said: unbounded_channel(),
            slowest: Duration::ZERO,
        }
    }

    async fn hear(&mut self) -> Said {
        let said = timeout(LONG, self.said.1.recv()).await.expect("a stream says something").unwrap();
        self.judge(&said);
        said
    }

    fn judge(&self, said: &Said) {
        if let Said::Heard(number, name) = said {
            let Stream { caller, seen, .. } = &self.streams[number];
            assert!(sees(seen, name), "{caller} heard of {name}, and saw {seen:?} when the stream was opened");
        }
    }

    /// Opens streams for these callers, and waits until each shows the present. Who sees nothing is refused.
    async fn open(&mut self, wanted: Vec<(&'static str, usize)>) {
        let mut waiting = BTreeSet::new();
        for (caller, replica) in wanted {
            let seen = self.model.seen(caller);
            let opened = self.replicas[replica].client(caller).watch_pending(v1::WatchPendingRequest::default()).await;
            let mut stream = match (opened, seen.is_empty()) {
                (Ok(stream), false) => stream.into_inner(),
                (Err(refused), true) => {
                    assert_eq!(refused.code(), Code::PermissionDenied);
                    continue;
                }
                (Ok(_), true) => panic!("{caller} sees nothing, and has a stream"),
                (Err(refused), false) => panic!("{caller} sees {seen:?}: {refused}"),
            };
            let (number, tell) = (self.next, self.said.0.clone());
            self.next += 1;
            tokio::spawn(async move {
                loop {
                    let said = match stream.message().await {
                        Ok(Some(message)) => match message.payload {
                            Some(Payload::Event(event)) => {
                                Said::Heard(number, event.operation.unwrap().certificate_name)
                            }
                            Some(Payload::Bookmark(bookmark)) if bookmark.reason() == v1::BookmarkReason::CaughtUp => {
                                Said::CaughtUp(number)
                            }
                            _ => continue,
                        },
                        Ok(None) => Said::Ended(number, String::new()),
                        Err(end) => Said::Ended(number, reason(&end)),
                    };
                    let is_over = matches!(said, Said::Ended(..));
                    // The test may be over.
                    if tell.send(said).is_err() || is_over {
                        return;
                    }
                }
            });
            self.streams.insert(number, Stream { caller, replica, seen });
            waiting.insert(number);
        }
        while !waiting.is_empty() {
            match self.hear().await {
                Said::Heard(..) => {}
                Said::CaughtUp(number) => _ = waiting.remove(&number),
                Said::Ended(number, why) => panic!("stream {number} ended at its beginning: {why}"),
            }
        }
    }

    /// Makes or takes away a grant of somebody.
    async fn change(&mut self) {
        let (caller, by) = (self.dice.of(&CALLERS), self.dice.below(2));
        let held: Vec<String> = self.model.0.get(caller).into_iter().flat_map(BTreeMap::keys).cloned().collect();
        let takes = !held.is_empty() && self.dice.below(held.len() + 2) > 1;
        let mut rights = self.replicas[by].rights(ADMIN);
        let grants = self.model.0.entry(caller).or_default();
        if takes {
            let grant_id = held[self.dice.below(held.len())].clone();
            rights.delete_grant(v1::DeleteGrantRequest { grant_id: grant_id.clone() }).await.unwrap();
            grants.remove(&grant_id);
        } else {
            let pattern = self.dice.of(&PATTERNS);
            let request = v1::CreateGrantRequest {
                principal: format!("token:{caller}"),
                role: "certmint Watcher".to_owned(),
                names: vec![pattern.to_owned()],
                ..Default::default()
            };
            let made = rights.create_grant(request).await.unwrap().into_inner().grant.unwrap();
            grants.insert(made.id, pattern);
        }
        let changed = Instant::now();
        let seen = self.model.seen(caller);
        let is_hit = |stream: &Stream| stream.caller == caller && is_narrower(&seen, &stream.seen);
        let mut hit: BTreeSet<usize> =
            self.streams.iter().filter(|(_, stream)| is_hit(stream)).map(|(number, _)| *number).collect();
        let mut again = Vec::new();
        while !hit.is_empty() {
            match self.hear().await {
                Said::Ended(number, why) => {
                    assert!(hit.remove(&number), "stream {number} ended, and shows nothing hidden: {why}");
                    assert_eq!(why, "ACCESS_CHANGED");
                    let Stream { caller, replica, .. } = self.streams.remove(&number).unwrap();
                    again.push((caller, replica));
                    self.slowest = self.slowest.max(changed.elapsed());
                }
                Said::Heard(..) | Said::CaughtUp(_) => {}
            }
        }
        for replica in &self.replicas {
            known(replica, caller, &self.model.0[caller]).await;
        }
        self.open(again).await;
    }

    /// Begins or removes an operation. Everybody who may see its name hears of it, and nobody else.
    async fn happen(&mut self, begun: &mut BTreeSet<&'static str>) {
        let (name, by) = (self.dice.of(&NAMES), self.dice.below(2));
        let mut waiting: BTreeSet<usize> =
            self.streams.iter().filter(|(_, stream)| sees(&stream.seen, name)).map(|(number, _)| *number).collect();
        if begun.remove(name) {
            self.replicas[by].must(ADMIN, &format!("DELETE /certificates/{name}/pending"), "").await;
        } else {
            begun.insert(name);
            self.replicas[by].begin(&[name]).await;
        }
        while !waiting.is_empty() {
            match self.hear().await {
                Said::Heard(number, heard) if heard == name => _ = waiting.remove(&number),
                Said::Ended(number, why) => panic!("stream {number} ended: {why}"),
                Said::Heard(..) | Said::CaughtUp(_) => {}
            }
        }
    }
}

/// Waits until a replica knows exactly these grants of a caller.
async fn known(replica: &Server, caller: &str, grants: &BTreeMap<String, &'static str>) {
    let begun = Instant::now();
    loop {
        let answer: Result<_, Status> = replica.rights(caller).who_am_i(v1::WhoAmIRequest::default()).await;
        let ids: BTreeSet<String> = answer.unwrap().into_inner().grants.into_iter().map(|grant| grant.id).collect();
        if ids.iter().eq(grants.keys()) {
            return;
        }
        assert!(begun.elapsed() < LONG, "{caller} has {ids:?}, not {grants:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_hears_of_a_hidden_name_while_grants_change() {
    let seed = std::env::var("CERTMINT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("CERTMINT_SEED={seed}");
    let mut world = World::new(seed).await;
    // Everybody sees something, so that there are streams.
    while CALLERS.iter().any(|caller| world.model.seen(caller).is_empty()) {
        world.change().await;
    }
    let wanted = (0..STREAMS).map(|number| (CALLERS[number % CALLERS.len()], number / CALLERS.len() % 2)).collect();
    world.open(wanted).await;
    let (mut begun, mut fewest) = (BTreeSet::new(), STREAMS);
    for _ in 0..ROUNDS {
        world.change().await;
        world.happen(&mut begun).await;
        fewest = fewest.min(world.streams.len());
        // Those who lost everything have a grant again some time.
        let missing = STREAMS - world.streams.len();
        let seeing: Vec<&'static str> =
            CALLERS.into_iter().filter(|caller| !world.model.seen(caller).is_empty()).collect();
        if !seeing.is_empty() {
            let more = (0..missing).map(|number| (seeing[number % seeing.len()], number % 2)).collect();
            world.open(more).await;
        }
        world.happen(&mut begun).await;
    }
    let opened = world.next;
    println!("{opened} streams, at least {fewest} at a time; the last one ended {:?} after a change", world.slowest);
    assert!(opened > STREAMS + STREAMS / 2, "only {opened} streams: hardly any was narrowed");
    // What came last is looked at, too.
    while let Ok(said) = world.said.1.try_recv() {
        world.judge(&said);
    }
}
